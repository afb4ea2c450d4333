//! The integration tests: the real executable against a real HTTP server, the sandbox in this process, whose ledger
//! tells what arrived there.

mod harness;
mod simulation;
mod weather;
