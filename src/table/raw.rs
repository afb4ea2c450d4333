//! Bytes to rows: encodings, the incremental decoder, and where each row begins and ends.

pub mod batch;
pub mod buffer;
pub mod decoder;
pub mod encoding;
pub mod framer;
