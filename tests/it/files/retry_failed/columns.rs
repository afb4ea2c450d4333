//! Which columns of a resolved table are the numbers and which the answers, wherever a spreadsheet
//! has put them.

use std::fs;

use super::{RESOLVED, call_count, retry_command};
use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

const ANSWER_COLUMNS: &str = "userid,exclusive_userids,status,errcode,errmsg";

#[test]
fn the_number_column_may_follow_the_answers() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    for (before, behind) in [
        ("name,{},mobile\nA,{},13800138000", "column 7 (mobile)"),
        ("id,name,{},mobile\n1,A,{},13800138000", "column 8 (mobile)"),
        ("name,tel,{},mobile\nA,010-62345678,{},13800138000", "column 8 (mobile)"),
        ("tel,{},mobile_sent\n13800138000,{},", "column 1 (tel)"),
        ("mobile_sent,{},tel\n13800138000,{},13800138000", "column 7 (tel)"),
    ] {
        let table =
            |answer: &str| before.replacen("{}", ANSWER_COLUMNS, 1).replacen("{}", answer, 1);
        let file = workdir.write_file("out.csv", table(",,failed,-1,busy"));
        let ended = run(&mut retry_command(&api, &file));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains(behind), "{behind}: {}", ended.stderr);
        let mut expected = table("u00138000,,found,0,ok");
        if before.ends_with("{},") {
            expected += "13800138000";
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    }
}

#[test]
fn a_column_without_numbers_is_not_used() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    for before in ["name,{}\nA,{}", "tel,{}\n010-62345678,{}", "a,b,{}\n1,2,{}"] {
        let text = before.replacen("{}", ANSWER_COLUMNS, 1).replacen("{}", ",,failed,-1,busy", 1);
        let file = workdir.write_file("out.csv", &text);
        let ended = run(&mut retry_command(&api, &file));
        assert_eq!(ended.status, Some(3), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("no column of this resolved file has mobile numbers; correct"),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("userid"), "{}", ended.stderr);
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    assert_eq!(call_count(&api), 0);
    // A column that is named with -c is used.
    let file =
        workdir.write_file("out.csv", format!("name,{ANSWER_COLUMNS}\n1380013,,,failed,-1,busy"));
    let ended = run(retry_command(&api, &file).args(["-c", "name"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn diff_finds_a_number_column_after_the_answers() {
    let workdir = Workdir::new();
    let diff = |cells: [&str; 2]| {
        let [old, new] = ["u1", "u2"].map(|userid| {
            let [name, number] = cells;
            let text =
                format!("name,{ANSWER_COLUMNS},mobile\n{name},{userid},,found,0,ok,{number}\n");
            workdir.write_file(userid, text)
        });
        run(dingmap().arg("diff").arg(old).arg(new))
    };
    let ended = diff(["A", "13800138000"]);
    assert_eq!(ended.status, Some(10), "{}", ended.stderr);
    assert!(ended.stderr.contains("both by the number in column 7 (mobile)"), "{}", ended.stderr);
    assert!(ended.stdout.contains("changed,13800138000,u1,u2,"), "{}", ended.stdout);
    let ended = diff(["A", "010-62345678"]);
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    // The columns of the answers are not offered.
    assert!(ended.stderr.contains("with --column: 1 name, 7 mobile\n"), "{}", ended.stderr);
}

#[test]
fn a_duplicate_answer_column_is_rejected() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let text = format!("mobile,{ANSWER_COLUMNS},status\n13800138000,,,failed,-1,busy,failed\n");
    let file = workdir.write_file("out.csv", &text);
    let ended = run(&mut retry_command(&api, &file));
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    let words = "more than one column is called \"status\"; rename the one that dingmap did not \
        write: 4 status, 7 status";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    assert_eq!((fs::read_to_string(&file).unwrap(), call_count(&api)), (text, 0));
}

#[test]
fn a_tables_own_expected_column_is_not_overwritten() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let text =
        format!("expected,mobile,note,{ANSWER_COLUMNS}\nmine,13800138000,u1,,,failed,-1,busy\n");
    let file = workdir.write_file("out.csv", &text);
    let ended = run(retry_command(&api, &file).args(["--expect", "note"]));
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("there is no column \"expected\""), "{}", ended.stderr);
    assert_eq!((fs::read_to_string(&file).unwrap(), call_count(&api)), (text, 0));
}

#[test]
fn a_retry_without_expect_is_warned_about() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let words = "use --expect COLUMN to compare them too";
    let with =
        format!("mobile,on file,{ANSWER_COLUMNS},expected\n13800138000,u1,,,failed,-1,busy,\n");
    for (flags, actual, cell) in
        [(&[][..], true, ""), (&["--expect", "on file"], false, "mismatch")]
    {
        let file = workdir.write_file("out.csv", &with);
        let ended = run(retry_command(&api, &file).args(flags));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stderr.contains(words), actual, "{}", ended.stderr);
        assert!(fs::read_to_string(&file).unwrap().ends_with(&format!(",found,0,ok,{cell}\n")));
    }
    let file = workdir.write_file("out.csv", RESOLVED);
    let ended = run(retry_command(&api, &file).args(["--max-retries", "0"]));
    assert!(!ended.stderr.contains(words), "{}", ended.stderr);
}
