//! A plan for programs: what `dingmap plan --json` writes. Owns the fields and their names, which `samples/plan.schema.json`
//! describes; a change of their meaning changes [`FORMAT`]. No secret and no full number is in it. Leaves the words for
//! people to `plan`.

use jiff::Timestamp;
use serde::Serialize;

use crate::app::cli::args::Plan;
use crate::app::commands::plan::count::{Example, Tally};
use crate::app::commands::plan::effort::{Effort, Span};
use crate::app::commands::plan::estimate::{Forecast, Ground};
use crate::app::commands::resolve::open_state;
use crate::app::exit::shown;
use crate::store::disk::sessions::Found;
use crate::table::source::Source;

/// The name and version of the form.
pub(crate) const FORMAT: &str = "dingmap.plan/1";

/// What a run would be. Times are in seconds.
#[derive(Debug, Serialize)]
pub(crate) struct Outline {
    format: &'static str,
    version: &'static str,
    input: Input,
    rows: Rows,
    numbers: Numbers,
    /// The first rows that have no number.
    invalid: Vec<Invalid>,
    known: Known,
    calls: Bounds<u64>,
    time: Time,
}

/// What was detected, and why.
#[derive(Debug, Serialize)]
struct Input {
    name: String,
    encoding: String,
    encoding_reason: String,
    byte_order_mark: bool,
    delimiter: String,
    header: bool,
    columns: Vec<Column>,
}

#[derive(Debug, Serialize)]
struct Column {
    /// From 1.
    position: usize,
    name: Option<String>,
    reason: String,
}

#[derive(Debug, Serialize)]
struct Rows {
    all: u64,
    with_number: u64,
    repeated: u64,
    invalid: u64,
}

#[derive(Debug, Serialize)]
struct Numbers {
    /// Distinct first numbers of rows.
    distinct: u64,
    /// Distinct ones that stand behind those alone.
    further: u64,
}

#[derive(Debug, Serialize)]
struct Invalid {
    line: u64,
    reason: String,
}

/// What a run would not have to ask.
#[derive(Debug, Serialize)]
struct Known {
    distinct: u64,
    further: u64,
    /// Whether the state was looked at, and if not, why.
    state: &'static str,
    /// Which run it would be, where the state was looked at.
    run: Option<&'static str>,
    /// Since when the answers of an unfinished run are used, where there is one.
    since: Option<String>,
    max_age_seconds: f64,
    max_age_not_found_seconds: f64,
}

#[derive(Debug, Serialize)]
struct Bounds<T> {
    least: T,
    most: T,
}

#[derive(Debug, Serialize)]
struct Time {
    /// Calls a second; none where there is no limit.
    rate: Option<f64>,
    begin: String,
    seconds: Option<Bounds<f64>>,
    end: Bounds<Option<String>>,
}

impl Outline {
    /// Of a run with these flags, whose input was given as `name`.
    #[must_use]
    pub(crate) fn of(
        args: &Plan,
        name: String,
        source: &Source,
        tally: &Tally,
        forecast: &Forecast,
        effort: &Effort,
    ) -> Self {
        let dialect = source.dialect();
        let column = |column: &crate::table::detect::columns::Column| Column {
            position: column.index + 1,
            name: column.name.as_deref().map(shown),
            reason: column.reason.clone(),
        };
        let invalid =
            |example: &Example| Invalid { line: example.line, reason: shown(&example.reason) };
        let Effort { begin, least, most } = effort;
        let seconds = |span: &Span| span.takes.map(|takes| takes.as_secs_f64());
        let end = |span: &Span| span.end.as_ref().map(|end| end.timestamp().to_string());
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            input: Input {
                name,
                encoding: dialect.encoding.to_string(),
                encoding_reason: dialect.why.to_string(),
                byte_order_mark: dialect.bom,
                delimiter: char::from(dialect.delimiter).to_string(),
                header: dialect.headers,
                columns: source.columns().iter().map(column).collect(),
            },
            rows: Rows {
                all: tally.rows,
                with_number: tally.with_number,
                repeated: tally.repeated(),
                invalid: tally.invalid(),
            },
            numbers: Numbers { distinct: tally.distinct(), further: tally.behind() },
            invalid: tally.examples.iter().map(invalid).collect(),
            known: Known::of(args, forecast),
            calls: Bounds { least: least.calls, most: most.calls },
            time: Time {
                rate: args.speed.rate.per_second(),
                begin: begin.timestamp().to_string(),
                seconds: seconds(least)
                    .zip(seconds(most))
                    .map(|(least, most)| Bounds { least, most }),
                end: Bounds { least: end(least), most: end(most) },
            },
        }
    }

    /// As JSON, with a line end.
    ///
    /// # Errors
    /// Never: every part can be said in JSON.
    pub(crate) fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

impl Known {
    fn of(args: &Plan, forecast: &Forecast) -> Self {
        let ages = open_state::ages(&args.keep);
        let (state, found) = match &forecast.ground {
            Ground::NoState => ("off", None),
            Ground::Restart => ("restart", None),
            Ground::NoApp => ("no_app", None),
            Ground::Absent => ("absent", None),
            Ground::InUse => ("in_use", None),
            Ground::Unusable => ("unusable", None),
            Ground::Seen(found) => ("seen", Some(found)),
        };
        let (run, since) = match found {
            None => (None, None),
            Some(Found::Nothing) => (Some("new"), None),
            Some(Found::Resumed { started, .. }) => (Some("resumed"), Some(*started)),
            Some(Found::Inherited { started, .. }) => (Some("inherited"), Some(*started)),
        };
        Self {
            distinct: forecast.known,
            further: forecast.behind,
            state,
            run,
            since: since
                .and_then(|since| Timestamp::from_second(since).ok())
                .map(|since| since.to_string()),
            max_age_seconds: ages.any.as_secs_f64(),
            max_age_not_found_seconds: ages.nobody.as_secs_f64(),
        }
    }
}
