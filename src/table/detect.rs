//! What an input is: its encoding, delimiter, header row and the columns with numbers.

pub(crate) mod column;
pub(crate) mod column_error;
pub(crate) mod columns;
pub(crate) mod country_column;
pub(crate) mod country_reading;
pub(crate) mod country_words;
pub(crate) mod dialect;
pub(crate) mod encoding;
pub(crate) mod extra_columns;
pub(crate) mod file_type;
pub(crate) mod header_row;
pub(crate) mod header_words;
pub(crate) mod json;
pub(crate) mod layout;
pub(crate) mod markup;
pub(crate) mod non_person;
pub(crate) mod number_lines;
pub(crate) mod person_columns;
pub(crate) mod preamble;
pub(crate) mod recognize;
pub(crate) mod separator;
pub(crate) mod suggest;
pub(crate) mod text_model;
