//! The lines at the lower end of a terminal while a run goes on: a bar, and what `glance` says, fitted to the width of the
//! moment. Owns how they look and how they are drawn over. Leaves the words to `glance` and standard error to `terminal`.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use console::{Term, truncate_str};
use indicatif::TermLike;

use crate::app::progress::snapshot::Snapshot;

/// Cells of the widest bar: a longer one says no more, and a terminal that is made narrower breaks what is wider.
const MAX_WIDTH: usize = 72;
/// Cells that stay free at the right, where the terminal itself puts `^C`: what that pushed to another line would be
/// looked for in vain when the bar is taken away.
const RIGHT_MARGIN: usize = 2;

/// What is seen of the work at a moment.
#[derive(Clone, Debug)]
pub(crate) enum BarContent {
    /// A run.
    Run(Box<Snapshot>),
    /// Other work.
    Task {
        /// How far it is.
        text: String,
        /// The same as a part and a whole, once both are known.
        fraction: Option<(u64, u64)>,
    },
}

/// The lines of a moment, for a terminal of so many columns.
#[must_use]
pub(crate) fn render_lines(seen: &BarContent, columns: u16, colours: bool) -> String {
    let cells = usize::from(columns).saturating_sub(RIGHT_MARGIN).max(1);
    let strip = |(part, whole)| render_bar(part, whole, cells.min(MAX_WIDTH), colours);
    let mut lines = Vec::new();
    match seen {
        BarContent::Run(glance) => {
            lines.extend(glance.total.map(|total| strip((glance.rows, total))));
            lines.extend([glance.progress_line(cells), glance.counts_line(cells)]);
        }
        BarContent::Task { text: words, fraction: share } => {
            lines.extend(share.map(strip));
            lines.push(truncate_str(words, cells, "…").into_owned());
        }
    }
    lines.join("\n")
}

/// The bar itself, and the share in per cent behind it.
fn render_bar(rows: u64, total: u64, cells: usize, colours: bool) -> String {
    let done = rows.min(total);
    let share = |whole: usize| {
        let part = u128::from(done) * whole as u128 / u128::from(total.max(1));
        usize::try_from(part).unwrap_or(whole)
    };
    let percent = if total == 0 { 100 } else { share(100) };
    let length = cells.saturating_sub(5);
    let full = share(length);
    let (head, rest) = if full < length { ("╸", length - full - 1) } else { ("", 0) };
    let (full, rest) = ("━".repeat(full), "─".repeat(rest));
    if colours {
        format!("\x1b[36m{full}{head}\x1b[0m\x1b[2m{rest}\x1b[0m {percent:>3}%")
    } else {
        format!("{full}{head}{rest} {percent:>3}%")
    }
}

/// A terminal that is drawn on line by line. indicatif fills each line up with blanks and lets the terminal break it, which
/// then takes them all for one long line and joins or breaks them anew when its width changes; here each line ends where its
/// text does.
#[derive(Debug)]
pub(crate) struct UnpaddedTerm {
    term: Term,
    /// Whether the line that was written last is complete.
    is_line_complete: AtomicBool,
}

impl UnpaddedTerm {
    /// Draws on a terminal that writes nothing before it is told to flush.
    #[must_use]
    pub(crate) fn new(term: Term) -> Self {
        Self { term, is_line_complete: AtomicBool::new(false) }
    }
}

impl TermLike for UnpaddedTerm {
    fn width(&self) -> u16 {
        self.term.size().1
    }

    fn height(&self) -> u16 {
        self.term.size().0
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.term.move_cursor_up(lines)
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.term.move_cursor_down(lines)
    }

    fn move_cursor_right(&self, cells: usize) -> io::Result<()> {
        self.term.move_cursor_right(cells)
    }

    fn move_cursor_left(&self, cells: usize) -> io::Result<()> {
        self.term.move_cursor_left(cells)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.term.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        if text.bytes().all(|byte| byte == b' ') {
            self.is_line_complete.store(true, Ordering::Relaxed);
            return Ok(());
        }
        if self.is_line_complete.swap(false, Ordering::Relaxed) {
            self.term.write_str("\r\n")?;
        }
        self.term.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.term.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.is_line_complete.store(false, Ordering::Relaxed);
        self.term.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn background_tasks_show_a_fitting_line_and_a_bar_once_the_total_is_known() {
        let seen = |share| BarContent::Task {
            text: "正在读取 OLD：1200 行".to_owned(),
            fraction: share,
        };
        assert_eq!(render_lines(&seen(None), 80, false), "正在读取 OLD：1200 行");
        assert_eq!(render_lines(&seen(None), 12, false), "正在读取 …");
        assert_eq!(render_lines(&seen(Some((1, 4))), 15, false), "━━╸─────  25%\n正在读取 OLD…");
    }
}
