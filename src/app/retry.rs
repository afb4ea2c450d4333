//! `resolve --retry-failed`: what a table that has answers already leaves to be asked, before anything is done. Leaves which
//! rows those are to `engine::manner`, and asking to `resolve`.

use std::path::Path;

use tr::tr;

use crate::app::cli::Resolve;
use crate::app::exit::{Exit, Failure};
use crate::domain::outcome::{RowWithout, Status};
use crate::domain::report::Report;
use crate::engine::feed::FeedError;
use crate::engine::manner::{Lacking, Manner};
use crate::table::source::Source;
use crate::table::survey::Survey;

/// Reads a table to its end: what it holds, and what became of its rows so far.
///
/// # Errors
/// [`FeedError`] for the first row that cannot be read or has no status.
pub fn count(mut source: Source, manner: &Manner) -> Result<(Survey, Report), FeedError> {
    let (mut survey, mut report) = (Survey { rows: 0, bytes: 0 }, Report::default());
    while let Some(batch) = source.next_batch(usize::MAX)? {
        survey.rows += batch.len() as u64;
        survey.bytes += batch.size() as u64;
        for row in 0..batch.len() {
            let kept = manner.keeps(&batch, row);
            let kept = kept.map_err(|cause| RowWithout { line: batch.line(row), cause })?;
            report.rows_in += 1;
            report.count(kept.unwrap_or(Status::Failed));
            report.kept += u64::from(kept.is_some());
        }
    }
    Ok((survey, report))
}

/// What to say of a file that is to be rewritten in place and has nothing to ask: it stays as it is.
#[must_use]
pub fn nothing(report: &Report, input: &Path) -> String {
    let (input, rows) = (input.display(), report.rows_in);
    tr!(
        "{input}: nothing to retry: its only row has a definitive answer; the file stays as it is"
            | "{input}: nothing to retry: all {n} rows have definitive answers; the file stays as it is"
                % rows,
        input
    )
}

/// Sees that what is rewritten in place is a table as it stands in the file; `packed` says that it is not.
///
/// # Errors
/// Usage (2) for a packed file and for a workbook.
pub fn placed(args: &Resolve, packed: bool) -> Result<(), Failure> {
    if args.retry_failed && args.output.is_none() && packed {
        let text = tr!(
            "{input} is packed or a workbook, and what is written is plain CSV: name another file with --output, or unpack it first",
            input = args.input.display()
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    Ok(())
}

/// What to tell where a column is wanted that the answers have not.
#[must_use]
pub fn lacking(input: &str, Lacking(column): Lacking) -> Failure {
    let text = tr!(
        "{input} has no column {column} behind its answers, and --retry-failed adds none: leave --show-sent out",
        input,
        column
    );
    Failure::new(Exit::Usage, text)
}
