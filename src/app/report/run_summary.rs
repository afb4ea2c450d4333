//! A run's account for programs: what it was given, what became of it and why, as JSON (`--summary`) and as metrics
//! (`--metrics`). Owns the fields and their names, which `samples/summary.schema.json` describes; a change of their meaning
//! changes [`FORMAT`]. No secret and no full number is in it. Leaves the words for people to `summary`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use crate::app::cli::args::ResolveArgs;
use crate::app::exit::{Exit, Failure, sanitize};
use crate::app::report::hints::{Hint, HintMessage as Advised};
use crate::app::report::setup::RunSettings;
use crate::app::report::story::ReportDetails;
use crate::domain::expected::Expected;
use crate::domain::number::mask::mask_numbers;
use crate::domain::outcome::Status;
use crate::domain::row_stats::RowStats;
use crate::domain::totals::{RetryCause, Totals, limit_name};
use crate::domain::verdict::Limit;
use crate::table::source::Source;

/// The name and version of the form.
pub(crate) const FORMAT: &str = "dingmap.summary/1";

/// What a run was and came to. Times are in seconds.
#[derive(Debug, Serialize)]
pub(crate) struct RunSummary {
    format: &'static str,
    /// Which version ran.
    pub version: &'static str,
    started: String,
    ended: String,
    /// How long it took.
    pub seconds: f64,
    /// The program's exit status.
    pub exit_status: u8,
    /// Why it ended as it did, where that is not by having finished.
    pub message: Option<String>,
    /// Whether the output stands complete under its name.
    pub written: bool,
    /// What was read.
    pub input: InputInfo,
    /// What was set.
    pub settings: RunSettings,
    /// Rows by status, and all of them under `in` and `out`.
    rows: BTreeMap<&'static str, u64>,
    numbers: NumberCounts,
    calls: CallCounts,
    holds: Pauses,
    /// How long replies to lookups took; none where there was none.
    latency_seconds: Option<Percentiles>,
    /// Rows by how their user id on file compares; none where that was not asked.
    expected: Option<BTreeMap<&'static str, u64>>,
    /// What can be done so that the next run goes better.
    pub advice: Vec<Advised>,
    /// When it began.
    #[serde(skip)]
    pub started_at: Timestamp,
    /// The same by the clock that nobody sets.
    #[serde(skip)]
    start_instant: Instant,
    /// What only people are told.
    #[serde(skip)]
    pub details: ReportDetails,
}

/// What was read.
#[derive(Debug, Default, Serialize)]
pub(crate) struct InputInfo {
    /// What people call it.
    pub name: String,
    /// The SHA-256 of the file; none for a pipe.
    pub sha256: Option<String>,
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

/// What became of the numbers.
#[derive(Debug, Default, Serialize)]
struct NumberCounts {
    /// Distinct numbers that were called.
    asked: u64,
    /// Rows whose answer another row's call gave.
    rows_shared: u64,
    /// Rows whose answer was known from before.
    rows_known: u64,
    /// Rows that had their answer in the input.
    rows_kept: u64,
}

#[derive(Debug, Default, Serialize)]
struct CallCounts {
    lookups: u64,
    /// Lookups that repeated an earlier one of their number, by cause.
    repeated: BTreeMap<&'static str, u64>,
    token: u64,
}

#[derive(Debug, Default, Serialize)]
struct Pauses {
    count: u64,
    seconds: f64,
    /// By what was exceeded.
    by_limit_seconds: BTreeMap<&'static str, f64>,
}

#[derive(Debug, Serialize)]
struct Percentiles {
    p50: f64,
    p95: f64,
    p99: f64,
}

impl RunSummary {
    /// Of a run that begins now, with these flags.
    #[must_use]
    pub(crate) fn new(args: &ResolveArgs, name: &str) -> Self {
        let mut account = Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION"),
            started: String::new(),
            ended: String::new(),
            seconds: 0.0,
            exit_status: 0,
            message: None,
            written: false,
            input: InputInfo { name: sanitize(name), ..InputInfo::default() },
            settings: RunSettings::from_args(args),
            rows: BTreeMap::new(),
            numbers: NumberCounts::default(),
            calls: CallCounts::default(),
            holds: Pauses::default(),
            latency_seconds: None,
            expected: None,
            advice: Vec::new(),
            started_at: Timestamp::now(),
            start_instant: Instant::now(),
            details: ReportDetails::default(),
        };
        account.record_totals(&Totals::default());
        account
    }

    /// The input was opened; `sha256` is that of a file.
    pub(crate) fn record_input(&mut self, source: &Source, sha256: Option<String>) {
        let dialect = source.dialect();
        self.input.sha256 = sha256;
        self.input.encoding = Some(dialect.encoding.to_string());
        self.input.delimiter = Some(char::from(dialect.delimiter).to_string());
        self.input.header = Some(dialect.has_headers);
        let column = |column: &crate::table::detect::columns::Column| ColumnInfo {
            position: column.index + 1,
            name: column.name.as_deref().map(sanitize),
        };
        self.input.columns = source.columns().iter().map(column).collect();
    }

    /// The API is there; its address has no secret.
    pub(crate) fn record_endpoint(&mut self, endpoint: &str) {
        self.settings.endpoint = Some(endpoint.to_owned());
    }

    /// What the run came to so far.
    pub(crate) fn record_totals(&mut self, report: &Totals) {
        self.rows = Status::ALL.map(|status| (status.name(), report.rows(status))).into();
        self.rows.extend([("in", report.rows_in), ("out", report.rows_out)]);
        self.numbers = NumberCounts {
            asked: report.numbers_asked,
            rows_shared: report.rows_shared,
            rows_known: report.rows_known,
            rows_kept: report.rows_kept,
        };
        let repeated = RetryCause::ALL
            .map(|cause| (retry_cause_label(cause), report.retries_for(cause)))
            .into();
        self.calls = CallCounts { lookups: report.calls, repeated, token: report.token_calls };
        self.holds = Pauses {
            count: report.pauses(),
            seconds: report.pause_time().as_secs_f64(),
            by_limit_seconds: Limit::ALL
                .map(|cause| {
                    (limit_name(cause), report.pause_time_by_limit[cause as usize].as_secs_f64())
                })
                .into(),
        };
        let within = |share| report.latency.quantile(share).map(|time| time.as_secs_f64());
        self.details.totals = report.clone();
        self.latency_seconds =
            (|| Some(Percentiles { p50: within(0.5)?, p95: within(0.95)?, p99: within(0.99)? }))();
    }

    /// How the user ids on file were found to compare, in a run that was asked for that.
    pub(crate) fn record_expected(&mut self, findings: &RowStats) {
        self.expected =
            Some(Expected::ALL.map(|word| (word.name(), findings.expected(word))).into());
    }

    /// What can be done so that the next run goes better.
    pub(crate) fn record_hints(&mut self, advice: &[Hint]) {
        self.advice = advice.iter().map(Advised::from_hint).collect();
    }

    /// The output stands under its name.
    pub(crate) fn mark_written(&mut self) {
        self.written = true;
    }

    /// The run has ended, like this.
    pub(crate) fn record_end(&mut self, result: &Result<Exit, Failure>) {
        let now = Timestamp::now();
        self.started = self.started_at.to_string();
        self.ended = now.to_string();
        self.seconds = self.start_instant.elapsed().as_secs_f64();
        let (exit, message) = match result {
            Ok(exit) => (*exit, None),
            Err(failure) => {
                // A number may be broken over lines, which stay.
                let text = mask_numbers(&format!("{:#}", failure.error));
                (failure.exit, Some(text.lines().map(sanitize).collect::<Vec<_>>().join("\n")))
            }
        };
        (self.exit_status, self.message) = (exit.status(), message);
    }

    /// As JSON, with a line end.
    ///
    /// # Errors
    /// Never: every part can be said in JSON.
    pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }

    /// As Prometheus text (exposition format 0.0.4), for the node exporter's textfile collector. Every line has the input's
    /// name, so that the files of several jobs do not contradict each other.
    #[must_use]
    pub(crate) fn to_prometheus(&self) -> String {
        let mut text = String::new();
        let mut family = |name: &str, help: &str, samples: &[(&str, &str, f64)]| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "# HELP dingmap_{name} {help}\n# TYPE dingmap_{name} gauge");
            for (label, value, number) in samples {
                let more =
                    if label.is_empty() { String::new() } else { format!(",{label}=\"{value}\"") };
                let input = escape_label(&self.input.name);
                let _ = writeln!(text, "dingmap_{name}{{input=\"{input}\"{more}}} {number}");
            }
        };
        let one = |number: f64| [("", "", number)];
        let counted = |label: &'static str, counts: &BTreeMap<&'static str, u64>| -> Vec<_> {
            counts.iter().map(|(name, count)| (label, *name, to_f64(*count))).collect()
        };
        family("build_info", "The version that ran.", &[("version", self.version, 1.0)]);
        family(
            "start_time_seconds",
            "When the run began, in Unix time.",
            &one(unix_seconds(self.started_at)),
        );
        family(
            "end_time_seconds",
            "When the run ended, in Unix time.",
            &one(unix_seconds(self.started_at) + self.seconds),
        );
        family(
            "exit_status",
            "The exit status; 0 is that every row has a definitive answer.",
            &one(f64::from(self.exit_status)),
        );
        family(
            "output_written",
            "Whether the output stands complete under its name.",
            &one(f64::from(u8::from(self.written))),
        );
        let statuses: BTreeMap<_, _> =
            Status::ALL.map(|status| (status.name(), self.rows[status.name()])).into();
        family("rows", "Rows of the output by status.", &counted("status", &statuses));
        family("rows_read", "Rows of the input.", &one(to_f64(self.rows["in"])));
        family(
            "numbers_asked",
            "Distinct numbers that were looked up.",
            &one(to_f64(self.numbers.asked)),
        );
        family(
            "calls",
            "Calls by kind.",
            &[
                ("kind", "lookup", to_f64(self.calls.lookups)),
                ("kind", "token", to_f64(self.calls.token)),
            ],
        );
        family(
            "repeated_calls",
            "Lookups that repeated an earlier one, by cause.",
            &counted("cause", &self.calls.repeated),
        );
        family("holds", "Times that throttling held the run.", &one(to_f64(self.holds.count)));
        let held: Vec<_> = self
            .holds
            .by_limit_seconds
            .iter()
            .map(|(name, seconds)| ("limit", *name, *seconds))
            .collect();
        family("held_seconds", "How long throttling held the run, by what was exceeded.", &held);
        if let Some(Percentiles { p50, p95, p99 }) = self.latency_seconds {
            let samples =
                [("quantile", "0.5", p50), ("quantile", "0.95", p95), ("quantile", "0.99", p99)];
            family("latency_seconds", "Within how long this share of the replies came.", &samples);
        }
        text
    }
}

/// Why a lookup was repeated, in a word.
fn retry_cause_label(cause: RetryCause) -> &'static str {
    match cause {
        RetryCause::Transient => "transient",
        RetryCause::Connection => "line",
        RetryCause::UnexpectedReply => "foreign",
        RetryCause::Throttled => "throttled",
        RetryCause::TokenRejected => "token",
        RetryCause::UnknownCode => "unknown_code",
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 9e15, and metrics are floats")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

fn unix_seconds(moment: Timestamp) -> f64 {
    moment.duration_since(Timestamp::UNIX_EPOCH).as_secs_f64()
}

/// A label's value, as the exposition format has it.
fn escape_label(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use jiff::ToSpan;

    use super::*;
    use crate::app::cli::args::{Cli, Command};

    #[test]
    fn a_clock_set_back_yields_no_negative_duration() {
        let Command::Resolve(args) = Cli::parse_from(["dingmap", "resolve", "i"]).command else {
            panic!()
        };
        let mut account = RunSummary::new(&args, "i");
        account.started_at += 1.hour();
        account.record_end(&Ok(Exit::Success));
        assert!((0.0..60.0).contains(&account.seconds), "{}", account.seconds);
    }
}
