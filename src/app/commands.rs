//! One module for each command.

pub mod completion;
pub mod diff;
pub mod man;
pub mod merge;
pub mod open_input;
pub mod plan;
pub mod resolve;
pub mod sandbox;
pub mod state;
