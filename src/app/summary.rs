//! The words at a run's start and end: what was found in the input, and what became of its rows.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use tr::tr;

use crate::app::advice::Advice;
use crate::app::exit::shown;
use crate::app::files::Targets;
use crate::domain::expect::Expected;
use crate::domain::findings::Findings;
use crate::domain::outcome::Status;
use crate::domain::report::{Repeat, Report};
use crate::domain::verdict::Limit;
use crate::table::columns::Column;
use crate::table::lead;
use crate::table::source::Source;

/// What people call an input.
#[must_use]
pub fn name(input: &Path) -> String {
    if input == Path::new("-") { "standard input".to_owned() } else { input.display().to_string() }
}

/// What was detected, and why: the run's first line. `title` names the input, and what it was packed in.
#[must_use]
pub fn opening(title: &str, source: &Source, total: Option<u64>) -> String {
    let dialect = source.dialect();
    let rows = match total {
        Some(0) => "no rows below the header, ".to_owned(),
        Some(1) => "1 row, ".to_owned(),
        Some(rows) => format!("{rows} rows, "),
        None => String::new(),
    };
    let delimiter = match dialect.delimiter {
        b',' => "commas".to_owned(),
        b';' => "semicolons".to_owned(),
        b'\t' => "tabs".to_owned(),
        other => format!("{:?}", char::from(other)),
    };
    let mark = if dialect.bom { " with byte order mark" } else { "" };
    let header = if dialect.headers { "a header" } else { "no header" };
    let column = |column: &Column| {
        let (position, reason) = (column.index + 1, &column.reason);
        match &column.name {
            Some(name) => format!("column {position} ({}): {reason}", shown(name)),
            None => format!("column {position}: {reason}"),
        }
    };
    let columns: Vec<String> = source.columns().iter().map(column).collect();
    let columns = columns.join(", then ");
    let (encoding, why) = (dialect.encoding, dialect.why);
    let advice = lead::advice(source.title());
    format!("{title}: {rows}{encoding}{mark} ({why}), {delimiter}, {header}; numbers in {columns}{advice}")
}

/// The last block: counts, calls, how user ids on file compare where that was asked, advice, and the place of the output.
#[must_use]
pub fn closing(
    report: &Report,
    took: Duration,
    places: &Targets,
    expected: Option<&Findings>,
    advice: &[Advice],
) -> String {
    let mut text = format!("{} in {}: ", plural(report.rows_in, "row"), span(took));
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "{} asked with {}",
        plural(report.asked, "distinct number"),
        plural(report.calls, "call")
    );
    if report.retries() > 0 {
        let _ = write!(text, " ({} repeated)", report.retries());
    }
    if report.shared > 0 {
        let _ = write!(text, ", {} shared an answer", plural(report.shared, "row"));
    }
    if report.recalled > 0 {
        let _ = write!(text, ", {} known from before", plural(report.recalled, "row"));
    }
    if report.kept > 0 {
        let _ =
            write!(text, ", {}", tr!("{n} row kept as it was" | "{n} rows kept as they were" % report.kept));
    }
    for status in Status::ALL {
        let rows = report.rows(status);
        if rows > 0 {
            let line = format!("  {:<13}{rows:>9}  {}", status.name(), meaning(status));
            let _ = write!(text, "\n{}", line.trim_end());
        }
    }
    if let Some(findings) = expected {
        let _ = write!(text, "\n{}", compared(findings, report.rows_out));
    }
    text.push_str(&spent(report));
    advise(&mut text, advice);
    let _ = write!(text, "\nwritten to {}", places.all);
    if let Some(failed) = &places.failed {
        let rows: u64 = Status::ALL
            .into_iter()
            .filter(|status| status.may_yet_succeed())
            .map(|status| report.rows(status))
            .sum();
        let _ = write!(text, "\n{} to try again written to {failed}", plural(rows, "row"));
    }
    text
}

/// How the user ids on file compare; rows that have none, or no definitive answer, are not compared.
fn compared(findings: &Findings, rows: u64) -> String {
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
fn spent(report: &Report) -> String {
    if report.calls == 0 && report.token_calls == 0 {
        return String::new();
    }
    let causes = Repeat::ALL.map(|cause| (report.repeats(cause), cause));
    let causes: Vec<_> = causes
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, cause)| format!("{count} {}", again(cause)))
        .collect();
    let repeated =
        if causes.is_empty() { String::new() } else { format!(" (repeated: {})", causes.join(", ")) };
    let (lookups, tokens) = (plural(report.calls, "lookup"), plural(report.token_calls, "token call"));
    let mut text = format!("\ncalls: {lookups}{repeated}, {tokens}");
    let within = |share| report.latency.within(share).map(brief);
    // Writing to a string does not fail.
    if let (Some(half), Some(most), Some(nearly)) = (within(0.5), within(0.95), within(0.99)) {
        let _ = write!(text, "\nreplies: half within {half}, 95 % within {most}, 99 % within {nearly}");
    }
    if report.holds > 0 {
        let times = plural(report.holds, "time");
        let _ = write!(text, "\nheld by throttling: {times}, {} in all{}", span(report.held()), held(report));
    }
    text
}

fn again(cause: Repeat) -> &'static str {
    match cause {
        Repeat::Answer => "after a transient answer",
        Repeat::Line => "after a failure of the line",
        Repeat::Throttled => "after throttling",
        Repeat::Token => "with a new token",
        Repeat::Unknown => "after an unknown code",
    }
}

/// How long each limit held the run, where more than one did or the one is worth a name.
fn held(report: &Report) -> String {
    let by_cause = Limit::ALL.into_iter().zip(report.held_by).filter(|(_, held)| !held.is_zero());
    let parts: Vec<_> = by_cause.map(|(limit, held)| format!("{limit} {}", span(held))).collect();
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}

/// A reply's time: in milliseconds, from a second on in seconds.
fn brief(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    match millis {
        ..10.0 => format!("{millis:.1}ms"),
        ..1000.0 => format!("{millis:.0}ms"),
        _ => format!("{:.1}s", time.as_secs_f64()),
    }
}

/// What to say of the input's characters that the output's encoding lacks.
#[must_use]
pub fn lacking(characters: u64) -> Option<String> {
    (characters > 0).then(|| {
        format!(
            "{} of the input could not be written in the output's encoding and became ?; choose another --output-encoding, such as UTF-8, to keep them",
            plural(characters, "character")
        )
    })
}

/// The last block of a run that wrote nothing: what the calls were, which counts against the quota all the same.
#[must_use]
pub fn broken_off(report: &Report, took: Duration, advice: &[Advice]) -> String {
    let mut text =
        format!("stopped after {} and {}{}", span(took), plural(report.calls, "call"), spent(report));
    advise(&mut text, advice);
    text
}

/// Adds advice, a line each that begins with a line end.
fn advise(text: &mut String, advice: &[Advice]) {
    for advice in advice {
        // Writing to a string does not fail.
        let _ = write!(text, "\n{}", advice.words());
    }
}

fn meaning(status: Status) -> &'static str {
    match status {
        Status::Found => "",
        Status::NotFound => "nobody in the organisation has this number",
        Status::BadNumber => "the API refused the number",
        Status::Invalid => "not sent; errmsg says why",
        Status::OutOfScope => "outside what the app may see",
        Status::Failed => "may succeed on another try",
        Status::Pending => "the run ended first",
    }
}

fn plural(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// A duration with a tenth of a second below a minute, in whole seconds above.
fn span(duration: Duration) -> String {
    if duration < Duration::from_mins(1) {
        format!("{:.1}s", duration.as_secs_f64())
    } else {
        humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::target::Target;

    fn places() -> Targets {
        Targets {
            all: Target::Stdout,
            failed: Some(Target::File("failed.csv".into())),
            summary: None,
            metrics: None,
        }
    }

    #[test]
    fn the_last_block_has_what_happened_and_nothing_else() {
        let mut report = Report::default();
        (report.rows_in, report.asked, report.shared, report.calls, report.token_calls) = (3, 2, 1, 4, 1);
        report.repeated(Repeat::Answer);
        report.repeated(Repeat::Token);
        for millis in [1, 2, 3, 1500] {
            report.latency.record(Duration::from_millis(millis));
        }
        report.count(Status::Found);
        report.count(Status::Found);
        report.count(Status::OutOfScope);
        let advice = [Advice::OutOfScope { rows: 1 }];
        let mut findings = Findings::default();
        findings.expect(Expected::Mismatch);
        report.rows_out = 3;
        let text = closing(&report, Duration::from_millis(1234), &places(), Some(&findings), &advice);
        assert!(
            text.starts_with(
                "3 rows in 1.2s: 2 distinct numbers asked with 4 calls (2 repeated), 1 row shared an answer\n"
            ),
            "{text}"
        );
        assert!(text.contains("\n  found                2") && text.contains("contact scope"), "{text}");
        assert!(text.contains("\nexpected: match 0, mismatch 1, missing 0; not compared 2\n"), "{text}");
        assert!(
            text.ends_with("written to standard output\n0 rows to try again written to failed.csv")
                && !text.contains("held")
                && !text.contains("invalid")
        );
        report.holds = 1;
        report.held_by[Limit::App as usize] = Duration::from_secs(1);
        report.held_by[Limit::Address as usize] = Duration::from_mins(1);
        report.kept = 2;
        let text = closing(&report, Duration::ZERO, &places(), None, &advice);
        assert!(text.contains(", 2 rows kept as they were\n") && !text.contains("expected"), "{text}");
        let spent = "\ncalls: 4 lookups (repeated: 1 after a transient answer, 1 with a new token), 1 token call\
                     \nreplies: half within 2.0ms, 95 % within 1.5s, 99 % within 1.5s\
                     \nheld by throttling: 1 time, 1m 1s in all: this app's calls a second 1.0s, a ban of this network address 1m";
        assert!(text.contains(&format!("{spent}\nout_of_scope: ")), "{text}");
        // One that wrote nothing has made its calls too.
        let text = broken_off(&report, Duration::from_secs(2), &[]);
        assert_eq!(text, format!("stopped after 2.0s and 4 calls{spent}"));
        let mut report = Report::default();
        report.token_calls = 2;
        let text = broken_off(&report, Duration::ZERO, &[]);
        assert_eq!(text, "stopped after 0.0s and 0 calls\ncalls: 0 lookups, 2 token calls");
        assert_eq!(broken_off(&Report::default(), Duration::ZERO, &[]), "stopped after 0.0s and 0 calls");
    }
}
