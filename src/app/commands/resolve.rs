//! `dingmap resolve`: one file per stage.

pub(crate) mod command;
pub(crate) mod connect;
pub(crate) mod finish;
pub(crate) mod in_place;
pub(crate) mod join_quota;
pub(crate) mod open_state;
pub(crate) mod outputs;
pub(crate) mod retry_failed;
pub(crate) mod run_loop;
pub(crate) mod start_at;
