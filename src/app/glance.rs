//! One look at a run: how far it is, how fast, what holds it. Owns the words for people and the JSON for programs. Leaves
//! counting to `board` and where it is shown to `terminal`.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::{Timestamp, Zoned};
use serde_json::json;

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
        let mut line = match self.total {
            Some(total) => format!("{} of {total} rows", self.rows),
            None => format!("{} rows", self.rows),
        };
        // Writing to a string does not fail.
        let _ = match self.rate.per_second() {
            Some(_) => write!(line, " · {:.1} of {} calls/s", self.speed, self.rate),
            None => write!(line, " · {:.0} calls/s", self.speed),
        };
        if self.ending {
            line.push_str(" · ending: waiting for the calls under way");
        } else if let Some((rest, cause)) = self.held {
            let clock = Zoned::now().saturating_add(rest);
            let _ = write!(line, " · throttled until {} ({cause})", clock.strftime("%H:%M:%S"));
        } else if let Some(reason) = &self.trouble {
            let _ = write!(line, " · no token yet: {reason}; trying again");
        } else if let Some(left) = self.left {
            let _ = write!(line, " · about {} left", rounded(left));
        }
        line
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
            let _ = write!(line, " · retrying {}", self.retrying);
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
