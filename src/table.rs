//! Reads and writes tables: CSV to the byte, compressed files and workbooks. Blocking; knows
//! nothing of HTTP, of numbers only how they go with their countries, and of statuses only what a
//! new workbook shows of them.

pub(crate) mod detect;
pub(crate) mod digest;
#[cfg(test)]
mod encoded_trip;
pub(crate) mod error;
pub(crate) mod header;
pub(crate) mod number_cells;
pub(crate) mod person_cells;
pub(crate) mod prescan;
pub(crate) mod raw;
#[cfg(test)]
mod round_trip;
pub(crate) mod sniff;
pub(crate) mod source;
pub(crate) mod swallowed;
#[cfg(test)]
mod swallowed_tests;
pub(crate) mod unpack;
pub(crate) mod write;
