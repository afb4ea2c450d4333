//! The integration tests: the real executable against a real HTTP server, the sandbox in this
//! process, whose call log has what arrived there.

#![cfg(test)]

mod cli;
mod files;
mod layout;
mod licenses;
mod live;
mod people;
mod quota;
mod state;
mod support;
