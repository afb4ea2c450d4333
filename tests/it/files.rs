//! Input and output tables, byte for byte.

pub(crate) mod bad_input;
pub(crate) mod columns;
pub(crate) mod content;
pub(crate) mod country_column;
pub(crate) mod dialects;
pub(crate) mod diff;
pub(crate) mod encodings;
pub(crate) mod excel_safe;
pub(crate) mod expect;
pub(crate) mod failed;
pub(crate) mod fuzz_corpus;
pub(crate) mod numbers;
pub(crate) mod output_formats;
pub(crate) mod quotes;
pub(crate) mod correct;
pub(crate) mod retry_failed;
pub(crate) mod rows;
pub(crate) mod samples;
pub(crate) mod shards;
pub(crate) mod spreadsheet_readers;
pub(crate) mod unpack;
pub(crate) mod workbook_checks;
pub(crate) mod workbook_copies;
pub(crate) mod workbook_rows;
pub(crate) mod workbook_runs;
pub(crate) mod workbooks;
