//! A copy of a workbook with more cells on one sheet. Everything else passes through as bytes.

pub(crate) mod archive_entry;
pub(crate) mod archive_writer;
pub(crate) mod cell_range;
pub(crate) mod column_widths;
pub(crate) mod copy;
pub(crate) mod defined_names;
pub(crate) mod new_cells;
pub(crate) mod part_edits;
pub(crate) mod plan;
pub(crate) mod raw_reader;
pub(crate) mod sheet_editor;
pub(crate) mod sheet_elements;
pub(crate) mod sheet_survey;
pub(crate) mod styles;
pub(crate) mod tables;
pub(crate) mod tag;
pub(crate) mod warning;
