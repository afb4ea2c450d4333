//! Floor 2, what runs on several hosts have in common: one app's quota, its holds, answers and token, on a Redis or
//! Valkey server. To the engine it is one more giver of turns.

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
