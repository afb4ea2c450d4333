//! `dingmap resolve`, stage by stage.

pub mod command;
pub mod connect;
pub mod in_place;
pub mod join_quota;
pub mod open_state;
pub mod outputs;
pub mod retry_failed;
pub mod run_loop;
pub mod start_at;
