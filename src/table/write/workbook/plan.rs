//! Plans the copy of a workbook before the first row is written: where new cells go, what changes
//! in other parts, and what a person should know.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::{self, BufReader, Read};
use std::time::SystemTime;

use quick_xml::events::Event;
use zip::ZipArchive;

use crate::table::header::Header;
use crate::table::raw::cell_name::cell_name;
use crate::table::raw::row_parser::MAX_COLUMNS;
use crate::table::unpack::workbook::SheetOrigin;
use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::limits::MAX_LIST_BYTES;
use crate::table::unpack::workbook::package::{Archive, Parts};
use crate::table::unpack::workbook::part_encoding::{PartEncoding, Utf8Part};
use crate::table::unpack::workbook::part_reader::attribute;
use crate::table::unpack::workbook::shared_file::SharedFile;
use crate::table::write::workbook::archive_entry::ArchiveEntry;
use crate::table::write::workbook::cell_range::{CellRange, column_letters};
use crate::table::write::workbook::column_widths::column_width;
use crate::table::write::workbook::defined_names::{GrownTable, extend_names};
use crate::table::write::workbook::part_edits::PlacedEvents;
use crate::table::write::workbook::sheet_editor::{NewColumns, SheetChanges};
use crate::table::write::workbook::sheet_survey::{Obstacle, SheetSurvey, SurveyRequest};
use crate::table::write::workbook::styles::{TextFormats, append_text_formats};
use crate::table::write::workbook::tables::TablePart;
use crate::table::write::workbook::warning::CopyWarning;

/// What a run writes into the sheet.
#[derive(Clone, Debug)]
pub(crate) enum SheetTask {
    /// New columns with these names. `is_flexible` puts them to the right of all values.
    Append { names: Vec<String>, is_flexible: bool },
    /// Other content for the cells of these columns of the table, from 0.
    Replace { columns: Vec<usize> },
}

/// The names of new columns, where a header has them.
#[derive(Debug)]
pub(crate) struct NewHeader {
    /// The row of the header, from 0.
    pub row: u32,
    pub names: Vec<String>,
    /// The format of the header's last cell.
    pub style: Option<u32>,
}

/// Everything that is known before the first row is written.
#[derive(Debug)]
pub(crate) struct CopyPlan {
    pub file: SharedFile,
    /// The size of the file and when it was changed last.
    pub version: FileVersion,
    pub entries: Vec<ArchiveEntry>,
    pub archive_comment: Vec<u8>,
    /// The position of the sheet among the entries.
    pub sheet_entry: usize,
    /// The content of other entries that change, by their position.
    pub changed_entries: BTreeMap<usize, Vec<u8>>,
    pub changes: SheetChanges,
    pub new_header: Option<NewHeader>,
    /// The row, from 0, with the totals of the table, which stays as it is.
    pub totals_row: Option<u32>,
    /// The first column of the table in the sheet, from 0.
    pub left: u32,
    pub warnings: Vec<CopyWarning>,
}

/// Differs if a file was written to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileVersion {
    size: u64,
    modified: Option<SystemTime>,
}

impl FileVersion {
    #[must_use]
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { size: metadata.len(), modified: metadata.modified().ok() }
    }
}

impl CopyPlan {
    /// Plans a copy of the workbook of `origin`, whose table begins with `header`. The sheet is
    /// read to its end once.
    ///
    /// # Errors
    /// [`WorkbookError`] if a part cannot be read, and if something is in the way of new cells.
    pub(crate) fn prepare(
        origin: &SheetOrigin,
        header: &Header,
        task: &SheetTask,
    ) -> Result<Self, WorkbookError> {
        let file = origin.file.at(0);
        let damaged = |error: io::Error| WorkbookError::Damaged(error.to_string());
        let version = FileVersion::of(&file.metadata().map_err(damaged)?);
        let mut archive: Archive = ZipArchive::new(BufReader::new(file.clone()))?;
        let entries = ArchiveEntry::read_all(&mut archive, &file)?;
        // The largest number says that there are more.
        if entries.len() >= usize::from(u16::MAX) {
            return Err(WorkbookError::TooManyParts);
        }
        let (place, survey) = Placement::find(origin, header, task, &entries)?;
        let planner = Planner { origin, file: &file, entries: &entries, place: &place };
        let mut warnings = planner.workbook_warnings(&archive, &survey)?;
        let mut changed_entries = BTreeMap::new();
        let tables = planner.read_tables(&mut archive)?;
        let totals_row = tables.totals_row(&place);
        if let Some(grown) = &place.grown {
            warnings.extend(planner.grow_tables(&tables, grown, &mut changed_entries)?);
            let extend = |xml: &str| extend_names(xml, &origin.name, grown);
            planner.change_part(origin.workbook_part, &mut changed_entries, extend)?;
        }
        let mut text_formats = TextFormats::default();
        let mut has_text_formats = false;
        if let Some(styles) = origin.styles_part {
            planner.change_part(styles, &mut changed_entries, |xml| {
                let (edited, formats) = append_text_formats(xml, &survey.styles)?;
                has_text_formats = survey.styles.iter().all(|base| formats.has_text(*base));
                text_formats = formats;
                Ok(edited)
            })?;
        }
        if !has_text_formats {
            warnings.push(CopyWarning::NoTextFormat);
        }
        let Placement { header_row, style_column, changed_range, grown, first, names } = place;
        let new_header = header_row.filter(|_| grown.is_some()).map(|row| NewHeader {
            row,
            names: names.clone(),
            style: survey.header_style,
        });
        let new_columns = grown.map(|table| NewColumns {
            first,
            widths: names.iter().map(|name| column_width(name)).collect(),
            table,
        });
        let changes = SheetChanges {
            style_column,
            column_style: survey.column_style,
            text_formats,
            changed_range,
            new_columns,
        };
        Ok(Self {
            version,
            sheet_entry: origin.sheet_part,
            archive_comment: archive.comment().to_vec(),
            changed_entries,
            changes,
            new_header,
            totals_row,
            left: origin.extent.left,
            warnings,
            file,
            entries,
        })
    }
}

/// Where cells are written.
struct Placement {
    header_row: Option<u32>,
    /// The first new column, from 0.
    first: u32,
    names: Vec<String>,
    style_column: Option<u32>,
    changed_range: CellRange,
    /// `None` if no column is new.
    grown: Option<GrownTable>,
}

impl Placement {
    fn find(
        origin: &SheetOrigin,
        header: &Header,
        task: &SheetTask,
        entries: &[ArchiveEntry],
    ) -> Result<(Self, SheetSurvey), WorkbookError> {
        let line = u32::try_from(header.line.saturating_sub(1)).unwrap_or(u32::MAX);
        let header_row = header.appended_names.is_some().then_some(line);
        let (left, last) = (origin.extent.left, origin.extent.left + origin.extent.width - 1);
        let in_sheet = |column: &usize| left + u32::try_from(*column).unwrap_or(u32::MAX - left);
        let (last_column, replaced) = match task {
            SheetTask::Append { is_flexible: false, .. } if header_row.is_some() => {
                (None, Vec::new())
            }
            SheetTask::Append { .. } => (Some(last), Vec::new()),
            SheetTask::Replace { columns } => {
                let columns: Vec<u32> = columns.iter().map(in_sheet).collect();
                let first = columns.iter().min().copied().unwrap_or_default();
                (Some(first.saturating_sub(1)), columns)
            }
        };
        let strings = &origin.context.strings;
        let request = SurveyRequest {
            sheet: &origin.name,
            header_row,
            first_row: header_row.map_or(line, |row| row + 1),
            last_column,
            header_column: None,
            replaced_columns: &replaced,
            is_empty_string: &|index| strings.is_empty_at(index),
        };
        let sheet = entries.get(origin.sheet_part).ok_or(WorkbookError::TooManyParts)?;
        let read = |request| {
            SheetSurvey::read(sheet.unpacked(&origin.file), request)
                .map_err(|error| error.in_part(&origin.name))
        };
        let mut survey = read(request)?;
        // Merged cells are listed behind the rows, whose formats depend on the last column.
        let header_end = survey.header_merge_end.filter(|end| *end > survey.last_column);
        if last_column.is_none() && header_end.is_some() {
            let (last_column, header_column) = (header_end, header_end);
            survey = read(SurveyRequest { last_column, header_column, ..request })?;
        }
        let top = header_row.unwrap_or(line);
        let bottom = survey.last_row.max(top);
        let place = match task {
            SheetTask::Append { names, is_flexible } => {
                let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
                let is_beside_all = *is_flexible || header_row.is_none();
                let first = survey.first_free_column(is_beside_all);
                let end = first.saturating_add(count);
                if end as usize > MAX_COLUMNS {
                    let column = column_letters(first.saturating_sub(1));
                    return Err(WorkbookError::NoRoom { sheet: origin.name.clone(), column });
                }
                check_free(&survey, origin, first, count)?;
                let right = first - 1;
                let grown = GrownTable {
                    range: CellRange { top, left, bottom, right },
                    last_column: end - 1,
                };
                Self {
                    header_row,
                    first,
                    names: names.clone(),
                    style_column: Some(survey.last_column),
                    changed_range: CellRange { top, left: first, bottom, right: end - 1 },
                    grown: Some(grown),
                }
            }
            SheetTask::Replace { .. } => {
                let first = replaced.iter().min().copied().unwrap_or(left);
                let right = replaced.iter().max().copied().unwrap_or(left);
                let merge =
                    replaced.iter().find_map(|&at| Some((at, survey.merge_across(at, at)?)));
                if let Some((column, range)) = merge {
                    return Err(WorkbookError::MergedAnswers {
                        sheet: origin.name.clone(),
                        range: range.to_string(),
                        column: column_letters(column),
                    });
                }
                Self {
                    header_row,
                    first,
                    names: Vec::new(),
                    style_column: first.checked_sub(1),
                    changed_range: CellRange { top, left: first, bottom, right },
                    grown: None,
                }
            }
        };
        Ok((place, survey))
    }
}

/// Columns as spreadsheets name them, such as `G:K`.
fn column_span(first: u32, last: u32) -> String {
    format!("{}:{}", column_letters(first), column_letters(last))
}

/// Checks that nothing is in the way of new columns.
fn check_free(
    survey: &SheetSurvey,
    origin: &SheetOrigin,
    first: u32,
    count: u32,
) -> Result<(), WorkbookError> {
    let sheet = origin.name.clone();
    let columns = column_span(first, first + count - 1);
    match survey.obstacle(first, count) {
        None => Ok(()),
        Some(Obstacle::Value(row, column)) => {
            Err(WorkbookError::CellInTheWay { sheet, cell: cell_name(row, column), columns })
        }
        Some(Obstacle::Merge(range)) => {
            Err(WorkbookError::MergeInTheWay { sheet, range: range.to_string(), columns })
        }
    }
}

/// Plans the changes of parts.
struct Planner<'a> {
    origin: &'a SheetOrigin,
    file: &'a SharedFile,
    entries: &'a [ArchiveEntry],
    place: &'a Placement,
}

impl Planner<'_> {
    /// What a person should know of the workbook and of the sheet.
    fn workbook_warnings(
        &self,
        archive: &Archive,
        survey: &SheetSurvey,
    ) -> Result<Vec<CopyWarning>, WorkbookError> {
        let mut warnings = Vec::new();
        if Parts::list(archive)?.has_folder("_xmlsignatures") {
            warnings.push(CopyWarning::Signed);
        }
        if is_read_only(&self.read_part(self.origin.workbook_part)?.text)? {
            warnings.push(CopyWarning::ReadOnly);
        }
        if survey.is_protected {
            warnings.push(CopyWarning::ProtectedSheet(self.origin.name.clone()));
        }
        Ok(warnings)
    }

    fn read_tables(&self, archive: &mut Archive) -> Result<SheetTables, WorkbookError> {
        let parts = Parts::list(archive)?;
        let sheet = archive.name_for_index(self.origin.sheet_part).transpose()?;
        let sheet = sheet.ok_or(WorkbookError::TooManyParts)?.into_owned();
        let mut tables = SheetTables::default();
        for target in parts.targets(archive, &sheet)? {
            tables.has_query |= target.kind == "queryTable";
            if target.kind != "table" {
                continue;
            }
            let index = parts.find(&target.part);
            let part = index.map(|index| self.read_part(index)).transpose()?;
            let table = part.as_ref().map(|part| TablePart::read(&part.text)).transpose()?;
            let (Some(index), Some(part), Some(mut description)) = (index, part, table.flatten())
            else {
                tables.unreadable.push(target.part);
                continue;
            };
            let related = parts.targets(archive, &target.part)?;
            description.is_query |= related.iter().any(|target| target.kind == "queryTable");
            if description.range.shares_rows(&self.place.changed_range) {
                tables.beside_rows.push(SheetTable { index, part, description });
            }
        }
        tables.beside_rows.sort_by_key(|table| table.index);
        Ok(tables)
    }

    /// Extends the table that the rows are in.
    fn grow_tables(
        &self,
        tables: &SheetTables,
        grown: &GrownTable,
        changed: &mut BTreeMap<usize, Vec<u8>>,
    ) -> Result<Vec<CopyWarning>, WorkbookError> {
        let Placement { changed_range, first, names, .. } = self.place;
        let ranges = tables.beside_rows.iter().map(|table| &table.description);
        if let Some(table) = ranges.clone().find(|table| table.range.overlaps(changed_range)) {
            return Err(WorkbookError::TableInTheWay {
                sheet: self.origin.name.clone(),
                table: table.name.clone(),
                range: table.range.to_string(),
                columns: column_span(*first, grown.last_column),
            });
        }
        let unreadable = tables.unreadable.iter().cloned();
        let mut warnings: Vec<_> = unreadable.map(CopyWarning::UnreadableTable).collect();
        if tables.has_query {
            warnings.push(CopyWarning::Query(self.origin.name.clone()));
        }
        match &*tables.beside_rows {
            [] => {}
            [SheetTable { index, part, description: table }] => {
                if table.is_query {
                    warnings.push(CopyWarning::Query(table.name.clone()));
                } else if !table.can_grow(grown, *first, names) {
                    warnings.push(CopyWarning::TableNotExtended(table.name.clone()));
                } else if let Some(xml) = table.grow(&part.text, grown.last_column, names) {
                    changed.insert(*index, part.encode(&xml));
                }
            }
            _ => {
                let names = ranges.map(|table| table.name.clone()).collect();
                warnings.push(CopyWarning::SideBySide(names));
            }
        }
        Ok(warnings)
    }

    fn change_part(
        &self,
        index: usize,
        changed: &mut BTreeMap<usize, Vec<u8>>,
        change: impl FnOnce(&str) -> Result<Option<String>, WorkbookError>,
    ) -> Result<(), WorkbookError> {
        let part = self.read_part(index)?;
        if let Some(xml) = change(&part.text)? {
            changed.insert(index, part.encode(&xml));
        }
        Ok(())
    }

    fn read_part(&self, index: usize) -> Result<DecodedPart, WorkbookError> {
        let entry = self.entries.get(index).ok_or(WorkbookError::TooManyParts)?;
        DecodedPart::read(entry.unpacked(self.file))
    }
}

/// What is known of the tables of a sheet.
#[derive(Default)]
struct SheetTables {
    /// The parts that should have a table and have none.
    unreadable: Vec<String>,
    /// Those that have rows in common with the changed cells.
    beside_rows: Vec<SheetTable>,
    /// Whether a query fills cells of the sheet.
    has_query: bool,
}

impl SheetTables {
    /// The row with totals of the only table, if that is the one of the changed cells.
    fn totals_row(&self, place: &Placement) -> Option<u32> {
        let [SheetTable { description: table, .. }] = &*self.beside_rows else { return None };
        let is_own = match &place.grown {
            Some(_) => table.range.right + 1 == place.first,
            None => table.range.overlaps(&place.changed_range),
        };
        table.totals_row().filter(|_| is_own)
    }
}

/// A table of the sheet, and its part.
struct SheetTable {
    /// The position of the part among the entries.
    index: usize,
    part: DecodedPart,
    description: TablePart,
}

/// A small part, decoded.
struct DecodedPart {
    text: String,
    encoding: PartEncoding,
    bom: Vec<u8>,
}

impl DecodedPart {
    fn read(part: impl Read) -> Result<Self, WorkbookError> {
        let damaged = |error: io::Error| WorkbookError::Damaged(error.to_string());
        let mut reader = Utf8Part::new(part);
        let (encoding, bom) = reader.encoding().map_err(damaged)?;
        let bom = bom.to_vec();
        let mut text = String::new();
        reader.take(MAX_LIST_BYTES + 1).read_to_string(&mut text).map_err(damaged)?;
        if text.len() as u64 > MAX_LIST_BYTES {
            return Err(WorkbookError::UnpackedTooLarge);
        }
        Ok(Self { text, encoding, bom })
    }

    fn encode(&self, text: &str) -> Vec<u8> {
        let mut part = self.bom.clone();
        self.encoding.encode(text.as_bytes(), &mut part);
        part
    }
}

/// Whether a workbook asks to be opened for reading only.
fn is_read_only(workbook: &str) -> Result<bool, WorkbookError> {
    let mut events = PlacedEvents::new(workbook);
    while let Some((event, _)) = events.next_event()? {
        let (Event::Start(tag) | Event::Empty(tag)) = &event else { continue };
        if tag.local_name().as_ref() == "fileSharing" {
            let is_recommended = attribute(tag, "readOnlyRecommended")?;
            let has_password = attribute(tag, "reservationPassword")?.is_some()
                || attribute(tag, "hashValue")?.is_some();
            return Ok(has_password || is_recommended.is_some_and(|on| on == "1" || on == "true"));
        }
    }
    Ok(false)
}
