//! `dingmap diff`: compares two files that `resolve` wrote, and reports the differences.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tr::tr;

use crate::app::cli::output_format::{InputKind, text_format};
use crate::app::cli::paths::target_from_path;
use crate::app::cli::shared_args::DiffArgs;
use crate::app::commands::open_input::{InputSpec, OpenedInput};
use crate::app::exit::{Exit, Failure};
use crate::app::progress::background::{BackgroundTask, TaskProgress};
use crate::app::progress::terminal::Terminal;
use crate::app::report::text::input_name;
use crate::clock;
use crate::domain::diff::Change;
use crate::domain::number::mobile::NumberRules;
use crate::domain::redact::sanitize;
use crate::reconcile::diff::{DiffCounts, compare};
use crate::reconcile::progress::{DiffProgress, Side};
use crate::reconcile::records::{
    ReconcileError, ResolvedTable, RowList, extra_columns, key_column, read_table,
};
use crate::table::detect::columns::ANSWER_COLUMNS;
use crate::table::detect::layout::SourceOptions;
use crate::table::source::Source;
use crate::table::unpack::container::{self, UnpackOptions};
use crate::table::unpack::workbook::SheetFit;
use crate::table::write::directory::parent_dir;
use crate::table::write::edited_file::ReplaceRule;
use crate::table::write::format::TableFormat;
use crate::table::write::output::{Output, Target};
use crate::table::write::packed_output::PackedOutput;
use crate::table::write::sink::SinkError;

/// How much of an existing output is read to find its header.
const HEADER_PROBE_BYTES: u64 = 64 << 10;

/// The exit status tells whether there are differences.
///
/// # Errors
/// Too many differences (see `--max-change`) is an error, too.
pub(crate) fn diff(args: &DiffArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let standard = Path::new("-");
    if args.old == standard && args.new == standard {
        return Err(Failure::with_message(
            Exit::Usage,
            tr!("only one of OLD and NEW can be standard input; name a file"),
        ));
    }
    let format = text_format("--output", &args.output)?;
    refuse_resolved_output(&args.output)?;
    let (old, new) = (open(args, &args.old)?, open(args, &args.new)?);
    terminal.print(&describe_comparison(args, [&old, &new]));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::Error, error))?;
    let progress = Arc::<DiffProgress>::default();
    let tally = runtime.block_on(compare_files(args, format, [old, new], terminal, &progress));
    terminal.finish_task(|| progress.to_json());
    // A thread may still wait for input from a pipe; it needs no cleanup.
    runtime.shutdown_background();
    let tally = tally?;
    terminal.print(&describe_differences(args, &tally));
    match args.max_change {
        Some(most) if tally.exceeds_max_change(most) => Err(Failure::with_message(
            Exit::TooManyDifferences,
            tr!(
                "{harmed} of the {rows} rows of {file} were changed, lost or removed, which is \
                 more than --max-change {most}. The cause is usually a lost permission, a narrower \
                 contact scope or the wrong file, not a mass resignation: check the differences \
                 before you use them.",
                harmed = tally.changed_or_removed(),
                rows = tally.rows[0],
                file = input_name(&args.old),
                most
            ),
        )),
        Some(most) if tally.exceeds_max_rounded(most) => Err(Failure::with_message(
            Exit::TooManyDifferences,
            tr!(
                "{rounded} of the {rows} rows of {file} have user ids that a spreadsheet rounded \
                 in one of the files, which is more than --max-change {most}: the files cannot be \
                 compared. Take the files as dingmap wrote them, and do not use the ones that a \
                 spreadsheet saved.",
                rounded = tally.count(Change::Rounded),
                rows = tally.rows[0],
                file = input_name(&args.old),
                most
            ),
        )),
        Some(most) if tally.exceeds_max_unknown(most) => Err(Failure::with_message(
            Exit::TooManyDifferences,
            tr!(
                "{open} of the {rows} rows of {file} could not be compared, which is more than \
                 --max-change {most}: their result is unknown. Ask them again with resolve \
                 --retry-failed, and compare again.",
                open = tally.unknown,
                rows = tally.rows[0],
                file = input_name(&args.old),
                most
            ),
        )),
        _ if tally.has_changes() => Ok(Exit::Differs),
        _ => Ok(Exit::Success),
    }
}

/// Refuses to overwrite a file that `resolve` wrote: `DINGMAP_OUTPUT` applies to both commands.
fn refuse_resolved_output(output: &Path) -> Result<(), Failure> {
    let mut head = Vec::new();
    // A pipe has nothing to lose. An unreadable file is reported when it is opened for writing.
    let options = UnpackOptions {
        sheet: None,
        delimiter: None,
        allow_empty: true,
        rate_sheet: &|_| SheetFit::NoNumbers,
    };
    if fs::metadata(output).is_ok_and(|found| found.is_file())
        && let Ok(existing) = container::open(output, options)
    {
        let _ = existing.reader.take(HEADER_PROBE_BYTES).read_to_end(&mut head);
    }
    // The names are ASCII; UTF-16 has a zero byte beside every byte.
    head.retain(|byte| *byte != 0);
    let head = String::from_utf8_lossy(&head);
    if !head.lines().any(|line| ANSWER_COLUMNS.iter().all(|name| line.contains(name))) {
        return Ok(());
    }
    Err(Failure::with_message(
        Exit::Usage,
        tr!(
            "--output (or DINGMAP_OUTPUT, which resolve uses too): {path} was written by resolve \
             and is not overwritten; name another file with -o, or delete this one first",
            path = output.display()
        ),
    ))
}

/// The file must have a header, because its columns are found by name.
fn open(args: &DiffArgs, path: &PathBuf) -> Result<Source, Failure> {
    let options = SourceOptions {
        encoding: args.encoding,
        delimiter: args.delimiter,
        skip_lines: args.skip_lines,
        has_answers: true,
        columns: args.column.clone(),
        country_column: args.country_column.clone().unwrap_or_default(),
        extra_columns: extra_columns(args.key.as_ref()),
        ..SourceOptions::default()
    };
    // The sheet of a workbook that is compared with a text file.
    let is_text = |path: &PathBuf| InputKind::from_path(path) == InputKind::Text;
    let sheet = args
        .sheet
        .as_deref()
        .filter(|_| !is_text(path) || [&args.old, &args.new].into_iter().all(is_text));
    let OpenedInput { source, .. } =
        InputSpec { path, sheet, options, region: args.region }.open()?;
    Ok(source)
}

/// Which files are compared, and by which column.
fn describe_comparison(args: &DiffArgs, sources: [&Source; 2]) -> String {
    let key = |source: &Source| match (key_column(source), source.columns().first()) {
        (Some(index), _) => tr!("column {position}", position = index + 1),
        (None, Some(column)) => {
            let position = column.index + 1;
            match column.name.as_deref().map(sanitize) {
                Some(name) => tr!("the number in column {position} ({name})", position, name),
                None => tr!("the number in column {position}", position),
            }
        }
        (None, None) => tr!("the number"),
    };
    let [by, new_key] = sources.map(key);
    let (old, new) = (input_name(&args.old), input_name(&args.new));
    if by == new_key {
        tr!("comparing {old} with {new}, both by {by}", old, new, by)
    } else {
        tr!("comparing {old} with {new}, by {by}, and by {by_too}", old, new, by, by_too = new_key)
    }
}

/// A signal ends the comparison.
async fn compare_files(
    args: &DiffArgs,
    format: TableFormat,
    [old, new]: [Source; 2],
    terminal: &Terminal,
    progress: &Arc<DiffProgress>,
) -> Result<DiffCounts, Failure> {
    let mut task = BackgroundTask::new(progress, terminal)?;
    // Sorting may take minutes: open the output first, so that a path that cannot be written fails
    // early.
    let target = target_from_path(&args.output);
    let flag = "--output";
    let path = target.clone();
    let unwritable = Failure::from_sink_error;
    let scratch = scratch_dir(&target);
    let opened = task.run(move |_| PackedOutput::open(&target, format, 0)).await?;
    let output = opened
        .map_err(|cause| unwritable(SinkError::Create { target: path.clone(), cause, flag }))?;
    // Numbers that are merely unlikely have a canonical form as well.
    let rules = NumberRules { default_region: args.region, strict: false };
    let tables = task.run(move |progress| -> Result<[ResolvedTable; 2], (Side, ReconcileError)> {
        let table = |source, side| {
            read_table(source, side, rules, &scratch, progress).map_err(|error| (side, error))
        };
        Ok([table(old, Side::Old)?, table(new, Side::New)?])
    });
    let title = |side| input_name(if side == Side::Old { &args.old } else { &args.new });
    let [old, new] = tables.await?.map_err(|(side, error)| to_failure(error, title(side)))?;
    let mut output = DiffOutput::new(output);
    let result = task
        .run(move |progress| compare(old, new, &mut output, progress).map(|tally| (tally, output)))
        .await?;
    let (tally, output) = result.map_err(|error| match error {
        ReconcileError::Output(cause) => {
            unwritable(SinkError::Write { target: path.clone(), cause, flag })
        }
        ReconcileError::TooManyRows { side, .. } => to_failure(error, title(side)),
        error => to_failure(error, title(Side::New)),
    })?;
    let finished = task.run(move |_| output.finish()).await?;
    finished.map_err(|cause| unwritable(SinkError::Finish { target: path, cause, flag }))?;
    Ok(tally)
}

/// An output whose reader may close standard output early, as `head` does. The comparison goes on,
/// because the exit status tells its result.
struct DiffOutput {
    output: PackedOutput,
    is_stdout: bool,
    is_closed: bool,
}

impl DiffOutput {
    fn new(output: PackedOutput) -> Self {
        let is_stdout = matches!(output, PackedOutput::Plain(Output::Stdout(_)));
        Self { output, is_stdout, is_closed: false }
    }

    fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        if self.is_closed {
            return Ok(());
        }
        self.output.finish_with(&ReplaceRule::Replace).map(|_| ())
    }

    /// Turns the error of a closed standard output into `done`.
    fn accept_closed<T>(&mut self, result: io::Result<T>, done: T) -> io::Result<T> {
        match result {
            Err(error) if self.is_stdout && error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(done)
            }
            result => result,
        }
    }
}

impl Write for DiffOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_closed {
            return Ok(bytes.len());
        }
        let result = self.output.write(bytes);
        self.accept_closed(result, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        let result = self.output.flush();
        self.accept_closed(result, ())
    }
}

/// `title` names the file that the error is about.
fn to_failure(error: ReconcileError, title: String) -> Failure {
    let exit = match error {
        ReconcileError::Source(_) | ReconcileError::InvalidStatus(_) => Exit::Input,
        ReconcileError::TooManyRows { .. } => Exit::Usage,
        ReconcileError::TempFile(_) | ReconcileError::Output(_) => {
            return Failure::from_error(Exit::Output, error);
        }
        ReconcileError::Interrupted => return Failure::from_error(Exit::Error, error),
    };
    Failure::from_error(exit, anyhow::Error::new(error).context(title))
}

/// The directory of temporary files: that of the output if it is a file, because its file system
/// has the space.
fn scratch_dir(output: &Target) -> PathBuf {
    match output {
        Target::File(path) if fs::metadata(path).map_or(true, |found| found.is_file()) => {
            parent_dir(path).to_owned()
        }
        _ => std::env::temp_dir(),
    }
}

impl TaskProgress for DiffProgress {
    fn stop(&self) {
        DiffProgress::request_stop(self);
    }

    fn describe(&self) -> (String, Option<(u64, u64)>) {
        let ([old, new], compared) = (self.rows_read(), self.rows_compared());
        let rows = old + new;
        if compared > 0 {
            (tr!("{compared} of {rows} rows compared", compared, rows), Some((compared, rows)))
        } else if new > 0 {
            (tr!("reading NEW: {rows} rows", rows = new), None)
        } else {
            (tr!("reading OLD: {rows} rows", rows = old), None)
        }
    }

    fn to_json(&self) -> String {
        let ([old, new], compared) = (self.rows_read(), self.rows_compared());
        json!({
            "time": clock::now().to_string(),
            "old_rows": old,
            "new_rows": new,
            "compared": compared,
        })
        .to_string()
    }
}

/// Counts, rows that could not be compared, and where the output is.
fn describe_differences(args: &DiffArgs, tally: &DiffCounts) -> String {
    let [old, new] = tally.rows;
    let mut text = tr!("{n} row before, {new} now" | "{n} rows before, {new} now" % old, new);
    let counts =
        Change::ALL.map(|change| (change.name(), tally.count(change), describe_change(change)));
    let others = [
        ("same", tally.same, String::new()),
        (
            "unknown",
            tally.unknown,
            tr!("failed or pending in one of the files: cannot be compared"),
        ),
    ];
    for (name, count, meaning) in counts.into_iter().chain(others) {
        let line = format!("  {name:<13}{count:>9}  {meaning}");
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{}", line.trim_end());
    }
    let harmed = tally.changed_or_removed();
    let share = format_percent(harmed, old);
    text.push('\n');
    text.push_str(&tr!(
        "changed, lost or removed: {harmed} of {all} rows ({share})",
        harmed,
        all = old,
        share
    ));
    let rounded = tally.count(Change::Rounded);
    if rounded > 0 {
        text.push('\n');
        text.push_str(&tr!(
            "rounded: {rounded} of {all} rows ({share}); one of the files was opened and saved in \
             a spreadsheet, which took its user ids for numbers: compare the original file",
            rounded,
            all = old,
            share = format_percent(rounded, old)
        ));
    }
    if tally.unknown > 0 {
        text.push('\n');
        text.push_str(&tr!(
            "could not be compared: {open} of {all} rows ({share}); resolve --retry-failed asks \
             them again",
            open = tally.unknown,
            all = old,
            share = format_percent(tally.unknown, old)
        ));
    }
    let tables = [(&args.old, 0), (&args.new, 1)];
    for (path, side) in tables {
        let mut warn = |lines: &RowList, what: String| {
            if lines.count > 0 {
                let _ = write!(text, "\n{}: {what}: {lines}", input_name(path));
            }
        };
        warn(&tally.without_key[side], tr!("rows without a key, skipped"));
        let in_order = tr!("rows with the key of an earlier row, compared in order");
        warn(&tally.duplicates[side], in_order);
    }
    let _ = write!(text, "\n{}", tr!("written to {place}", place = target_from_path(&args.output)));
    text
}

/// A percentage with two decimals, rounded. 0 % and 100 % are shown only if they are exact.
fn format_percent(part: u64, all: u64) -> String {
    let whole = u128::from(all.max(1));
    match (u128::from(part) * 10_000 + whole / 2) / whole {
        0 if part > 0 => "<0.01 %".to_owned(),
        10_000 if part < all => ">99.99 %".to_owned(),
        hundredths => format!("{}.{:02} %", hundredths / 100, hundredths % 100),
    }
}

fn describe_change(change: Change) -> String {
    match change {
        Change::Added => tr!("only in the new file"),
        Change::Removed => tr!("only in the old file"),
        Change::Changed => tr!("different user id"),
        Change::Rounded => tr!("user id rounded by a spreadsheet: cannot be compared"),
        Change::Lost => tr!("found before, not found now"),
        Change::Gained => tr!("not found before, found now"),
        Change::SharedUserid => tr!("rows of the new file whose user id another key has too"),
        Change::SharedNumber => tr!("rows of the new file whose number another key has too"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_printed_with_two_decimals() {
        let result = [
            (0, 0),
            (0, 5),
            (5, 100),
            (1, 3),
            (2, 3),
            (32, 100_000),
            (1, 1_000_000),
            (99_999_999, 100_000_000),
            (3, 3),
        ]
        .map(|(part, all)| format_percent(part, all));
        let expected = [
            "0.00 %", "0.00 %", "5.00 %", "33.33 %", "66.67 %", "0.03 %", "<0.01 %", ">99.99 %",
            "100.00 %",
        ];
        assert_eq!(result, expected);
    }

    #[test]
    fn temporary_files_are_created_only_next_to_regular_files() {
        assert_eq!(scratch_dir(&Target::File("a/b.csv".into())), Path::new("a"));
        assert_eq!(scratch_dir(&Target::File("b.csv".into())), Path::new("."));
        assert_eq!(scratch_dir(&Target::File("/dev/null".into())), std::env::temp_dir());
        assert_eq!(scratch_dir(&Target::Stdout), std::env::temp_dir());
    }
}
