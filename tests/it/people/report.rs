//! The report as an HTML page: its counts against the summary's, what it must not have, and that
//! whatever comes from the input or the API is text in it. Read by a parser of the standard; how a
//! browser shows it is looked at in `browser`.

mod browser;

use std::path::Path;
use std::process::{Command, Stdio};

use dingmap::testing::sandbox::{Script, ScriptedAnswer};
use scraper::{ElementRef, Html, Selector};
use serde_json::Value;

use crate::support::process::wait_until;
use crate::support::rows::staff_csv;
use crate::support::sandbox::{Sandbox, run, slow_script, unlimited_script};
use crate::support::workdir::Workdir;

/// What somebody may have put into a cell, a name or a message to see whether it becomes part of
/// the page.
const HOSTILE: &str =
    r#"</td></style><script>alert(1)</script><img src=x onerror="alert(2)">&lt;b&gt;'"#;

/// A page that the standard's parser has nothing against.
fn parse_page(path: &Path) -> Html {
    let text = std::fs::read_to_string(path).unwrap();
    let page = Html::parse_document(&text);
    assert!(page.errors.is_empty(), "{:?} in {text}", page.errors);
    page
}

fn select_all<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

/// The texts of the elements that are selected.
fn select_texts(page: &Html, selector: &str) -> Vec<String> {
    select_all(page, selector).into_iter().map(|element| element.text().collect()).collect()
}

/// Sees that nothing in a page runs, loads or leads away.
#[track_caller]
fn assert_inert(page: &Html) {
    for element in select_all(page, "*") {
        let (name, value) = (element.value().name(), element.value());
        let plain =
            !["script", "img", "link", "iframe", "object", "a", "base", "form"].contains(&name);
        let attributes = value
            .attrs()
            .all(|(name, _)| !name.starts_with("on") && name != "src" && name != "href");
        assert!(plain && attributes, "{value:?}");
    }
    let policy =
        select_all(page, "meta[http-equiv=Content-Security-Policy]")[0].attr("content").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'unsafe-inline'"), "{policy}");
}

/// What a page says that a flag was set to.
fn setting_value(page: &Html, flag: &str) -> String {
    let at =
        select_texts(page, ".settings th code").iter().position(|actual| actual == flag).unwrap();
    select_texts(page, ".settings td")[at].clone()
}

/// Rows that get every status, meet a limit and have every kind of failure.
fn eventful_run() -> (Script, String) {
    let mut script = unlimited_script();
    script.answers_by_call.extend([
        (10, ScriptedAnswer::code(-1)),
        (20, ScriptedAnswer::code(90018)),
        (30, ScriptedAnswer::Drop),
    ]);
    let rows = "13900000090\n13900000092\n13900000093\n13900000094\n1.38E+10\n\"\"\n\
        010-62345678\n13900000007\n";
    (script, staff_csv(40) + rows)
}

#[test]
fn a_report_has_the_summary_counts_and_the_failed_rows() {
    let (script, text) = eventful_run();
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let input = workdir.write_file("staff.csv", &text);
    let (summary, report) = (workdir.path("run.json"), workdir.path("run.html"));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    command
        .args(["-j", "1", "--max-retries", "1", "--summary"])
        .arg(&summary)
        .arg("--report")
        .arg(&report);
    let ended = run(&mut command);
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let account: Value = serde_json::from_str(&std::fs::read_to_string(&summary).unwrap()).unwrap();
    let page = parse_page(&report);
    assert_inert(&page);
    assert_eq!(select_all(&page, "html")[0].attr("lang"), Some("en"));
    let number = |text: &str| text.replace(' ', "").parse::<u64>().unwrap();

    let names = select_texts(&page, "section[aria-labelledby=outcome] tbody code");
    let counts = select_texts(&page, "section[aria-labelledby=outcome] tbody tr td:nth-child(2)");
    assert_eq!(names, ["found", "not_found", "bad_number", "invalid", "out_of_scope", "failed"]);
    for (name, count) in names.iter().zip(&counts) {
        assert_eq!(account["rows"][name], number(count), "{name}");
    }
    let calls = account["calls"]["lookups"].as_u64().unwrap();
    assert!(select_texts(&page, ".facts dd").contains(&calls.to_string()));
    let repeats: u64 =
        account["calls"]["repeated"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    let actual =
        select_texts(&page, "section[aria-labelledby=trouble] table:first-of-type td:nth-child(2)");
    assert_eq!(actual.iter().map(|count| number(count)).sum::<u64>(), repeats);
    // The drawing of the calls has a table that lists each of them.
    let drawn = select_texts(&page, "figure table tbody td:nth-child(2)");
    assert_eq!(drawn.iter().map(|count| number(count)).sum::<u64>(), calls);
    assert!(!select_all(&page, "figure svg rect.held").is_empty());
    let replies = select_texts(&page, "section[aria-labelledby=replies] tbody td:nth-child(2)");
    assert_eq!(
        replies.iter().map(|count| number(count)).sum::<u64>(),
        calls - 1,
        "one call had no reply"
    );
    // Every picture says what it shows, or is beside the number that it shows.
    for picture in select_all(&page, "svg:not([aria-hidden])") {
        let labels = picture.attr("aria-labelledby").unwrap().split(' ');
        assert!(
            labels.count() == 2 && picture.attr("role") == Some("img"),
            "{:?}",
            picture.value()
        );
        for label in picture.attr("aria-labelledby").unwrap().split(' ') {
            assert!(!select_texts(&page, &format!("#{label}"))[0].is_empty());
        }
    }

    let line = |cell: &str| (text.lines().position(|line| line == cell).unwrap() + 1).to_string();
    assert_eq!(
        select_texts(&page, ".group.failed tbody td"),
        [&*line("13900000094"), "139****0094", "-1", "系统繁忙"]
    );
    let invalid = select_texts(&page, ".group.invalid tbody td");
    assert_eq!((invalid.len(), &*invalid[0]), (6, &*line("1.38E+10")));
    assert_eq!(
        (&*invalid[3], &*invalid[5]),
        ("the cell is empty", "a landline number, not a mobile number")
    );
    assert_eq!(select_texts(&page, ".group.not_found tbody td")[1], "139****0090");
    let written = std::fs::read_to_string(&report).unwrap();
    for line in text.lines().filter(|line| line.len() == 11 && line.starts_with("139")) {
        assert!(!written.contains(line), "{line}");
    }
    let token = api.call_log().calls()[0].token.clone();
    for secret in ["sandbox-secret", "sandbox-key", &token] {
        assert!(!secret.is_empty() && !written.contains(secret), "{secret}");
    }
    for (flag, value) in [("--max-retries", "1"), ("--rate", "unlimited"), ("--retry-max", "50ms")]
    {
        assert_eq!(setting_value(&page, flag), value);
    }
}

#[test]
fn untrusted_text_is_escaped_in_the_report() {
    let mut script = unlimited_script();
    script.push_answers(
        "13900000000",
        [ScriptedAnswer::Code { code: 40104, msg: HOSTILE.to_owned() }],
    );
    script.push_answers(
        "13900000001",
        [ScriptedAnswer::Wrapped { code: "isp.<b>x".to_owned(), msg: HOSTILE.to_owned() }],
    );
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let name = HOSTILE.replace('/', "∕");
    let cell = HOSTILE.replace('"', "\"\"");
    let input =
        workdir.write_file(&name, format!("\"{cell}\"\n13900000000\n13900000001\n\"{cell}\"\n"));
    let report = workdir.path("run.html");
    let mut command = api.resolve(&input, &workdir.path(format!("{name}.out")));
    let ended = run(command.args(["-c", HOSTILE, "--max-retries", "0", "--report"]).arg(&report));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let page = parse_page(&report);
    assert_inert(&page);
    // It is there all the same, as text.
    assert!(
        select_texts(&page, "title")[0].contains(&name)
            && select_texts(&page, ".input")[0].contains(&name)
    );
    assert_eq!(select_texts(&page, ".group.bad_number tbody td").last().unwrap(), HOSTILE);
    assert!(select_texts(&page, ".group.failed tbody td").contains(&"isp._b_x".to_owned()));
    assert!(
        select_texts(&page, ".pairs dd").iter().any(|text| text.contains(HOSTILE)),
        "the column's name"
    );

    // A run that the API ends says why in its words.
    api.update_script(|script| {
        script.always = Some(ScriptedAnswer::Code { code: 60011, msg: HOSTILE.to_owned() });
    });
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let ended = run(command.args(["-c", "1", "--restart", "--report"]).arg(&report));
    assert_eq!(ended.status, Some(5), "{}", ended.stderr);
    let page = self::parse_page(&report);
    assert_inert(&page);
    assert!(
        select_texts(&page, ".message")[0].contains(HOSTILE),
        "{:?}",
        select_texts(&page, ".message")
    );
}

#[test]
fn an_interrupted_run_writes_its_report() {
    let (api, workdir) = (Sandbox::new(slow_script(20)), Workdir::new());
    let (input, report) = (
        workdir.write_file("staff.csv", staff_csv(2000)),
        workdir.write_file("run.html", "of yesterday"),
    );
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let mut child = command
        .args(["-j", "1", "--partial", "--report"])
        .arg(&report)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("five calls", || (api.call_log().calls().len() >= 5).then_some(()));
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signal.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let page = parse_page(&report);
    assert_eq!(select_texts(&page, ".verdict strong"), ["Interrupted"]);
    let pending = select_texts(&page, ".group.pending .count");
    let calls = api.call_log().calls().len();
    assert_eq!(pending, [format!("1 {:03} rows", 1000 - calls)], "{calls} calls");
    // So many are too many to be kept; the first hundred are.
    assert_eq!(select_all(&page, ".group.pending tbody tr").len(), 100);
    assert!(select_texts(&page, ".group.pending summary")[0].starts_with("the first 100 of 1 "));
}

#[test]
fn rows_or_the_report_can_go_to_standard_output() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, report) =
        (workdir.write_file("staff.csv", staff_csv(3) + "n/a\n"), workdir.path("run.html"));
    let ended = run(api.resolve(&input, Path::new("-")).arg("--report").arg(&report));
    assert_eq!((ended.status, ended.stdout.lines().count()), (Some(0), 5), "{}", ended.stderr);
    // With a row that somebody has to correct it is no unmixed good news, and less so where nobody
    // was found.
    let actual = ["Every row has a definitive answer"];
    assert_eq!(select_texts(&parse_page(&report), ".ending.fair .verdict strong"), actual);
    let nobody = workdir.write_file("nobody.csv", "mobile\n1380013\nn/a\n");
    for (input, tone, actual) in [
        (&workdir.write_file("good.csv", staff_csv(3)), "good", actual[0]),
        (&nobody, "fair", "Nobody was found"),
    ] {
        let ended =
            run(api.resolve(input, Path::new("-")).args(["-c", "1", "--report"]).arg(&report));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert_eq!(
            select_texts(&parse_page(&report), &format!(".ending.{tone} .verdict strong")),
            [actual]
        );
    }
    let ended = run(api.resolve(&input, &workdir.path("out.csv")).args(["--report", "-"]));
    assert!(
        ended.status == Some(0) && ended.stdout.starts_with("<!DOCTYPE html>"),
        "{}",
        ended.stderr
    );
    let ended = run(api.resolve(&input, Path::new("-")).args(["--report", "-"]));
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    let ended =
        run(api.resolve(&input, Path::new("-")).arg("--report").arg(workdir.path("none/run.html")));
    assert_eq!((ended.status, &*ended.stdout), (Some(7), ""), "{}", ended.stderr);
}

#[test]
fn the_report_lists_rows_answered_from_the_state() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", staff_csv(3) + "13900000090\n13900000092\nn/a\n");
    let report = workdir.path("run.html");
    for ages in [&[][..], &["--max-age", "1d", "--max-age-not-found", "1d"]] {
        let ended = run(api
            .resolve(&input, &workdir.path("out.csv"))
            .arg("--report")
            .arg(&report)
            .args(ages));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let page = parse_page(&report);
        let numbers = ["not_found", "bad_number"]
            .map(|status| select_texts(&page, &format!(".group.{status} tbody td"))[1].clone());
        assert_eq!(numbers, ["139****0090", "139****0092"]);
        assert_eq!(select_texts(&page, ".group.invalid tbody td")[0], "7");
    }
    assert_eq!(api.call_log().calls().len(), 5, "the second run asked nothing");
    assert!(select_all(&parse_page(&report), "section[aria-labelledby=replies]").is_empty());
}

#[test]
fn the_report_lists_rows_that_keep_an_earlier_answer() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", staff_csv(2) + "13900000092\nn/a\n13900000094\n");
    let (output, report) = (workdir.path("out.csv"), workdir.path("run.html"));
    let ended = run(api.resolve(&input, &output).args(["--max-retries", "0"]));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let mut command = api.resolve(&output, &workdir.path("again.csv"));
    let ended =
        run(command.args(["--retry-failed", "--max-retries", "0", "--report"]).arg(&report));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let page = parse_page(&report);
    assert_eq!(
        select_texts(&page, ".group.bad_number tbody td"),
        ["4", "139****0092", "40104", "无效手机号"]
    );
    assert_eq!(select_texts(&page, ".group.failed tbody td")[..2], ["6", "139****0094"]);
    let invalid = select_texts(&page, ".group.invalid tbody td");
    assert!(invalid[0] == "5" && invalid[1].starts_with("no number"), "{invalid:?}");
}

#[test]
fn the_report_prints_settings_as_typed() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", "mobile,工号\n13900000000,7\n");
    let report = workdir.path("run.html");
    let typed = [
        ("--rate", "20"),
        ("--expect", "工号"),
        ("--failed", "-"),
        ("--output-encoding", "GB18030"),
        ("--fail-on", "not-found"),
    ];
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let ended =
        run(command.args(typed.map(<[&str; 2]>::from).as_flattened()).arg("--report").arg(&report));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    for (flag, value) in typed {
        assert_eq!(setting_value(&parse_page(&report), flag), value, "{flag}");
    }
}

#[test]
fn the_report_is_in_the_language_of_the_run() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, report) =
        (workdir.write_file("staff.csv", staff_csv(3) + "n/a\n"), workdir.path("run.html"));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    let ended = run(command.args(["--lang", "zh", "--report"]).arg(&report));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let page = parse_page(&report);
    assert_eq!(select_all(&page, "html")[0].attr("lang"), Some("zh-CN"));
    assert_eq!(select_texts(&page, "h1"), ["运行报告"]);
    assert!(select_texts(&page, "h2").iter().all(|title| !title.is_ascii()));
}

#[test]
fn standard_input_is_named_in_reports_and_a_dash_in_data() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", staff_csv(3));
    let [report, summary, metrics] =
        ["run.html", "run.json", "run.prom"].map(|name| workdir.path(name));
    for (lang, called) in [("en", "standard input"), ("zh", "标准输入")] {
        let mut command = api.resolve(Path::new("-"), &workdir.path("out.csv"));
        command.args(["--lang", lang, "--report"]).arg(&report).arg("--summary").arg(&summary);
        command.arg("--metrics").arg(&metrics).stdin(std::fs::File::open(&input).unwrap());
        let ended = run(&mut command);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert_eq!(select_texts(&parse_page(&report), "p.input"), [called]);
        let actual: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&summary).unwrap()).unwrap();
        assert_eq!(actual["input"]["name"], "-");
        let actual = std::fs::read_to_string(&metrics).unwrap();
        assert!(actual.contains("dingmap_exit_status{input=\"-\"} 0"), "{actual}");
    }
}
