//! Copies a sheet row by row while rows settle, with new cells in some rows. The bytes of
//! everything else pass through.

use std::io::{self, Read};

use quick_xml::events::Event;
use tr::tr;

use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::part_encoding::PartEncoding;
use crate::table::write::workbook::cell_range::CellRange;
use crate::table::write::workbook::column_widths::ColumnEdits;
use crate::table::write::workbook::defined_names::GrownTable;
use crate::table::write::workbook::new_cells::NewCell;
use crate::table::write::workbook::raw_reader::RawReader;
use crate::table::write::workbook::sheet_elements::{CellTag, RowTag};
use crate::table::write::workbook::styles::TextFormats;
use crate::table::write::workbook::tag::{open_tag, prefix, raw_attribute, set_attribute};

/// How many elements are open where a filter begins: that of the sheet, or that of somebody's own
/// view of it (`customSheetViews`).
const FILTER_DEPTHS: [u32; 2] = [1, 3];

/// What changes on a sheet besides its rows.
#[derive(Debug)]
pub(crate) struct SheetChanges {
    /// The column, from 0, whose format new cells have.
    pub style_column: Option<u32>,
    /// The format of that column where a row has no cell in it.
    pub column_style: Option<u32>,
    pub text_formats: TextFormats,
    /// The cells that get new content.
    pub changed_range: CellRange,
    /// What is new beside the table; `None` if existing cells get other content.
    pub new_columns: Option<NewColumns>,
}

/// The columns that a sheet gets.
#[derive(Debug)]
pub(crate) struct NewColumns {
    /// The first one, from 0.
    pub first: u32,
    /// The width of each, in characters.
    pub widths: Vec<u32>,
    pub table: GrownTable,
}

/// How a new cell gets its format.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CellStyle {
    /// This one, whatever the cell has now.
    Fixed(Option<u32>),
    /// That of the row's cell in the style column, with number format Text.
    LikeRow,
    /// That of the cell that is replaced.
    Kept,
}

/// A sheet that is being copied.
pub(crate) struct SheetEditor<R: Read> {
    xml: RawReader<R>,
    encoding: PartEncoding,
    changes: SheetChanges,
    /// The prefix of the sheet's elements.
    prefix: String,
    /// The next row, from 0.
    row: u32,
    place: Place,
    /// The copy, in UTF-8, that was not taken yet.
    output: Vec<u8>,
}

/// Where the copy is.
enum Place {
    /// Between two rows.
    Rows,
    /// At a tag that was read and not copied yet: of a row, or of the end of all rows.
    Tag {
        tag: String,
        row: Option<PendingRow>,
    },
    /// Behind the rows; so many elements are open in the sheet.
    Tail {
        depth: u32,
        /// How many were open at the start of the filter that is open.
        filter_depth: Option<u32>,
    },
    End,
}

/// A row of which only the tag was read.
#[derive(Clone, Copy)]
struct PendingRow {
    number: u32,
    style: Option<u32>,
    is_empty: bool,
}

impl<R: Read> SheetEditor<R> {
    /// Copies everything before the first row.
    pub(crate) fn new(part: R, changes: SheetChanges) -> Result<Self, WorkbookError> {
        let mut xml = RawReader::new(part);
        let (encoding, bom) = xml.encoding().map_err(|error| damaged(&error))?;
        let mut output = Vec::new();
        if !bom.is_empty() {
            output.extend_from_slice("\u{feff}".as_bytes());
        }
        let (prefix, place) = (String::new(), Place::Rows);
        let mut editor = Self { xml, encoding, changes, prefix, row: 0, place, output };
        editor.copy_head()?;
        Ok(editor)
    }

    /// Moves the copy so far to the end of `to`, in the encoding of the part.
    pub(crate) fn take_output(&mut self, to: &mut Vec<u8>) {
        self.encoding.encode(&self.output, to);
        self.output.clear();
    }

    /// The size of the copy that was not taken yet.
    #[must_use]
    pub(crate) fn output_len(&self) -> usize {
        self.output.len()
    }

    /// Copies a row before row `row`. Returns false once that row is next.
    ///
    /// # Errors
    /// [`WorkbookError`] if the part cannot be read.
    pub(crate) fn copy_row_before(&mut self, row: u32) -> Result<bool, WorkbookError> {
        self.read_row_tag()?;
        match &self.place {
            Place::Tag { row: Some(found), .. } if found.number < row => {
                self.copy_piece()?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Copies row `row`, from 0, which is next, with `cells` in it: their columns, in order, and
    /// their texts. A row that the sheet lacks is added.
    ///
    /// # Errors
    /// [`WorkbookError`] if the part cannot be read.
    pub(crate) fn edit_row(
        &mut self,
        row: u32,
        cells: &[(u32, &str)],
        style: CellStyle,
    ) -> Result<(), WorkbookError> {
        self.read_row_tag()?;
        match std::mem::replace(&mut self.place, Place::Rows) {
            Place::Tag { tag, row: Some(found) } if found.number == row => {
                self.edit_cells(&tag, found, cells, style)
            }
            place @ Place::Tag { .. } if row >= self.row => {
                self.place = place;
                self.insert_row(row, cells, style);
                Ok(())
            }
            place => {
                self.place = place;
                Err(WorkbookError::Damaged(tr!("the rows of the sheet are not in order")))
            }
        }
    }

    /// Copies more of the part. Returns false at its end.
    ///
    /// # Errors
    /// [`WorkbookError`] if the part cannot be read.
    pub(crate) fn copy_piece(&mut self) -> Result<bool, WorkbookError> {
        match std::mem::replace(&mut self.place, Place::Rows) {
            Place::Rows => self.read_row_tag()?,
            Place::Tag { tag, row } => {
                self.output.extend_from_slice(tag.as_bytes());
                match row {
                    Some(row) => {
                        self.row = row.number + 1;
                        if !row.is_empty {
                            self.copy_element()?;
                        }
                    }
                    None => self.place = Place::Tail { depth: 1, filter_depth: None },
                }
            }
            Place::Tail { depth, filter_depth } => return self.copy_tail(depth, filter_depth),
            Place::End => {
                self.place = Place::End;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Copies up to the tag of the next row, or to the end of all rows.
    fn read_row_tag(&mut self) -> Result<(), WorkbookError> {
        while matches!(self.place, Place::Rows) {
            let (event, raw) = self.xml.require_event()?;
            let row = match &event {
                Event::Start(tag) if tag.local_name().as_ref() == "row" => {
                    Some((RowTag::read(tag)?, false))
                }
                Event::Empty(tag) if tag.local_name().as_ref() == "row" => {
                    Some((RowTag::read(tag)?, true))
                }
                Event::End(tag) if tag.local_name().as_ref() == "sheetData" => None,
                _ => {
                    self.output.extend_from_slice(raw);
                    continue;
                }
            };
            let row = row.map(|(tag, is_empty)| PendingRow {
                number: tag.number.unwrap_or(self.row),
                style: tag.style,
                is_empty,
            });
            self.place = Place::Tag { tag: String::from_utf8_lossy(raw).into_owned(), row };
        }
        Ok(())
    }

    /// Copies up to the end of the element whose start was copied.
    fn copy_element(&mut self) -> Result<(), WorkbookError> {
        let mut depth = 1;
        while depth > 0 {
            let (event, raw) = self.xml.require_event()?;
            self.output.extend_from_slice(raw);
            depth = depth_after(&event, depth);
        }
        Ok(())
    }

    /// Skips up to the end of the element whose start was read.
    fn skip_element(&mut self) -> Result<(), WorkbookError> {
        let mut depth = 1;
        while depth > 0 {
            depth = depth_after(&self.xml.require_event()?.0, depth);
        }
        Ok(())
    }

    fn copy_head(&mut self) -> Result<(), WorkbookError> {
        let new = self.changes.new_columns.as_ref();
        let mut columns = new.map(|new| ColumnEdits::new(new.first, &new.widths));
        let mut is_in_columns = false;
        loop {
            let (event, raw) = self.xml.require_event()?;
            let name = match &event {
                Event::Start(tag) | Event::Empty(tag) => tag.local_name().as_ref().to_owned(),
                Event::End(tag) => tag.local_name().as_ref().to_owned(),
                _ => String::new(),
            };
            let (tag, output) = (String::from_utf8_lossy(raw), &mut self.output);
            match (name.as_str(), &event, &mut columns) {
                ("dimension", Event::Start(_) | Event::Empty(_), _) => {
                    let range = raw_attribute(&tag, "ref").and_then(CellRange::parse);
                    let grown = range.map(|range| range.union(&self.changes.changed_range));
                    let changed = grown.filter(|grown| Some(*grown) != range);
                    let changed =
                        changed.map(|range| set_attribute(&tag, "ref", &range.to_string()));
                    output.extend_from_slice(changed.as_deref().unwrap_or(&tag).as_bytes());
                }
                ("cols", Event::Start(_), Some(_)) => {
                    is_in_columns = true;
                    output.extend_from_slice(raw);
                }
                ("cols", Event::Empty(_), Some(edits)) => {
                    output.extend_from_slice(open_tag(&tag).as_bytes());
                    edits.finish(prefix(&tag), output);
                    output.extend_from_slice(format!("</{}cols>", prefix(&tag)).as_bytes());
                    columns = None;
                }
                ("cols", Event::End(_), Some(edits)) => {
                    is_in_columns = false;
                    edits.finish(prefix(&tag.replacen('/', "", 1)), output);
                    columns = None;
                    output.extend_from_slice(raw);
                }
                ("col", Event::Empty(_), Some(edits)) if is_in_columns => edits.push(&tag, output),
                ("col", Event::Start(_), Some(edits)) if is_in_columns => {
                    edits.push(&format!("{}/>", tag.trim_end_matches('>')), output);
                }
                ("col", Event::End(_), Some(_)) if is_in_columns => {}
                ("sheetData", Event::Start(_) | Event::Empty(_), _) => {
                    self.prefix = prefix(&tag).to_owned();
                    if let Some(edits) = &mut columns {
                        output.extend_from_slice(format!("<{}cols>", self.prefix).as_bytes());
                        edits.finish(&self.prefix, output);
                        output.extend_from_slice(format!("</{}cols>", self.prefix).as_bytes());
                    }
                    output.extend_from_slice(raw);
                    if matches!(event, Event::Empty(_)) {
                        self.place = Place::Tail { depth: 1, filter_depth: None };
                    }
                    return Ok(());
                }
                _ => output.extend_from_slice(raw),
            }
        }
    }

    /// Copies one event behind the rows. Filters and sorts that move the rows of the table get the
    /// new columns.
    fn copy_tail(&mut self, depth: u32, filter_depth: Option<u32>) -> Result<bool, WorkbookError> {
        let Some((event, raw)) = self.xml.next_event()? else {
            self.place = Place::End;
            return Ok(false);
        };
        let open_filter = |depth: u32| filter_depth.filter(|filter_depth| *filter_depth < depth);
        let name = match &event {
            Event::Start(tag) | Event::Empty(tag) => tag.local_name(),
            other => {
                let depth = depth_after(other, depth);
                self.output.extend_from_slice(raw);
                self.place = Place::Tail { depth, filter_depth: open_filter(depth) };
                return Ok(true);
            }
        };
        let is_filter = FILTER_DEPTHS.contains(&depth) && name.as_ref() == "autoFilter";
        let is_in_filter = filter_depth.is_some_and(|filter_depth| filter_depth + 1 == depth);
        let is_sort = name.as_ref() == "sortState" && (depth == 1 || is_in_filter);
        let tag = String::from_utf8_lossy(raw);
        let grown = match &self.changes.new_columns {
            Some(new) if is_filter || is_sort => {
                let range = raw_attribute(&tag, "ref").and_then(CellRange::parse);
                range.and_then(|range| new.table.grown_filter(&range))
            }
            _ => None,
        };
        let changed = grown.map(|range| set_attribute(&tag, "ref", &range.to_string()));
        self.output.extend_from_slice(changed.as_deref().unwrap_or(&tag).as_bytes());
        let filter_depth = if is_filter { Some(depth) } else { filter_depth };
        let depth = depth_after(&event, depth);
        let filter_depth = filter_depth.filter(|filter_depth| *filter_depth < depth);
        self.place = Place::Tail { depth, filter_depth };
        Ok(true)
    }

    fn insert_row(&mut self, row: u32, cells: &[(u32, &str)], style: CellStyle) {
        let prefix = self.prefix.clone();
        self.output.extend_from_slice(format!("<{prefix}row r=\"{}\">", row + 1).as_bytes());
        for (column, text) in cells {
            self.write_cell(row, (*column, text), style, None, None);
        }
        self.output.extend_from_slice(format!("</{prefix}row>").as_bytes());
        self.row = row + 1;
    }

    /// Copies the row that begins with `tag`, with `cells`.
    fn edit_cells(
        &mut self,
        tag: &str,
        row: PendingRow,
        mut cells: &[(u32, &str)],
        style: CellStyle,
    ) -> Result<(), WorkbookError> {
        self.row = row.number + 1;
        let tag = grow_spans(tag, cells);
        let tag = if row.is_empty { open_tag(&tag) } else { tag };
        self.output.extend_from_slice(tag.as_bytes());
        let (mut next_column, mut row_style) = (0, row.style);
        let mut end_tag = format!("</{}row>", prefix(&tag)).into_bytes();
        loop {
            if row.is_empty {
                break;
            }
            let (event, raw) = self.xml.require_event()?;
            let (tag, is_empty) = match &event {
                Event::Start(tag) => (tag, false),
                Event::Empty(tag) => (tag, true),
                Event::End(_) => {
                    end_tag = raw.to_vec();
                    break;
                }
                _ => {
                    self.output.extend_from_slice(raw);
                    continue;
                }
            };
            let (mut end, mut cell) = (u32::MAX, CellTag::default());
            if tag.local_name().as_ref() == "c" {
                cell = CellTag::read(tag);
                end = cell.column(next_column);
                next_column = end + 1;
            }
            // Cells have to be in order, and other elements of a row follow its cells.
            let raw = raw.to_vec();
            while let Some((first, rest)) = cells.split_first().filter(|((at, _), _)| *at < end) {
                self.write_cell(row.number, *first, style, None, row_style);
                cells = rest;
            }
            if let Some((first, rest)) = cells.split_first().filter(|((at, _), _)| *at == end) {
                self.write_cell(row.number, *first, style, Some(&cell), row_style);
                cells = rest;
                if !is_empty {
                    self.skip_element()?;
                }
                continue;
            }
            if Some(end) == self.changes.style_column {
                row_style = Some(cell.style.unwrap_or_default());
            }
            self.output.extend_from_slice(&raw);
            if !is_empty {
                self.copy_element()?;
            }
        }
        for cell in cells {
            self.write_cell(row.number, *cell, style, None, row_style);
        }
        self.output.extend_from_slice(&end_tag);
        Ok(())
    }

    /// `replaced` is the cell that is replaced, if there is one; `row_style` is the format of
    /// the row's cell in the style column.
    fn write_cell(
        &mut self,
        row: u32,
        (column, text): (u32, &str),
        style: CellStyle,
        replaced: Option<&CellTag>,
        row_style: Option<u32>,
    ) {
        let like_row = || {
            let base = row_style.or(self.changes.column_style);
            self.changes.text_formats.text_format(base)
        };
        let style = match (style, replaced) {
            (CellStyle::Fixed(style), _) => style,
            (CellStyle::Kept, Some(cell)) => cell.style,
            (CellStyle::LikeRow, _) | (CellStyle::Kept, None) => like_row(),
        };
        NewCell { row, column, style, text }.write(&self.prefix, &mut self.output);
    }
}

/// How many elements are open after an event.
fn depth_after(event: &Event<'_>, depth: u32) -> u32 {
    match event {
        Event::Start(_) => depth + 1,
        Event::End(_) => depth.saturating_sub(1),
        _ => depth,
    }
}

/// The tag of a row with the columns of `cells` in its `spans`, which say where its cells are.
fn grow_spans(tag: &str, cells: &[(u32, &str)]) -> String {
    let (Some(spans), Some((first, _)), Some((last, _))) =
        (raw_attribute(tag, "spans"), cells.first(), cells.last())
    else {
        return tag.to_owned();
    };
    let (mut from, mut until) = (first + 1, last + 1);
    for span in spans.split_whitespace() {
        let Some((start, end)) = span.split_once(':') else { return tag.to_owned() };
        let (Ok(start), Ok(end)) = (start.parse(), end.parse()) else { return tag.to_owned() };
        (from, until) = (from.min(start), until.max(end));
    }
    set_attribute(tag, "spans", &format!("{from}:{until}"))
}

fn damaged(error: &io::Error) -> WorkbookError {
    WorkbookError::Damaged(error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::raw::cell_name::cell_name;

    /// The column whose format new cells have, and the new columns.
    const STYLE_COLUMN: u32 = 2;
    const NEW: [u32; 2] = [3, 4];
    const TEXTS: [&str; 2] = ["u<1>", ""];

    /// A row of a random sheet.
    #[derive(Clone, Debug)]
    struct RandomRow {
        /// How many rows are missing before it.
        gap: u32,
        /// Whether it gets new cells, and whether it is in the input.
        is_edited: bool,
        is_present: bool,
        has_spans: bool,
        /// For each column, whether it has a cell.
        cells: Vec<bool>,
        /// Between cells, and before the row.
        noise: String,
        style: u32,
    }

    fn any_row() -> impl Strategy<Value = RandomRow> {
        let noise = proptest::sample::select(vec!["", "\r\n\t", "<!-- <c> & -->", "<?p x?>"]);
        let cells = proptest::collection::vec(any::<bool>(), 0..8);
        (0..3_u32, any::<[bool; 3]>(), cells, noise, 0..4_u32).prop_map(
            |(gap, [is_edited, is_absent, has_spans], cells, noise, style)| RandomRow {
                gap,
                is_edited,
                is_present: !is_absent || !is_edited,
                has_spans,
                cells,
                noise: noise.to_owned(),
                style,
            },
        )
    }

    /// The sheet before and after the edit.
    struct Sheets {
        prefix: &'static str,
        before: String,
        after: String,
    }

    impl Sheets {
        fn push(&mut self, text: &str) {
            self.before.push_str(text);
            self.after.push_str(text);
        }

        fn push_new_cells(&mut self, row: u32, columns: &[u32], style: u32) {
            for column in columns {
                let text = TEXTS[NEW.iter().position(|new| new == column).unwrap()];
                let style = Some(style).filter(|style| *style != 0);
                let mut xml = Vec::new();
                NewCell { row, column: *column, style, text }.write(self.prefix, &mut xml);
                self.after.push_str(&String::from_utf8(xml).unwrap());
            }
        }

        fn push_row(&mut self, number: u32, row: &RandomRow) {
            let prefix = self.prefix;
            let spans =
                |text| if row.has_spans { format!(" spans='{text}'") } else { String::new() };
            let tag = |spans: String| format!("<{prefix}row r=\"{}\"{spans} ht=\"9\"", number + 1);
            let after = spans(if row.is_edited { "1:5" } else { "1:3" });
            self.before.push_str(&tag(spans("1:3")));
            self.after.push_str(&tag(after));
            if row.cells.is_empty() && row.noise.is_empty() {
                self.before.push_str("/>");
                if row.is_edited {
                    self.after.push('>');
                    self.push_new_cells(number, &NEW, 0);
                    self.after.extend([format!("</{prefix}row>")]);
                } else {
                    self.after.push_str("/>");
                }
                return;
            }
            self.push(">");
            let mut new: &[u32] = if row.is_edited { &NEW } else { &[] };
            let mut style = 0;
            for (column, has_cell) in (0..).zip(&row.cells) {
                self.push(&row.noise);
                if !has_cell {
                    continue;
                }
                let earlier = new.iter().take_while(|new| **new < column).count();
                self.push_new_cells(number, &new[..earlier], style);
                new = &new[earlier..];
                let position = cell_name(number, column);
                if new.first() == Some(&column) {
                    self.before.extend([format!("<{prefix}c r=\"{position}\" s=\"7\"/>")]);
                    self.push_new_cells(number, &[column], style);
                    new = &new[1..];
                } else {
                    let value = format!("<{prefix}v>&#49;</{prefix}v>");
                    self.push(&format!(
                        "<{prefix}c s='{}' r=\"{position}\">{value}</{prefix}c >",
                        row.style
                    ));
                }
                if column == STYLE_COLUMN {
                    style = row.style;
                }
            }
            self.push_new_cells(number, new, style);
            self.push(&format!("</{prefix}row\n>"));
        }
    }

    fn changes(new_columns: Option<NewColumns>) -> SheetChanges {
        SheetChanges {
            style_column: Some(STYLE_COLUMN),
            column_style: None,
            text_formats: TextFormats::default(),
            changed_range: CellRange::parse("A1").unwrap(),
            new_columns,
        }
    }

    fn edit(part: &[u8], changes: SheetChanges, rows: &[u32]) -> Vec<u8> {
        let mut editor = SheetEditor::new(part, changes).unwrap();
        let (mut copy, cells) = (Vec::new(), [(NEW[0], TEXTS[0]), (NEW[1], TEXTS[1])]);
        for row in rows {
            while editor.copy_row_before(*row).unwrap() {
                editor.take_output(&mut copy);
            }
            editor.edit_row(*row, &cells, CellStyle::LikeRow).unwrap();
        }
        while editor.copy_piece().unwrap() {
            editor.take_output(&mut copy);
        }
        editor.take_output(&mut copy);
        copy
    }

    proptest! {
        /// Without the new cells, and without the empty cells that they replace, the sheet is that
        /// of the input, whatever its prefixes, its encoding and the rows that are edited.
        #[test]
        fn everything_but_the_new_cells_passes_through(
            rows in proptest::collection::vec(any_row(), 0..8),
            prefix in proptest::sample::select(vec!["", "x:"]),
            encoding in proptest::sample::select(
                vec![PartEncoding::Utf8, PartEncoding::Utf16Le, PartEncoding::Utf16Be],
            ),
        ) {
            let mut sheets = Sheets { prefix, before: String::new(), after: String::new() };
            sheets.push(&format!(
                "\u{feff}<?xml version=\"1.0\"?>\n<{prefix}worksheet a='>'><{prefix}dimension \
                 ref=\"A1:Z9\"/><{prefix}cols><{prefix}col min=\"1\" max=\"16384\"/></{prefix}cols>\
                 <{prefix}sheetData>"
            ));
            let (mut number, mut edited, mut absent) = (0, Vec::new(), Vec::new());
            for row in &rows {
                number += row.gap;
                if row.is_edited {
                    edited.push(number);
                }
                if row.is_present {
                    sheets.push(&row.noise);
                    for number in absent.drain(..) {
                        sheets.after.extend([format!("<{prefix}row r=\"{}\">", number + 1)]);
                        sheets.push_new_cells(number, &NEW, 0);
                        sheets.after.extend([format!("</{prefix}row>")]);
                    }
                    sheets.push_row(number, row);
                } else {
                    absent.push(number);
                }
                number += 1;
            }
            for number in absent {
                sheets.after.extend([format!("<{prefix}row r=\"{}\">", number + 1)]);
                sheets.push_new_cells(number, &NEW, 0);
                sheets.after.extend([format!("</{prefix}row>")]);
            }
            sheets.push(&format!(
                "</{prefix}sheetData ><{prefix}autoFilter ref=\"A1:C9\"/><!-- x --><{prefix}extLst>\
                 <x14:c r=\"D1\"/></{prefix}extLst></{prefix}worksheet>\r\n"
            ));
            let (mut before, mut after) = (Vec::new(), Vec::new());
            encoding.encode(sheets.before.as_bytes(), &mut before);
            encoding.encode(sheets.after.as_bytes(), &mut after);
            let copy = edit(&before, changes(None), &edited);
            prop_assert!(
                copy == after,
                "{}\n{}\n{}", sheets.before, sheets.after, String::from_utf8_lossy(&copy)
            );
        }
    }

    #[test]
    fn the_sheet_around_its_rows_follows_new_columns() {
        let table = GrownTable { range: CellRange::parse("A3:C9").unwrap(), last_column: 4 };
        let edited = |xml: &str| {
            let new_columns = NewColumns { first: 3, widths: vec![24, 12], table };
            let changed_range = CellRange::parse("D3:E9").unwrap();
            let changes = SheetChanges { changed_range, ..changes(Some(new_columns)) };
            String::from_utf8(edit(xml.as_bytes(), changes, &[])).unwrap()
        };
        let columns = "<col min=\"4\" max=\"4\" width=\"24\" customWidth=\"1\"/>\
                       <col min=\"5\" max=\"5\" width=\"12\" customWidth=\"1\"/>";
        for (xml, expected) in [
            (
                "<a><dimension ref=\"A1:C9\"/><sheetData/><autoFilter ref=\"A3:C9\"/></a>",
                format!(
                    "<a><dimension ref=\"A1:E9\"/><cols>{columns}</cols><sheetData/>\
                     <autoFilter ref=\"A3:E9\"/></a>"
                ),
            ),
            (
                "<a><cols><col min=\"1\" max=\"1\"></col></cols><sheetData></sheetData><sortState \
                 ref=\"A4:C9\"><sortCondition ref=\"A4:A9\"/></sortState></a>",
                format!(
                    "<a><cols><col min=\"1\" max=\"1\"/>{columns}</cols><sheetData></sheetData>\
                     <sortState ref=\"A4:E9\"><sortCondition ref=\"A4:A9\"/></sortState></a>"
                ),
            ),
            (
                "<a><cols/><sheetData></sheetData><v><autoFilter ref=\"A3:C9\"/></v>\
                 <autoFilter ref=\"A12:C19\"/></a>",
                format!(
                    "<a><cols>{columns}</cols><sheetData></sheetData><v>\
                     <autoFilter ref=\"A3:C9\"/></v><autoFilter ref=\"A12:C19\"/></a>"
                ),
            ),
            (
                "<a><cols/><sheetData/><vs><v><autoFilter ref=\"A3:C9\"><sortState ref=\"A4:C9\"/>\
                 </autoFilter></v></vs><x><y><z><autoFilter ref=\"A3:C9\"/></z></y></x></a>",
                format!(
                    "<a><cols>{columns}</cols><sheetData/><vs><v><autoFilter ref=\"A3:E9\">\
                     <sortState ref=\"A4:E9\"/></autoFilter></v></vs><x><y><z>\
                     <autoFilter ref=\"A3:C9\"/></z></y></x></a>"
                ),
            ),
        ] {
            assert_eq!(edited(xml), expected);
        }
    }

    #[test]
    fn cells_of_answers_are_replaced_or_added_in_order() {
        let xml = "<a><sheetData><row r=\"2\"><c r=\"A2\" s=\"5\"/><c r=\"C2\" s=\"6\" t=\"s\"><v>1\
                   </v></c><c r=\"F2\"/></row></sheetData></a>";
        let expected = "<a><sheetData><row r=\"2\"><c r=\"A2\" s=\"5\"/><c r=\"C2\" s=\"6\" \
                        t=\"inlineStr\"><is><t>x</t></is></c><c r=\"D2\"/><c r=\"F2\"/></row>\
                        </sheetData></a>";
        let mut editor = SheetEditor::new(xml.as_bytes(), changes(None)).unwrap();
        assert!(!editor.copy_row_before(1).unwrap());
        editor.edit_row(1, &[(2, "x"), (3, "")], CellStyle::Kept).unwrap();
        assert!(editor.edit_row(1, &[], CellStyle::Kept).is_err());
        while editor.copy_piece().unwrap() {}
        let mut copy = Vec::new();
        editor.take_output(&mut copy);
        assert_eq!(String::from_utf8(copy).unwrap(), expected);
    }
}
