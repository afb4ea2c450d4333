//! The language of a run, and the texts that clap does not translate.

pub(crate) mod clap_errors;
pub(crate) mod clap_help;
pub(crate) mod language;
