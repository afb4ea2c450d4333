//! `dingmap state`: shows and forgets what is kept.

pub mod command;
pub mod messages;
pub mod shared;
