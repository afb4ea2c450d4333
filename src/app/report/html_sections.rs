//! The parts of a report that have numbers in them: what became of the rows and what to do about those without a user id, how long
//! replies took, why calls were repeated, what held the run. Leaves the page around them to `page` and shapes to `chart`.

use std::time::Duration;

use maud::{Markup, html};
use tr::tr;

use crate::app::commands::state::messages::group_thousands;
use crate::app::exit::sanitize;
use crate::app::report::html_chart::{render_bar, render_stacked_bar, to_f64};
use crate::app::report::text::{describe_status, format_elapsed, format_latency};
use crate::domain::outcome::Status;
use crate::domain::totals::{RetryCause, Totals};
use crate::domain::verdict::Limit;
use crate::engine::io::unresolved::{StatusGroup, UnresolvedRows};

/// A row of a table of counts: what is counted, what that means, how many, and the colour of its bar.
struct CountRow {
    name: Markup,
    description: String,
    count: u64,
    /// What is said instead of the count.
    display_value: Option<String>,
    css_class: &'static str,
}

/// Rows by status.
#[must_use]
pub(crate) fn render_outcomes(report: &Totals) -> Markup {
    let counts = Status::ALL.map(|status| (status.name(), report.rows(status)));
    let lines =
        Status::ALL.into_iter().filter(|status| report.rows(*status) > 0).map(|status| CountRow {
            name: html! { code { (status.name()) } },
            description: explain_status(status),
            count: report.rows(status),
            display_value: None,
            css_class: status.name(),
        });
    let title = tr!("Rows by status");
    html! {
        section aria-labelledby="outcome" {
            h2 #outcome { (tr!("What became of the rows")) }
            @if report.rows_out == 0 {
                p.note { (tr!("No row got an answer.")) }
            } @else {
                (render_stacked_bar("rows", &title, &counts))
                (render_count_table(&title, &tr!("report" => "rows"), &lines.collect::<Vec<_>>()))
            }
            @if report.rows_out < report.rows_in {
                p.note { (tr!(
                    "{read} rows were read; those behind the first open one are not counted here.",
                    read = group_thousands(report.rows_in)
                )) }
            }
        }
    }
}

/// A text with its count's thousands apart, as all counts of the page have them.
fn group_thousands_in(text: &str, count: u64) -> String {
    text.replacen(&count.to_string(), &group_thousands(count), 1)
}

/// What a status means, in every case.
fn explain_status(status: Status) -> String {
    if status == Status::Found {
        tr!("the directory has a user with this number")
    } else {
        describe_status(status)
    }
}

/// The rows without a user id, those that somebody can do something about first; nothing where there are none.
#[must_use]
pub(crate) fn render_unresolved(misses: &UnresolvedRows) -> Option<Markup> {
    let order = [
        Status::Failed,
        Status::Invalid,
        Status::BadNumber,
        Status::OutOfScope,
        Status::NotFound,
        Status::Pending,
    ];
    let groups = order.map(|status| (status, misses.with_status(status)));
    groups.iter().any(|(_, group)| group.count > 0).then(|| {
        html! {
            section aria-labelledby="misses" {
                h2 #misses { (tr!("Rows without a user id")) }
                @for (status, group) in groups {
                    @if group.count > 0 { (render_group(status, group)) }
                }
            }
        }
    })
}

fn render_group(status: Status, group: &StatusGroup) -> Markup {
    let numbers = group.rows.iter().any(|row| row.mobile.is_some());
    let codes = group.rows.iter().any(|row| !row.code.is_empty());
    let count = group_thousands(group.count);
    let rows = group_thousands_in(&tr!("{n} row" | "{n} rows" % group.count), group.count);
    // What can be mended row by row is there to be read; the rest would only be long.
    let opened = matches!(status, Status::Failed | Status::Invalid | Status::BadNumber);
    let kept = u64::try_from(group.rows.len()).unwrap_or(u64::MAX);
    html! {
        div class={ "group " (status.name()) } {
            h3 { code { (status.name()) } span.meaning { (describe_status(status)) } span.count { (rows) } }
            p { (status_hint(status)) }
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
                            @if numbers { td.masked { @if let Some(mobile) = row.mobile { (mobile.to_masked_string()) } } }
                            @if codes { td.code { (sanitize(&row.code)) } }
                            td { (sanitize(&row.message)) }
                        }
                    } }
                }
            }
        }
    }
}

/// What to do about rows with a status.
fn status_hint(status: Status) -> String {
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
pub(crate) fn render_latency(report: &Totals) -> Option<Markup> {
    let spread = report.latency.buckets();
    let within = |share| report.latency.quantile(share).map(format_latency);
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
        .map(|(end, count)| CountRow {
            name: html! { (tr!("up to {time}", time = format_bucket_bound(end))) },
            description: String::new(),
            count,
            display_value: None,
            css_class: "replies",
        })
        .collect();
    Some(html! {
        section aria-labelledby="replies" {
            h2 #replies { (tr!("How long replies took")) }
            p { (told) }
            (render_count_table(&tr!("Replies by the time that they took"), &tr!("replies"), &lines))
        }
    })
}

/// Why calls were repeated, and what held the run; nothing where neither happened.
#[must_use]
pub(crate) fn render_retries_and_pauses(report: &Totals) -> Option<Markup> {
    let repeats: Vec<_> = RetryCause::ALL
        .into_iter()
        .filter(|cause| report.retries_for(*cause) > 0)
        .map(|cause| CountRow {
            name: html! { (describe_retry_cause(cause)) },
            description: String::new(),
            count: report.retries_for(cause),
            display_value: None,
            css_class: "repeats",
        })
        .collect();
    let held: Vec<_> = Limit::ALL
        .into_iter()
        .zip(report.pause_time_by_limit)
        .filter(|(_, held)| !held.is_zero())
        .map(|(limit, held)| CountRow {
            name: html! { (limit.to_string()) },
            description: String::new(),
            count: u64::try_from(held.as_millis()).unwrap_or(u64::MAX),
            display_value: Some(format_elapsed(held)),
            css_class: "held",
        })
        .collect();
    (!repeats.is_empty() || report.pauses() > 0).then(|| html! {
        section aria-labelledby="trouble" {
            h2 #trouble { (tr!("Repeats and holds")) }
            @if !repeats.is_empty() {
                p { (group_thousands_in(
                    &tr!("{n} call repeated an earlier one of the same number." | "{n} calls repeated an earlier one of the same number." % report.retries()),
                    report.retries(),
                )) }
                (render_count_table(&tr!("Repeated calls by cause"), &tr!("calls"), &repeats))
            }
            @if report.pauses() > 0 {
                p { (tr!(
                    "Throttling held all calls once, for {time}." | "Throttling held all calls {n} times, for {time} in all." % report.pauses(),
                    time = format_elapsed(report.pause_time())
                )) }
                (render_count_table(&tr!("Time held by limit"), &tr!("report" => "time"), &held))
            }
        }
    })
}

/// What came before a call that was repeated.
fn describe_retry_cause(cause: RetryCause) -> String {
    match cause {
        RetryCause::Transient => tr!("a transient answer of the API"),
        RetryCause::Connection => tr!("a failure of the line"),
        RetryCause::UnexpectedReply => tr!("a reply that was no answer of the API"),
        RetryCause::Throttled => tr!("throttling"),
        RetryCause::TokenRejected => tr!("a token that was not accepted"),
        RetryCause::UnknownCode => tr!("an unknown code"),
    }
}

/// A table of counts, each with its share and a bar.
fn render_count_table(caption: &str, unit: &str, lines: &[CountRow]) -> Markup {
    let all: u64 = lines.iter().map(|line| line.count).sum();
    let most = to_f64(lines.iter().map(|line| line.count).max().unwrap_or(1)).max(1.0);
    let share = |count: u64| to_f64(count) / to_f64(all).max(1.0) * 100.0;
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
                        @if !line.description.is_empty() { span.meaning { (line.description) } }
                    }
                    td.number { @match &line.display_value { Some(amount) => (amount), None => (group_thousands(line.count)) } }
                    td.number { (told(share(line.count))) }
                    td.bars { (render_bar(to_f64(line.count) / most, line.css_class)) }
                }
            } }
        }
    }
}

/// A round time, as one would say it.
fn format_bucket_bound(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    if millis < 1000.0 {
        format!("{millis}{}", tr!("duration" => "ms"))
    } else {
        format!("{}{}", millis / 1000.0, tr!("duration" => "s"))
    }
}
