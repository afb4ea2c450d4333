//! `--expect`: expected user ids are compared with those found, in a column, in the closing lines
//! and in the summary.

use std::fs;

use dingmap::testing::sandbox::ScriptedAnswer;
use serde_json::json;

use crate::support::rows::read_rows;
use crate::support::sample_files::sample_path;
use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::schema::read_summary;
use crate::support::workdir::Workdir;

/// Numbers by their endings: 90 is nobody's, 93 out of scope, 94 always busy, 96 has exclusive ids
/// alone.
const TABLE: &str = "expected,mobile,id on file,note\n\
a,13800138000,u00138000,match\nb,13800138001, u00138001 ,match\nc,13800138096,ex2-00138096,match\n\
d,13800138002,u1,mismatch\ne,13800138096,u00138096,mismatch\nf,13800138003,U00138003,mismatch\n\
g,13800138090,u1,missing\nh,n/a,u1,missing\ni,13800138093,u1,missing\n\
j,13800138004,,\nk,13800138090,\"  \",\nl,13800138094,u1,\n";

#[test]
fn expect_adds_a_comparison_to_every_row() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, output, summary) =
        (workdir.write_file("in.csv", TABLE), workdir.path("out.csv"), workdir.path("run.json"));
    let mut command = api.resolve(&input, &output);
    command
        .args(["--max-retries", "0", "--expect", "ID ON FILE", "--show-sent", "--summary"])
        .arg(&summary);
    let ended = run(&mut command);
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let text = fs::read_to_string(&output).unwrap();
    let header = "expected,mobile,id on \
        file,note,userid,exclusive_userids,status,errcode,errmsg,mobile_sent,dingtalk_expected\n";
    assert!(text.starts_with(header), "{text}");
    for row in read_rows(&output) {
        assert_eq!(row["dingtalk_expected"], row["note"], "{row:?}");
    }
    let actual = "\nexpected: match 3, mismatch 3, rounded 0, missing 3; not compared 3\n";
    assert!(ended.stderr.contains(actual), "{}", ended.stderr);
    let account = read_summary(&summary);
    assert_eq!(account["expected"], json!({"match": 3, "mismatch": 3, "rounded": 0, "missing": 3}));
    // A second try fills in what was open, and counts the rows that keep theirs.
    let script = r#"{"errcode":0,"errmsg":"ok","result":{"userid":"u1"}}"#;
    let asked = u64::try_from(api.call_log().calls().len()).unwrap();
    api.update_script(|next| {
        next.answers_by_call.insert(asked, ScriptedAnswer::Json(script.to_owned()));
    });
    let mut command = api.resolve_without_output(&api.endpoint(), &output);
    let ended = run(command.args(["--retry-failed", "--expect", "3"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let actual = "\nexpected: match 4, mismatch 3, rounded 0, missing 3; not compared 2\n";
    assert!(ended.stderr.contains(actual), "{}", ended.stderr);
    let row = "l,13800138094,u1,,,,failed,-1,系统繁忙,13800138094,\n";
    let expected = text.replace(row, "l,13800138094,u1,,u1,,found,0,ok,13800138094,match\n");
    assert_eq!(fs::read_to_string(&output).unwrap(), expected);
}

#[test]
fn an_id_on_file_that_a_spreadsheet_rounded_is_not_a_mismatch() {
    let mut script = unlimited_script();
    for call in [4, 5] {
        let reply = r#"{"errcode":0,"errmsg":"ok","result":{"userid":"04686258351064375"}}"#;
        script.answers_by_call.insert(call, ScriptedAnswer::Json(reply.to_owned()));
    }
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let table = "姓名,手机号,钉钉ID\n甲,13800000021,4.68626E+15\n乙,13800000022,u00000022\n\
                 丙,13800000023,u1\n丁,13800000090,4.68626E+15\n\
                 戊,13800000025,4.68626E+15\n己,13800000026,1.15266E+15\n";
    let (input, output, summary) =
        (workdir.write_file("staff.csv", table), workdir.path("out.csv"), workdir.path("run.json"));
    let mut command = api.resolve(&input, &output);
    command.args(["--workers", "1", "--expect", "钉钉ID", "--summary"]).arg(&summary);
    let ended = run(&mut command);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let words: Vec<_> = read_rows(&output).iter().map(|row| row["expected"].clone()).collect();
    assert_eq!(words, ["rounded", "match", "mismatch", "missing", "rounded", "mismatch"]);
    let counts = "\nexpected: match 1, mismatch 2, rounded 2, missing 1; not compared 0\n\
                  rounded: a spreadsheet took the expected ids for numbers when it saved the file;";
    assert!(ended.stderr.contains(counts), "{}", ended.stderr);
    assert_eq!(read_summary(&summary)["expected"]["rounded"], 2);
}

#[test]
fn a_missing_expect_column_is_reported_with_the_flag() {
    let workdir = Workdir::new();
    let input = workdir.write_file("in.csv", TABLE);
    for (flag, words) in [
        (
            "user id",
            "there is no column \"user id\"; name one of these with --expect: 1 expected, 2 \
             mobile, 3 id on file, 4 note",
        ),
        (
            "9",
            "there is no column 9: the file has 4, counted from 1; give one of these with --expect",
        ),
        (
            "/e/",
            "the pattern /e/ fits more than one column's name; name the right one with --expect",
        ),
    ] {
        let mut command = dingmap();
        let ended = run(command.args(["resolve", "--sandbox", "--expect", flag]).arg(&input));
        assert_eq!(ended.status, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
        assert_eq!(workdir.file_names(), ["in.csv"]);
    }
}

#[test]
fn expect_works_without_a_header_in_other_encodings_and_for_workbooks() {
    let workdir = Workdir::new();
    let sandbox = || {
        let mut command = dingmap();
        command.args(["resolve", "--sandbox"]);
        command
    };
    let input =
        workdir.write_file("bare.csv", "13800138000;u00138000\n13800138001\n13800138090;x\n");
    let output = workdir.path("bare.out.csv");
    let ended =
        run(sandbox().arg(&input).arg("-o").arg(&output).args(["-n", "-c", "1", "--expect", "2"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let text = fs::read_to_string(&output).unwrap();
    assert_eq!(
        text,
        "13800138000;u00138000;u00138000;;found;0;ok;match\n13800138001;;u00138001;;found;0;ok;\n\
         13800138090;x;;;not_found;60121;找不到该用户;missing\n"
    );
    // 手机,工号 in GB18030.
    let input =
        workdir.write_file("gb.csv", b"\xca\xd6\xbb\xfa,\xb9\xa4\xba\xc5\n13800138000,u00138000\n");
    let output = workdir.path("gb.out.csv");
    let mut command = sandbox();
    let ended =
        run(command.arg(&input).arg("-o").arg(&output).args(["-e", "gbk", "--expect", "工号"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        fs::read(&output)
            .unwrap()
            .ends_with(b"13800138000,u00138000,u00138000,,found,0,ok,match\n")
    );
    // The staff numbers of the sample are no user ids, so that nothing matches.
    let output = workdir.path("sheet.csv");
    let mut command = sandbox();
    command.args(["--rate", "unlimited", "--max-retries", "0", "--expect", "工号"]);
    let ended = run(command.arg(sample_path("staff.xlsx")).arg("-o").arg(&output));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let actual = "\nexpected: match 0, mismatch 18, rounded 0, missing 7; not compared 0\n";
    assert!(ended.stderr.contains(actual), "{}", ended.stderr);
    for row in read_rows(&output) {
        let word = if row["status"] == "found" { "mismatch" } else { "missing" };
        assert_eq!(row["expected"], word, "{row:?}");
    }
}
