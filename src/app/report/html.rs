//! The HTML report (`--report`): the page, how the run ended, and its settings. It has no script,
//! and loads nothing. The template escapes whatever comes from the input or the API.

use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;
use tr::tr;

use crate::app::format::{format_timestamp, group_thousands};
use crate::app::i18n::language::Language;
use crate::app::report::html_chart;
use crate::app::report::html_sections;
use crate::app::report::run_summary::ReportDetails;
use crate::app::report::run_summary::RunSummary;
use crate::app::report::text::{self, format_elapsed};
use crate::domain::outcome::Status;
use crate::domain::redact::sanitize;
use crate::domain::totals::Totals;

/// Nothing but the page's own styles.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLESHEET: &str = include_str!("page.css");

pub(crate) fn render_page(summary: &RunSummary) -> Result<String, serde_json::Error> {
    let details = &summary.details;
    let settings = render_settings(&serde_json::to_value(&summary.settings)?);
    let name = sanitize(&text::input_name(Path::new(&summary.input.name)));
    let page = html! {
        (DOCTYPE)
        html lang=(language_tag()) {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(CONTENT_SECURITY_POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="generator" content={ "dingmap " (summary.version) };
                title { (name) " · dingmap" }
                style { (PreEscaped(STYLESHEET)) }
            }
            body {
                header {
                    p.maker { "dingmap " (summary.version) }
                    h1 { (tr!("Report of a run")) }
                    p.input { bdi { (name) } }
                    (render_end(summary))
                    (render_overview(summary))
                }
                main {
                    (html_sections::render_outcomes(&details.totals))
                    @if let Some(rows) = html_sections::render_unresolved(
                        &details.unresolved,
                        &details.person_columns,
                        summary.input.sheet.as_deref(),
                    ) {
                        (rows)
                    }
                    @if let Some(drawn) = html_chart::render_calls(&details.timeline) {
                        section aria-labelledby="timeline" {
                            h2 #timeline { (tr!("Calls over time")) }
                            (drawn)
                        }
                    }
                    @if let Some(replies) = html_sections::render_latency(&details.totals) {
                        (replies)
                    }
                    @if let Some(trouble) =
                        html_sections::render_retries_and_pauses(&details.totals)
                    {
                        (trouble)
                    }
                    (render_input(summary))
                    (settings)
                }
                footer {
                    p { (tr!(
                        "Numbers are masked here; the output has them in full. This page loads \
                         nothing and needs no network."
                    )) }
                }
            }
        }
    };
    Ok(page.into_string())
}

fn language_tag() -> &'static str {
    match Language::current() {
        Language::English => "en",
        Language::Chinese => "zh-CN",
    }
}

fn render_end(summary: &RunSummary) -> Markup {
    let ReportDetails { timeline, warnings, .. } = &summary.details;
    let (severity, title) = exit_headline(summary.exit_status, &summary.details.totals);
    let (times, last) = &timeline.token_failures;
    html! {
        div class={ "ending " (severity) } {
            p.verdict {
                strong { (title) }
                " "
                span.status { (tr!("exit status {status}", status = summary.exit_status)) }
            }
            @if let Some(message) = &summary.message { p.message { (message) } }
            p {
                @if summary.written { (tr!("The output is complete.")) }
                @else { (tr!("The output was not written completely.")) }
            }
            @if *times > 0 || !warnings.is_empty() {
                ul {
                    @for warning in warnings { li { (sanitize(warning)) } }
                    @if *times > 0 { li { (tr!(
                        "Fetching a token failed once: {reason}"
                            | "Fetching a token failed {n} times; last reason: {reason}" % *times,
                        reason = last
                    )) } }
                }
            }
            @if !summary.advice.is_empty() {
                p.todo { (tr!("What to do")) }
                ul { @for hint in &summary.advice { li { (sanitize(&hint.text)) } } }
            }
        }
    }
}

/// The severity of an exit status (a CSS class) and a short text. Exit status 0 is good news only
/// if somebody was found and no row needs a person.
fn exit_headline(status: u8, totals: &Totals) -> (&'static str, String) {
    let waiting = [Status::Invalid, Status::BadNumber, Status::OutOfScope];
    match status {
        0 if totals.rows_out > 0 && totals.rows(Status::Found) == 0 => {
            ("fair", tr!("Nobody was found"))
        }
        0 if waiting.into_iter().any(|status| totals.rows(status) > 0) => {
            ("fair", tr!("Every row has a definitive answer"))
        }
        0 => ("good", tr!("Every row has a definitive answer")),
        2 => ("bad", tr!("Usage or configuration")),
        3 => ("bad", tr!("The input could not be read")),
        4 => ("fair", tr!("Finished, but some rows failed")),
        5 => ("bad", tr!("Credentials or permission")),
        6 => ("fair", tr!("Stopped by a limit")),
        7 => ("bad", tr!("The output could not be written")),
        129..=143 => ("fair", tr!("Interrupted")),
        _ => ("bad", tr!("The run could not continue")),
    }
}

fn render_overview(summary: &RunSummary) -> Markup {
    let totals = &summary.details.totals;
    let started = summary.started_at.to_zoned(TimeZone::system());
    let finished = started.saturating_add(summary.elapsed);
    let counts = [
        (tr!("rows read"), totals.rows_in),
        (tr!("numbers asked"), totals.numbers_asked),
        (tr!("calls"), totals.calls),
        (tr!("rows sharing an answer"), totals.rows_shared),
        (tr!("rows already known"), totals.rows_known),
    ];
    html! {
        dl.facts {
            @for (name, count) in counts {
                div { dt { (name) } dd.large { (group_thousands(count)) } }
            }
            div { dt { (tr!("time taken")) } dd.large { (format_elapsed(summary.elapsed)) } }
            div { dt { (tr!("started")) } dd { (format_timestamp(&started)) } }
            div { dt { (tr!("finished")) } dd { (format_timestamp(&finished)) } }
        }
    }
}

fn render_input(summary: &RunSummary) -> Markup {
    let details = &summary.details;
    let input = text::input_name(Path::new(&summary.input.name));
    html! {
        section aria-labelledby="files" {
            h2 #files { (tr!("Input and output")) }
            dl.pairs {
                div { dt { (tr!("input")) } dd { bdi { (sanitize(&input)) } } }
                @if !details.detected.is_empty() {
                    div {
                        dt { (tr!("what was detected")) }
                        dd { bdi { (sanitize(&details.detected)) } }
                    }
                }
                @if let Some(digest) = &summary.input.sha256 {
                    div { dt { "SHA-256" } dd { code { (digest) } } }
                }
                div { dt { (tr!("output")) } dd { bdi { (sanitize(&details.output)) } } }
            }
        }
    }
}

fn render_settings(settings: &Value) -> Markup {
    html! {
        section aria-labelledby="settings" {
            h2 #settings { (tr!("Settings")) }
            table.settings {
                thead.unseen { tr {
                    th scope="col" { (tr!("flag")) }
                    th scope="col" { (tr!("value")) }
                } }
                tbody { @for (key, value) in settings.as_object().into_iter().flatten() {
                    tr {
                        th scope="row" {
                            code { "--" (key.trim_end_matches("_seconds").replace('_', "-")) }
                        }
                        td { (format_setting(key, value)) }
                    }
                } }
            }
        }
    }
}

/// The value as typed on the command line.
fn format_setting(key: &str, value: &Value) -> String {
    match value {
        Value::Null if key == "rate" => "unlimited".to_owned(),
        Value::Null => "–".to_owned(),
        Value::String(text) => sanitize(text),
        Value::Number(number) if key.ends_with("_seconds") => number
            .as_f64()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .map_or_else(
                || number.to_string(),
                |time| humantime::format_duration(time).to_string(),
            ),
        // Without a fraction for whole numbers.
        Value::Number(number) => {
            number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string())
        }
        other => other.to_string(),
    }
}
