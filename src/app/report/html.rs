//! A run's report for people: one page that needs nothing but itself (`--report`). It has no script, and its policy lets none run;
//! whatever comes from the input or the API is escaped by the template, and masked. Owns the page's frame, the words on how the
//! run ended, and its settings. Leaves counts to `panels`, drawings to `chart` and colours to `page.css`.

use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;
use tr::tr;

use crate::app::commands::resolve::start_at::format_timestamp;
use crate::app::commands::state::messages::group_thousands;
use crate::app::exit::sanitize;
use crate::app::i18n::language::Language;
use crate::app::report::html_chart;
use crate::app::report::html_sections;
use crate::app::report::run_summary::RunSummary;
use crate::app::report::story::ReportDetails;
use crate::app::report::text::{self, format_elapsed};
use crate::domain::outcome::Status;
use crate::domain::totals::Totals;

/// What the page may load and do: nothing but its own styles.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const STYLESHEET: &str = include_str!("page.css");

/// The page of a run that has ended.
#[must_use]
pub(crate) fn render_page(account: &RunSummary) -> String {
    let story = &account.details;
    let name = sanitize(&text::input_name(Path::new(&account.input.name)));
    let page = html! {
        (DOCTYPE)
        html lang=(language_tag()) {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(CONTENT_SECURITY_POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="generator" content={ "dingmap " (account.version) };
                title { (name) " · dingmap" }
                style { (PreEscaped(STYLESHEET)) }
            }
            body {
                header {
                    p.maker { "dingmap " (account.version) }
                    h1 { (tr!("Report of a run")) }
                    p.input { bdi { (name) } }
                    (render_end(account))
                    (render_overview(account))
                }
                main {
                    (html_sections::render_outcomes(&story.totals))
                    @if let Some(misses) = html_sections::render_unresolved(&story.unresolved) { (misses) }
                    @if let Some(drawn) = html_chart::render_calls(&story.timeline) {
                        section aria-labelledby="course" {
                            h2 #course { (tr!("Calls over time")) }
                            (drawn)
                        }
                    }
                    @if let Some(replies) = html_sections::render_latency(&story.totals) { (replies) }
                    @if let Some(trouble) = html_sections::render_retries_and_pauses(&story.totals) { (trouble) }
                    (render_input(account))
                    (render_settings(account))
                }
                footer { p { (tr!("Numbers are masked here; the output has them in full. This page loads nothing and needs no network.")) } }
            }
        }
    };
    page.into_string()
}

/// The language that the page is in, as pages name it.
fn language_tag() -> &'static str {
    match Language::current() {
        Language::English => "en",
        Language::Chinese => "zh-CN",
    }
}

/// How the run ended, and what people were warned of.
fn render_end(account: &RunSummary) -> Markup {
    let ReportDetails { timeline: course, warnings: remarks, .. } = &account.details;
    let (tone, title) = exit_headline(account.exit_status, &account.details.totals);
    let (times, last) = &course.token_failures;
    html! {
        div class={ "ending " (tone) } {
            p.verdict { strong { (title) } " " span.status { (tr!("exit status {status}", status = account.exit_status)) } }
            @if let Some(message) = &account.message { p.message { (message) } }
            p {
                @if account.written { (tr!("The output is complete.")) }
                @else { (tr!("The output was not written as a whole.")) }
            }
            @if *times > 0 || !remarks.is_empty() {
                ul {
                    @for remark in remarks { li { (sanitize(remark)) } }
                    @if *times > 0 { li { (tr!(
                        "A token could not be fetched once: {reason}" | "A token could not be fetched {n} times; the last time: {reason}" % *times,
                        reason = last
                    )) } }
                }
            }
            @if !account.advice.is_empty() {
                p.todo { (tr!("What would help")) }
                ul { @for advice in &account.advice { li { (sanitize(&advice.text)) } } }
            }
        }
    }
}

/// How an exit status is told: how grave it is, and in a few words what it means. A run that has answers for all rows is good news
/// only where somebody was found and no row waits for a person.
fn exit_headline(status: u8, report: &Totals) -> (&'static str, String) {
    let waiting = [Status::Invalid, Status::BadNumber, Status::OutOfScope];
    match status {
        0 if report.rows_out > 0 && report.rows(Status::Found) == 0 => {
            ("fair", tr!("Nobody was found"))
        }
        0 if waiting.into_iter().any(|status| report.rows(status) > 0) => {
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
        _ => ("bad", tr!("The run could not go on")),
    }
}

/// The run at a glance.
fn render_overview(account: &RunSummary) -> Markup {
    let report = &account.details.totals;
    let took = Duration::try_from_secs_f64(account.seconds).unwrap_or_default();
    let ended =
        SignedDuration::try_from(took).map_or(account.started_at, |took| account.started_at + took);
    let local = |moment: Timestamp| format_timestamp(&moment.to_zoned(TimeZone::system()));
    let counts = [
        (tr!("rows read"), report.rows_in),
        (tr!("numbers asked"), report.numbers_asked),
        (tr!("calls"), report.calls),
        (tr!("rows sharing an answer"), report.rows_shared),
        (tr!("rows known from before"), report.rows_known),
    ];
    html! {
        dl.facts {
            @for (name, count) in counts { div { dt { (name) } dd.large { (group_thousands(count)) } } }
            div { dt { (tr!("time taken")) } dd.large { (format_elapsed(took)) } }
            div { dt { (tr!("began")) } dd { (local(account.started_at)) } }
            div { dt { (tr!("ended")) } dd { (local(ended)) } }
        }
    }
}

/// What was read and written.
fn render_input(account: &RunSummary) -> Markup {
    let story = &account.details;
    html! {
        section aria-labelledby="files" {
            h2 #files { (tr!("Input and output")) }
            dl.pairs {
                div { dt { (tr!("input")) } dd { bdi { (sanitize(&text::input_name(Path::new(&account.input.name)))) } } }
                @if !story.detected.is_empty() { div { dt { (tr!("what was detected")) } dd { bdi { (sanitize(&story.detected)) } } } }
                @if let Some(digest) = &account.input.sha256 { div { dt { "SHA-256" } dd { code { (digest) } } } }
                div { dt { (tr!("output")) } dd { bdi { (sanitize(&story.output)) } } }
            }
        }
    }
}

/// What the run was set to, flag by flag; no secret is among the settings.
fn render_settings(account: &RunSummary) -> Markup {
    let told = serde_json::to_value(&account.settings).unwrap_or_default();
    html! {
        section aria-labelledby="settings" {
            h2 #settings { (tr!("Settings")) }
            table.settings {
                thead.unseen { tr { th scope="col" { (tr!("flag")) } th scope="col" { (tr!("value")) } } }
                tbody { @for (key, value) in told.as_object().into_iter().flatten() {
                    tr {
                        th scope="row" { code { "--" (key.trim_end_matches("_seconds").replace('_', "-")) } }
                        td { (format_setting(key, value)) }
                    }
                } }
            }
        }
    }
}

/// A setting's value as one would type it.
fn format_setting(key: &str, value: &Value) -> String {
    match value {
        Value::Null if key == "rate" => "unlimited".to_owned(),
        Value::Null => "–".to_owned(),
        Value::String(text) => sanitize(text),
        Value::Number(number) if key.ends_with("_seconds") => number
            .as_f64()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .map(|time| humantime::format_duration(time).to_string())
            .unwrap_or_default(),
        // Whole numbers have no fraction, though one could be typed.
        Value::Number(number) => {
            number.as_f64().map(|number| number.to_string()).unwrap_or_default()
        }
        other => other.to_string(),
    }
}
