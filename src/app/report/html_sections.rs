//! The sections of the HTML report that show counts: rows by status, rows without a user id,
//! latency, retries and pauses.

use std::time::Duration;

use maud::{Markup, html};
use tr::tr;

use crate::app::format::group_thousands;
use crate::app::report::html_chart::{render_bar, render_stacked_bar};
use crate::app::report::text::{format_elapsed, format_latency};
use crate::app::report::unresolved_list::ORDER;
use crate::domain::float::to_f64;
use crate::domain::outcome::Status;
use crate::domain::redact::sanitize;
use crate::domain::status_text::{meaning, remedy};
use crate::domain::totals::{RetryCause, Totals};
use crate::domain::verdict::Limit;
use crate::engine::io::unresolved::{StatusGroup, UnresolvedRows};

/// A row of a table of counts.
struct CountRow {
    name: Markup,
    description: String,
    count: u64,
    /// Shown instead of the count.
    display_value: Option<String>,
    css_class: &'static str,
}

#[must_use]
pub(crate) fn render_outcomes(totals: &Totals) -> Markup {
    let counts = Status::ALL.map(|status| (status.name(), totals.rows(status)));
    let rows =
        Status::ALL.into_iter().filter(|status| totals.rows(*status) > 0).map(|status| CountRow {
            name: html! { code { (status.name()) } },
            description: meaning(status),
            count: totals.rows(status),
            display_value: None,
            css_class: status.name(),
        });
    let title = tr!("Rows by status");
    html! {
        section aria-labelledby="outcome" {
            h2 #outcome { (tr!("Results")) }
            @if totals.rows_out == 0 {
                p.note { (tr!("No row got an answer.")) }
            } @else {
                (render_stacked_bar("rows", &title, &counts))
                (render_count_table(&title, &tr!("report" => "rows"), &rows.collect::<Vec<_>>()))
            }
            @if totals.rows_out < totals.rows_in {
                p.note { (tr!(
                    "{read} rows were read; those after the first open row are not counted here.",
                    read = group_thousands(totals.rows_in)
                )) }
            }
        }
    }
}

/// Replaces `count` in `text` by the same with its thousands separated.
fn group_thousands_in(text: &str, count: u64) -> String {
    text.replacen(&count.to_string(), &group_thousands(count), 1)
}

/// The rows without a user id; those that somebody can act on come first. `None` without such rows.
/// `person_columns` names the columns that show who the rows are about, `sheet` their sheet.
#[must_use]
pub(crate) fn render_unresolved(
    unresolved: &UnresolvedRows,
    person_columns: &[String],
    sheet: Option<&str>,
) -> Option<Markup> {
    let groups = ORDER.map(|status| (status, unresolved.with_status(status)));
    groups.iter().any(|(_, group)| group.count > 0).then(|| {
        html! {
            section aria-labelledby="unresolved" {
                h2 #unresolved { (tr!("Rows without a user id")) }
                @if let Some(sheet) = sheet { p { (tr!("Rows of the sheet {sheet}", sheet)) } }
                @for (status, group) in groups {
                    @if group.count > 0 { (render_group(status, group, person_columns)) }
                }
            }
        }
    })
}

fn render_group(status: Status, group: &StatusGroup, person_columns: &[String]) -> Markup {
    let cells = group.rows.iter().any(|row| row.origin.cell.is_some());
    let row_header = if cells { tr!("row") } else { tr!("line") };
    let numbers = group.rows.iter().any(|row| row.mobile.is_some());
    let codes = group.rows.iter().any(|row| !row.code.is_empty());
    let count = group_thousands(group.count);
    let rows = group_thousands_in(&tr!("{n} row" | "{n} rows" % group.count), group.count);
    // Open if a person has to correct the rows one by one.
    let opened = matches!(status, Status::Failed | Status::Invalid | Status::BadNumber);
    let kept = u64::try_from(group.rows.len()).unwrap_or(u64::MAX);
    html! {
        div class={ "group " (status.name()) } {
            h3 {
                code { (status.name()) }
                span.meaning { (meaning(status)) }
                span.count { (rows) }
            }
            p { (remedy(status)) }
            details open[opened] {
                summary { @if kept < group.count {
                    (tr!("the first {kept} of {count}; the output has them all", kept, count))
                } @else { (tr!("the rows")) } }
                table.rows {
                    thead { tr {
                        th.number scope="col" { (row_header) }
                        @if cells { th scope="col" { (tr!("cell")) } }
                        @for name in person_columns { th scope="col" { (name) } }
                        @if numbers { th scope="col" { (tr!("number")) } }
                        @if codes { th scope="col" { "errcode" } }
                        th scope="col" { "errmsg" }
                    } }
                    tbody { @for row in &group.rows {
                        tr {
                            td.number { (row.origin.location.number()) }
                            @if cells { td { (row.origin.cell.as_deref().unwrap_or_default()) } }
                            @for cell in &row.origin.person { td { (cell) } }
                            @if numbers {
                                td.masked {
                                    @if let Some(mobile) = row.mobile {
                                        (mobile.to_masked_string())
                                    }
                                }
                            }
                            @if codes { td.code { (sanitize(&row.code)) } }
                            td { (sanitize(&row.message)) }
                        }
                    } }
                }
            }
        }
    }
}

/// `None` without replies.
#[must_use]
pub(crate) fn render_latency(totals: &Totals) -> Option<Markup> {
    let buckets = totals.latency.buckets();
    let quantile = |share| totals.latency.quantile(share).map(format_latency);
    let (p50, p95, p99, max) = (quantile(0.5)?, quantile(0.95)?, quantile(0.99)?, quantile(1.0)?);
    let percent = tr!("p50 {p50}, p95 {p95}, p99 {p99}, slowest {max}", p50, p95, p99, max);
    let rows: Vec<_> = buckets
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
            h2 #replies { (tr!("Latency of the replies")) }
            p { (percent) }
            (render_count_table(&tr!("Replies by latency"), &tr!("replies"), &rows))
        }
    })
}

/// `None` without retries and pauses.
#[must_use]
pub(crate) fn render_retries_and_pauses(totals: &Totals) -> Option<Markup> {
    let repeats: Vec<_> = RetryCause::ALL
        .into_iter()
        .filter(|cause| totals.retries_for(*cause) > 0)
        .map(|cause| CountRow {
            name: html! { (describe_retry_cause(cause)) },
            description: String::new(),
            count: totals.retries_for(cause),
            display_value: None,
            css_class: "repeats",
        })
        .collect();
    let paused: Vec<_> = Limit::ALL
        .into_iter()
        .zip(totals.pause_time_by_limit)
        .filter(|(_, paused)| !paused.is_zero())
        .map(|(limit, paused)| CountRow {
            name: html! { (limit.to_string()) },
            description: String::new(),
            count: u64::try_from(paused.as_millis()).unwrap_or(u64::MAX),
            display_value: Some(format_elapsed(paused)),
            css_class: "held",
        })
        .collect();
    (!repeats.is_empty() || totals.pauses() > 0).then(|| html! {
        section aria-labelledby="trouble" {
            h2 #trouble { (tr!("Retries and pauses")) }
            @if !repeats.is_empty() {
                p { (group_thousands_in(
                    &tr!("{n} call was a retry." | "{n} calls were retries." % totals.retries()),
                    totals.retries(),
                )) }
                (render_count_table(&tr!("Retries by cause"), &tr!("calls"), &repeats))
            }
            @if totals.pauses() > 0 {
                p { (tr!(
                    "All calls were paused once, for {time}."
                        | "All calls were paused {n} times, for {time} in total."
                        % totals.pauses(),
                    time = format_elapsed(totals.pause_time())
                )) }
                (render_count_table(
                    &tr!("Time paused by limit"),
                    &tr!("report" => "time"),
                    &paused,
                ))
            }
        }
    })
}

fn describe_retry_cause(cause: RetryCause) -> String {
    match cause {
        RetryCause::Transient => tr!("transient error of the API"),
        RetryCause::Connection => tr!("connection error"),
        RetryCause::Machine => tr!("failure of this machine"),
        RetryCause::UnexpectedReply => tr!("reply that did not come from the API"),
        RetryCause::Throttled => tr!("throttling"),
        RetryCause::TokenRejected => tr!("rejected token"),
        RetryCause::UnknownCode => tr!("unknown errcode"),
    }
}

/// A table of counts, each with its share and a bar.
fn render_count_table(caption: &str, unit: &str, rows: &[CountRow]) -> Markup {
    let all: u64 = rows.iter().map(|row| row.count).sum();
    let most = to_f64(rows.iter().map(|row| row.count).max().unwrap_or(1)).max(1.0);
    let share = |count: u64| to_f64(count) / to_f64(all).max(1.0) * 100.0;
    let percent = |share: f64| match share {
        ..0.05 if share > 0.0 => "<0.1 %".to_owned(),
        // 100 % and 0 % are shown only if they are exact.
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
            tbody { @for row in rows {
                tr {
                    th scope="row" {
                        (row.name)
                        @if !row.description.is_empty() { span.meaning { (row.description) } }
                    }
                    td.number {
                        @match &row.display_value {
                            Some(amount) => (amount),
                            None => (group_thousands(row.count)),
                        }
                    }
                    td.number { (percent(share(row.count))) }
                    td.bars { (render_bar(to_f64(row.count) / most, row.css_class)) }
                }
            } }
        }
    }
}

fn format_bucket_bound(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    if millis < 1000.0 {
        tr!("{millis} ms", millis)
    } else {
        tr!("{seconds} s", seconds = millis / 1000.0)
    }
}
