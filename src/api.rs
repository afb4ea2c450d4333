//! Floor 2, the HTTP edge: one request, one reply. When to call, and what an answer means for the run, is the
//! engine's.

pub(crate) mod client;
pub(crate) mod error;
pub(crate) mod http;
pub(crate) mod limiter;
pub(crate) mod lookup_api;
pub(crate) mod plain;
pub(crate) mod rate;
pub(crate) mod rate_limiter;
pub(crate) mod redact;
pub(crate) mod token;
