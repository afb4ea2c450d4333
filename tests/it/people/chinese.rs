//! The program under a Chinese locale: what it says on every stream is Chinese but for names, flags
//! and statuses, its help and its refusals among it; what programs read is as under any other.

use std::process::Command;

use clap::CommandFactory;
use dingmap::testing::app::Cli;
use dingmap::testing::domain::Status;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::support::rows::read_rows;
use crate::support::sample_files::sample_path;
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

/// Words with small letters that Chinese text may have, beside flags, paths, statuses and text
/// in backticks.
const ALLOWED_WORDS: [&str; 11] = [
    "Excel",
    "dingmap",
    "errmsg",
    "errcode",
    "key",
    "secret",
    "resolve",
    "plain",
    "prefixed",
    "sandbox",
    "sandbox-key",
];

fn with_chinese_locale(command: &mut Command) -> &mut Command {
    command.env_remove("LC_ALL").env("LANG", "zh_CN.UTF-8")
}

fn is_chinese(letter: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&letter)
}

/// The words of a text that are English: a flag, a path, a variable, a status, a unit of bytes and
/// the like are none.
fn english_words(text: &str, names: &[&str]) -> Vec<String> {
    let outside = text.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    let ends = |letter: char| !(letter.is_ascii_alphanumeric() || "-_./:".contains(letter));
    let words = outside.split(ends).map(|word| word.trim_end_matches([':', '.']));
    let is_english = |word: &&str| {
        let letters = word.chars().filter(char::is_ascii_lowercase).count();
        let known = ALLOWED_WORDS.contains(word)
            || names.contains(word)
            || Status::ALL.iter().any(|status| word.split(' ').all(|word| status.name() == word));
        letters > 1
            && word.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && !word.contains(['/', '.', ':'])
            && !known
    };
    words.filter(is_english).map(str::to_owned).collect()
}

/// Sees that a text is Chinese, but for these names.
#[track_caller]
fn assert_chinese(text: &str, names: &[&str]) {
    assert!(text.chars().any(is_chinese), "{text}");
    for line in text.lines() {
        let words = english_words(line, names);
        assert!(words.is_empty(), "{words:?} in {line:?} of\n{text}");
    }
}

#[test]
fn english_words_are_distinguished_from_names() {
    assert_eq!(
        english_words("已写入 staff.csv，加上 --max-age 1d；not_found 见 `dingmap plan`", &[]),
        [""; 0]
    );
    assert_eq!(english_words("第 3 行：the cell is empty", &[]), ["the", "cell", "is", "empty"]);
}

#[test]
fn a_file_that_is_no_table_is_named_with_spaces_around_latin_letters() {
    let workdir = Workdir::new();
    for (content, expected) in [
        ("<html><body>", "这是网页（HTML），dingmap 无法读取：如果"),
        ("{\"errcode\":40014}", "这是 JSON 文件，dingmap 无法读取：请"),
        ("%PDF-1.7\n1 0 obj\n", "这是 PDF 文件，dingmap 无法读取：请"),
        ("ID;PWXL;N;E\r\nP;PGeneral\r\n", "这是 SYLK 文件（.slk），dingmap 无法读取：请"),
    ] {
        let input = workdir.write_file("in.csv", content);
        let mut command = dingmap();
        let ended = run(with_chinese_locale(&mut command).args(["plan", "--no-state"]).arg(&input));
        assert_eq!(ended.status, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{expected}: {}", ended.stderr);
    }
}

#[test]
fn a_chinese_run_prints_chinese_and_writes_the_same_rows() {
    let workdir = Workdir::new();
    let output = workdir.path("out.csv");
    let mut command = dingmap();
    command.arg("resolve").arg(sample_path("staff.csv")).arg("-o").arg(&output).arg("--sandbox");
    let ended = run(with_chinese_locale(&mut command).env("DINGMAP_RETRY_MAX", "1s"));
    assert_eq!((ended.status, &*ended.stdout), (Some(0), ""), "{}", ended.stderr);
    // The progress line has statuses as words.
    assert_chinese(&ended.stderr, &["not", "bad", "number", "out", "of", "scope"]);
    for part in ["200 行", "有表头", "不重复号码", "次调用", "已写入", "企业中没有人使用该号码"]
    {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    let (actual, golden) = (read_rows(&output), read_rows(&sample_path("staff.resolved.csv")));
    assert_eq!(actual.len(), golden.len());
    let mut reworded = 0;
    for (mut actual, mut golden) in actual.into_iter().zip(golden) {
        let (chinese, english) =
            (actual.remove("errmsg").unwrap(), golden.remove("errmsg").unwrap());
        assert_eq!(actual, golden);
        // The API's text is kept; what follows in parentheses is ours.
        let apis = english.split(" (").next().unwrap_or_default();
        if golden["status"] == "invalid" || !chinese.starts_with(apis) {
            reworded += 1;
            assert_chinese(&chinese, &[]);
        }
    }
    assert_eq!(reworded, 7, "five that are invalid, and two whose answer named no user");
}

#[test]
fn a_chinese_plan_has_aligned_counts() {
    let ended = run(with_chinese_locale(dingmap().arg("plan").arg(sample_path("staff.csv"))));
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
    assert_chinese(&ended.stdout, &[]);
    let table: Vec<_> =
        ended.stdout.lines().skip(2).filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(table.len(), 8, "{}", ended.stdout);
    for line in table {
        let mut width = 0;
        let passes = |letter: char| {
            width += letter.width().unwrap_or_default();
            width > 32
        };
        let (before, behind) = line.split_at(line.find(passes).unwrap_or(line.len()));
        assert_eq!(before.trim_end().width(), 32, "{line}");
        assert!(behind.is_empty() || behind.starts_with("  "), "{line}");
    }
    let json = |command: &mut Command| {
        let mut actual: serde_json::Value =
            serde_json::from_str(&run(command.arg("--json")).stdout).unwrap();
        // The moment, and what is a text for people.
        for texts in ["time", "invalid"] {
            actual.as_object_mut().unwrap().remove(texts);
        }
        actual["input"]
            .as_object_mut()
            .unwrap()
            .retain(|key, _| key != "encoding_reason" && key != "columns");
        actual
    };
    assert_eq!(
        json(with_chinese_locale(dingmap().arg("plan").arg(sample_path("staff.csv")))),
        json(dingmap().arg("plan").arg(sample_path("staff.csv")))
    );
}

#[test]
fn diff_and_state_messages_are_chinese() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let (old, new) = (workdir.path("old.csv"), workdir.path("new.csv"));
    let first = workdir.write_file("a.csv", "mobile\n13900000000\n13900000001\n");
    let second = workdir.write_file("b.csv", "mobile\n13900000000\n13900000002\nx\n");
    for (input, output) in [(&first, &old), (&second, &new)] {
        let ended = run(with_chinese_locale(&mut api.resolve(input, output)));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert_chinese(&ended.stderr, &["mobile"]);
    }
    let mut command = dingmap();
    command.arg("diff").args([&old, &new]).arg("-o").arg(workdir.path("diff.csv"));
    let ended = run(with_chinese_locale(command.args(["--max-change", "5%"])));
    assert_eq!(ended.status, Some(11), "{}", ended.stderr);
    let changes = ["added", "removed", "changed", "rounded", "lost", "gained", "same", "unknown"];
    assert_chinese(
        &ended.stderr,
        &[&changes[..], &["mobile", "shared_userid", "shared_number"]].concat(),
    );

    let info = |command: &mut Command| {
        run(with_chinese_locale(command.args(["state", "info", "--state"]).arg(api.state_path()))
            .env_remove("DINGMAP_NO_STATE"))
    };
    let ended = info(&mut dingmap());
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
    assert_chinese(&ended.stdout, &["token", "app"]);
    let mut command = dingmap();
    let ended = run(with_chinese_locale(
        command.args(["state", "forget", "--all", "--state"]).arg(api.state_path()),
    ));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_chinese(&ended.stderr, &[]);
}

#[test]
fn errors_are_chinese_with_the_same_exit_status() {
    let workdir = Workdir::new();
    let input = workdir.write_file("in.csv", "mobile\n13900000000\n");
    let input = input.to_str().unwrap();
    for line in [
        &["resolve"][..],
        &["resolv"],
        &["state"],
        &["state", "forget"],
        &["state", "forget", "--all", "--status", "found"],
        &["state", "forget", "--status", "failed"],
        &["resolve", input, "--ratee", "5"],
        &["resolve", input, "--mainland", "x"],
        &["resolve", input, "--workers", "0"],
        &["resolve", input, "--workers", "many"],
        &["resolve", input, "--max-calls", "99999999999999999999999"],
        &["resolve", input, "--timeout", "5"],
        &["resolve", input, "--timeout", "5 parsecs"],
        &["resolve", input, "--timeout", "0s"],
        &["resolve", input, "--rate", "none"],
        &["resolve", input, "--region", "XX"],
        &["resolve", input, "--delimiter", "ab"],
        &["resolve", input, "--encoding", "klingon"],
        &["resolve", input, "--quiet=x"],
        &["resolve", input, "--rate", "1", "--rate", "2"],
        &["resolve", input, "--rate"],
        &["resolve", input, "--sandbox", "--endpoint", "https://oapi.dingtalk.io"],
        &["resolve", input, "--state", "x", "--no-state"],
        &["resolve", input, "--proxy", "http://u:p@localhost"],
        &["resolve", input],
        &["resolve", input, "--endpoint", "http://oapi.dingtalk.io"],
        &["resolve", input, "--sandbox", "--start-at", "later"],
        &["resolve", input, "--sandbox", "--failed", input],
        &["resolve", input, "--sandbox", "--retry-min", "1m"],
        &["resolve", input, "--sandbox", "-c", "phone"],
        &["plan", input, "--workers", "3"],
        &["plan", input, "more"],
        &["diff", "-", "-"],
        &["diff", input, input, "--max-change", "much"],
        &["merge", input, "none.csv"],
        &["merge", "-", "-"],
        &["plan", input, "--shard", "4/4"],
        &["plan", input, "--shard", "x"],
        &["help", "resolv"],
        &["man", "--directory", "/proc/none"],
        &["--lang", "xx", "plan", input],
    ] {
        let ended = run(with_chinese_locale(dingmap().args(line)));
        let plain = run(dingmap().args(line));
        assert_eq!(
            (ended.status, ended.stdout.is_empty()),
            (plain.status, plain.stdout.is_empty()),
            "{line:?}: {}",
            ended.stderr
        );
        // What was typed is repeated, and a system's own reason comes as the system says it.
        let typed: Vec<_> = line.iter().flat_map(|word| word.split([' ', '='])).collect();
        let names = [
            "mobile", "en", "zh", "sec", "ms", "us", "min", "hours", "days", "weeks", "months",
            "years",
        ];
        let commands = [
            "plan",
            "diff",
            "state",
            "info",
            "forget",
            "compact",
            "export",
            "completions",
            "man",
            "help",
            "ns",
        ];
        let system = [
            "Big5",
            "Shift_JIS",
            "Windows-1252",
            "unlimited",
            "No",
            "such",
            "file",
            "or",
            "directory",
            "os",
            "error",
        ];
        assert_chinese(&ended.stderr, &[&typed[..], &names, &commands, &system].concat());
    }
}

#[test]
fn the_language_is_recognized_from_every_source() {
    let refused = |ended: RunOutput| {
        assert_eq!(ended.status, Some(2));
        assert_chinese(&ended.stderr, &["plan", "ratee"]);
    };
    refused(run(dingmap().args(["plan", "x.csv", "--ratee", "--lang", "zh"])));
    refused(run(dingmap().args(["--lang=zh", "plan", "x.csv", "--ratee"])));
    refused(run(dingmap().env("DINGMAP_LANG", "zh").args(["plan", "x.csv", "--ratee"])));
    let help = run(dingmap().args(["plan", "--lang", "zh", "--help"]));
    assert_eq!(help.status, Some(0));
    assert!(help.stdout.contains("用法："), "{}", help.stdout);
    let ended = run(with_chinese_locale(dingmap().args(["plan", "--ratee", "--lang", "en"])));
    assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
}

/// Whether a line of help has words of ours: not one of flags, of names alone or of a command to
/// type.
fn has_english_words(line: &str) -> bool {
    let line = line.trim_start();
    !line.starts_with("dingmap ")
        && !english_words(&line.replace(['<', '>', '[', ']', '|'], " "), &["none"]).is_empty()
}

#[test]
fn the_help_of_every_command_is_chinese() {
    fn collect_command_paths(command: &clap::Command, path: &[String], all: &mut Vec<Vec<String>>) {
        all.push(path.to_vec());
        for below in command.get_subcommands() {
            collect_command_paths(below, &[path, &[below.get_name().to_owned()]].concat(), all);
        }
    }
    let mut all = Vec::new();
    collect_command_paths(&Cli::command(), &[], &mut all);
    assert!(all.len() > 10, "{all:?}");
    for path in all {
        for flag in ["-h", "--help"] {
            let ended = run(with_chinese_locale(dingmap().args(&path).arg(flag)));
            assert_eq!((ended.status, &*ended.stderr), (Some(0), ""), "{path:?} {flag}");
            assert!(ended.stdout.contains("用法：dingmap"), "{}", ended.stdout);
            for line in ended.stdout.lines() {
                assert!(
                    line.chars().any(is_chinese) || !has_english_words(line),
                    "{path:?} {flag}: {line}"
                );
                assert!(line.width() <= 100, "{path:?} {flag}: {line}");
                for word in
                    ["[default", "[env", "[possible values", "Usage", "Options", "Print help"]
                {
                    assert!(!line.contains(word), "{path:?} {flag}: {line}");
                }
            }
        }
    }
    let same = run(with_chinese_locale(dingmap().args(["help", "plan"]))).stdout;
    assert_eq!(same, run(with_chinese_locale(dingmap().args(["plan", "--help"]))).stdout);
    let actual = run(dingmap().args(["resolve", "--lang", "zh", "--help"])).stdout;
    for part in ["[默认：500ms]", "[环境变量：DINGMAP_RETRY_MIN]", "- plain: 11 位数字", "退出状态"]
    {
        assert!(actual.contains(part), "{part}: {actual}");
    }
}

#[test]
fn man_pages_and_completions_are_chinese() {
    let manual = run(with_chinese_locale(dingmap().arg("man")));
    assert_eq!(manual.status, Some(0));
    for part in ["为表格的每一行补上用户 ID 和状态", r"\-\-max\-retries", "默认：5"]
    {
        // Chinese lines say where they may break.
        assert!(manual.stdout.replace(r"\:", "").contains(part), "{part}");
    }
    // As the script for fish asks.
    let mut command = dingmap();
    command.env("DINGMAP_COMPLETE", "fish").args(["--", "dingmap", "resolve", "--max-r"]);
    let actual = run(with_chinese_locale(&mut command));
    assert!(
        actual.stdout.contains("--max-retries") && actual.stdout.contains("重试"),
        "{}",
        actual.stdout
    );
}
