//! `dingmap plan`: what a run would do, without network.

pub(crate) mod command;
pub(crate) mod count;
pub(crate) mod estimate;
pub(crate) mod json;
