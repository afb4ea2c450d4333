//! Workbooks and compressed files, turned into the bytes of a CSV.

pub mod container;
pub mod workbook;
pub mod workbook_cell;
