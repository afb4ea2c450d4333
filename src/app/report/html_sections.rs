//! The parts of a report that have numbers in them: what became of the rows and what to do about those without a user id, how long
//! replies took, why calls were repeated, what held the run. Leaves the page around them to `page` and shapes to `chart`.

use std::time::Duration;

use maud::{Markup, html};
use tr::tr;

use crate::app::commands::state::messages::grouped;
use crate::app::exit::shown;
use crate::app::report::html_chart::{bar, float, strip};
use crate::app::report::text::{brief, meaning, span};
use crate::domain::outcome::Status;
use crate::domain::totals::{Repeat, Report};
use crate::domain::verdict::Limit;
use crate::engine::io::unresolved::{Group, Misses};

/// A row of a table of counts: what is counted, what that means, how many, and the colour of its bar.
struct Line {
    name: Markup,
    meaning: String,
    count: u64,
    /// What is said instead of the count.
    amount: Option<String>,
    kind: &'static str,
}

/// Rows by status.
#[must_use]
pub(crate) fn outcome(report: &Report) -> Markup {
    let counts = Status::ALL.map(|status| (status.name(), report.rows(status)));
    let lines =
        Status::ALL.into_iter().filter(|status| report.rows(*status) > 0).map(|status| Line {
            name: html! { code { (status.name()) } },
            meaning: explained(status),
            count: report.rows(status),
            amount: None,
            kind: status.name(),
        });
    let title = tr!("Rows by status");
    html! {
        section aria-labelledby="outcome" {
            h2 #outcome { (tr!("What became of the rows")) }
            @if report.rows_out == 0 {
                p.note { (tr!("No row got an answer.")) }
            } @else {
                (strip("rows", &title, &counts))
                (counted(&title, &tr!("report" => "rows"), &lines.collect::<Vec<_>>()))
            }
            @if report.rows_out < report.rows_in {
                p.note { (tr!(
                    "{read} rows were read; those behind the first open one are not counted here.",
                    read = grouped(report.rows_in)
                )) }
            }
        }
    }
}

/// A text with its count's thousands apart, as all counts of the page have them.
fn apart(text: &str, count: u64) -> String {
    text.replacen(&count.to_string(), &grouped(count), 1)
}

/// What a status means, in every case.
fn explained(status: Status) -> String {
    if status == Status::Found {
        tr!("the directory has a user with this number")
    } else {
        meaning(status)
    }
}

/// The rows without a user id, those that somebody can do something about first; nothing where there are none.
#[must_use]
pub(crate) fn misses(misses: &Misses) -> Option<Markup> {
    let order = [
        Status::Failed,
        Status::Invalid,
        Status::BadNumber,
        Status::OutOfScope,
        Status::NotFound,
        Status::Pending,
    ];
    let groups = order.map(|status| (status, misses.of(status)));
    groups.iter().any(|(_, group)| group.count > 0).then(|| {
        html! {
            section aria-labelledby="misses" {
                h2 #misses { (tr!("Rows without a user id")) }
                @for (status, group) in groups {
                    @if group.count > 0 { (group_of(status, group)) }
                }
            }
        }
    })
}

fn group_of(status: Status, group: &Group) -> Markup {
    let numbers = group.rows.iter().any(|row| row.mobile.is_some());
    let codes = group.rows.iter().any(|row| !row.code.is_empty());
    let count = grouped(group.count);
    let rows = apart(&tr!("{n} row" | "{n} rows" % group.count), group.count);
    // What can be mended row by row is there to be read; the rest would only be long.
    let opened = matches!(status, Status::Failed | Status::Invalid | Status::BadNumber);
    let kept = u64::try_from(group.rows.len()).unwrap_or(u64::MAX);
    html! {
        div class={ "group " (status.name()) } {
            h3 { code { (status.name()) } span.meaning { (meaning(status)) } span.count { (rows) } }
            p { (advice(status)) }
            details open[opened] {
                summary { @if kept < group.count {
                    (tr!("the first {kept} of {count}; the output has them all", kept = kept, count = count))
                } @else { (tr!("the rows")) } }
                table.rows {
                    thead { tr {
                        th.number scope="col" { (tr!("line")) }
                        @if numbers { th scope="col" { (tr!("number")) } }
                        @if codes { th scope="col" { "errcode" } }
                        th scope="col" { "errmsg" }
                    } }
                    tbody { @for row in &group.rows {
                        tr {
                            td.number { (row.line) }
                            @if numbers { td.masked { @if let Some(mobile) = row.mobile { (mobile.masked()) } } }
                            @if codes { td.code { (shown(&row.code)) } }
                            td { (shown(&row.message)) }
                        }
                    } }
                }
            }
        }
    }
}

/// What to do about rows with a status.
fn advice(status: Status) -> String {
    match status {
        Status::Found => String::new(),
        Status::NotFound => tr!(
            "Check these numbers at their source, and that the app belongs to the organisation in which these people are."
        ),
        Status::BadNumber => tr!("Correct these numbers at their source and run again."),
        Status::Invalid => tr!(
            "Correct these cells at their source and run again. The digits of numbers that Excel rounded are gone from the CSV: format the column as text and export it again, or give the workbook (.xlsx) itself."
        ),
        Status::OutOfScope => {
            tr!("Widen the app's contact scope in the developer console and run again.")
        }
        Status::Failed => tr!(
            "They may succeed on another try: --retry-failed asks only for such rows of a resolved file, and --failed FILE writes them as an input of their own."
        ),
        Status::Pending => {
            tr!("Run the same command again: it goes on from what the state has kept.")
        }
    }
}

/// How long replies took; nothing where there was none.
#[must_use]
pub(crate) fn replies(report: &Report) -> Option<Markup> {
    let spread = report.latency.spread();
    let within = |share| report.latency.within(share).map(brief);
    let (half, most, nearly, all) = (within(0.5)?, within(0.95)?, within(0.99)?, within(1.0)?);
    let told = tr!(
        "half within {half}, 95 % within {most}, 99 % within {nearly}, all within {all}",
        half,
        most,
        nearly,
        all
    );
    let lines: Vec<_> = spread
        .into_iter()
        .map(|(end, count)| Line {
            name: html! { (tr!("up to {time}", time = round(end))) },
            meaning: String::new(),
            count,
            amount: None,
            kind: "replies",
        })
        .collect();
    Some(html! {
        section aria-labelledby="replies" {
            h2 #replies { (tr!("How long replies took")) }
            p { (told) }
            (counted(&tr!("Replies by the time that they took"), &tr!("replies"), &lines))
        }
    })
}

/// Why calls were repeated, and what held the run; nothing where neither happened.
#[must_use]
pub(crate) fn trouble(report: &Report) -> Option<Markup> {
    let repeats: Vec<_> = Repeat::ALL
        .into_iter()
        .filter(|cause| report.repeats(*cause) > 0)
        .map(|cause| Line {
            name: html! { (repeated(cause)) },
            meaning: String::new(),
            count: report.repeats(cause),
            amount: None,
            kind: "repeats",
        })
        .collect();
    let held: Vec<_> = Limit::ALL
        .into_iter()
        .zip(report.held_by)
        .filter(|(_, held)| !held.is_zero())
        .map(|(limit, held)| Line {
            name: html! { (limit.to_string()) },
            meaning: String::new(),
            count: u64::try_from(held.as_millis()).unwrap_or(u64::MAX),
            amount: Some(span(held)),
            kind: "held",
        })
        .collect();
    (!repeats.is_empty() || report.holds() > 0).then(|| html! {
        section aria-labelledby="trouble" {
            h2 #trouble { (tr!("Repeats and holds")) }
            @if !repeats.is_empty() {
                p { (apart(
                    &tr!("{n} call repeated an earlier one of the same number." | "{n} calls repeated an earlier one of the same number." % report.retries()),
                    report.retries(),
                )) }
                (counted(&tr!("Repeated calls by cause"), &tr!("calls"), &repeats))
            }
            @if report.holds() > 0 {
                p { (tr!(
                    "Throttling held all calls once, for {time}." | "Throttling held all calls {n} times, for {time} in all." % report.holds(),
                    time = span(report.held())
                )) }
                (counted(&tr!("Time held by limit"), &tr!("report" => "time"), &held))
            }
        }
    })
}

/// What came before a call that was repeated.
fn repeated(cause: Repeat) -> String {
    match cause {
        Repeat::Answer => tr!("a transient answer of the API"),
        Repeat::Line => tr!("a failure of the line"),
        Repeat::Foreign => tr!("a reply that was no answer of the API"),
        Repeat::Throttled => tr!("throttling"),
        Repeat::Token => tr!("a token that was not accepted"),
        Repeat::Unknown => tr!("an unknown code"),
    }
}

/// A table of counts, each with its share and a bar.
fn counted(caption: &str, unit: &str, lines: &[Line]) -> Markup {
    let all: u64 = lines.iter().map(|line| line.count).sum();
    let most = float(lines.iter().map(|line| line.count).max().unwrap_or(1)).max(1.0);
    let share = |count: u64| float(count) / float(all).max(1.0) * 100.0;
    let told = |share: f64| match share {
        ..0.05 if share > 0.0 => "<0.1 %".to_owned(),
        // What is not everything must not read as if it were.
        99.95..100.0 => ">99.9 %".to_owned(),
        _ => format!("{share:.1} %"),
    };
    html! {
        table.counts {
            caption { (caption) }
            thead { tr {
                th scope="col" { span.unseen { (tr!("what")) } }
                th.number scope="col" { (unit) }
                th.number scope="col" { (tr!("share")) }
                td.bars aria-hidden="true" {}
            } }
            tbody { @for line in lines {
                tr {
                    th scope="row" {
                        (line.name)
                        @if !line.meaning.is_empty() { span.meaning { (line.meaning) } }
                    }
                    td.number { @match &line.amount { Some(amount) => (amount), None => (grouped(line.count)) } }
                    td.number { (told(share(line.count))) }
                    td.bars { (bar(float(line.count) / most, line.kind)) }
                }
            } }
        }
    }
}

/// A round time, as one would say it.
fn round(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    if millis < 1000.0 {
        format!("{millis}{}", tr!("duration" => "ms"))
    } else {
        format!("{}{}", millis / 1000.0, tr!("duration" => "s"))
    }
}
