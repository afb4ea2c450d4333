//! Standard error: the bar, the lines, the logs and the messages, none of which tears another. The only file that
//! writes there. Leaves what is said to its callers.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use crate::app::cli::shared_args::{MessageArgs, ProgressChoice};
use crate::app::progress::bar::{BarContent, UnpaddedTerm, render_lines};
use crate::app::progress::snapshot::Snapshot;

/// Redraws a second at most.
const REDRAWS_PER_SECOND: u8 = 10;
/// How often a program that reads along is told.
const JSON_PERIOD: Duration = Duration::from_secs(1);
/// How often progress is told where there is no terminal to draw on.
const LINE_PERIOD: Duration = Duration::from_secs(10);

/// Where messages go.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    is_quiet: bool,
    /// Whether standard error is a terminal that can redraw a line.
    can_redraw: bool,
    mode: ProgressMode,
    bar: ProgressBar,
    /// What the bar shows: nothing before the first look at a run.
    content: Arc<Mutex<Option<BarContent>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProgressMode {
    Bar,
    Line,
    Json,
    Silent,
}

impl Terminal {
    /// Chooses how to show progress: a bar needs a terminal that can redraw a line. Where `rows` go to standard output, that
    /// has to lead elsewhere, or they and the bar would tear each other.
    #[must_use]
    pub(crate) fn new(show: &MessageArgs, rows: bool) -> Self {
        let kind = std::env::var_os("TERM").unwrap_or_default();
        let draws = stderr().is_terminal() && !kind.is_empty() && kind != "dumb";
        let manner = match show.progress {
            _ if show.quiet => ProgressMode::Silent,
            ProgressChoice::None => ProgressMode::Silent,
            ProgressChoice::Json => ProgressMode::Json,
            ProgressChoice::Auto | ProgressChoice::Bar
                if draws && !(rows && console::user_attended()) =>
            {
                ProgressMode::Bar
            }
            _ => ProgressMode::Line,
        };
        let terminal = Self {
            is_quiet: show.quiet,
            can_redraw: draws,
            mode: manner,
            bar: ProgressBar::hidden(),
            content: Arc::default(),
        };
        if manner == ProgressMode::Bar {
            terminal.show_bar();
        }
        terminal
    }

    /// Whether colours are shown: on a terminal that can, unless the user wants none (no-color.org).
    #[must_use]
    pub(crate) fn has_colors(&self) -> bool {
        self.can_redraw && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
    }

    /// Lets the bar be drawn. Clones share it, so that a log line goes above it and not through it.
    fn show_bar(&self) {
        let (seen, term, colours) =
            (self.content.clone(), Term::buffered_stderr(), self.has_colors());
        let columns = term.clone();
        // The width is asked for at each drawing, since it changes when somebody pulls at the window.
        let write = move |_: &ProgressState, text: &mut dyn fmt::Write| {
            if let Some(seen) = &*seen.lock().unwrap_or_else(PoisonError::into_inner) {
                // Writing to a string does not fail.
                let _ = text.write_str(&render_lines(seen, columns.size().1, colours));
            }
        };
        if let Ok(style) = ProgressStyle::with_template("{lines}") {
            self.bar.set_style(style.with_key("lines", write));
            // It is drawn at each tick and behind each message, and at no other time.
            self.bar
                .set_draw_target(ProgressDrawTarget::term_like(Box::new(UnpaddedTerm::new(term))));
        }
    }

    /// How often [`Terminal::progress`] wants to be told; none for never.
    #[must_use]
    pub(crate) fn refresh_period(&self) -> Option<Duration> {
        match self.mode {
            ProgressMode::Bar => Some(Duration::from_secs(1) / u32::from(REDRAWS_PER_SECOND)),
            ProgressMode::Line => Some(LINE_PERIOD),
            ProgressMode::Json => Some(JSON_PERIOD),
            ProgressMode::Silent => None,
        }
    }

    /// Shows how far the run is.
    pub(crate) fn show_progress(&self, glance: &Snapshot) {
        match self.mode {
            ProgressMode::Bar => self.draw(BarContent::Run(Box::new(glance.clone()))),
            ProgressMode::Line => self.print_snapshot(glance),
            ProgressMode::Json => self.print(&glance.to_json()),
            ProgressMode::Silent => {}
        }
    }

    /// Shows how far other work is than a run: `words` with a `share` of the whole once that is known, or an `object` for
    /// programs.
    pub(crate) fn show_task_progress(
        &self,
        words: &str,
        share: Option<(u64, u64)>,
        object: impl FnOnce() -> String,
    ) {
        match self.mode {
            ProgressMode::Bar => {
                self.draw(BarContent::Task { text: words.to_owned(), fraction: share })
            }
            ProgressMode::Line => self.print_status(words),
            ProgressMode::Json => self.print(&object()),
            ProgressMode::Silent => {}
        }
    }

    /// Says how far work is, with the time, however progress is shown.
    pub(crate) fn print_status(&self, words: &str) {
        self.print(&format!("{}  {words}", jiff::Zoned::now().strftime("%H:%M:%S")));
    }

    fn draw(&self, seen: BarContent) {
        *self.content.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        self.bar.tick();
    }

    /// Takes the bar of other work away; a program that reads along gets a last object.
    pub(crate) fn finish_task(&self, object: impl FnOnce() -> String) {
        if self.mode == ProgressMode::Json {
            self.print(&object());
        }
        self.bar.finish_and_clear();
    }

    /// Says how far the run is, however progress is shown.
    pub(crate) fn print_snapshot(&self, glance: &Snapshot) {
        let (course, counts) = (glance.progress_line(usize::MAX), glance.counts_line(usize::MAX));
        self.print_status(&format!("{course} · {counts}"));
    }

    /// Takes the bar away; a program that reads along gets a last object, so that it need not guess how the rest went.
    pub(crate) fn finish_run(&self, glance: &Snapshot) {
        if self.mode == ProgressMode::Json {
            self.show_progress(glance);
        }
        self.bar.finish_and_clear();
    }

    /// A message that a quiet run leaves out.
    pub(crate) fn print(&self, text: &str) {
        if !self.is_quiet {
            self.write(&format!("{}\n", strip_control(text)));
        }
    }

    /// A message that every run shows.
    pub(crate) fn print_error(&self, text: &str) {
        self.write(&format!("dingmap: {}\n", strip_control(text)));
    }

    fn write(&self, text: &str) {
        // Where standard error is gone there is nobody left to tell.
        self.bar.suspend(|| drop(stderr().lock().write_all(text.as_bytes())));
    }
}

/// Names of files and columns come from elsewhere: what they have of control characters would steer the terminal.
#[must_use]
pub(crate) fn strip_control(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[expect(clippy::disallowed_methods, reason = "this is the file that writes to standard error")]
fn stderr() -> io::Stderr {
    io::stderr()
}

/// One log line, shown whole when it is complete.
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
        self.terminal.write(&String::from_utf8_lossy(&self.text));
    }
}

impl<'a> MakeWriter<'a> for Terminal {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine { terminal: self.clone(), text: Vec::new() }
    }
}
