//! `dingmap plan` on the real executable: its predictions are compared with what `resolve` then
//! does at a real server, and the files that it must not change with their bytes before.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use clap::CommandFactory;
use dingmap::testing::app::Cli;
use serde_json::{Value, json};

use crate::support::process::{Process, wait_until};
use crate::support::rows::{read_rows, staff_csv};
use crate::support::sample_files::sample_path;
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, slow_script, unlimited_script};
use crate::support::schema::assert_matches_schema;
use crate::support::workdir::Workdir;

/// `dingmap plan` for this server's organisation and state. It needs no secret, and none is given.
fn plan_command(api: &Sandbox, input: &Path) -> Command {
    let mut command = dingmap();
    command.arg("plan").arg(input).args(["--endpoint", &api.endpoint()]);
    command
        .env_remove("DINGMAP_NO_STATE")
        .env("XDG_DATA_HOME", api.state_path().parent().unwrap().parent().unwrap())
        .env("DINGTALK_APP_KEY", "sandbox-key");
    command
}

/// The plan as JSON, which fits its schema.
#[track_caller]
fn plan_json(command: &mut Command) -> (Value, RunOutput) {
    let ended = run(command.arg("--json"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let actual: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_matches_schema("plan", &actual);
    (actual, ended)
}

#[test]
fn the_plan_matches_what_resolve_does() {
    for name in ["staff.csv", "staff-gb18030.csv", "staff.xlsx", "messy.csv"] {
        let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
        let (input, output) = (sample_path(name), workdir.path("out.csv"));
        let (actual, ended) = plan_json(&mut plan_command(&api, &input));
        assert_eq!(
            (&*ended.stderr, api.call_log().calls().len(), api.call_log().token_calls().len()),
            ("", 0, 0)
        );
        assert!(!api.state_path().parent().unwrap().exists(), "no state is made");
        let words = run(&mut plan_command(&api, &input));
        assert_eq!((words.status, &*words.stderr), (Some(0), ""), "{name}");
        let resolved = run(api.resolve(&input, &output).args(["--output-encoding", "utf-8"]));
        let line = resolved.stderr.lines().next().unwrap();
        assert_eq!(words.stdout.lines().next(), Some(line), "the first line is the run's own");
        let call_log = api.call_log();
        assert_eq!(
            actual["calls"],
            json!({"least": call_log.distinct_numbers(), "most": call_log.distinct_numbers()}),
            "{name}"
        );
        let rows = read_rows(&output);
        let invalid: Vec<_> = rows.iter().filter(|row| row["status"] == "invalid").collect();
        assert_eq!(actual["rows"]["all"], json!(rows.len()), "{name}");
        assert_eq!(actual["rows"]["invalid"], json!(invalid.len()), "{name}");
        assert!(!invalid.is_empty());
        let reasons: Vec<_> = invalid.iter().take(10).map(|row| json!(row["errmsg"])).collect();
        let planned: Vec<_> =
            actual["invalid"].as_array().unwrap().iter().map(|row| row["reason"].clone()).collect();
        assert_eq!(planned, reasons, "{name}");
        for row in actual["invalid"].as_array().unwrap() {
            let place = match row["cell"].as_str() {
                None => format!("line {}", row["line"]),
                Some(cell) => {
                    let sheet = row["sheet"].as_str().unwrap();
                    format!("{sheet}, row {} ({cell})", row["row"])
                }
            };
            let line = format!("\n  {place}: {}\n", row["reason"].as_str().unwrap());
            assert!(words.stdout.contains(&line), "{line}{}", words.stdout);
        }
    }
}

#[test]
fn the_guide_lists_every_flag_of_plan() {
    let page = include_str!("../../../src/guide/dry-run.md");
    let cli = Cli::command();
    for flag in cli.find_subcommand("plan").unwrap().get_arguments() {
        let spellings = [
            flag.get_long().map(|long| format!("`--{long}`")),
            flag.get_short().map(|short| format!("`-{short}`")),
        ];
        let is_listed = spellings.into_iter().flatten().any(|flag| page.contains(&flag));
        // Flags of messages are the same for all commands.
        let is_common = ["quiet", "verbose"].contains(&flag.get_id().as_str())
            || flag.get_help_heading() == Some("Messages");
        assert!(is_listed || is_common || flag.get_long().is_none(), "{}", flag.get_id());
    }
}

#[test]
fn planned_rows_have_file_lines_and_masked_numbers() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let rows = "姓名,电话13800138000\n\"A\nB\",13900139000\nC,13900139000（本人）\n\n\
        D,139-0013-9000\nE,1.39E+10\n";
    let input = workdir.write_file("staff.csv", rows);
    let (actual, _) = plan_json(plan_command(&api, &input).args(["-c", "2"]));
    let lines: Vec<_> =
        actual["invalid"].as_array().unwrap().iter().map(|row| row["line"].clone()).collect();
    assert_eq!(lines, [json!(4), json!(7)]);
    assert_eq!(actual["rows"], json!({"all": 4, "with_number": 2, "repeated": 1, "invalid": 2}));
    assert_eq!(actual["input"]["columns"][0]["name"], json!("电话138****00"));
    let words = run(plan_command(&api, &input).args(["-c", "2"])).stdout;
    for text in [actual.to_string(), words] {
        assert!(!text.contains("13900139000") && !text.contains("13800138000"), "{text}");
    }
    let many =
        workdir.write_file("many.csv", "mobile\n13900139000\n".to_owned() + &"n/a\n".repeat(1234));
    let words = run(&mut plan_command(&api, &many)).stdout;
    assert!(words.contains("\n  line 12: ") && !words.contains("line 13:"), "{words}");
    assert!(words.contains("\n  and 1 224 more\n"), "{words}");
}

#[test]
fn the_estimated_time_is_calls_divided_by_the_rate() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", staff_csv(90));
    let (slow, _) = plan_json(plan_command(&api, &input).args(["--rate", "30/m"]));
    assert_eq!(slow["time"]["seconds"], json!({"least": 180.0, "most": 180.0}));
    let moment = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let (begin, end) = (moment(&slow["time"]["begin"]), moment(&slow["time"]["end"]["least"]));
    assert_eq!(end.duration_since(begin), jiff::SignedDuration::from_mins(3));
    assert!(
        begin.duration_since(jiff::Timestamp::now()).abs() < jiff::SignedDuration::from_mins(1)
    );
    let words = run(plan_command(&api, &input).args(["--rate", "30/m"])).stdout;
    assert!(words.contains(" 3m  at 0.5 calls/s; started now, it would end at 20"), "{words}");
    let (open, _) = plan_json(plan_command(&api, &input).args(["--rate", "unlimited"]));
    assert_eq!((&open["time"]["rate"], &open["time"]["seconds"]), (&Value::Null, &Value::Null));
    assert_eq!(open["time"]["end"], json!({"least": null, "most": null}));
}

#[test]
fn a_plan_predicts_resuming_and_leaves_the_state_unchanged() {
    let (api, workdir) = (Sandbox::new(slow_script(20)), Workdir::new());
    let (input, output) =
        (workdir.write_file("staff.csv", staff_csv(600)), workdir.path("out.csv"));
    // A kill leaves the file to be put in order, which the next one that works with it does.
    let mut process = Process::start(api.resolve(&input, &output).args(["--rate", "200"]));
    wait_until("calls", || (api.call_log().calls().len() > 350).then_some(()));
    process.send_signal("KILL");
    process.wait();
    let before = fs::read(api.state_path()).unwrap();
    let (first, ended) = plan_json(&mut plan_command(&api, &input));
    assert_eq!(ended.stderr, "");
    let (known, calls) =
        (first["known"]["distinct"].as_u64().unwrap(), first["calls"]["least"].as_u64().unwrap());
    assert!(known > 100 && known + calls == 600, "{first:#}");
    assert_eq!(
        (&first["known"]["state"], &first["known"]["run"]),
        (&json!("seen"), &json!("resumed"))
    );
    let (second, _) = plan_json(&mut plan_command(&api, &input));
    assert_eq!(second["known"], first["known"]);
    let words = run(&mut plan_command(&api, &input)).stdout;
    assert!(words.contains("resumes the interrupted run with its answers since "), "{words}");
    let other = workdir.write_file("other.csv", staff_csv(601));
    let (inherited, _) = plan_json(&mut plan_command(&api, &other));
    assert_eq!(
        (&inherited["known"]["run"], inherited["calls"]["least"].as_u64()),
        (&json!("inherited"), Some(calls + 1))
    );
    for (flag, state) in [("--restart", "restart"), ("--no-state", "off")] {
        let (anew, _) = plan_json(plan_command(&api, &input).arg(flag));
        assert_eq!(
            (&anew["known"]["state"], &anew["calls"]["least"]),
            (&json!(state), &json!(600))
        );
    }
    assert!(fs::read(api.state_path()).unwrap() == before, "the state has changed");
    let asked = api.call_log().calls().len();
    assert_eq!(run(&mut api.resolve(&input, &output)).status, Some(0));
    assert_eq!(api.call_log().calls().len() - asked, usize::try_from(calls).unwrap());
}

#[test]
fn known_answers_are_counted_by_age_and_scope() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    // Found, bad number, not found, out of scope.
    let input = workdir.write_file(
        "staff.csv",
        "mobile\n13900000000\n13900000092\n13900000090\n13900000093\n13900000000\n",
    );
    assert_eq!(run(&mut api.resolve(&input, &workdir.path("out.csv"))).status, Some(0));
    for (flags, known) in [
        (&[][..], 0),
        (&["--max-age", "1d"], 2),
        (&["--max-age", "1d", "--max-age-not-found", "1h"], 4),
        (&["--max-age", "1d", "--max-age-not-found", "1h", "--restart"], 0),
        (&["--max-age", "1d", "--mainland", "prefixed"], 0),
        (&["--max-age", "1d", "--exclusive-accounts", "false"], 0),
        (&["--max-age", "1d", "--app-key", "another"], 0),
    ] {
        let (actual, _) = plan_json(plan_command(&api, &input).args(flags));
        assert_eq!(actual["known"]["distinct"], json!(known), "{flags:?}");
        assert_eq!(actual["calls"]["least"], json!(4 - known), "{flags:?}");
        assert_eq!(actual["rows"]["repeated"], json!(1));
    }
    let words = run(plan_command(&api, &input).args(["--max-age", "1d"])).stdout;
    assert!(words.contains(" 2  answers of finished runs up to 1day old"), "{words}");
}

#[test]
fn a_token_selects_its_apps_answers_and_is_not_printed() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", staff_csv(9));
    let mut command = api.resolve(&input, &workdir.path("out.csv"));
    command.env_remove("DINGTALK_APP_KEY").env_remove("DINGTALK_APP_SECRET");
    command.env("DINGTALK_ACCESS_TOKEN", "sandbox-token").args(["--max-calls", "4"]);
    assert_eq!(run(&mut command).status, Some(6));
    let nobody = || {
        let mut command = plan_command(&api, &input);
        command.env_remove("DINGTALK_APP_KEY");
        command
    };
    let (known, ended) = plan_json(nobody().env("DINGTALK_ACCESS_TOKEN", "sandbox-token"));
    assert_eq!((&known["known"]["distinct"], &known["calls"]["least"]), (&json!(4), &json!(5)));
    assert!(!(ended.stdout + &ended.stderr).contains("sandbox-token"));
    let (open, _) = plan_json(&mut nobody());
    assert_eq!((&open["known"]["state"], &open["calls"]["least"]), (&json!("no_app"), &json!(9)));
    let words = run(&mut nobody()).stdout;
    assert!(words.contains("DINGTALK_APP_KEY"), "{words}");
}

#[test]
fn a_locked_state_is_reported_and_a_foreign_one_is_rejected() {
    let (api, workdir) = (Sandbox::new(slow_script(20)), Workdir::new());
    let (input, output) =
        (workdir.write_file("staff.csv", staff_csv(600)), workdir.path("out.csv"));
    let mut process = Process::start(api.resolve(&input, &output).args(["--rate", "50"]));
    wait_until("calls", || (api.call_log().calls().len() > 20).then_some(()));
    let (held, ended) = plan_json(&mut plan_command(&api, &input));
    assert_eq!((&held["known"]["state"], &held["calls"]["least"]), (&json!("in_use"), &json!(600)));
    let by = format!("in use by process {}", process.id());
    assert!(
        ended.stderr.contains(&by) && ended.stderr.contains("as if nothing were known"),
        "{}",
        ended.stderr
    );
    let answer = workdir.path("answer.json");
    let stdout = File::create(&answer).unwrap();
    let mut waiting =
        Process::start(plan_command(&api, &input).args(["--wait", "--json"]).stdout(stdout));
    waiting.wait_for_stderr("waiting: the state");
    process.send_signal("INT");
    process.wait();
    assert_eq!(waiting.wait().status, Some(0));
    let seen: Value = serde_json::from_str(&fs::read_to_string(&answer).unwrap()).unwrap();
    assert_eq!(
        (&seen["known"]["state"], &seen["known"]["run"]),
        (&json!("seen"), &json!("resumed"))
    );
    let foreign = workdir.write_file("foreign", "mine");
    let planned = run(plan_command(&api, &input).arg("--state").arg(&foreign));
    let resolved = run(api.resolve(&input, &output).arg("--state").arg(&foreign));
    // A run would be refused too, in the same words.
    assert_eq!((planned.status, resolved.status, &*planned.stdout), (Some(1), Some(1), ""));
    for ended in [planned, resolved] {
        assert!(ended.stderr.contains("not a state file of dingmap"), "{}", ended.stderr);
    }
    assert_eq!(fs::read(&foreign).unwrap(), b"mine");
}

#[test]
fn several_columns_give_a_range_of_calls() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    // Found; nobody has it and the next is found; invalid and the next is found; a number of
    // column a that is also in column b.
    let rows =
        "a,b\n13900000000,13900000001\n13900000090,13900000002\nx,13900000003\n13900000001,\n,\n";
    let input = workdir.write_file("staff.csv", rows);
    let flags = ["-c", "a", "-c", "b"];
    let (actual, _) = plan_json(plan_command(&api, &input).args(flags));
    assert_eq!(actual["rows"], json!({"all": 5, "with_number": 4, "repeated": 0, "invalid": 1}));
    assert_eq!(actual["numbers"], json!({"distinct": 4, "further": 1}));
    assert_eq!(actual["calls"], json!({"least": 4, "most": 5}));
    let words = run(plan_command(&api, &input).args(flags)).stdout;
    assert!(words.contains("at least 4  at most 5; "), "{words}");
    assert!(words.contains("at the latest"), "{words}");
    let column = run(plan_command(&api, &input).env("DINGMAP_COLUMN", "a\nb")).stdout;
    assert!(column.contains("at least 4  at most 5; "), "{column}");
    assert_eq!(run(api.resolve(&input, &workdir.path("out.csv")).args(flags)).status, Some(0));
    assert_eq!(api.call_log().distinct_numbers(), 5);
}

#[test]
fn standard_input_can_be_planned() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let input = workdir.write_file("staff.csv", staff_csv(9) + "n/a\n13900000000\n");
    let (file, _) = plan_json(&mut plan_command(&api, &input));
    let piped = || {
        let mut command = plan_command(&api, Path::new("-"));
        command.stdin(File::open(&input).unwrap());
        command
    };
    let (stream, _) = plan_json(&mut piped());
    for part in ["rows", "numbers", "invalid", "calls"] {
        assert_eq!(stream[part], file[part]);
    }
    let mut command = api.resolve(Path::new("-"), Path::new("-"));
    assert_eq!(
        run(command.args(["--max-calls", "4"]).stdin(File::open(&input).unwrap())).status,
        Some(6)
    );
    let (known, _) = plan_json(&mut piped());
    assert_eq!((&known["known"]["run"], &known["calls"]["least"]), (&json!("resumed"), &json!(5)));
}

#[test]
fn planning_a_large_input_keeps_only_numbers_in_memory() {
    let mut command = dingmap();
    let command =
        command.args(["plan", "-", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let filler = "x".repeat(1 << 10);
    stdin.write_all(b"mobile,remark\n").unwrap();
    for n in 0..60_000 {
        writeln!(stdin, "139{:08},{filler}", n % 1000).unwrap();
    }
    // Some 60 MiB have passed by now; what this process takes by itself is less than half of them.
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 48 << 10, "{peak} KiB");
    drop(stdin);
    let actual: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(
        (&actual["rows"]["all"], &actual["numbers"]["distinct"]),
        (&json!(60_000), &json!(1000))
    );
}

#[test]
fn unreadable_input_fails_like_resolve_without_output() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let ragged = workdir.write_file("ragged.csv", staff_csv(50_000) + "13900000000,x\n");
    let good = workdir.write_file("good.csv", staff_csv(3));
    let none = workdir.path("none.csv");
    for (input, flags, status) in [
        (&none, &[][..], 3),
        (&ragged, &[], 3),
        (&good, &["-c", "tel"], 3),
        (&good, &["-e", "gb18031"], 2),
        (&good, &["--endpoint", "ftp://h"], 2),
        (&sample_path("staff.xlsx"), &["-e", "utf-8"], 2),
        (&good, &["--state", "s", "--no-state"], 2),
    ] {
        let ended = run(plan_command(&api, input).args(flags));
        assert_eq!(
            (ended.status, &*ended.stdout),
            (Some(status), ""),
            "{flags:?}: {}",
            ended.stderr
        );
        if *input != good {
            let resolved = run(api.resolve(input, &workdir.path("out.csv")).args(flags));
            assert_eq!((resolved.status, &resolved.stderr), (Some(status), &ended.stderr));
        }
    }
    let ended = run(plan_command(&api, &ragged).arg("--flexible"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}
