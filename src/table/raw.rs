//! Bytes to rows: encodings, the incremental decoder, and where each row begins and ends.

pub(crate) mod batch;
pub(crate) mod buffer;
pub(crate) mod cell_name;
pub(crate) mod decoder;
pub(crate) mod encoding;
pub(crate) mod framer;
pub(crate) mod missing_values;
pub(crate) mod row_numbers;
pub(crate) mod row_parser;
