//! Standard error: the bar, the lines, the logs and the messages, none of which tears another. The only file that
//! writes there. Leaves what is said to its callers.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use crate::app::cli::shared_args::{Progress, Show};
use crate::app::progress::bar::{Screen, Seen, lines};
use crate::app::progress::snapshot::Glance;

/// Redraws a second at most.
const REDRAWS: u8 = 10;
/// How often a program that reads along is told.
const OBJECTS: Duration = Duration::from_secs(1);
/// How often progress is told where there is no terminal to draw on.
const LINES: Duration = Duration::from_secs(10);

/// Where messages go.
#[derive(Clone, Debug)]
pub(crate) struct Terminal {
    quiet: bool,
    /// Whether standard error is a terminal that can redraw a line.
    draws: bool,
    manner: Manner,
    bar: ProgressBar,
    /// What the bar shows: nothing before the first look at a run.
    seen: Arc<Mutex<Option<Seen>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Bar,
    Line,
    Json,
    Silent,
}

impl Terminal {
    /// Chooses how to show progress: a bar needs a terminal that can redraw a line. Where `rows` go to standard output, that
    /// has to lead elsewhere, or they and the bar would tear each other.
    #[must_use]
    pub(crate) fn new(show: &Show, rows: bool) -> Self {
        let kind = std::env::var_os("TERM").unwrap_or_default();
        let draws = standard_error().is_terminal() && !kind.is_empty() && kind != "dumb";
        let manner = match show.progress {
            _ if show.quiet => Manner::Silent,
            Progress::None => Manner::Silent,
            Progress::Json => Manner::Json,
            Progress::Auto | Progress::Bar if draws && !(rows && console::user_attended()) => {
                Manner::Bar
            }
            _ => Manner::Line,
        };
        let terminal = Self {
            quiet: show.quiet,
            draws,
            manner,
            bar: ProgressBar::hidden(),
            seen: Arc::default(),
        };
        if manner == Manner::Bar {
            terminal.show_bar();
        }
        terminal
    }

    /// Whether colours are shown: on a terminal that can, unless the user wants none (no-color.org).
    #[must_use]
    pub(crate) fn colours(&self) -> bool {
        self.draws && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
    }

    /// Lets the bar be drawn. Clones share it, so that a log line goes above it and not through it.
    fn show_bar(&self) {
        let (seen, term, colours) = (self.seen.clone(), Term::buffered_stderr(), self.colours());
        let columns = term.clone();
        // The width is asked for at each drawing, since it changes when somebody pulls at the window.
        let write = move |_: &ProgressState, text: &mut dyn fmt::Write| {
            if let Some(seen) = &*seen.lock().unwrap_or_else(PoisonError::into_inner) {
                // Writing to a string does not fail.
                let _ = text.write_str(&lines(seen, columns.size().1, colours));
            }
        };
        if let Ok(style) = ProgressStyle::with_template("{lines}") {
            self.bar.set_style(style.with_key("lines", write));
            // It is drawn at each tick and behind each message, and at no other time.
            self.bar.set_draw_target(ProgressDrawTarget::term_like(Box::new(Screen::new(term))));
        }
    }

    /// How often [`Terminal::progress`] wants to be told; none for never.
    #[must_use]
    pub(crate) fn period(&self) -> Option<Duration> {
        match self.manner {
            Manner::Bar => Some(Duration::from_secs(1) / u32::from(REDRAWS)),
            Manner::Line => Some(LINES),
            Manner::Json => Some(OBJECTS),
            Manner::Silent => None,
        }
    }

    /// Shows how far the run is.
    pub(crate) fn progress(&self, glance: &Glance) {
        match self.manner {
            Manner::Bar => self.draw(Seen::Run(Box::new(glance.clone()))),
            Manner::Line => self.tell(glance),
            Manner::Json => self.say(&glance.json()),
            Manner::Silent => {}
        }
    }

    /// Shows how far other work is than a run: `words` with a `share` of the whole once that is known, or an `object` for
    /// programs.
    pub(crate) fn course(
        &self,
        words: &str,
        share: Option<(u64, u64)>,
        object: impl FnOnce() -> String,
    ) {
        match self.manner {
            Manner::Bar => self.draw(Seen::Work { words: words.to_owned(), share }),
            Manner::Line => self.answer(words),
            Manner::Json => self.say(&object()),
            Manner::Silent => {}
        }
    }

    /// Says how far work is, with the time, however progress is shown.
    pub(crate) fn answer(&self, words: &str) {
        self.say(&format!("{}  {words}", jiff::Zoned::now().strftime("%H:%M:%S")));
    }

    fn draw(&self, seen: Seen) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        self.bar.tick();
    }

    /// Takes the bar of other work away; a program that reads along gets a last object.
    pub(crate) fn finish(&self, object: impl FnOnce() -> String) {
        if self.manner == Manner::Json {
            self.say(&object());
        }
        self.bar.finish_and_clear();
    }

    /// Says how far the run is, however progress is shown.
    pub(crate) fn tell(&self, glance: &Glance) {
        let (course, counts) = (glance.course(usize::MAX), glance.counts(usize::MAX));
        self.answer(&format!("{course} · {counts}"));
    }

    /// Takes the bar away; a program that reads along gets a last object, so that it need not guess how the rest went.
    pub(crate) fn end(&self, glance: &Glance) {
        if self.manner == Manner::Json {
            self.progress(glance);
        }
        self.bar.finish_and_clear();
    }

    /// A message that a quiet run leaves out.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            self.write(&format!("{}\n", printable(text)));
        }
    }

    /// A message that every run shows.
    pub(crate) fn complain(&self, text: &str) {
        self.write(&format!("dingmap: {}\n", printable(text)));
    }

    fn write(&self, text: &str) {
        // Where standard error is gone there is nobody left to tell.
        self.bar.suspend(|| drop(standard_error().lock().write_all(text.as_bytes())));
    }
}

/// Names of files and columns come from elsewhere: what they have of control characters would steer the terminal.
#[must_use]
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

#[expect(clippy::disallowed_methods, reason = "this is the file that writes to standard error")]
fn standard_error() -> io::Stderr {
    io::stderr()
}

/// One log line, shown whole when it is complete.
#[derive(Debug)]
pub(crate) struct Line {
    terminal: Terminal,
    text: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.terminal.write(&String::from_utf8_lossy(&self.text));
    }
}

impl<'a> MakeWriter<'a> for Terminal {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { terminal: self.clone(), text: Vec::new() }
    }
}
