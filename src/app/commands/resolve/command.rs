//! `dingmap resolve`: the stages of a run, from the flags to the run loop.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use jiff::Zoned;
use roaring::RoaringTreemap;
use tokio::time::Instant;
use tr::tr;

use crate::api::limiter::Limiter;
use crate::api::rate_limiter::LocalLimiter;
use crate::app::cli::args::ResolveArgs;
use crate::app::cli::descriptors;
use crate::app::cli::network;
use crate::app::cli::options::{self, ApiConfig};
use crate::app::cli::output_format::check_delimiter;
use crate::app::cli::paths::{self, OutputTargets};
use crate::app::commands::open_input::{self, OpenedInput};
use crate::app::commands::resolve::connect::ApiConnection;
use crate::app::commands::resolve::finish::{self, CompletedRun, RunSetup};
use crate::app::commands::resolve::in_place::{self, Original};
use crate::app::commands::resolve::join_quota::{self, SharedServer};
use crate::app::commands::resolve::open_state::{self, RunFailure, Stage};
use crate::app::commands::resolve::outputs;
use crate::app::commands::resolve::retry_failed::{self, ResolvedScan};
use crate::app::commands::resolve::run_loop::{DriveEnd, RunLoop};
use crate::app::commands::resolve::start_at;
use crate::app::commands::workbook_copy::{append_task, check_copy, prepare_copy};
use crate::app::exit::{Exit, Failure};
use crate::app::progress::terminal::{Level, Terminal};
use crate::app::report::files::ReportFiles;
use crate::app::report::run_summary::RunSummary;
use crate::app::report::text;
use crate::app::report::timeline::TimelineRecorder;
use crate::app::signals::{CLEANUP_TIMEOUT, SignalHandlers, Signals};
use crate::clock;
use crate::engine::io::reader::{self, ReaderHandle};
use crate::engine::io::retry::RetryRules;
use crate::engine::io::row_format::{RowFormat, RowOptions};
use crate::engine::io::writer::{self, Outputs, WriterHandle};
use crate::engine::limits::RunLimits;
use crate::engine::run::RunIo;
use crate::quota::join::Joined;
use crate::store::answers::Answers;
use crate::table::digest::sha256;
use crate::table::prescan::Prescan;
use crate::table::source::Source;
use crate::table::unpack::workbook::SheetOrigin;
use crate::table::write::workbook::plan::{CopyPlan, SheetTask};

/// Runs the command: the exit status of a run that wrote its output.
///
/// # Errors
/// A [`Failure`] with the exit status and the message of everything else.
pub(crate) fn resolve(args: &ResolveArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let mut args = args.clone();
    let warning = descriptors::limit_workers(&mut args);
    let args = &args;
    let options = RunOptions {
        warning,
        limits: options::run_limits(args, fastrand::u64(..))?,
        start_at: start_at::parse_start_at(args.start_at.as_deref(), &clock::now_local())?,
        row_options: options::output_columns(args)?,
        targets: paths::output_targets(args)?,
    };
    if !args.sandbox {
        // Before the input is scanned, which may take a while.
        network::parse_endpoint(&args.api.endpoint, args.network.insecure_http)?;
    }
    in_place::check_in_place(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::Error, error))?;
    let exit = runtime.block_on(run_with_reports(args, terminal, options));
    // A thread may still wait for a silent pipe; nothing in it needs an orderly end.
    runtime.shutdown_background();
    exit
}

/// The flags, checked before anything is opened.
struct RunOptions {
    warning: Option<String>,
    limits: RunLimits,
    start_at: Option<Zoned>,
    row_options: RowOptions,
    targets: OutputTargets,
}

/// A run, and the files that report it.
async fn run_with_reports(
    args: &ResolveArgs,
    terminal: &Terminal,
    options: RunOptions,
) -> Result<Exit, Failure> {
    // The handlers come before any temporary file, so that no signal can leave one behind.
    let mut handlers =
        SignalHandlers::new().map_err(|error| Failure::from_error(Exit::Error, error))?;
    let targets = options.targets.clone();
    let open = move || ReportFiles::open(&targets);
    let files =
        handlers.signals.run_blocking(open, tr!("interrupted while opening the output")).await??;
    let mut summary = RunSummary::new(args, &args.input.display().to_string());
    summary.details.output = options.targets.output.to_string();
    // On the heap, since it holds the whole run: the futures around it stay small.
    let stages = Box::pin(run_stages(args, terminal, options, &mut handlers, &mut summary));
    let result = stages.await;
    let stage = result.as_ref().map_or_else(|error| error.stage, |_| Stage::Started);
    let result = result.map_err(|error| error.failure);
    summary.record_end(&result);
    let write = move || match stage {
        Stage::Refused => Ok(()),
        // The report of a run that works is worth more than that of one that did not start.
        Stage::NotStarted => files.without_those_of_earlier_runs().write(&summary),
        Stage::Started => files.write(&summary),
    };
    let interrupted = tr!("interrupted while writing --summary, --metrics or --report");
    let written = handlers.signals.finish_blocking(write, interrupted).await;
    match (written.flatten(), result) {
        (Ok(()), result) => result,
        (Err(failure), Ok(_)) => Err(failure),
        (Err(failure), Err(first)) => {
            terminal.print_failure(&failure);
            Err(first)
        }
    }
}

/// The stages in the order in which a person can correct mistakes: first what they have at hand
/// (the input, the output), then what they have to fetch (the credentials).
async fn run_stages(
    args: &ResolveArgs,
    terminal: &Terminal,
    options: RunOptions,
    handlers: &mut SignalHandlers,
    summary: &mut RunSummary,
) -> Result<Exit, RunFailure> {
    let signals = &mut handlers.signals;
    let mut input = open_input(args, &options, signals, summary).await?;
    let server = parse_server(args)?;
    if server.is_none() {
        terminal.print(&summary.details.detected);
    }
    // What there is to ask may depend on the state, which needs the app's key, but no more.
    let early_access = input.read_early_access(args, signals).await?;
    if matches!(early_access, EarlyAccess::Unneeded)
        && let Some(scan) = input.resolved_scan.take()
    {
        if server.is_some() {
            terminal.print(&summary.details.detected);
        }
        let exit = finish::finish_without_calls(args, terminal, scan, &input.retry_rules, summary);
        return Ok(exit);
    }
    let answered = (!options.row_options.has_answers)
        .then(|| retry_failed::answered_warning(&args.input, input.source.header()))
        .flatten();
    let uncompared = retry_failed::uncompared_warning(&options.row_options, &input.source);
    let rounded = input
        .resolved_scan
        .as_ref()
        .and_then(|scan| retry_failed::rounded_ids_warning(scan, &input.retry_rules));
    let unscanned = input.unscanned_warning(args);
    for warning in options
        .warning
        .clone()
        .into_iter()
        .chain(answered)
        .chain(uncompared)
        .chain(rounded)
        .chain(unscanned)
    {
        warn(terminal, warning, summary);
    }
    let copy_plan = plan_copy(args, &options, &input, signals).await?;
    let merge_warnings = merge_warnings(args, &input, signals).await?;
    let copy_warnings = copy_plan.iter().flat_map(|plan| &plan.warnings).map(ToString::to_string);
    for warning in copy_warnings.chain(merge_warnings) {
        warn(terminal, warning, summary);
    }
    let outputs = open_outputs(args, &options, &input, copy_plan, signals).await?;
    let access = match early_access {
        EarlyAccess::Read(access) => *access,
        EarlyAccess::NotRead | EarlyAccess::Unneeded => read_access(args, signals).await?,
    };
    let total_rows = input.total_rows();
    let state =
        open_state::plan_state(args, access.as_ref(), &input.source, total_rows, signals).await?;
    let state_kind = open_state::state_kind(state.as_ref());
    let is_remote = access.as_ref().is_some_and(|access| !network::is_loopback(&access.endpoint));
    let access_warnings = access.iter().flat_map(|access| access.warnings.clone());
    summary.details.warnings.extend(access_warnings);
    let quota = join_quota(args, terminal, server.zip(access.as_ref()), signals, summary).await?;
    let token_cache = quota.as_ref().map(|(joined, _)| joined.token_cache());
    let api = ApiConnection::from_args(args, access, token_cache, terminal).await?;
    summary.record_endpoint(&api.base_url);
    let answers = open_state::open_state(state, signals, terminal).await?;
    input.compare_with_state(args, &options, &answers, signals).await?;
    if input.changes_no_row()
        && is_in_place(args)
        && let Some(scan) = input.resolved_scan.take()
    {
        open_state::flush(answers, signals).await?.finish_session()?;
        let exit = finish::finish_without_calls(args, terminal, scan, &input.retry_rules, summary);
        return Ok(exit);
    }
    if let Some(scan) = &input.resolved_scan {
        if let Some(reasons) = retry_failed::describe_reasons(scan, &input.retry_rules) {
            terminal.print(&reasons);
        }
        for warning in scan.unjudged_warnings(&input.retry_rules) {
            terminal.print_always(Level::Warning, &warning);
            summary.details.warnings.push(warning);
        }
    }
    // Last: whoever waits for a start time has seen every error before.
    if let Some(time) = &options.start_at {
        start_at::wait_until(time, handlers, terminal).await?;
    }
    if is_remote {
        warn_of_peak_hour(args, terminal, &input, summary);
    }
    let output_format = options.targets.output_format;
    let unjudged_rows = input.unjudged_rows();
    let setup = RunSetup {
        args,
        terminal,
        total_rows,
        original: input.original,
        targets: options.targets,
        state_kind,
        base_url: api.base_url.clone(),
        display_name: api.display_name.clone(),
        // Hints about rows to retry rely on this.
        is_output_rereadable: input.source.dialect().has_headers
            && retry_failed::can_reread_output(args, output_format),
        has_sent_numbers: input.format.has_sent_numbers(),
        unjudged_rows,
    };
    let limits = RunLimits { read_to_end: total_rows.is_some(), ..options.limits };
    let (source, format) = (input.source, input.format);
    let retry_rules = options.row_options.has_answers.then_some(input.retry_rules);
    let prepared =
        PreparedRun { limits, source, format, retry_rules, outputs, api, answers, quota };
    let completed =
        run_loop(prepared, &setup, handlers, summary).await.map_err(RunFailure::after_start)?;
    let finished = finish::finish(completed, &setup, &mut handlers.signals, summary).await;
    finished.map_err(RunFailure::after_start)
}

/// The opened input, and what a scan before the first call found.
struct Input {
    source: Source,
    format: RowFormat,
    /// Which rows of a resolved table are asked again.
    retry_rules: RetryRules,
    /// The counts of a regular file.
    prescan: Option<Prescan>,
    /// The earlier answers of a resolved table in a regular file.
    resolved_scan: Option<ResolvedScan>,
    /// The input file, if the output replaces it.
    original: Option<Original>,
    /// The sheet of a workbook that the rows come from.
    origin: Option<SheetOrigin>,
}

impl Input {
    /// The rows of a regular file.
    fn total_rows(&self) -> Option<u64> {
        self.prescan.as_ref().map(|prescan| prescan.rows)
    }

    /// The rows that may need a call, if they were counted.
    fn open_rows(&self) -> Option<u64> {
        match &self.resolved_scan {
            Some(scan) => Some(scan.judge(&self.retry_rules).rows_to_ask),
            None => self.total_rows(),
        }
    }

    /// Whether a resolved table was scanned and stays as it is.
    fn changes_no_row(&self) -> bool {
        let Some(scan) = &self.resolved_scan else { return false };
        let judged = scan.judge(&self.retry_rules);
        judged.rows_to_ask == 0 && judged.rows_to_update == 0
    }

    /// Reads the credentials if only the state can show whether a table that is to be rewritten in
    /// place has something to ask. Without credentials the state cannot show it, and a table
    /// without anything to ask needs none.
    async fn read_early_access(
        &self,
        args: &ResolveArgs,
        signals: &mut Signals,
    ) -> Result<EarlyAccess, Failure> {
        let Some(scan) = &self.resolved_scan else { return Ok(EarlyAccess::NotRead) };
        if !is_in_place(args) || scan.judge(&self.retry_rules).rows_to_ask > 0 {
            return Ok(EarlyAccess::NotRead);
        }
        if self.changes_no_row() && !scan.needs_records(&self.retry_rules) {
            return Ok(EarlyAccess::Unneeded);
        }
        match read_access(args, signals).await {
            Ok(access) => Ok(EarlyAccess::Read(Box::new(access))),
            Err(failure) if matches!(failure.exit, Exit::Interrupted(_)) => Err(failure),
            Err(_) => Ok(EarlyAccess::Unneeded),
        }
    }

    /// Reads what the state says about the rows of a resolved table.
    async fn compare_with_state(
        &mut self,
        args: &ResolveArgs,
        options: &RunOptions,
        answers: &Answers,
        signals: &mut Signals,
    ) -> Result<(), Failure> {
        let Some(scan) = &self.resolved_scan else { return Ok(()) };
        let Some(records) =
            answers.file_records().filter(|_| scan.needs_records(&self.retry_rules))
        else {
            return Ok(());
        };
        let known = (scan, &self.retry_rules);
        let (scan, retry_rules) =
            open_input::compare_with_state(args, &options.row_options, known, records, signals)
                .await?;
        (self.resolved_scan, self.retry_rules) = (Some(scan), retry_rules);
        Ok(())
    }

    /// The rows, by number, that keep their answers, although these may not be about their numbers.
    fn unjudged_rows(&self) -> RoaringTreemap {
        self.resolved_scan.as_ref().map(|scan| scan.unjudged_rows.clone()).unwrap_or_default()
    }

    fn unscanned_warning(&self, args: &ResolveArgs) -> Option<String> {
        let is_unscanned = args.retry_failed && self.resolved_scan.is_none();
        is_unscanned.then(|| retry_failed::unscanned_warning(&args.input, &self.source)).flatten()
    }
}

/// The credentials and the endpoint, if they were read before the outputs were opened.
enum EarlyAccess {
    NotRead,
    /// The table has nothing to ask.
    Unneeded,
    /// `None` for the built-in sandbox.
    Read(Box<Option<ApiConfig>>),
}

/// Whether the run writes nothing but the input itself.
fn is_in_place(args: &ResolveArgs) -> bool {
    args.output.is_none() && args.failed.is_none()
}

async fn open_input(
    args: &ResolveArgs,
    options: &RunOptions,
    signals: &mut Signals,
    summary: &mut RunSummary,
) -> Result<Input, Failure> {
    let original = Original::from_targets(&args.input, &options.targets);
    let OpenedInput { source, title, prescan, resolved_scan, origin } =
        open_input::open_interruptible(args, &options.row_options, signals).await?;
    for (flag, path) in [("--output", &args.output), ("--failed", &args.failed)] {
        let path = path.as_deref().unwrap_or(Path::new("-"));
        check_delimiter(flag, path, source.dialect().delimiter)?;
    }
    let format = open_input::row_format(&options.row_options, &source, &args.input)?
        .with_user_ids(resolved_scan.as_ref().map(|scan| scan.user_ids).unwrap_or_default());
    let mut retry_rules = RetryRules::new(&options.row_options.retry_statuses);
    if let Some(scan) = &resolved_scan {
        retry_rules = retry_rules.with_table(scan.is_misread(), None);
    }
    let input = Input { source, format, retry_rules, prescan, resolved_scan, original, origin };
    // Hashing reads the input once more: only on request, and not from a pipe.
    let is_reported = options.targets.summary.is_some() || options.targets.report.is_some();
    let mut digest = None;
    if is_reported && input.prescan.is_some() {
        digest = Some(hash_input(args, signals).await?);
    }
    summary.record_input(&input.source, input.total_rows(), digest);
    summary.details.detected =
        text::describe_input(&title, &input.source, args.sharding.shard, input.total_rows());
    Ok(input)
}

async fn hash_input(args: &ResolveArgs, signals: &mut Signals) -> Result<String, Failure> {
    let path = args.input.clone();
    let hash = move || File::open(path).and_then(sha256);
    let digest = signals.run_blocking(hash, tr!("interrupted before the first call")).await?;
    digest.map_err(|error| Failure::from_error(Exit::Input, error))
}

fn parse_server(args: &ResolveArgs) -> Result<Option<SharedServer>, Failure> {
    let Some(url) = &args.quota.shared else { return Ok(None) };
    join_quota::parse_server(url, &args.quota.auth, |name| std::env::var_os(name)).map(Some)
}

/// Prints a warning and records it.
fn warn(terminal: &Terminal, warning: String, summary: &mut RunSummary) {
    terminal.print_warning(&warning);
    summary.details.warnings.push(warning);
}

/// Plans the copy of a workbook that gets the answers. `None` for another input or output.
async fn plan_copy(
    args: &ResolveArgs,
    options: &RunOptions,
    input: &Input,
    signals: &mut Signals,
) -> Result<Option<CopyPlan>, Failure> {
    let Some(origin) = input.origin.clone().filter(|_| options.targets.output_format.is_workbook())
    else {
        return Ok(None);
    };
    let header = input.source.header().clone();
    let task = if let Some(columns) = input.format.target_columns() {
        SheetTask::Replace { columns: columns.to_vec() }
    } else {
        let optional = options.row_options.optional_columns();
        append_task(&header, &optional, args.reader.flexible)
    };
    let path = args.input.clone();
    let prepare = move || prepare_copy(&path, &origin, &header, &task);
    let plan = signals.run_blocking(prepare, tr!("interrupted before the first call")).await?;
    plan.map(Some)
}

/// What is in the way of the workbook that merge would write from the shard of one.
async fn merge_warnings(
    args: &ResolveArgs,
    input: &Input,
    signals: &mut Signals,
) -> Result<Vec<String>, Failure> {
    let Some(origin) = input.origin.clone().filter(|_| args.sharding.shard.is_some()) else {
        return Ok(Vec::new());
    };
    let (path, header) = (args.input.clone(), input.source.header().clone());
    let is_flexible = args.reader.flexible;
    let check = move || check_copy(&path, &origin, &header, is_flexible);
    let checked = signals.run_blocking(check, tr!("interrupted before the first call")).await?;
    Ok(checked.unwrap_or_else(|failure| {
        vec![tr!(
            "merge cannot write the workbook: {cause}",
            cause = format!("{:#}", failure.error)
        )]
    }))
}

async fn open_outputs(
    args: &ResolveArgs,
    options: &RunOptions,
    input: &Input,
    copy_plan: Option<CopyPlan>,
    signals: &mut Signals,
) -> Result<Outputs, Failure> {
    let format = options.targets.output_format;
    let style =
        options::output_style(args, format, *input.source.dialect(), input.prescan.as_ref())?;
    let mut header = input.source.header().clone();
    header.appended_names = header.appended_names.filter(|_| !options.row_options.has_answers);
    outputs::open_outputs(signals, options.targets.clone(), header, copy_plan, style).await
}

/// The credentials and the endpoint; `None` for the built-in sandbox.
async fn read_access(
    args: &ResolveArgs,
    signals: &mut Signals,
) -> Result<Option<ApiConfig>, Failure> {
    if args.sandbox {
        return Ok(None);
    }
    // Blocking, because the file of the secret may be a pipe.
    let args = args.clone();
    let read = move || options::api_config(&args, |name| std::env::var_os(name));
    signals.run_blocking(read, tr!("interrupted before the first call")).await?.map(Some)
}

/// Joins the runs that share the quota, with the name of their server. Prints the line about the
/// input, which describes the quota too.
async fn join_quota(
    args: &ResolveArgs,
    terminal: &Terminal,
    server_and_access: Option<(SharedServer, &ApiConfig)>,
    signals: &mut Signals,
    summary: &mut RunSummary,
) -> Result<Option<(Joined, String)>, Failure> {
    let Some((server, access)) = server_and_access else { return Ok(None) };
    let request = join_quota::join_request(args, &server, access);
    let joined = join_quota::join(&server, request, signals).await?;
    let quota = join_quota::describe_joined(&server, &joined, args.rate_limit.rate);
    summary.details.detected =
        tr!("{detected}; {quota}", detected = summary.details.detected, quota);
    terminal.print(&summary.details.detected);
    for warning in server.warnings.into_iter().chain(join_quota::token_scope_warning(access)) {
        warn(terminal, warning, summary);
    }
    Ok(Some((joined, server.name)))
}

fn warn_of_peak_hour(
    args: &ResolveArgs,
    terminal: &Terminal,
    input: &Input,
    summary: &mut RunSummary,
) {
    let (rate, columns) = (args.rate_limit.rate, input.source.columns().len());
    let warning =
        start_at::peak_hour_warning(&clock::now_local(), rate, input.open_rows(), columns);
    if let Some(warning) = warning {
        warn(terminal, warning, summary);
    }
}

/// Everything that the run loop takes.
struct PreparedRun {
    limits: RunLimits,
    source: Source,
    format: RowFormat,
    retry_rules: Option<RetryRules>,
    outputs: Outputs,
    api: ApiConnection,
    answers: Answers,
    /// The runs that share the quota, and the name of their server.
    quota: Option<(Joined, String)>,
}

/// Starts the reader and the writer, runs the engine, and waits for the writer.
async fn run_loop(
    prepared: PreparedRun,
    setup: &RunSetup<'_>,
    handlers: &mut SignalHandlers,
    summary: &mut RunSummary,
) -> Result<CompletedRun, Failure> {
    let PreparedRun { limits, source, format, retry_rules, outputs, api, mut answers, quota } =
        prepared;
    let (args, rate) = (setup.args, setup.args.rate_limit.rate);
    let thread_error = |error| Failure::from_error(Exit::Error, error);
    let (labels, rules) = (source.labels(), options::number_rules(&args.numbers));
    let prefetchers = answers.prefetchers(reader::prefetch_threads());
    let ReaderHandle { mut batches, tail } =
        reader::spawn_reader(source, rules, &format, retry_rules.as_ref(), prefetchers)
            .map_err(thread_error)?;
    let unresolved = outputs.unresolved.clone();
    let WriterHandle { chunks, outputs } =
        writer::spawn_writer(outputs, rules.default_region, format, labels)
            .map_err(thread_error)?;
    let started_at = Instant::now();
    let (limiter, session): (Box<dyn Limiter>, _) = match quota {
        Some((joined, server_name)) => {
            let (limiter, session) = joined.start_session();
            (Box::new(limiter), Some((session, server_name)))
        }
        None => (Box::new(LocalLimiter::new(rate)), None),
    };
    let mut timeline = TimelineRecorder::new(rate);
    let run_loop = RunLoop {
        terminal: setup.terminal,
        total_rows: setup.total_rows,
        limits,
        limiter,
        session,
        warnings: &mut summary.details.warnings,
    };
    let io = RunIo { batches: &mut batches, chunks };
    let ApiConnection { api, sandbox, .. } = api;
    let driven = Box::pin(run_loop.run(api, &mut answers, io, handlers, &mut timeline)).await;
    summary.details.timeline = timeline.finish();
    summary.record_totals(&driven.totals);
    drop(sandbox);
    // In every case the writer has to close its temporary file before the program ends. After a
    // signal it may wait for whoever reads our output, and is not waited for long.
    let is_killed = matches!(driven.end, DriveEnd::Killed);
    let is_hurried = driven.signal.is_some() && (is_killed || !args.partial);
    let timeout = if is_hurried { CLEANUP_TIMEOUT } else { Duration::MAX };
    let outputs =
        outputs::join_writer(&mut handlers.signals, outputs, driven.signal, timeout).await;
    let unresolved = retry_failed::mark_unjudged(unresolved.take(), &setup.unjudged_rows);
    summary.record_unresolved(unresolved);
    Ok(CompletedRun { driven, started_at, answers, outputs, tail })
}
