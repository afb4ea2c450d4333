//! Shards: several runs that take a part of a table each, and the one file that their outputs
//! become, on the real executable.

mod random_tables;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use encoding_rs::GB18030;

use crate::support::process::wait_until;
use crate::support::sample_files::sample_path;
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

/// People, some with the same number, some without one, some twice, with blank lines between and a
/// last row without an end.
fn shard_table() -> String {
    let mut text = "工号,姓名,手机号\n".to_owned();
    for n in 0..400_u32 {
        match n % 40 {
            7 => writeln!(text, "{n},空,"),
            8 => writeln!(text, "8,空,"),
            9 => writeln!(text, "\n\n{n},\"a\nb\",1.38E+10"),
            10 => writeln!(text, "10,重,13900000007"),
            11 => writeln!(text, "{n},短"),
            // The beginning of another row.
            12 => writeln!(text, "12,长,1390000000"),
            13 => writeln!(text, "12,长,13900000003"),
            _ => writeln!(text, "{n},\"人,{n}\",139{:06}{:02}", n % 5, n * 7919 % 80),
        }
        .unwrap();
    }
    text += "400,末,13900000001";
    text
}

/// Runs each shard of `input`, with flags of the caller's, and gives their outputs.
fn run_shards(api: &Sandbox, input: &Path, of: u32, flags: &[&str]) -> Vec<PathBuf> {
    (0..of)
        .map(|index| {
            let shard = format!("{index}/{of}");
            let mut command = api.resolve_without_output(&api.endpoint(), input);
            let ended = run(command.args(["--shard", &shard]).args(flags));
            assert_eq!(ended.status, Some(0), "{ended:?}");
            let name = format!(
                "{}.resolved.{index}-of-{of}.csv",
                input.file_stem().unwrap().to_str().unwrap()
            );
            input.with_file_name(name)
        })
        .collect()
}

fn run_merge(input: &Path, shards: &[PathBuf], flags: &[&str]) -> RunOutput {
    run(dingmap().arg("merge").arg(input).args(shards).args(flags))
}

/// Sees that shards, each of which asks for its own numbers alone, become what one run writes. The
/// flags are those that say how the input is read, those that a merge needs of how the output is
/// written, and the others of these.
#[track_caller]
fn assert_merges_to_one_run(text: &[u8], of: u32, [reading, encoding, writing]: [&[&str]; 3]) {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, whole, merged) = (
        workdir.write_file("staff.csv", text),
        workdir.path("whole.csv"),
        workdir.path("merged.csv"),
    );
    let flags = [reading, encoding, writing].concat();
    let ended = run(api.resolve(&input, &whole).args(&flags));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let asked = api.call_log().calls().len();
    let mut shards = run_shards(&api, &input, of, &flags);
    assert_eq!(api.call_log().calls().len(), 2 * asked, "each number is asked by one shard");
    shards.reverse();
    let to = ["-o", merged.to_str().unwrap()];
    let ended = run_merge(&input, &shards, &[reading, encoding, &to].concat());
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(std::fs::read(&merged).unwrap() == std::fs::read(&whole).unwrap(), "{of} {flags:?}");
}

#[test]
fn merged_shards_equal_the_output_of_one_run() {
    for of in [1, 2, 5] {
        assert_merges_to_one_run(shard_table().as_bytes(), of, [&["--flexible"], &[], &[]]);
    }
    assert_merges_to_one_run(
        shard_table().as_bytes(),
        3,
        [&[], &[], &["--show-sent", "--excel-safe", "--expect", "1"]],
    );
    let crlf = shard_table().replace('\n', "\r\n") + "\r\n\r\n";
    assert_merges_to_one_run(&[b"\xef\xbb\xbf", crlf.as_bytes()].concat(), 3, [&[], &[], &[]]);
    assert_merges_to_one_run(&GB18030.encode(&shard_table()).0, 3, [&[], &[], &[]]);
    let wide: Vec<u8> =
        format!("\u{feff}{}", shard_table()).encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_merges_to_one_run(&wide, 3, [&[], &[], &[]]);
    assert_merges_to_one_run(
        shard_table().as_bytes(),
        3,
        [&[], &["--output-encoding", "gb18030"], &[]],
    );
    // What the encoding lacks becomes a question mark in shards, too.
    assert_merges_to_one_run(
        shard_table().as_bytes(),
        2,
        [&[], &["--output-encoding", "windows-1252"], &["--output-bom", "false"]],
    );
    let headless = shard_table().split_once('\n').unwrap().1.to_owned();
    assert_merges_to_one_run(
        headless.as_bytes(),
        3,
        [&["--no-headers", "-c", "3", "-c", "1"], &[], &[]],
    );
    // More shards than rows: some have none.
    assert_merges_to_one_run(b"mobile\n13900000001\n13900000002\n", 8, [&[], &[], &[]]);
    assert_merges_to_one_run(
        b"\xef\xbb\xbf13900000001\n13900000002\n",
        8,
        [&["--no-headers"], &[], &[]],
    );
    assert_merges_to_one_run(b"sep=;\nmobile;\n\n\n", 2, [&[], &[], &["--allow-empty"]]);
}

#[test]
fn shards_of_workbooks_and_pipes_can_be_merged() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    for name in ["staff.xlsx", "staff.csv"] {
        let input = workdir.write_file(name, std::fs::read(sample_path(name)).unwrap());
        let whole = workdir.path("whole.csv");
        run(api.resolve(&input, &whole).arg("--no-state"));
        let shards: Vec<_> = ["0/2", "1/2"]
            .map(|shard| {
                let output = workdir.path(format!("{}.csv", &shard[..1]));
                run(api.resolve(&input, &output).args(["--no-state", "--shard", shard]));
                output
            })
            .to_vec();
        let ended = run_merge(&input, &shards, &["-o", "-", "-q"]);
        assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
        assert!(ended.stdout.as_bytes() == std::fs::read(&whole).unwrap(), "{name}");
        // A workbook is not read from a pipe.
        if name.ends_with("xlsx") {
            continue;
        }
        let mut command = api.resolve(Path::new("-"), Path::new("-"));
        command.args(["--no-state", "--shard", "1/2"]).stdin(std::fs::File::open(&input).unwrap());
        assert!(run(&mut command).stdout.as_bytes() == std::fs::read(&shards[1]).unwrap());
        let mut command = dingmap();
        command.args(["merge", "-"]).args(&shards).stdin(std::fs::File::open(&input).unwrap());
        let ended = run(&mut command);
        assert!(
            ended.status == Some(0) && ended.stdout.as_bytes() == std::fs::read(&whole).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn a_shard_has_every_row_of_its_numbers_and_no_other() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", shard_table());
    let mut seen = HashSet::new();
    for shard in run_shards(&api, &input, 4, &[]) {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(&shard).unwrap();
        let numbers: HashSet<_> = reader.records().map(|row| row.unwrap()[2].to_owned()).collect();
        assert!(numbers.len() > 10, "{shard:?}");
        for number in numbers {
            assert!(seen.insert(number.clone()), "{number} is in {shard:?} and in another one");
        }
    }
}

#[test]
fn summary_and_plan_of_a_shard_count_its_rows() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    // What is on file draws no lot, though it may be a number.
    let on_file: Vec<_> = (0..20).map(|n| format!("\n139000010{n:02},空,")).collect();
    let input = workdir.write_file("staff.csv", shard_table() + &on_file.concat());
    let mut rows = 0;
    for shard in ["0/2", "1/2"] {
        let [summary, failed] = ["summary.json", "failed.csv"].map(|name| workdir.path(name));
        let mut command = api.resolve(&input, &workdir.path("o.csv"));
        command
            .args(["--shard", shard, "--expect", "1", "--failed"])
            .arg(&failed)
            .arg("--summary")
            .arg(&summary);
        let ended = run(&mut command);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let actual: serde_json::Value =
            serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
        assert_eq!(actual["settings"]["shard"], shard, "{actual:#}");
        let own = actual["rows"]["in"].as_u64().unwrap();
        assert!(
            ended.stderr.starts_with(&format!("{}: shard {shard}, {own} rows, ", input.display())),
            "{ended:?}"
        );
        assert_eq!(std::fs::read_to_string(failed).unwrap(), "工号,姓名,手机号\n");
        let planned = run(dingmap().arg("plan").arg(&input).args(["--json", "--shard", shard]));
        let planned: serde_json::Value = serde_json::from_str(&planned.stdout).unwrap();
        assert_eq!(planned["rows"]["all"], own);
        assert_eq!(planned["calls"]["least"], actual["calls"]["lookups"], "{planned:#} {actual:#}");
        rows += own;
    }
    assert_eq!(rows, 421);
}

#[test]
fn the_shard_index_comes_from_the_job_environment() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", shard_table());
    let named = std::fs::read(&run_shards(&api, &input, 3, &[])[2]).unwrap();
    let output = workdir.path("o.csv");
    let mut command = api.resolve(&input, &output);
    let ended = run(command.env("DINGMAP_SHARD", "3").env("JOB_COMPLETION_INDEX", "2"));
    assert_eq!(
        (ended.status, std::fs::read(&output).unwrap()),
        (Some(0), named),
        "{}",
        ended.stderr
    );
    let calls = api.call_log().calls().len();
    for (index, shard, actual) in [
        (None, "3", "or set JOB_COMPLETION_INDEX"),
        (Some("3"), "3", "invalid shard 3/3"),
        (Some("x"), "3", "write K/N"),
        (None, "3/3", "counted from 0; the last one is 2/3"),
        (None, "1/0", "N must be from 1"),
    ] {
        let mut command = api.resolve(&input, &output);
        command.args(["--shard", shard]).env_remove("JOB_COMPLETION_INDEX");
        let ended = run(command.envs(index.map(|index| ("JOB_COMPLETION_INDEX", index))));
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(actual), "{ended:?}");
    }
    // Neither is a part taken for the whole.
    for flags in [&["--retry-failed"][..], &["-o", input.to_str().unwrap()]] {
        let mut command = api.resolve_without_output(&api.endpoint(), &input);
        let ended = run(command.args(["--shard", "0/2"]).args(flags));
        assert_eq!(ended.status, Some(2), "{ended:?}");
    }
    assert_eq!(api.call_log().calls().len(), calls, "nothing was asked");
    assert_eq!(std::fs::read_to_string(input).unwrap(), shard_table());
}

#[test]
fn missing_and_foreign_shards_are_reported_and_nothing_is_written() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", shard_table());
    let shards = run_shards(&api, &input, 3, &[]);
    let halves = run_shards(&api, &input, 2, &[]);
    let other =
        workdir.write_file("other.csv", "工号,姓名,手机号\n1,x,13900000003\n2,y,13900000004\n");
    let strange = run_shards(&api, &other, 1, &[]).remove(0);
    let other = workdir.write_file("named.csv", shard_table().replace("手机号", "手机"));
    let alien = run_shards(&api, &other, 1, &[]).remove(0);
    let sent = run_shards(&api, &input, 1, &["--show-sent"]).remove(0);
    let [nameless, one] = [&halves[1], &sent].map(|file| std::fs::read(file).unwrap());
    let [nameless, one] =
        [workdir.write_file("half.csv", nameless), workdir.write_file("one.csv", one)];
    // The first lines of shard 1 alone, as somebody might have cut them.
    let cut: String =
        std::fs::read_to_string(&shards[1]).unwrap().split_inclusive('\n').take(9).collect();
    let cut = workdir.write_file("cut.1-of-3.csv", cut);
    let before = workdir.file_names();
    let of = |at: usize| shards[at].clone();
    for (files, actual) in [
        (vec![of(0), of(2)], vec!["missing from shard 1/3: ", " (lines "]),
        (vec![of(1)], vec!["missing from shard 0/3: ", "missing from shard 2/3: "]),
        (vec![of(0), of(2), cut], vec!["missing from shard 1/3: "]),
        (vec![nameless.clone()], vec!["missing: "]),
        (vec![of(0), of(1), of(2), of(1)], vec![".1-of-3.csv, line 2: ", "it was given twice"]),
        (
            vec![of(0), halves[1].clone()],
            vec![".0-of-3.csv is shard 0/3, but ", ".1-of-2.csv is shard 1/2"],
        ),
        (
            vec![of(0), of(1), of(2), nameless],
            vec!["half.csv, line 2: this row does not match the input"],
        ),
        (
            vec![of(0), strange],
            vec![".0-of-3.csv is shard 0/3, but ", "other.resolved.0-of-1.csv is shard 0/1"],
        ),
        (
            vec![alien],
            vec!["the header of ", "named.resolved.0-of-1.csv differs from that of ", "staff.csv:"],
        ),
        (vec![of(0), one], vec!["one.csv differs from that of ", ".0-of-3.csv:"]),
        (vec![workdir.path("nowhere.csv")], vec!["nowhere.csv"]),
    ] {
        let ended = run_merge(&input, &files, &["-o", workdir.path("m.csv").to_str().unwrap()]);
        assert_eq!(ended.status, Some(3), "{ended:?}");
        for actual in actual {
            assert!(ended.stderr.contains(actual), "{actual}: {}", ended.stderr);
        }
        assert!(!ended.stderr.contains("139000"), "{ended:?}");
        assert_eq!(workdir.file_names(), before);
    }
}

#[test]
fn missing_rows_are_reported_by_line_and_shard() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file(
        "staff.csv",
        "mobile\n\"13900000001\n\"\nx\n\n13900000001\n13900000002\n13900000003\n13900000004\n",
    );
    let shards = run_shards(&api, &input, 2, &[]);
    let mut actual: Vec<u32> = Vec::new();
    for (missing, there) in [(0, 1), (1, 0)] {
        let ended = run_merge(&input, &shards[there..=there], &[]);
        let line = ended.stderr.lines().find(|line| line.contains("missing from")).unwrap();
        assert!(line.contains(&format!("missing from shard {missing}/2: ")), "{line}");
        let lines = line.split_once("(lines ").unwrap().1.trim_end_matches(')');
        actual.extend(lines.split(", ").map(|line| line.parse::<u32>().unwrap()));
    }
    actual.sort_unstable();
    assert_eq!(actual, [2, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_shard_with_pending_rows_is_not_merged_and_can_resume() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", shard_table());
    let shard = |index: &str, flags: &[&str]| {
        let mut command = api.resolve_without_output(&api.endpoint(), &input);
        run(command.args(["--shard", index]).args(flags)).status
    };
    assert_eq!(shard("0/2", &["--max-calls", "10", "-j", "1", "--partial"]), Some(6));
    assert_eq!(shard("1/2", &[]), Some(0));
    let files = ["0-of-2", "1-of-2"].map(|name| workdir.path(format!("staff.resolved.{name}.csv")));
    let ended = run_merge(&input, &files, &[]);
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("\n  pending in shard 0/2: "), "{ended:?}");
    assert!(!ended.stderr.contains("shard 1/2") && !ended.stderr.contains("missing"), "{ended:?}");
    assert!(!workdir.path("staff.resolved.csv").exists());
    let before = api.call_log().calls().len();
    assert_eq!(shard("0/2", &[]), Some(0));
    let calls = api.call_log().calls().len();
    assert_eq!(run_merge(&input, &files, &[]).status, Some(0));
    let all = workdir.path("all.csv");
    assert_eq!(run(api.resolve(&input, &all).arg("--no-state")).status, Some(0));
    let distinct = api.call_log().calls().len() - calls;
    // What the first half asked, and the other shard's numbers, were not asked again.
    assert_eq!(calls, distinct, "{before} {calls}");
    assert!(
        std::fs::read(all).unwrap() == std::fs::read(workdir.path("staff.resolved.csv")).unwrap()
    );
}

#[test]
fn a_merge_reports_progress_and_a_signal_ends_it_without_leftovers() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", shard_table());
    let shards = run_shards(&api, &input, 2, &[]);
    let ended = run_merge(&input, &shards, &["--progress", "json"]);
    let objects: Vec<serde_json::Value> =
        ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rows = objects.iter().find_map(|object| object["rows"].as_u64());
    assert_eq!((ended.status, rows), (Some(0), Some(401)), "{ended:?}");
    let message = objects[objects.len() - 1]["message"].as_str().unwrap();
    let output = workdir.path("staff.resolved.csv");
    assert_eq!(message, format!("401 rows of 2 files, written to {}", output.display()));
    let before = workdir.file_names();
    let mut command = dingmap();
    command
        .args(["merge", "-"])
        .args(&shards)
        .arg("-o")
        .arg(workdir.path("cut.csv"))
        .stdin(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(&shard_table().as_bytes()[..1000]).unwrap();
    // The signal handlers are installed before there is a temporary file.
    wait_until("a temporary file", || (workdir.file_names().len() > before.len()).then_some(()));
    assert!(
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(workdir.file_names(), before);
    drop(pipe);
}

#[test]
fn the_guide_shows_the_current_error_of_missing_shards() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    workdir.write_file("staff.csv", include_str!("../../../samples/staff.csv"));
    for (shard, most, status) in [("0/3", "1000", 4), ("2/3", "30", 6)] {
        let mut command = api.resolve_without_output(&api.endpoint(), Path::new("staff.csv"));
        // One after the other, so that the same rows are left each time.
        command.args(["--shard", shard, "--max-calls", most, "--max-retries", "0", "-j", "1"]);
        let ended = run(command.current_dir(workdir.path("")));
        assert_eq!(ended.status, Some(status), "{ended:?}");
    }
    let files = ["staff.resolved.0-of-3.csv", "staff.resolved.2-of-3.csv"];
    let ended =
        run(dingmap().args(["merge", "staff.csv"]).args(files).current_dir(workdir.path("")));
    let page = include_str!("../../../src/guide/shards.md");
    let shown = page.split("```text\n").nth(1).unwrap();
    assert_eq!(ended.stderr, shown.split("```").next().unwrap());
}
