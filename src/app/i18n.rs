//! The language of messages, and the translation of clap's texts.

pub(crate) mod clap_errors;
pub(crate) mod clap_help;
pub(crate) mod language;
