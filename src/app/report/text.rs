//! The words at a run's start and end: what was found in the input, and what became of its rows.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use tr::tr;

use crate::app::cli::paths::OutputTargets;
use crate::app::exit::{format_duration, sanitize};
use crate::app::report::hints::Hint;
use crate::domain::expected::Expected;
use crate::domain::outcome::Status;
use crate::domain::row_stats::RowStats;
use crate::domain::shard::Shard;
use crate::domain::totals::{RetryCause, Totals};
use crate::domain::verdict::Limit;
use crate::table::detect::columns::Column;
use crate::table::detect::preamble;
use crate::table::source::Source;

/// What people call an input.
#[must_use]
pub(crate) fn input_name(input: &Path) -> String {
    if input == Path::new("-") { tr!("standard input") } else { input.display().to_string() }
}

/// What was detected, and why: the run's first line. `title` names the input, and what it was packed in; `total` counts the
/// rows that are taken of it.
#[must_use]
pub(crate) fn describe_input(
    title: &str,
    source: &Source,
    shard: Option<Shard>,
    total: Option<u64>,
) -> String {
    let dialect = source.dialect();
    let (encoding, why) = (dialect.encoding, &dialect.encoding_reason);
    let read = [
        shard.map(|shard| tr!("shard {shard}", shard)),
        total.map(|total| {
            if total == 0 && shard.is_none() {
                tr!("no rows below the header")
            } else {
                tr!("{n} row" | "{n} rows" % total)
            }
        }),
        Some(if dialect.has_bom {
            tr!("{encoding} with byte order mark ({why})", encoding, why)
        } else {
            tr!("{encoding} ({why})", encoding, why)
        }),
        Some(match dialect.delimiter {
            b',' => tr!("commas"),
            b';' => tr!("semicolons"),
            b'\t' => tr!("tabs"),
            other => format!("{:?}", char::from(other)),
        }),
        Some(if dialect.has_headers { tr!("a header") } else { tr!("no header") }),
    ];
    let read: Vec<_> = read.into_iter().flatten().collect();
    let column = |column: &Column| {
        let (position, reason) = (column.index + 1, &column.reason);
        match column.name.as_deref().map(sanitize) {
            Some(name) => tr!("column {position} ({name}): {reason}", position, name, reason),
            None => tr!("column {position}: {reason}", position, reason),
        }
    };
    let columns: Vec<String> = source.columns().iter().map(column).collect();
    tr!(
        "{title}: {read}; numbers in {columns}{advice}",
        title,
        read = read.join(&tr!(", ")),
        columns = columns.join(&tr!(", then ")),
        advice = preamble::title_hint(source.title_lines())
    )
}

/// The last block: counts, calls, how user ids on file compare where that was asked, advice, and the place of the output.
#[must_use]
pub(crate) fn describe_run(
    report: &Totals,
    took: Duration,
    places: &OutputTargets,
    expected: Option<&RowStats>,
    advice: &[Hint],
) -> String {
    let numbers = tr!("{n} distinct number" | "{n} distinct numbers" % report.numbers_asked);
    let calls = format_calls(report);
    let asked = if report.retries() > 0 {
        tr!(
            "{numbers} asked with {calls} ({repeated} repeated)",
            numbers,
            calls,
            repeated = report.retries()
        )
    } else {
        tr!("{numbers} asked with {calls}", numbers, calls)
    };
    let mut done = vec![asked];
    if report.rows_shared > 0 {
        done.push(tr!(
            "{n} row shared an answer" | "{n} rows shared an answer" % report.rows_shared
        ));
    }
    if report.rows_known > 0 {
        done.push(tr!(
            "{n} row known from before" | "{n} rows known from before" % report.rows_known
        ));
    }
    if report.rows_kept > 0 {
        done.push(tr!("{n} row kept as it was" | "{n} rows kept as they were" % report.rows_kept));
    }
    let rows = tr!("{n} row" | "{n} rows" % report.rows_in);
    let mut text = tr!(
        "{rows} in {time}: {done}",
        rows,
        time = format_elapsed(took),
        done = done.join(&tr!(", "))
    );
    for status in Status::ALL {
        let rows = report.rows(status);
        if rows > 0 {
            let line = format!("  {:<13}{rows:>9}  {}", status.name(), describe_status(status));
            // Writing to a string does not fail.
            let _ = write!(text, "\n{}", line.trim_end());
        }
    }
    if let Some(findings) = expected {
        text.push('\n');
        text.push_str(&describe_expected(findings, report.rows_out));
    }
    text.push_str(&describe_calls(report));
    append_hints(&mut text, advice);
    let _ = write!(text, "\n{}", tr!("written to {place}", place = places.output));
    if let Some(failed) = &places.failed {
        let rows: u64 = Status::ALL
            .into_iter()
            .filter(|status| status.is_retryable())
            .map(|status| report.rows(status))
            .sum();
        let told = tr!(
            "{n} row to try again written to {place}"
                | "{n} rows to try again written to {place}" % rows,
            place = failed
        );
        let _ = write!(text, "\n{told}");
    }
    text
}

/// How the user ids on file compare; rows that have none, or no definitive answer, are not compared.
#[must_use]
pub(crate) fn describe_expected(findings: &RowStats, rows: u64) -> String {
    let [alike, other, missing] = Expected::ALL.map(|word| findings.expected(word));
    let rest = rows.saturating_sub(alike + other + missing);
    tr!(
        "expected: match {alike}, mismatch {other}, missing {missing}; not compared {rest}",
        alike,
        other,
        missing,
        rest
    )
}

/// What the calls were: by kind, their repeats by cause, how long replies took, and how long throttling held them. Lines that
/// each begin with a line end; nothing where there was no call of any kind.
fn describe_calls(report: &Totals) -> String {
    if report.calls == 0 && report.token_calls == 0 {
        return String::new();
    }
    let causes = RetryCause::ALL.map(|cause| (report.retries_for(cause), cause));
    let causes: Vec<_> = causes
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, cause)| describe_retries(cause, count))
        .collect();
    let lookups = tr!("{n} lookup" | "{n} lookups" % report.calls);
    let tokens = tr!("{n} token call" | "{n} token calls" % report.token_calls);
    let mut text = "\n".to_owned();
    text.push_str(&if causes.is_empty() {
        tr!("calls: {lookups}, {tokens}", lookups, tokens)
    } else {
        let causes = causes.join(&tr!(", "));
        tr!("calls: {lookups} (repeated: {causes}), {tokens}", lookups, causes, tokens)
    });
    let within = |share| report.latency.quantile(share).map(format_latency);
    if let (Some(half), Some(most), Some(nearly)) = (within(0.5), within(0.95), within(0.99)) {
        text.push('\n');
        text.push_str(&tr!(
            "replies: half within {half}, 95 % within {most}, 99 % within {nearly}",
            half,
            most,
            nearly
        ));
    }
    if report.pauses() > 0 {
        let time = format_elapsed(report.pause_time());
        let all = if report.pauses_by_limit[Limit::Shared as usize] > 0 {
            tr!(
                "held: {n} time, {time} in all"
                    | "held: {n} times, {time} in all" % report.pauses(),
                time
            )
        } else {
            tr!(
                "held by throttling: {n} time, {time} in all"
                    | "held by throttling: {n} times, {time} in all" % report.pauses(),
                time
            )
        };
        let by_cause = describe_pauses(report);
        text.push('\n');
        text.push_str(&if by_cause.is_empty() {
            all
        } else {
            tr!("{all}: {causes}", all, causes = by_cause)
        });
    }
    text
}

/// So many calls.
fn format_calls(report: &Totals) -> String {
    tr!("{n} call" | "{n} calls" % report.calls)
}

fn describe_retries(cause: RetryCause, count: u64) -> String {
    match cause {
        RetryCause::Transient => tr!("{count} after a transient answer", count),
        RetryCause::Connection => tr!("{count} after a failure of the line", count),
        RetryCause::UnexpectedReply => {
            tr!("{count} after a reply that was no answer of the API", count)
        }
        RetryCause::Throttled => tr!("{count} after throttling", count),
        RetryCause::TokenRejected => tr!("{count} with a new token", count),
        RetryCause::UnknownCode => tr!("{count} after an unknown code", count),
    }
}

/// How long each limit held the run, where more than one did or the one is worth a name.
fn describe_pauses(report: &Totals) -> String {
    let by_cause =
        Limit::ALL.into_iter().zip(report.pause_time_by_limit).filter(|(_, held)| !held.is_zero());
    let parts: Vec<_> =
        by_cause.map(|(limit, held)| format!("{limit} {}", format_elapsed(held))).collect();
    parts.join(&tr!(", "))
}

/// A reply's time: in milliseconds, from a second on in seconds.
#[must_use]
pub(crate) fn format_latency(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    match millis {
        ..10.0 => format!("{millis:.1}{}", tr!("duration" => "ms")),
        ..1000.0 => format!("{millis:.0}{}", tr!("duration" => "ms")),
        _ => format_seconds(time),
    }
}

/// What to say of the input's characters that the output's encoding lacks.
#[must_use]
pub(crate) fn unencodable_warning(characters: u64) -> Option<String> {
    (characters > 0).then(|| {
        tr!(
            "{n} character of the input could not be written in the output's encoding and became ?; choose another --output-encoding, such as UTF-8, to keep them"
                | "{n} characters of the input could not be written in the output's encoding and became ?; choose another --output-encoding, such as UTF-8, to keep them"
                % characters
        )
    })
}

/// What to say of an output that has not all rows of the input.
#[must_use]
pub(crate) fn unread_input_warning(rows: u64) -> String {
    tr!(
        "the input was not read to its end: only its first row is in the output; run again with the whole input for the others"
            | "the input was not read to its end: only its first {n} rows are in the output; run again with the whole input for the others"
                % rows
    )
}

/// The last block of a run that wrote nothing: what the calls were, which counts against the quota all the same.
#[must_use]
pub(crate) fn describe_aborted_run(report: &Totals, took: Duration, advice: &[Hint]) -> String {
    let mut text = tr!(
        "stopped after {time} and {calls}",
        time = format_elapsed(took),
        calls = format_calls(report)
    );
    text.push_str(&describe_calls(report));
    append_hints(&mut text, advice);
    text
}

/// Adds advice, a line each that begins with a line end.
fn append_hints(text: &mut String, advice: &[Hint]) {
    for advice in advice {
        text.push('\n');
        text.push_str(&advice.message());
    }
}

/// What a status means; nothing where its name says it.
#[must_use]
pub(crate) fn describe_status(status: Status) -> String {
    match status {
        Status::Found => String::new(),
        Status::NotFound => tr!("nobody in the organisation has this number"),
        Status::BadNumber => tr!("the API refused the number"),
        Status::Invalid => tr!("not sent; errmsg says why"),
        Status::OutOfScope => tr!("outside what the app may see"),
        Status::Failed => tr!("may succeed on another try"),
        Status::Pending => tr!("the run ended first"),
    }
}

/// A duration in seconds and tenths of them.
fn format_seconds(duration: Duration) -> String {
    format!("{:.1}{}", duration.as_secs_f64(), tr!("duration" => "s"))
}

/// A duration with a tenth of a second below a minute, in whole seconds above.
#[must_use]
pub(crate) fn format_elapsed(duration: Duration) -> String {
    if duration < Duration::from_mins(1) {
        format_seconds(duration)
    } else {
        format_duration(Duration::from_secs(duration.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::write::output::Target;

    fn places() -> OutputTargets {
        OutputTargets {
            output: Target::Stdout,
            failed: Some(Target::File("failed.csv".into())),
            summary: None,
            metrics: None,
            report: None,
        }
    }

    #[test]
    fn the_summary_has_only_lines_that_apply() {
        let mut report = Totals::default();
        (
            report.rows_in,
            report.numbers_asked,
            report.rows_shared,
            report.calls,
            report.token_calls,
        ) = (3, 2, 1, 4, 1);
        report.count_retry(RetryCause::Transient);
        report.count_retry(RetryCause::TokenRejected);
        for millis in [1, 2, 3, 1500] {
            report.latency.record(Duration::from_millis(millis));
        }
        report.count_row(Status::Found);
        report.count_row(Status::Found);
        report.count_row(Status::OutOfScope);
        let advice = [Hint::OutOfScope { rows: 1 }];
        let mut findings = RowStats::default();
        findings.count_expected(Expected::Mismatch);
        report.rows_out = 3;
        let text =
            describe_run(&report, Duration::from_millis(1234), &places(), Some(&findings), &advice);
        assert!(
            text.starts_with(
                "3 rows in 1.2s: 2 distinct numbers asked with 4 calls (2 repeated), 1 row shared an answer\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("\n  found                2") && text.contains("contact scope"),
            "{text}"
        );
        assert!(
            text.contains("\nexpected: match 0, mismatch 1, missing 0; not compared 2\n"),
            "{text}"
        );
        assert!(
            text.ends_with("written to standard output\n0 rows to try again written to failed.csv")
                && !text.contains("held")
                && !text.contains("invalid")
        );
        report.pauses_by_limit[Limit::App as usize] = 1;
        report.pause_time_by_limit[Limit::App as usize] = Duration::from_secs(1);
        report.pause_time_by_limit[Limit::Address as usize] = Duration::from_mins(1);
        report.rows_kept = 2;
        let text = describe_run(&report, Duration::ZERO, &places(), None, &advice);
        assert!(
            text.contains(", 2 rows kept as they were\n") && !text.contains("expected"),
            "{text}"
        );
        let spent = "\ncalls: 4 lookups (repeated: 1 after a transient answer, 1 with a new token), 1 token call\
                     \nreplies: half within 2.0ms, 95 % within 1.5s, 99 % within 1.5s\
                     \nheld by throttling: 1 time, 1m 1s in all: this app's calls a second 1.0s, a ban of this network address 1m";
        assert!(text.contains(&format!("{spent}\nout_of_scope: ")), "{text}");
        // One that wrote nothing has made its calls too.
        let text = describe_aborted_run(&report, Duration::from_secs(2), &[]);
        assert_eq!(text, format!("stopped after 2.0s and 4 calls{spent}"));
        let mut report = Totals::default();
        report.token_calls = 2;
        let text = describe_aborted_run(&report, Duration::ZERO, &[]);
        assert_eq!(text, "stopped after 0.0s and 0 calls\ncalls: 0 lookups, 2 token calls");
        assert_eq!(
            describe_aborted_run(&Totals::default(), Duration::ZERO, &[]),
            "stopped after 0.0s and 0 calls"
        );
    }
}
