//! `diff`: two files that `resolve` wrote, against each other.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::compression::gzip;
use crate::support::process::wait_until;
use crate::support::rows::staff_csv;
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

mod inputs;
mod oracle;

const DIFF_HEADER: &str =
    "change,key,old_userid,new_userid,old_status,new_status,old_line,new_line\n";

/// `dingmap diff OLD NEW`.
fn diff_command(old: &Path, new: &Path) -> Command {
    let mut command = dingmap();
    command.arg("diff").arg(old).arg(new);
    command
}

/// A resolved table: rows of number, user id and status.
fn resolved_table(rows: &[(&str, &str, &str)]) -> String {
    rows.iter()
        .fold("mobile,userid,exclusive_userids,status,errcode,errmsg\n".to_owned(), |text, row| {
            text + &format!("{},{},,{},0,ok\n", row.0, row.1, row.2)
        })
}

/// How many rows the summary tells of a kind.
#[track_caller]
fn summary_count(ended: &RunOutput, kind: &str) -> u64 {
    let line =
        ended.stderr.lines().find(|line| line.split_whitespace().next() == Some(kind)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn each_difference_is_a_row_and_is_counted() {
    let workdir = Workdir::new();
    let old = resolved_table(&[
        ("13800138000", "same", "found"),
        ("13800138001", "gone", "found"),
        ("13800138002", "before", "found"),
        ("13800138003", "lost", "found"),
        ("13800138004", "", "not_found"),
        ("13800138005", "u5", "found"),
        ("13800138006", "", "pending"),
        ("13800138007", "scope", "found"),
        ("13800138008", "", "failed"),
        ("n/a", "", "invalid"),
    ]);
    let new = resolved_table(&[
        ("+86 138-0013-8002", "after", "found"),
        ("13800138003", "", "not_found"),
        ("13800138000", "same", "found"),
        ("13800138004", "gained", "found"),
        ("13800138005", "", "failed"),
        ("13800138006", "u6", "found"),
        ("13800138007", "", "out_of_scope"),
        ("13800138009", "new", "found"),
        ("13800138010", "same", "found"),
        ("13800138011", "", "pending"),
    ]);
    let (old, new) = (workdir.write_file("old.csv", old), workdir.write_file("new.csv", new));
    let ended = run(&mut diff_command(&old, &new));
    assert_eq!(ended.status, Some(10), "{}", ended.stderr);
    let expected = "\
removed,13800138001,gone,,found,,3,
changed,13800138002,before,after,found,found,4,2
lost,13800138003,lost,,found,not_found,5,3
gained,13800138004,,gained,not_found,found,6,5
lost,13800138007,scope,,found,out_of_scope,9,8
removed,13800138008,,,failed,,10,
added,13800138009,,new,,found,,9
added,13800138010,,same,,found,,10
added,13800138011,,,,pending,,11
shared_userid,13800138000,,same,,found,,4
shared_userid,13800138010,,same,,found,,10
";
    assert_eq!(ended.stdout, DIFF_HEADER.to_owned() + expected);
    for (kind, count) in [
        ("added", 3),
        ("removed", 2),
        ("changed", 1),
        ("lost", 2),
        ("gained", 1),
        ("shared_userid", 2),
        ("shared_number", 0),
        ("same", 1),
        ("unknown", 2),
    ] {
        assert_eq!(summary_count(&ended, kind), count, "{kind}: {}", ended.stderr);
    }
    assert!(
        ended.stderr.contains(
            "\nchanged, lost or removed: 5 of 10 rows (50.00 %)\ncould not \
        be compared: 2 of 10 rows (20.00 %); resolve --retry-failed asks them again\n"
        ),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("old.csv: rows without a key, skipped: 1 (line 11)"));
    assert!(
        !ended.stderr.contains("1380013"),
        "numbers stand in the output alone: {}",
        ended.stderr
    );
}

#[test]
fn an_id_that_a_spreadsheet_rounded_is_not_another_user_id() {
    let workdir = Workdir::new();
    let old = resolved_table(&[
        ("13800000021", "04686258351064375", "found"),
        ("13800000022", "1152663019775521", "found"),
        ("13800000023", "manager7721", "found"),
        ("13800000024", "0042", "found"),
        ("13800000025", "1152663019775521", "found"),
        ("13800000026", "manager7722", "found"),
    ]);
    // As Excel saves it, in General and with the format 0.
    let new = resolved_table(&[
        ("13800000021", "4.68626E+15", "found"),
        ("13800000022", "1152663019775520", "found"),
        ("13800000023", "manager7721", "found"),
        ("13800000024", "42", "found"),
        ("13800000025", "1.15266E+15", "found"),
        // Provably another person.
        ("13800000026", "4.68626E+15", "found"),
    ]);
    let (old, new) = (workdir.write_file("mon.csv", old), workdir.write_file("tue.csv", new));
    let ended = run(diff_command(&old, &new).args(["--max-change", "80%"]));
    assert_eq!(ended.status, Some(10), "{}", ended.stderr);
    let expected = "\
rounded,13800000021,04686258351064375,4.68626E+15,found,found,2,2
rounded,13800000022,1152663019775521,1152663019775520,found,found,3,3
rounded,13800000024,0042,42,found,found,5,5
rounded,13800000025,1152663019775521,1.15266E+15,found,found,6,6
changed,13800000026,manager7722,4.68626E+15,found,found,7,7
";
    assert_eq!(ended.stdout, DIFF_HEADER.to_owned() + expected);
    for (kind, count) in [("changed", 1), ("rounded", 4), ("shared_userid", 0), ("same", 1)] {
        assert_eq!(summary_count(&ended, kind), count, "{kind}: {}", ended.stderr);
    }
    let warning = "\nchanged, lost or removed: 1 of 6 rows (16.67 %)\nrounded: 4 of 6 rows \
                   (66.67 %); one of the files was opened and saved in a spreadsheet";
    assert!(ended.stderr.contains(warning), "{}", ended.stderr);
    // A job that would go on with the damaged file is stopped.
    for (old, new) in [(&old, &new), (&new, &old)] {
        let ended = run(diff_command(old, new).args(["--max-change", "30%"]));
        assert_eq!(ended.status, Some(11), "{}", ended.stderr);
        assert!(ended.stderr.contains("4 of the 6 rows of"), "{}", ended.stderr);
        assert!(ended.stderr.contains("ids that a spreadsheet rounded"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("mass resignation"), "{}", ended.stderr);
    }
}

#[test]
fn two_resolve_outputs_can_be_compared() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let (before, after) = (workdir.path("before.csv"), workdir.path("after.csv"));
    let staff = staff_csv(5);
    // The sandbox knows nobody whose number ends in 90.
    let changed = staff.replace("13900000001\n", "13900000090\n");
    for (input, output) in [(staff, &before), (changed, &after)] {
        let input = workdir.write_file("in.csv", input);
        assert_eq!(run(&mut api.resolve(&input, output)).status, Some(0));
    }
    let ended = run(&mut diff_command(&before, &before));
    assert_eq!((ended.status, &*ended.stdout), (Some(0), DIFF_HEADER), "{}", ended.stderr);
    let ended = run(&mut diff_command(&before, &after));
    let expected = "removed,13900000001,u00000001,,found,,3,\nadded,13900000090,,,,not_found,,3\n";
    assert_eq!(
        (ended.status, ended.stdout),
        (Some(10), DIFF_HEADER.to_owned() + expected),
        "{}",
        ended.stderr
    );
}

#[test]
fn rows_join_by_key_and_shared_ids_are_reported() {
    let workdir = Workdir::new();
    let header = "工号,手机号,userid,exclusive_userids,status,errcode,errmsg\n";
    let old = format!(
        "{header}007,13800138000,a,,found,0,ok\n8,13800138001,b,,found,0,ok\n9,,,,invalid,,x\n"
    );
    let new = format!(
        "{header}8,+8613800138000,a,,found,0,ok\n 007 \
         ,13800138000,a,,found,0,ok\n9,13800138002,c,,found,0,ok\n"
    );
    let (old, new) = (workdir.write_file("old.csv", old), workdir.write_file("new.csv", new));
    let expected = "\
changed,8,b,a,found,found,3,2
gained,9,,c,invalid,found,4,4
shared_userid,8,,a,,found,,2
shared_userid,007,,a,,found,,3
shared_number,8,,a,,found,,2
shared_number,007,,a,,found,,3
";
    for key in ["工号", "1"] {
        let ended = run(diff_command(&old, &new).args(["--key", key]));
        assert_eq!(
            (ended.status, &*ended.stdout),
            (Some(10), &*(DIFF_HEADER.to_owned() + expected)),
            "{}",
            ended.stderr
        );
    }
    // The number's own column by name is the number, in its canonical form.
    let ended = run(diff_command(&old, &new).args(["-k", "手机号"]));
    assert!(ended.stdout.contains("\nremoved,13800138001,b,"), "{}", ended.stdout);
    assert_eq!(summary_count(&ended, "shared_number"), 0);
    assert!(
        ended.stderr.contains(
            "new.csv: rows with the key of an earlier row, compared in order: 1 (line 3)"
        ),
        "{}",
        ended.stderr
    );
}

#[test]
fn appended_columns_are_distinguished_from_the_tables_own() {
    let workdir = Workdir::new();
    let old = "userid,mobile,status,dingtalk_userid,exclusive_userids,dingtalk_status,errcode,\
        errmsg,mobile_sent\n\
        hr1,13800138000,active,a,,found,0,ok,13800138000\n";
    // Here the table's own has the prefix, and the ids look like numbers, as they do in some
    // organisations.
    let new = "dingtalk_userid,mobile,userid,exclusive_userids,status,errcode,errmsg\n\
        13900139000,13800138000,13900139001,,found,0,ok\n";
    let (old, new) = (workdir.write_file("old.csv", old), workdir.write_file("new.csv", new));
    let ended = run(diff_command(&old, &new).args(["-c", "mobile"]));
    let expected = "changed,13800138000,a,13900139001,found,found,2,2\n";
    assert_eq!(ended.stdout, DIFF_HEADER.to_owned() + expected, "{}", ended.stderr);
    // What was appended does not make it doubtful which column has the numbers.
    let ended = run(&mut diff_command(&old, &old));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn diff_reads_files_like_resolve() {
    let workdir = Workdir::new();
    let text = resolved_table(&[("13800138000", "张三", "found"), ("13800138001", "b", "found")]);
    let plain = workdir.write_file("plain.csv", &text);
    let wide: Vec<u8> = "\u{feff}"
        .chars()
        .chain(text.replace(',', "\t").chars())
        .collect::<String>()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let wide = workdir.write_file("wide.csv", wide);
    let packed = gzip(text.replace(',', ";").replace('\n', "\r\n").as_bytes());
    let small = workdir.write_file("packed.csv.gz", packed);
    let titled = workdir.write_file("titled.csv", format!("Staff of today\n{text}"));
    for (other, flags) in [(&wide, &[][..]), (&small, &[]), (&plain, &["-d", ",", "-e", "utf-8"])] {
        let ended = run(diff_command(&plain, other).args(flags));
        assert_eq!((ended.status, &*ended.stdout), (Some(0), DIFF_HEADER), "{}", ended.stderr);
    }
    let ended = run(diff_command(&titled, &titled).args(["--skip-lines", "1"]));
    assert_eq!((ended.status, summary_count(&ended, "same")), (Some(0), 2), "{}", ended.stderr);
    let mut command = diff_command(Path::new("-"), &plain);
    let ended = run(command.stdin(std::fs::File::open(&small).unwrap()));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn exceeding_max_change_has_its_own_exit_status() {
    let workdir = Workdir::new();
    let numbers: Vec<String> = (0..1000).map(|n| format!("138{n:08}")).collect();
    let staff = |lost: usize| {
        let row = |(n, number)| {
            if n < lost { (number, "", "not_found") } else { (number, number, "found") }
        };
        resolved_table(&numbers.iter().map(String::as_str).enumerate().map(row).collect::<Vec<_>>())
    };
    let old = workdir.write_file("old.csv", staff(0));
    for (lost, most, status) in [
        (0, "0%", 0),
        (1, "0", 11),
        (7, "0.7%", 10),
        (8, "0.7%", 11),
        (7, "0.007", 10),
        (8, "0.007", 11),
        (1000, "100%", 10),
    ] {
        let new = workdir.write_file("new.csv", staff(lost));
        let ended = run(diff_command(&old, &new).args(["--max-change", most]));
        assert_eq!(ended.status, Some(status), "{lost} {most}: {}", ended.stderr);
        let actual = format!(
            "dingmap: {lost} of the 1000 rows of {} were changed, lost or removed",
            old.display()
        );
        assert_eq!(ended.stderr.contains(&actual), status == 11, "{}", ended.stderr);
        assert_eq!(ended.stderr.contains("usually a lost permission"), status == 11);
        // The rows are written in any case: they are what has to be looked at.
        assert_eq!(ended.stdout.lines().count(), lost + 1);
    }
}

#[test]
fn invalid_arguments_and_inputs_are_reported_and_nothing_is_written() {
    let workdir = Workdir::new();
    let good = workdir.write_file("good.csv", resolved_table(&[("13800138000", "a", "found")]));
    let bare = workdir.write_file("bare.csv", "mobile,name\n13800138000,a\n");
    let odd = workdir.write_file(
        "odd.csv",
        resolved_table(&[("13800138000", "a", "found"), ("13800138001", "b", "13900139000")]),
    );
    let torn = workdir.write_file(
        "torn.csv",
        resolved_table(&[("13800138000", "a", "found"), ("13800138001", "b,c", "found")]),
    );
    let several = workdir.write_file(
        "several.csv",
        "x,y,userid,exclusive_userids,status\n13800138000,13800138001,a,,found\n",
    );
    let output = workdir.write_file("out.csv", "of yesterday\n");
    let (none, nowhere, dash) =
        (workdir.path("none.csv"), workdir.path("none/out.csv"), Path::new("-").to_owned());
    let before = workdir.file_names();
    for (old, new, to, flags, status, words) in [
        (&dash, &dash, &output, &[][..], 2, "only one of OLD and NEW"),
        (&good, &good, &good, &[], 2, "is OLD already"),
        (&odd, &good, &good, &[], 2, "is NEW already"),
        (&good, &good, &output, &["--max-change", "5"], 2, "invalid percentage '5'"),
        (&none, &good, &output, &[], 3, "none.csv: cannot be opened"),
        (&good, &bare, &output, &[], 3, "there is no column \"userid\""),
        (&good, &odd, &output, &[], 3, "odd.csv: line 3: invalid status \"139****00\" in column 4"),
        (&torn, &good, &output, &[], 3, "torn.csv: line 3: cells in this row: 7"),
        (&good, &good, &output, &["--key", "工号"], 3, "name one of these with --key: 1 mobile"),
        (&several, &good, &output, &[], 3, "with --column: 1 x"),
        (&good, &good, &nowhere, &[], 7, "choose another place with --output"),
    ] {
        let ended = run(diff_command(old, new).arg("-o").arg(to).args(flags));
        assert_eq!(ended.status, Some(status), "{words}: {}", ended.stderr);
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
        assert!(
            !ended.stderr.contains("13900139000") && !ended.stderr.contains("13800138000"),
            "{}",
            ended.stderr
        );
        assert_eq!(
            (workdir.file_names(), std::fs::read_to_string(&output).unwrap()),
            (before.clone(), "of yesterday\n".to_owned())
        );
    }
    let ended = run(diff_command(&good, &good).arg("-q").arg("-o").arg(&output));
    assert_eq!(
        (ended.status, &*ended.stderr, std::fs::read_to_string(&output).unwrap()),
        (Some(0), "", DIFF_HEADER.to_owned())
    );
    assert_eq!(workdir.file_names(), before);
}

#[test]
fn a_key_column_without_distinct_values_is_rejected() {
    let workdir = Workdir::new();
    let mut text = "team,mobile,userid,exclusive_userids,status\n".to_owned();
    for n in 0..10_001 {
        writeln!(text, "sales,138{n:08},u{n},,found").unwrap();
    }
    let new = workdir.write_file("new.csv", &text);
    let (last, _) = text.trim_end().rsplit_once('\n').unwrap();
    let old = workdir.write_file("old.csv", last);
    let ended =
        run(diff_command(&old, &new).args(["--key", "team", "-o"]).arg(workdir.path("out.csv")));
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("new.csv: line 10002: ")
            && ended.stderr.contains("choose a column with --key"),
        "{}",
        ended.stderr
    );
    assert_eq!(workdir.file_names(), ["new.csv", "old.csv"]);
    let ended = run(diff_command(&old, &old).args(["--key", "team"]));
    assert_eq!(
        (ended.status, summary_count(&ended, "same")),
        (Some(0), 10_000),
        "{}",
        ended.stderr
    );
}

#[test]
#[ignore = "long: cargo test -- --include-ignored"]
fn large_tables_are_sorted_on_disk_without_leftovers() {
    let workdir = Workdir::new();
    let rows = 300_000_u64;
    let mut tables = [(); 2].map(|()| "mobile,userid,exclusive_userids,status\n".to_owned());
    for n in 0..rows {
        // Each table has the numbers in another order.
        for (text, stride) in tables.iter_mut().zip([7919, 104_729]) {
            let n = n * stride % rows;
            let id = if stride == 7919 || n % 1000 != 5 { n } else { rows };
            writeln!(text, "138{n:08},u{id:030},,found").unwrap();
        }
    }
    let [old, new] = tables;
    let (old, new, output) = (
        workdir.write_file("old.csv", old),
        workdir.write_file("new.csv", new),
        workdir.path("out.csv"),
    );
    let ended = run(diff_command(&old, &new).arg("-o").arg(&output));
    assert_eq!(ended.status, Some(10), "{}", ended.stderr);
    assert_eq!([summary_count(&ended, "changed"), summary_count(&ended, "same")], [300, 299_700]);
    assert_eq!(summary_count(&ended, "shared_userid"), 300);
    let text = std::fs::read_to_string(&output).unwrap();
    let keys: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("changed,"))
        .map(|line| line.split(',').nth(1).unwrap())
        .collect();
    let expected: Vec<_> = (0..300).map(|n| format!("138{:08}", n * 1000 + 5)).collect();
    assert_eq!(keys, expected);
    assert_eq!(workdir.file_names(), ["new.csv", "old.csv", "out.csv"]);
}

#[test]
fn a_signal_ends_diff_without_leftovers() {
    let workdir = Workdir::new();
    let text = resolved_table(&[("13800138000", "a", "found")]);
    let new = workdir.write_file("new.csv", &text);
    let mut command = diff_command(Path::new("-"), &new);
    command.arg("-o").arg(workdir.path("out.csv")).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    assert!(line.starts_with("comparing standard input with"), "{line}");
    // The signal handlers are installed before there is a temporary file.
    wait_until("a temporary file", || (workdir.file_names().len() >= 2).then_some(()));
    let signalled = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(workdir.file_names(), ["new.csv"]);
    drop(input);
}

/// All lines but the header, so that rows of one key may come in any order among themselves.
fn body_lines(text: &str) -> BTreeSet<String> {
    text.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn diff_does_not_overwrite_a_resolved_file() {
    let workdir = Workdir::new();
    let (old, new) = (
        workdir.write_file("old.csv", resolved_table(&[])),
        workdir.write_file("new.csv", resolved_table(&[])),
    );
    let wide: Vec<u8> = resolved_table(&[]).encode_utf16().flat_map(u16::to_le_bytes).collect();
    for kept in [
        resolved_table(&[("1", "u", "found")]).into_bytes(),
        format!("title\n{}", resolved_table(&[])).into_bytes(),
        wide,
    ] {
        let keep = workdir.write_file("keep.csv", &kept);
        let ended = run(diff_command(&old, &new).env("DINGMAP_OUTPUT", &keep));
        assert_eq!(ended.status, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("keep.csv was written by resolve"), "{}", ended.stderr);
        assert!(std::fs::read(&keep).unwrap() == kept);
    }
    // Differences of the night before are replaced, and so is anything else.
    let last = workdir.write_file("last.csv", DIFF_HEADER);
    assert_eq!(run(diff_command(&old, &new).arg("-o").arg(&last)).status, Some(0));
}
