//! Completions in a real shell: the script that is installed, and the values that the program gives
//! for what is typed.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::process::Process;
use crate::support::sample_files::sample_path;
use crate::support::sandbox::{PROGRAM, dingmap, run};
use crate::support::workdir::Workdir;

/// What bash offers behind these words, the last of which is incomplete.
fn completions_for(workdir: &Workdir, words: &[&str]) -> Vec<String> {
    let script =
        workdir.write_file("dingmap.bash", run(dingmap().args(["completions", "bash"])).stdout);
    let complete = r#"source "$0"
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9
        name=$(complete -p dingmap | sed 's/.*-F \([^ ]*\) .*/\1/')
        "$name" dingmap "${COMP_WORDS[COMP_CWORD]}" "" 2>&1
        printf '%s\n' "${COMPREPLY[@]}""#;
    let program = Path::new(PROGRAM).parent().unwrap().display();
    let mut shell = Command::new("bash");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DINGMAP_") {
            shell.env_remove(name);
        }
    }
    let output = shell
        .args(["--norc", "-c", complete])
        .arg(script)
        .args(words)
        .current_dir(workdir.path(""))
        .env("PATH", format!("{program}:{}", std::env::var("PATH").unwrap()))
        .env("HOME", workdir.path(""))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn flags_commands_and_values_are_completed() {
    let workdir = Workdir::new();
    workdir.write_file("staff.csv", "x\n");
    workdir.write_file("c.toml", "[profile.nightly]\n[profile.rehearsal]\n");
    for (words, expected) in [
        (&["dingmap", "res"][..], &["resolve"][..]),
        (&["dingmap", "resolve", "--max-r"], &["--max-retries"]),
        (&["dingmap", "state", "forget", "--ol"], &["--older-than"]),
        (&["dingmap", "resolve", "st"], &["staff.csv"]),
        (&["dingmap", "resolve", "--progress", "l"], &["line"]),
        (&["dingmap", "resolve", "-e", "g"], &["gb18030"]),
        (&["dingmap", "resolve", "--output-encoding", "utf-16"], &["utf-16le", "utf-16be"]),
        (&["dingmap", "diff", "--region", "HK"], &["HK"]),
        (&["dingmap", "plan", "--config", "c.toml", "--profile", "n"], &["nightly"]),
    ] {
        assert_eq!(completions_for(&workdir, words), expected, "{words:?}");
    }
}

#[test]
fn column_names_are_completed_from_the_input() {
    let workdir = Workdir::new();
    workdir.write_file("staff.csv", "工号,手机号,联系 电话,13800138000,$(x)\n1,13800138000,,,\n");
    workdir.write_file("my staff.csv", "工号,Mobile\n1,13800138000\n");
    workdir.write_file("old.txt", encoding_rs::GB18030.encode("标题\n工号;手机\n1;2\n").0);
    for (words, expected) in [
        // What a shell would take apart is offered by its position, and what may be a number not at
        // all.
        (&["dingmap", "resolve", "staff.csv", "-c", ""][..], &["工号", "手机号", "3", "5"][..]),
        (&["dingmap", "plan", "staff.csv", "--column", "手"], &["手机号"]),
        (
            &["dingmap", "resolve", "-r", "5", "-o", "out.csv", "staff.csv", "--column", "手"],
            &["手机号"],
        ),
        (&["dingmap", "diff", "none.csv", "staff.csv", "--key", "工"], &["工号"]),
        (&["dingmap", "resolve", "'my staff.csv'", "-c", "M"], &["Mobile"]),
        (&["dingmap", "resolve", r"my\ staff.csv", "-c", "M"], &["Mobile"]),
        (&["dingmap", "resolve", "~/staff.csv", "-c", "手"], &["手机号"]),
        (
            &["dingmap", "resolve", "old.txt", "--skip-lines", "1", "-e", "gbk", "-c", ""],
            &["工号", "手机"],
        ),
        (&["dingmap", "resolve", "none.csv", "-c", ""], &[]),
        (&["dingmap", "resolve", "-c", ""], &[]),
    ] {
        assert_eq!(completions_for(&workdir, words), expected, "{words:?}");
    }
    assert_eq!(workdir.file_names().len(), 4, "nothing is written");
}

#[test]
fn sheet_names_are_completed_from_the_workbook() {
    let workdir = Workdir::new();
    std::fs::copy(sample_path("staff.xlsx"), workdir.path("staff.xlsx")).unwrap();
    let sheets = completions_for(&workdir, &["dingmap", "resolve", "staff.xlsx", "--sheet", ""]);
    assert_eq!(sheets, ["员工", "离职", "空表"]);
    let columns = completions_for(
        &workdir,
        &["dingmap", "resolve", "staff.xlsx", "--sheet", &sheets[0], "-c", ""],
    );
    assert_eq!(
        columns,
        ["工号", "姓名", "手机号", "部门", "入职日期", "最近打卡", "转正", "年假天数", "备注"]
    );
}

#[test]
fn completion_variables_do_not_affect_a_normal_run() {
    let workdir = Workdir::new();
    let input = workdir.write_file("staff.csv", "mobile\n13800138000\n");
    for (name, value) in ["bash", "zsh", "yes", "0", "", "tcsh"]
        .map(|value| ("DINGMAP_COMPLETE", value))
        .into_iter()
        .chain([("COMPLETE", "bash")])
    {
        let output = workdir.path("out.csv");
        let mut command = dingmap();
        command.arg("resolve").arg(&input).arg("--sandbox").arg("-o").arg(&output).env(name, value);
        let ended = run(&mut command);
        assert_eq!(
            (ended.status, ended.stdout.as_str()),
            (Some(0), ""),
            "{name}={value}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("nothing reads the variable"), "{}", ended.stderr);
        std::fs::remove_file(output).unwrap();
    }
    // A script that asks for a shell which nobody knows gets nothing, and no message between the
    // words.
    let ended = run(dingmap().args(["--", "dingmap", "res"]).env("DINGMAP_COMPLETE", "tcsh"));
    assert_eq!((ended.status, &*ended.stdout, &*ended.stderr), (Some(2), "", ""));
}

#[test]
fn completion_does_not_block_on_a_pipe() {
    let workdir = Workdir::new();
    assert!(Command::new("mkfifo").arg(workdir.path("pipe")).status().unwrap().success());
    let mut command = dingmap();
    command
        .args(["--", "dingmap", "plan", "--config", "pipe", "--profile", ""])
        .current_dir(workdir.path(""));
    command.env("DINGMAP_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", "5").env("_CLAP_IFS", "\n");
    command.env("DINGMAP_CONFIG", workdir.path("pipe"));
    let ended = Process::start(&mut command).wait();
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""));
}

#[test]
fn the_zsh_script_completes_on_first_load() {
    let script = run(dingmap().args(["completions", "zsh"])).stdout;
    assert!(script.starts_with("#compdef dingmap\n"), "{script}");
    let last = script.lines().last().unwrap();
    assert!(last.starts_with("[[ ${funcstack[1]} != _dingmap ]] || "), "{last}");
    let asks = last.strip_suffix(" \"$@\"").and_then(|line| line.rsplit(' ').next()).unwrap();
    assert!(script.contains(&format!("function {asks}() {{")), "{script}");
}
