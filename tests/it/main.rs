//! The integration tests: the real executable against a real HTTP server, the sandbox in this process, whose ledger
//! tells what arrived there.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod harness;
mod readme;
mod simulation;
mod weather;
