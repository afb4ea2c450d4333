//! Floor 2, what runs on several hosts have in common: one app's quota, its holds, answers and token, on a Redis or
//! Valkey server. To the engine it is one more giver of turns.

pub mod answer_cache;
pub mod connection;
pub mod crypto;
pub mod inventory;
pub mod join;
pub mod limiter;
pub mod protocol;
pub mod run_state;
#[cfg(test)]
mod run_state_tests;
pub mod server_clock;
pub mod token_cache;
