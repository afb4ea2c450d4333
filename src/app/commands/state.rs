//! `dingmap state`: shows and forgets what is kept.

pub(crate) mod command;
pub(crate) mod messages;
pub(crate) mod shared;
