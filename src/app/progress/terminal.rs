//! Standard error: bar, progress lines, log and messages. Only this file writes there, so that none
//! of them tears another, and so that each line of `--progress json` is a JSON object.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde_json::json;
use tr::tr;
use tracing_subscriber::fmt::MakeWriter;

use crate::app::cli::shared_args::{MessageArgs, ProgressChoice};
use crate::app::exit::Failure;
use crate::app::progress::bar::{BarContent, UnpaddedTerm, render_lines};
use crate::app::progress::snapshot::Snapshot;
use crate::clock;
use crate::domain::redact;

const REDRAWS_PER_SECOND: u8 = 10;
const JSON_PERIOD: Duration = Duration::from_secs(1);
/// Without a terminal that can redraw.
const LINE_PERIOD: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    is_quiet: bool,
    /// Whether standard error is a terminal that can redraw a line.
    can_redraw: bool,
    mode: ProgressMode,
    bar: ProgressBar,
    /// What the bar shows; `None` before the first progress.
    content: Arc<Mutex<Option<BarContent>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProgressMode {
    Bar,
    Line,
    Json,
    Silent,
}

/// The severity of a message, which JSON lines have as `level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Terminal {
    /// Chooses how to show progress. A bar needs a terminal that can redraw a line. If rows go to
    /// standard output (`rows`), standard output must not be a terminal, because rows and bar would
    /// tear each other.
    #[must_use]
    pub(crate) fn new(show: &MessageArgs, rows: bool) -> Self {
        let kind = std::env::var_os("TERM").unwrap_or_default();
        let can_redraw = stderr().is_terminal() && !kind.is_empty() && kind != "dumb";
        let mode = match show.progress {
            // Whoever asks for JSON reads it with a program, also if the messages are unwanted.
            ProgressChoice::Json => ProgressMode::Json,
            _ if show.quiet => ProgressMode::Silent,
            ProgressChoice::None => ProgressMode::Silent,
            ProgressChoice::Auto | ProgressChoice::Bar
                if can_redraw && !(rows && console::user_attended()) =>
            {
                ProgressMode::Bar
            }
            _ => ProgressMode::Line,
        };
        let terminal = Self {
            is_quiet: show.quiet,
            can_redraw,
            mode,
            bar: ProgressBar::hidden(),
            content: Arc::default(),
        };
        if mode == ProgressMode::Bar {
            terminal.show_bar();
        }
        terminal
    }

    /// Whether every line must be a JSON object.
    #[must_use]
    pub(crate) fn is_json(&self) -> bool {
        self.mode == ProgressMode::Json
    }

    /// On a terminal that supports colors, unless `NO_COLOR` is set (no-color.org).
    #[must_use]
    pub(crate) fn has_colors(&self) -> bool {
        self.can_redraw
            && !self.is_json()
            && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
    }

    /// Shows the bar. Clones of the terminal share it, so that messages are printed above it.
    fn show_bar(&self) {
        let (content, term, colors) =
            (self.content.clone(), Term::buffered_stderr(), self.has_colors());
        let columns = term.clone();
        // Read at each redraw, because the user may resize the window.
        let write = move |_: &ProgressState, text: &mut dyn fmt::Write| {
            if let Some(content) = &*content.lock().unwrap_or_else(PoisonError::into_inner) {
                // Writing to a string cannot fail.
                let _ = text.write_str(&render_lines(content, columns.size().1, colors));
            }
        };
        if let Ok(style) = ProgressStyle::with_template("{lines}") {
            self.bar.set_style(style.with_key("lines", write));
            // Redrawn at each tick and after each message only.
            self.bar
                .set_draw_target(ProgressDrawTarget::term_like(Box::new(UnpaddedTerm::new(term))));
        }
    }

    /// How often [`Terminal::show_progress`] should be called; `None` for never.
    #[must_use]
    pub(crate) fn refresh_period(&self) -> Option<Duration> {
        match self.mode {
            ProgressMode::Bar => Some(Duration::from_secs(1) / u32::from(REDRAWS_PER_SECOND)),
            ProgressMode::Line => Some(LINE_PERIOD),
            ProgressMode::Json => Some(JSON_PERIOD),
            ProgressMode::Silent => None,
        }
    }

    pub(crate) fn show_progress(&self, snapshot: &Snapshot) {
        match self.mode {
            ProgressMode::Bar => self.draw(BarContent::Run(Box::new(snapshot.clone()))),
            ProgressMode::Line => self.print_snapshot(snapshot),
            ProgressMode::Json => self.print_json(&snapshot.to_json()),
            ProgressMode::Silent => {}
        }
    }

    /// Shows the progress of a task other than a run. `object` makes the JSON for `--progress
    /// json`.
    pub(crate) fn show_task_progress(
        &self,
        text: &str,
        fraction: Option<(u64, u64)>,
        object: impl FnOnce() -> String,
    ) {
        match self.mode {
            ProgressMode::Bar => self.draw(BarContent::Task { text: text.to_owned(), fraction }),
            ProgressMode::Line => self.print_status(text),
            ProgressMode::Json => self.print_json(&object()),
            ProgressMode::Silent => {}
        }
    }

    /// Prints a progress line with the time, whatever the progress mode is.
    fn print_status(&self, text: &str) {
        self.print(&format!("{}  {text}", clock::now_local().strftime("%H:%M:%S")));
    }

    fn draw(&self, content: BarContent) {
        *self.content.lock().unwrap_or_else(PoisonError::into_inner) = Some(content);
        self.bar.tick();
    }

    /// Removes the bar of a task. `--progress json` gets a last object.
    pub(crate) fn finish_task(&self, object: impl FnOnce() -> String) {
        if self.mode == ProgressMode::Json {
            self.print_json(&object());
        }
        self.bar.finish_and_clear();
    }

    /// Prints the state of a task other than a run, whatever the progress mode is.
    pub(crate) fn print_task(&self, text: &str, object: impl FnOnce() -> String) {
        match self.mode {
            ProgressMode::Json => self.print_json(&object()),
            _ => self.print_status(text),
        }
    }

    /// Prints the state of the run, whatever the progress mode is.
    pub(crate) fn print_snapshot(&self, snapshot: &Snapshot) {
        if self.mode == ProgressMode::Json {
            return self.print_json(&snapshot.to_json());
        }
        let (progress, counts) =
            (snapshot.progress_line(usize::MAX), snapshot.counts_line(usize::MAX));
        self.print_status(&format!("{progress} · {counts}"));
    }

    /// Removes the bar of a run. `--progress json` gets a last object with the final state.
    pub(crate) fn finish_run(&self, snapshot: &Snapshot) {
        if self.mode == ProgressMode::Json {
            self.show_progress(snapshot);
        }
        self.bar.finish_and_clear();
    }

    /// A message that `--quiet` suppresses.
    pub(crate) fn print(&self, text: &str) {
        self.print_unless_quiet(Level::Info, text);
    }

    /// A warning that `--quiet` suppresses.
    pub(crate) fn print_warning(&self, text: &str) {
        self.print_unless_quiet(Level::Warning, text);
    }

    fn print_unless_quiet(&self, level: Level, text: &str) {
        if !self.is_quiet {
            self.write_message(level, "", text);
        }
    }

    /// A message that `--quiet` does not suppress.
    pub(crate) fn print_always(&self, level: Level, text: &str) {
        self.write_message(level, "dingmap: ", text);
    }

    pub(crate) fn print_error(&self, text: &str) {
        self.print_always(Level::Error, text);
    }

    /// The message of a failure that has one.
    pub(crate) fn print_failure(&self, failure: &Failure) {
        if !failure.is_silent {
            self.print_error(&format!("{:#}", failure.error));
        }
    }

    /// A panic, which is a bug, is reported like an error. Its text may quote a cell.
    pub(crate) fn report_panics(&self) {
        let terminal = self.clone();
        panic::set_hook(Box::new(move |info| terminal.print_error(&describe_panic(info))));
    }

    /// Writes a message: `prefix` and `text` for people, an object with `level` for programs.
    fn write_message(&self, level: Level, prefix: &str, text: &str) {
        let text = redact::message(text);
        if self.is_json() {
            let time = clock::now().to_string();
            let object = json!({ "time": time, "level": level.name(), "message": text });
            self.print_json(&object.to_string());
        } else {
            self.write(&format!("{prefix}{text}\n"));
        }
    }

    /// Prints JSON. Numbers in it could look like mobile numbers; its texts are sanitized.
    fn print_json(&self, json: &str) {
        self.write(&format!("{}\n", redact::escape_control(json)));
    }

    fn write(&self, text: &str) {
        // If standard error is closed, there is nowhere to report it.
        self.bar.suspend(|| drop(stderr().lock().write_all(text.as_bytes())));
    }
}

fn describe_panic(info: &PanicHookInfo<'_>) -> String {
    let cause = info.payload_as_str().unwrap_or_default();
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let text =
        tr!("panicked at {location}: {cause}; this is a bug, please report it", location, cause);
    // Only if RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => format!("{text}\n{backtrace}"),
        _ => text,
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the file that writes to standard error")]
fn stderr() -> io::Stderr {
    io::stderr()
}

/// One log line, printed when it is complete.
#[derive(Debug)]
pub(crate) struct LogLine {
    terminal: Terminal,
    text: Vec<u8>,
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.text);
        self.terminal.write(&redact::escape_control(&text));
    }
}

impl<'a> MakeWriter<'a> for Terminal {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine { terminal: self.clone(), text: Vec::new() }
    }
}
