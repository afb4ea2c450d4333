//! From a cell's text to a mobile number, or the reason why there is none. Pure, like all of `domain`.

pub mod cell;
pub mod invalid;
pub mod mask;
pub mod mobile;
pub mod normalize;
pub mod spreadsheet;
