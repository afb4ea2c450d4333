//! The command line: arguments, environment and config file, and the options made from them.

pub(crate) mod args;
pub(crate) mod config_file;
pub(crate) mod config_value;
pub(crate) mod descriptors;
pub(crate) mod env;
pub(crate) mod help;
pub(crate) mod inert_flags;
pub(crate) mod input_args;
pub(crate) mod network;
pub(crate) mod options;
pub(crate) mod output_format;
pub(crate) mod parse;
pub(crate) mod paths;
pub(crate) mod print_config;
pub(crate) mod same_file;
pub(crate) mod rerun;
pub(crate) mod secret_file;
pub(crate) mod shared_args;
pub(crate) mod whole_number;
