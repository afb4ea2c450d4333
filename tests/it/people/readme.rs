//! README and guide: their commands print what they show, and what they name exists.

use std::fs;
use std::path::{Path, PathBuf};

use dingmap::testing::domain::Status;
use regex::Regex;

use crate::support::sandbox::{dingmap, run};
use crate::support::workdir::Workdir;

const README: &str = include_str!("../../../README.md");

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README and the pages of the guide: a name, and the text.
fn pages() -> Vec<(String, String)> {
    let mut files = vec![repository().join("README.md")];
    for folder in ["src/guide", "src/guide/zh"] {
        let entries = fs::read_dir(repository().join(folder)).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let mut pages: Vec<_> = files
        .into_iter()
        .filter(is_page)
        .map(|path| {
            let name = path.strip_prefix(repository()).unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    pages.sort();
    pages
}

/// Replaces what differs from run to run in the output of `console` blocks: durations, times of
/// day, and counts that include retries, since a stalled machine can exceed the sandbox's limit.
fn with_wildcards(page: &str) -> String {
    let varying = Regex::new(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]+|\d\d:\d\d(:\d\d)?|\d+(\.\d+)?( ?秒|ms\b|s\b)",
    )
    .unwrap();
    let counts = Regex::new(concat!(
        r"\d+ (calls \(|calls,|calls$|repeated|retried|retries|次|distinct numbers asked|",
        r"of at most|rows? already|个号码的结果|个不重复号码|行使用已有结果)",
    ))
    .unwrap();
    let mut is_transcript = false;
    let mut follows_output = false;
    let mut text = String::new();
    for line in page.lines() {
        // trycmd takes the line end before a command or the end of a block for its own.
        if follows_output && line.starts_with(['$', '`']) {
            text.push('\n');
        }
        follows_output = is_transcript && line != "..." && !line.starts_with(['$', '?', '`']);
        if line.starts_with("```") {
            is_transcript = line == "```console";
        }
        if is_transcript && !line.starts_with(['$', '?', '`']) {
            let line = varying.replace_all(line, "[..]");
            text += &counts.replace_all(&line, "[..] $1");
        } else {
            text += line;
        }
        text.push('\n');
    }
    text
}

#[test]
fn every_transcript_shows_what_the_program_prints() {
    let workdir = Workdir::new();
    let mut transcripts = 0;
    for (name, page) in pages() {
        if !page.contains("\n```console\n") {
            continue;
        }
        transcripts += 1;
        // trycmd runs the commands of PAGE.md in PAGE.in.
        let language = if name.contains("/zh/") { "zh" } else { "en" };
        let name = format!("{language}-{}", name.trim_end_matches(".md").replace('/', "-"));
        let samples = workdir.path(format!("{name}.in/samples"));
        fs::create_dir_all(&samples).unwrap();
        for entry in fs::read_dir(repository().join("samples")).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), samples.join(entry.file_name())).unwrap();
            }
        }
        workdir.write_file(&format!("{name}.md"), with_wildcards(&page));
    }
    assert!(transcripts > 10, "{transcripts} pages");
    let run = |pages: &str, locale: &str| {
        trycmd::TestCases::new()
            .register_bin("dingmap", Path::new(env!("CARGO_BIN_EXE_dingmap")))
            .env("HOME", workdir.path("").to_string_lossy())
            .env("XDG_DATA_HOME", workdir.path("data").to_string_lossy())
            .env("LC_ALL", locale)
            .case(workdir.path(pages))
            .run();
    };
    run("en-*.md", "C.UTF-8");
    run("zh-*.md", "zh_CN.UTF-8");
}

/// The commands in `sh` blocks, one a line.
fn shell_commands(page: &str) -> Vec<&str> {
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.flat_map(str::lines).collect()
}

#[test]
fn the_first_readme_command_writes_the_golden_output() {
    let commands = shell_commands(README);
    let first = commands.iter().find_map(|command| command.strip_prefix("cargo run -- ")).unwrap();
    assert!(commands.contains(&"cargo test"), "the second command");
    let workdir = Workdir::new();
    fs::create_dir(workdir.path("samples")).unwrap();
    workdir.write_file("samples/staff.csv", include_str!("../../../samples/staff.csv"));
    let ended = run(dingmap().args(first.split(' ')).current_dir(workdir.path("")));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let golden = include_str!("../../../samples/staff.resolved.csv");
    assert_eq!(fs::read_to_string(workdir.path("staff.resolved.csv")).unwrap(), golden);
}

#[test]
fn csv_excerpts_of_the_readme_are_rows_of_the_samples() {
    let outputs = ["staff.resolved.csv", "staff-faults.resolved.csv"]
        .map(|name| fs::read_to_string(repository().join("samples").join(name)).unwrap());
    let excerpt = README.split("```csv\n").nth(1).unwrap().split("```").next().unwrap();
    for line in excerpt.lines() {
        assert!(outputs.iter().any(|output| output.lines().any(|row| row == line)), "{line}");
    }
}

#[test]
fn the_recording_is_small_self_contained_and_current() {
    let picture = fs::read_to_string(repository().join("samples/recording.svg")).unwrap();
    assert!(picture.len() < 200_000, "{} bytes", picture.len());
    for foreign in
        ["<script", "@import", "@font-face", "url(", "href=\"http", "<image", "translateY(END)"]
    {
        assert!(!picture.contains(foreign), "{foreign}");
    }
    // The transcript, which is current by another test, without lines that have times.
    let shown = README.split("```console\n").nth(1).unwrap().split("```").next().unwrap();
    let lasting = ["$ ", "  ", "resolving ", "written to "];
    for line in shown.lines().filter(|line| lasting.iter().any(|start| line.starts_with(start))) {
        assert!(picture.contains(&format!(">{line}")), "run samples/recording/record.sh: {line}");
    }
}

/// The words in backticks in the first cells of tables.
fn first_cells(page: &str) -> Vec<String> {
    let rows = page.lines().filter(|line| line.starts_with('|'));
    rows.filter_map(|row| row.split('|').nth(1)).map(|cell| cell.trim().replace('`', "")).collect()
}

#[test]
fn the_tables_of_statuses_are_complete() {
    for (name, page) in pages() {
        if ["README.md", "src/guide/columns.md", "src/guide/zh/columns.md"].contains(&&*name) {
            for status in Status::ALL {
                assert!(first_cells(&page).iter().any(|cell| cell == status.name()), "{status}");
            }
        }
        if name == "README.md" || name.ends_with("exit-status.md") {
            let statuses: Vec<String> = first_cells(&page)
                .iter()
                .flat_map(|cell| cell.split([',', '、']))
                .map(|cell| cell.trim().to_owned())
                .collect();
            for status in ["0", "1", "2", "3", "4", "5", "6", "7", "10", "11", "130", "143"] {
                assert!(statuses.iter().any(|cell| cell == status), "{name}: {status}");
            }
        }
    }
}

#[test]
fn every_named_file_and_topic_exists() {
    let folders = ["src/", "tests/", "samples/", "benches/"];
    let code = Regex::new("`([^`\n]+)`").unwrap();
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    // As a forge makes the anchor of a heading: letters, digits and hyphens.
    let anchor = |title: &str| {
        let title = title.to_lowercase().replace(' ', "-");
        title.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect::<String>()
    };
    for (name, page) in pages() {
        for found in code.captures_iter(&page) {
            let word = found[1].split(' ').next().unwrap();
            if folders.iter().any(|folder| word.starts_with(folder)) && !word.contains(['…', '*'])
            {
                let is_made = name.contains("guide") && word.contains("CODE");
                assert!(is_made || repository().join(word).exists(), "{name}: {word}");
            }
            if let Some(topic) = found[1].strip_prefix("dingmap help ")
                && topic.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            {
                let shown = run(dingmap().args(["help", topic]));
                assert_eq!(shown.status, Some(0), "{name}: dingmap help {topic}");
            }
        }
        for found in link.captures_iter(&page) {
            let target = &found[1];
            if let Some(wanted) = target.strip_prefix('#') {
                let titles = page.lines().filter(|line| line.starts_with('#'));
                let mut anchors = titles.map(|title| anchor(title.trim_start_matches('#').trim()));
                assert!(anchors.any(|anchor| anchor == wanted), "{name}: {target}");
            } else if !target.starts_with("http") {
                let folder = repository().join(&name).parent().unwrap().to_owned();
                assert!(folder.join(target).exists(), "{name}: {target}");
            }
        }
    }
}
