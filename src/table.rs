//! Floor 2, the CSV edge: the input's own bytes pass through, five cells are appended to each row; packed files and
//! workbooks become CSV on the way in. Blocking standard I/O; knows nothing of HTTP, of statuses or of what a
//! mobile number is.

pub mod detect;
#[cfg(test)]
mod encoded_trip;
pub mod error;
pub mod header;
pub mod prescan;
pub mod raw;
#[cfg(test)]
mod round_trip;
pub mod sniff;
pub mod source;
pub mod unpack;
pub mod write;
