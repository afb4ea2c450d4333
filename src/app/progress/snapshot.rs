//! The state of a run at one moment: a line for people, and JSON for programs.

use std::time::Duration;

use console::{measure_text_width, truncate_str};
use serde_json::json;
use tr::tr;

use crate::api::rate::Rate;
use crate::app::exit::format_whole_seconds;
use crate::clock;
use crate::domain::float::round_to_tenth;
use crate::domain::outcome::Status;
use crate::domain::redact::sanitize;
use crate::domain::totals::limit_name;
use crate::domain::verdict::Limit;

#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub rows: u64,
    /// Rows of the whole input, if known.
    pub total: Option<u64>,
    /// In the order of [`Status::ALL`].
    pub by_status: [u64; Status::ALL.len()],
    pub calls: u64,
    pub in_flight: u64,
    /// Recent calls per second.
    pub speed: f64,
    /// The current target rate.
    pub rate: Rate,
    /// Numbers in backoff.
    pub retrying: usize,
    /// How long all calls are still paused, and why.
    pub pause: Option<(Duration, Limit)>,
    /// Why there is no token, while there is none.
    pub token_error: Option<String>,
    /// Whether the run ends before its input does.
    pub is_stopping: bool,
    /// Estimated remaining time, if known.
    pub eta: Option<Duration>,
}

impl Snapshot {
    /// Rows, speed and remaining time in at most `cells` columns. Where space is short, the speed
    /// goes first, then the reason of a stall, then the row count, which the bar shows as well.
    #[must_use]
    pub(crate) fn progress_line(&self, cells: usize) -> String {
        let done = self.rows;
        let rows = match self.total {
            Some(total) => tr!("{rows} of {total} rows", rows = done, total),
            None => tr!("{rows} rows", rows = done),
        };
        let brief = self.total.map_or_else(|| rows.clone(), |total| format!("{done}/{total}"));
        let speed = self.speed;
        let speed = match self.rate.per_second() {
            Some(_) => tr!(
                "{speed} of {rate} calls/s",
                speed = format_args!("{speed:.1}"),
                rate = self.rate
            ),
            None => tr!("{speed} calls/s", speed = format_args!("{speed:.0}")),
        };
        let variants = match (self.stall_reason(), self.eta) {
            (Some([long, short]), _) => vec![
                [&*rows, &speed, &long].join(" · "),
                [&*rows, &long].join(" · "),
                [&*rows, &short].join(" · "),
                [&*brief, &short].join(" · "),
                short,
                brief,
            ],
            (None, Some(left)) => {
                let left = tr!("about {left} left", left = format_whole_seconds(left));
                vec![[&*rows, &speed, &left].join(" · "), [&*rows, &left].join(" · "), rows, brief]
            }
            (None, None) => vec![[&*rows, &speed].join(" · "), rows, brief],
        };
        fit_to_width(&variants, cells)
    }

    /// Why no call is made: a long and a short form.
    fn stall_reason(&self) -> Option<[String; 2]> {
        if self.is_stopping {
            let long = tr!("stopping: waiting for {n} call in flight"
                | "stopping: waiting for {n} calls in flight" % self.in_flight);
            return Some([long, tr!("stopping")]);
        }
        if let Some((_, Limit::Shared)) = self.pause {
            return Some([tr!("waiting for the shared server"), tr!("waiting")]);
        }
        if let Some((_, cause @ Limit::Machine)) = self.pause {
            return Some([tr!("{cause}; retrying", cause), tr!("waiting")]);
        }
        if let Some((remaining, cause)) = self.pause {
            let time =
                clock::now_local().saturating_add(remaining).strftime("%H:%M:%S").to_string();
            let long = tr!("throttled until {time} ({cause})", time = &time, cause);
            return Some([long, tr!("throttled until {time}", time)]);
        }
        let reason = self.token_error.as_ref()?;
        Some([tr!("no token yet: {cause}; retrying", cause = reason), tr!("no token yet")])
    }

    /// Rows by status in at most `cells` columns. `found` and `failed` stay longest.
    #[must_use]
    pub(crate) fn counts_line(&self, cells: usize) -> String {
        let mut parts = Vec::new();
        for (status, rows) in Status::ALL.into_iter().zip(self.by_status) {
            let usual = matches!(
                status,
                Status::Found | Status::NotFound | Status::Invalid | Status::Failed
            );
            let rank = match status {
                Status::Found => 0,
                _ if rows == 0 => 5,
                Status::Failed => 1,
                Status::NotFound => 2,
                _ => 4,
            };
            if rows > 0 || usual {
                // As in the column `status`.
                parts.push((rank, format!("{} {rows}", status.name())));
            }
        }
        if self.retrying > 0 {
            parts.push((3, tr!("retrying {n}", n = self.retrying)));
        }
        let mut variants = Vec::new();
        while !parts.is_empty() {
            variants.push(parts.iter().map(|(_, part)| &**part).collect::<Vec<_>>().join(" · "));
            let by_rank = |(_, (rank, _)): &(usize, &(u8, String))| *rank;
            let Some((dispensable, _)) = parts.iter().enumerate().max_by_key(by_rank) else {
                break;
            };
            parts.remove(dispensable);
        }
        fit_to_width(&variants, cells)
    }

    /// One JSON object on one line. Times are in seconds.
    #[must_use]
    pub(crate) fn to_json(&self) -> String {
        let by_status = Status::ALL.into_iter().zip(self.by_status);
        let statuses: serde_json::Map<_, _> =
            by_status.map(|(status, rows)| (status.name().to_owned(), rows.into())).collect();
        json!({
            "time": clock::now().to_string(),
            "rows": self.rows,
            "total": self.total,
            "status": statuses,
            "calls": self.calls,
            "calls_per_second": round_to_tenth(self.speed),
            "rate": self.rate.per_second(),
            "retrying": self.retrying,
            "held_seconds": self.pause.map(|(remaining, _)| remaining.as_secs()),
            "held_by": self.pause.map(|(_, cause)| limit_name(cause)),
            "trouble": self.token_error.as_deref().map(sanitize),
            "ending": self.is_stopping,
            "seconds_left": self.eta.map(|left| left.as_secs()),
        })
        .to_string()
    }
}

/// The first variant that fits into `cells` columns, or the last one truncated. A Chinese character
/// takes two columns.
fn fit_to_width(variants: &[String], cells: usize) -> String {
    let last = variants.len().saturating_sub(1);
    let fits =
        variants.iter().position(|variant| measure_text_width(variant) <= cells).unwrap_or(last);
    variants
        .get(fits)
        .map(|variant| truncate_str(variant, cells, "…").into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_is_cut_to_width_by_priority() {
        let variants = ["系统繁忙 · 20".to_owned(), "系统繁忙".to_owned()];
        for (cells, expected) in [
            (13, "系统繁忙 · 20"),
            (12, "系统繁忙"),
            (8, "系统繁忙"),
            (7, "系统繁…"),
            (6, "系统…"),
            (1, "…"),
        ] {
            assert_eq!(fit_to_width(&variants, cells), expected, "{cells}");
        }
        let mut snapshot = Snapshot {
            rows: 12_345,
            total: Some(100_000),
            by_status: [12_000, 200, 40, 50, 20, 35, 0],
            calls: 12_300,
            in_flight: 0,
            speed: 19.8,
            rate: Rate::from_per_second(20.0),
            retrying: 3,
            pause: None,
            token_error: None,
            is_stopping: false,
            eta: Some(Duration::from_secs(4383)),
        };
        for (cells, expected) in [
            (58, "12345 of 100000 rows · about 1h 13m 3s left"),
            (18, "12345/100000"),
            (5, "1234…"),
        ] {
            assert_eq!(snapshot.progress_line(cells), expected, "{cells}");
        }
        assert_eq!(snapshot.counts_line(39), "found 12000 · not_found 200 · failed 35");
        assert_eq!(snapshot.counts_line(12), "found 12000");
        snapshot.pause = Some((Duration::from_mins(1), Limit::Platform));
        assert!(
            snapshot.progress_line(78).ends_with(" (the platform's capacity)"),
            "{}",
            snapshot.progress_line(78)
        );
        for cells in [38, 24] {
            assert!(
                snapshot.progress_line(cells).starts_with("throttled until "),
                "{}",
                snapshot.progress_line(cells)
            );
        }
    }
}
