//! Workbooks and compressed files, turned into the bytes of a CSV.

pub(crate) mod compound_file;
pub(crate) mod container;
pub(crate) mod workbook;
