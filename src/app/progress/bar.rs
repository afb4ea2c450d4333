//! The bar and the lines below it on a terminal, fitted to its current width.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use console::{Term, truncate_str};
use indicatif::TermLike;

use crate::app::progress::snapshot::Snapshot;

/// A longer bar says no more, and breaks when the terminal gets narrower.
const MAX_WIDTH: usize = 72;
/// Kept free at the right, where the terminal prints `^C`: a line that wraps because of it could
/// not be cleared.
const RIGHT_MARGIN: usize = 2;

#[derive(Clone, Debug)]
pub(crate) enum BarContent {
    Run(Box<Snapshot>),
    Task {
        text: String,
        /// The part done and the total, once known.
        fraction: Option<(u64, u64)>,
    },
}

#[must_use]
pub(crate) fn render_lines(content: &BarContent, columns: u16, colors: bool) -> String {
    let cells = usize::from(columns).saturating_sub(RIGHT_MARGIN).max(1);
    let bar = |(part, whole)| render_bar(part, whole, cells.min(MAX_WIDTH), colors);
    let mut lines = Vec::new();
    match content {
        BarContent::Run(snapshot) => {
            lines.extend(snapshot.total.map(|total| bar((snapshot.rows, total))));
            lines.extend([snapshot.progress_line(cells), snapshot.counts_line(cells)]);
        }
        BarContent::Task { text, fraction } => {
            lines.extend(fraction.map(bar));
            lines.push(truncate_str(text, cells, "…").into_owned());
        }
    }
    lines.join("\n")
}

/// The bar and the percentage.
fn render_bar(rows: u64, total: u64, cells: usize, colors: bool) -> String {
    let rows_done = rows.min(total);
    let fraction = |whole: usize| {
        let part = u128::from(rows_done) * whole as u128 / u128::from(total.max(1));
        usize::try_from(part).unwrap_or(whole)
    };
    let percent = if total == 0 { 100 } else { fraction(100) };
    let length = cells.saturating_sub(5);
    let full = fraction(length);
    let (head, rest) = if full < length { ("╸", length - full - 1) } else { ("", 0) };
    let (full, rest) = ("━".repeat(full), "─".repeat(rest));
    if colors {
        format!("\x1b[36m{full}{head}\x1b[0m\x1b[2m{rest}\x1b[0m {percent:>3}%")
    } else {
        format!("{full}{head}{rest} {percent:>3}%")
    }
}

/// A terminal without padding. indicatif pads each line with spaces to the width of the terminal;
/// when the width changes, the terminal joins or wraps such lines wrongly. Here each line ends with
/// its text.
#[derive(Debug)]
pub(crate) struct UnpaddedTerm {
    term: Term,
    /// Whether the last line is complete: the next write starts a new line.
    is_line_complete: AtomicBool,
}

impl UnpaddedTerm {
    /// `term` must be buffered.
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
        let content = |fraction| BarContent::Task {
            text: "正在读取 OLD：1200 行".to_owned(),
            fraction,
        };
        assert_eq!(render_lines(&content(None), 80, false), "正在读取 OLD：1200 行");
        assert_eq!(render_lines(&content(None), 12, false), "正在读取 …");
        assert_eq!(render_lines(&content(Some((1, 4))), 15, false), "━━╸─────  25%\n正在读取 OLD…");
    }
}
