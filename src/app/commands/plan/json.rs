//! A plan for programs: what `dingmap plan --json` writes. Owns the fields and their names, which `samples/plan.schema.json`
//! describes; a change of their meaning changes [`FORMAT`]. No secret and no full number is in it. Leaves the words for
//! people to `plan`.

use jiff::Timestamp;
use serde::Serialize;

use crate::app::cli::args::PlanArgs;
use crate::app::commands::plan::count::{InputCounts, InvalidExample};
use crate::app::commands::plan::effort::{CallEstimate, Estimate};
use crate::app::commands::plan::estimate::{KnownNumbers, StateAvailability};
use crate::app::commands::resolve::open_state;
use crate::app::exit::sanitize;
use crate::store::disk::sessions::EarlierRun;
use crate::table::source::Source;

/// The name and version of the form.
pub(crate) const FORMAT: &str = "dingmap.plan/1";

/// What a run would be. Times are in seconds.
#[derive(Debug, Serialize)]
pub(crate) struct PlanJson {
    format: &'static str,
    version: &'static str,
    input: InputInfo,
    rows: RowCounts,
    numbers: NumberCounts,
    /// The first rows that have no number.
    invalid: Vec<InvalidRow>,
    known: KnownCounts,
    calls: MinMax<u64>,
    time: TimeEstimate,
}

/// What was detected, and why.
#[derive(Debug, Serialize)]
struct InputInfo {
    name: String,
    encoding: String,
    encoding_reason: String,
    byte_order_mark: bool,
    delimiter: String,
    header: bool,
    columns: Vec<ColumnInfo>,
}

#[derive(Debug, Serialize)]
struct ColumnInfo {
    /// From 1.
    position: usize,
    name: Option<String>,
    reason: String,
}

#[derive(Debug, Serialize)]
struct RowCounts {
    all: u64,
    with_number: u64,
    repeated: u64,
    invalid: u64,
}

#[derive(Debug, Serialize)]
struct NumberCounts {
    /// Distinct first numbers of rows.
    distinct: u64,
    /// Distinct ones that stand behind those alone.
    further: u64,
}

#[derive(Debug, Serialize)]
struct InvalidRow {
    line: u64,
    reason: String,
}

/// What a run would not have to ask.
#[derive(Debug, Serialize)]
struct KnownCounts {
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
struct MinMax<T> {
    least: T,
    most: T,
}

#[derive(Debug, Serialize)]
struct TimeEstimate {
    /// Calls a second; none where there is no limit.
    rate: Option<f64>,
    begin: String,
    seconds: Option<MinMax<f64>>,
    end: MinMax<Option<String>>,
}

impl PlanJson {
    /// Of a run with these flags, whose input was given as `name`.
    #[must_use]
    pub(crate) fn new(
        args: &PlanArgs,
        name: String,
        source: &Source,
        tally: &InputCounts,
        forecast: &KnownNumbers,
        effort: &Estimate,
    ) -> Self {
        let dialect = source.dialect();
        let column = |column: &crate::table::detect::columns::Column| ColumnInfo {
            position: column.index + 1,
            name: column.name.as_deref().map(sanitize),
            reason: column.reason.clone(),
        };
        let invalid = |example: &InvalidExample| InvalidRow {
            line: example.line,
            reason: sanitize(&example.reason),
        };
        let Estimate { start: begin, min: least, max: most } = effort;
        let seconds = |span: &CallEstimate| span.duration.map(|takes| takes.as_secs_f64());
        let end = |span: &CallEstimate| span.end.as_ref().map(|end| end.timestamp().to_string());
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            input: InputInfo {
                name,
                encoding: dialect.encoding.to_string(),
                encoding_reason: dialect.encoding_reason.to_string(),
                byte_order_mark: dialect.has_bom,
                delimiter: char::from(dialect.delimiter).to_string(),
                header: dialect.has_headers,
                columns: source.columns().iter().map(column).collect(),
            },
            rows: RowCounts {
                all: tally.rows,
                with_number: tally.with_number,
                repeated: tally.duplicates(),
                invalid: tally.invalid(),
            },
            numbers: NumberCounts {
                distinct: tally.distinct_first(),
                further: tally.distinct_further(),
            },
            invalid: tally.invalid_examples.iter().map(invalid).collect(),
            known: KnownCounts::from_known(args, forecast),
            calls: MinMax { least: least.calls, most: most.calls },
            time: TimeEstimate {
                rate: args.rate_limit.rate.per_second(),
                begin: begin.timestamp().to_string(),
                seconds: seconds(least)
                    .zip(seconds(most))
                    .map(|(least, most)| MinMax { least, most }),
                end: MinMax { least: end(least), most: end(most) },
            },
        }
    }

    /// As JSON, with a line end.
    ///
    /// # Errors
    /// Never: every part can be said in JSON.
    pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

impl KnownCounts {
    fn from_known(args: &PlanArgs, forecast: &KnownNumbers) -> Self {
        let ages = open_state::ages_from_args(&args.state);
        let (state, found) = match &forecast.availability {
            StateAvailability::Disabled => ("off", None),
            StateAvailability::Restart => ("restart", None),
            StateAvailability::NoApp => ("no_app", None),
            StateAvailability::Absent => ("absent", None),
            StateAvailability::InUse => ("in_use", None),
            StateAvailability::Unusable => ("unusable", None),
            StateAvailability::Inspected(found) => ("seen", Some(found)),
        };
        let (run, since) = match found {
            None => (None, None),
            Some(EarlierRun::None) => (Some("new"), None),
            Some(EarlierRun::Resumed { started, .. }) => (Some("resumed"), Some(*started)),
            Some(EarlierRun::Inherited { started, .. }) => (Some("inherited"), Some(*started)),
        };
        Self {
            distinct: forecast.first,
            further: forecast.further,
            state,
            run,
            since: since
                .and_then(|since| Timestamp::from_second(since).ok())
                .map(|since| since.to_string()),
            max_age_seconds: ages.any.as_secs_f64(),
            max_age_not_found_seconds: ages.without_user.as_secs_f64(),
        }
    }
}
