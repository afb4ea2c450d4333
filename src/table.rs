//! Floor 2, the CSV edge: the input's own bytes pass through, five cells are appended to each row; packed files and
//! workbooks become CSV on the way in. Blocking standard I/O; knows nothing of HTTP, of statuses or of what a
//! mobile number is.

pub(crate) mod detect;
#[cfg(test)]
mod encoded_trip;
pub(crate) mod error;
pub(crate) mod header;
pub(crate) mod prescan;
pub(crate) mod raw;
#[cfg(test)]
mod round_trip;
pub(crate) mod sniff;
pub(crate) mod source;
pub(crate) mod unpack;
pub(crate) mod write;
