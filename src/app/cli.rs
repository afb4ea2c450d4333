//! The command line: arguments as typed, and the options that are made from them.

pub mod args;
pub mod config_file;
pub mod config_value;
pub mod env;
pub mod help;
pub mod input_args;
pub mod network;
pub mod options;
pub mod origin;
pub mod parse;
pub mod paths;
pub mod print_config;
pub mod secret_file;
pub mod shared_args;
