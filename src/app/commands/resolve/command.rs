//! `dingmap resolve`: puts the floors together for one run and tells how it went. Leaves every rule to the floors.

use std::fs::File;
use std::io;
use std::time::Duration;

use jiff::Zoned;
use tokio::time::Instant;
use tr::tr;

use crate::api::limiter::Limiter;
use crate::api::rate_limiter::LocalLimiter;
use crate::app::cli::args::{FailOn, ResolveArgs};
use crate::app::cli::input_args::MainlandChoice;
use crate::app::cli::network;
use crate::app::cli::options;
use crate::app::cli::paths::{self, OutputTargets};
use crate::app::commands::open_input::{self, OpenedInput};
use crate::app::commands::resolve::connect::ApiConnection;
use crate::app::commands::resolve::in_place::{self, Original};
use crate::app::commands::resolve::join_quota;
use crate::app::commands::resolve::open_state;
use crate::app::commands::resolve::outputs;
use crate::app::commands::resolve::retry_failed::{self, ResolvedScan};
use crate::app::commands::resolve::run_loop::RunLoop;
use crate::app::commands::resolve::start_at;
use crate::app::commands::state::messages::{StateKind, with_resume_hint};
use crate::app::exit::{Exit, Failure, Signal, failure_from_end};
use crate::app::progress::terminal::Terminal;
use crate::app::report::files::ReportFiles;
use crate::app::report::hints::{self, RunFacts};
use crate::app::report::run_summary::RunSummary;
use crate::app::report::text;
use crate::app::report::timeline::TimelineRecorder;
use crate::app::signals::{CLEANUP_TIMEOUT, SignalHandlers};
use crate::domain::outcome::Status;
use crate::domain::totals::Totals;
use crate::engine::end::RunEnd;
use crate::engine::io::feed::{self, Outputs, ReaderHandle, WriterHandle};
use crate::engine::io::row_format::{RowFormat, RowOptions};
use crate::engine::limits::RunLimits;
use crate::engine::run::RunIo;
use crate::quota::join::Joined;
use crate::store::answers::Answers;
use crate::store::scope::sha256;
use crate::table::source::Source;
use crate::table::write::output::Target;

/// Runs the command: the exit status of a run that wrote its output.
///
/// # Errors
/// A [`Failure`] for everything that people have to be told.
pub(crate) fn resolve(args: &ResolveArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let asked = RunOptions {
        limits: options::run_limits(args, fastrand::u64(..))?,
        start_at: start_at::parse_start_at(args.start_at.as_deref(), &Zoned::now())?,
        output_columns: options::output_columns(args)?,
        targets: paths::output_targets(args),
    };
    if !args.sandbox {
        // Before the input is gone through, which may take its time.
        network::parse_endpoint(&args.api.endpoint, args.network.insecure_http)?;
    }
    in_place::check_in_place(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error(Exit::Error, error))?;
    let exit = runtime.block_on(run_with_reports(args, terminal, asked));
    // A thread may still wait for a silent pipe; it has nothing that needs an orderly end.
    runtime.shutdown_background();
    exit
}

/// What the flags come to, before anything is opened.
struct RunOptions {
    limits: RunLimits,
    start_at: Option<Zoned>,
    output_columns: RowOptions,
    targets: OutputTargets,
}

/// A run, and the files that tell of it.
async fn run_with_reports(
    args: &ResolveArgs,
    terminal: &Terminal,
    asked: RunOptions,
) -> Result<Exit, Failure> {
    // The signals are caught before there is a temporary file, so that none can leave it behind.
    let mut heard =
        SignalHandlers::new().map_err(|error| Failure::from_error(Exit::Error, error))?;
    let targets = asked.targets.clone();
    let opening = move || ReportFiles::open(&targets);
    let papers =
        heard.signals.run_blocking(opening, tr!("interrupted while opening the output")).await??;
    let mut account = RunSummary::new(args, &args.input.display().to_string());
    account.details.output = asked.targets.output.to_string();
    let result = prepare_and_run(args, terminal, asked, &mut heard, &mut account).await;
    account.record_end(&result);
    let writing = move || papers.write(&account);
    let broken_off = tr!("interrupted while writing --summary, --metrics or --report");
    let written = heard.signals.finish_blocking(writing, broken_off).await;
    match (written.flatten(), result) {
        (Ok(()), result) => result,
        (Err(failure), Ok(_)) => Err(failure),
        (Err(failure), Err(first)) => {
            terminal.print_error(&format!("{:#}", failure.error));
            Err(first)
        }
    }
}

async fn prepare_and_run(
    args: &ResolveArgs,
    terminal: &Terminal,
    RunOptions { limits: mut bounds, start_at: departure, output_columns: wanted, targets }: RunOptions,
    heard: &mut SignalHandlers,
    account: &mut RunSummary,
) -> Result<Exit, Failure> {
    let original = Original::from_targets(&args.input, &targets);
    let OpenedInput { source, title, prescan: survey, resolved_scan: settled, is_packed: packed } =
        open_input::open_interruptible(args, &wanted, &mut heard.signals).await?;
    in_place::check_plain_file(args, packed)?;
    let manner = open_input::row_format(&wanted, &source, &args.input)?;
    let total = survey.as_ref().map(|survey| survey.rows);
    let open = settled.as_ref().map_or(total, |settled| Some(settled.rows_to_retry()));
    // Read once more only where somebody asked for it; of a pipe there is nothing to read again.
    let mut digest = None;
    if (targets.summary.is_some() || targets.report.is_some()) && total.is_some() {
        let input = args.input.clone();
        let digesting = move || File::open(input).and_then(sha256);
        let told =
            heard.signals.run_blocking(digesting, tr!("interrupted before the first call")).await?;
        digest = Some(told.map_err(|error| Failure::from_error(Exit::Input, error))?);
    }
    account.record_input(&source, digest);
    bounds.read_to_end = total.is_some();
    account.details.detected = text::describe_input(&title, &source, args.sharding.shard, total);
    let server =
        |url| join_quota::parse_server(url, &args.quota.auth, |name| std::env::var_os(name));
    let shared = args.quota.shared.as_ref().map(server).transpose()?;
    // Where the quota is shared the first line says so, too, which takes a word with the server.
    let says_so = |account: &RunSummary| terminal.print(&account.details.detected);
    if shared.is_none() {
        says_so(account);
    }
    // What is as it should be already is not written anew, and needs no credentials.
    if let Some(ResolvedScan { totals: report, row_stats: findings, unresolved: misses }) =
        settled.filter(|settled| settled.rows_to_retry() == 0)
        && args.output.is_none()
        && args.failed.is_none()
    {
        if shared.is_some() {
            says_so(account);
        }
        account.record_totals(&report);
        account.details.unresolved = misses;
        terminal.print(&retry_failed::nothing_to_retry(&report, &args.input));
        if args.expect.is_some() {
            account.record_expected(&findings);
            terminal.print(&text::describe_expected(&findings, report.rows_out));
        }
        // It stands there complete, as it did before.
        account.mark_written();
        return Ok(exit_status(args, &report));
    }
    if let Some(remark) = retry_failed::uncompared_warning(&wanted, &source) {
        terminal.print(&remark);
        account.details.warnings.push(remark);
    }
    let style = options::output_style(args, source.dialect().encoding, survey.as_ref())?;
    // The input came first, then the output, then the credentials: what a person has at hand is checked before what
    // they have to fetch.
    let mut first = source.header().clone();
    first.appended_names = first.appended_names.filter(|_| !wanted.has_answers);
    let sinks = outputs::open_outputs(&mut heard.signals, targets.clone(), first, style).await?;
    let mut access = None;
    if !args.sandbox {
        // The secret's file may be a pipe.
        let args = args.clone();
        let reading = move || options::api_config(&args, |name| std::env::var_os(name));
        access = Some(
            heard.signals.run_blocking(reading, tr!("interrupted before the first call")).await??,
        );
    }
    let plan =
        open_state::plan_state(args, access.as_ref(), &source, total, &mut heard.signals).await?;
    let memory = open_state::state_kind(plan.as_ref());
    let crowded = access.as_ref().is_some_and(|access| !network::is_loopback(&access.endpoint));
    account.details.warnings.extend(access.iter().flat_map(|access| access.warnings.clone()));
    let mut membership = None;
    if let Some((server, access)) = shared.zip(access.as_ref()) {
        let joined = join_quota::join(
            &server,
            join_quota::join_request(args, &server, access),
            &mut heard.signals,
        )
        .await?;
        let found = join_quota::describe_joined(&server, &joined, args.rate_limit.rate);
        account.details.detected =
            tr!("{detected}; {quota}", detected = account.details.detected, quota = found);
        says_so(account);
        for remark in server.warnings.into_iter().chain(join_quota::token_scope_warning(access)) {
            terminal.print(&remark);
            account.details.warnings.push(remark);
        }
        membership = Some((joined, server.name));
    }
    let purse = membership.as_ref().map(|(joined, _)| joined.token_cache());
    let far = ApiConnection::from_args(args, access, purse, terminal).await?;
    account.record_endpoint(&far.base_url);
    let known = open_state::open_state(plan, &mut heard.signals, terminal).await?;
    // Last of all: who waits for a moment has heard by then of everything that there is to mend.
    if let Some(moment) = departure {
        start_at::wait_until(&moment, heard, terminal).await?;
    }
    if crowded
        && let Some(crowd) = start_at::peak_hour_warning(
            &Zoned::now(),
            args.rate_limit.rate,
            open,
            source.columns().len(),
        )
    {
        terminal.print(&crowd);
        account.details.warnings.push(crowd);
    }
    ResolveRun {
        args,
        terminal,
        limits: bounds,
        total_rows: total,
        targets,
        original,
        state_kind: memory,
        joined: membership,
        summary: account,
    }
    .run((source, manner), sinks, far, known, heard)
    .await
}

/// The exit status of a run that wrote its output.
fn exit_status(args: &ResolveArgs, report: &Totals) -> Exit {
    let unwanted = args.fail_on == Some(FailOn::NotFound) && report.rows(Status::NotFound) > 0;
    if report.rows(Status::Failed) > 0 || unwanted { Exit::RowsFailed } else { Exit::Success }
}

/// One run, from its first call to its last word.
struct ResolveRun<'a> {
    args: &'a ResolveArgs,
    terminal: &'a Terminal,
    limits: RunLimits,
    total_rows: Option<u64>,
    targets: OutputTargets,
    /// The input, where the output takes its place.
    original: Option<Original>,
    /// What becomes of the answers.
    state_kind: StateKind,
    /// What it has in common with other runs, and what the server of that is called.
    joined: Option<(Joined, String)>,
    summary: &'a mut RunSummary,
}

impl ResolveRun<'_> {
    async fn run(
        mut self,
        (source, manner): (Source, RowFormat),
        sinks: Outputs,
        far: ApiConnection,
        mut known: Answers,
        SignalHandlers { signals, status_requests: question }: &mut SignalHandlers,
    ) -> Result<Exit, Failure> {
        let broken = |error: io::Error| Failure::from_error(Exit::Error, error);
        let ApiConnection {
            api: remote,
            base_url: address,
            display_name: endpoint,
            sandbox: server,
        } = far;
        // What the advice for rows that failed has to rely on: that the output reads with the same flags as the input.
        let retriable = source.dialect().has_headers && retry_failed::can_reread_output(self.args);
        let (labels, rules) = (source.labels(), options::number_rules(&self.args.numbers));
        let ahead = known.prefetchers(feed::prefetch_threads());
        let ReaderHandle { batches: mut sheets, tail } =
            feed::spawn_reader(source, rules, &manner, ahead).map_err(broken)?;
        let misses = sinks.unresolved.clone();
        let WriterHandle { chunks, outputs: sinks } =
            feed::spawn_writer(sinks, rules.default_region, manner, labels).map_err(broken)?;
        let started = Instant::now();
        let mut chronicle = TimelineRecorder::new(self.args.rate_limit.rate);
        let ends = RunIo { batches: &mut sheets, chunks };
        let rate = self.args.rate_limit.rate;
        let (turns, part): (Box<dyn Limiter>, _) = match self.joined.take() {
            Some((membership, server)) => {
                let (desk, part) = membership.start_session();
                (Box::new(desk), Some((part, server)))
            }
            None => (Box::new(LocalLimiter::new(rate)), None),
        };
        let (terminal, total, bounds) = (self.terminal, self.total_rows, self.limits.clone());
        let drive = RunLoop {
            terminal,
            total_rows: total,
            limits: bounds,
            limiter: turns,
            session: part,
            warnings: &mut self.summary.details.warnings,
        };
        let driven = drive.run(remote, &mut known, ends, signals, question, &mut chronicle);
        let (report, ended, signalled) = Box::pin(driven).await;
        self.summary.details.timeline = chronicle.finish();
        self.summary.record_totals(&report);
        drop(server);
        // Whatever happened, the writer has to let go of its temporary file before the program ends. One that was told
        // to stop may be waiting for whoever reads our output, and is not waited for long.
        let hurried = signalled.is_some() && (ended.is_none() || !self.args.partial);
        let sinks = outputs::join_writer(
            signals,
            sinks,
            signalled,
            if hurried { CLEANUP_TIMEOUT } else { Duration::MAX },
        )
        .await;
        self.summary.details.unresolved = misses.take();
        let Some(ended) = ended else {
            let signal = signalled.unwrap_or(Signal::Interrupt);
            let text =
                tr!("interrupted at once; answers of the last second may have to be asked again");
            return Err(with_resume_hint(
                &Failure::with_message(Exit::Interrupted(signal), text),
                self.state_kind,
                None,
            ));
        };
        let settled = open_state::flush(known, signals).await?;
        let lost = settled.as_ref().err().cloned();
        let told = |failure: Failure| with_resume_hint(&failure, self.state_kind, lost.as_ref());
        let unwritable = |error| told(Failure::from_error(Exit::Output, error));
        let end =
            ended.map_err(|error| told(open_input::unreadable_input(&self.args.input, error)))?;
        // What a second try writes into its own input is what the same command goes on from, state or not.
        let in_place = self.args.retry_failed && self.original.is_some();
        let early = failure_from_end(
            &end,
            &endpoint,
            signalled,
            in_place || self.state_kind != StateKind::None,
        );
        let written = end.should_write_output(self.args.partial);
        let sinks = sinks.map_err(told)?.map_err(unwritable)?;
        let (findings, mut lacking) = (sinks.row_stats.clone(), 0);
        // The only copy of the input is not exchanged for one with open rows, unless that is asked for, or it had them before.
        let open =
            report.rows(Status::Pending) > 0 && !self.args.partial && !self.args.retry_failed;
        let whole = !open || self.original.is_none();
        let written = written && whole;
        if written {
            report.check().map_err(|error| Failure::from_error(Exit::Error, error))?;
            self.check_row_count(&report)?;
            self.original.as_ref().map_or(Ok(()), Original::check_unchanged).map_err(told)?;
            // Who reads a pipe that was not read to its end may wait for it for ever.
            let tail =
                if report.input_complete { tail.join().unwrap_or_default() } else { Vec::new() };
            lacking = sinks.finish(&tail).map_err(unwritable)?;
            self.summary.mark_written();
        }
        let finished = matches!(end, RunEnd::Finished);
        let unfinished = open_state::finish_session(settled, finished).err();
        let took = started.elapsed();
        let file = paths::persistent_path(&self.targets.output).filter(|_| written && retriable);
        let advice = hints::collect_hints(&RunFacts {
            totals: &report,
            row_stats: &findings,
            elapsed: took,
            rate: self.args.rate_limit.rate.per_second(),
            workers: self.args.workers,
            endpoint: &address,
            mainland_prefixed: self.args.api.mainland == MainlandChoice::Prefixed,
            output_file: file.as_deref(),
            answers_kept: finished && self.state_kind != StateKind::None,
            token_only: self.state_kind == StateKind::TokenOnly,
        });
        self.summary.record_hints(&advice);
        let expected = self.args.expect.as_ref().map(|_| &findings);
        if let Some(findings) = expected {
            self.summary.record_expected(findings);
        }
        self.terminal.print(&if written {
            text::describe_run(&report, took, &self.targets, expected, &advice)
        } else {
            text::describe_aborted_run(&report, took, &advice)
        });
        let unread =
            (written && !report.input_complete).then(|| text::unread_input_warning(report.rows_in));
        for remark in text::unencodable_warning(lacking).into_iter().chain(unread) {
            self.terminal.print_error(&remark);
            self.summary.details.warnings.push(remark);
        }
        match (unfinished.filter(|_| finished), early) {
            (Some(failure), _) => Err(failure),
            (None, Some(failure)) if written && in_place => {
                Err(with_resume_hint(&failure, StateKind::InPlace, lost.as_ref()))
            }
            (None, Some(failure)) if written => Err(told(failure)),
            (None, Some(failure)) => Err(told(self.add_output_location(&failure))),
            (None, None) => Ok(exit_status(self.args, &report)),
        }
    }

    /// A file that has other rows than when it was looked through must not pass for resolved.
    fn check_row_count(&self, report: &Totals) -> Result<(), Failure> {
        match self.total_rows {
            Some(total) if total != report.rows_in => Err(Failure::with_message(
                Exit::Input,
                tr!(
                    "{file}: the file changed while it was read: {first} rows at first, {last} in the end; nothing was written. Run again when it is complete.",
                    file = text::input_name(&self.args.input),
                    first = total,
                    last = report.rows_in
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Says where the rows are that were resolved before the run ended.
    fn add_output_location(&self, failure: &Failure) -> Failure {
        let place = match &self.targets.output {
            Target::Stdout => tr!("standard output has the rows up to the first open one"),
            Target::File(path) => tr!(
                "{path} was not written; --partial writes it with what was answered",
                path = path.display()
            ),
        };
        Failure::with_message(failure.exit, format!("{:#}\n  {place}", failure.error))
    }
}
