//! The pages of the guide as text for a terminal and as manual pages.

pub(crate) mod markdown;
pub(crate) mod roff;
pub(crate) mod text;
