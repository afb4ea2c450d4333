//! A workbook part by part as Excel writes it: titles, merged cells, a filter, a comment, formulas,
//! hidden rows, conditional formats, a second sheet, extensions, a total.

use crate::support::workbook::{concat_each, zip_parts};

const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006/relationships";
const CONTENT: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml";
/// The part of the sheet with the numbers.
pub(crate) const SHEET: &str = "xl/worksheets/sheet1.xml";
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\r\n";

/// A workbook that a test changes before it is packed.
#[derive(Clone)]
pub(crate) struct ExcelWorkbook {
    parts: Vec<(String, String)>,
}

impl ExcelWorkbook {
    /// A list of five people with a title, a header in row 3, and a total in row 9.
    pub(crate) fn staff_list() -> Self {
        let relation = |id: u32, kind: &str, target: &str| {
            format!(
                "<Relationship Id=\"rId{id}\" Type=\"{RELATIONS}/{kind}\" Target=\"{target}\"/>"
            )
        };
        let relations = |list: &[String]| {
            format!(
                "{DECLARATION}<Relationships xmlns=\"{PACKAGE}\">{}</Relationships>",
                list.concat()
            )
        };
        let content = |part: &str, kind: &str| {
            format!("<Override PartName=\"/{part}\" ContentType=\"{CONTENT}.{kind}+xml\"/>")
        };
        let mut parts = Vec::new();
        let mut add = |name: &str, text: String| parts.push((name.to_owned(), text));
        add(
            "[Content_Types].xml",
            format!(
                "{DECLARATION}<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/\
                 content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.\
                 openxmlformats-package.relationships+xml\"/><Default Extension=\"xml\" \
                 ContentType=\"application/xml\"/><Default Extension=\"vml\" ContentType=\
                 \"application/vnd.openxmlformats-officedocument.vmlDrawing\"/>{}</Types>",
                [
                    content("xl/workbook.xml", "sheet.main"),
                    content(SHEET, "worksheet"),
                    content("xl/worksheets/sheet2.xml", "worksheet"),
                    content("xl/styles.xml", "styles"),
                    content("xl/sharedStrings.xml", "sharedStrings"),
                    content("xl/comments1.xml", "comments"),
                ]
                .concat()
            ),
        );
        add("_rels/.rels", relations(&[relation(1, "officeDocument", "xl/workbook.xml")]));
        add(
            "xl/workbook.xml",
            format!(
                "{DECLARATION}<workbook xmlns=\"{MAIN}\" xmlns:r=\"{RELATIONS}\"><fileVersion \
                 appName=\"xl\"/><workbookPr defaultThemeVersion=\"166925\"/><bookViews>\
                 <workbookView activeTab=\"0\"/></bookViews><sheets><sheet name=\"在职\" \
                 sheetId=\"1\" r:id=\"rId1\"/><sheet name=\"离职\" sheetId=\"4\" r:id=\"rId2\"/>\
                 </sheets><definedNames><definedName name=\"_xlnm._FilterDatabase\" \
                 localSheetId=\"0\" hidden=\"1\">在职!$A$3:$F$8</definedName><definedName \
                 name=\"_xlnm.Print_Titles\" localSheetId=\"0\">在职!$1:$3</definedName>\
                 <definedName name=\"名单\">在职!$A$3:$F$8</definedName><definedName \
                 name=\"部门\">在职!$C$4:$C$8</definedName></definedNames><calcPr calcId=\"191029\"/>\
                 </workbook>"
            ),
        );
        add(
            "xl/_rels/workbook.xml.rels",
            relations(&[
                relation(1, "worksheet", "worksheets/sheet1.xml"),
                relation(2, "worksheet", "worksheets/sheet2.xml"),
                relation(3, "styles", "styles.xml"),
                relation(4, "sharedStrings", "sharedStrings.xml"),
            ]),
        );
        add(SHEET, staff_sheet());
        add(
            "xl/worksheets/_rels/sheet1.xml.rels",
            relations(&[
                relation(1, "vmlDrawing", "../drawings/vmlDrawing1.vml"),
                relation(2, "comments", "../comments1.xml"),
            ]),
        );
        add(
            "xl/worksheets/sheet2.xml",
            format!(
                "{DECLARATION}<worksheet xmlns=\"{MAIN}\"><dimension ref=\"A1\"/><sheetData><row \
                 r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c></row></sheetData></worksheet>"
            ),
        );
        add("xl/styles.xml", styles());
        add("xl/sharedStrings.xml", shared_strings());
        add(
            "xl/comments1.xml",
            format!(
                "{DECLARATION}<comments xmlns=\"{MAIN}\"><authors><author>HR</author></authors>\
                 <commentList><comment ref=\"B4\" authorId=\"0\"><text><r><t>新员工</t></r></text>\
                 </comment></commentList></comments>"
            ),
        );
        add("xl/drawings/vmlDrawing1.vml", "<xml xmlns:v=\"urn:x\"><v:shape/></xml>".to_owned());
        Self { parts }
    }

    /// Replaces a text that a part has, once or more.
    pub(crate) fn with(mut self, part: &str, from: &str, to: &str) -> Self {
        let (_, text) = self.parts.iter_mut().find(|(name, _)| name == part).unwrap();
        assert!(text.contains(from), "{part} has no {from}");
        *text = text.replace(from, to);
        self
    }

    /// Adds a part.
    pub(crate) fn with_part(mut self, name: &str, text: &str) -> Self {
        self.parts.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Replaces the filter by a table of the same rows.
    pub(crate) fn with_table(self, attributes: &str, columns: &str) -> Self {
        let count = columns.matches("<tableColumn ").count();
        let table = format!(
            "{DECLARATION}<table xmlns=\"{MAIN}\" id=\"3\" name=\"员工\" displayName=\"员工\" \
             {attributes}><autoFilter ref=\"A3:F8\"/><tableColumns count=\"{count}\">{columns}\
             </tableColumns><tableStyleInfo name=\"TableStyleLight9\" showRowStripes=\"1\"/>\
             </table>"
        );
        let relation = format!(
            "<Relationship Id=\"rId7\" Type=\"{RELATIONS}/table\" Target=\"../tables/table1.xml\"/>\
             </Relationships>"
        );
        let names = "<definedName name=\"_xlnm._FilterDatabase\" localSheetId=\"0\" hidden=\"1\">\
                     在职!$A$3:$F$8</definedName>";
        let parts = "<tableParts count=\"1\"><tablePart r:id=\"rId7\"/></tableParts><extLst>";
        self.with(SHEET, FILTER, "")
            .with(SHEET, "<extLst>", parts)
            .with("xl/workbook.xml", names, "")
            .with("xl/worksheets/_rels/sheet1.xml.rels", "</Relationships>", &relation)
            .with(
                "[Content_Types].xml",
                "</Types>",
                &format!(
                    "<Override PartName=\"/xl/tables/table1.xml\" \
                     ContentType=\"{CONTENT}.table+xml\"/></Types>"
                ),
            )
            .with_part("xl/tables/table1.xml", &table)
    }

    pub(crate) fn pack(&self) -> Vec<u8> {
        zip_parts(&self.parts)
    }
}

/// The columns of a table of the whole list.
pub(crate) const TABLE_COLUMNS: &str = "<tableColumn id=\"1\" name=\"工号\"/><tableColumn id=\"2\" \
    name=\"姓名\"/><tableColumn id=\"3\" name=\"部门\"/><tableColumn id=\"9\" name=\"手机号\"/>\
    <tableColumn id=\"5\" name=\"账号\"/><tableColumn id=\"6\" name=\"工资\"/>";
/// The filter of the list, with a sort.
pub(crate) const FILTER: &str = "<autoFilter ref=\"A3:F8\"><filterColumn colId=\"2\"><filters>\
    <filter val=\"技术部\"/></filters></filterColumn><sortState ref=\"A4:F8\"><sortCondition \
    ref=\"B4:B8\"/></sortState></autoFilter>";

fn staff_sheet() -> String {
    let text = |cell: &str, style: u32, string: u32| {
        format!("<c r=\"{cell}\" s=\"{style}\" t=\"s\"><v>{string}</v></c>")
    };
    let number = |cell: &str, style: u32, value: &str| {
        format!("<c r=\"{cell}\" s=\"{style}\"><v>{value}</v></c>")
    };
    let row = |number: u32, attributes: &str, cells: &[String]| {
        format!(
            "<row r=\"{number}\" spans=\"1:7\" x14ac:dyDescent=\"0.25\"{attributes}>{}</row>",
            cells.concat()
        )
    };
    let header: Vec<String> = ["A3", "B3", "C3", "D3", "E3", "F3"]
        .iter()
        .zip(1..)
        .map(|(cell, n)| text(cell, 1, n))
        .collect();
    let mut rows = vec![
        row(
            1,
            " ht=\"30\" customHeight=\"1\"",
            &[text("A1", 3, 0), "<c r=\"B1\" s=\"3\"/><c r=\"F1\" s=\"3\"/>".to_owned()],
        ),
        row(3, "", &header),
    ];
    for (index, mobile) in
        ["13800138000", "13800138001", "13800138090", "1380013", "13800138002"].iter().enumerate()
    {
        let n = 4 + index;
        let hidden = if n == 6 { " hidden=\"1\"" } else { "" };
        let string = u32::try_from(7 + 2 * index).unwrap();
        let cells = [
            text(&format!("A{n}"), 2, string),
            text(&format!("B{n}"), 2, string + 1),
            text(&format!("C{n}"), 2, 17),
            number(&format!("D{n}"), 2, mobile),
            text(&format!("E{n}"), 2, 18),
            number(&format!("F{n}"), 4, "1234.5"),
            // Formatted cells beside the table.
            format!("<c r=\"G{n}\" s=\"2\"/>"),
        ];
        rows.push(row(u32::try_from(n).unwrap(), hidden, &cells));
    }
    rows.push(row(
        9,
        "",
        &[text("A9", 2, 19), "<c r=\"F9\" s=\"4\"><f>SUM(F4:F8)</f><v>6172.5</v></c>".to_owned()],
    ));
    format!(
        "{DECLARATION}<worksheet xmlns=\"{MAIN}\" xmlns:r=\"{RELATIONS}\" xmlns:mc=\
         \"http://schemas.openxmlformats.org/markup-compatibility/2006\" mc:Ignorable=\"x14ac\" \
         xmlns:x14ac=\"http://schemas.microsoft.com/office/spreadsheetml/2009/9/ac\"><dimension \
         ref=\"A1:G9\"/><sheetViews><sheetView tabSelected=\"1\" workbookViewId=\"0\"><pane \
         ySplit=\"3\" topLeftCell=\"A4\" activePane=\"bottomLeft\" state=\"frozen\"/></sheetView>\
         </sheetViews><sheetFormatPr defaultRowHeight=\"15\" x14ac:dyDescent=\"0.25\"/><cols><col \
         min=\"4\" max=\"4\" width=\"15.7109375\" customWidth=\"1\"/></cols><sheetData>{}\
         </sheetData>{FILTER}<mergeCells count=\"1\"><mergeCell ref=\"A1:F1\"/></mergeCells>\
         <conditionalFormatting sqref=\"F4:F8\"><cfRule type=\"cellIs\" dxfId=\"0\" priority=\"1\" \
         operator=\"greaterThan\"><formula>5000</formula></cfRule></conditionalFormatting>\
         <dataValidations count=\"1\"><dataValidation type=\"list\" sqref=\"C4:C8\"><formula1>\
         \"技术部,人事部\"</formula1></dataValidation></dataValidations><pageMargins left=\"0.7\" \
         right=\"0.7\" top=\"0.75\" bottom=\"0.75\" header=\"0.3\" footer=\"0.3\"/><legacyDrawing \
         r:id=\"rId1\"/><extLst><ext uri=\"{{x}}\"><!-- kept --></ext></extLst></worksheet>",
        rows.concat()
    )
}

fn shared_strings() -> String {
    let mut strings =
        ["花名册", "工号", "姓名", "部门", "手机号", "账号", "工资"].map(str::to_owned).to_vec();
    for n in 1..=5 {
        strings.extend([format!("0000{n}"), format!("员工{n}")]);
    }
    strings.extend(["技术部", "1234567890123456789", "合计"].map(str::to_owned));
    let items = concat_each(&strings, |text| format!("<si><t>{text}</t></si>"));
    let count = strings.len();
    format!(
        "{DECLARATION}<sst xmlns=\"{MAIN}\" count=\"{count}\" uniqueCount=\"{count}\">{items}</sst>"
    )
}

fn styles() -> String {
    let format = |number: u32, border: u32, rest: &str| {
        format!(
            "<xf numFmtId=\"{number}\" fontId=\"0\" fillId=\"0\" borderId=\"{border}\" xfId=\"0\" \
             applyNumberFormat=\"1\"{rest}"
        )
    };
    let formats = [
        format(0, 0, "/>"),
        format(0, 1, " applyAlignment=\"1\"><alignment horizontal=\"center\"/></xf>"),
        format(0, 1, "/>"),
        format(0, 0, "/>"),
        format(4, 1, "/>"),
    ];
    format!(
        "{DECLARATION}<styleSheet xmlns=\"{MAIN}\"><fonts count=\"1\"><font><sz val=\"11\"/><name \
         val=\"宋体\"/></font></fonts><fills count=\"2\"><fill><patternFill patternType=\"none\"/>\
         </fill><fill><patternFill patternType=\"gray125\"/></fill></fills><borders count=\"2\">\
         <border/><border><left style=\"thin\"/><right style=\"thin\"/><top style=\"thin\"/>\
         <bottom style=\"thin\"/></border></borders><cellStyleXfs count=\"1\"><xf numFmtId=\"0\"/>\
         </cellStyleXfs><cellXfs count=\"5\">{}</cellXfs><dxfs count=\"1\"><dxf><font><b/></font>\
         </dxf></dxfs></styleSheet>",
        formats.concat()
    )
}
