//! Random workbooks: sheets, rows, cells, formats, tables, filters, names and parts of every form
//! that writers use, and what their results must be.

use std::fmt::Write as _;
use std::io::{Cursor, Write};

use proptest::prelude::*;
use proptest::sample::select;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::support::expected_rows::{ANSWER_COLUMNS, expected_answer};
use crate::support::workbook::concat_each;

const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE: &str = "http://schemas.openxmlformats.org/package/2006";
const CONTENT: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml";
pub(crate) const MAX_COLUMN: u32 = 16_384;
const NEW_COLUMNS: u32 = 5;
/// The number format and the border of each cell format.
const FORMATS: [(u32, u32); 6] = [(0, 0), (14, 1), (49, 1), (164, 0), (0, 1), (49, 0)];
/// The first one is the name of the column of numbers.
pub(crate) const HEADER: [&str; 8] =
    ["手机号", "工号", "姓名", "部门", "备注", "岗位", "班组", "工资"];
/// Valid numbers with every answer that needs no retry, numbers that are none, and texts.
const VALID: [&str; 9] = [
    "13800138000",
    "13900000017",
    "138-0013-8002",
    "+86 139 0000 0003",
    "13900000090",
    "13900000093",
    "13900000096",
    "13900000097",
    "13900000098",
];
const INVALID: [&str; 3] = ["12345", "无", "1380013800"];
const TEXTS: [&str; 6] =
    ["张三", "00001", "a &lt;b&gt; &amp;", " x ", "研发", "1234567890123456789"];
/// What may be between elements.
const NOISE: [&str; 5] = ["", "", "\r\n\t", "<!-- <c> & </row> -->", "<?p <row> ?>"];

/// What a cell holds.
#[derive(Clone, Copy, Debug)]
enum Content {
    Absent,
    /// Formatted and empty.
    Empty,
    Shared,
    Inline,
    CData,
    Number,
    TextFormula,
    NumberFormula,
    Boolean,
    Error,
}

const CONTENTS: [Content; 10] = [
    Content::Absent,
    Content::Empty,
    Content::Shared,
    Content::Inline,
    Content::CData,
    Content::Number,
    Content::TextFormula,
    Content::NumberFormula,
    Content::Boolean,
    Content::Error,
];

#[derive(Clone, Debug)]
struct RandomCell {
    content: Content,
    text: &'static str,
    style: Option<u32>,
    states_position: bool,
}

#[derive(Clone, Debug)]
struct RandomRow {
    /// How many rows are missing before it.
    gap: u32,
    states_number: bool,
    has_spans: bool,
    is_hidden: bool,
    style: Option<u32>,
    cells: Vec<RandomCell>,
    /// Formatted empty cells beside the table: how far, and their format.
    beside: Vec<(u32, u32)>,
    noise: &'static str,
}

/// What says that the rows of the table belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    None,
    Filter,
    SortedFilter,
    Table,
}

/// What a sheet states of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dimension {
    None,
    Exact,
    /// The first cell alone, as writers do that do not know the size yet.
    First,
}

#[derive(Clone, Debug)]
pub(crate) struct RandomWorkbook {
    /// The states of the sheets without numbers, and how many of them are before the other one.
    other_sheets: Vec<&'static str>,
    sheets_before: usize,
    prefix: &'static str,
    is_utf16: bool,
    /// For each title, how many columns its merged cells are wider than the table, and whether
    /// another text is beside it.
    titles: Vec<(u32, bool)>,
    /// The first column of the table, and that of the numbers in it, from 0.
    left: u32,
    number_column: usize,
    header: RandomRow,
    rows: Vec<RandomRow>,
    has_total: bool,
    frame: Frame,
    dimension: Dimension,
    /// Columns without and with attributes: how many, and which attributes.
    columns: Vec<(u32, u32, &'static str)>,
    is_last_column_to_end: bool,
    has_comments: bool,
    opaque: Vec<Vec<u8>>,
    is_stored: Vec<bool>,
    is_streamed: bool,
    has_folders: bool,
    /// How many parts are moved from the start of the archive to its end.
    rotation: usize,
}

fn any_style() -> impl Strategy<Value = Option<u32>> {
    proptest::option::of(0..u32::try_from(FORMATS.len()).unwrap())
}

fn any_cell() -> impl Strategy<Value = RandomCell> {
    let texts = select(TEXTS.to_vec());
    (select(CONTENTS.to_vec()), texts, any_style(), any::<bool>()).prop_map(
        |(content, text, style, states_position)| RandomCell {
            content,
            text,
            style,
            states_position,
        },
    )
}

prop_compose! {
    fn any_row(width: usize)(
        gap in select(vec![0, 0, 0, 1, 3]),
        (states_number, has_spans, is_hidden) in any::<(bool, bool, bool)>(),
        style in any_style(),
        cells in proptest::collection::vec(any_cell(), width),
        beside in proptest::collection::btree_map(
            1..9_u32, 0..u32::try_from(FORMATS.len()).unwrap(), 0..3
        ),
        noise in select(NOISE.to_vec()),
    ) -> RandomRow {
        let beside = beside.into_iter().collect();
        RandomRow { gap, states_number, has_spans, is_hidden, style, cells, beside, noise }
    }
}

prop_compose! {
    /// The cells of a row, with a number or what is none in one of them.
    fn any_data_row(width: usize, column: usize)(
        mut row in any_row(width),
        number in select([&VALID[..], &VALID, &INVALID].concat()),
        content in select(vec![
            Content::Absent,
            Content::Empty,
            Content::Shared,
            Content::Inline,
            Content::CData,
            Content::TextFormula,
            Content::Number,
            Content::Number,
        ]),
    ) -> RandomRow {
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
        let is_number = matches!(content, Content::Number);
        row.cells[column].text = number;
        row.cells[column].content = if is_number && !is_plain { Content::Shared } else { content };
        row
    }
}

pub(crate) fn any_workbook() -> impl Strategy<Value = RandomWorkbook> {
    let shape = (2..=8_usize).prop_flat_map(|width| (Just(width), 0..width));
    shape.prop_flat_map(|(width, column)| {
        let rows = proptest::collection::vec(any_data_row(width, column), 1..10);
        any_workbook_of(column, any_row(width).boxed(), rows.boxed())
    })
}

prop_compose! {
    fn any_workbook_of(
        number_column: usize,
        header: BoxedStrategy<RandomRow>,
        rows: BoxedStrategy<Vec<RandomRow>>,
    )(
        header in header,
        mut rows in rows,
        first_number in select(VALID.to_vec()),
        other_sheets in proptest::collection::vec(
            select(vec!["visible", "hidden", "veryHidden"]), 0..3
        ),
        sheets_before in 0..3_usize,
        (prefix, is_utf16) in (select(vec!["", "x:"]), prop::bool::weighted(0.2)),
        titles in proptest::collection::vec(
            select(vec![(0_u32, false), (0, true), (2, false)]), 0..3
        ),
        left in select(vec![0_u32, 0, 1, 2]),
        frame in select(vec![Frame::None, Frame::Filter, Frame::SortedFilter, Frame::Table]),
        columns in proptest::collection::vec(
            (0..3_u32, 1..5_u32, select(vec![
                "width=\"9\" customWidth=\"1\"",
                "hidden=\"1\"",
                "width=\"12.7\" style=\"2\" hidden=\"true\"",
                "style=\"4\" outlineLevel=\"1\"",
            ])),
            0..5
        ),
        opaque in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..3),
        is_stored in proptest::collection::vec(any::<bool>(), 5),
        flags in any::<[bool; 5]>(),
        dimension in select(vec![Dimension::None, Dimension::Exact, Dimension::First]),
        rotation in 0..20_usize,
    ) -> RandomWorkbook {
        // Without any number there is nothing to do.
        rows[0].cells[number_column].content = Content::Shared;
        rows[0].cells[number_column].text = first_number;
        let [has_total, is_last_column_to_end, has_comments, is_streamed, has_folders] = flags;
        RandomWorkbook {
            sheets_before: sheets_before.min(other_sheets.len()),
            other_sheets,
            prefix,
            is_utf16,
            titles,
            left,
            number_column,
            header,
            rows,
            has_total,
            frame,
            dimension,
            columns,
            is_last_column_to_end,
            has_comments,
            opaque,
            is_stored,
            is_streamed,
            has_folders,
            rotation,
        }
    }
}

/// What the new cells of a row are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NewCells {
    None,
    Header,
    Answer([String; 5]),
    Invalid,
}

/// A cell with its place, its format, and its XML behind the attributes.
pub(crate) struct SheetCell {
    pub column: u32,
    pub style: Option<u32>,
    xml: String,
    states_position: bool,
}

impl SheetCell {
    fn has_value(&self) -> bool {
        self.xml != "/>"
    }
}

/// A row of the sheet. Rows and columns count from 1.
pub(crate) struct SheetRow {
    pub number: u32,
    states_number: bool,
    has_spans: bool,
    is_hidden: bool,
    pub style: Option<u32>,
    noise: &'static str,
    pub cells: Vec<SheetCell>,
    pub new: NewCells,
}

impl RandomWorkbook {
    fn first_column(&self) -> u32 {
        self.left + 1
    }

    pub(crate) fn last_column(&self) -> u32 {
        self.left + u32::try_from(self.header.cells.len()).unwrap()
    }

    pub(crate) fn last_new_column(&self) -> u32 {
        self.last_column() + NEW_COLUMNS
    }

    fn header_texts(&self) -> Vec<&'static str> {
        let mut texts = HEADER[1..self.header.cells.len()].to_vec();
        texts.insert(self.number_column, HEADER[0]);
        texts
    }

    /// The rows of the sheet: titles, header, data, total.
    pub(crate) fn sheet_rows(&self) -> Vec<SheetRow> {
        let mut rows: Vec<SheetRow> = Vec::new();
        let mut add = |row: &RandomRow, cells: Vec<SheetCell>, new: NewCells| {
            let last = rows.last().map_or(0, |row| row.number);
            let states_number = row.states_number || row.gap > 0;
            let beside = row.beside.iter().map(|(distance, style)| SheetCell {
                column: self.last_column() + distance,
                style: Some(*style),
                xml: "/>".to_owned(),
                states_position: true,
            });
            rows.push(SheetRow {
                number: last + 1 + row.gap,
                states_number,
                has_spans: row.has_spans,
                is_hidden: row.is_hidden,
                style: row.style,
                noise: row.noise,
                cells: cells.into_iter().chain(beside).collect(),
                new,
            });
        };
        let cell = |column: u32, text: &str, like: &RandomCell| SheetCell {
            column,
            style: like.style,
            xml: shared_xml(text),
            states_position: like.states_position,
        };
        let first = &self.header.cells[0];
        for (_, has_text_beside) in &self.titles {
            let mut title = self.header.clone();
            let mut cells = vec![cell(self.first_column(), "花名册", first)];
            if *has_text_beside {
                title.beside.clear();
                cells.push(SheetCell {
                    states_position: true,
                    ..cell(self.last_column() + 2, "合计", first)
                });
            }
            add(&title, cells, NewCells::None);
        }
        let names = self.header_texts();
        let header = (self.first_column()..).zip(names).zip(&self.header.cells);
        let header = header.map(|((column, name), like)| cell(column, name, like)).collect();
        add(&self.header, header, NewCells::Header);
        for row in &self.rows {
            let cells: Vec<_> = (self.first_column()..)
                .zip(&row.cells)
                .filter_map(|(column, cell)| {
                    Some(SheetCell {
                        column,
                        style: cell.style,
                        xml: cell.xml()?,
                        states_position: cell.states_position,
                    })
                })
                .collect();
            let is_blank = !cells.iter().any(SheetCell::has_value);
            let number = &row.cells[self.number_column];
            let new = match number.content {
                _ if is_blank => NewCells::None,
                Content::Absent | Content::Empty => NewCells::Invalid,
                _ if INVALID.contains(&number.text) => NewCells::Invalid,
                _ => NewCells::Answer(expected_answer(&sent_number(number.text), true)),
            };
            add(row, cells, new);
        }
        if self.has_total {
            let mut total = cell(self.last_column(), "", first);
            total.xml = "><f>SUM(A1:A2)</f><v>3</v></c>".to_owned();
            total.states_position = true;
            let cells = vec![cell(self.first_column(), "合计", first), total];
            add(&self.header, cells, NewCells::Invalid);
        }
        rows
    }

    /// The rows of the filter or the table: without the total.
    fn framed_rows(&self, rows: &[SheetRow]) -> (u32, u32) {
        let header = rows.iter().find(|row| row.new == NewCells::Header).unwrap().number;
        let last = rows.len() - 1 - usize::from(self.has_total);
        (header, rows[last].number)
    }

    /// The sheet; if `is_result`, with what the new columns change, but without their cells.
    fn sheet_xml(&self, is_result: bool) -> String {
        let rows = self.sheet_rows();
        let right = if is_result { self.last_new_column() } else { self.last_column() };
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"{}\"?>\r\n<worksheet xmlns=\"{MAIN}\" \
             xmlns:r=\"{RELATIONS}\">",
            if self.is_utf16 { "UTF-16" } else { "UTF-8" }
        );
        if self.dimension != Dimension::None {
            let cells = rows.iter().flat_map(|row| &row.cells);
            let mut columns: Vec<u32> = cells.map(|cell| cell.column).collect();
            columns.extend(is_result.then_some(right));
            let first = (rows[0].number, *columns.iter().min().unwrap());
            let last = (rows.last().unwrap().number, *columns.iter().max().unwrap());
            let mut valued = rows.iter().filter(|row| row.cells.iter().any(SheetCell::has_value));
            let dimension = match self.dimension {
                Dimension::First if is_result => {
                    range((1, 1), (valued.next_back().unwrap().number, right), "")
                }
                Dimension::First => "A1".to_owned(),
                _ => range(first, last, ""),
            };
            let _ = write!(xml, "<dimension ref=\"{dimension}\"/>");
        }
        xml.push_str("<sheetViews><sheetView workbookViewId=\"0\"/></sheetViews><!-- <cols> -->");
        xml.push_str(&self.columns_xml());
        xml.push_str("<sheetData>");
        let mut last = 0;
        for row in &rows {
            xml.push_str(row.noise);
            row.write(last, is_result.then_some((self.last_column() + 1, right)), &mut xml);
            last = row.number;
        }
        xml.push_str("</sheetData>");
        self.write_tail(&rows, right, &mut xml);
        self.prefixed(&xml)
    }

    fn write_tail(&self, rows: &[SheetRow], right: u32, xml: &mut String) {
        let (top, bottom) = self.framed_rows(rows);
        let framed = range((top, self.first_column()), (bottom, right), "");
        let sorted = range((top + 1, self.first_column()), (bottom, right), "");
        match self.frame {
            Frame::Filter => {
                let _ = write!(xml, "<autoFilter ref=\"{framed}\"/>");
            }
            Frame::SortedFilter => {
                let _ = write!(
                    xml,
                    "<autoFilter ref=\"{framed}\"><filterColumn colId=\"0\"><filters><filter \
                     val=\"a\"/></filters></filterColumn><sortState ref=\"{sorted}\">\
                     <sortCondition ref=\"A5:A9\"/></sortState></autoFilter>"
                );
            }
            Frame::None | Frame::Table => {}
        }
        let merges = self.titles.iter().zip(rows).map(|((wider, _), row)| {
            let end = (row.number, self.last_column() + wider);
            range((row.number, self.first_column()), end, "")
        });
        let merges = concat_each(merges, |range| format!("<mergeCell ref=\"{range}\"/>"));
        if !merges.is_empty() {
            let _ = write!(xml, "<mergeCells>{merges}</mergeCells>");
        }
        xml.push_str(
            "<conditionalFormatting sqref=\"A1:B9\"><cfRule type=\"containsBlanks\" \
             priority=\"1\"/></conditionalFormatting><pageMargins left=\"0.7\" right=\"0.7\" \
             top=\"0.7\" bottom=\"0.7\" header=\"0.3\" footer=\"0.3\"/>",
        );
        if self.has_comments {
            xml.push_str("<legacyDrawing r:id=\"r2\"/>");
        }
        if self.frame == Frame::Table {
            xml.push_str("<tableParts count=\"1\"><tablePart r:id=\"r1\"/></tableParts>");
        }
        xml.push_str("<extLst><ext uri=\"{x}\"><!-- kept --></ext></extLst></worksheet>");
    }

    /// The first column, the last one, and the attributes of each `col` element.
    pub(crate) fn column_ranges(&self) -> Vec<(u32, u32, &'static str)> {
        let mut end = 0;
        let ranges = self.columns.iter().map(|(gap, count, attributes)| {
            let first = end + gap + 1;
            end = first + count - 1;
            (first, end, *attributes)
        });
        let mut ranges: Vec<_> = ranges.collect();
        if let Some((_, last, _)) = ranges.last_mut().filter(|_| self.is_last_column_to_end) {
            *last = MAX_COLUMN;
        }
        ranges
    }

    fn columns_xml(&self) -> String {
        let columns = concat_each(self.column_ranges(), |(first, last, attributes)| {
            format!("<col min=\"{first}\" max=\"{last}\" {attributes}/>")
        });
        if columns.is_empty() { columns } else { format!("<cols>{columns}</cols>") }
    }

    fn workbook_xml(&self, is_result: bool) -> String {
        let rows = self.sheet_rows();
        let (top, bottom) = self.framed_rows(&rows);
        let right = if is_result { self.last_new_column() } else { self.last_column() };
        let table = range((top, self.first_column()), (bottom, right), "$");
        let column = range((top, self.first_column()), (bottom, self.first_column()), "$");
        let sheet = |name: &str, id: usize, state: &str| {
            format!("<sheet name=\"{name}\" sheetId=\"{id}\" state=\"{state}\" r:id=\"r{id}\"/>")
        };
        let mut sheets: Vec<_> = (2..)
            .zip(&self.other_sheets)
            .map(|(id, state)| sheet(&format!("其他{id}"), id, state))
            .collect();
        sheets.insert(self.sheets_before, sheet("在 职", 1, "visible"));
        let filter = format!(
            "<definedName name=\"_xlnm._FilterDatabase\" localSheetId=\"{}\" hidden=\"1\">'在 \
             职'!{table}</definedName>",
            self.sheets_before
        );
        let is_filter = matches!(self.frame, Frame::Filter | Frame::SortedFilter);
        self.prefixed(&format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<workbook xmlns=\"{MAIN}\" \
             xmlns:r=\"{RELATIONS}\"><sheets>{}</sheets><definedNames>{}<definedName \
             name=\"_xlnm.Print_Titles\" localSheetId=\"{}\">'在 职'!$1:$3</definedName><definedName \
             name=\"名单\">'在 职'!{table}</definedName><definedName name=\"列\">'在 职'!{column}\
             </definedName></definedNames></workbook>",
            sheets.concat(),
            if is_filter { filter.as_str() } else { "" },
            self.sheets_before
        ))
    }

    fn table_xml(&self, is_result: bool) -> String {
        let (top, bottom) = self.framed_rows(&self.sheet_rows());
        let mut names = self.header_texts();
        if is_result {
            names.extend(ANSWER_COLUMNS);
        }
        let right = self.left + u32::try_from(names.len()).unwrap();
        let table = range((top, self.first_column()), (bottom, right), "");
        let columns = concat_each(names.iter().zip(1..), |(name, id)| {
            format!("<tableColumn id=\"{id}\" name=\"{name}\"/>")
        });
        self.prefixed(&format!(
            "<?xml version=\"1.0\"?>\n<table xmlns=\"{MAIN}\" id=\"1\" name=\"t\" \
             displayName=\"员工\" ref=\"{table}\"><autoFilter ref=\"{table}\"/><tableColumns \
             count=\"{}\">{columns}</tableColumns></table>",
            names.len()
        ))
    }

    /// XML whose elements have the prefix of this workbook.
    fn prefixed(&self, xml: &str) -> String {
        if self.prefix.is_empty() {
            return xml.to_owned();
        }
        let mut named = String::new();
        for token in tokens(xml) {
            match token.strip_prefix("</").map(|rest| ("</", rest)).or_else(|| {
                let rest = token.strip_prefix('<')?;
                rest.starts_with(|c: char| c.is_alphabetic()).then_some(("<", rest))
            }) {
                Some((start, rest)) => named.extend([start, self.prefix, rest]),
                None => named.push_str(token),
            }
        }
        named.replace(" xmlns=", &format!(" xmlns:{}=", self.prefix.trim_end_matches(':')))
    }

    /// The parts; those of a result are without new cells and formats.
    pub(crate) fn parts(&self, is_result: bool) -> Vec<(String, Vec<u8>)> {
        let relation = |id: usize, kind: &str, target: &str| {
            format!("<Relationship Id=\"r{id}\" Type=\"{RELATIONS}/{kind}\" Target=\"{target}\"/>")
        };
        let relations = |list: &str| {
            format!("<Relationships xmlns=\"{PACKAGE}/relationships\">{list}</Relationships>")
        };
        let sheet = self.sheet_xml(is_result);
        let sheet = if self.is_utf16 {
            format!("\u{feff}{sheet}").encode_utf16().flat_map(u16::to_le_bytes).collect()
        } else {
            sheet.into_bytes()
        };
        let mut parts = vec![("[Content_Types].xml".to_owned(), content_types().into_bytes())];
        parts.extend(
            self.opaque
                .iter()
                .zip(0..)
                .map(|(bytes, n)| (format!("customXml/item{n}.bin"), bytes.clone())),
        );
        let mut add = |name: &str, text: String| parts.push((name.to_owned(), text.into_bytes()));
        add("_rels/.rels", relations(&relation(1, "officeDocument", "xl/workbook.xml")));
        add("xl/workbook.xml", self.workbook_xml(is_result));
        let sheets = 1..=self.other_sheets.len() + 1;
        let list = concat_each(sheets.clone(), |id| {
            relation(id, "worksheet", &format!("worksheets/sheet{id}.xml"))
        });
        let list = list
            + &relation(8, "styles", "styles.xml")
            + &relation(9, "sharedStrings", "sharedStrings.xml");
        add("xl/_rels/workbook.xml.rels", relations(&list));
        add("xl/styles.xml", self.prefixed(&styles()));
        for id in sheets.skip(1) {
            let xml = format!(
                "<worksheet xmlns=\"{MAIN}\"><sheetData><row><c t=\"inlineStr\"><is><t>说明</t>\
                 </is></c></row></sheetData></worksheet>"
            );
            add(&format!("xl/worksheets/sheet{id}.xml"), xml);
        }
        let table = relation(1, "table", "../tables/table1.xml");
        let comments = relation(2, "vmlDrawing", "../drawings/vmlDrawing1.vml")
            + &relation(3, "comments", "../comments1.xml");
        let has_table = self.frame == Frame::Table;
        let list = [(has_table, &table), (self.has_comments, &comments)];
        let list =
            concat_each(list, |(is_used, text)| if is_used { text.clone() } else { String::new() });
        add("xl/worksheets/_rels/sheet1.xml.rels", relations(&list));
        parts.push(("xl/worksheets/sheet1.xml".to_owned(), sheet));
        let mut add = |name: &str, text: String| parts.push((name.to_owned(), text.into_bytes()));
        if has_table {
            add("xl/tables/table1.xml", self.table_xml(is_result));
        }
        if self.has_comments {
            add("xl/drawings/vmlDrawing1.vml", "<xml><br></xml>".to_owned());
            add("xl/comments1.xml", format!("<comments xmlns=\"{MAIN}\"/>"));
        }
        add("xl/sharedStrings.xml", shared_strings());
        let rotation = self.rotation % parts.len();
        parts.rotate_left(rotation);
        parts
    }

    pub(crate) fn pack(&self) -> Vec<u8> {
        fn add(zip: &mut ZipWriter<impl Write + std::io::Seek>, workbook: &RandomWorkbook) {
            if workbook.has_folders {
                zip.add_directory("xl", SimpleFileOptions::default()).unwrap();
            }
            let methods = workbook.is_stored.iter().cycle();
            for ((name, content), is_stored) in workbook.parts(false).into_iter().zip(methods) {
                let method = if *is_stored {
                    CompressionMethod::Stored
                } else {
                    CompressionMethod::Deflated
                };
                let options = SimpleFileOptions::default().compression_method(method);
                zip.start_file(name, options).unwrap();
                zip.write_all(&content).unwrap();
            }
        }
        if self.is_streamed {
            let mut zip = ZipWriter::new_stream(Vec::new());
            add(&mut zip, self);
            return zip.finish().unwrap().into_inner();
        }
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        add(&mut zip, self);
        zip.finish().unwrap().into_inner()
    }
}

impl RandomCell {
    /// The XML behind the attributes of the cell, which may be missing.
    fn xml(&self) -> Option<String> {
        let text = self.text;
        Some(match self.content {
            Content::Absent => return None,
            Content::Empty => "/>".to_owned(),
            Content::Shared => shared_xml(text),
            Content::Inline => format!(" t=\"inlineStr\"><is><t>{text}</t></is></c>"),
            Content::CData => {
                let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
                format!(" t=\"inlineStr\"><is><t><![CDATA[{text}]]></t></is></c>")
            }
            Content::Number if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                format!("><v>{text}</v></c>")
            }
            Content::Number => " t=\"n\"><v>8000.5</v></c>".to_owned(),
            Content::TextFormula => {
                format!(" t=\"str\"><f>\"&lt;\"&amp;A1</f><v>{text}</v></c>")
            }
            Content::NumberFormula => "><f t=\"shared\" si=\"0\"/><v>7</v></c>".to_owned(),
            Content::Boolean => " t=\"b\"><v>1</v></c>".to_owned(),
            Content::Error => " t=\"e\"><v>#N/A</v></c>".to_owned(),
        })
    }
}

impl SheetRow {
    /// `last` is the number of the row before it, and `new` the range of the new columns.
    fn write(&self, last: u32, new: Option<(u32, u32)>, xml: &mut String) {
        xml.push_str("<row");
        if self.states_number || self.number != last + 1 {
            let _ = write!(xml, " r=\"{}\"", self.number);
        }
        let new = new.filter(|_| self.new != NewCells::None);
        let columns = self.cells.iter().map(|cell| cell.column);
        let columns: Vec<u32> = columns.chain(new.into_iter().flat_map(|(a, b)| [a, b])).collect();
        if let (true, Some(first), Some(last)) =
            (self.has_spans, columns.iter().min(), columns.iter().max())
        {
            let _ = write!(xml, " spans=\"{first}:{last}\"");
        }
        if let Some(style) = self.style {
            let _ = write!(xml, " s=\"{style}\" customFormat=\"1\"");
        }
        xml.push_str(if self.is_hidden { " hidden=\"1\">" } else { ">" });
        let mut next = 1;
        for cell in &self.cells {
            xml.push_str(self.noise);
            xml.push_str("<c");
            if cell.states_position || cell.column != next {
                let _ = write!(xml, " r=\"{}{}\"", letters(cell.column), self.number);
            }
            if let Some(style) = cell.style {
                let _ = write!(xml, " s=\"{style}\"");
            }
            xml.push_str(&cell.xml);
            next = cell.column + 1;
        }
        xml.push_str(self.noise);
        xml.push_str("</row>");
    }
}

fn sent_number(text: &str) -> String {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits[digits.len() - 11..].to_owned()
}

pub(crate) fn letters(column: u32) -> String {
    let last = char::from(b'A' + u8::try_from((column - 1) % 26).unwrap());
    let rest = (column - 1) / 26;
    if rest == 0 { last.to_string() } else { format!("{}{last}", letters(rest)) }
}

/// A range from row and column to row and column.
fn range((top, left): (u32, u32), (bottom, right): (u32, u32), dollar: &str) -> String {
    let [left, right] = [left, right].map(letters);
    format!("{dollar}{left}{dollar}{top}:{dollar}{right}{dollar}{bottom}")
}

/// All texts that cells share.
fn pool() -> Vec<&'static str> {
    [&["花名册", "合计"][..], &HEADER, &VALID, &INVALID, &TEXTS].concat()
}

fn shared_xml(text: &str) -> String {
    let index = pool().iter().position(|known| *known == text).unwrap_or_default();
    format!(" t=\"s\"><v>{index}</v></c>")
}

fn shared_strings() -> String {
    let items = concat_each(pool(), |text| format!("<si><t>{text}</t></si>"));
    format!("<sst xmlns=\"{MAIN}\">{items}</sst>")
}

fn styles() -> String {
    let formats = concat_each(FORMATS, |(number, border)| {
        format!("<xf numFmtId=\"{number}\" fontId=\"0\" fillId=\"0\" borderId=\"{border}\"/>")
    });
    format!(
        "<styleSheet xmlns=\"{MAIN}\"><numFmts count=\"1\"><numFmt numFmtId=\"164\" \
         formatCode=\"0.000\"/></numFmts><fonts count=\"1\"><font/></fonts><fills \
         count=\"1\"><fill/></fills><borders count=\"2\"><border/><border><left \
         style=\"thin\"/></border></borders><cellXfs count=\"{}\">{formats}</cellXfs></styleSheet>",
        FORMATS.len()
    )
}

fn content_types() -> String {
    let content = |part: &str, kind: &str| {
        format!("<Override PartName=\"/xl/{part}.xml\" ContentType=\"{CONTENT}.{kind}+xml\"/>")
    };
    format!(
        "<Types xmlns=\"{PACKAGE}/content-types\"><Default Extension=\"xml\" \
         ContentType=\"application/xml\"/>{}</Types>",
        content("workbook", "sheet.main") + &content("styles", "styles")
    )
}

/// The tags, comments, instructions and texts of XML, one after the other.
pub(crate) fn tokens(xml: &str) -> Vec<&str> {
    let (mut tokens, mut rest) = (Vec::new(), xml);
    while !rest.is_empty() {
        let special = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"), ("<", ">")];
        let size = match special.iter().find(|(start, _)| rest.starts_with(start)) {
            Some((_, end)) => rest.find(end).unwrap() + end.len(),
            None => rest.find('<').unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(size);
        tokens.push(token);
        rest = after;
    }
    tokens
}

/// The name of the element that a tag begins or ends, with its slash, without its prefix.
pub(crate) fn tag_name(token: &str) -> String {
    let Some(tag) = token.strip_prefix('<') else { return String::new() };
    let end = tag.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(tag.len());
    let (slash, name) = match tag[..end].strip_prefix('/') {
        Some(name) => ("/", name),
        None => ("", tag[..end].trim_end_matches('/')),
    };
    format!("{slash}{}", name.rsplit(':').next().unwrap())
}

pub(crate) fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let rest = tag.split_once(&format!(" {name}=\""))?.1;
    Some(&rest[..rest.find('"')?])
}
