//! What an input is: its encoding, delimiter, header row and the columns with numbers.

pub mod column;
pub mod column_error;
pub mod columns;
pub mod dialect;
pub mod encoding;
pub mod extra_columns;
pub mod header_words;
pub mod layout;
pub mod preamble;
pub mod suggest;
pub mod text_model;
