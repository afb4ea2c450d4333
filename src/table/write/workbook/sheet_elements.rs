//! The attributes of rows and cells of a sheet.

use quick_xml::events::BytesStart;

use crate::table::raw::cell_name::parse_cell_name;
use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::part_reader::attribute;

/// The start of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowTag {
    /// From 0, if it is stated.
    pub number: Option<u32>,
    /// The format of the cells that the row lacks.
    pub style: Option<u32>,
}

impl RowTag {
    pub(crate) fn read(tag: &BytesStart<'_>) -> Result<Self, WorkbookError> {
        let number = parse_number(tag, "r")?.and_then(|number| number.checked_sub(1));
        let is_used = attribute(tag, "customFormat")?.is_some_and(|on| on == "1" || on == "true");
        let style = if is_used { parse_number(tag, "s")? } else { None };
        Ok(Self { number, style })
    }
}

/// The position of a cell, as its attribute says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CellPosition {
    /// Beside the cell before it.
    #[default]
    Next,
    /// Row and column, from 0.
    Stated(u32, u32),
    /// It cannot be read.
    Invalid,
}

/// The start of a cell.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CellTag {
    pub position: CellPosition,
    /// The number of its format.
    pub style: Option<u32>,
    pub is_shared_string: bool,
}

impl CellTag {
    #[must_use]
    pub(crate) fn read(tag: &BytesStart<'_>) -> Self {
        let mut cell = Self::default();
        for attribute in tag.attributes().with_checks(false).flatten() {
            match attribute.key.as_ref() {
                "r" => {
                    cell.position = match parse_cell_name(&attribute.value) {
                        Some((row, column)) => CellPosition::Stated(row, column),
                        None => CellPosition::Invalid,
                    };
                }
                "s" => cell.style = attribute.value.trim().parse().ok(),
                "t" => cell.is_shared_string = &*attribute.value == "s",
                _ => {}
            }
        }
        cell
    }

    /// The column of the cell if the one before it has the column before `next`.
    #[must_use]
    pub(crate) fn column(&self, next: u32) -> u32 {
        match self.position {
            CellPosition::Stated(_, column) => column,
            CellPosition::Next | CellPosition::Invalid => next,
        }
    }
}

pub(crate) fn parse_number(tag: &BytesStart<'_>, name: &str) -> Result<Option<u32>, WorkbookError> {
    Ok(attribute(tag, name)?.and_then(|text| text.trim().parse().ok()))
}
