//! One app's quota shared by runs on several machines through a Redis or Valkey server: calls,
//! pauses, answers and the token.

pub(crate) mod answer_cache;
pub(crate) mod connection;
pub(crate) mod crypto;
pub(crate) mod inventory;
pub(crate) mod join;
pub(crate) mod limiter;
pub(crate) mod protocol;
pub(crate) mod run_state;
#[cfg(test)]
mod run_state_tests;
pub(crate) mod server_clock;
pub(crate) mod token_cache;
