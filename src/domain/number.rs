//! From a cell's text to a mobile number, or the reason why there is none. Pure, like all of `domain`.

pub(crate) mod cell;
pub(crate) mod invalid;
pub(crate) mod mask;
pub(crate) mod mobile;
pub(crate) mod normalize;
pub(crate) mod spreadsheet;
