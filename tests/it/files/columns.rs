//! Which columns numbers are taken from, on the real executable: by name, position and pattern,
//! several of them in turn, and what the rows and the messages say about it.

use std::process::Command;

use crate::support::observed_run::{ObservedRun, observe_run};
use crate::support::sandbox::unlimited_script;

fn resolve_with_flags(text: &str, flags: &[&str]) -> ObservedRun {
    observe_run(unlimited_script(), text, |command: &mut Command| {
        command.args(flags);
    })
}

/// What the rows have in the columns behind the input's own ones, and how many calls it took.
#[track_caller]
fn appended_cells(text: &str, flags: &[&str], status: i32) -> (Vec<String>, usize) {
    let seen = resolve_with_flags(text, flags);
    assert_eq!(seen.result.status, Some(status), "{}", seen.result.stderr);
    let output = seen.output.unwrap();
    let behind =
        |(before, after): (&str, &str)| after.strip_prefix(before).unwrap()[1..].to_owned();
    (text.lines().zip(output.lines()).map(behind).collect(), seen.call_log.calls().len())
}

#[test]
fn the_next_column_is_tried_when_a_number_is_not_found() {
    let text = "name,手机,备用\n\
                first,13800138000,13800138001\n\
                invalid,离职,13800138002\n\
                empty,,13800138002\n\
                absent,13800138090,13800138003\n\
                refused,13800138092,13800138003\n\
                out of scope,13800138093,13800138001\n\
                neither,13800138090,13800138091\n\
                absent and invalid,13800138090,x\n\
                both invalid,,离职\n\
                both empty,,\n\
                twice,13800138090,13800138090\n";
    let (rows, calls) = appended_cells(text, &["-c", "手机", "-c", "备用"], 0);
    let refusal =
        "not a phone number: it has characters other than digits and + - ( ) . and spaces";
    assert_eq!(
        rows,
        [
            "userid,exclusive_userids,status,errcode,errmsg,matched_column",
            "u00138000,,found,0,ok,手机",
            "u00138002,,found,0,ok,备用",
            "u00138002,,found,0,ok,备用",
            "u00138003,,found,0,ok,备用",
            "u00138003,,found,0,ok,备用",
            ",,out_of_scope,50002,请求的员工userid不在授权范围内,",
            ",,not_found,60121,找不到该用户,",
            ",,not_found,60121,找不到该用户,",
            &format!(",,invalid,,{refusal},"),
            ",,invalid,,the cell is empty,",
            ",,not_found,60121,找不到该用户,",
        ]
    );
    // 000, 002, 090, 003, 092, 093 and 091: each once, and not 001, which follows numbers that
    // have an answer.
    assert_eq!(calls, 7);
}

#[test]
fn a_failed_number_does_not_fall_back_to_the_next_column() {
    let (rows, calls) = appended_cells(
        "a,b\n13800138094,13800138000\n",
        &["-c", "2", "-c", "a", "--max-retries", "1"],
        0,
    );
    assert_eq!((rows[1].as_str(), calls), ("u00138000,,found,0,ok,b", 1));
    let (rows, calls) = appended_cells(
        "a,b\n13800138094,13800138000\n",
        &["-c", "a", "-c", "2", "--max-retries", "1"],
        4,
    );
    assert_eq!((rows[1].as_str(), calls), (",,failed,-1,系统繁忙,", 2));
}

#[test]
fn columns_match_by_name_in_any_width_and_by_pattern() {
    let text = "ＭＯＢＩＬＥ,Mobile 2\n13800138090,13800138000\n";
    for choice in
        [["mobile", "/2$/"], [" Mobile ", "ｍｏｂｉｌｅ　２"], ["/^mobile$/", "/MOBILE 2/"]]
    {
        let (rows, _) = appended_cells(text, &["-c", choice[0], "-c", choice[1]], 0);
        assert_eq!(rows[1], "u00138000,,found,0,ok,Mobile 2", "{choice:?}");
    }
    let lines = |command: &mut Command| {
        command.env("DINGMAP_COLUMN", "mobile\n\nMobile 2\n");
    };
    let seen = observe_run(unlimited_script(), text, lines);
    assert!(
        seen.output.unwrap().ends_with(",u00138000,,found,0,ok,Mobile 2\n"),
        "{}",
        seen.result.stderr
    );
    assert!(
        seen.result.stderr.contains(
            "column 1 (ＭＯＢＩＬＥ): requested by name, then column 2 (Mobile 2): requested by name"
        ),
        "{}",
        seen.result.stderr
    );
    // On the command line a name may have a line end in it, as Excel's Alt+Enter makes it.
    let seen = resolve_with_flags("a,\"mobile\nphone\"\nx,13800138000\n", &["-c", "mobile\nphone"]);
    assert!(
        seen.output.unwrap().ends_with("\nx,13800138000,u00138000,,found,0,ok\n"),
        "{}",
        seen.result.stderr
    );
    // One column that was asked for twice is still several: the output has the column that was
    // asked for with it.
    let (rows, _) = appended_cells("mobile\n13800138000\n", &["-c", "mobile", "-c", "1"], 0);
    assert_eq!(rows[1], "u00138000,,found,0,ok,mobile");
}

#[test]
fn unnamed_columns_are_labeled_by_position() {
    let (rows, _) = appended_cells("x,13800138090,13800138000\n", &["-c", "2", "-c", "3"], 0);
    assert_eq!(rows, ["u00138000,,found,0,ok,3"]);
    let (rows, _) =
        appended_cells("tel,TEL\n13800138090,13800138000\n", &["-c", "1", "-c", "2"], 0);
    assert_eq!(rows[1], "u00138000,,found,0,ok,2");
}

#[test]
fn show_sent_adds_the_number_sent() {
    let text =
        "mobile_sent,phone\nold,+86 138-0013-8000\nold,离职\nold,+852 5123 4567\nold,13800138090\n";
    let (rows, _) = appended_cells(text, &["--show-sent", "-c", "phone"], 0);
    assert_eq!(rows[0], "userid,exclusive_userids,status,errcode,errmsg,dingtalk_mobile_sent");
    let sent: Vec<_> = rows[1..].iter().map(|row| row.rsplit(',').next().unwrap()).collect();
    assert_eq!(sent, ["13800138000", "", "+852-51234567", "13800138090"]);
    let flags = ["--show-sent", "--mainland", "prefixed", "-c", "a", "-c", "b"];
    let (rows, _) = appended_cells("a,b\n,13800138000\n", &flags, 0);
    assert_eq!(
        rows,
        [
            "userid,exclusive_userids,status,errcode,errmsg,matched_column,mobile_sent",
            "u00138000,,found,0,ok,b,+86-13800138000"
        ]
    );
    // A number whose turn did not come was not sent.
    let (rows, _) = appended_cells(
        "phone\n13800138000\n13800138001\n",
        &["--show-sent", "--max-calls", "1"],
        6,
    );
    assert!(
        rows[1].ends_with(",13800138000")
            && rows[2].starts_with(",,pending,")
            && rows[2].ends_with(','),
        "{rows:?}"
    );
}

#[test]
fn ambiguous_columns_are_listed_with_masked_cells() {
    let text = "手机,姓名,手机号\n,a,张三\n13800138000,b,13900139000\n13800138001,c,13900139001\n\
                13800138002,d,13900139002\n13800138003,e,13900139003\n";
    let seen = resolve_with_flags(text, &[]);
    let listed = [
        "1 手机 (138****8000, 138****8001, 138****8002), 3 手机号 (**, 139****9000, 139****9001)",
        "--column",
    ];
    seen.assert_refused(3, &listed);
    seen.assert_no_calls();
    let text = "手机1,手机2\n13800138000,13900139000\n";
    let seen = resolve_with_flags(text, &["-c", "/手机/"]);
    seen.assert_refused(
        3,
        &["/手机/", "more than one", "1 手机1 (138****8000), 2 手机2 (139****9000)"],
    );
    seen.assert_no_calls();
    resolve_with_flags(text, &["-c", "/mail/"])
        .assert_refused(3, &["/mail/", "no column's name", "1 手机1, 2 手机2"]);
    resolve_with_flags(text, &["-c", "/(/"]).assert_refused(2, &["--column", "/(/"]);
}
