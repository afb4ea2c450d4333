//! Runs in Chinese have the same rows, statuses and exit statuses as in English; messages differ.

use std::path::Path;
use std::process::Command;

use dingmap::testing::sandbox::DirectoryEntry;
use dingmap::testing::sandbox::ScriptedAnswer;

use crate::support::rows::{read_rows, staff_csv};
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

const COMPARED_COLUMNS: [&str; 4] = ["userid", "exclusive_userids", "status", "errcode"];

/// Every ending for which the sandbox has a rule, and every kind of cell that is not sent.
const CELLS: [&str; 22] = [
    "13900000001",
    "13900000090",
    "13900000091",
    "13900000092",
    "13900000093",
    "13900000096",
    "13900000097",
    "13900000098",
    "13900000099",
    "13900000090/13900000002",
    "12/13900000003",
    "",
    "1.38E+10",
    "n/a",
    "13800138.5",
    "1380013",
    "138001380001",
    "010-62345678",
    "400-800-8000",
    "+999 12345678",
    "+852 00000000",
    "0571/010",
];

fn has_chinese(text: &str) -> bool {
    text.chars().any(|sign| ('\u{4e00}'..='\u{9fff}').contains(&sign))
}

fn run_and_expect(command: &mut Command, status: i32, words: &[&str]) -> RunOutput {
    let ended = run(command);
    assert_eq!(ended.status, Some(status), "{}", ended.stderr);
    for word in words {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
    ended
}

#[test]
fn chinese_rows_differ_only_in_dingmaps_own_messages() {
    let workdir = Workdir::new();
    let input = workdir.write_file(
        "in.csv",
        format!("手机号,备注\n{},\n", CELLS.map(|cell| format!("\"{cell}\"")).join(",\n")),
    );
    let output = |name: &str, lang: &str| {
        let (api, path) = (Sandbox::new(unlimited_script()), workdir.path(name));
        run_and_expect(api.resolve(&input, &path).env("LC_ALL", "").env("LANG", lang), 4, &[]);
        (std::fs::read_to_string(&path).unwrap(), read_rows(&path))
    };
    let (english, in_english) = output("en.csv", "en_GB.UTF-8");
    let (chinese, in_chinese) = output("zh.csv", "zh_CN.UTF-8");
    assert_eq!(english.lines().next(), chinese.lines().next(), "the columns' names");
    assert_eq!((in_english.len(), in_chinese.len()), (CELLS.len(), CELLS.len()));
    let mut ours = 0;
    for (cell, (english, chinese)) in CELLS.iter().zip(in_english.iter().zip(&in_chinese)) {
        for column in COMPARED_COLUMNS {
            assert_eq!(english[column], chinese[column], "{column} of {cell}");
        }
        let (actual, wording) = (&english["errmsg"], &chinese["errmsg"]);
        // The API's own messages stay as they came, in whatever language.
        let sent = english["status"] != "invalid";
        if sent && !cell.contains('/') && DirectoryEntry::for_number(cell) != DirectoryEntry::Empty
        {
            assert_eq!(actual, wording, "{cell}");
        } else {
            assert!(
                !has_chinese(&actual.replace("找不到该用户", "")) && has_chinese(wording),
                "{cell}: {actual} | {wording}"
            );
            ours += 1;
        }
    }
    assert_eq!(ours, 14);
    let reason = |at: usize| &*in_chinese[at]["errmsg"];
    assert_eq!(reason(11), "单元格为空");
    assert_eq!(reason(12), "1.38E+10：Excel 已将该号码四舍五入，请从数据源恢复");
    assert_eq!(reason(15), "位数太少：7 位；大陆手机号为 11 位，其他号码需带国家/地区码");
    assert!(reason(9).ends_with("（单元格中共 2 个号码，此为第一个）"), "{}", reason(9));
}

#[test]
fn a_stored_reason_is_printed_in_the_language_of_the_run() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (input, path) =
        (workdir.write_file("in.csv", "mobile\n13900000098\n"), workdir.path("out.csv"));
    run_and_expect(api.resolve(&input, &path).args(["--lang", "zh"]), 0, &[]);
    assert_eq!(read_rows(&path)[0]["errmsg"], "接口返回成功，但没有给出用户");
    run_and_expect(
        api.resolve(&input, &path).args(["--max-age", "1d", "--max-age-not-found", "1d"]),
        0,
        &[],
    );
    assert_eq!(read_rows(&path)[0]["errmsg"], "the API answered ok and named no user");
    assert_eq!(api.call_log().calls().len(), 1, "it was known");
}

#[test]
fn an_unreadable_input_is_reported_in_chinese() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let actual = |content: &[u8], flags: &[&str], words: &[&str]| {
        let input = workdir.write_file("in.csv", content);
        let mut command = api.resolve(&input, &workdir.path("out.csv"));
        run_and_expect(command.args(["--lang", "zh"]).args(flags), 3, words);
    };
    actual(b"", &[], &["输入为空"]);
    actual(
        "姓名,手机\n张三,138\n".as_bytes(),
        &["-c", "电话"],
        &["第 1 行：没有名为“电话”的列", "--column", "1 姓名"],
    );
    actual("a,b\n1,2\n".as_bytes(), &[], &["没有找到手机号列", "--column"]);
    actual("a,b\n1,2\n".as_bytes(), &["-c", "7"], &["没有第 7 列：文件共有 2 列"]);
    actual(
        "a,b\n1,2,3\n".as_bytes(),
        &["-c", "1"],
        &["第 2 行：此行有 3 个单元格，而第一行有 2 个", "--flexible"],
    );
    actual(
        b"mobile\n13900000001\n\xff\xff\n",
        &["-e", "UTF-8"],
        &["第 3 行", "字节 0xFF 不是 UTF-8", "--lossy-cells"],
    );
    actual(b"mobile\n\"13900000001\n", &[], &["第 2 行", "引号"]);
    actual(b"PK\x03\x04 and no archive", &[], &["工作簿已损坏或不完整"]);
    assert_eq!(api.call_log().calls().len(), 0);
    // Values of flags too, and every source of the language.
    let input = workdir.write_file("in.csv", staff_csv(1));
    let rate = |command: &mut Command| {
        command.args(["--rate", "fast"]);
        run(command).stderr.contains("无效的速率“fast”")
    };
    let resolve = || api.resolve(&input, &workdir.path("out.csv"));
    assert!(rate(resolve().args(["--lang", "zh"])) && rate(resolve().env("DINGMAP_LANG", "zh")));
    assert!(rate(resolve().env_remove("LC_ALL").env("LANG", "zh_CN.UTF-8")));
    assert!(!rate(resolve().env("LANG", "zh_CN.UTF-8")), "LC_ALL=C comes first");
}

#[test]
fn an_unusable_state_is_reported_in_chinese() {
    let workdir = Workdir::new();
    let inspect = |state: &Path| {
        let mut command = dingmap();
        command
            .env_remove("DINGMAP_NO_STATE")
            .args(["--lang", "zh", "state", "info", "--state"])
            .arg(state);
        run(&mut command)
    };
    for (content, words) in [
        (&b"redb\x1a"[..], "文件已损坏：文件不完整"),
        (&[0; 2000], "文件已损坏：文件头丢失"),
        (b"mobile\n13900000001\n", "这不是 dingmap 的状态文件"),
    ] {
        let ended = inspect(&workdir.write_file("state", content));
        assert!(ended.status == Some(1) && ended.stderr.contains(words), "{words}: {ended:?}");
    }
    let ended = inspect(&workdir.path("none"));
    assert!(ended.stderr.contains("没有此文件"), "{}", ended.stderr);
    let state = workdir.write_file("state", "");
    let lock = std::fs::File::create(workdir.write_file("state.lock", "")).unwrap();
    lock.lock().unwrap();
    std::fs::write(workdir.path("state.lock"), "4711").unwrap();
    let ended = inspect(&state);
    assert!(ended.status == Some(1) && ended.stderr.contains("正被进程 4711 使用"), "{ended:?}");
}

#[test]
fn a_fatal_reply_keeps_the_apis_message_and_pending_rows_are_chinese() {
    let (mut script, workdir) = (unlimited_script(), Workdir::new());
    script.always = Some(ScriptedAnswer::code(60011));
    let (api, path) = (Sandbox::new(script), workdir.path("out.csv"));
    let input = workdir.write_file("in.csv", staff_csv(3));
    run_and_expect(
        api.resolve(&input, &path).args(["--lang", "zh", "--partial"]),
        5,
        &["scripted code 60011"],
    );
    for row in read_rows(&path) {
        assert_eq!((&*row["status"], &*row["errmsg"]), ("pending", "尚未查询：运行提前停止"));
    }
    // A host that is not there, whose error comes from the connection and not from the API.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = api.resolve_at_endpoint(&format!("http://{nobody}"), &input, &path);
    run_and_expect(
        command.args(["--lang", "zh", "--max-retries", "0"]),
        1,
        &["无法连接：连接被拒绝"],
    );
}
