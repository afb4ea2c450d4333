//! `dingmap resolve`: puts the floors together for one run and tells how it went. Leaves every rule to the floors.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Zoned;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::api::client::Client;
use crate::api::http::Http;
use crate::api::pace::Pace;
use crate::api::token::Issuer;
use crate::app::board::Board;
use crate::app::cli::{FailOn, Resolve};
use crate::app::config::{self, Access};
use crate::app::departure;
use crate::app::exit::{Exit, Failure, Signal, early};
use crate::app::network;
use crate::app::outlook::{Memory, outlook};
use crate::app::recall;
use crate::app::signals::Signals;
use crate::app::summary;
use crate::app::terminal::Terminal;
use crate::domain::entry::looks_like_mobile;
use crate::domain::outcome::Status;
use crate::domain::report::Report;
use crate::engine::ending::End;
use crate::engine::feed::{self, Load, Reading, Writing};
use crate::engine::pipeline::{self, Ends};
use crate::engine::remote::DingTalk;
use crate::engine::settings::Settings;
use crate::sandbox::script::Script;
use crate::sandbox::server::Server;
use crate::store::known::Known;
use crate::table::container::{self, ContainerError, Wishes};
use crate::table::head::Head;
use crate::table::sink::{Sink, SinkError, Style};
use crate::table::source::{Source, SourceError};
use crate::table::survey::{Survey, survey};
use crate::table::target::Target;

/// How long a second Ctrl-C leaves the writer to remove its temporary file; it only waits on a full pipe.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Runs the command: the exit status of a run that wrote its output.
///
/// # Errors
/// A [`Failure`] for everything that people have to be told.
pub fn resolve(args: &Resolve, terminal: &Terminal) -> Result<Exit, Failure> {
    let mut bounds = config::bounds(args, fastrand::u64(..))?;
    let departure = departure::planned(args.start_at.as_deref(), &Zoned::now())?;
    let (source, title, survey) = open(args)?;
    let total = survey.as_ref().map(|survey| survey.rows);
    bounds.reads_on = total.is_some();
    terminal.say(&summary::opening(&title, &source, total));
    let style = config::writing(args, source.dialect().encoding, survey.as_ref())?;
    let output = config::output(args);
    let target = if output == Path::new("-") { Target::Stdout } else { Target::File(output) };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of(Exit::Broken, error))?;
    let exit = runtime.block_on(async {
        // The signals are caught before there is a temporary file, so that none can leave it behind.
        let mut signals = Signals::new().map_err(|error| Failure::of(Exit::Broken, error))?;
        // The input came first, then the output, then the credentials: what a person has at hand is checked before what
        // they have to fetch.
        let sink = create(&mut signals, target.clone(), source.head().clone(), style).await?;
        let access =
            if args.sandbox { None } else { Some(config::access(args, |name| std::env::var_os(name))?) };
        let plan = recall::plan(args, access.as_ref(), &source, total)?;
        let memory = recall::memory(plan.as_ref());
        let crowded = access.as_ref().is_some_and(|access| !network::is_loopback(&access.endpoint));
        let far = FarSide::of(args, access, terminal).await?;
        let known = recall::begin(plan, &mut signals, terminal).await?;
        // Last of all: who waits for a moment has heard by then of everything that there is to mend.
        if let Some(moment) = &departure {
            departure::wait(moment, &mut signals, terminal).await?;
        }
        if crowded
            && let Some(crowd) = departure::crowd(&Zoned::now(), args.rate, total, source.columns().len())
        {
            terminal.say(&crowd);
        }
        terminal.begin(total);
        Run { args, terminal, bounds, total, target, memory }.run(source, sink, far, known, signals).await
    });
    // A thread may still wait for a silent pipe; it has nothing that needs an orderly end.
    runtime.shutdown_background();
    exit
}

/// Opens the output. A FIFO that nobody reads makes that wait, which a signal ends.
async fn create(signals: &mut Signals, target: Target, head: Head, style: Style) -> Result<Sink, Failure> {
    let mut creating = tokio::task::spawn_blocking(move || Sink::create(target, &head, style));
    tokio::select! {
        biased;
        sink = &mut creating => match sink {
            Ok(sink) => sink.map_err(|error| Failure::of(Exit::Output, error)),
            Err(error) => Err(Failure::of(Exit::Broken, error)),
        },
        signal = signals.next() => {
            // A temporary file that was just made is removed with the sink that this gives.
            drop(timeout(AT_ONCE, creating).await);
            Err(Failure::new(Exit::Interrupted(signal), "interrupted while opening the output"))
        }
    }
}

/// Opens the input, and says what to call it. A regular file is read through once before, so that a bad row is told before
/// the first call and the number of rows is known.
fn open(args: &Resolve) -> Result<(Source, String, Option<Survey>), Failure> {
    let mut options = config::reading(args);
    let wishes = Wishes { sheet: args.sheet.as_deref(), delimiter: args.delimiter };
    let looks = |cell: &str| looks_like_mobile(cell, args.region);
    let name = summary::name(&args.input);
    let unreadable =
        |error| Failure { exit: Exit::Input, error: anyhow::Error::new(error).context(name.clone()) };
    let unopened = |error| {
        let exit = if matches!(error, ContainerError::NoSheets) { Exit::Usage } else { Exit::Input };
        Failure { exit, error: anyhow::Error::new(error).context(name.clone()) }
    };
    let piped = args.input == Path::new("-");
    let regular = !piped && std::fs::metadata(&args.input).is_ok_and(|metadata| metadata.is_file());
    let open = || {
        if piped {
            container::stream(Box::new(io::stdin()), wishes)
        } else {
            container::open(&args.input, wishes)
        }
    };
    let mut opened = open().map_err(unopened)?;
    if opened.delimiter.is_some() && options.encoding.is_some() {
        let text = format!("{name} is a workbook, whose text needs no --encoding: leave it out");
        return Err(Failure::new(Exit::Usage, text));
    }
    options.delimiter = opened.delimiter.or(options.delimiter);
    options.eager = regular;
    let mut found = None;
    if regular {
        found = Some(survey(opened.reader, &options, &looks).map_err(unreadable)?);
        opened = open().map_err(unopened)?;
    }
    let source = Source::open(opened.reader, &options, &looks).map_err(unreadable)?;
    let title = opened.remark.map_or_else(|| name.clone(), |remark| format!("{name} ({remark})"));
    Ok((source, title, found))
}

/// The API and its address: DingTalk's, or those of a server of our own.
struct FarSide {
    remote: DingTalk,
    endpoint: String,
    /// Serves as long as it lives.
    server: Option<Server>,
}

impl FarSide {
    /// Makes ready to call it, and says what there is to say of that. Nothing is sent yet.
    async fn of(args: &Resolve, access: Option<Access>, terminal: &Terminal) -> Result<Self, Failure> {
        let (server, access) = if let Some(access) = access {
            (None, access)
        } else {
            terminal.say("resolving against the built-in sandbox: its people and their ids are invented");
            let script = Script::default();
            let server =
                Server::start(script.clone(), 0).await.map_err(|error| Failure::of(Exit::Broken, error))?;
            let access = config::rehearsal(args, &server.endpoint(), &script)?;
            (Some(server), access)
        };
        for remark in &access.remarks {
            terminal.say(remark);
        }
        let endpoint = network::named(&access.endpoint, &access.connections.route);
        let http = Http::new(&access.connections).map_err(|what| network::unusable(&what))?;
        let (mainland, exclusive) = (config::mainland(args), args.exclusive_accounts);
        let remote = DingTalk {
            client: Client::new(http.clone(), &access.endpoint, mainland, exclusive),
            issuer: Issuer::new(http, &access.endpoint, access.credentials),
        };
        Ok(Self { remote, endpoint, server })
    }
}

/// One run, from its first call to its last word.
struct Run<'a> {
    args: &'a Resolve,
    terminal: &'a Terminal,
    bounds: Settings,
    total: Option<u64>,
    target: Target,
    /// What becomes of the answers.
    memory: Memory,
}

impl Run<'_> {
    async fn run(
        self,
        source: Source,
        sink: Sink,
        far: FarSide,
        mut known: Known,
        mut signals: Signals,
    ) -> Result<Exit, Failure> {
        let broken = |error: io::Error| Failure::of(Exit::Broken, error);
        let FarSide { remote, endpoint, server } = far;
        let (further, labels) = (config::further(self.args), source.labels());
        let Reading { mut sheets, tail } = feed::read(source, config::rules(self.args)).map_err(broken)?;
        let Writing { chunks, sink } = feed::write(sink, further, labels).map_err(broken)?;
        let started = Instant::now();
        let (ended, signalled) =
            self.drive(remote, &mut known, Ends { sheets: &mut sheets, chunks }, &mut signals).await;
        drop(server);
        self.terminal.end();
        // Whatever happened, the writer has to let go of its temporary file before the program ends. One that was told
        // to stop may be waiting for whoever reads our output, and is not waited for long.
        let hurried = signalled.is_some() && (ended.is_none() || !self.args.partial);
        let sink = outrun(&mut signals, sink, signalled, if hurried { AT_ONCE } else { Duration::MAX }).await;
        let Some(ended) = ended else {
            let signal = signalled.unwrap_or(Signal::Interrupt);
            let text = "interrupted at once; answers of the last second may have to be asked again";
            return Err(outlook(&Failure::new(Exit::Interrupted(signal), text), self.memory, None));
        };
        let settled = recall::settle(known, &mut signals).await?;
        let lost = settled.as_ref().err().cloned();
        let told = |failure: Failure| outlook(&failure, self.memory, lost.as_ref());
        let unwritable = |error| told(Failure::of(Exit::Output, error));
        let (report, end) = ended.map_err(|error| {
            let error = anyhow::Error::new(error).context(summary::name(&self.args.input));
            told(Failure { exit: Exit::Input, error })
        })?;
        let early = early(&end, &endpoint, signalled);
        let written = end.hands_on_all(self.args.partial);
        let sink = sink.map_err(told)?.map_err(unwritable)?;
        let mut lacking = 0;
        // The only copy of the input is not exchanged for one with open rows, unless that is asked for.
        let whole = report.rows(Status::Pending) == 0 || self.args.partial || !self.replaces_input();
        let written = written && whole;
        if written {
            report.check().map_err(|error| Failure::of(Exit::Broken, error))?;
            self.is_all_there(&report)?;
            // The sheets have ended, so the reader has.
            let tail = tail.join().unwrap_or_default();
            lacking = sink.finish(&tail).map_err(unwritable)?;
        }
        let unfinished = recall::finish(settled, matches!(end, End::Finished)).err();
        let took = started.elapsed();
        self.terminal.say(&if written {
            summary::closing(&report, took, &self.target)
        } else {
            summary::broken_off(&report, took)
        });
        if let Some(remark) = summary::lacking(lacking) {
            self.terminal.complain(&remark);
        }
        match (unfinished.filter(|_| matches!(end, End::Finished)), early) {
            (Some(failure), _) => Err(failure),
            (None, Some(failure)) if written => Err(told(failure)),
            (None, Some(failure)) => Err(told(self.unwritten(&failure))),
            (None, None) => {
                if report.rows(Status::Failed) > 0 && self.memory != Memory::None {
                    self.terminal.say("to try those that failed again and ask nothing else twice, add --max-age 1d --max-age-not-found 1d");
                }
                Ok(self.verdict(&report))
            }
        }
    }

    /// Drives the engine, shows how it goes and listens for signals: how it ended, none where a second signal ended
    /// it at once, and the last signal.
    async fn drive(
        &self,
        remote: DingTalk,
        known: &mut Known,
        ends: Ends<'_, Load, SourceError>,
        signals: &mut Signals,
    ) -> (Option<Result<(Report, End), SourceError>>, Option<Signal>) {
        let board = RefCell::new(Board::new(self.total, self.args.rate));
        let (stop, stopped) = watch::channel(false);
        let announce = |event: &_| board.borrow_mut().observe(event);
        let (bounds, pace) = (self.bounds.clone(), Pace::new(self.args.rate));
        let mut engine = pin!(pipeline::run(bounds, Arc::new(remote), pace, known, ends, stopped, announce));
        let period = self.terminal.period();
        let mut ticks = interval(period.unwrap_or(Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick comes at once, when there is nothing to show yet.
        ticks.reset();
        let mut signalled = None;
        loop {
            tokio::select! {
                biased;
                signal = signals.next() => {
                    if signalled.replace(signal).is_some() {
                        return (None, signalled);
                    }
                    self.terminal.say("stopping: waiting for the calls under way; once more to stop at once");
                    // The run has ended where nobody listens.
                    let _ = stop.send(true);
                }
                ended = &mut engine => return (Some(ended), signalled),
                _ = ticks.tick(), if period.is_some() => {
                    let (course, counts, rows) = {
                        let mut board = board.borrow_mut();
                        (board.course(), board.counts(), board.settled())
                    };
                    self.terminal.progress(rows, course, counts);
                }
            }
        }
    }

    /// A file that has other rows than when it was looked through must not pass for resolved.
    fn is_all_there(&self, report: &Report) -> Result<(), Failure> {
        match self.total {
            Some(total) if total != report.rows_in => Err(Failure::new(
                Exit::Input,
                format!(
                    "{}: the file changed while it was read: {total} rows at first, {} in the end; nothing was written. Run again when it is complete.",
                    summary::name(&self.args.input),
                    report.rows_in
                ),
            )),
            _ => Ok(()),
        }
    }

    fn verdict(&self, report: &Report) -> Exit {
        let unwanted = self.args.fail_on == Some(FailOn::NotFound) && report.rows(Status::NotFound) > 0;
        if report.rows(Status::Failed) > 0 || unwanted { Exit::Failed } else { Exit::Done }
    }

    /// Whether the output takes the input's place.
    fn replaces_input(&self) -> bool {
        matches!(&self.target, Target::File(path) if recall::same(path, &self.args.input))
    }

    /// Says where the rows are that were resolved before the run ended.
    fn unwritten(&self, failure: &Failure) -> Failure {
        let place = match &self.target {
            Target::Stdout => "standard output has the rows up to the first open one".to_owned(),
            Target::File(path) => format!(
                "{} was not written; --partial writes it with the open rows as pending",
                path.display()
            ),
        };
        Failure::new(failure.exit, format!("{:#}\n  {place}", failure.error))
    }
}

/// Waits for the writer, for so long at most; a signal cuts the wait down to [`AT_ONCE`].
async fn outrun(
    signals: &mut Signals,
    writer: JoinHandle<Result<Sink, SinkError>>,
    signalled: Option<Signal>,
    patience: Duration,
) -> Result<Result<Sink, SinkError>, Failure> {
    let mut joined = tokio::task::spawn_blocking(move || writer.join());
    let (signal, patience) = tokio::select! {
        biased;
        joined = &mut joined => return ended(joined),
        () = sleep(patience) => (signalled.unwrap_or(Signal::Interrupt), Duration::ZERO),
        signal = signals.next() => (signal, AT_ONCE),
    };
    match timeout(patience, joined).await {
        Ok(joined) => ended(joined),
        Err(_) => Err(Failure::new(Exit::Interrupted(signal), "interrupted while writing the output")),
    }
}

/// What the writer gave back; that it panicked is a bug of ours.
fn ended<E, P>(
    joined: Result<Result<Result<Sink, SinkError>, P>, E>,
) -> Result<Result<Sink, SinkError>, Failure> {
    let bug = || Failure::new(Exit::Broken, "the writer ended unexpectedly; this is a bug, please report it");
    joined.map_err(|_| bug())?.map_err(|_| bug())
}
