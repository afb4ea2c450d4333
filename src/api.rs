//! The HTTP client: one call to the API, the rate limiter, and the access token.

pub(crate) mod client;
pub(crate) mod edition;
pub(crate) mod error;
pub(crate) mod http;
pub(crate) mod limiter;
pub(crate) mod lookup_api;
pub(crate) mod rate;
pub(crate) mod rate_limiter;
pub(crate) mod route;
pub(crate) mod token;
