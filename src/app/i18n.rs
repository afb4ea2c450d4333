//! The language of a run, and the texts that clap does not translate.

pub mod clap_errors;
pub mod clap_help;
pub mod language;
