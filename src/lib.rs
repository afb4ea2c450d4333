//! dingmap turns a CSV of mobile numbers into the same CSV with DingTalk user ids.
//!
//! This file is the map. The rooms stand bottom floor first, and **a file imports only what stands above it here**,
//! so the crate is a graph without cycles by construction; `tests/it/tidy.rs` keeps it so.
//!
//! ```text
//! input ─▶ source ─batches▶ mobile ─▶ known? ─▶ flight ─▶ [ pace ▶ client ▶ reply ▶ verdict ▶ back off ] ─▶ reorder ─▶ sink ─▶ output
//!                                        └────────────── events ─▶ board ─▶ terminal ──────────────┘
//! ```
//!
//! Words for people pass through `tr!` wherever they stand, and the English ones are what they are known by. Which language
//! is spoken is said once, by `app::language`, before anything else runs.

pub mod api;
pub mod app;
pub mod domain;
pub mod engine;
pub mod quota;
pub mod reconcile;
pub mod sandbox;
pub mod store;
pub mod table;
