//! The end of `dingmap resolve`: completes the output and the session, prints the final message,
//! and determines the exit status.

use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use roaring::RoaringTreemap;
use tokio::time::Instant;
use tr::tr;

use crate::app::cli::args::{FailOn, ResolveArgs};
use crate::app::cli::input_args::MainlandChoice;
use crate::app::cli::options;
use crate::app::cli::paths::{self, OutputTargets};
use crate::app::cli::rerun;
use crate::app::commands::open_input;
use crate::app::commands::resolve::in_place::Original;
use crate::app::commands::resolve::open_state::{self, FlushedAnswers};
use crate::app::commands::resolve::outputs::WriterError;
use crate::app::commands::resolve::retry_failed::{self, ResolvedScan};
use crate::app::commands::resolve::run_loop::{DriveEnd, Driven};
use crate::app::commands::state::messages::{StateKind, with_resume_hint};
use crate::app::exit::{Exit, Failure, Signal, failure_from_end};
use crate::app::progress::terminal::{Level, Terminal};
use crate::app::report::hints::{self, RunFacts};
use crate::app::report::run_summary::RunSummary;
use crate::app::report::text;
use crate::app::signals::Signals;
use crate::domain::outcome::Status;
use crate::domain::row_stats::RowStats;
use crate::domain::totals::Totals;
use crate::engine::end::RunEnd;
use crate::engine::io::retry::RetryRules;
use crate::engine::io::writer::Outputs;
use crate::store::answers::Answers;
use crate::table::digest::FileDigest;
use crate::table::write::completion::Completion;
use crate::table::write::edited_file::ReplaceRule;
use crate::table::write::output::Target;

/// What the end of a run needs to know of its start.
pub(crate) struct RunSetup<'a> {
    pub args: &'a ResolveArgs,
    pub terminal: &'a Terminal,
    /// The rows of a regular file, as counted before the first call.
    pub total_rows: Option<u64>,
    /// The input file, if the output replaces it.
    pub original: Option<Original>,
    pub targets: OutputTargets,
    pub state_kind: StateKind,
    /// The address of the API.
    pub base_url: String,
    /// The API in messages.
    pub display_name: String,
    /// Whether the same flags can read the output as an input.
    pub is_output_rereadable: bool,
    /// Whether the output has the numbers that were sent.
    pub has_sent_numbers: bool,
    /// The rows, by number, that keep their answers, although these may not be about their numbers.
    pub unjudged_rows: RoaringTreemap,
}

/// What the run loop hands over.
pub(crate) struct CompletedRun {
    pub driven: Driven,
    pub started_at: Instant,
    pub answers: Answers,
    pub outputs: Result<Outputs, WriterError>,
    /// The blank lines after the last row.
    pub tail: JoinHandle<Vec<u8>>,
}

/// Ends a run that has nothing to retry: the file stays as it is.
pub(crate) fn finish_without_calls(
    args: &ResolveArgs,
    terminal: &Terminal,
    scan: ResolvedScan,
    retry_rules: &RetryRules,
    summary: &mut RunSummary,
) -> Exit {
    let mut totals = scan.totals.clone();
    totals.rows_kept = totals.rows_in;
    summary.record_totals(&totals);
    for warning in scan.unjudged_warnings(retry_rules) {
        terminal.print_always(Level::Warning, &warning);
        summary.details.warnings.push(warning);
    }
    let is_judged = scan.unjudged_rows.is_empty();
    let unresolved = retry_failed::mark_unjudged(scan.unresolved.clone(), &scan.unjudged_rows);
    summary.record_unresolved(unresolved);
    let row_stats = scan.row_stats;
    terminal.print(&retry_failed::nothing_to_retry(&totals, &args.input, is_judged));
    if args.expect.is_some() {
        summary.record_expected(&row_stats);
        terminal.print(&text::describe_expected(&row_stats, totals.rows_out));
    }
    // The file is complete, as it was before.
    summary.mark_written();
    exit_status(args, &totals)
}

/// Ends a run that made calls.
///
/// # Errors
/// Why not every row has an answer, or why the output or the state could not be completed.
pub(crate) async fn finish(
    run: CompletedRun,
    setup: &RunSetup<'_>,
    signals: &mut Signals,
    summary: &mut RunSummary,
) -> Result<Exit, Failure> {
    let CompletedRun { driven, started_at, answers, outputs, tail } = run;
    let Driven { totals, end, signal } = driven;
    let end = match end {
        DriveEnd::Engine(end) => Ok(end),
        DriveEnd::InputFailed(error) => Err(error),
        DriveEnd::Killed => return Err(killed_failure(signal, setup.state_kind)),
    };
    let flushed = open_state::flush(answers, signals).await?;
    let write_error = flushed.write_error().cloned();
    let add_hint =
        |failure: Failure| with_resume_hint(&failure, setup.state_kind, write_error.as_ref());
    let end =
        end.map_err(|error| add_hint(open_input::unreadable_input(&setup.args.input, error)))?;
    let outputs = outputs.map_err(|error| add_hint(error.into_failure()))?;
    let row_stats = outputs.row_stats.clone();
    let is_written = setup.should_replace_output(&end, &totals);
    let mut completed = Completion::default();
    if is_written {
        let rule = setup.replace_rule(&flushed);
        completed = write_output(setup, &totals, outputs, tail, &rule, add_hint)?;
        summary.mark_written();
    }
    let is_finished = matches!(end, RunEnd::Finished);
    // A device keeps nothing that could be corrected.
    let is_kept = is_written && paths::persistent_path(&setup.targets.output).is_some();
    let written = setup.output_file().filter(|_| is_kept);
    let digest = completed.replaced.digest.as_ref();
    let unrecorded = written.and_then(|path| {
        // A second try asks only some numbers.
        let has_all_answers =
            if setup.args.retry_failed { flushed.has_written(&setup.args.input) } else { Ok(true) };
        let record = |has_all| flushed.record_output(path, digest, has_all);
        Some((path, has_all_answers.and_then(record).err()?))
    });
    // Also if the output is not recorded: its answers are complete.
    let finished = if is_finished { flushed.finish_session() } else { Ok(()) };
    setup.report(&totals, &row_stats, started_at.elapsed(), is_finished, is_written, summary);
    if let Some(kept_as) = &completed.replaced.kept_as {
        setup.report_kept_file(kept_as, summary);
    }
    setup.report_losses(&totals, is_written, &completed, summary);
    if let Some((path, error)) = unrecorded {
        setup.warn(text::unrecorded_output_warning(path, digest.is_some(), &error), summary);
    }
    finished?;
    // The next run continues from answers in the input itself, with or without a state.
    let is_in_place = setup.args.retry_failed && setup.original.is_some();
    let are_answers_kept = is_in_place || setup.state_kind != StateKind::None;
    let pending = totals.rows(Status::Pending);
    let failure = failure_from_end(&end, &setup.display_name, signal, pending, are_answers_kept);
    match failure {
        Some(failure) if is_written && is_in_place => {
            Err(with_resume_hint(&failure, StateKind::InPlace, write_error.as_ref()))
        }
        Some(failure) if is_written => Err(add_hint(failure)),
        Some(failure) => Err(add_hint(setup.add_output_location(&failure))),
        None => Ok(exit_status(setup.args, &totals)),
    }
}

/// A second signal ended the run.
fn killed_failure(signal: Option<Signal>, state_kind: StateKind) -> Failure {
    let signal = signal.unwrap_or(Signal::Interrupt);
    let text = tr!("interrupted at once; answers of the last second may be asked for again");
    let failure = Failure::with_message(Exit::Interrupted(signal), text);
    with_resume_hint(&failure, state_kind, None)
}

/// Completes the outputs under their names.
fn write_output(
    setup: &RunSetup<'_>,
    totals: &Totals,
    outputs: Outputs,
    tail: JoinHandle<Vec<u8>>,
    rule: &ReplaceRule,
    add_hint: impl Fn(Failure) -> Failure,
) -> Result<Completion, Failure> {
    let mut totals = totals.clone();
    totals.bytes_out = outputs.row_bytes();
    totals.check().map_err(|error| Failure::from_error(Exit::Error, error))?;
    setup.check_row_count(&totals)?;
    setup.original.as_ref().map_or(Ok(()), Original::check_unchanged).map_err(&add_hint)?;
    // The reader of a pipe that was cut may wait for ever.
    let tail = if totals.input_complete {
        tail.join().map_err(|_| {
            let text = tr!("the reader ended unexpectedly; this is a bug, please report it");
            Failure::with_message(Exit::Error, text)
        })?
    } else {
        Vec::new()
    };
    outputs.finish(&tail, rule).map_err(|error| add_hint(Failure::from_sink_error(error)))
}

/// Whether the file has what a run last wrote to it.
fn is_as_recorded(path: &Path, answers: &FlushedAnswers) -> bool {
    let recorded = answers.recorded_output(path);
    recorded.is_some_and(|recorded| FileDigest::from_path(path).is_ok_and(|now| now == recorded))
}

/// The exit status of a run that wrote its output.
fn exit_status(args: &ResolveArgs, totals: &Totals) -> Exit {
    let has_unwanted = args.fail_on == Some(FailOn::NotFound) && totals.rows(Status::NotFound) > 0;
    // `--retry` may leave pending rows as they are.
    let is_open = |status: &Status| status.is_retryable() && totals.rows(*status) > 0;
    if Status::ALL.iter().any(is_open) || has_unwanted { Exit::RowsFailed } else { Exit::Success }
}

impl RunSetup<'_> {
    /// Whether the output appears under its name. The only copy of the input is not replaced by one
    /// with pending rows, unless `--partial` asks for it or the input is a resolved table.
    fn should_replace_output(&self, end: &RunEnd, totals: &Totals) -> bool {
        let has_pending = totals.rows(Status::Pending) > 0;
        let may_have_pending =
            self.args.partial || self.args.retry_failed || self.original.is_none();
        end.should_write_output(self.args.partial) && (!has_pending || may_have_pending)
    }

    /// The file that the output is written to.
    fn output_file(&self) -> Option<&Path> {
        match &self.targets.output {
            Target::Stdout => None,
            Target::File(path) => Some(path),
        }
    }

    /// The output next to the input was not asked for by name: it replaces only what a run wrote.
    /// Every output with such a name is recorded, however it was named, unless it has edits of the
    /// file that it replaces: a later run does not keep a file that is as recorded.
    fn replace_rule(&self, answers: &FlushedAnswers) -> ReplaceRule {
        match self.output_file() {
            Some(path) if self.args.output.is_none() && !self.args.retry_failed => {
                ReplaceRule::KeepEdited(answers.recorded_output(path))
            }
            Some(path)
                if options::is_default_output_name(path)
                    && (self.original.is_none() || is_as_recorded(path, answers)) =>
            {
                ReplaceRule::ReplaceAndDigest
            }
            _ => ReplaceRule::Replace,
        }
    }

    fn report_kept_file(&self, kept_as: &Path, summary: &mut RunSummary) {
        let message = text::kept_file_message(&self.targets.output, kept_as);
        self.warn(message, summary);
        summary.record_kept_file(kept_as);
    }

    /// Prints the final message, and records the hints and the comparison.
    fn report(
        &self,
        totals: &Totals,
        row_stats: &RowStats,
        elapsed: Duration,
        is_finished: bool,
        is_written: bool,
        summary: &mut RunSummary,
    ) {
        let output_file = paths::persistent_path(&self.targets.output)
            .filter(|_| is_written && self.is_output_rereadable);
        let retry_command = output_file
            .as_deref()
            .map(|file| rerun::retry_command(file, self.targets.output_format));
        let is_recorded = self.has_sent_numbers || self.state_kind != StateKind::None;
        let asked: Vec<_> = Status::ALL
            .into_iter()
            .filter(|status| *status != Status::Invalid && totals.rows(*status) > 0)
            .collect();
        let unrecorded_command =
            output_file.as_deref().filter(|_| !is_recorded && !asked.is_empty()).map(|file| {
                let format = self.targets.output_format;
                rerun::unrecorded_command(file, format, &asked)
            });
        // An input that was rewritten in place, a pipe, or a shard is not corrected at its source.
        let can_read_again = self.total_rows.is_some() && !self.args.retry_failed;
        let input = self.args.input.display().to_string();
        let source_command = can_read_again.then(rerun::source_command);
        let hints = hints::collect_hints(&RunFacts {
            totals,
            row_stats,
            elapsed,
            rate: self.args.rate_limit.rate.per_second(),
            workers: self.args.workers,
            endpoint: &self.base_url,
            mainland_prefixed: self.args.api.mainland == MainlandChoice::Prefixed,
            output_file: output_file.as_deref(),
            retry_command: retry_command.as_deref(),
            unrecorded_command: unrecorded_command.as_deref(),
            source_command: source_command.as_deref().map(|command| (&*input, command)),
            excel_may_change: is_written
                && !self.args.excel_safe
                && !self.targets.output_format.is_workbook()
                && paths::persistent_path(&self.targets.output).is_some(),
            answers_kept: is_finished && self.state_kind != StateKind::None,
            token_only: self.state_kind == StateKind::TokenOnly,
        });
        summary.record_hints(&hints);
        let is_compared = self.args.expect.is_some();
        if is_compared {
            summary.record_expected(row_stats);
        }
        self.terminal.print(&if is_written {
            let unresolved = &summary.details.unresolved;
            text::describe_run(
                totals,
                elapsed,
                &self.targets,
                (row_stats, unresolved),
                is_compared,
                &hints,
            )
        } else {
            text::describe_aborted_run(totals, elapsed, &hints)
        });
    }

    /// Warns of characters, rows of the input, and ends of texts that the output does not have.
    fn report_losses(
        &self,
        totals: &Totals,
        is_written: bool,
        completed: &Completion,
        summary: &mut RunSummary,
    ) {
        let is_cut = is_written && !totals.input_complete;
        let unread = is_cut.then(|| text::unread_input_warning(totals.rows_in));
        let unencodable = text::unencodable_warning(completed.unmappable);
        let cut = text::cut_cells_warning(completed.cut_cells);
        for warning in unencodable.into_iter().chain(cut).chain(unread) {
            self.warn(warning, summary);
        }
    }

    /// Prints a warning, with `--quiet` too, and records it.
    fn warn(&self, warning: String, summary: &mut RunSummary) {
        self.terminal.print_always(Level::Warning, &warning);
        summary.details.warnings.push(warning);
    }

    /// A file that changed since it was scanned must not pass for resolved.
    fn check_row_count(&self, totals: &Totals) -> Result<(), Failure> {
        match self.total_rows {
            Some(total_rows) if total_rows != totals.rows_in => Err(Failure::with_message(
                Exit::Input,
                tr!(
                    "{file}: the file changed while it was read: {first} rows at first, {last} \
                     rows at the end; nothing was written. Run again when the file is complete.",
                    file = text::input_name(&self.args.input),
                    first = total_rows,
                    last = totals.rows_in
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Adds where the rows are that were resolved before the run ended.
    fn add_output_location(&self, failure: &Failure) -> Failure {
        let location = match &self.targets.output {
            Target::Stdout => {
                tr!("standard output has the rows before the first one without an answer")
            }
            Target::File(path) => tr!(
                "{path} was not written; --partial writes it with the answers so far",
                path = path.display()
            ),
        };
        failure.with_line(&location)
    }
}
