//! `--excel-safe`: what a spreadsheet would change when it opens the output, and that dingmap reads
//! the protected cells as the cells that they protect.

use std::fs;
use std::path::Path;

use dingmap::testing::sandbox::{Script, ScriptedAnswer};

use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::workbook::build_workbook;
use crate::support::workdir::Workdir;

const LONG_ID: &str = "04686258351064375";
const ANSWERS: &str = "userid,exclusive_userids,status,errcode,errmsg";

/// A server that answers one number with this user id.
fn answer_with_id(script: &mut Script, number: &str, id: &str) {
    let reply = format!(r#"{{"errcode":0,"errmsg":"ok","result":{{"userid":"{id}"}}}}"#);
    script.push_answers(number, vec![ScriptedAnswer::Json(reply); 3]);
}

fn long_id_api() -> Sandbox {
    let mut script = unlimited_script();
    answer_with_id(&mut script, "13800000021", LONG_ID);
    Sandbox::new(script)
}

fn resolve(api: &Sandbox, input: &Path, output: &Path, flags: &[&str]) -> RunOutput {
    run(api.resolve(input, output).arg("--no-state").args(flags))
}

#[test]
fn an_id_that_excel_rounds_is_protected_in_the_output_of_a_workbook() {
    let (api, workdir) = (long_id_api(), Workdir::new());
    let cells = r#"<row r="1"><c t="str"><v>姓名</v></c><c t="str"><v>手机号</v></c></row>
        <row r="2"><c t="str"><v>甲</v></c><c><v>13800000021</v></c></row>"#;
    let input = workdir.write_file("staff.xlsx", build_workbook(&[("Sheet", "visible", cells)]));
    let output = workdir.path("out.csv");
    let ended = resolve(&api, &input, &output, &["--excel-safe"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(
        fs::read_to_string(&output).unwrap(),
        format!("\u{feff}姓名,手机号,{ANSWERS}\r\n甲,13800000021,'{LONG_ID},,found,0,ok\r\n")
    );
}

#[test]
fn new_cells_that_a_spreadsheet_changes_get_an_apostrophe() {
    for (id, expected) in [
        ("0123", "'0123"),
        ("123456789012", "'123456789012"),
        ("12345678901", "12345678901"),
        ("1e5", "'1e5"),
        ("2026-11", "'2026-11"),
        ("＝1+1", "'＝1+1"),
        ("\\n=1+1", "\"'\n=1+1\""),
        ("manager7721", "manager7721"),
        ("'0123", "''0123"),
    ] {
        let mut script = unlimited_script();
        answer_with_id(&mut script, "13800000021", id);
        let (api, workdir) = (Sandbox::new(script), Workdir::new());
        // The input's own cells stay as they are.
        let input = workdir.write_file("in.csv", "0007,mobile\n=1+1,13800000021\n");
        let output = workdir.path("out.csv");
        let ended = resolve(&api, &input, &output, &["--excel-safe", "-c", "mobile"]);
        assert_eq!(ended.status, Some(0), "{id}: {}", ended.stderr);
        let text = fs::read_to_string(&output).unwrap();
        assert_eq!(
            text,
            format!("0007,mobile,{ANSWERS}\n=1+1,13800000021,{expected},,found,0,ok\n"),
            "{id}"
        );
    }
}

#[test]
fn diff_and_expect_read_protected_ids_as_the_plain_ones() {
    let (api, workdir) = (long_id_api(), Workdir::new());
    let input = workdir.write_file("in.csv", "mobile\n13800000021\n13900000001\n");
    let (plain, safe) = (workdir.path("plain.csv"), workdir.path("safe.csv"));
    resolve(&api, &input, &plain, &[]);
    resolve(&api, &input, &safe, &["--excel-safe"]);
    assert_ne!(fs::read(&plain).unwrap(), fs::read(&safe).unwrap());
    let ended = run(dingmap().arg("diff").args([&plain, &safe]));
    assert_eq!(ended.status, Some(0), "{}{}", ended.stdout, ended.stderr);
    let on_file = workdir.write_file("ids.csv", format!("mobile,id\n13800000021,'{LONG_ID}\n"));
    let output = workdir.path("compared.csv");
    let ended = resolve(&api, &on_file, &output, &["--expect", "id"]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(fs::read_to_string(&output).unwrap().ends_with(",match\n"));
}

#[test]
fn retry_failed_and_merge_accept_protected_cells() {
    let mut script = unlimited_script();
    answer_with_id(&mut script, "13800000021", LONG_ID);
    let busy = ScriptedAnswer::code(-1);
    script.push_answers("13900000001", vec![busy]);
    let (api, workdir) = (Sandbox::new(script), Workdir::new());
    let input = workdir.write_file("in.csv", "mobile\n13800000021\n13900000001\n");
    let output = workdir.path("out.csv");
    let flags = ["--excel-safe", "--max-retries", "0"];
    let ended = resolve(&api, &input, &output, &flags);
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    let first_row = format!("13800000021,'{LONG_ID},,found,0,ok\n");
    let text = fs::read_to_string(&output).unwrap();
    assert!(text.contains(&first_row) && text.contains(",failed,'-1,"), "{text}");
    let mut again = api.resolve_without_output(&api.endpoint(), &output);
    let ended = run(again.args(["--no-state", "--retry-failed"]).args(flags));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let text = fs::read_to_string(&output).unwrap();
    assert!(text.contains(&first_row) && text.ends_with(",found,0,ok\n"), "{text}");
    for shard in ["0", "1"] {
        let part = workdir.path(format!("part.{shard}-of-2.csv"));
        let ended =
            resolve(&api, &input, &part, &["--excel-safe", "--shard", &format!("{shard}/2")]);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    }
    let merged = workdir.path("merged.csv");
    let mut command = dingmap();
    command
        .arg("merge")
        .arg(&input)
        .args(["part.0-of-2.csv", "part.1-of-2.csv"].map(|name| workdir.path(name)));
    let ended = run(command.arg("-o").arg(&merged));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&merged).unwrap(), text);
}
