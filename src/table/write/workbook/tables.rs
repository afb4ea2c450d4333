//! Extends a table of a sheet by the new columns.

use std::ops::Range;

use quick_xml::events::{BytesStart, Event};

use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::part_reader::attribute;
use crate::table::write::workbook::cell_range::CellRange;
use crate::table::write::workbook::defined_names::GrownTable;
use crate::table::write::workbook::part_edits::{PartEdits, PlacedEvents};
use crate::table::write::workbook::tag::{prefix, raw_attribute, set_attribute};

/// A table of a sheet, as its part describes it.
#[derive(Debug)]
pub(crate) struct TablePart {
    /// As spreadsheets show it.
    pub name: String,
    pub range: CellRange,
    /// Whether a query fills the table.
    pub is_query: bool,
    has_header: bool,
    has_totals: bool,
    column_names: Vec<String>,
    next_id: u32,
    /// The tags with a range: of the table, its filter, its sort.
    ranges: Vec<(Range<usize>, CellRange)>,
    /// The start tag of the list of columns, and the start of its end tag.
    list: Range<usize>,
    list_end: usize,
}

impl TablePart {
    /// Reads the part of a table. `None` if it has no range or no columns.
    pub(crate) fn read(xml: &str) -> Result<Option<Self>, WorkbookError> {
        let mut events = PlacedEvents::new(xml);
        let mut found: Option<Self> = None;
        while let Some((event, place)) = events.next_event()? {
            let tag = match &event {
                Event::Start(tag) | Event::Empty(tag) => tag,
                Event::End(tag) if tag.local_name().as_ref() == "tableColumns" => {
                    if let Some(table) = &mut found {
                        table.list_end = place.start;
                    }
                    continue;
                }
                _ => continue,
            };
            match (tag.local_name().as_ref(), &mut found) {
                ("table", None) => found = Self::from_tag(tag, place)?,
                ("autoFilter" | "sortState", Some(table)) => {
                    let range = attribute(tag, "ref")?;
                    let range = range.and_then(|range| CellRange::parse(&range));
                    table.ranges.extend(range.map(|range| (place, range)));
                }
                ("tableColumns", Some(table)) => table.list = place,
                ("tableColumn", Some(table)) => {
                    table.column_names.extend(attribute(tag, "name")?);
                    let id = attribute(tag, "id")?.and_then(|id| id.trim().parse().ok());
                    table.next_id = table.next_id.max(id.unwrap_or(0_u32).saturating_add(1));
                }
                _ => {}
            }
        }
        Ok(found.filter(|table| table.list_end > 0))
    }

    fn from_tag(tag: &BytesStart<'_>, place: Range<usize>) -> Result<Option<Self>, WorkbookError> {
        let range = attribute(tag, "ref")?.and_then(|range| CellRange::parse(&range));
        let Some(range) = range else { return Ok(None) };
        let name = match attribute(tag, "displayName")? {
            Some(name) => name,
            None => attribute(tag, "name")?.unwrap_or_default(),
        };
        let kind = attribute(tag, "tableType")?;
        Ok(Some(Self {
            name,
            range,
            is_query: kind.is_some_and(|kind| kind != "worksheet"),
            has_header: attribute(tag, "headerRowCount")?.is_none_or(|count| count.trim() != "0"),
            has_totals: attribute(tag, "totalsRowCount")?.is_some_and(|count| count.trim() != "0"),
            column_names: Vec::new(),
            next_id: 1,
            ranges: vec![(place, range)],
            list: 0..0,
            list_end: 0,
        }))
    }

    /// Whether the new columns, with these names, can become columns of the table: they are beside
    /// it, below the same header.
    #[must_use]
    pub(crate) fn can_grow(&self, table: &GrownTable, first_column: u32, names: &[String]) -> bool {
        let is_taken = |name: &String| {
            self.column_names.iter().any(|taken| taken.to_lowercase() == name.to_lowercase())
        };
        self.range.right + 1 == first_column
            && self.has_header
            && self.range.top == table.range.top
            && !self.is_query
            && !names.iter().any(is_taken)
    }

    /// The row with the totals of the columns, from 0. What its cells show is part of the table.
    #[must_use]
    pub(crate) fn totals_row(&self) -> Option<u32> {
        self.has_totals.then_some(self.range.bottom)
    }

    /// The XML of the part with the new columns.
    #[must_use]
    pub(crate) fn grow(&self, xml: &str, last_column: u32, names: &[String]) -> Option<String> {
        let mut edits = PartEdits::default();
        for (place, range) in &self.ranges {
            // The range of a sort may be without the last columns.
            let grown = CellRange { right: last_column, ..*range };
            edits.replace(
                place.clone(),
                set_attribute(xml.get(place.clone())?, "ref", &grown.to_string()),
            );
        }
        let list = xml.get(self.list.clone())?;
        let count = self.column_names.len() + names.len();
        if raw_attribute(list, "count").is_some() {
            edits.replace(self.list.clone(), set_attribute(list, "count", &count.to_string()));
        }
        let prefix = prefix(list);
        let columns = (self.next_id..)
            .zip(names)
            .map(|(id, name)| format!("<{prefix}tableColumn id=\"{id}\" name=\"{name}\"/>"));
        edits.insert(self.list_end, columns.collect());
        edits.apply(xml)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "<?xml version=\"1.0\"?>\n<table id=\"1\" name=\"t\" displayName=\"表1\" \
         ref=\"A3:F36\" totalsRowCount=\"1\"><autoFilter ref=\"A3:F35\"><filterColumn colId=\"1\"/>\
         <sortState ref=\"A4:F35\"><sortCondition ref=\"B4:B35\"/></sortState></autoFilter>\
         <tableColumns count=\"2\"><tableColumn id=\"7\" name=\"工号\" totalsRowLabel=\"合计\"/>\
         <tableColumn id=\"2\" name=\"a\"><calculatedColumnFormula>1</calculatedColumnFormula>\
         </tableColumn></tableColumns><tableStyleInfo name=\"x\"/></table>";

    fn grown_table() -> GrownTable {
        GrownTable { range: CellRange::parse("A3:F36").unwrap(), last_column: 7 }
    }

    #[test]
    fn a_table_its_filter_and_its_sort_get_the_new_columns() {
        let names = ["userid", "status"].map(str::to_owned);
        let table = TablePart::read(TABLE).unwrap().unwrap();
        assert_eq!((&*table.name, table.is_query), ("表1", false));
        assert!(table.can_grow(&grown_table(), 6, &names));
        let expected = TABLE
            .replace("A3:F36", "A3:H36")
            .replace("A3:F35", "A3:H35")
            .replace("A4:F35", "A4:H35")
            .replace("count=\"2\"", "count=\"4\"")
            .replace(
                "</tableColumns>",
                "<tableColumn id=\"8\" name=\"userid\"/><tableColumn id=\"9\" name=\"status\"/>\
                 </tableColumns>",
            );
        assert_eq!(table.grow(TABLE, 7, &names).unwrap(), expected);
    }

    #[test]
    fn a_table_elsewhere_or_of_a_query_does_not_grow() {
        let names = ["userid".to_owned()];
        let can_grow = |xml: &str, first| {
            TablePart::read(xml).unwrap().unwrap().can_grow(&grown_table(), first, &names)
        };
        assert!(can_grow(TABLE, 6));
        assert!(!can_grow(TABLE, 7));
        for (from, to) in [
            ("A3:F36", "A4:F36"),
            (" totalsRowCount", " tableType=\"queryTable\" totalsRowCount"),
            (" totalsRowCount", " headerRowCount=\"0\" totalsRowCount"),
            ("name=\"a\"", "name=\"UserID\""),
        ] {
            assert!(!can_grow(&TABLE.replace(from, to), 6), "{to}");
        }
        assert!(TablePart::read("<table/>").unwrap().is_none());
    }
}
