//! `dingmap plan`: what a run would do, without network.

pub mod command;
pub mod count;
pub mod effort;
pub mod estimate;
pub mod json;
