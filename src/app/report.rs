//! The results of a run: the summary text, `--summary`, `--metrics` and `--report`.

pub(crate) mod files;
pub(crate) mod hint_texts;
pub(crate) mod hints;
pub(crate) mod html;
pub(crate) mod html_chart;
pub(crate) mod html_sections;
pub(crate) mod json_location;
pub(crate) mod run_summary;
pub(crate) mod text;
pub(crate) mod timeline;
pub(crate) mod unresolved_list;
