//! `dingmap resolve`: puts the floors together for one run and tells how it went. Leaves every rule to the floors.

use std::fs::File;
use std::io;
use std::time::Duration;

use jiff::Zoned;
use tokio::time::Instant;
use tr::tr;

use crate::api::limiter::Turns;
use crate::api::rate_limiter::Pace;
use crate::app::cli::args::{FailOn, Resolve};
use crate::app::cli::input_args::Mainland;
use crate::app::cli::network;
use crate::app::cli::options;
use crate::app::cli::paths::{self, Targets};
use crate::app::commands::open_input::{self, Opened};
use crate::app::commands::resolve::connect::FarSide;
use crate::app::commands::resolve::in_place::{self, Original};
use crate::app::commands::resolve::join_quota;
use crate::app::commands::resolve::open_state;
use crate::app::commands::resolve::outputs;
use crate::app::commands::resolve::retry_failed::{self, Settled};
use crate::app::commands::resolve::run_loop::Drive;
use crate::app::commands::resolve::start_at;
use crate::app::commands::state::messages::{Memory, outlook};
use crate::app::exit::{Exit, Failure, Signal, early};
use crate::app::progress::terminal::Terminal;
use crate::app::report::advising::{self, Facts};
use crate::app::report::files::Papers;
use crate::app::report::run_summary::Account;
use crate::app::report::text;
use crate::app::report::timeline::Chronicle;
use crate::app::signals::{AT_ONCE, Heard};
use crate::domain::outcome::Status;
use crate::domain::totals::Report;
use crate::engine::end::End;
use crate::engine::io::feed::{self, Reading, Sinks, Writing};
use crate::engine::io::row_format::{Manner, Wanted};
use crate::engine::limits::Settings;
use crate::engine::run::Ends;
use crate::quota::join::Membership;
use crate::store::answers::Known;
use crate::store::scope::sha256;
use crate::table::source::Source;
use crate::table::write::output::Target;

/// Runs the command: the exit status of a run that wrote its output.
///
/// # Errors
/// A [`Failure`] for everything that people have to be told.
pub(crate) fn resolve(args: &Resolve, terminal: &Terminal) -> Result<Exit, Failure> {
    let asked = Asked {
        bounds: options::bounds(args, fastrand::u64(..))?,
        departure: start_at::planned(args.start_at.as_deref(), &Zoned::now())?,
        wanted: options::wanted(args)?,
        targets: paths::targets(args),
    };
    if !args.sandbox {
        // Before the input is gone through, which may take its time.
        network::endpoint(&args.directory.endpoint, args.way.insecure_http)?;
    }
    in_place::possible(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Broken, error))?;
    let exit = runtime.block_on(reported(args, terminal, asked));
    // A thread may still wait for a silent pipe; it has nothing that needs an orderly end.
    runtime.shutdown_background();
    exit
}

/// What the flags come to, before anything is opened.
struct Asked {
    bounds: Settings,
    departure: Option<Zoned>,
    wanted: Wanted,
    targets: Targets,
}

/// A run, and the files that tell of it.
async fn reported(args: &Resolve, terminal: &Terminal, asked: Asked) -> Result<Exit, Failure> {
    // The signals are caught before there is a temporary file, so that none can leave it behind.
    let mut heard = Heard::new().map_err(|error| Failure::of(Exit::Broken, error))?;
    let targets = asked.targets.clone();
    let opening = move || Papers::open(&targets);
    let papers =
        heard.signals.during(opening, tr!("interrupted while opening the output")).await??;
    let mut account = Account::new(args, &args.input.display().to_string());
    account.story.output = asked.targets.all.to_string();
    let result = attempt(args, terminal, asked, &mut heard, &mut account).await;
    account.ended(&result);
    let writing = move || papers.write(&account);
    let broken_off = tr!("interrupted while writing --summary, --metrics or --report");
    let written = heard.signals.hurrying(writing, broken_off).await;
    match (written.flatten(), result) {
        (Ok(()), result) => result,
        (Err(failure), Ok(_)) => Err(failure),
        (Err(failure), Err(first)) => {
            terminal.complain(&format!("{:#}", failure.error));
            Err(first)
        }
    }
}

async fn attempt(
    args: &Resolve,
    terminal: &Terminal,
    Asked { mut bounds, departure, wanted, targets }: Asked,
    heard: &mut Heard,
    account: &mut Account,
) -> Result<Exit, Failure> {
    let original = Original::of(&args.input, &targets);
    let Opened { source, title, survey, settled, packed } =
        open_input::open_heard(args, &wanted, &mut heard.signals).await?;
    in_place::plain(args, packed)?;
    let manner = open_input::manner(&wanted, &source, &args.input)?;
    let total = survey.as_ref().map(|survey| survey.rows);
    let open = settled.as_ref().map_or(total, |settled| Some(settled.open()));
    // Read once more only where somebody asked for it; of a pipe there is nothing to read again.
    let mut digest = None;
    if (targets.summary.is_some() || targets.report.is_some()) && total.is_some() {
        let input = args.input.clone();
        let digesting = move || File::open(input).and_then(sha256);
        let told =
            heard.signals.during(digesting, tr!("interrupted before the first call")).await?;
        digest = Some(told.map_err(|error| Failure::of(Exit::Input, error))?);
    }
    account.opened(&source, digest);
    bounds.reads_on = total.is_some();
    account.story.detected = text::opening(&title, &source, args.part.shard, total);
    let server = |url| join_quota::server(url, &args.sharing.door, |name| std::env::var_os(name));
    let shared = args.sharing.shared.as_ref().map(server).transpose()?;
    // Where the quota is shared the first line says so, too, which takes a word with the server.
    let says_so = |account: &Account| terminal.say(&account.story.detected);
    if shared.is_none() {
        says_so(account);
    }
    // What is as it should be already is not written anew, and needs no credentials.
    if let Some(Settled { report, findings, misses }) =
        settled.filter(|settled| settled.open() == 0)
        && args.output.is_none()
        && args.failed.is_none()
    {
        if shared.is_some() {
            says_so(account);
        }
        account.report(&report);
        account.story.misses = misses;
        terminal.say(&retry_failed::nothing(&report, &args.input));
        if args.expect.is_some() {
            account.expected(&findings);
            terminal.say(&text::compared(&findings, report.rows_out));
        }
        // It stands there complete, as it did before.
        account.written();
        return Ok(verdict(args, &report));
    }
    if let Some(remark) = retry_failed::uncompared(&wanted, &source) {
        terminal.say(&remark);
        account.story.remarks.push(remark);
    }
    let style = options::writing(args, source.dialect().encoding, survey.as_ref())?;
    // The input came first, then the output, then the credentials: what a person has at hand is checked before what
    // they have to fetch.
    let mut first = source.head().clone();
    first.names = first.names.filter(|_| !wanted.again);
    let sinks = outputs::create(&mut heard.signals, targets.clone(), first, style).await?;
    let mut access = None;
    if !args.sandbox {
        // The secret's file may be a pipe.
        let args = args.clone();
        let reading = move || options::access(&args, |name| std::env::var_os(name));
        access =
            Some(heard.signals.during(reading, tr!("interrupted before the first call")).await??);
    }
    let plan = open_state::plan(args, access.as_ref(), &source, total, &mut heard.signals).await?;
    let memory = open_state::memory(plan.as_ref());
    let crowded = access.as_ref().is_some_and(|access| !network::is_loopback(&access.endpoint));
    account.story.remarks.extend(access.iter().flat_map(|access| access.remarks.clone()));
    let mut membership = None;
    if let Some((server, access)) = shared.zip(access.as_ref()) {
        let joined = join_quota::join(
            &server,
            join_quota::application(args, &server, access),
            &mut heard.signals,
        )
        .await?;
        let found = join_quota::found(&server, &joined, args.speed.rate);
        account.story.detected =
            tr!("{detected}; {quota}", detected = account.story.detected, quota = found);
        says_so(account);
        for remark in server.remarks.into_iter().chain(join_quota::apart(access)) {
            terminal.say(&remark);
            account.story.remarks.push(remark);
        }
        membership = Some((joined, server.name));
    }
    let purse = membership.as_ref().map(|(joined, _)| joined.purse());
    let far = FarSide::of(args, access, purse, terminal).await?;
    account.endpoint(&far.address);
    let known = open_state::begin(plan, &mut heard.signals, terminal).await?;
    // Last of all: who waits for a moment has heard by then of everything that there is to mend.
    if let Some(moment) = departure {
        start_at::wait(&moment, heard, terminal).await?;
    }
    if crowded
        && let Some(crowd) =
            start_at::crowd(&Zoned::now(), args.speed.rate, open, source.columns().len())
    {
        terminal.say(&crowd);
        account.story.remarks.push(crowd);
    }
    Run { args, terminal, bounds, total, targets, original, memory, membership, account }
        .run((source, manner), sinks, far, known, heard)
        .await
}

/// The exit status of a run that wrote its output.
fn verdict(args: &Resolve, report: &Report) -> Exit {
    let unwanted = args.fail_on == Some(FailOn::NotFound) && report.rows(Status::NotFound) > 0;
    if report.rows(Status::Failed) > 0 || unwanted { Exit::Failed } else { Exit::Done }
}

/// One run, from its first call to its last word.
struct Run<'a> {
    args: &'a Resolve,
    terminal: &'a Terminal,
    bounds: Settings,
    total: Option<u64>,
    targets: Targets,
    /// The input, where the output takes its place.
    original: Option<Original>,
    /// What becomes of the answers.
    memory: Memory,
    /// What it has in common with other runs, and what the server of that is called.
    membership: Option<(Membership, String)>,
    account: &'a mut Account,
}

impl Run<'_> {
    async fn run(
        mut self,
        (source, manner): (Source, Manner),
        sinks: Sinks,
        far: FarSide,
        mut known: Known,
        Heard { signals, question }: &mut Heard,
    ) -> Result<Exit, Failure> {
        let broken = |error: io::Error| Failure::of(Exit::Broken, error);
        let FarSide { remote, address, endpoint, server } = far;
        // What the advice for rows that failed has to rely on: that the output reads with the same flags as the input.
        let retriable = source.dialect().headers && retry_failed::reads_alike(self.args);
        let (labels, rules) = (source.labels(), options::rules(&self.args.numbers));
        let ahead = known.ahead(feed::threads_ahead());
        let Reading { mut sheets, tail } =
            feed::read(source, rules, &manner, ahead).map_err(broken)?;
        let misses = sinks.misses.clone();
        let Writing { chunks, sinks } =
            feed::write(sinks, rules.home, manner, labels).map_err(broken)?;
        let started = Instant::now();
        let mut chronicle = Chronicle::new(self.args.speed.rate);
        let ends = Ends { sheets: &mut sheets, chunks };
        let rate = self.args.speed.rate;
        let (turns, part): (Box<dyn Turns>, _) = match self.membership.take() {
            Some((membership, server)) => {
                let (desk, part) = membership.open();
                (Box::new(desk), Some((part, server)))
            }
            None => (Box::new(Pace::new(rate)), None),
        };
        let (terminal, total, bounds) = (self.terminal, self.total, self.bounds.clone());
        let drive = Drive {
            terminal,
            total,
            bounds,
            turns,
            part,
            remarks: &mut self.account.story.remarks,
        };
        let driven = drive.to_its_end(remote, &mut known, ends, signals, question, &mut chronicle);
        let (report, ended, signalled) = Box::pin(driven).await;
        self.account.story.course = chronicle.close();
        self.account.report(&report);
        drop(server);
        // Whatever happened, the writer has to let go of its temporary file before the program ends. One that was told
        // to stop may be waiting for whoever reads our output, and is not waited for long.
        let hurried = signalled.is_some() && (ended.is_none() || !self.args.partial);
        let sinks = outputs::outrun(
            signals,
            sinks,
            signalled,
            if hurried { AT_ONCE } else { Duration::MAX },
        )
        .await;
        self.account.story.misses = misses.take();
        let Some(ended) = ended else {
            let signal = signalled.unwrap_or(Signal::Interrupt);
            let text =
                tr!("interrupted at once; answers of the last second may have to be asked again");
            return Err(outlook(&Failure::new(Exit::Interrupted(signal), text), self.memory, None));
        };
        let settled = open_state::settle(known, signals).await?;
        let lost = settled.as_ref().err().cloned();
        let told = |failure: Failure| outlook(&failure, self.memory, lost.as_ref());
        let unwritable = |error| told(Failure::of(Exit::Output, error));
        let end = ended.map_err(|error| told(open_input::unreadable(&self.args.input, error)))?;
        // What a second try writes into its own input is what the same command goes on from, state or not.
        let in_place = self.args.retry_failed && self.original.is_some();
        let early = early(&end, &endpoint, signalled, in_place || self.memory != Memory::None);
        let written = end.hands_on_all(self.args.partial);
        let sinks = sinks.map_err(told)?.map_err(unwritable)?;
        let (findings, mut lacking) = (sinks.findings.clone(), 0);
        // The only copy of the input is not exchanged for one with open rows, unless that is asked for, or it had them before.
        let open =
            report.rows(Status::Pending) > 0 && !self.args.partial && !self.args.retry_failed;
        let whole = !open || self.original.is_none();
        let written = written && whole;
        if written {
            report.check().map_err(|error| Failure::of(Exit::Broken, error))?;
            self.is_all_there(&report)?;
            self.original.as_ref().map_or(Ok(()), Original::is_untouched).map_err(told)?;
            // Who reads a pipe that was not read to its end may wait for it for ever.
            let tail = if report.read_whole { tail.join().unwrap_or_default() } else { Vec::new() };
            lacking = sinks.finish(&tail).map_err(unwritable)?;
            self.account.written();
        }
        let finished = matches!(end, End::Finished);
        let unfinished = open_state::finish(settled, finished).err();
        let took = started.elapsed();
        let file = paths::lasting(&self.targets.all).filter(|_| written && retriable);
        let advice = advising::advice(&Facts {
            report: &report,
            findings: &findings,
            took,
            rate: self.args.speed.rate.per_second(),
            workers: self.args.workers,
            endpoint: &address,
            prefixed: self.args.directory.mainland == Mainland::Prefixed,
            file: file.as_deref(),
            outlives: finished && self.memory != Memory::None,
            token_alone: self.memory == Memory::Token,
        });
        self.account.advised(&advice);
        let expected = self.args.expect.as_ref().map(|_| &findings);
        if let Some(findings) = expected {
            self.account.expected(findings);
        }
        self.terminal.say(&if written {
            text::closing(&report, took, &self.targets, expected, &advice)
        } else {
            text::broken_off(&report, took, &advice)
        });
        let unread = (written && !report.read_whole).then(|| text::unread(report.rows_in));
        for remark in text::lacking(lacking).into_iter().chain(unread) {
            self.terminal.complain(&remark);
            self.account.story.remarks.push(remark);
        }
        match (unfinished.filter(|_| finished), early) {
            (Some(failure), _) => Err(failure),
            (None, Some(failure)) if written && in_place => {
                Err(outlook(&failure, Memory::Written, lost.as_ref()))
            }
            (None, Some(failure)) if written => Err(told(failure)),
            (None, Some(failure)) => Err(told(self.unwritten(&failure))),
            (None, None) => Ok(verdict(self.args, &report)),
        }
    }

    /// A file that has other rows than when it was looked through must not pass for resolved.
    fn is_all_there(&self, report: &Report) -> Result<(), Failure> {
        match self.total {
            Some(total) if total != report.rows_in => Err(Failure::new(
                Exit::Input,
                tr!(
                    "{file}: the file changed while it was read: {first} rows at first, {last} in the end; nothing was written. Run again when it is complete.",
                    file = text::name(&self.args.input),
                    first = total,
                    last = report.rows_in
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Says where the rows are that were resolved before the run ended.
    fn unwritten(&self, failure: &Failure) -> Failure {
        let place = match &self.targets.all {
            Target::Stdout => tr!("standard output has the rows up to the first open one"),
            Target::File(path) => tr!(
                "{path} was not written; --partial writes it with what was answered",
                path = path.display()
            ),
        };
        Failure::new(failure.exit, format!("{:#}\n  {place}", failure.error))
    }
}
