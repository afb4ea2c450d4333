//! One look at a run: how far it is, how fast, what holds it. Owns the words for people and the JSON for programs. Leaves
//! counting to `board` and where it is shown to `terminal`.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::{Timestamp, Zoned};
use serde_json::json;
use tr::tr;

use crate::api::rate::Rate;
use crate::app::exit::rounded;
use crate::domain::outcome::Status;
use crate::domain::verdict::Limit;

/// What is seen of a run at a moment.
#[derive(Clone, Debug)]
pub struct Glance {
    /// Rows that are settled.
    pub rows: u64,
    /// Rows of the whole input, where that is known.
    pub total: Option<u64>,
    /// Rows that are settled, by status in the order of [`Status::ALL`].
    pub by_status: [u64; Status::ALL.len()],
    /// Calls so far.
    pub calls: u64,
    /// Calls a second of late.
    pub speed: f64,
    /// The rate that is aimed at now.
    pub rate: Rate,
    /// Numbers that back off.
    pub retrying: usize,
    /// How long all calls still rest, and why.
    pub held: Option<(Duration, Limit)>,
    /// Why there is no token, while there is none.
    pub trouble: Option<String>,
    /// Whether it ends before its input does.
    pub ending: bool,
    /// How long it will still take, where that can be told.
    pub left: Option<Duration>,
}

impl Glance {
    /// How far the run is, how fast, and how long it will take.
    #[must_use]
    pub fn course(&self) -> String {
        let rows = self.rows;
        let mut parts = vec![match self.total {
            Some(total) => tr!("{rows} of {total} rows", rows, total),
            None => tr!("{rows} rows", rows),
        }];
        let speed = self.speed;
        parts.push(match self.rate.per_second() {
            Some(_) => tr!("{speed} of {rate} calls/s", speed = format_args!("{speed:.1}"), rate = self.rate),
            None => tr!("{speed} calls/s", speed = format_args!("{speed:.0}")),
        });
        if self.ending {
            parts.push(tr!("ending: waiting for the calls under way"));
        } else if let Some((rest, cause)) = self.held {
            let time = Zoned::now().saturating_add(rest);
            let time = time.strftime("%H:%M:%S");
            parts.push(tr!("throttled until {time} ({cause})", time, cause));
        } else if let Some(reason) = &self.trouble {
            parts.push(tr!("no token yet: {cause}; trying again", cause = reason));
        } else if let Some(left) = self.left {
            parts.push(tr!("about {left} left", left = rounded(left)));
        }
        parts.join(" · ")
    }

    /// What became of the rows so far.
    #[must_use]
    pub fn counts(&self) -> String {
        let mut line = String::new();
        for (status, rows) in Status::ALL.into_iter().zip(self.by_status) {
            if rows > 0
                || matches!(status, Status::Found | Status::NotFound | Status::Invalid | Status::Failed)
            {
                let between = if line.is_empty() { "" } else { " · " };
                let _ = write!(line, "{between}{} {rows}", status.name().replace('_', " "));
            }
        }
        if self.retrying > 0 {
            let _ = write!(line, " · {}", tr!("retrying {n}", n = self.retrying));
        }
        line
    }

    /// The same as one JSON object on one line; times are in seconds.
    #[must_use]
    pub fn json(&self) -> String {
        let by_status = Status::ALL.into_iter().zip(self.by_status);
        let statuses: serde_json::Map<_, _> =
            by_status.map(|(status, rows)| (status.name().to_owned(), rows.into())).collect();
        json!({
            "time": Timestamp::now().to_string(),
            "rows": self.rows,
            "total": self.total,
            "status": statuses,
            "calls": self.calls,
            "calls_per_second": (self.speed * 10.0).round() / 10.0,
            "rate": self.rate.per_second(),
            "retrying": self.retrying,
            "held_seconds": self.held.map(|(rest, _)| rest.as_secs()),
            "held_by": self.held.map(|(_, cause)| cause.to_string()),
            "trouble": self.trouble,
            "ending": self.ending,
            "seconds_left": self.left.map(|left| left.as_secs()),
        })
        .to_string()
    }
}
