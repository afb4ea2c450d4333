//! The result of a run for programs: as JSON (`--summary`) and as metrics (`--metrics`).
//! `samples/summary.schema.json` describes the JSON; a change of a field's meaning changes
//! [`FORMAT`]. It contains no secret and no full number.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::app::cli::args::{FailOn, ResolveArgs};
use crate::app::cli::input_args::{MainlandChoice, OnOff};
use crate::app::cli::network;
use crate::app::exit::{Exit, Failure};
use crate::app::report::hint_texts::HintMessage;
use crate::app::report::hints::Hint;
use crate::app::report::json_location::JsonLocation;
use crate::app::report::timeline::Timeline;
use crate::clock;
use crate::domain::expected::Expected;
use crate::domain::float::to_f64;
use crate::domain::outcome::Status;
use crate::domain::redact::{self, sanitize};
use crate::domain::row_stats::RowStats;
use crate::domain::totals::{RetryCause, Totals, limit_name};
use crate::domain::verdict::Limit;
use crate::engine::io::unresolved::{UnresolvedRow, UnresolvedRows};
use crate::table::detect::columns::{Column, ColumnChoice};
use crate::table::source::{Source, SourceError};

/// Name and version of the format.
pub(crate) const FORMAT: &str = "dingmap.summary/1";

/// The JSON of a run. Times are in seconds.
#[derive(Debug, Serialize)]
pub(crate) struct RunSummary {
    format: &'static str,
    pub version: &'static str,
    started: String,
    ended: String,
    #[serde(rename = "seconds", serialize_with = "serialize_seconds")]
    pub elapsed: Duration,
    pub exit_status: u8,
    /// Why the run ended early.
    pub message: Option<String>,
    /// Whether the output is complete under its name.
    pub written: bool,
    /// The file in which an edited earlier output is kept.
    kept_as: Option<String>,
    pub input: InputInfo,
    pub settings: RunSettings,
    /// Rows by status, and in total as `in` and `out`.
    rows: BTreeMap<&'static str, u64>,
    numbers: NumberCounts,
    calls: CallCounts,
    holds: Pauses,
    /// Latency of the replies to lookups; `None` without replies.
    latency_seconds: Option<Percentiles>,
    /// Rows by the result of `--expect`; `None` without it.
    expected: Option<BTreeMap<&'static str, u64>>,
    pub advice: Vec<HintMessage>,
    /// The first rows of each status without a user id.
    unresolved: Vec<UnresolvedInfo>,
    #[serde(skip)]
    pub started_at: Timestamp,
    /// Monotonic, for the duration.
    #[serde(skip)]
    start_instant: Instant,
    /// Shown in the HTML report only.
    #[serde(skip)]
    pub details: ReportDetails,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct InputInfo {
    pub name: String,
    /// The sheet of a workbook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sheet: Option<String>,
    /// The SHA-256 of the file; `None` for a pipe.
    pub sha256: Option<String>,
    /// Its rows, or those of the shard; `None` if it was not read to its end.
    pub rows: Option<u64>,
    encoding: Option<String>,
    delimiter: Option<String>,
    header: Option<bool>,
    /// The columns of numbers.
    columns: Vec<ColumnInfo>,
}

#[derive(Debug, Serialize)]
struct ColumnInfo {
    /// From 1.
    position: usize,
    name: Option<String>,
}

/// A row without a user id. Who it is about is in the report only.
#[derive(Debug, Serialize)]
struct UnresolvedInfo {
    status: &'static str,
    #[serde(flatten)]
    location: JsonLocation,
    errcode: String,
    errmsg: String,
}

#[derive(Debug, Default, Serialize)]
struct NumberCounts {
    /// Distinct numbers that were called.
    asked: u64,
    /// Rows answered by another row's call.
    rows_shared: u64,
    /// Rows answered from the state.
    rows_known: u64,
    /// Rows that kept their answer (`--retry-failed`).
    rows_kept: u64,
}

#[derive(Debug, Default, Serialize)]
struct CallCounts {
    lookups: u64,
    /// Retried lookups by cause.
    repeated: BTreeMap<&'static str, u64>,
    token: u64,
}

#[derive(Debug, Default, Serialize)]
struct Pauses {
    count: u64,
    seconds: f64,
    by_limit_seconds: BTreeMap<&'static str, f64>,
}

#[derive(Debug, Serialize)]
struct Percentiles {
    p50: f64,
    p95: f64,
    p99: f64,
}

fn serialize_seconds<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(duration.as_secs_f64())
}

/// The settings, with the names of the flags. None of them is a secret.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct RunSettings {
    /// `None` until it is known.
    pub endpoint: Option<String>,
    sandbox: bool,
    /// Calls per second; `None` without a limit.
    rate: Option<f64>,
    workers: u16,
    max_retries: u32,
    retry_min_seconds: f64,
    retry_max_seconds: f64,
    patience_seconds: f64,
    timeout_seconds: f64,
    connect_timeout_seconds: f64,
    max_calls: Option<u64>,
    max_age_seconds: f64,
    max_age_not_found_seconds: f64,
    region: String,
    strict_numbers: bool,
    mainland: &'static str,
    exclusive_accounts: bool,
    partial: bool,
    retry_failed: bool,
    /// The statuses of `--retry`.
    retry: Option<String>,
    shard: Option<String>,
    expect: Option<String>,
    failed: Option<String>,
    output_encoding: Option<String>,
    fail_on: Option<&'static str>,
    /// Without user and password.
    shared: Option<String>,
    shared_optional: bool,
}

/// What the JSON does not have.
#[derive(Debug, Default)]
pub(crate) struct ReportDetails {
    /// What was detected in the input, and why; empty if the input could not be opened.
    pub detected: String,
    pub output: String,
    pub warnings: Vec<String>,
    pub totals: Totals,
    pub timeline: Timeline,
    pub unresolved: UnresolvedRows,
    /// The names of the columns that show who the rows are about.
    pub person_columns: Vec<String>,
}

impl RunSummary {
    #[must_use]
    pub(crate) fn new(args: &ResolveArgs, name: &str) -> Self {
        let mut summary = Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            started: String::new(),
            ended: String::new(),
            elapsed: Duration::ZERO,
            exit_status: 0,
            message: None,
            written: false,
            kept_as: None,
            input: InputInfo { name: sanitize(name), ..InputInfo::default() },
            settings: RunSettings::from_args(args),
            rows: BTreeMap::new(),
            numbers: NumberCounts::default(),
            calls: CallCounts::default(),
            holds: Pauses::default(),
            latency_seconds: None,
            expected: None,
            advice: Vec::new(),
            unresolved: Vec::new(),
            started_at: clock::now(),
            start_instant: Instant::now(),
            details: ReportDetails::default(),
        };
        summary.record_totals(&Totals::default());
        summary
    }

    /// `rows` and `sha256` are `None` for a pipe.
    pub(crate) fn record_input(
        &mut self,
        source: &Source,
        rows: Option<u64>,
        sha256: Option<String>,
    ) {
        let dialect = source.dialect();
        self.details.person_columns = source.person_columns();
        self.input.sheet = source.row_numbers().sheet().map(sanitize);
        self.input.rows = rows;
        self.input.sha256 = sha256;
        self.input.encoding = Some(dialect.encoding.to_string());
        self.input.delimiter = Some(dialect.delimiter.to_string());
        self.input.header = Some(dialect.has_headers);
        let column = |column: &Column| ColumnInfo {
            position: column.index + 1,
            name: column.name.as_deref().map(sanitize),
        };
        self.input.columns = source.columns().iter().map(column).collect();
    }

    pub(crate) fn record_endpoint(&mut self, endpoint: &str) {
        self.settings.endpoint = Some(endpoint.to_owned());
    }

    pub(crate) fn record_totals(&mut self, totals: &Totals) {
        if totals.input_complete {
            self.input.rows = Some(totals.rows_in);
        }
        self.rows = Status::ALL.map(|status| (status.name(), totals.rows(status))).into();
        self.rows.extend([("in", totals.rows_in), ("out", totals.rows_out)]);
        self.numbers = NumberCounts {
            asked: totals.numbers_asked,
            rows_shared: totals.rows_shared,
            rows_known: totals.rows_known,
            rows_kept: totals.rows_kept,
        };
        let repeated = RetryCause::ALL
            .map(|cause| (retry_cause_label(cause), totals.retries_for(cause)))
            .into();
        self.calls = CallCounts { lookups: totals.calls, repeated, token: totals.token_calls };
        self.holds = Pauses {
            count: totals.pauses(),
            seconds: totals.pause_time().as_secs_f64(),
            by_limit_seconds: Limit::ALL
                .map(|cause| {
                    (limit_name(cause), totals.pause_time_by_limit[cause as usize].as_secs_f64())
                })
                .into(),
        };
        let seconds_at = |share| totals.latency.quantile(share).map(|time| time.as_secs_f64());
        self.details.totals = totals.clone();
        self.latency_seconds = (|| {
            Some(Percentiles {
                p50: seconds_at(0.5)?,
                p95: seconds_at(0.95)?,
                p99: seconds_at(0.99)?,
            })
        })();
    }

    pub(crate) fn record_unresolved(&mut self, unresolved: UnresolvedRows) {
        let info = |status: Status, row: &UnresolvedRow| UnresolvedInfo {
            status: status.name(),
            location: JsonLocation::new(&row.origin.location, row.origin.cell.clone()),
            errcode: sanitize(&row.code),
            errmsg: sanitize(&row.message),
        };
        let rows =
            |status| unresolved.with_status(status).rows.iter().map(move |row| info(status, row));
        self.unresolved = Status::ALL.into_iter().flat_map(rows).collect();
        self.details.unresolved = unresolved;
    }

    pub(crate) fn record_expected(&mut self, row_stats: &RowStats) {
        self.expected =
            Some(Expected::ALL.map(|result| (result.name(), row_stats.expected(result))).into());
    }

    pub(crate) fn record_hints(&mut self, hints: &[Hint]) {
        self.advice = hints.iter().map(HintMessage::from_hint).collect();
    }

    /// The output is complete under its name.
    pub(crate) fn mark_written(&mut self) {
        self.written = true;
    }

    pub(crate) fn record_kept_file(&mut self, path: &Path) {
        self.kept_as = Some(sanitize(&path.display().to_string()));
    }

    pub(crate) fn record_end(&mut self, result: &Result<Exit, Failure>) {
        let now = clock::now();
        self.started = self.started_at.to_string();
        self.ended = now.to_string();
        self.elapsed = self.start_instant.elapsed();
        let (exit, message) = match result {
            Ok(exit) => (*exit, None),
            Err(failure) => {
                // A table is refused for its rows after they were read.
                let refused = failure.error.downcast_ref().and_then(SourceError::rows);
                self.input.rows = refused.or(self.input.rows);
                (failure.exit, Some(redact::sanitize_lines(&format!("{:#}", failure.error))))
            }
        };
        (self.exit_status, self.message) = (exit.status(), message);
    }

    pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// Prometheus text (exposition format 0.0.4) for the node exporter's textfile collector. Every
    /// line has the name of the input as a label, so that the files of several jobs do not
    /// conflict.
    #[must_use]
    pub(crate) fn to_prometheus(&self) -> String {
        let mut metrics =
            MetricsText { input: escape_label(&self.input.name), text: String::new() };
        self.add_run_metrics(&mut metrics);
        self.add_row_metrics(&mut metrics);
        self.add_call_metrics(&mut metrics);
        metrics.text
    }

    fn add_run_metrics(&self, metrics: &mut MetricsText) {
        let version = Sample::labeled("version", self.version, 1.0);
        metrics.family("build_info", "The version that ran.", &[version]);
        let started = unix_seconds(self.started_at);
        metrics.family(
            "start_time_seconds",
            "When the run started, in Unix time.",
            &[Sample::single(started)],
        );
        metrics.family(
            "end_time_seconds",
            "When the run ended, in Unix time.",
            &[Sample::single(started + self.elapsed.as_secs_f64())],
        );
        metrics.family(
            "exit_status",
            "The exit status; 0 means that every row has a definitive answer.",
            &[Sample::single(f64::from(self.exit_status))],
        );
        metrics.family(
            "output_written",
            "Whether the output is complete under its name.",
            &[Sample::single(f64::from(u8::from(self.written)))],
        );
    }

    fn add_row_metrics(&self, metrics: &mut MetricsText) {
        let mut statuses: BTreeMap<_, _> =
            Status::ALL.map(|status| (status.name(), self.rows[status.name()])).into();
        *statuses.entry(Status::Pending.name()).or_default() += self.rows_without_status();
        let by_status = samples_by_label("status", &statuses);
        metrics.family(
            "rows",
            "Rows of the input by status; pending also if the run ended before them.",
            &by_status,
        );
        if let Some(rows) = self.input.rows {
            let rows = Sample::single(to_f64(rows));
            metrics.family("rows_read", "Rows of the input, also if the run ended early.", &[rows]);
        }
        metrics.family(
            "numbers_asked",
            "Distinct numbers that were looked up.",
            &[Sample::single(to_f64(self.numbers.asked))],
        );
    }

    /// Rows of the input that a run which ended early has not come to, as far as they are known.
    fn rows_without_status(&self) -> u64 {
        self.input.rows.unwrap_or(self.rows["in"]).saturating_sub(self.rows["out"])
    }

    fn add_call_metrics(&self, metrics: &mut MetricsText) {
        let by_kind = [
            Sample::labeled("kind", "lookup", to_f64(self.calls.lookups)),
            Sample::labeled("kind", "token", to_f64(self.calls.token)),
        ];
        metrics.family("calls", "Calls by kind.", &by_kind);
        metrics.family(
            "repeated_calls",
            "Retried lookups by cause.",
            &samples_by_label("cause", &self.calls.repeated),
        );
        let pauses = Sample::single(to_f64(self.holds.count));
        metrics.family("holds", "Pauses by throttling.", &[pauses]);
        let by_limit = self.holds.by_limit_seconds.iter();
        let paused: Vec<_> =
            by_limit.map(|(name, seconds)| Sample::labeled("limit", name, *seconds)).collect();
        metrics.family("held_seconds", "Time that throttling paused the run, by limit.", &paused);
        if let Some(Percentiles { p50, p95, p99 }) = self.latency_seconds {
            let quantiles = [("0.5", p50), ("0.95", p95), ("0.99", p99)]
                .map(|(quantile, seconds)| Sample::labeled("quantile", quantile, seconds));
            metrics.family("latency_seconds", "Latency of the replies to lookups.", &quantiles);
        }
    }
}

/// The text of the metrics so far.
struct MetricsText {
    /// The value of the label that every line has.
    input: String,
    text: String,
}

/// A value of a metric.
struct Sample<'a> {
    /// The name and the value of a further label.
    label: Option<(&'a str, &'a str)>,
    value: f64,
}

impl<'a> Sample<'a> {
    fn single(value: f64) -> Self {
        Self { label: None, value }
    }

    fn labeled(name: &'a str, text: &'a str, value: f64) -> Self {
        Self { label: Some((name, text)), value }
    }
}

impl MetricsText {
    fn family(&mut self, name: &str, help: &str, samples: &[Sample<'_>]) {
        let Self { input, text } = self;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP dingmap_{name} {help}\n# TYPE dingmap_{name} gauge");
        for Sample { label, value } in samples {
            let more =
                label.map_or_else(String::new, |(label, text)| format!(",{label}=\"{text}\""));
            let _ = writeln!(text, "dingmap_{name}{{input=\"{input}\"{more}}} {value}");
        }
    }
}

fn samples_by_label<'a>(label: &'a str, counts: &BTreeMap<&'static str, u64>) -> Vec<Sample<'a>> {
    counts.iter().map(|(name, count)| Sample::labeled(label, name, to_f64(*count))).collect()
}

impl RunSettings {
    #[must_use]
    pub(crate) fn from_args(args: &ResolveArgs) -> Self {
        let seconds = |duration: Duration| duration.as_secs_f64();
        Self {
            endpoint: None,
            sandbox: args.sandbox,
            rate: args.rate_limit.rate.per_second(),
            workers: args.workers,
            max_retries: args.max_retries,
            retry_min_seconds: seconds(args.retry_min),
            retry_max_seconds: seconds(args.retry_max),
            patience_seconds: seconds(args.patience),
            timeout_seconds: seconds(args.timeout),
            connect_timeout_seconds: seconds(args.connect_timeout),
            max_calls: args.max_calls,
            max_age_seconds: seconds(args.state.max_age),
            max_age_not_found_seconds: seconds(args.state.max_age_not_found),
            region: args.numbers.region.to_string(),
            strict_numbers: args.numbers.strict_numbers == OnOff::On,
            mainland: match args.api.mainland {
                MainlandChoice::Plain => "plain",
                MainlandChoice::Prefixed => "prefixed",
            },
            exclusive_accounts: args.api.exclusive_accounts,
            partial: args.partial,
            retry_failed: args.retry_failed,
            retry: (!args.retry.is_empty()).then(|| {
                args.retry.iter().map(|status| status.name()).collect::<Vec<_>>().join(",")
            }),
            shard: args.sharding.shard.map(|shard| shard.to_string()),
            expect: args.expect.as_ref().map(|choice| sanitize(&column_text(choice))),
            failed: args.failed.as_ref().map(|file| sanitize(&file.display().to_string())),
            output_encoding: args.output_encoding.map(|encoding| encoding.to_string()),
            fail_on: args.fail_on.map(|FailOn::NotFound| "not-found"),
            shared: args.quota.shared.as_ref().and_then(network::describe_shared_server),
            shared_optional: args.quota.shared_optional,
        }
    }
}

fn column_text(choice: &ColumnChoice) -> String {
    match choice {
        ColumnChoice::Name(name) => name.clone(),
        ColumnChoice::Position(position) => position.to_string(),
        ColumnChoice::Pattern(pattern) => format!("/{pattern}/"),
    }
}

fn retry_cause_label(cause: RetryCause) -> &'static str {
    match cause {
        RetryCause::Transient => "transient",
        RetryCause::Connection => "line",
        RetryCause::Machine => "machine",
        RetryCause::UnexpectedReply => "foreign",
        RetryCause::Throttled => "throttled",
        RetryCause::TokenRejected => "token",
        RetryCause::UnknownCode => "unknown_code",
    }
}

fn unix_seconds(moment: Timestamp) -> f64 {
    moment.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64()
}

/// Escapes a label value for the exposition format.
fn escape_label(value: &str) -> String {
    sanitize(value).replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use jiff::ToSpan;

    use super::*;
    use crate::app::cli::args::{Cli, Command};

    fn new_summary() -> RunSummary {
        let Command::Resolve(args) = Cli::parse_from(["dingmap", "resolve", "i"]).command else {
            panic!()
        };
        RunSummary::new(&args, "i")
    }

    #[test]
    fn rows_that_a_run_has_not_come_to_are_pending_in_the_metrics() {
        let mut totals = Totals::default();
        totals.rows_in = 5;
        for status in [Status::Found, Status::Found, Status::Pending] {
            totals.count_row(status);
        }
        // The rows of a file are counted before the run, those of a pipe are not.
        for (rows, pending) in [(Some(9), 7), (None, 3), (Some(2), 1)] {
            let mut summary = new_summary();
            summary.input.rows = rows;
            summary.record_totals(&totals);
            let text = summary.to_prometheus();
            for (status, count) in [("found", 2), ("failed", 0), ("pending", pending)] {
                let line = format!("dingmap_rows{{input=\"i\",status=\"{status}\"}} {count}\n");
                assert!(text.contains(&line), "{line}: {text}");
            }
        }
    }

    #[test]
    fn a_clock_set_back_yields_no_negative_duration() {
        let mut summary = new_summary();
        summary.started_at += 1.hour();
        summary.record_end(&Ok(Exit::Success));
        assert!(summary.elapsed < Duration::from_mins(1), "{:?}", summary.elapsed);
    }
}
