//! Reads a sheet of a workbook (`.xlsx`, `.xlsm`) as CSV.

pub(crate) mod cell_reader;
pub(crate) mod cell_text;
pub(crate) mod conditional_formats;
pub(crate) mod csv_reader;
pub(crate) mod error;
pub(crate) mod limits;
pub(crate) mod number_format;
pub(crate) mod package;
pub(crate) mod part_reader;
pub(crate) mod shared_strings;
pub(crate) mod styles;

use std::fs::File;

use tr::tr;

use crate::table::detect::columns::is_same_name;
use crate::table::raw::missing_values::MissingValues;
use crate::table::unpack::workbook::csv_reader::{CsvReader, SheetScan, sample, scan};
use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::package::{Package, SheetEntry};

/// How much of a sheet is rated, as CSV in bytes.
const SAMPLE_BYTES: usize = 64 << 10;
/// How much of a sheet is rated whose column of numbers begins with blank cells.
const MAX_SAMPLE_BYTES: usize = 16 << 20;

/// How well a sheet fits as the table of numbers, from its first rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SheetFit {
    /// No column of numbers is found.
    NoNumbers,
    /// A header names a column of numbers.
    NamedColumn,
    /// A column has what could be meant as numbers.
    PossibleNumbers,
    /// A column has mobile numbers.
    MobileNumbers,
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
    /// The CSV: UTF-8 with a byte order mark, CRLF line ends, all rows of the same width. Empty
    /// rows and columns before the first non-empty cell and empty rows after the last one are
    /// omitted; an empty row in between is a blank line. A merged cell has its value in the first
    /// of its cells.
    pub reader: CsvReader,
}

/// Opens the sheet that is `wanted` by name or number, or the first of the visible sheets that fit
/// best. `delimiter` separates the cells of the CSV. The sheet is read to its end once, so later
/// reads fail only if the file changes.
pub fn open(
    file: File,
    wanted: Option<&str>,
    delimiter: char,
    rate_sheet: &RateSheet<'_>,
) -> Result<Sheet, WorkbookError> {
    let mut package = Package::open(file)?;
    let mut with_rows = Vec::new();
    for index in 0..package.sheets.len() {
        let first = package.cells(index).and_then(|mut cells| cells.next_cell());
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
    let label = sheet_label(&package.sheets[chosen]);
    let others = package.sheets.iter().zip(with_rows).enumerate();
    let other_sheets = others
        .filter(|(index, (_, has_rows))| *index != chosen && *has_rows)
        .map(|(_, (sheet, _))| sheet_label(sheet))
        .collect();
    let SheetScan { extent, missing_values, conditional_formats } =
        scan(&mut package.cells(chosen)?)?;
    let reader = CsvReader::new(package, chosen, extent, conditional_formats, delimiter)?;
    Ok(Sheet { label, other_sheets, missing_values, reader })
}

/// The names of the sheets, in the order of their numbers.
pub(crate) fn sheet_names(file: File) -> Result<Vec<String>, WorkbookError> {
    Ok(Package::open(file)?.sheets.into_iter().map(|sheet| sheet.name).collect())
}

/// The first of the visible sheets that fit best. A hidden sheet is never chosen.
fn choose_sheet(
    package: &mut Package,
    with_rows: &[bool],
    delimiter: char,
    rate_sheet: &RateSheet<'_>,
) -> Result<usize, WorkbookError> {
    let (mut best, mut hidden, mut visible) = (None, None, Vec::new());
    for (index, has_rows) in with_rows.iter().enumerate() {
        if !has_rows {
            continue;
        }
        let is_visible = package.sheets[index].is_visible;
        if is_visible {
            visible.push(index);
        }
        let fit = rate(package, index, delimiter, rate_sheet);
        match fit {
            SheetFit::NoNumbers => {}
            _ if !is_visible => hidden = hidden.or(Some(index)),
            SheetFit::MobileNumbers => return Ok(index),
            _ if best.is_none_or(|(best_fit, _)| best_fit < fit) => best = Some((fit, index)),
            _ => {}
        }
    }
    if best.is_none() && visible.len() > 1 {
        // A sheet that cannot be read may be the one with the numbers.
        for &index in &visible {
            scan(&mut package.cells(index)?)?;
        }
    }
    let sheets = list_sheets(&package.sheets);
    match (best, hidden, visible.as_slice()) {
        (Some((_, index)), _, _) => Ok(index),
        // What is wrong with its column is a better message.
        (None, None, &[only]) => Ok(only),
        (None, None, []) => Err(WorkbookError::NoRows(sheets)),
        (None, hidden, _) => Err(WorkbookError::NoNumbers {
            sheets,
            hidden: hidden.map(|index| package.sheets[index].name.clone()),
        }),
    }
}

/// How well a sheet fits, from as many of its rows as it takes to see a number.
fn rate(
    package: &mut Package,
    index: usize,
    delimiter: char,
    rate_sheet: &RateSheet<'_>,
) -> SheetFit {
    let mut rate =
        |size| sample(package, index, delimiter, size).map_or(SheetFit::NoNumbers, rate_sheet);
    match rate(SAMPLE_BYTES) {
        // Its numbers may begin further down, and another sheet must not be taken for that.
        SheetFit::NamedColumn | SheetFit::PossibleNumbers => rate(MAX_SAMPLE_BYTES),
        fit => fit,
    }
}

/// All sheets with their numbers, for messages.
fn list_sheets(sheets: &[SheetEntry]) -> String {
    let describe = |(index, sheet): (usize, _)| {
        format!("{number} {label}", number = index + 1, label = sheet_label(sheet))
    };
    sheets.iter().enumerate().map(describe).collect::<Vec<_>>().join(&tr!("list" => ", "))
}

fn sheet_label(SheetEntry { name, is_visible, .. }: &SheetEntry) -> String {
    if *is_visible { name.clone() } else { tr!("{name} (hidden)", name) }
}

/// Finds a sheet by exact name, by name ignoring case as in Excel, or by number.
fn find_sheet(sheets: &[SheetEntry], wanted: &str) -> Option<usize> {
    let exact = sheets.iter().position(|sheet| sheet.name == wanted);
    exact.or_else(|| sheets.iter().position(|sheet| is_same_name(&sheet.name, wanted))).or_else(
        || {
            let number: usize = wanted.trim().parse().ok()?;
            number.checked_sub(1).filter(|&index| index < sheets.len())
        },
    )
}
