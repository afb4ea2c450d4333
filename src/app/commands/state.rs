//! `dingmap state`: shows, deletes and exports stored answers.

pub(crate) mod command;
pub(crate) mod messages;
pub(crate) mod shared;
