//! Extends the names of a workbook that hold the rows of the table.

use std::ops::Range;

use quick_xml::escape::unescape;
use quick_xml::events::Event;

use crate::table::raw::cell_name::parse_cell_name;
use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::limits::MAX_ROWS;
use crate::table::unpack::workbook::part_reader::attribute;
use crate::table::write::workbook::cell_range::{CellRange, column_letters};
use crate::table::write::workbook::part_edits::{PartEdits, PlacedEvents};

/// The name that spreadsheets give to the range of a filter.
const FILTER_NAME: &str = "_xlnm._FilterDatabase";
/// The beginning of names that spreadsheets use themselves.
const RESERVED_PREFIX: &str = "_xlnm.";
/// The name of the range that is printed.
const PRINT_NAME: &str = "_xlnm.Print_Area";
/// The end of the name of the range of a filter of somebody's own view.
const VIEW_FILTER_SUFFIX: &str = ".wvu.FilterData";
/// The beginning of the names of ranges that a query fills.
const QUERY_PREFIX: &str = "ExternalData_";

/// The rows of the table and the columns that they get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GrownTable {
    /// The table as it was, from its header on.
    pub range: CellRange,
    /// The last new column, from 0.
    pub last_column: u32,
}

impl GrownTable {
    /// A filter or a sort, which must move whole rows, with the new columns.
    #[must_use]
    pub(crate) fn grown_filter(&self, filter: &CellRange) -> Option<CellRange> {
        let is_left = filter.left <= self.range.right && filter.right < self.last_column;
        (is_left && filter.shares_rows(&self.range))
            .then_some(CellRange { right: self.last_column, ..*filter })
    }

    /// Whether a range is that of the table: all of its columns, and rows of it.
    fn is_held_by(&self, range: &CellRange) -> bool {
        range.left <= self.range.left
            && range.right == self.range.right
            && self.range.left < self.range.right
            && range.shares_rows(&self.range)
    }
}

/// The XML of the workbook part with the names that hold the table on `sheet` extended; `None` if
/// there is none.
pub(crate) fn extend_names(
    xml: &str,
    sheet: &str,
    table: &GrownTable,
) -> Result<Option<String>, WorkbookError> {
    let (mut events, mut edits) = (PlacedEvents::new(xml), PartEdits::default());
    let mut name: Option<(String, usize)> = None;
    while let Some((event, place)) = events.next_event()? {
        match event {
            Event::Start(tag) if tag.local_name().as_ref() == "definedName" => {
                name = attribute(&tag, "name")?.map(|name| (name, place.end));
            }
            Event::End(tag) if tag.local_name().as_ref() == "definedName" => {
                let Some((name, start)) = name.take() else { continue };
                let place = start..place.start;
                let extended = xml
                    .get(place.clone())
                    .and_then(|text| extended_reference(&name, text, sheet, table));
                if let Some(extended) = extended {
                    edits.replace(place, extended);
                }
            }
            _ => {}
        }
    }
    Ok(edits.apply(xml))
}

/// The text of a name, if it holds the table, with the new columns.
fn extended_reference(name: &str, text: &str, sheet: &str, table: &GrownTable) -> Option<String> {
    if name.starts_with(QUERY_PREFIX) {
        return None;
    }
    let extends = |range: &CellRange| match name {
        FILTER_NAME => table.grown_filter(range).is_some(),
        name if name.ends_with(VIEW_FILTER_SUFFIX) => table.grown_filter(range).is_some(),
        PRINT_NAME => table.is_held_by(range),
        name => !name.starts_with(RESERVED_PREFIX) && table.is_held_by(range),
    };
    let mut edits = PartEdits::default();
    for area in split_areas(text)? {
        let (raw_sheet, _) = text[area.clone()].rsplit_once('!')?;
        if is_sheet(raw_sheet, sheet) {
            let start = area.start + raw_sheet.len() + 1;
            let reference = Reference::parse(&text[start..area.end])?;
            if extends(&reference.range) {
                let Range { start: first, end: last } = reference.last_column;
                edits.replace(start + first..start + last, column_letters(table.last_column));
            }
        }
    }
    edits.apply(text)
}

/// The places of the areas of a reference such as `在职!$A$1:$D$9,在职!$F$1:$G$2`; `None` for a
/// formula.
fn split_areas(text: &str) -> Option<Vec<Range<usize>>> {
    let (mut areas, mut start, mut is_quoted) = (Vec::new(), 0, false);
    for (at, character) in text.char_indices() {
        match character {
            '\'' => is_quoted = !is_quoted,
            ',' if !is_quoted => {
                areas.push(start..at);
                start = at + 1;
            }
            '(' | '"' if !is_quoted => return None,
            _ => {}
        }
    }
    areas.push(start..text.len());
    Some(areas)
}

/// A reference to a range, such as `$A$3:$F$36`, or to whole columns, such as `$A:$F`. Its corners
/// may be in any order.
struct Reference {
    range: CellRange,
    /// The place of the letters of its last column.
    last_column: Range<usize>,
}

impl Reference {
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once(':')?;
        let [one, other] = [Corner::parse(first)?, Corner::parse(last)?];
        let (top, bottom) = match (one.row, other.row) {
            (Some(row), Some(other)) => (row.min(other), row.max(other)),
            (None, None) => (0, MAX_ROWS - 1),
            _ => return None,
        };
        let (left, right) = (one.column.min(other.column), one.column.max(other.column));
        let last_column = if other.column == right {
            let start = first.len() + 1;
            start + other.letters.start..start + other.letters.end
        } else {
            one.letters
        };
        Some(Self { range: CellRange { top, left, bottom, right }, last_column })
    }
}

/// A corner of a range, or a column of whole columns.
struct Corner {
    row: Option<u32>,
    column: u32,
    /// The place of the letters of the column.
    letters: Range<usize>,
}

impl Corner {
    /// Parses `$F$36`, `F36`, or `$F`.
    fn parse(text: &str) -> Option<Self> {
        let start = usize::from(text.starts_with('$'));
        let rest = text.get(start..)?;
        let length = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (letters, number) = rest.split_at(length);
        let (_, column) = parse_cell_name(&format!("{letters}1"))?;
        let row = match number {
            "" => None,
            number => Some(parse_cell_name(&format!("{letters}{number}"))?.0),
        };
        Some(Self { row, column, letters: start..start + length })
    }
}

/// Whether the text before the `!` of a reference names the sheet. Spreadsheets ignore case.
fn is_sheet(raw: &str, sheet: &str) -> bool {
    let Ok(name) = unescape(raw) else { return false };
    let name = name.trim();
    let name = match name.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(quoted) => quoted.replace("''", "'"),
        None => name.to_owned(),
    };
    name.to_lowercase() == sheet.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> GrownTable {
        GrownTable { range: CellRange::parse("A3:F36").unwrap(), last_column: 10 }
    }

    #[test]
    fn names_that_hold_the_table_get_the_new_columns() {
        for (name, text, expected) in [
            (FILTER_NAME, "在职!$A$3:$F$36", Some("在职!$A$3:$K$36")),
            (FILTER_NAME, "在职!$A$3:$D$36", Some("在职!$A$3:$K$36")),
            ("员工", "'在职'!$A$3:$F$36", Some("'在职'!$A$3:$K$36")),
            ("员工", "在职!A4:F36", Some("在职!A4:K36")),
            (PRINT_NAME, "在职!$A$1:$F$36", Some("在职!$A$1:$K$36")),
            (
                PRINT_NAME,
                "'在, 职'!$A$1:$F$9,在职!$A$3:$F$36,在职!$A$40:$F$41",
                Some("'在, 职'!$A$1:$F$9,在职!$A$3:$K$36,在职!$A$40:$F$41"),
            ),
            ("两处", "在职!$A$3:$F$36,在职!$H$1:$H$2", Some("在职!$A$3:$K$36,在职!$H$1:$H$2")),
            ("列", "在职!$A:$F", Some("在职!$A:$K")),
            ("反", "在职!$F$36:$A$3", Some("在职!$K$36:$A$3")),
            ("反", "在职!$F$3:$A$36", Some("在职!$K$3:$A$36")),
            ("Z_0A.wvu.FilterData", "在职!$A$3:$D$36", Some("在职!$A$3:$K$36")),
            ("Z_0A.wvu.PrintArea", "在职!$A$1:$F$36", Some("在职!$A$1:$K$36")),
            // Other columns, other rows, other sheets, other kinds.
            ("手机", "在职!$F$4:$F$36", None),
            ("宽", "在职!$A$3:$H$36", None),
            ("标题", "在职!$A$1:$F$2", None),
            ("员工", "离职!$A$3:$F$36", None),
            ("两处", "在职!$A$1:$B$2,在职!$H$1:$H$2", None),
            ("列", "在职!$F:$F", None),
            ("行", "在职!$3:$36", None),
            ("_xlnm.Print_Titles", "在职!$A$3:$F$3", None),
            ("_xlnm.Criteria", "在职!$A$3:$F$36", None),
            ("ExternalData_1", "在职!$A$3:$F$36", None),
            ("值", "OFFSET(在职!$A$3,0,0)", None),
            ("值", "IF(在职!$A$3,在职!$A$3:$F$36,0)", None),
            ("值", "在职!#REF!", None),
            ("值", "\"!\"", None),
        ] {
            let found = extended_reference(name, text, "在职", &table());
            assert_eq!(found.as_deref(), expected, "{name} {text}");
        }
    }

    #[test]
    fn a_column_alone_is_a_list_and_stays_one() {
        let list = GrownTable { range: CellRange::parse("A1:A9").unwrap(), last_column: 5 };
        assert_eq!(extended_reference("列表", "s!$A$2:$A$9", "s", &list), None);
        assert!(extended_reference(FILTER_NAME, "s!$A$1:$A$9", "s", &list).is_some());
    }

    #[test]
    fn sheets_are_compared_as_spreadsheets_do() {
        for (raw, sheet) in
            [("Staff", "staff"), ("'it''s'", "it's"), ("&apos;a&amp;b&apos;", "A&b")]
        {
            assert!(is_sheet(raw, sheet), "{raw}");
        }
        assert!(!is_sheet("[1]Staff", "Staff"));
    }

    #[test]
    fn everything_else_in_the_part_keeps_its_bytes() {
        let xml = "<x:workbook>\r\n<!-- n --><x:definedNames><x:definedName name='a' hidden=\"1\">\
                   S!$A$3:$F$36</x:definedName><x:definedName name=\"b\">S!$A$1</x:definedName>\
                   </x:definedNames></x:workbook>";
        let expected = xml.replace("$F$36", "$K$36");
        assert_eq!(extend_names(xml, "S", &table()).unwrap().unwrap(), expected);
        assert_eq!(extend_names(xml, "T", &table()).unwrap(), None);
    }
}
