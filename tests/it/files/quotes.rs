//! Stray quotes, spaces before quotes, escaped quotes, and delimiters that no row needs.

use crate::support::expected_rows::ANSWER_COLUMNS;
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

fn resolve(text: &[u8], flags: &[&str]) -> (RunOutput, Option<Vec<u8>>, usize) {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let output = workdir.path("out.csv");
    let ended = run(api.resolve(&workdir.write_file("in.csv", text), &output).args(flags));
    (ended, std::fs::read(output).ok(), api.call_log().calls().len())
}

/// Each row of the output is the row of the input and this answer.
#[track_caller]
fn assert_output(text: &str, flags: &[&str], expected: &str) {
    let (ended, output, _) = resolve(text.as_bytes(), flags);
    let output = output.map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!((ended.status, output.as_deref()), (Some(0), Some(expected)), "{}", ended.stderr);
}

#[track_caller]
fn assert_refused(text: &str, parts: &[&str]) {
    let (ended, output, calls) = resolve(text.as_bytes(), &[]);
    assert_eq!((ended.status, output, calls), (Some(3), None, 0), "{}", ended.stderr);
    for part in parts {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

/// A number of the sandbox, and its answer.
fn answer(digit: u8) -> String {
    format!("u0013800{digit},,found,0,ok")
}

fn names() -> String {
    ANSWER_COLUMNS.join(",")
}

#[test]
fn rows_between_two_stray_quotes_are_reported() {
    let text = "姓名,手机号,备注\n甲,13800138001,ok\n乙,13800138002,\"老师傅\n丙,13800138003,ok\n\
                丁,13800138004,\"徒弟\n戊,13800138005,ok\n";
    assert_refused(text, &["line 3: the row that begins here ends on line 5", "--flexible"]);
    let workdir = Workdir::new();
    let input = workdir.write_file("in.csv", text);
    let ended = run(dingmap().arg("plan").arg(&input));
    assert_eq!(ended.status, Some(3), "{}", ended.stderr);
    let (ended, output, calls) = resolve(text.as_bytes(), &["--flexible"]);
    assert_eq!((ended.status, calls), (Some(0), 3), "{}", ended.stderr);
    let expected = format!(
        "姓名,手机号,备注,{}\n甲,13800138001,ok,{}\n乙,13800138002,\"老师傅\n丙,13800138003,ok\n\
         丁,13800138004,\"徒弟,{}\n戊,13800138005,ok,{}\n",
        names(),
        answer(1),
        answer(2),
        answer(5)
    );
    assert_eq!(String::from_utf8_lossy(&output.unwrap()), expected);
    // Rows without their last cells, in one cell.
    let short = "name,mobile,note,x\nA,13800138001,\"x\nB,13800138002\nC,13800138003,\",y\n";
    assert_refused(short, &["line 2: the row that begins here ends on line 4", "--flexible"]);
    // A closing quote is missing, in a cell that needs its quotes.
    for (text, last) in [
        (
            "姓名,手机号,备注\n张三,13800138000,\"喜欢茶, 咖啡\n李四,13900139000,\n\
             王五,13700137000,\"备注\"\n赵六,13600136000,\n",
            4,
        ),
        ("id,mobile,note\n1,13800138000,\"see a,b\n2,13900139000,\"ok\"\n3,13600136000,\n", 3),
        (
            "姓名,部门,手机号\n\"张三, 李,研发,13800138000\n李四,研发,13900139000\n\
             \"王五\",人事,13700137000\n赵六,人事,13600136000\n",
            4,
        ),
    ] {
        let line = format!("line 2: the row that begins here ends on line {last}");
        assert_refused(text, &[&line, "--flexible"]);
    }
    // One column: the second number of the cell would not be asked.
    assert_refused("mobile\n\"13800138001\n13800138002\n\"13800138003\n", &["line 2", "line 4"]);
}

#[test]
fn cells_with_several_lines_are_kept() {
    let text = "name,mobile,address\nx,13800138001,\"a, b\nc,d\r\n2 e\"\n\"y\nz\",13800138002,\n";
    let expected = format!(
        "name,mobile,address,{}\nx,13800138001,\"a, b\nc,d\r\n2 e\",{}\n\"y\nz\",13800138002,,{}\n",
        names(),
        answer(1),
        answer(2)
    );
    assert_output(text, &[], &expected);
}

#[test]
fn an_empty_cell_after_the_last_column_takes_the_answer() {
    for flags in [&[][..], &["--flexible"]] {
        let text = "name,mobile\nx,13800138001,\r\ny,13800138002\n\"z\",\"13800138003\",";
        let expected = format!(
            "name,mobile,{}\nx,13800138001,{}\r\ny,13800138002,{}\n\"z\",\"13800138003\",{}",
            names(),
            answer(1),
            answer(2),
            answer(3)
        );
        assert_output(text, flags, &expected);
    }
    assert_output(
        "mobile\n13800138001,\n",
        &[],
        &format!("mobile,{}\n13800138001,{}\n", names(), answer(1)),
    );
    assert_refused("name,mobile\nx,13800138001,,y\n", &["line 2: cells in this row: 4"]);
}

#[test]
fn blank_cells_after_the_last_column_are_kept() {
    for delimiter in [',', ';', '\t', '|', '，'] {
        // The header gets as many columns without a name as the rows have.
        for (end, unnamed) in
            [("D", ""), ("D\"\"", "D"), ("D ", "D"), ("DD", "DD"), ("D\"\"D", "DD")]
        {
            // The answer takes the place of one empty cell.
            let between = if unnamed.is_empty() { "" } else { "D" };
            let text = format!("nameDmobile\nxD13800138001{end}\nyD13800138002\n");
            let expected = format!(
                "nameDmobile{unnamed}D{}\nxD13800138001{end}{between}{}\n\
                 yD13800138002{unnamed}D{}\n",
                names().replace(',', "D"),
                answer(1).replace(',', "D"),
                answer(2).replace(',', "D"),
            );
            let to_text = |text: &str| text.replace('D', &delimiter.to_string());
            assert_output(&to_text(&text), &[], &to_text(&expected));
        }
    }
    // The output is read like the list.
    let text = "name,mobile\nx,13800138094,\"\"\ny,13800138002\n";
    let workdir = Workdir::new();
    let api = Sandbox::new(unlimited_script());
    let (input, output) = (workdir.write_file("in.csv", text), workdir.path("out.csv"));
    assert_eq!(run(api.resolve(&input, &output).args(["--max-retries", "0"])).status, Some(4));
    let first = std::fs::read_to_string(&output).unwrap();
    let mut command = api.resolve_without_output(&api.endpoint(), &output);
    let ended = run(command.args(["--retry-failed", "--max-retries", "0"]));
    assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    assert_eq!(std::fs::read_to_string(&output).unwrap(), first);
}

#[test]
fn a_trailing_delimiter_is_understood_in_every_encoding() {
    let text = "姓名,手机号\n张三,13800138001,\n李四丰,13800138002,\n";
    for encoding in [encoding_rs::GB18030, encoding_rs::UTF_8] {
        let (ended, output, _) = resolve(&encoding.encode(text).0, &[]);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let output = encoding.decode(&output.unwrap()).0.into_owned();
        let expected = format!(
            "姓名,手机号,{}\n张三,13800138001,{}\n李四丰,13800138002,{}\n",
            names(),
            answer(1),
            answer(2)
        );
        assert_eq!(output, expected);
    }
}

#[test]
fn a_quote_after_spaces_opens_a_cell() {
    let text =
        "name, \"mobile\", \"note\"\nx, \"13800138001\", \"a, b\"\ny,  \"13800138002\", \"c\"\n";
    let expected = format!(
        "name, \"mobile\", \"note\",{}\nx, \"13800138001\", \"a, b\",{}\n\
         y,  \"13800138002\", \"c\",{}\n",
        names(),
        answer(1),
        answer(2)
    );
    assert_output(text, &[], &expected);
}

#[test]
fn a_backslash_before_a_quote_is_named_as_the_cause() {
    let cause = "replace each \\\" by \"\"";
    let text = "姓名,备注,手机号\n甲,\"外号 \\\"老师傅\\\", 带新人\",13800138001\n";
    assert_refused(text, &["line 2: cells in this row: 4", cause]);
    assert_refused("name,mobile\nx,13800138001\n\"y\\\"\",13800138002\n", &["line 3", cause]);
    // Where it does no harm, the row is read, and comes out as it was.
    let text = "name,note,mobile\nx,\"a \\\"b\",13800138001\ny,\"ok\",13800138002\n";
    let expected = format!(
        "name,note,mobile,{}\nx,\"a \\\"b\",13800138001,{}\ny,\"ok\",13800138002,{}\n",
        names(),
        answer(1),
        answer(2)
    );
    assert_output(text, &[], &expected);
    let (ended, _, _) = resolve(b"name,mobile\nx,13800138001,y\n", &[]);
    assert!(!ended.stderr.contains(cause), "{}", ended.stderr);
}

#[test]
fn full_width_delimiters_are_detected_and_accepted() {
    for (delimiter, flags) in [
        ('，', &[][..]),
        ('；', &[]),
        ('，', &["-d", "，"]),
        ('、', &["-d", "、"]),
        ('｜', &["--delimiter", "｜"]),
    ] {
        let d = delimiter.to_string();
        let names = ANSWER_COLUMNS.join(&d);
        let text = "姓名,手机号,备注\n甲,13800138001,\"a,b\"\n乙,13800138002\n".replace(',', &d);
        let found = |number: &str| format!("u{number}{d}{d}found{d}0{d}ok");
        let expected = format!(
            "姓名{d}手机号{d}备注{d}{names}\n甲{d}13800138001{d}\"a{d}b\"{d}{}\n\
             乙{d}13800138002{d}{d}{}\n",
            found("00138001"),
            found("00138002")
        );
        for encoding in [encoding_rs::UTF_8, encoding_rs::GB18030] {
            let (ended, output, _) = resolve(&encoding.encode(&text).0, flags);
            assert_eq!(ended.status, Some(0), "{delimiter} {}", ended.stderr);
            assert_eq!(encoding.decode(&output.unwrap()).0, expected, "{delimiter}");
        }
    }
    // Header and rows disagree: no column has numbers.
    assert_refused("姓名,手机号\n甲，13800138001\n", &["no cell in column 2 手机号"]);
    let text = "姓名，手机号\n甲，13800138001\n";
    let (ended, _, calls) = resolve(text.as_bytes(), &["--output-encoding", "windows-1252"]);
    assert_eq!((ended.status, calls), (Some(2), 0), "{}", ended.stderr);
    assert!(ended.stderr.contains("Windows-1252 has no ，"), "{}", ended.stderr);
    let (ended, _, _) = resolve(text.as_bytes(), &["-d", "。"]);
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
}

#[test]
fn answers_are_replaced_in_a_table_with_a_full_width_delimiter() {
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let text = "姓名，手机号，userid，exclusive_userids，status，errcode，errmsg\n\
                甲，13800138001，，，failed，-1，busy\n乙，13800138002，u2，，found，0，\"a，b\"\n";
    let (text, _, _) = encoding_rs::GB18030.encode(text);
    let input = workdir.write_file("out.csv", &text);
    let mut command = api.resolve_without_output(&api.endpoint(), &input);
    let ended = run(command.arg("--retry-failed"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let output = std::fs::read(input).unwrap();
    assert_eq!(
        encoding_rs::GB18030.decode(&output).0,
        "姓名，手机号，userid，exclusive_userids，status，errcode，errmsg\n\
         甲，13800138001，u00138001，，found，0，ok\n乙，13800138002，u2，，found，0，\"a，b\"\n"
    );
}
