//! Reads a sheet of a workbook (`.xlsx`, `.xlsm`) as CSV.

pub(crate) mod cell_reader;
pub(crate) mod cell_text;
pub(crate) mod conditional_formats;
pub(crate) mod csv_reader;
pub(crate) mod error;
pub(crate) mod limits;
pub(crate) mod number_format;
pub(crate) mod package;
pub(crate) mod part_encoding;
pub(crate) mod part_reader;
pub(crate) mod shared_file;
pub(crate) mod shared_strings;
pub(crate) mod spilled_bytes;
pub(crate) mod styles;

use std::fs::File;
use std::sync::Arc;

use tr::tr;

use crate::table::detect::columns::is_same_name;
use crate::table::raw::missing_values::MissingValues;
use crate::table::raw::row_numbers::RowNumbers;
use crate::table::unpack::workbook::cell_reader::CellContext;
use crate::table::unpack::workbook::csv_reader::{CsvReader, Extent, SheetScan, sample, scan};
use crate::table::unpack::workbook::error::{SheetDoubt, WorkbookError};
use crate::table::unpack::workbook::package::{Package, SheetEntry};
use crate::table::unpack::workbook::shared_file::SharedFile;

/// How much of a sheet is rated, as CSV in bytes.
const SAMPLE_BYTES: usize = 64 << 10;
/// How much of a sheet is rated of which the first rows have no number.
const MAX_SAMPLE_BYTES: usize = 16 << 20;

/// How well a sheet fits as the table of numbers, from its first rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SheetFit {
    /// No column of numbers is found.
    NoNumbers,
    /// Some cells could be meant as numbers, such as a hotline in a sheet of instructions.
    StrayNumbers,
    /// There are mobile numbers, and no column of them is found.
    UnknownColumn,
    /// A header names a column of numbers, which has none that can be read.
    EmptyColumn,
    /// A column has mobile numbers.
    Numbers,
    /// A column has mobile numbers, and its header names it so.
    NamedNumbers,
}

/// Tells how well a sheet fits, from the CSV of its first rows.
pub(crate) type RateSheet<'a> = dyn Fn(Vec<u8>) -> SheetFit + 'a;

/// The selected sheet.
pub struct Sheet {
    /// Its name, with a remark if it is hidden.
    pub label: String,
    /// The labels of the other sheets that have rows.
    pub other_sheets: Vec<String>,
    pub missing_values: MissingValues,
    /// How the rows of the CSV are numbered.
    pub row_numbers: RowNumbers,
    /// The CSV: UTF-8 with a byte order mark, CRLF line ends, all rows of the same width. Empty
    /// rows and columns before the first non-empty cell and empty rows after the last one are
    /// omitted; an empty row in between is a blank line. A merged cell has its value in the first
    /// of its cells.
    pub reader: CsvReader,
    /// Where the rows come from; `None` for an empty sheet.
    pub(crate) origin: Option<SheetOrigin>,
}

/// What Excel opens a workbook as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkbookKind {
    Plain,
    WithMacros,
    Template,
}

/// The kind of a workbook, as the type of its main part says, whatever its name is. `None` if it
/// does not say.
#[must_use]
pub(crate) fn workbook_kind(file: File) -> Option<WorkbookKind> {
    let content_type = package::main_content_type(SharedFile::new(file)).ok()??;
    let content_type = content_type.to_ascii_lowercase();
    let main = content_type.strip_suffix(".main+xml")?;
    if main.ends_with("template") || main.ends_with("template.macroenabled") {
        Some(WorkbookKind::Template)
    } else if main.ends_with("sheet.macroenabled") {
        Some(WorkbookKind::WithMacros)
    } else {
        main.ends_with("spreadsheetml.sheet").then_some(WorkbookKind::Plain)
    }
}

/// Where the rows of a sheet come from: what a copy of its workbook has to know.
#[derive(Clone)]
pub(crate) struct SheetOrigin {
    pub file: SharedFile,
    /// The name of the sheet.
    pub name: String,
    /// The positions of parts in the archive: of the sheet, of the list of sheets, and of the cell
    /// formats.
    pub sheet_part: usize,
    pub workbook_part: usize,
    pub styles_part: Option<usize>,
    /// Where the CSV is in the sheet.
    pub extent: Extent,
    pub context: Arc<CellContext>,
}

/// Opens the sheet that is `wanted` by name or number, or the first of the visible sheets that is a
/// table of numbers. `delimiter` separates the cells of the CSV. The sheet is read to its end once,
/// so later reads fail only if the file changes.
pub fn open(
    file: File,
    wanted: Option<&str>,
    delimiter: char,
    rate_sheet: &RateSheet<'_>,
) -> Result<Sheet, WorkbookError> {
    let file = SharedFile::new(file);
    let mut package = Package::open(file.clone())?;
    let mut with_rows = Vec::new();
    for index in 0..package.sheets.len() {
        let first = match package.sheets[index].part {
            Some(_) => package.cells(index).and_then(|mut cells| cells.next_cell()),
            None => Ok(None),
        };
        // A cell that cannot be read matters on the selected sheet only.
        with_rows.push(!matches!(first, Ok(None)));
    }
    let chosen = match wanted {
        Some(wanted) => {
            find_sheet(&package.sheets, wanted).ok_or_else(|| WorkbookError::NoSuchSheet {
                requested: wanted.to_owned(),
                sheets: list_sheets(&package.sheets),
            })?
        }
        None => choose_sheet(&mut package, &with_rows, delimiter, rate_sheet)?,
    };
    if package.sheets[chosen].part.is_none() {
        let sheets = list_sheets(&package.sheets);
        return Err(WorkbookError::NoCells { sheet: package.sheets[chosen].name.clone(), sheets });
    }
    let label = sheet_label(&package.sheets[chosen]);
    let others = package.sheets.iter().zip(with_rows).enumerate();
    let other_sheets = others
        .filter(|(index, (_, has_rows))| *index != chosen && *has_rows)
        .map(|(_, (sheet, _))| sheet_label(sheet))
        .collect();
    let SheetScan { extent, missing_values, conditional_formats } =
        scan(&mut package.cells(chosen)?)?;
    let (top, left) = extent.map_or((0, 0), |extent| (extent.top, extent.left));
    let entry = &package.sheets[chosen];
    let row_numbers = RowNumbers::of_sheet(&entry.name, top, left);
    let origin = extent.zip(entry.part).map(|(extent, sheet_part)| SheetOrigin {
        file,
        name: entry.name.clone(),
        sheet_part,
        workbook_part: package.workbook_part,
        styles_part: package.styles_part,
        extent,
        context: Arc::clone(&package.context),
    });
    let reader = CsvReader::new(package, chosen, extent, conditional_formats, delimiter)?;
    Ok(Sheet { label, other_sheets, missing_values, row_numbers, reader, origin })
}

/// The names of the sheets with cells, and the numbers of the visible ones, in the order of the
/// workbook.
pub(crate) fn sheet_names(file: File) -> Result<Vec<(String, Option<usize>)>, WorkbookError> {
    let sheets = Package::open(SharedFile::new(file))?.sheets;
    let sheets = sheets.into_iter().filter(|sheet| sheet.part.is_some());
    Ok(sheets.map(|sheet| (sheet.name, sheet.number)).collect())
}

/// Chooses the first visible sheet that is a table of numbers or should be one. A hidden sheet is
/// never chosen.
///
/// # Errors
/// [`WorkbookError`] if a later visible sheet fits better: the first one may be the one that was
/// meant, and other people would be asked about. Also if there is no such sheet, unless the only
/// visible sheet or one with stray numbers will do.
fn choose_sheet(
    package: &mut Package,
    with_rows: &[bool],
    delimiter: char,
    rate_sheet: &RateSheet<'_>,
) -> Result<usize, WorkbookError> {
    let (mut first, mut stray, mut hidden, mut visible) = (None, None, None, Vec::new());
    let mut unreadable = None;
    for (index, has_rows) in with_rows.iter().enumerate() {
        if !has_rows {
            continue;
        }
        let is_visible = package.sheets[index].is_visible;
        if is_visible {
            visible.push(index);
        }
        let (fit, error) = rate(package, index, delimiter, rate_sheet);
        if is_visible && first.is_none() && fit < SheetFit::EmptyColumn {
            unreadable = unreadable.or(error.map(|error| (index, error)));
        }
        match (fit, first) {
            (SheetFit::NoNumbers, _) => {}
            _ if !is_visible => hidden = hidden.or(Some(index)),
            (SheetFit::StrayNumbers, _) => stray = stray.or(Some(index)),
            (fit, None) => {
                first = Some((fit, index));
                if fit == SheetFit::NamedNumbers {
                    break;
                }
            }
            (fit, Some((first_fit, first))) if fit > first_fit => {
                let doubt = match first_fit {
                    SheetFit::EmptyColumn => SheetDoubt::NoNumbers,
                    SheetFit::UnknownColumn => SheetDoubt::UnknownColumn,
                    _ => SheetDoubt::OtherName,
                };
                return Err(unclear_sheet(package, first, index, doubt));
            }
            _ => {}
        }
    }
    let found = first.map(|(_, index)| index).or(stray);
    if let (Some(found), Some((index, error))) = (found, unreadable) {
        return Err(if found == index {
            error
        } else {
            unclear_sheet(package, index, found, SheetDoubt::Unreadable(Box::new(error)))
        });
    }
    if found.is_none() && visible.len() > 1 {
        // A sheet that cannot be read may be the one with the numbers.
        for &index in &visible {
            scan(&mut package.cells(index)?)?;
        }
    }
    let sheets = list_sheets(&package.sheets);
    match (found, hidden, visible.as_slice()) {
        (Some(index), _, _) => Ok(index),
        // What is wrong with its column is a better message.
        (None, None, &[only]) => Ok(only),
        (None, None, []) => Err(WorkbookError::NoRows(sheets)),
        (None, hidden, _) => Err(WorkbookError::NoNumbers {
            sheets,
            hidden: hidden.map(|index| package.sheets[index].name.clone()),
        }),
    }
}

fn unclear_sheet(
    package: &Package,
    first: usize,
    other: usize,
    doubt: SheetDoubt,
) -> WorkbookError {
    let name = |index: usize| package.sheets[index].name.clone();
    WorkbookError::UnclearSheet { first: name(first), other: name(other), doubt }
}

/// How well a sheet fits, from as many of its rows as it takes to see a number, and why the rows
/// after them cannot be read.
fn rate(
    package: &mut Package,
    index: usize,
    delimiter: char,
    rate_sheet: &RateSheet<'_>,
) -> (SheetFit, Option<WorkbookError>) {
    let first = match sample(package, index, delimiter, SAMPLE_BYTES) {
        Ok((csv, None)) => match rate_sheet(csv) {
            fit @ (SheetFit::Numbers | SheetFit::NamedNumbers) => return (fit, None),
            fit => fit,
        },
        Ok((csv, error)) => return (rate_sheet(csv), error),
        Err(error) => return (SheetFit::NoNumbers, Some(error)),
    };
    // Its numbers may begin further down, and another sheet must not be taken for that.
    let (csv, error) = match sample(package, index, delimiter, MAX_SAMPLE_BYTES) {
        Ok(sample) => sample,
        Err(error) => return (SheetFit::NoNumbers, Some(error)),
    };
    let (length, fit) = (csv.len(), rate_sheet(csv));
    let fit = match (first, fit) {
        // A note in a short sheet is no column.
        (SheetFit::NoNumbers | SheetFit::UnknownColumn, SheetFit::UnknownColumn)
            if length <= SAMPLE_BYTES =>
        {
            SheetFit::NoNumbers
        }
        (SheetFit::NoNumbers, SheetFit::NoNumbers) if length >= MAX_SAMPLE_BYTES => {
            SheetFit::UnknownColumn
        }
        (_, fit) => fit,
    };
    (fit, error)
}

/// All sheets, the visible ones with their numbers, for messages.
fn list_sheets(sheets: &[SheetEntry]) -> String {
    let describe = |sheet: &SheetEntry| match sheet.number {
        Some(number) => format!("{number} {label}", label = sheet_label(sheet)),
        None => sheet_label(sheet),
    };
    sheets.iter().map(describe).collect::<Vec<_>>().join(&tr!("list" => ", "))
}

fn sheet_label(SheetEntry { name, is_visible, part, .. }: &SheetEntry) -> String {
    match (is_visible, part) {
        (false, _) => tr!("{name} (hidden)", name),
        (true, None) => tr!("{name} (no cells)", name),
        (true, Some(_)) => name.clone(),
    }
}

/// Finds a sheet by exact name, by name ignoring case as in Excel, or by the number of its tab.
fn find_sheet(sheets: &[SheetEntry], wanted: &str) -> Option<usize> {
    let exact = sheets.iter().position(|sheet| sheet.name == wanted);
    exact.or_else(|| sheets.iter().position(|sheet| is_same_name(&sheet.name, wanted))).or_else(
        || {
            let number: usize = wanted.trim().parse().ok()?;
            sheets.iter().position(|sheet| sheet.number == Some(number))
        },
    )
}
