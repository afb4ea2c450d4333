//! The output of `dingmap plan --json`. `samples/plan.schema.json` describes it; a change of a
//! field's meaning changes [`FORMAT`]. It contains no secret and no full number.

use jiff::Timestamp;
use serde::Serialize;

use crate::app::cli::args::PlanArgs;
use crate::app::commands::plan::count::{InputCounts, InvalidExample};
use crate::app::commands::plan::estimate::{
    CallEstimate, Estimate, KnownNumbers, StateAvailability,
};
use crate::app::commands::resolve::open_state;
use crate::app::report::json_location::JsonLocation;
use crate::domain::redact::sanitize;
use crate::store::disk::sessions::EarlierRun;
use crate::table::detect::country_reading::CountryColumn;
use crate::table::source::Source;

/// Name and version of the format.
pub(crate) const FORMAT: &str = "dingmap.plan/1";

/// Times are in seconds.
#[derive(Debug, Serialize)]
pub(crate) struct PlanJson {
    format: &'static str,
    version: &'static str,
    input: InputInfo,
    rows: RowCounts,
    numbers: NumberCounts,
    /// The first rows without a number.
    invalid: Vec<InvalidRow>,
    known: KnownCounts,
    calls: MinMax<u64>,
    time: TimeEstimate,
    /// What a person should know before the run, for people.
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct InputInfo {
    name: String,
    /// The sheet of a workbook.
    #[serde(skip_serializing_if = "Option::is_none")]
    sheet: Option<String>,
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
    /// The column with the countries of the numbers.
    country_column: Option<CountryColumnInfo>,
}

#[derive(Debug, Serialize)]
struct CountryColumnInfo {
    /// From 1.
    position: usize,
    name: Option<String>,
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
    /// Distinct first numbers.
    distinct: u64,
    /// Distinct other numbers.
    further: u64,
}

#[derive(Debug, Serialize)]
struct InvalidRow {
    #[serde(flatten)]
    location: JsonLocation,
    reason: String,
}

/// Numbers that need no call.
#[derive(Debug, Serialize)]
struct KnownCounts {
    distinct: u64,
    further: u64,
    /// Whether the state was read, or why not.
    state: &'static str,
    /// Which run it would be, if the state was read.
    run: Option<&'static str>,
    /// The start of the unfinished run whose answers are used.
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
    /// Calls per second; `None` without a limit.
    rate: Option<f64>,
    begin: String,
    seconds: Option<MinMax<f64>>,
    end: MinMax<Option<String>>,
}

impl PlanJson {
    /// `name` is the input as given.
    #[must_use]
    pub(crate) fn new(
        args: &PlanArgs,
        name: String,
        source: &Source,
        counts: &InputCounts,
        known: &KnownNumbers,
        estimate: &Estimate,
    ) -> Self {
        let dialect = source.dialect();
        let country = |country: &CountryColumn| CountryColumnInfo {
            position: country.index + 1,
            name: country.name.as_deref().map(sanitize),
        };
        let columns = source.columns().iter().zip(source.country_columns());
        let columns = columns.map(|(column, country_column)| ColumnInfo {
            position: column.index + 1,
            name: column.name.as_deref().map(sanitize),
            reason: column.reason.clone(),
            country_column: country_column.certain.as_ref().map(country),
        });
        let invalid = |example: &InvalidExample| InvalidRow {
            location: JsonLocation::new(&example.location, example.cell.clone()),
            reason: sanitize(&example.reason),
        };
        let Estimate { start: begin, min: least, max: most } = estimate;
        let seconds = |span: &CallEstimate| span.duration.map(|takes| takes.as_secs_f64());
        let end = |span: &CallEstimate| span.end.as_ref().map(|end| end.timestamp().to_string());
        Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            input: InputInfo {
                name,
                sheet: source.row_numbers().sheet().map(sanitize),
                encoding: dialect.encoding.to_string(),
                encoding_reason: dialect.encoding_reason.to_string(),
                byte_order_mark: dialect.has_bom,
                delimiter: dialect.delimiter.to_string(),
                header: dialect.has_headers,
                columns: columns.collect(),
            },
            rows: RowCounts {
                all: counts.rows,
                with_number: counts.with_number,
                repeated: counts.duplicates(),
                invalid: counts.invalid(),
            },
            numbers: NumberCounts {
                distinct: counts.distinct_first(),
                further: counts.distinct_further(),
            },
            invalid: counts.invalid_examples.iter().map(invalid).collect(),
            known: KnownCounts::from_known(args, known),
            calls: MinMax { least: least.calls, most: most.calls },
            time: TimeEstimate {
                rate: args.rate_limit.rate.per_second(),
                begin: begin.timestamp().to_string(),
                seconds: seconds(least)
                    .zip(seconds(most))
                    .map(|(least, most)| MinMax { least, most }),
                end: MinMax { least: end(least), most: end(most) },
            },
            warnings: Vec::new(),
        }
    }

    #[must_use]
    pub(crate) fn with_warnings(mut self, warnings: &[String]) -> Self {
        self.warnings = warnings.iter().map(|warning| sanitize(warning)).collect();
        self
    }

    pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

impl KnownCounts {
    fn from_known(args: &PlanArgs, known: &KnownNumbers) -> Self {
        let max_ages = open_state::ages_from_args(&args.state);
        let (state, found) = match &known.availability {
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
            distinct: known.first,
            further: known.further,
            state,
            run,
            since: since
                .and_then(|since| Timestamp::from_second(since).ok())
                .map(|since| since.to_string()),
            max_age_seconds: max_ages.any.as_secs_f64(),
            max_age_not_found_seconds: max_ages.without_user.as_secs_f64(),
        }
    }
}
