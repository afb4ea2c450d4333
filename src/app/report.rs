//! What a run leaves behind: the closing text, `--summary`, `--metrics` and `--report`.

pub mod advising;
pub mod files;
pub mod hints;
pub mod html;
pub mod html_chart;
pub mod html_sections;
pub mod run_summary;
pub mod setup;
pub mod story;
pub mod text;
pub mod timeline;
