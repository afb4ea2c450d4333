//! Plans the copy of a workbook that gets the answers, and says what is in the way of it.

use std::path::Path;

use tr::tr;

use crate::app::cli::output_format::InputKind;
use crate::app::commands::open_input;
use crate::app::exit::Failure;
use crate::table::detect::columns::appended_names;
use crate::table::header::Header;
use crate::table::unpack::workbook::SheetOrigin;
use crate::table::write::workbook::plan::{CopyPlan, SheetTask};

/// New columns for the answers beside the table of `header`, with the columns `optional` besides
/// the usual ones.
#[must_use]
pub(crate) fn append_task(header: &Header, optional: &[&str], is_flexible: bool) -> SheetTask {
    let names = header.appended_names.clone();
    SheetTask::Append { names: names.unwrap_or_else(|| appended_names(&[], optional)), is_flexible }
}

/// Plans the copy of the workbook `input`.
///
/// # Errors
/// Unreadable (3) if something is in the way of the answers.
pub(crate) fn prepare_copy(
    input: &Path,
    origin: &SheetOrigin,
    header: &Header,
    task: &SheetTask,
) -> Result<CopyPlan, Failure> {
    CopyPlan::prepare(origin, header, task)
        .map_err(|error| open_input::unreadable_input(input, error))
}

/// What a person should know before the workbook `input` is copied with its answers in new columns,
/// for a command that does not write the copy. Empty if the output would be text by default.
///
/// # Errors
/// As [`prepare_copy`].
pub(crate) fn check_copy(
    input: &Path,
    origin: &SheetOrigin,
    header: &Header,
    is_flexible: bool,
) -> Result<Vec<String>, Failure> {
    if InputKind::from_path(input) == InputKind::Template {
        return Ok(Vec::new());
    }
    let task = append_task(header, &[], is_flexible);
    let plan = prepare_copy(input, origin, header, &task).map_err(|failure| {
        failure.with_line(&tr!(
            "CSV has room for the answers: resolve and merge write it with --output NAME.csv"
        ))
    })?;
    Ok(plan.warnings.iter().map(ToString::to_string).collect())
}
