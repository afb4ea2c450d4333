//! A report as people see it, in headless Chromium: nothing runs or loads, nothing exceeds
//! the page on a telephone or a wide screen, every text can be read in light and dark.

use std::path::{Path, PathBuf};

use dingmap::testing::sandbox::ScriptedAnswer;
use serde_json::{Value, json};

use super::{HOSTILE, eventful_run};
use crate::support::chromium::Browser;
use crate::support::sandbox::{Sandbox, run};
use crate::support::workdir::Workdir;

/// The least contrast of text, as the guidelines for accessible content have it (WCAG 2, 1.4.3).
const MIN_CONTRAST: f64 = 4.5;

/// What is wrong with a page where it is open, and how many texts it has. Everything that can be
/// unfolded is.
const AUDIT_SCRIPT: &str = r"(() => {
    const found = [], wide = document.documentElement.clientWidth;
    document.querySelectorAll('details').forEach(one => one.open = true);
    const called = one =>
        one.tagName + '.' + one.getAttribute('class') + ' ' + one.textContent.slice(0, 40);
    if (document.documentElement.scrollWidth > wide) found.push('scrolls sideways');
    for (const one of document.body.querySelectorAll('*')) {
        const place = one.getBoundingClientRect();
        if (!one.closest('.unseen') && place.width > 0
            && (place.right > wide + 0.5 || place.left < -0.5))
            found.push('exceeds the page: ' + called(one));
    }
    for (const one of document.querySelectorAll('.rows td:last-child'))
        if (one.getBoundingClientRect().width < 6 * parseFloat(getComputedStyle(one).fontSize))
            found.push('squeezed: ' + called(one));
    const labels = [...document.querySelectorAll('.plot span')]
        .map(one => one.getBoundingClientRect());
    labels.forEach((one, at) => labels.slice(0, at).forEach(other => {
        if (one.left < other.right && other.left < one.right
            && one.top < other.bottom && other.top < one.bottom)
            found.push('labels lie on each other');
    }));
    const parts = colour => colour.match(/[\d.]+/g).map(Number);
    const light = colour => {
        const [r, g, b] = parts(colour).slice(0, 3).map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = one => {
        for (; one; one = one.parentElement) {
            const colour = getComputedStyle(one).backgroundColor, alpha = parts(colour)[3];
            if (alpha === undefined || alpha === 1) return colour;
            if (alpha > 0) found.push('half transparent: ' + called(one));
        }
        found.push('no background at all');
        return 'rgb(255, 255, 255)';
    };
    let texts = 0, least = 21;
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const one = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || one.closest('svg')) continue;
        const [dark, bright] = [light(getComputedStyle(one).color), light(behind(one))]
            .sort((a, b) => a - b);
        const contrast = (bright + 0.05) / (dark + 0.05);
        texts += 1;
        least = Math.min(least, contrast);
        if (contrast < LEAST) found.push(contrast.toFixed(2) + ': ' + called(one));
    }
    const paper = light(behind(document.body));
    return {found, texts, least, paper, scripts: document.scripts.length};
})()";

/// Pages that have everything a page can have, words without end among it.
fn write_reports(workdir: &Workdir) -> Vec<PathBuf> {
    let (mut script, text) = eventful_run();
    let long = format!("{HOSTILE} {}", "没有尽头的一句话".repeat(12) + &"endless".repeat(40));
    script.push_answers("13900000007", [ScriptedAnswer::Code { code: 40104, msg: long }]);
    script.push_answers(
        "13900000008",
        vec![ScriptedAnswer::wrapped(format!("isp.{}", "w".repeat(60))); 2],
    );
    let api = Sandbox::new(script);
    let input = workdir.write_file(&format!("{}.csv", "a-name-without-a-space".repeat(10)), text);
    ["en", "zh"]
        .into_iter()
        .map(|language| {
            let report = workdir.path(format!("{language}.html"));
            let mut command = api.resolve(&input, &workdir.path("out.csv"));
            command.args([
                "--rate",
                "15",
                "-j",
                "1",
                "--max-retries",
                "1",
                "--no-state",
                "--lang",
                language,
            ]);
            let ended = run(command.arg("--report").arg(&report));
            assert_eq!(ended.status, Some(4), "{}", ended.stderr);
            report
        })
        .collect()
}

/// What the browser complained of, or fetched beside the page.
fn unwanted_events(browser: &Browser, page: &Path) -> Vec<Value> {
    let own = url::Url::from_file_path(page).unwrap();
    let unwanted = |event: &&Value| match event["method"].as_str().unwrap_or_default() {
        "Runtime.consoleAPICalled"
        | "Runtime.exceptionThrown"
        | "Log.entryAdded"
        | "Page.javascriptDialogOpening" => true,
        "Network.requestWillBeSent" => event["params"]["request"]["url"] != own.as_str(),
        _ => false,
    };
    browser.events.iter().filter(unwanted).cloned().collect()
}

#[test]
#[ignore = "needs chromium: cargo test -- --include-ignored"]
fn a_report_is_readable_at_every_width_in_light_and_dark() {
    let mut browser = Browser::start();
    let workdir = Workdir::new();
    let look = AUDIT_SCRIPT.replace("LEAST", &MIN_CONTRAST.to_string());
    for page in write_reports(&workdir) {
        for (width, scheme) in [(360, "light"), (360, "dark"), (1280, "light"), (1280, "dark")] {
            browser.open(&page, width, scheme);
            let seen = browser.evaluate(&look);
            assert_eq!(
                seen["found"],
                json!([]),
                "{} at {width}, {scheme}: {seen:#}",
                page.display()
            );
            assert!(seen["texts"].as_u64().unwrap() > 150, "{seen}");
            let paper = seen["paper"].as_f64().unwrap();
            assert!(if scheme == "dark" { paper < 0.1 } else { paper > 0.9 }, "{scheme}: {paper}");
            assert_eq!(
                (unwanted_events(&browser, &page), &seen["scripts"]),
                (Vec::new(), &json!(0))
            );
        }
        // On paper it is light, whatever the screen was, and takes a few sheets.
        browser.emulate("print", "dark");
        let seen = browser.evaluate(&look);
        assert!(seen["paper"].as_f64().unwrap() > 0.9, "{seen:#}");
        let pdf = browser
            .call("Page.printToPDF", &json!({"preferCSSPageSize": true, "printBackground": true}));
        let sheets = browser
            .evaluate(&format!("atob({}).match(/\\/Type\\s*\\/Page\\b/g).length", pdf["data"]))
            .as_u64();
        assert!(sheets.is_some_and(|sheets| (2..=8).contains(&sheets)), "{sheets:?} sheets");
    }
}

#[test]
#[ignore = "needs chromium: cargo test -- --include-ignored"]
fn the_browser_audit_detects_known_faults() {
    let mut browser = Browser::start();
    let workdir = Workdir::new();
    let grey = "<body style='background:#fff'><p style='color:#777'>too pale</p><div \
        style='width:400px'>too wide</div>";
    let page = workdir.write_file(
        "bad.html",
        format!("<!DOCTYPE html>{grey}<img src='x.png'><script>console.log(1)</script>"),
    );
    browser.open(&page, 360, "light");
    let seen = browser.evaluate(&AUDIT_SCRIPT.replace("LEAST", &MIN_CONTRAST.to_string()));
    let found: Vec<_> =
        seen["found"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0] == "scrolls sideways"
            && found[1].contains("too wide")
            && found[2].contains("4.48: P"),
        "{found:?}"
    );
    assert!(unwanted_events(&browser, &page).len() >= 2, "{:?}", browser.events);
}
