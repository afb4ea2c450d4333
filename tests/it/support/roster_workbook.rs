//! The sample `roster.xlsx`: a workbook as a personnel department keeps it, with the parts that
//! Excel writes.

use std::fmt::Write as _;

use crate::support::workbook::{concat_each, zip_parts};

const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const RELATIONSHIPS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\r\n";

/// The cell formats in `styles.xml`, by position.
mod style {
    pub(super) const TITLE: usize = 1;
    pub(super) const SUBTITLE: usize = 2;
    pub(super) const HEADER: usize = 3;
    pub(super) const TEXT: usize = 4;
    /// Five digits, with zeros in front.
    pub(super) const STAFF_NUMBER: usize = 5;
    pub(super) const DATE: usize = 6;
    pub(super) const MONEY: usize = 7;
    pub(super) const WHOLE_NUMBER: usize = 8;
    pub(super) const TOTAL: usize = 9;
    pub(super) const TOTAL_MONEY: usize = 10;
}

/// A person: name, department, position, number, monthly pay.
type Person = (&'static str, &'static str, &'static str, &'static str, u32);

const HEADER: [&str; 9] =
    ["工号", "姓名", "部门", "职务", "手机号", "入职日期", "工资卡号", "月薪", "年薪"];

const ACTIVE: [Person; 18] = [
    ("王建国", "总经办", "总经理", "13800138001", 42_000),
    ("李秀英", "总经办", "助理", "13800138012", 15_000),
    ("张伟", "研发部", "经理", "13900139023", 33_500),
    ("刘洋", "研发部", "工程师", "13900139034", 24_800),
    ("陈静", "研发部", "工程师", "+86 137 0013 7045", 25_300),
    ("杨帆", "研发部", "工程师", "13700137056", 23_100),
    ("赵敏", "研发部", "测试", "13600136067", 18_900),
    ("黄磊", "研发部", "测试", "13600136090", 18_200),
    ("周杰", "市场部", "经理", "13500135078", 29_700),
    ("吴芳", "市场部", "专员", "13500135089", 14_600),
    ("徐鹏", "市场部", "专员", "13400134093", 14_200),
    ("孙丽", "市场部", "专员", "1340013401", 13_900),
    ("马超", "人事部", "经理", "13300133013", 26_400),
    ("朱琳", "人事部", "专员", "13300133024", 13_300),
    ("胡军", "财务部", "经理", "13200132035", 27_800),
    ("郭艳", "财务部", "会计", "13200132092", 16_500),
    ("林涛", "财务部", "出纳", "13100131046", 12_700),
    ("何雪", "财务部", "会计", "+852 5123 4567", 16_100),
];

const FORMER: [Person; 3] = [
    ("高飞", "研发部", "工程师", "13800138057", 21_000),
    ("罗梅", "市场部", "专员", "13800138068", 13_000),
    ("梁勇", "财务部", "出纳", "13800138079", 12_000),
];

/// The first day of work of the first person, as a day of Excel: 2019-03-18.
const FIRST_DAY: usize = 43_542;
const TITLE_ROWS: usize = 2;

/// Texts in the order in which they are first used, as Excel keeps them.
#[derive(Default)]
struct SharedStrings {
    texts: Vec<String>,
    uses: usize,
}

impl SharedStrings {
    fn index(&mut self, text: &str) -> usize {
        self.uses += 1;
        self.texts.iter().position(|known| known == text).unwrap_or_else(|| {
            self.texts.push(text.to_owned());
            self.texts.len() - 1
        })
    }

    fn part(&self) -> String {
        let items = concat_each(&self.texts, |text| {
            format!("<si><t>{text}</t><phoneticPr fontId=\"1\" type=\"noConversion\"/></si>")
        });
        let (uses, count) = (self.uses, self.texts.len());
        format!(
            "{DECLARATION}<sst xmlns=\"{MAIN}\" count=\"{uses}\" uniqueCount=\"{count}\">{items}\
             </sst>"
        )
    }
}

/// The cells of a row.
struct RowCells<'a> {
    row: usize,
    strings: &'a mut SharedStrings,
    xml: String,
}

impl RowCells<'_> {
    fn text(&mut self, column: char, style: usize, text: &str) {
        let (row, index) = (self.row, self.strings.index(text));
        let cell = format!("<c r=\"{column}{row}\" s=\"{style}\" t=\"s\"><v>{index}</v></c>");
        self.xml.push_str(&cell);
    }

    fn number(&mut self, column: char, style: usize, number: impl std::fmt::Display) {
        let row = self.row;
        let cell = format!("<c r=\"{column}{row}\" s=\"{style}\"><v>{number}</v></c>");
        self.xml.push_str(&cell);
    }

    fn formula(&mut self, column: char, style: usize, formula: &str, value: u32) {
        let row = self.row;
        let cell =
            format!("<c r=\"{column}{row}\" s=\"{style}\"><f>{formula}</f><v>{value}</v></c>");
        self.xml.push_str(&cell);
    }

    /// Cells without a value, which only have a format.
    fn blank(&mut self, columns: impl IntoIterator<Item = char>, style: usize) {
        for column in columns {
            let _ = write!(self.xml, "<c r=\"{column}{}\" s=\"{style}\"/>", self.row);
        }
    }
}

fn row_xml(
    row: usize,
    attributes: &str,
    strings: &mut SharedStrings,
    fill: impl FnOnce(&mut RowCells<'_>),
) -> String {
    let mut cells = RowCells { row, strings, xml: String::new() };
    fill(&mut cells);
    format!("<row r=\"{row}\" spans=\"1:9\"{attributes}>{}</row>", cells.xml)
}

fn person_row(
    row: usize,
    index: usize,
    &(name, department, position, number, pay): &Person,
    strings: &mut SharedStrings,
) -> String {
    row_xml(row, "", strings, |cells| {
        // Most staff numbers are text; some are numbers that a format pads with zeros.
        if index % 4 == 3 {
            cells.number('A', style::STAFF_NUMBER, index + 1);
        } else {
            cells.text('A', style::TEXT, &format!("{:05}", index + 1));
        }
        cells.text('B', style::TEXT, name);
        cells.text('C', style::TEXT, department);
        cells.text('D', style::TEXT, position);
        // Where somebody typed only digits, Excel made a number of them.
        if number.starts_with('1') && index.is_multiple_of(3) {
            cells.number('E', style::WHOLE_NUMBER, number);
        } else {
            cells.text('E', style::TEXT, number);
        }
        cells.number('F', style::DATE, FIRST_DAY + 97 * index);
        cells.text('G', style::TEXT, &format!("62220{:014}", 20_010_000_001_234 + 7919 * index));
        cells.number('H', style::MONEY, pay);
        cells.formula('I', style::MONEY, &format!("H{row}*12"), 12 * pay);
    })
}

fn header_row(row: usize, strings: &mut SharedStrings) -> String {
    row_xml(row, " ht=\"21\" customHeight=\"1\"", strings, |cells| {
        for (column, name) in ('A'..).zip(HEADER) {
            cells.text(column, style::HEADER, name);
        }
    })
}

fn sheet_part(views: &str, rows: &str, last_row: usize, end: &str) -> String {
    let widths = [8, 10, 12, 10, 18, 12, 23, 12, 13];
    let columns = concat_each((1..).zip(widths).collect::<Vec<_>>(), |(column, width)| {
        format!("<col min=\"{column}\" max=\"{column}\" width=\"{width}\" customWidth=\"1\"/>")
    });
    format!(
        "{DECLARATION}<worksheet xmlns=\"{MAIN}\" xmlns:r=\"{RELATIONSHIPS}\"><dimension \
         ref=\"A1:I{last_row}\"/><sheetViews>{views}</sheetViews><sheetFormatPr \
         defaultRowHeight=\"14.25\"/><cols>{columns}</cols><sheetData>{rows}</sheetData>{end}\
         <pageMargins left=\"0.7\" right=\"0.7\" top=\"0.75\" bottom=\"0.75\" header=\"0.3\" \
         footer=\"0.3\"/></worksheet>"
    )
}

/// The people of the list, below two lines of titles and above a total and a line for signatures.
fn active_sheet(strings: &mut SharedStrings) -> String {
    let mut rows = String::new();
    for (row, style, text) in [
        (1, style::TITLE, "员工花名册（2026年11月）"),
        (2, style::SUBTITLE, "制表部门：人事部　　制表日期：2026-11-30"),
    ] {
        rows.push_str(&row_xml(row, " ht=\"27\" customHeight=\"1\"", strings, |cells| {
            cells.text('A', style, text);
            cells.blank('B'..='I', style);
        }));
    }
    let header = TITLE_ROWS + 1;
    rows.push_str(&header_row(header, strings));
    for (index, person) in ACTIVE.iter().enumerate() {
        rows.push_str(&person_row(header + 1 + index, index, person, strings));
    }
    let (first, last) = (header + 1, header + ACTIVE.len());
    let total: u32 = ACTIVE.iter().map(|person| person.4).sum();
    rows.push_str(&row_xml(last + 1, "", strings, |cells| {
        cells.text('A', style::TOTAL, "合计");
        cells.blank('B'..='G', style::TOTAL);
        cells.formula('H', style::TOTAL_MONEY, &format!("SUM(H{first}:H{last})"), total);
        cells.formula('I', style::TOTAL_MONEY, &format!("SUM(I{first}:I{last})"), 12 * total);
    }));
    rows.push_str(&row_xml(last + 3, "", strings, |cells| {
        cells.text('A', style::TEXT, "制表：朱琳");
        cells.text('D', style::TEXT, "审核：马超");
    }));
    let views = format!(
        "<sheetView tabSelected=\"1\" workbookViewId=\"0\"><pane ySplit=\"{header}\" \
         topLeftCell=\"A{first}\" activePane=\"bottomLeft\" state=\"frozen\"/><selection \
         pane=\"bottomLeft\" activeCell=\"A{first}\" sqref=\"A{first}\"/></sheetView>"
    );
    let total_row = last + 1;
    let end = format!(
        "<autoFilter ref=\"A{header}:I{last}\"/><mergeCells count=\"3\"><mergeCell \
         ref=\"A1:I1\"/><mergeCell ref=\"A2:I2\"/><mergeCell ref=\"A{total_row}:G{total_row}\"/>\
         </mergeCells><conditionalFormatting sqref=\"H{first}:H{last}\"><cfRule \
         type=\"cellIs\" dxfId=\"0\" priority=\"1\" operator=\"greaterThan\">\
         <formula>30000</formula></cfRule></conditionalFormatting><dataValidations \
         count=\"1\"><dataValidation type=\"list\" allowBlank=\"1\" showErrorMessage=\"1\" \
         sqref=\"C{first}:C{last}\"><formula1>\"总经办,研发部,市场部,人事部,财务部\"</formula1>\
         </dataValidation></dataValidations>"
    );
    sheet_part(&views, &rows, last + 3, &end)
}

/// The people who have left.
fn former_sheet(strings: &mut SharedStrings) -> String {
    let mut rows = header_row(1, strings);
    for (index, person) in FORMER.iter().enumerate() {
        rows.push_str(&person_row(2 + index, 100 + index, person, strings));
    }
    sheet_part("<sheetView workbookViewId=\"0\"/>", &rows, 1 + FORMER.len(), "")
}

fn styles_part() -> String {
    let font = |size: u32, bold: &str| {
        format!(
            "<font>{bold}<sz val=\"{size}\"/><color rgb=\"FF000000\"/><name val=\"宋体\"/><family \
             val=\"3\"/><charset val=\"134\"/></font>"
        )
    };
    let fonts = [font(11, ""), font(9, ""), font(16, "<b/>"), font(11, "<b/>")].concat();
    let line = |side: &str| format!("<{side} style=\"thin\"><color auto=\"1\"/></{side}>");
    let lines = ["left", "right", "top", "bottom"].map(line).concat();
    let center = "<alignment horizontal=\"center\" vertical=\"center\"/>";
    // Number format, font, fill, border, alignment.
    let formats = [
        (0, 0, 0, 0, ""),
        (0, 2, 0, 0, center),
        (0, 0, 0, 0, center),
        (49, 3, 2, 1, center),
        (49, 0, 0, 1, ""),
        (176, 0, 0, 1, ""),
        (14, 0, 0, 1, ""),
        (4, 0, 0, 1, ""),
        (1, 0, 0, 1, ""),
        (0, 3, 0, 1, center),
        (4, 3, 0, 1, ""),
    ];
    let xfs = concat_each(&formats, |(number, font, fill, border, alignment)| {
        format!(
            "<xf numFmtId=\"{number}\" fontId=\"{font}\" fillId=\"{fill}\" borderId=\"{border}\" \
             xfId=\"0\" applyNumberFormat=\"1\" applyFont=\"1\" applyFill=\"1\" \
             applyBorder=\"1\" applyAlignment=\"1\">{alignment}</xf>"
        )
    });
    format!(
        "{DECLARATION}<styleSheet xmlns=\"{MAIN}\"><numFmts count=\"1\"><numFmt \
         numFmtId=\"176\" formatCode=\"00000\"/></numFmts><fonts \
         count=\"4\">{fonts}</fonts><fills count=\"3\"><fill><patternFill \
         patternType=\"none\"/></fill><fill><patternFill \
         patternType=\"gray125\"/></fill><fill><patternFill patternType=\"solid\"><fgColor \
         rgb=\"FFD9E1F2\"/><bgColor indexed=\"64\"/></patternFill></fill></fills><borders \
         count=\"2\"><border><left/><right/><top/><bottom/><diagonal/></border><border>{lines}\
         <diagonal/></border></borders><cellStyleXfs count=\"1\"><xf numFmtId=\"0\" \
         fontId=\"0\" fillId=\"0\" borderId=\"0\"/></cellStyleXfs><cellXfs \
         count=\"{count}\">{xfs}</cellXfs><cellStyles count=\"1\"><cellStyle name=\"常规\" \
         xfId=\"0\" builtinId=\"0\"/></cellStyles><dxfs count=\"1\"><dxf><font><color \
         rgb=\"FF9C0006\"/></font><fill><patternFill><bgColor \
         rgb=\"FFFFC7CE\"/></patternFill></fill></dxf></dxfs></styleSheet>",
        count = formats.len()
    )
}

fn workbook_part() -> String {
    let (header, last) = (TITLE_ROWS + 1, TITLE_ROWS + 1 + ACTIVE.len());
    format!(
        "{DECLARATION}<workbook xmlns=\"{MAIN}\" xmlns:r=\"{RELATIONSHIPS}\"><workbookPr \
         defaultThemeVersion=\"124226\"/><bookViews><workbookView xWindow=\"0\" yWindow=\"0\" \
         windowWidth=\"28800\" windowHeight=\"12540\"/></bookViews><sheets><sheet \
         name=\"在职\" sheetId=\"1\" r:id=\"rId1\"/><sheet name=\"离职\" sheetId=\"2\" \
         r:id=\"rId2\"/></sheets><definedNames><definedName name=\"_xlnm._FilterDatabase\" \
         localSheetId=\"0\" hidden=\"1\">在职!$A${header}:$I${last}</definedName><definedName \
         name=\"_xlnm.Print_Titles\" \
         localSheetId=\"0\">在职!$1:${header}</definedName></definedNames><calcPr \
         calcId=\"191029\"/></workbook>"
    )
}

fn relationship(id: usize, kind: &str, target: &str) -> String {
    format!("<Relationship Id=\"rId{id}\" Type=\"{kind}\" Target=\"{target}\"/>")
}

fn relationships_part(relationships: &[String]) -> String {
    let all = relationships.concat();
    format!("{DECLARATION}<Relationships xmlns=\"{PACKAGE}/relationships\">{all}</Relationships>")
}

/// The workbook, part by part.
pub(crate) fn roster_parts() -> Vec<(String, String)> {
    let mut strings = SharedStrings::default();
    let (active, former) = (active_sheet(&mut strings), former_sheet(&mut strings));
    let office = |kind: &str| format!("{RELATIONSHIPS}/{kind}");
    let content = "application/vnd.openxmlformats-officedocument.spreadsheetml";
    let overrides = [
        ("/xl/workbook.xml", format!("{content}.sheet.main+xml")),
        ("/xl/worksheets/sheet1.xml", format!("{content}.worksheet+xml")),
        ("/xl/worksheets/sheet2.xml", format!("{content}.worksheet+xml")),
        ("/xl/styles.xml", format!("{content}.styles+xml")),
        ("/xl/sharedStrings.xml", format!("{content}.sharedStrings+xml")),
        (
            "/docProps/core.xml",
            "application/vnd.openxmlformats-package.core-properties+xml".to_owned(),
        ),
    ];
    let overrides = concat_each(&overrides, |(part, kind)| {
        format!("<Override PartName=\"{part}\" ContentType=\"{kind}\"/>")
    });
    let parts = [
        (
            "[Content_Types].xml",
            format!(
                "{DECLARATION}<Types xmlns=\"{PACKAGE}/content-types\"><Default \
                 Extension=\"rels\" \
                 ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>\
                 <Default Extension=\"xml\" ContentType=\"application/xml\"/>{overrides}</Types>"
            ),
        ),
        (
            "_rels/.rels",
            relationships_part(&[
                relationship(1, &office("officeDocument"), "xl/workbook.xml"),
                relationship(
                    2,
                    &format!("{PACKAGE}/relationships/metadata/core-properties"),
                    "docProps/core.xml",
                ),
            ]),
        ),
        ("xl/workbook.xml", workbook_part()),
        (
            "xl/_rels/workbook.xml.rels",
            relationships_part(&[
                relationship(1, &office("worksheet"), "worksheets/sheet1.xml"),
                relationship(2, &office("worksheet"), "worksheets/sheet2.xml"),
                relationship(3, &office("styles"), "styles.xml"),
                relationship(4, &office("sharedStrings"), "sharedStrings.xml"),
            ]),
        ),
        ("xl/worksheets/sheet1.xml", active),
        ("xl/worksheets/sheet2.xml", former),
        ("xl/styles.xml", styles_part()),
        ("xl/sharedStrings.xml", strings.part()),
        (
            "docProps/core.xml",
            format!(
                "{DECLARATION}<cp:coreProperties xmlns:cp=\"{PACKAGE}/metadata/core-properties\" \
                 xmlns:dc=\"http://purl.org/dc/elements/1.1/\" \
                 xmlns:dcterms=\"http://purl.org/dc/terms/\" \
                 xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><dc:creator>朱琳\
                 </dc:creator><dcterms:created \
                 xsi:type=\"dcterms:W3CDTF\">2026-11-30T01:30:00Z</dcterms:created>\
                 </cp:coreProperties>"
            ),
        ),
    ];
    parts.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

pub(crate) fn roster_workbook() -> Vec<u8> {
    zip_parts(&roster_parts())
}
