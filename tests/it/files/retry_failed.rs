//! `--retry-failed`: of a resolved file, only the rows that may succeed on another try are asked,
//! and the file is rewritten in place.

use std::fs;
use std::path::Path;
use std::process::Command;

use dingmap::testing::sandbox::ScriptedAnswer;
use serde_json::json;

use crate::support::compression::gzip;
use crate::support::process::{Process, wait_until};
use crate::support::rows::{read_rows, staff_csv};
use crate::support::sandbox::{Sandbox, run, slow_script, unlimited_script};
use crate::support::schema::read_summary;
use crate::support::workdir::Workdir;

mod columns;
mod in_place;

/// `dingmap resolve FILE --retry-failed` against this sandbox: without `-o`, in place.
fn retry_command(api: &Sandbox, file: &Path) -> Command {
    let mut command = api.resolve_without_output(&api.endpoint(), file);
    command.arg("--retry-failed");
    command
}

/// How many calls the server saw so far, and so the place of the next one.
fn call_count(api: &Sandbox) -> u64 {
    u64::try_from(api.call_log().calls().len()).unwrap()
}

fn found_answer(userid: &str) -> ScriptedAnswer {
    ScriptedAnswer::Json(format!(
        "{{\"errcode\":0,\"errmsg\":\"ok\",\"result\":{{\"userid\":\"{userid}\"}}}}"
    ))
}

/// The numbers ending in 94 are busy through every retry, those in 99 get a code that nobody knows,
/// 90 is nobody's.
const TABLE: &[u8] = b"\xef\xbb\xbfstatus,mobile,note\r\n\
    1,13800138000,\"a, \"\"b\"\"\"\r\n\r\n2,13800138094,\"two\r\nlines\"\r\n3,13800138090\r\n\
    4,n/a,x\r\n5,13800138099,\"\"\r\n6,138-0013-8094,last";

/// The same with the answers of a first run.
const RESOLVED: &str = "\u{feff}status,mobile,note,userid,exclusive_userids,dingtalk_status,\
    errcode,errmsg\r\n\
    1,13800138000,\"a, \"\"b\"\"\",u00138000,,found,0,ok\r\n\r\n\
    2,13800138094,\"two\r\nlines\",,,failed,-1,系统繁忙\r\n\
    3,13800138090,,,,not_found,60121,找不到该用户\r\n\
    4,n/a,x,,,invalid,,no number: the cell says that there is none\r\n\
    5,13800138099,\"\",,,failed,34567,未知错误\r\n\
    6,138-0013-8094,last,,,failed,-1,系统繁忙";

#[test]
fn empty_rows_are_kept_and_hand_edited_statuses_are_accepted() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let header = "mobile,userid,exclusive_userids,status,errcode,errmsg\n";
    let text = format!("{header}13800138000,,, FAILED ,-1,x\n13800138001,u,,Found,0,ok\n,,,,,\n");
    let file = workdir.write_file("out.csv", text);
    let ended = run(&mut retry_command(&api, &file));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let expected = "13800138000,u00138000,,found,0,ok\n13800138001,u,,Found,0,ok\n,,,,,\n";
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{header}{expected}"));
    assert_eq!(call_count(&api), 1);
}

#[test]
fn rows_whose_user_id_a_spreadsheet_rounded_are_asked_again() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let header = "mobile,userid,exclusive_userids,status,errcode,errmsg\n";
    let text = format!(
        "{header}13800000021,4.68626E+15,,found,0,ok\n13800000022,u,,found,0,ok\n\
         13800000023,u3,1E+15,found,0,ok\n13800000024,4686258351064370,,found,0,ok\n\
         13800000025,4686258351064371,,found,0,ok\n"
    );
    let file = workdir.write_file("out.csv", &text);
    // A row that is not asked is still open, and keeps its cells.
    let ended = run(retry_command(&api, &file).args(["--max-calls", "1"]));
    assert_eq!(ended.status, Some(6), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 row is still pending"), "{}", ended.stderr);
    let first = text.replace("4.68626E+15", "u00000021");
    assert_eq!(fs::read_to_string(&file).unwrap(), first);
    let ended = run(&mut retry_command(&api, &file));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let warning = "in 1 row, a spreadsheet rounded the user id when it saved the file";
    assert!(ended.stderr.contains(warning), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), first.replace("u3,1E+15", "u00000023,"));
    assert_eq!(call_count(&api), 2);
}

#[test]
fn rounded_user_ids_written_in_full_are_asked_again() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let header = "mobile,userid,exclusive_userids,status,errcode,errmsg\n";
    let text = format!(
        "{header}13800000021,123456789012345000,,found,0,ok\n\
         13800000022,u;123456789012346000,,found,0,ok\n13800000023,123450,,found,0,ok\n\
         13800000024,,123456789012347000,not_found,0,ok\n"
    );
    let file = workdir.write_file("out.csv", &text);
    let ended = run(&mut retry_command(&api, &file));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let warning = "in 2 rows, a spreadsheet rounded the user id when it saved the file";
    assert!(ended.stderr.contains(warning), "{}", ended.stderr);
    let again = text
        .replace("123456789012345000", "u00000021")
        .replace("u;123456789012346000", "u00000022");
    assert_eq!(fs::read_to_string(&file).unwrap(), again);
    assert_eq!(call_count(&api), 2);
    // Another id of the file has all its digits: no spreadsheet rounded them.
    let text = text + "13800000025,123456789012345678,,found,0,ok\n";
    let file = workdir.write_file("whole.csv", &text);
    // The state has other ids of these numbers now.
    let ended = run(retry_command(&api, &file).arg("--no-state"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert_eq!(call_count(&api), 2);
}

#[test]
fn only_failed_rows_are_asked_and_every_other_byte_is_kept() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, file) = (workdir.write_file("in.csv", TABLE), workdir.path("out.csv"));
    let ended = run(api.resolve(&input, &file).args(["--max-retries", "0"]));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let first = fs::read_to_string(&file).unwrap();
    let same = |text: &str| {
        text.lines().filter(|line| !line.contains("failed")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(same(&first), same(RESOLVED));
    let actual = format!(
        "3 rows failed; to ask them again, run: dingmap resolve {} --endpoint ",
        file.display()
    );
    assert!(ended.stderr.contains(&actual), "{}", ended.stderr);
    let asked = call_count(&api);
    // Still busy: two numbers are asked, once each although one is in two rows, and nothing
    // changes.
    let ended = run(retry_command(&api, &file).args(["--max-retries", "0"]));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), first);
    assert_eq!(call_count(&api), asked + 2);
    assert!(ended.stderr.contains(", 3 rows kept as they were\n"), "{}", ended.stderr);
    for line in [
        "found                1",
        "not_found            1",
        "invalid              1",
        "failed               3",
    ] {
        assert!(ended.stderr.contains(line), "{line}: {}", ended.stderr);
    }
    // Now one of them is somebody's, and the other nobody's.
    api.update_script(|script| {
        script
            .answers_by_call
            .insert(asked + 2, ScriptedAnswer::Code { code: 60121, msg: "gone".to_owned() });
        script.answers_by_call.insert(asked + 3, found_answer("new, \\\"id\\\""));
    });
    let summary = workdir.path("run.json");
    let ended = run(retry_command(&api, &file).args(["-j", "1", "--show-sent"]));
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("has no column mobile_sent"), "{}", ended.stderr);
    let ended = run(retry_command(&api, &file).args(["-j", "1", "--summary"]).arg(&summary));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let expected = first
        .replace(",,,failed,-1,系统繁忙", ",,,not_found,60121,gone")
        .replace("\"\",,,failed,34567,未知错误", "\"\",\"new, \"\"id\"\"\",,found,0,ok");
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    let account = read_summary(&summary);
    assert_eq!(
        account["numbers"],
        json!({"asked": 2, "rows_shared": 1, "rows_known": 0, "rows_kept": 3})
    );
    assert_eq!((&account["rows"]["in"], &account["rows"]["out"]), (&json!(6), &json!(6)));
    assert_eq!(workdir.file_names(), ["in.csv", "out.csv", "run.json"]);
}

#[test]
fn a_file_without_failed_rows_is_not_touched() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, file, summary) = (
        workdir.write_file("in.csv", staff_csv(5)),
        workdir.path("out.csv"),
        workdir.path("run.json"),
    );
    assert_eq!(run(&mut api.resolve(&input, &file)).status, Some(0));
    let (asked, before) = (call_count(&api), fs::metadata(&file).unwrap().modified().unwrap());
    // Not even credentials are needed.
    let mut command = retry_command(&api, &file);
    command.env_remove("DINGTALK_APP_KEY").env_remove("DINGTALK_APP_SECRET");
    let ended = run(command.arg("--summary").arg(&summary));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("nothing to retry apart from the rows without a record"),
        "{}",
        ended.stderr
    );
    assert_eq!(call_count(&api), asked);
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
    let account = read_summary(&summary);
    assert_eq!(
        (&account["rows"]["found"], &account["numbers"]["rows_kept"]),
        (&json!(5), &json!(5))
    );
    // Elsewhere it is written all the same, and to the byte.
    let other = workdir.path("other.csv");
    let ended = run(retry_command(&api, &file).arg("-o").arg(&other));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(fs::read(&other).unwrap(), fs::read(&file).unwrap());
    assert_eq!(call_count(&api), asked);
}

#[test]
fn pending_rows_are_resolved_by_a_retry() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, file) = (workdir.write_file("in.csv", staff_csv(9)), workdir.path("out.csv"));
    let ended = run(api.resolve(&input, &file).args(["--max-calls", "3", "-j", "1"]));
    assert_eq!(ended.status, Some(6), "{}", ended.stderr);
    for (status, pending) in [(6, 3), (0, 0)] {
        let ended = run(retry_command(&api, &file).args(["--max-calls", "3", "-j", "1"]));
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        let open = read_rows(&file).into_iter().filter(|row| row["status"] == "pending").count();
        assert_eq!(open, pending);
    }
    let whole = workdir.path("whole.csv");
    assert_eq!(run(&mut api.resolve(&input, &whole)).status, Some(0));
    assert_eq!(fs::read(&file).unwrap(), fs::read(&whole).unwrap());
}

#[test]
fn a_run_that_is_stopped_leaves_the_file_as_it_was() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let file = workdir.write_file("out.csv", RESOLVED);
    api.update_script(|script| {
        script.answers_by_call.insert(0, ScriptedAnswer::code(60011));
    });
    let ended = run(retry_command(&api, &file).args(["-j", "1"]));
    assert_eq!(ended.status, Some(5), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&file).unwrap(), RESOLVED);
    assert_eq!(workdir.file_names(), ["out.csv"]);
}

#[test]
fn answer_cells_are_updated_in_any_column_order() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    // A spreadsheet has moved columns and left cells out at the end of rows; mobile_sent is the
    // table's own, and dingtalk_mobile_sent the answer's.
    let header = "status;mobile_sent;tel;phone;errcode;errmsg;userid;exclusive_userids;\
        matched_column;dingtalk_mobile_sent";
    let file = workdir.write_file(
        "out.csv",
        format!(
            "{header}\nfailed;mine;n/a;13800138001;-1;busy;;;;\n\"pending\";mine;13800138090\n\
             found;mine;;13800138003;0;ok;theirs;;phone;0\nfailed;mine;13800138004\nfailed"
        ),
    );
    let ended = run(retry_command(&api, &file).args(["-c", "tel", "-c", "phone"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let expected = format!(
        "{header}\nfound;mine;n/a;13800138001;0;ok;u00138001;;phone;13800138001\n\
         not_found;mine;13800138090;;60121;找不到该用户;;;;13800138090\n\
         found;mine;;13800138003;0;ok;theirs;;phone;0\n\
         found;mine;13800138004;;0;ok;u00138004;;tel;13800138004\n\
         invalid;;;;;the cell is empty;;;;"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
}

#[test]
fn every_encoding_keeps_the_bytes_of_the_other_cells() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let text =
        "姓名|手机|备注\n張三|13800138001|峾|x\n李四|13800138094|\"育|ポ\"\n王五|13800138090|\n"
            .replace("|x\n", "\n");
    for encoding in ["utf-16le", "utf-16be", "gb18030", "big5"] {
        let text =
            if encoding == "big5" { text.replace(['姓', '峾'], "名") } else { text.clone() };
        let (utf8, input, file) = (
            workdir.write_file("utf8.csv", &text),
            workdir.path("in.csv"),
            workdir.path("out.csv"),
        );
        // A table in this encoding, written by a run; what it appended is part of the table from
        // then on.
        let mut command = api.resolve(&utf8, &input);
        let ended =
            run(command.args(["-d", "|", "--max-retries", "0", "--output-encoding", encoding]));
        assert_eq!(ended.status, Some(4), "{encoding}: {}", ended.stderr);
        let mut command = api.resolve(&input, &file);
        let ended =
            run(command.args(["-d", "|", "-e", encoding, "-c", "手机", "--max-retries", "0"]));
        assert_eq!(ended.status, Some(4), "{encoding}: {}", ended.stderr);
        let before = fs::read(&file).unwrap();
        let asked = call_count(&api);
        api.update_script(|script| {
            script.answers_by_call.insert(asked, found_answer("新人"));
        });
        let ended = run(retry_command(&api, &file).args(["-d", "|", "-e", encoding, "-c", "手机"]));
        assert_eq!(ended.status, Some(0), "{encoding}: {}", ended.stderr);
        let encoded = |text: &str| {
            let mut bytes = Vec::new();
            encoding.parse::<dingmap::testing::table::Encoding>().unwrap().encode(text, &mut bytes);
            bytes
        };
        // The second set of answers is the run's, the first one a part of the table.
        let (old, new) = (encoded("|failed|-1|系统繁忙\n王五"), encoded("|found|0|ok\n王五"));
        let at = before.windows(old.len()).position(|window| window == old).unwrap();
        let ids = encoded("||").len();
        let expected =
            [&before[..at - ids], &*encoded("|新人|"), &*new, &before[at + old.len()..]].concat();
        let after = fs::read(&file).unwrap();
        assert!(after == expected, "{encoding}: {}", String::from_utf8_lossy(&after));
    }
}

#[test]
fn a_file_without_answers_is_rejected_with_a_remedy() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let bare = "13800138000,u1,,found,0,ok\n13800138001,,,failed,-1,busy\n";
    for (name, content, flags, status, words) in [
        ("a.csv", staff_csv(3), &[][..], 3, "there is no column \"userid\""),
        ("b.csv", bare.to_owned(), &[], 3, "put a line with the names of all 6 columns above it"),
        (
            "c.csv",
            RESOLVED.replace(",invalid,", ",perhaps,"),
            &[],
            3,
            "line 7: invalid status \"perhaps\" in column 6",
        ),
        (
            "d.csv",
            RESOLVED.replace("last,", "last,more,"),
            &[],
            3,
            "give the first row as many cells",
        ),
        ("e.csv", RESOLVED.to_owned(), &["--flexible"], 2, "remove --flexible"),
        ("f.csv", RESOLVED.to_owned(), &["-n"], 2, "remove --no-headers"),
        ("g.csv", RESOLVED.to_owned(), &["--expect", "note"], 3, "there is no column \"expected\""),
    ] {
        let file = workdir.write_file(name, &content);
        let ended = run(retry_command(&api, &file).args(flags));
        assert_eq!(ended.status, Some(status), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{name}: {}", ended.stderr);
        assert!(
            !ended.stderr.contains("cannot be used with --flexible") || status == 2,
            "{name}: {}",
            ended.stderr
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), content, "{name}");
    }
    assert!(api.call_log().calls().is_empty());
    // Into another file, a compressed one is unpacked.
    let packed = workdir.write_file("h.csv.gz", gzip(RESOLVED.as_bytes()));
    let ended = run(retry_command(&api, &packed)
        .args(["--max-retries", "0", "-o"])
        .arg(workdir.path("h.csv")));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
}

#[test]
fn a_piped_retry_streams_rows_and_reports_the_bad_line() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let piped = |content: &str| {
        let input = workdir.write_file("piped.csv", content);
        let mut command = retry_command(&api, Path::new("-"));
        command.stdin(fs::File::open(input).unwrap());
        run(command.args(["--max-retries", "0"]))
    };
    let ended = piped(RESOLVED);
    assert_eq!((ended.status, &*ended.stdout), (Some(4), RESOLVED), "{}", ended.stderr);
    let ended = piped(&RESOLVED.replace(",invalid,", ",perhaps,"));
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("line 7: invalid status "), "{}", ended.stderr);
}

#[test]
fn rows_that_fail_again_are_written_to_failed() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (file, failed) = (workdir.write_file("out.csv", RESOLVED), workdir.path("failed.csv"));
    let ended =
        run(retry_command(&api, &file).args(["--max-retries", "0", "--failed"]).arg(&failed));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    // With its answers, so that it can be tried again in turn.
    let text = fs::read_to_string(&failed).unwrap();
    assert_eq!(text.matches("failed").count(), 3, "{text}");
    assert!(text.starts_with("\u{feff}status,mobile,note,userid,"), "{text}");
    let ended = run(retry_command(&api, &failed).args(["--max-retries", "0"]));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&failed).unwrap(), text);
}

#[test]
fn an_interrupted_retry_keeps_the_file_and_resumes() {
    let (api, workdir) = (Sandbox::new(slow_script(50)), Workdir::new());
    let (input, file) = (workdir.write_file("in.csv", staff_csv(40)), workdir.path("out.csv"));
    let ended = run(api.resolve(&input, &file).args(["--max-calls", "4", "-j", "1"]));
    assert_eq!(ended.status, Some(6), "{}", ended.stderr);
    let (before, asked) = (fs::read(&file).unwrap(), call_count(&api));
    let mut command = retry_command(&api, &file);
    let mut process = Process::start(command.args(["-j", "1"]));
    wait_until("calls", || (call_count(&api) >= asked + 10).then_some(()));
    process.send_signal("INT");
    let ended = process.wait();
    assert_eq!(ended.status, Some(130), "{}", ended.stderr);
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(workdir.file_names(), ["in.csv", "out.csv"]);
    let known = call_count(&api) - asked;
    let ended = run(&mut retry_command(&api, &file));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        ended.stderr.contains(&format!("resuming: {known} of at most 40 numbers")),
        "{}",
        ended.stderr
    );
    // Nothing is asked twice, over all three runs.
    assert_eq!((call_count(&api), api.call_log().distinct_numbers()), (40, 40));
    assert!(read_rows(&file).iter().all(|row| row["status"] == "found"));
}
