//! Reads a sheet before it is copied: where its new cells go, which formats they need, and what is
//! in their way.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use quick_xml::events::Event;
use tr::tr;

use crate::table::raw::cell_name::cell_name;
use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::limits::MAX_ROWS;
use crate::table::unpack::workbook::part_reader::attribute;
use crate::table::write::workbook::cell_range::CellRange;
use crate::table::write::workbook::raw_reader::RawReader;
use crate::table::write::workbook::sheet_elements::{CellPosition, CellTag, RowTag, parse_number};

/// The most `col` elements that are kept: one for each column.
const MAX_COLUMN_STYLES: usize = 1 << 14;

/// What a survey is to find.
#[derive(Clone, Copy)]
pub(crate) struct SurveyRequest<'a> {
    /// The name of the sheet, for messages.
    pub sheet: &'a str,
    /// The row of the header, from 0.
    pub header_row: Option<u32>,
    /// The first row that gets new cells, from 0.
    pub first_row: u32,
    /// The last column of the table, if it is not that of the header's last cell.
    pub last_column: Option<u32>,
    /// The column of the header's last cell, if that has no value because it is merged.
    pub header_column: Option<u32>,
    /// The columns, from 0, whose cells are replaced.
    pub replaced_columns: &'a [u32],
    /// Whether the shared string with this number is empty.
    pub is_empty_string: &'a dyn Fn(usize) -> bool,
}

/// What a sheet has.
#[derive(Debug, Default)]
pub(crate) struct SheetSurvey {
    /// The last column of the table, from 0: that of the header's last cell with a value, if no
    /// other was requested.
    pub last_column: u32,
    /// The format of the header's last cell.
    pub header_style: Option<u32>,
    /// The formats of the cells in the last column, below the header.
    pub styles: BTreeSet<u32>,
    /// The format of the last column itself.
    pub column_style: Option<u32>,
    /// The last row with a value, from 0.
    pub last_row: u32,
    /// The first row with a value, below the header, of each column.
    first_values: BTreeMap<u32, u32>,
    /// A merged range below the header for each column in which it begins to be right of the last
    /// column: the one that reaches the furthest.
    wide_merges: BTreeMap<u32, CellRange>,
    /// The last column of the merged cells in the header row. They belong to the header even if
    /// they begin above it, as those of a header of two rows do.
    pub header_merge_end: Option<u32>,
    /// Whether the cells are locked.
    pub is_protected: bool,
}

/// What is in the way of new columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// A cell with a value: its row and column.
    Value(u32, u32),
    /// Merged cells, which show nothing but the first.
    Merge(CellRange),
}

impl SheetSurvey {
    /// Reads the part of a sheet to its end.
    pub(crate) fn read(part: impl Read, request: SurveyRequest<'_>) -> Result<Self, WorkbookError> {
        let mut reader = SurveyReader {
            xml: RawReader::new(part),
            request,
            found: Self { last_column: request.last_column.unwrap_or_default(), ..Self::default() },
            column_styles: Vec::new(),
            row: 0,
            value: String::new(),
        };
        reader.read()?;
        reader.found.column_style = reader.style_of_last_column();
        reader.found.styles.insert(reader.found.column_style.unwrap_or_default());
        Ok(reader.found)
    }

    /// The first column, from 0, that is beside the last one and beside the merged cells in the
    /// header row, or beside all merged cells.
    #[must_use]
    pub(crate) fn first_free_column(&self, is_beside_all: bool) -> u32 {
        let merges = self.wide_merges.values().filter(|_| is_beside_all);
        let ends = merges.map(|range| range.right).chain(self.header_merge_end);
        ends.fold(self.last_column, u32::max) + 1
    }

    /// What is in the way of so many new columns from `first` on.
    #[must_use]
    pub(crate) fn obstacle(&self, first: u32, count: u32) -> Option<Obstacle> {
        let end = first + count;
        let value = self.first_values.range(first..end).min_by_key(|(_, row)| **row);
        if let Some((&column, &row)) = value {
            return Some(Obstacle::Value(row, column));
        }
        self.merge_across(first, end - 1).map(Obstacle::Merge)
    }

    /// Merged cells below the header that have a cell in the columns from `first` to `last`.
    #[must_use]
    pub(crate) fn merge_across(&self, first: u32, last: u32) -> Option<CellRange> {
        let mut merges = self.wide_merges.range(..=last).map(|(_, range)| range);
        merges.find(|range| range.right >= first).copied()
    }
}

struct SurveyReader<'a, R: Read> {
    xml: RawReader<R>,
    request: SurveyRequest<'a>,
    found: SheetSurvey,
    /// The first and the last column, from 1, of each `col` with a format, and the format.
    column_styles: Vec<(u32, u32, u32)>,
    /// The next row, from 0.
    row: u32,
    /// The value of the current cell, if it is the number of a shared string.
    value: String,
}

/// What the content of a cell is.
#[derive(Clone, Copy, Default)]
struct CellContent {
    has_value: bool,
    has_formula: bool,
}

impl<R: Read> SurveyReader<'_, R> {
    fn read(&mut self) -> Result<(), WorkbookError> {
        while let Some((event, _)) = self.xml.next_event()? {
            let (tag, is_empty) = match &event {
                Event::Start(tag) => (tag, false),
                Event::Empty(tag) => (tag, true),
                _ => continue,
            };
            match tag.local_name().as_ref() {
                "col" => {
                    let (first, last) = (parse_number(tag, "min")?, parse_number(tag, "max")?);
                    if let (Some(first), Some(last), Some(style)) =
                        (first, last, parse_number(tag, "style")?)
                        && self.column_styles.len() < MAX_COLUMN_STYLES
                    {
                        self.column_styles.push((first, last, style));
                    }
                }
                "row" => {
                    let row = RowTag::read(tag)?;
                    self.read_row(row, is_empty)?;
                }
                "mergeCell" => {
                    let range = attribute(tag, "ref")?.and_then(|range| CellRange::parse(&range));
                    if let Some(range) = range {
                        self.add_merge(range);
                    }
                }
                "sheetProtection" => {
                    let is_on = attribute(tag, "sheet")?;
                    self.found.is_protected |= is_on.is_some_and(|on| on == "1" || on == "true");
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads the cells of a row.
    fn read_row(&mut self, tag: RowTag, is_empty: bool) -> Result<(), WorkbookError> {
        let row = tag.number.unwrap_or(self.row);
        if row < self.row || row >= MAX_ROWS {
            let what = tr!("the rows of the sheet are not in order");
            return Err(self.invalid_cell(row, 0, what));
        }
        self.row = row + 1;
        let (mut next_column, mut last_style) = (0, None);
        loop {
            if is_empty {
                break;
            }
            let (event, _) = self.xml.require_event()?;
            let (tag, is_empty) = match &event {
                Event::Start(tag) => (tag, false),
                Event::Empty(tag) => (tag, true),
                Event::End(tag) if tag.local_name().as_ref() == "row" => break,
                _ => continue,
            };
            if tag.local_name().as_ref() != "c" {
                continue;
            }
            let cell = CellTag::read(tag);
            let content = if is_empty { CellContent::default() } else { self.read_cell(&cell)? };
            let is_in_order = match cell.position {
                CellPosition::Next => true,
                CellPosition::Stated(cell_row, column) => cell_row == row && column >= next_column,
                CellPosition::Invalid => false,
            };
            if !is_in_order {
                let what = tr!("the cells of the sheet are not in order");
                return Err(self.invalid_cell(row, next_column, what));
            }
            let column = cell.column(next_column);
            next_column = column + 1;
            self.count_cell(row, column, cell.style, content)?;
            if column == self.found.last_column {
                last_style = Some(cell.style.unwrap_or_default());
            }
        }
        if row >= self.request.first_row {
            let style = last_style.or(tag.style).or_else(|| self.style_of_last_column());
            self.found.styles.insert(style.unwrap_or_default());
        }
        Ok(())
    }

    fn count_cell(
        &mut self,
        row: u32,
        column: u32,
        style: Option<u32>,
        content: CellContent,
    ) -> Result<(), WorkbookError> {
        let (found, request) = (&mut self.found, &self.request);
        let is_in_header = request.header_row == Some(row);
        if is_in_header && request.header_column == Some(column) {
            found.header_style = style;
        }
        if !content.has_value {
            return Ok(());
        }
        found.last_row = row;
        if is_in_header {
            if request.header_column.is_none() {
                found.header_style = style;
            }
            found.last_column = request.last_column.unwrap_or(column);
        }
        if row < request.first_row {
            return Ok(());
        }
        found.first_values.entry(column).or_insert(row);
        if content.has_formula && request.replaced_columns.contains(&column) {
            let what = tr!("a formula is in a column of the answers");
            return Err(self.invalid_cell(row, column, what));
        }
        Ok(())
    }

    /// Reads a cell to its end.
    fn read_cell(&mut self, cell: &CellTag) -> Result<CellContent, WorkbookError> {
        let (mut content, mut is_in_text) = (CellContent::default(), false);
        self.value.clear();
        loop {
            let (event, raw) = self.xml.require_event()?;
            match &event {
                Event::End(tag) if tag.local_name().as_ref() == "c" => break,
                Event::Start(tag) | Event::Empty(tag) => {
                    let name = tag.local_name();
                    content.has_formula |= name.as_ref() == "f";
                    is_in_text = matches!(name.as_ref(), "v" | "t");
                }
                Event::End(_) => is_in_text = false,
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) if is_in_text => {
                    content.has_value = true;
                    if cell.is_shared_string && self.value.len() < 20 {
                        self.value.push_str(&String::from_utf8_lossy(raw));
                    }
                }
                _ => {}
            }
        }
        if cell.is_shared_string {
            let index = self.value.trim().parse();
            content.has_value &= !index.is_ok_and(|index| (self.request.is_empty_string)(index));
        }
        content.has_value |= content.has_formula;
        Ok(content)
    }

    fn style_of_last_column(&self) -> Option<u32> {
        let number = self.found.last_column + 1;
        let mut ranges = self.column_styles.iter();
        let found = ranges.find(|(first, last, _)| (*first..=*last).contains(&number));
        found.map(|(_, _, style)| *style)
    }

    fn add_merge(&mut self, range: CellRange) {
        let (found, request) = (&mut self.found, &self.request);
        if request.header_row.is_some_and(|row| (range.top..=range.bottom).contains(&row)) {
            found.header_merge_end = found.header_merge_end.max(Some(range.right));
        }
        if range.bottom >= request.first_row && range.right > found.last_column {
            let first = range.left.max(found.last_column + 1);
            let kept = found.wide_merges.entry(first).or_insert(range);
            if kept.right < range.right {
                *kept = range;
            }
        }
    }

    fn invalid_cell(&self, row: u32, column: u32, what: String) -> WorkbookError {
        WorkbookError::InvalidCell {
            sheet: self.request.sheet.to_owned(),
            cell: cell_name(row, column),
            what,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "<worksheet><sheetPr/><cols><col min=\"1\" max=\"2\" style=\"8\"/></cols>\
         <sheetData><row r=\"1\"><c r=\"A1\" t=\"str\"><v>title</v></c><c r=\"D1\"><v>1</v></c>\
         </row><row r=\"3\"><c r=\"A3\" s=\"1\"><v>1</v></c><c s=\"2\" t=\"s\"><v>5</v></c>\
         <c s=\"3\" t=\"s\"><v>0</v></c><c s=\"4\"/></row>";

    fn survey(rows: &str, tail: &str) -> Result<SheetSurvey, WorkbookError> {
        let xml = format!("{HEAD}{rows}</sheetData>{tail}</worksheet>");
        let request = SurveyRequest {
            sheet: "在职",
            header_row: Some(2),
            first_row: 3,
            last_column: None,
            header_column: None,
            replaced_columns: &[7],
            is_empty_string: &|index| index == 0,
        };
        SheetSurvey::read(xml.as_bytes(), request)
    }

    #[test]
    fn new_columns_begin_beside_the_last_header_cell_with_a_value() {
        let rows = "<row><c r=\"B4\" s=\"6\"/></row><row s=\"7\" customFormat=\"1\"/><row r=\"9\">\
                    <c r=\"B9\"><v>1</v></c><c r=\"C9\" s=\"9\">\n<is> <t></t></is>\n</c></row>";
        let found = survey(rows, "<mergeCells><mergeCell ref=\"A1:F1\"/></mergeCells>").unwrap();
        assert_eq!((found.last_column, found.header_style, found.last_row), (1, Some(2), 8));
        assert_eq!(found.styles, BTreeSet::from([0, 6, 7, 8]));
        assert_eq!(found.column_style, Some(8));
        assert_eq!(found.first_free_column(false), 2);
        assert_eq!(found.obstacle(2, 5), None);
        assert!(!found.is_protected);
    }

    #[test]
    fn values_and_merged_cells_are_in_the_way() {
        let rows = "<row r=\"4\"><c r=\"E4\"><f>1</f></c></row><row r=\"5\"><c r=\"D5\" t=\"s\"><v>\
                    1</v></c><c r=\"J5\"><v>1</v></c></row>";
        let tail =
            "<sheetProtection sheet=\"1\"/><mergeCells><mergeCell ref=\"A9:H9\"/></mergeCells>";
        let found = survey(rows, tail).unwrap();
        assert_eq!(found.obstacle(2, 5), Some(Obstacle::Value(3, 4)));
        assert_eq!(found.obstacle(2, 2), Some(Obstacle::Value(4, 3)));
        let merge = CellRange::parse("A9:H9").unwrap();
        assert_eq!(found.obstacle(2, 1), Some(Obstacle::Merge(merge)));
        assert_eq!(found.obstacle(8, 1), None);
        assert_eq!((found.first_free_column(false), found.first_free_column(true)), (2, 8));
        assert!(found.is_protected);
        // In the header row, also if they begin above it; the value is in the first cell.
        for merge in ["B3:D3", "D1:D3", "C2:D3", "B3:D4"] {
            let found = survey("", &format!("<mergeCell ref=\"{merge}\"/>")).unwrap();
            assert_eq!((found.header_merge_end, found.first_free_column(false)), (Some(3), 4));
        }
        let found = survey("", "<mergeCell ref=\"D1:D2\"/>").unwrap();
        assert_eq!(found.header_merge_end, None);
        let found = survey("", "<mergeCell ref=\"H4:J4\"/>").unwrap();
        let across = CellRange::parse("H4:J4");
        assert_eq!(
            [6, 7, 9, 10].map(|at| found.merge_across(at, at)),
            [None, across, across, None]
        );
    }

    #[test]
    fn disorder_and_formulas_in_answers_are_refused() {
        for (rows, cell) in [
            ("<row r=\"3\"/>", "A3"),
            ("<row r=\"1048577\"/>", "A1048577"),
            ("<row r=\"5\"><c r=\"B5\"/><c r=\"B5\"/></row>", "C5"),
            ("<row r=\"5\"><c r=\"B6\"/></row>", "A5"),
            ("<row r=\"5\"><c r=\"?\"/></row>", "A5"),
            ("<row r=\"5\"><c r=\"H5\"><f>1</f></c></row>", "H5"),
        ] {
            let error = survey(rows, "").unwrap_err();
            assert!(
                matches!(&error, WorkbookError::InvalidCell { cell: found, .. } if found == cell),
                "{rows}: {error}"
            );
        }
    }
}
