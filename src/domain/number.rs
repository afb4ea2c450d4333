//! From the text of a cell to a mobile number, or the reason why there is none.

pub(crate) mod cell;
pub(crate) mod country;
pub(crate) mod invalid;
pub(crate) mod labels;
pub(crate) mod mobile;
pub(crate) mod normalize;
pub(crate) mod plausible;
pub(crate) mod spreadsheet;
