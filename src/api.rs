//! Floor 2, the HTTP edge: one request, one reply. When to call, and what an answer means for the run, is the
//! engine's.

pub mod client;
pub mod error;
pub mod http;
pub mod limiter;
pub mod lookup_api;
pub mod plain;
pub mod rate;
pub mod rate_limiter;
pub mod redact;
pub mod token;
