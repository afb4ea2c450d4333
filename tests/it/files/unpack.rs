//! Packed tables and workbooks given to the executable: they come out as plain CSV, and
//! errors in them end the run with exit status 3 before the first call.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use crate::support::compression::{gzip, zstd};
use crate::support::expected_rows::ANSWER_COLUMNS;
use crate::support::rows::read_rows;
use crate::support::sample_files::sample_path;
use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::workbook::build_workbook;
use crate::support::workdir::Workdir;

/// So many people, whose table packs badly enough to be cut.
fn incompressible_table(count: usize) -> String {
    let person = |n: usize| {
        format!("{},138{:06}{:02}\n", n * 7919 % 10_007, n * 104_729 % 1_000_000, n % 90)
    };
    std::iter::once("n,手机号\n".to_owned()).chain((0..count).map(person)).collect()
}

/// A workbook with numbers as Excel stores them.
fn staff_workbook(sheets: &[(&str, &str)]) -> Vec<u8> {
    let cells = |number: &str| {
        format!(
            "<row><c t=\"str\"><v>姓名</v></c><c t=\"str\"><v>手机号</v></c></row><row><c \
             t=\"str\"><v>孟</v></c><c><v>{number}</v></c></row>"
        )
    };
    let sheets: Vec<_> =
        sheets.iter().map(|(name, number)| (*name, "visible", cells(number))).collect();
    build_workbook(
        &sheets
            .iter()
            .map(|(name, state, cells)| (*name, *state, cells.as_str()))
            .collect::<Vec<_>>(),
    )
}

#[test]
fn compressed_tables_are_written_uncompressed_under_their_base_name() {
    let plain = incompressible_table(300);
    let (half, rest) = plain.as_bytes().split_at(plain.len() / 2);
    for (name, packed, remark) in [
        ("staff.csv.gz", gzip(plain.as_bytes()), "(gzip)"),
        ("staff.CSV.GZ", [gzip(half), gzip(rest)].concat(), "(gzip)"),
        ("staff.csv.zst", zstd(plain.as_bytes()), "(zstd)"),
        // Names do not matter.
        ("staff.csv", [zstd(half), zstd(rest)].concat(), "(zstd)"),
    ] {
        let (workdir, api) = (Workdir::new(), Sandbox::with_plain_http(unlimited_script()));
        let input = workdir.write_file(name, packed);
        let mut command = api.resolve(&input, "-".as_ref());
        let ended = run(&mut command);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(
            ended.stderr.contains(remark) && ended.stderr.contains("300 rows"),
            "{}",
            ended.stderr
        );
        let stripped: String = ended
            .stdout
            .lines()
            .map(|line| {
                let kept: Vec<_> = line.split(',').take(2).collect();
                kept.join(",") + "\n"
            })
            .collect();
        assert_eq!(stripped, plain);
        // Without -o, and so that the name is seen.
        let mut command = dingmap();
        command.args([
            "resolve".as_ref(),
            input.as_os_str(),
            "--rate".as_ref(),
            "unlimited".as_ref(),
        ]);
        command
            .args(["--endpoint", &api.endpoint()])
            .env("DINGTALK_ACCESS_TOKEN", &*api.call_log().calls()[0].token);
        let again = run(&mut command);
        assert_eq!(again.status, Some(0), "{}", again.stderr);
        let output = workdir.file_names().into_iter().find(|other| other != name).unwrap();
        assert_eq!(output.to_lowercase(), "staff.resolved.csv");
        assert_eq!(std::fs::read_to_string(workdir.path(output)).unwrap(), ended.stdout);
    }
}

#[test]
fn a_compressed_pipe_is_read_incrementally() {
    for pack in [gzip, zstd] {
        let api = Sandbox::new(unlimited_script());
        let mut command = api.resolve("-".as_ref(), "-".as_ref());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut input, mut output) =
            (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()).lines());
        input.write_all(&pack(b"phone\n13800138000\n")).unwrap();
        assert_eq!(output.next().unwrap().unwrap(), format!("phone,{}", ANSWER_COLUMNS.join(",")));
        assert_eq!(output.next().unwrap().unwrap(), "13800138000,u00138000,,found,0,ok");
        input.write_all(&pack(b"13800138001\n")).unwrap();
        assert_eq!(output.next().unwrap().unwrap(), "13800138001,u00138001,,found,0,ok");
        drop(input);
        assert!(output.next().is_none());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn truncated_or_damaged_input_is_reported_with_its_line_before_the_first_call() {
    let plain = incompressible_table(60_000);
    for (packed, name) in [(gzip(plain.as_bytes()), "gzip"), (zstd(plain.as_bytes()), "zstd")] {
        let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
        let input = workdir.write_file("in", &packed[..packed.len() / 2]);
        let ended = run(&mut api.resolve(&input, &workdir.path("out.csv")));
        assert_eq!(ended.status, Some(3), "{}", ended.stderr);
        for word in ["in: line ", name, "cut off"] {
            assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
        }
        let line: usize =
            ended.stderr.split("line ").nth(1).unwrap().split(':').next().unwrap().parse().unwrap();
        assert!((20_000..=50_000).contains(&line), "{line}");
        let mut damaged = packed.clone();
        damaged[packed.len() / 2..].fill(0x55);
        let ended =
            run(&mut api.resolve(&workdir.write_file("in", damaged), &workdir.path("out.csv")));
        assert_eq!(ended.status, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("the {name} data are ")), "{}", ended.stderr);
        assert_eq!(
            (workdir.file_names(), api.call_log().token_calls().len()),
            (vec!["in".to_owned()], 0)
        );
    }
}

#[test]
fn a_truncated_pipe_produces_no_output() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let packed = gzip(incompressible_table(2000).as_bytes());
    let mut command = api.resolve("-".as_ref(), &workdir.path("out.csv"));
    let ended =
        run(command
            .stdin(File::open(workdir.write_file("in", &packed[..packed.len() - 9])).unwrap()));
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    for word in ["standard input", "line 2", "cut off"] {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
    assert_eq!(workdir.file_names(), ["in"]);
}

#[test]
fn the_chosen_sheet_and_the_others_are_reported() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file(
        "staff.xlsx",
        staff_workbook(&[("在职", "13800138000"), ("离职", "1.3900139001E10")]),
    );
    let output = workdir.path("out.csv");
    for (flags, number, expected) in [
        (
            &[][..],
            "13800138000",
            "staff.xlsx (sheet 在职; other sheets with rows: 离职; choose with --sheet): 1 row, ",
        ),
        (&["--sheet", "离职"], "13900139001", "(sheet 离职; "),
        (&["--sheet", "2"], "13900139001", "(sheet 离职; "),
        (&["--sheet", "1"], "13800138000", "(sheet 在职; "),
    ] {
        let ended = run(api.resolve(&input, &output).args(flags));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
        assert_eq!(
            std::fs::read_to_string(&output).unwrap(),
            format!(
                "\u{feff}姓名,手机号,{}\r\n孟,{number},u{},,found,0,ok\r\n",
                ANSWER_COLUMNS.join(","),
                &number[3..]
            )
        );
    }
    let ended = run(api.resolve(&input, &output).args(["-d", ";"]).env("DINGMAP_SHEET", "离职"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(
        std::fs::read_to_string(&output)
            .unwrap()
            .ends_with("\r\n孟;13900139001;u00139001;;found;0;ok\r\n")
    );
    let ended = run(api.resolve(&input, &output).args(["--sheet", "3"]));
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 在职, 2 离职"), "{}", ended.stderr);
}

#[test]
fn five_other_sheets_are_named_and_hidden_ones_are_marked() {
    let cells = "<row><c t=\"str\"><v>手机号</v></c></row><row><c><v>13800138000</v></c></row>";
    let names: Vec<_> = (1..=7).map(|number| format!("S{number}")).collect();
    let state = |name: &str| if name == "S2" { "veryHidden" } else { "visible" };
    let sheets: Vec<_> = names.iter().map(|name| (&**name, state(name), cells)).collect();
    for (count, flags, expected) in [
        (6, &[][..], "(sheet S1; other sheets with rows: S2 (hidden), S3, S4, S5, S6; choose "),
        (7, &[][..], ": S2 (hidden), S3, S4, S5, S6 and 1 more; choose with --sheet)"),
        (7, &["--sheet", "s2"], "(sheet S2 (hidden); other sheets with rows: S1, S3, S4, S5, S6 "),
        (7, &["--lang", "zh"], "：S2（隐藏）、S3、S4、S5、S6，另有 1 个；可用 --sheet 选择"),
    ] {
        let workdir = Workdir::new();
        let input = workdir.write_file("staff.xlsx", build_workbook(&sheets[..count]));
        let ended = run(dingmap().args(["plan", "--no-state"]).arg(&input).args(flags));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let text = ended.stdout + &ended.stderr;
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn an_unreadable_workbook_is_reported_with_its_reason() {
    let good = staff_workbook(&[("A", "13800138000")]);
    for (bytes, word) in [
        (good[..good.len() / 2].to_vec(), "damaged or cut off"),
        (gzip(&good), "is a workbook: unpack it"),
        (build_workbook(&[("A", "visible", "")]), "no visible sheet"),
        (encrypted_workbook(), "password"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".repeat(100), "old Excel workbook (.xls)"),
    ] {
        let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
        let ended =
            run(&mut api.resolve(&workdir.write_file("in.xlsx", bytes), &workdir.path("out.csv")));
        assert_eq!(ended.status, Some(3), "{word}: {}", ended.stderr);
        assert!(
            ended.stderr.contains("in.xlsx: ") && ended.stderr.contains(word),
            "{word}: {}",
            ended.stderr
        );
        assert_eq!(
            (workdir.file_names(), api.call_log().token_calls().len()),
            (vec!["in.xlsx".to_owned()], 0)
        );
    }
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let mut command = api.resolve("-".as_ref(), "-".as_ref());
    let ended = run(command.stdin(File::open(workdir.write_file("in", good)).unwrap()));
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("give the file's name"), "{}", ended.stderr);
    let ended = run(api
        .resolve(&workdir.write_file("in.csv", "phone\n13800138000\n"), "-".as_ref())
        .args(["--sheet", "1"]));
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--sheet"), "{}", ended.stderr);
}

/// The container of a workbook with a password: a header, one sector of its table, and a directory
/// that names the package.
fn encrypted_workbook() -> Vec<u8> {
    let mut bytes = vec![0; 512 * 3];
    let put = |bytes: &mut Vec<u8>, at: usize, what: &[u8]| {
        bytes[at..at + what.len()].copy_from_slice(what);
    };
    put(&mut bytes, 0, b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1");
    // Version 3, little-endian, sectors of 512 bytes, small ones of 64.
    put(&mut bytes, 24, &[0x3E, 0, 3, 0, 0xFE, 0xFF, 9, 0, 6, 0]);
    // One sector of the table; the directory is sector 1; no small sectors and no further table.
    put(&mut bytes, 44, &[1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0]);
    put(
        &mut bytes,
        60,
        &[0xFE, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0],
    );
    bytes[80..512].fill(0xFF);
    // The table: itself, then the directory's end.
    bytes[512..1024].fill(0xFF);
    put(&mut bytes, 512, &[0xFD, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF]);
    for (at, (name, kind)) in [("Root Entry", 5), ("EncryptedPackage", 2)].into_iter().enumerate() {
        let start = 1024 + at * 128;
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        put(&mut bytes, start, &wide);
        put(&mut bytes, start + 64, &[u8::try_from(wide.len() + 2).unwrap(), 0, kind, 1]);
        bytes[start + 68..start + 80].fill(0xFF);
        put(&mut bytes, start + 116, &[0xFE, 0xFF, 0xFF, 0xFF]);
    }
    bytes
}

#[test]
fn the_sample_workbook_resolves_byte_for_byte() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let output = workdir.path("staff.resolved.csv");
    let ended = run(&mut api.resolve(&sample_path("staff.xlsx"), &output));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let golden = sample_path("staff-xlsx.resolved.csv");
    let (written, expected) =
        (std::fs::read_to_string(&output).unwrap(), std::fs::read_to_string(&golden).unwrap());
    assert_eq!(written, expected);
    let rows = read_rows(&golden);
    assert_eq!(rows.len(), 25);
    // Leading zeros, of texts and of numbers that show them; a date, a time, a truth value, an
    // error and a line break.
    assert!((1..=25).all(|n| rows[n - 1]["工号"] == format!("{n:05}")));
    let cells =
        ["手机号", "入职日期", "最近打卡", "转正", "备注"].map(|name| rows[5][name].as_str());
    assert_eq!(cells, ["+49 151 2345 6706", "2020-06-06", "2026-03-06 08:30:15", "FALSE", "#N/A"]);
    assert_eq!(rows[4]["备注"], "换号中\n见邮件");
}
