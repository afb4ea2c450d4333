//! Files in the encodings that exports come in, on the real executable: the same bytes come out
//! with the new cells in the same encoding, or nothing is guessed and nothing is asked.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use encoding_rs::{BIG5, GB18030, SHIFT_JIS, WINDOWS_1252};

use crate::support::expected_rows::{ANSWER_COLUMNS, ExpectedTable, expected_answer};
use crate::support::process::wait_until;
use crate::support::sample_files::sample_path;
use crate::support::sandbox::{RunOutput, Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

/// Text as another program would encode it.
fn encode(name: &str, text: &str) -> Vec<u8> {
    let table = match name {
        "UTF-8" => return text.as_bytes().to_vec(),
        "UTF-16LE" => return text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        "UTF-16BE" => return text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        "GB18030" => GB18030,
        "Big5" => BIG5,
        "Shift_JIS" => SHIFT_JIS,
        _ => WINDOWS_1252,
    };
    let mut bytes = Vec::new();
    for letter in text.chars() {
        let letter = letter.to_string();
        let (found, _, lacking) = table.encode(&letter);
        bytes.extend_from_slice(if lacking { b"?" } else { &found });
    }
    bytes
}

/// Resolves these bytes: how it ended, the output where there is one, and how many calls arrived.
fn resolve_bytes(
    input: &[u8],
    set: impl FnOnce(&mut Command),
) -> (RunOutput, Option<Vec<u8>>, usize) {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let output = workdir.path("out.csv");
    let mut command = api.resolve(&workdir.write_file("in.csv", input), &output);
    set(&mut command);
    let ended = run(&mut command);
    (ended, std::fs::read(output).ok(), api.call_log().calls().len())
}

/// A staff list as people in this encoding's country have it.
fn staff_table(name: &str) -> ExpectedTable {
    let (header, people): (&str, &[&str]) = match name {
        "Big5" => ("工號,姓名,手機號碼", &["陳許功蓋", "林怡君", "張志明"]),
        "Shift_JIS" => ("社員番号,氏名,携帯電話", &["表ソ能", "佐藤 花子", "ﾀﾅｶ"]),
        "Windows-1252" => {
            ("Nr,Name,Téléphone mobile", &["Jürgen Müller", "François d’Été", "Núñez €"])
        }
        _ => ("工号,姓名,手机号", &["王伟", "欧阳娜娜", "𠮷鎔"]),
    };
    let mut table =
        ExpectedTable { header: Some(header), line_end: "\r\n", ..ExpectedTable::default() };
    for (n, person) in people.iter().enumerate() {
        for (number, quotes) in [(13_800_138_000 + n as u64, ""), (13_800_138_090, "\"")] {
            table.push_row(
                &format!("{n},{quotes}{person}{quotes},{number}"),
                expected_answer(&number.to_string(), true),
            );
        }
    }
    table.push_row("9,\"a\r\nb\",13800138292", expected_answer("13800138292", true));
    table
}

#[test]
fn the_output_keeps_the_input_encoding() {
    for (name, why) in [
        ("UTF-8", "valid"),
        ("GB18030", "words"),
        ("Big5", "words"),
        ("Shift_JIS", "words"),
        ("Windows-1252", "words"),
        ("UTF-16LE", "zero bytes"),
        ("UTF-16BE", "zero bytes"),
    ] {
        for ends in [true, false] {
            let table = ExpectedTable { ends_with_newline: ends, ..staff_table(name) };
            let (ended, output, calls) = resolve_bytes(&encode(name, &table.input_text()), |_| ());
            assert_eq!((ended.status, calls), (Some(0), 5), "{name}: {}", ended.stderr);
            let first = ended.stderr.lines().next().unwrap();
            assert!(first.contains(name) && first.contains(why), "{first}");
            assert_eq!(output.unwrap(), encode(name, &table.output_text()), "{name}");
        }
    }
}

#[test]
fn excel_unicode_text_is_read_with_tabs_and_a_bom() {
    for name in ["UTF-16LE", "UTF-16BE"] {
        let header = Some("姓名\t手机号");
        let mut table = ExpectedTable {
            bom: true,
            delimiter: '\t',
            line_end: "\r\n",
            header,
            ..ExpectedTable::default()
        };
        table.push_row("\u{a0a}\u{d0a}\u{2c22}\t13800138000", expected_answer("13800138000", true));
        table.push_row("\"a\tb\r\n\"\t13800138090", expected_answer("13800138090", true));
        let (ended, output, _) = resolve_bytes(&encode(name, &table.input_text()), |_| ());
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let first = ended.stderr.lines().next().unwrap();
        assert!(first.contains(&format!("{name} with byte order mark, tabs")), "{first}");
        assert_eq!(output.unwrap(), encode(name, &table.output_text()));
    }
}

#[test]
fn a_delimiter_byte_inside_a_character_is_not_a_delimiter() {
    // The last byte of each of these names is the vertical bar's.
    for (name, person) in
        [("GB18030", b"\x81\x7C"), ("Big5", b"\xA5\x7C"), ("Shift_JIS", b"\x83\x7C")]
    {
        let text = |more: [&str; 2]| {
            let [names, cells] = more.map(|more| encode(name, more));
            [b"name|mobile", &names[..], b"\n", person, b"|13800138000", &cells, b"\n"].concat()
        };
        let (ended, output, _) = resolve_bytes(&text(["", ""]), |command| {
            command.args(["-e", name, "-d", "|"]);
        });
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let names = format!("|{}", ANSWER_COLUMNS.join("|"));
        assert_eq!(output.unwrap(), text([&names, "|u00138000||found|0|ok"]), "{name}");
    }
}

#[test]
fn unencodable_characters_become_question_marks() {
    let (ended, output, _) = resolve_bytes(b"Stra\xDFe;mobile\nWei\xDFgasse;13800138090\n", |_| ());
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let output = output.unwrap();
    assert!(output.ends_with(b"Wei\xDFgasse;13800138090;;;not_found;60121;??????\n"));
}

#[test]
fn the_output_encoding_can_be_chosen() {
    let table = staff_table("GB18030");
    let input = encode("GB18030", &table.input_text());
    let mark = |text: &str| format!("\u{feff}{text}");
    for (flags, expected) in [
        (&["--output-encoding", "utf-8"][..], encode("UTF-8", &table.output_text())),
        (
            &["--output-encoding", "UTF-8", "--output-bom", "true"],
            encode("UTF-8", &mark(&table.output_text())),
        ),
        (&["--output-encoding", "utf16"], encode("UTF-16LE", &mark(&table.output_text()))),
        (&["--output-encoding", "big5"], encode("Big5", &table.output_text())),
        (&["--output-encoding", "gbk"], encode("GB18030", &table.output_text())),
        (&["--output-bom", "true"], encode("GB18030", &mark(&table.output_text()))),
    ] {
        let (ended, output, _) = resolve_bytes(&input, |command| {
            command.args(flags);
        });
        assert_eq!(
            (ended.status, output),
            (Some(0), Some(expected)),
            "{flags:?}: {}",
            ended.stderr
        );
    }
    // What is lost in the conversion is reported.
    let lost = |flags: &[&str]| {
        let (ended, ..) = resolve_bytes(&input, |command| {
            command.args(flags);
        });
        ended.stderr.lines().find(|line| line.contains("became ?")).map(str::to_owned)
    };
    let own = encode("Big5", &table.input_text()).split(|byte| *byte == b'?').count() - 1;
    let actual = lost(&["--output-encoding", "big5"]).unwrap();
    assert!(own > 0 && actual.contains(&format!("{own} character")), "{own}: {actual}");
    assert_eq!(lost(&["--output-encoding", "utf-8"]), None);
    let marked = encode("UTF-8", &mark(&table.input_text()));
    let (_, output, _) = resolve_bytes(&marked, |command| {
        command.args(["--output-bom", "false"]);
    });
    assert_eq!(output.unwrap(), encode("UTF-8", &table.output_text()));
    let (ended, output, calls) = resolve_bytes(&input, |command| {
        command.args(["--output-encoding", "Big5", "--output-bom", "true"]);
    });
    assert_eq!((ended.status, output, calls), (Some(2), None, 0), "{}", ended.stderr);
}

#[test]
fn contradictory_encoding_flags_are_rejected() {
    let text = "姓名,手机号\n王伟,13800138000\n";
    let workbook = std::fs::read("samples/staff.xlsx").unwrap();
    for (input, flags, status, words) in [
        (
            encode("GB18030", text),
            &["--lossy-cells", "--output-encoding", "utf8"][..],
            2,
            "--lossy-cells",
        ),
        (encode("UTF-8", &format!("\u{feff}{text}")), &["-e", "gbk"], 3, "mark of UTF-8"),
        (workbook, &["-e", "gbk"], 2, "--encoding"),
        (encode("UTF-8", text), &["-d", "'", "--excel-safe"], 2, "--delimiter"),
        (encode("UTF-8", text), &["--skip-lines", "2"], 3, "--skip-lines"),
    ] {
        let (ended, output, calls) = resolve_bytes(&input, |command| {
            command.args(flags);
        });
        assert_eq!(
            (ended.status, output, calls),
            (Some(status), None, 0),
            "{flags:?}: {}",
            ended.stderr
        );
        assert!(ended.stderr.contains(words), "{flags:?}: {}", ended.stderr);
    }
}

#[test]
fn an_undetectable_encoding_is_rejected_unless_named() {
    let cyrillic = b"name,mobile\n\xC8\xE2\xE0\xED\xEE\xE2,13800138000\n\
        \xCF\xE5\xF2\xF0\xEE\xE2,13800138001\n";
    let korean = b"name,mobile\n\xB1\xE8\xB9\xCE\xC1\xD8,13800138000\n\
        \xC0\xCC\xBC\xAD\xBF\xAC,13800138001\n";
    for input in [&cyrillic[..], korean, b"name,mobile\n\x81\x8D\x8F,13800138000\n"] {
        let (ended, output, calls) = resolve_bytes(input, |_| ());
        assert_eq!((ended.status, output, calls), (Some(3), None, 0), "{}", ended.stderr);
        for word in ["line 2", "offset 12", "GB18030, Big5, Shift_JIS, Windows-1252", "-e"] {
            assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
        }
    }
    let (ended, output, _) = resolve_bytes(korean, |command| {
        command.env("DINGMAP_ENCODING", "gb2312");
    });
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("GB18030 (as requested)"), "{}", ended.stderr);
    assert!(output.unwrap().windows(7).any(|bytes| bytes == b"\xB1\xE8\xB9\xCE\xC1\xD8,"));
    let (ended, _, calls) = resolve_bytes(korean, |command| {
        command.args(["-e", "klingon"]);
    });
    assert_eq!((ended.status, calls), (Some(2), 0), "{}", ended.stderr);
    assert!(ended.stderr.contains("Shift_JIS"), "{}", ended.stderr);
}

#[test]
fn an_invalid_byte_far_into_the_file_is_reported_or_passed_through() {
    for (name, person) in
        [("UTF-8", "王伟"), ("GB18030", "王伟"), ("Big5", "陳志明"), ("Shift_JIS", "鈴木")]
    {
        let mut input = encode(name, "name,手机\n");
        for n in 0..30_000 {
            input.extend(encode(name, &format!("{person}{n},1380013{:04}\n", n % 5)));
        }
        let offset = input.len() + 4;
        input.extend_from_slice(b"\"x\ny\xFFz\",13800138000\nw,1380\xFF0138000\n");
        let (ended, output, calls) = resolve_bytes(&input, |command| {
            command.args(["-e", name]);
        });
        assert_eq!((ended.status, output, calls), (Some(3), None, 0), "{name}: {}", ended.stderr);
        let place = format!("line 30003: the byte 0xFF at offset {offset} ");
        assert!(ended.stderr.contains(&place), "{place}: {}", ended.stderr);
        assert!(ended.stderr.contains("--lossy-cells"), "{}", ended.stderr);

        let (ended, output, _) = resolve_bytes(&input, |command| {
            command.args(["-e", name, "--lossy-cells"]);
        });
        assert_eq!(ended.status, Some(0), "{name}: {}", ended.stderr);
        let output = output.unwrap();
        let end = &output[output.len() - 200..];
        let has = |wanted: &[u8]| end.windows(wanted.len()).any(|bytes| bytes == wanted);
        assert!(has(b"\"x\ny\xFFz\",13800138000,u00138000,,found,0,ok\n"), "{name}");
        assert!(has(b"w,1380\xFF0138000,,,invalid,,"), "{name}");
    }
}

#[test]
fn the_encoding_of_a_slow_pipe_is_detected_from_its_first_lines() {
    let table = staff_table("GB18030");
    let api = Sandbox::new(unlimited_script());
    let mut command = api.resolve("-".as_ref(), "-".as_ref());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let bytes = encode("GB18030", &table.input_text());
    let (session, rest) = bytes.split_at(60);
    for crumb in session.chunks(7) {
        pipe.write_all(crumb).unwrap();
        sleep(Duration::from_millis(10));
    }
    // The first rows are asked for although the pipe is open and silent.
    wait_until("a call before the pipe ends", || {
        (!api.call_log().calls().is_empty()).then_some(())
    });
    pipe.write_all(rest).unwrap();
    drop(pipe);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ended.stdout, encode("GB18030", &table.output_text()));
}

#[test]
fn the_encoded_samples_resolve_byte_for_byte() {
    let read = |name: &str| std::fs::read(sample_path(name)).unwrap();
    for (input, golden, actual) in [
        (
            "staff-gb18030.csv",
            "staff-gb18030.resolved.csv",
            "25 rows, GB18030 (known words), commas",
        ),
        (
            "staff-utf16.txt",
            "staff-utf16.resolved.txt",
            "25 rows, UTF-16LE with byte order mark, tabs",
        ),
    ] {
        let (ended, output, _) = resolve_bytes(&read(input), |_| ());
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains(actual), "{}", ended.stderr);
        assert!(output.unwrap() == read(golden), "{golden}");
    }
}

#[test]
fn a_last_row_without_a_line_ending_is_used_for_detection() {
    for (name, person) in [
        ("GB18030", "欧阳娜娜"),
        ("Shift_JIS", "佐藤花子さん"),
        ("Windows-1252", "Jürgen Müller-Lüdenscheidt"),
    ] {
        let text = format!("name,mobile\nTom,13800138000\n{person},13800138001");
        let (ended, output, _) = resolve_bytes(&encode(name, &text), |_| ());
        assert_eq!(ended.status, Some(0), "{name}: {}", ended.stderr);
        let expected = format!(
            "name,mobile,{}\nTom,13800138000,u00138000,,found,0,ok\n\
             {person},13800138001,u00138001,,found,0,ok",
            ANSWER_COLUMNS.join(",")
        );
        assert_eq!(output.unwrap(), encode(name, &expected), "{name}");
    }
}
