//! `dingmap merge`: merges the shards of a table that `resolve --shard` wrote, and reports missing
//! rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tr::tr;

use crate::app::cli::args::MergeArgs;
use crate::app::cli::options;
use crate::app::cli::output_format::NamedOutput;
use crate::app::cli::paths::target_from_path;
use crate::app::commands::open_input::{self, InputSpec, OpenedInput};
use crate::app::commands::workbook_copy::append_task;
use crate::app::exit::{Exit, Failure};
use crate::app::progress::background::{BackgroundTask, TaskProgress};
use crate::app::progress::terminal::{Level, Terminal};
use crate::app::report::text::{self, input_name};
use crate::clock;
use crate::domain::shard::Shard;
use crate::engine::io::row_format::RowOptions;
use crate::reconcile::merge::{
    self, Gap, MergeError, MergeOutput, MergeProgress, Merged, NamedSource,
};
use crate::table::detect::layout::SourceOptions;
use crate::table::header::Header;
use crate::table::source::{Source, SourceError};
use crate::table::unpack::workbook::SheetOrigin;
use crate::table::write::edited_file::ReplaceRule;
use crate::table::write::output::Target;
use crate::table::write::sink::{Sink, SinkError, SinkOptions};
use crate::table::write::workbook::plan::CopyPlan;

/// How many incomplete shards are listed.
const MAX_LISTED_SHARDS: usize = 10;

/// Rows without an answer are an error, too.
pub(crate) fn merge(args: &MergeArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let stdin = Path::new("-");
    if [&args.input].into_iter().chain(&args.shards).filter(|path| path.as_path() == stdin).count()
        > 1
    {
        return Err(Failure::with_message(
            Exit::Usage,
            tr!("only one of the files can be standard input; name the others"),
        ));
    }
    let output_path = options::merge_output_path(args);
    let output = NamedOutput {
        flag: "--output",
        path: &output_path,
        input: Some(&args.input),
        wanted: args.output_format,
        shard: None,
    };
    let format = output.format()?;
    let one = shard_from_names(&args.shards)?;
    let OpenedInput { source: input, origin, .. } =
        open(args, &args.input, options::reader_options(&args.reader, &RowOptions::default()))?;
    let shards = open_shards(args, &input)?;
    let is_flexible = args.reader.flexible;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::Error, error))?;
    let progress = Arc::<MergeProgress>::default();
    let target = target_from_path(&output_path);
    let sizes = args.shards.iter().filter_map(|path| fs::metadata(path).ok());
    let min_bytes = sizes.filter(fs::Metadata::is_file).map(|metadata| metadata.len()).sum();
    let input = NamedSource { name: input_name(&args.input), source: input };
    let rules = options::number_rules(&args.numbers);
    let rule = match args.output {
        Some(_) => ReplaceRule::Replace,
        None => ReplaceRule::KeepEdited(None),
    };
    let merged = runtime.block_on(async {
        let mut task = BackgroundTask::new(&progress, terminal)?;
        let output = target.clone();
        let work = move |progress: &MergeProgress| {
            let style = SinkOptions { format, min_bytes, ..SinkOptions::default() };
            let origin = origin.filter(|_| format.is_workbook());
            let create = |head: &Header| match &origin {
                Some(origin) => copy_workbook(output, origin, head, is_flexible, style),
                None => Sink::create(output, head, style),
            };
            let output = MergeOutput { create, is_workbook: format.is_workbook() };
            merge::merge(input, shards, (rules, one), output, &rule, progress)
        };
        task.run(work).await
    });
    terminal.finish_task(|| progress.to_json());
    // A thread may still wait for input from a pipe; it needs no cleanup.
    runtime.shutdown_background();
    let Merged { rows, gaps, kept_as } = merged?.map_err(|error| to_failure(&args.input, error))?;
    if !gaps.is_empty() {
        return Err(Failure::with_message(
            Exit::Input,
            describe_gaps(&input_name(&args.input), &gaps),
        ));
    }
    terminal.print(&tr!(
        "{n} row of {files} files, written to {place}"
            | "{n} rows of {files} files, written to {place}" % rows,
        files = args.shards.len(),
        place = target
    ));
    if let Some(kept_as) = kept_as {
        let message = text::kept_file_message(&target, &kept_as);
        terminal.print_always(Level::Warning, &message);
    }
    Ok(Exit::Success)
}

/// The shard in the file names; `None` if no name has one.
///
/// # Errors
/// Unreadable (3) if two names differ in the number of shards.
fn shard_from_names(files: &[PathBuf]) -> Result<Option<Shard>, Failure> {
    let named = |path: &PathBuf| {
        Shard::from_file_name(path.file_name()?.to_str()?).map(|shard| (input_name(path), shard))
    };
    let mut named = files.iter().filter_map(named);
    let Some((first, one)) = named.next() else { return Ok(None) };
    if let Some((other, shard)) = named.find(|(_, shard)| !shard.has_same_count(one)) {
        let text = tr!(
            "{first} is shard {one}, but {other} is shard {shard}: merge only the shards of one \
             division",
            first,
            one,
            other,
            shard
        );
        return Err(Failure::with_message(Exit::Input, text));
    }
    Ok(Some(one))
}

/// A copy of the workbook that is the input, with new columns for the answers of `head`.
fn copy_workbook(
    target: Target,
    origin: &SheetOrigin,
    head: &Header,
    is_flexible: bool,
    style: SinkOptions,
) -> Result<Sink, SinkError> {
    let task = append_task(head, &[], is_flexible);
    let plan = CopyPlan::prepare(origin, head, &task).map_err(SinkError::Source)?;
    Sink::copy_workbook(target, plan, style)
}

fn open(args: &MergeArgs, path: &Path, options: SourceOptions) -> Result<OpenedInput, Failure> {
    let sheet = args.reader.sheet.as_deref().filter(|_| path == args.input);
    InputSpec { path, sheet, options, region: args.numbers.region }.open()
}

/// Opens the shards with the dialect of the input, so that nothing is detected. Without a header, a
/// shard without rows is empty.
fn open_shards(args: &MergeArgs, input: &Source) -> Result<Vec<NamedSource>, Failure> {
    let dialect = input.dialect();
    let position = |index: usize| (index + 1).to_string().parse().ok();
    let options = SourceOptions {
        encoding: Some(args.output_encoding.unwrap_or(dialect.encoding)),
        lossy: args.reader.lossy_cells,
        skip_lines: Some(input.skipped_lines()),
        flexible: args.reader.flexible,
        delimiter: Some(dialect.delimiter),
        has_headers: Some(dialect.has_headers),
        columns: input.columns().iter().filter_map(|column| position(column.index)).collect(),
        ..SourceOptions::default()
    };
    let mut shards = Vec::new();
    for path in &args.shards {
        match open(args, path, options.clone()) {
            Ok(opened) => {
                shards.push(NamedSource { name: input_name(path), source: opened.source });
            }
            Err(failure) => {
                let is_empty =
                    matches!(failure.error.downcast_ref(), Some(SourceError::Empty { .. }));
                if dialect.has_headers || !is_empty {
                    return Err(failure);
                }
            }
        }
    }
    Ok(shards)
}

fn to_failure(input: &Path, error: MergeError) -> Failure {
    match error {
        MergeError::Sink(SinkError::Source(error)) => open_input::unreadable_input(input, error),
        MergeError::Sink(error) => Failure::from_sink_error(error),
        MergeError::Interrupted => Failure::from_error(Exit::Error, error),
        MergeError::Unreadable { .. }
        | MergeError::HeaderMismatch { .. }
        | MergeError::UnexpectedRow { .. } => Failure::from_error(Exit::Input, error),
    }
}

/// The missing rows by shard, and what to do.
fn describe_gaps(input: &str, gaps: &BTreeMap<Option<Shard>, Gap>) -> String {
    let mut text =
        tr!("some rows of {input} have no answer in these files; no table was written", input);
    let mut push_line = |line: String| {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {line}");
    };
    for (shard, Gap { missing, pending }) in gaps.iter().take(MAX_LISTED_SHARDS) {
        if missing.count > 0 {
            push_line(match shard {
                Some(shard) => tr!("missing from shard {shard}: {rows}", shard, rows = missing),
                None => tr!("missing: {rows}", rows = missing),
            });
        }
        if pending.count > 0 {
            push_line(match shard {
                Some(shard) => tr!("pending in shard {shard}: {rows}", shard, rows = pending),
                None => tr!("pending: {rows}", rows = pending),
            });
        }
    }
    let more = gaps.len().saturating_sub(MAX_LISTED_SHARDS);
    if more > 0 {
        push_line(tr!("and one more shard" | "and {n} more shards" % more));
    }
    push_line(tr!(
        "Run the command of each of these shards again, which resumes it, and merge again."
    ));
    text
}

impl TaskProgress for MergeProgress {
    fn stop(&self) {
        MergeProgress::request_stop(self);
    }

    fn describe(&self) -> (String, Option<(u64, u64)>) {
        (tr!("{rows} rows merged", rows = self.rows()), None)
    }

    fn to_json(&self) -> String {
        json!({ "time": clock::now().to_string(), "rows": self.rows() }).to_string()
    }
}
