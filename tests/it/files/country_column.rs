//! The country of a number in a column beside it, on the real executable: what is sent, what is
//! not, and what the messages say about it.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::observed_run::{ObservedRun, observe_run};
use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

/// The table of DingTalk's own user records.
const RECORDS: &str = "name,stateCode,mobile\n\
    甲,86,13800000021\n\
    Hans,49,15123456789\n\
    Anna,+49,0176 12345678\n\
    乙,852,51234567\n\
    丙,,13800000022\n";

fn resolve(text: &str, flags: &[&str]) -> ObservedRun {
    observe_run(unlimited_script(), text, |command: &mut Command| {
        command.args(flags);
    })
}

fn sent_numbers(run: &ObservedRun) -> Vec<String> {
    let mut numbers: Vec<_> =
        run.call_log.calls().iter().map(|call| call.number.to_string()).collect();
    numbers.sort();
    numbers
}

/// The cells of a column of the output.
fn cells(run: &ObservedRun, name: &str) -> Vec<String> {
    let output = run.output.as_ref().expect(&run.result.stderr);
    let mut reader = csv::Reader::from_reader(output.as_bytes());
    let index = reader.headers().unwrap().iter().position(|header| header == name).unwrap();
    reader.records().map(|record| record.unwrap()[index].to_owned()).collect()
}

#[test]
fn the_country_beside_a_number_is_part_of_what_is_sent() {
    let run = resolve(RECORDS, &["--show-sent"]);
    assert_eq!(run.result.status, Some(0), "{}", run.result.stderr);
    let sent =
        ["+49-15123456789", "+49-17612345678", "+852-51234567", "13800000021", "13800000022"];
    assert_eq!(sent_numbers(&run), sent);
    assert_eq!(
        cells(&run, "mobile_sent"),
        ["13800000021", sent[0], sent[1], sent[2], "13800000022"]
    );
    run.assert_stderr(0, &["their countries in column 2 (stateCode)"]);
}

#[test]
fn names_and_codes_of_countries_are_understood_under_any_usual_header() {
    for header in
        ["国家/地区", "国家", "country", "国际区号", "区号", "Country Code", "国家码", "地区"]
    {
        let cells = ["49", "+49", "0049", "德国", "Germany", "DE", "'+49", "=+49", "49.0", "４９"];
        let rows = cells.map(|cell| format!("{cell},15123456789\n")).concat();
        let run = resolve(&format!("{header},手机号\n{rows}86,13800138000\n"), &[]);
        assert_eq!(sent_numbers(&run), ["+49-15123456789", "13800138000"], "{header}");
    }
}

#[test]
fn a_contradiction_and_an_unknown_country_are_not_sent() {
    let run = resolve(
        "国家码,手机号\n49,+86 13800138000\n86,+49 15123456789\nXX,13800138001\n\
         Atlantis,15123456789\n852,15123456789\n86,+8613800138002\n",
        &[],
    );
    assert_eq!(run.result.status, Some(0), "{}", run.result.stderr);
    assert_eq!(sent_numbers(&run), ["13800138002"]);
    assert_eq!(
        cells(&run, "errmsg"),
        [
            "the number has the country code +86, but the country column says 49 (+49): correct \
             one of them",
            "the number has the country code +49, but the country column says 86 (+86): correct \
             one of them",
            "the country column says \"XX\", which is no known country or calling code; correct \
             it, or leave it blank for the country of --region",
            "the country column says \"Atlantis\", which is no known country or calling code; \
             correct it, or leave it blank for the country of --region",
            "not a mobile number of +852; a mainland mobile number needs +86",
            "ok",
        ]
    );
}

#[test]
fn an_odd_country_after_the_sample_is_not_sent_either() {
    let rows = |count: usize| "86,13800138000\n".repeat(count);
    let text = format!("国家码,手机号\n{}49,15123456789\nXX,13800138001\n", rows(300));
    let run = resolve(&text, &[]);
    assert_eq!(sent_numbers(&run), ["+49-15123456789", "13800138000"]);
    assert_eq!(run.statuses().last().unwrap(), "invalid");
}

#[test]
fn area_codes_of_the_mainland_change_nothing() {
    let codes = ["010", "86", "+86", "0086", "0755", "", "10", "20"];
    let rows: Vec<_> =
        (0..).zip(codes).map(|(n, code)| format!("{code},1380013800{n}\n")).collect();
    let run = resolve(&format!("区号,手机号\n{}", rows.concat()), &[]);
    assert_eq!(run.statuses(), ["found"; 8], "{}", run.result.stderr);
    let expected: Vec<_> = (0..8).map(|n| format!("1380013800{n}")).collect();
    assert_eq!(sent_numbers(&run), expected);
}

#[test]
fn a_blank_country_means_the_region() {
    let text = "country,mobile\n,51234567\n86,13800138000\n";
    let run = resolve(text, &["--region", "HK", "--mainland", "prefixed"]);
    assert_eq!(sent_numbers(&run), ["+852-51234567", "+86-13800138000"]);
}

#[test]
fn the_flag_names_the_country_column_or_none() {
    let text = "国家,来源,手机号\n德国,86,13800138000\n";
    let by_flag = |flag: &str| resolve(text, &["--country-column", flag]);
    assert_eq!(by_flag("none").statuses(), ["found"]);
    assert_eq!(by_flag("来源").statuses(), ["found"]);
    assert_eq!(by_flag("2").statuses(), ["found"]);
    assert_eq!(resolve(text, &[]).statuses(), ["invalid"]);
    by_flag("手机号").assert_refused(3, &["--country-column: column 3 has the numbers"]);
    by_flag("state").assert_refused(3, &["no column \"state\"", "with --country-column: 1 国家"]);
    let from_env = observe_run(unlimited_script(), text, |command| {
        command.env("DINGMAP_COUNTRY_COLUMN", "none");
    });
    assert_eq!(from_env.statuses(), ["found"]);
}

#[test]
fn each_number_column_has_the_country_of_its_own_column() {
    let text = "国家码,手机号,紧急联系人国家码,紧急联系人手机号\n\
                86,13800138090,49,15123456789\n";
    let run = resolve(text, &["-c", "手机号", "-c", "紧急联系人手机号"]);
    assert_eq!(sent_numbers(&run), ["+49-15123456789", "13800138090"]);
}

#[test]
fn one_number_in_two_spellings_is_asked_once_and_has_one_shard() {
    let text = "stateCode,mobile\n49,15123456789\n,+49 1512 3456789\n0049,015123456789\n";
    let run = resolve(text, &[]);
    assert_eq!(sent_numbers(&run), ["+49-15123456789"]);
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let input = workdir.write_file("in.csv", text);
    let outputs = ["0/3", "1/3", "2/3"].map(|shard| {
        let output = workdir.path(format!("{}.csv", shard.replace('/', "-of-")));
        let ended =
            crate::support::sandbox::run(api.resolve(&input, &output).args(["--shard", shard]));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        output
    });
    let counts =
        outputs.clone().map(|path| std::fs::read_to_string(path).unwrap().lines().count() - 1);
    assert!(counts.contains(&3), "{counts:?}");
    let merged = workdir.path("merged.csv");
    let mut command = dingmap();
    command.arg("merge").arg(&input).args(&outputs).arg("-o").arg(&merged);
    assert_eq!(crate::support::sandbox::run(&mut command).status, Some(0));
    assert_eq!(std::fs::read_to_string(merged).unwrap(), run.output.unwrap());
}

#[test]
fn plan_counts_the_numbers_that_are_sent_and_names_the_column() {
    let workdir = Workdir::new();
    let input = workdir.write_file("staff.csv", RECORDS.to_owned() + "丁,86,+4915123456789\n");
    let plan = |flags: &[&str]| {
        let mut command = dingmap();
        command.arg("plan").arg(&input).arg("--no-state").args(flags);
        let ended = run(&mut command);
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        ended.stdout
    };
    let text = plan(&[]);
    assert!(text.lines().next().unwrap().contains("their countries in column 2 (stateCode)"));
    assert!(
        text.contains("the number has the country code +49, but the country column says 86 (+86)"),
        "{text}"
    );
    let chinese = plan(&["--lang", "zh"]);
    let first_line = chinese.lines().next().unwrap();
    assert!(first_line.contains("号码所属国家或地区在第 2 列（stateCode）"), "{first_line}");
    let json: Value = serde_json::from_str(&plan(&["--json"])).unwrap();
    let column = &json["input"]["columns"][0]["country_column"];
    assert_eq!(*column, json!({"position": 2, "name": "stateCode"}));
    assert_eq!((&json["rows"]["with_number"], &json["rows"]["invalid"]), (&json!(5), &json!(1)));
    assert_eq!(json["numbers"]["distinct"], json!(5));
    let none: Value = serde_json::from_str(&plan(&["--json", "--country-column", "none"])).unwrap();
    assert_eq!(none["input"]["columns"][0]["country_column"], Value::Null);
}

#[test]
fn retry_failed_asks_the_number_with_its_country() {
    let text = "stateCode,mobile,userid,exclusive_userids,status,errcode,errmsg\n\
                49,15123456789,,,failed,-1,busy\n86,13800138000,u1,,found,0,ok\n";
    let run = resolve(text, &["--retry-failed"]);
    assert_eq!(sent_numbers(&run), ["+49-15123456789"]);
}

#[test]
fn diff_compares_by_the_number_with_its_country() {
    let workdir = Workdir::new();
    let answers = "userid,exclusive_userids,status,errcode,errmsg";
    let old = format!("stateCode,mobile,{answers}\n49,15123456789,u1,,found,0,ok\n");
    let new = format!("mobile,{answers}\n+49 15123456789,u1,,found,0,ok\n");
    let mut command = dingmap();
    command.arg("diff");
    command.args([workdir.write_file("old.csv", old), workdir.write_file("new.csv", new)]);
    let ended = run(&mut command);
    assert_eq!(ended.status, Some(0), "{}{}", ended.stdout, ended.stderr);
}

/// Lists without a header, with two failing numbers of Germany, and the exit status of
/// a run with only the row that failed: 0 if that row is in doubt. The sandbox fails numbers that
/// end in 94.
const HEADERLESS: [(&str, i32); 4] = [
    ("A,49,15123456794\nB,86,13800138000\nC,49,15123456789\n", 0),
    ("A,+49,15123456794\nB,86,13800138000\nC,49,15123456789\n", 4),
    ("15123456794,德国\n13800138000,中国\n15123456789,德国\n", 0),
    ("Hans,DE,15123456794\n甲,CN,13800138000\nAnna,DE,15123456789\n", 0),
];

#[test]
fn the_failed_rows_of_a_list_are_never_asked_as_numbers_of_the_mainland() {
    for (text, status) in HEADERLESS {
        let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
        let failed = workdir.path("failed.csv");
        let retry = |input: &std::path::Path, flags: &[&str]| {
            let mut command = api.resolve(input, &workdir.path("out.csv"));
            run(command.args(["--max-retries", "0", "--failed"]).arg(&failed).args(flags))
        };
        let ended = retry(&workdir.write_file("in.csv", text), &[]);
        assert_eq!(ended.status, Some(4), "{}", ended.stderr);
        let only_failed = std::fs::read_to_string(&failed).unwrap();
        assert_eq!(only_failed.lines().count(), 1, "{only_failed}");
        let input = workdir.write_file("retry.csv", &only_failed);
        for (flags, status) in [(&[][..], status), (&["--country-column", "2"], 4)] {
            let ended = retry(&input, flags);
            assert_eq!(ended.status, Some(status), "{text}{}", ended.stderr);
        }
        let asked = api.call_log();
        let asked: Vec<_> = asked.calls().iter().map(|call| call.number.to_string()).collect();
        assert!(asked.iter().all(|number| !number.starts_with("151")), "{text}: {asked:?}");
        assert!(asked.iter().filter(|number| *number == "+49-15123456794").count() > 1, "{text}");
    }
}

#[test]
fn a_cell_that_may_be_the_country_makes_the_row_invalid() {
    let run = resolve("A,49,15123456789\nB,49,13800138000\n", &[]);
    assert_eq!(sent_numbers(&run), ["13800138000"]);
    let expected = "A,49,15123456789,,,invalid,,\"column 2 says \"\"49\"\", which may be the \
                    number's country or something else: name the column of the countries with \
                    --country-column, or use --country-column none\"\n\
                    B,49,13800138000,u00138000,,found,0,ok\n";
    assert_eq!(run.output.as_deref(), Some(expected));
    let note = "column 2 may hold the countries of these numbers; if it does, add \
                --country-column 2, otherwise --country-column none";
    run.assert_stderr(0, &[note]);
    let run = resolve("XX,手机号\n德国,15123456789\n中国,13800138000\n", &[]);
    run.assert_stderr(0, &["column 1 (XX) may hold the countries of these numbers"]);
    assert_eq!(run.statuses(), ["invalid", "found"]);
    for flag in ["none", "XX"] {
        let text = "XX,手机号\n德国,15123456789\n中国,13800138000\n";
        let run = resolve(text, &["--country-column", flag]);
        assert_eq!(run.statuses(), ["found", "found"], "{flag}");
    }
    for header in ["年龄", "部门编号", "工龄", "数量", "序号"] {
        let run = resolve(&format!("{header},手机号\n49,15123456789\n33,13800138000\n"), &[]);
        assert_eq!(sent_numbers(&run), ["13800138000", "15123456789"], "{header}");
        assert!(!run.result.stderr.contains("--country-column"), "{}", run.result.stderr);
    }
}

#[test]
fn one_country_among_area_codes_changes_only_its_own_row() {
    let text = "区号,手机号\n010,13800138000\n20,13800138001\n49,15123456789\n0571,13800138002\n";
    let run = resolve(text, &[]);
    assert_eq!(run.statuses(), ["found"; 4], "{}", run.result.stderr);
    let expected = ["+49-15123456789", "13800138000", "13800138001", "13800138002"];
    assert_eq!(sent_numbers(&run), expected);
    let run = resolve("区号,手机号\n20,13800138000\n20,13800138001\n", &[]);
    assert_eq!(sent_numbers(&run), ["13800138000", "13800138001"]);
}

#[test]
fn columns_with_different_countries_are_refused() {
    let text = "国家码,手机号,国家码\n86,15123456789,49\n";
    let refused =
        ["or use --country-column none: 1 国家码, 3 国家码", "applies to all number columns"];
    resolve(text, &[]).assert_refused(3, &refused);
    assert_eq!(sent_numbers(&resolve(text, &["--country-column", "3"])), ["+49-15123456789"]);
    let text = "电话,国家码,手机号,国家\n02012345678,86,15123456789,德国\n";
    assert_eq!(sent_numbers(&resolve(text, &[])), ["+49-15123456789"]);
}

#[test]
fn a_pipe_and_a_file_have_the_same_country_columns() {
    let rows = |row: &str, count: usize| row.repeat(count);
    for text in [
        format!(
            "A,,13800138000\n{}B,49,15123456789\nC,86,13800138001\n",
            rows("甲,,13800138002\n", 150)
        ),
        format!("XX,mobile\n{}+49,15123456789\n", rows(",13800138000\n", 150)),
        format!("地区,mobile\n{}德国,15123456789\n北京,13800138001\n", rows(",13800138000\n", 150)),
        format!("区号,mobile\n{}A1,13800138001\n49,15123456789\n", rows(",13800138000\n", 150)),
    ] {
        let file = resolve(&text, &[]);
        let api = Sandbox::new(unlimited_script());
        let mut command = api.resolve("-".as_ref(), "-".as_ref());
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        // The first rows arrive alone.
        let (first, rest) = text.split_at(text.match_indices('\n').nth(1).unwrap().0 + 1);
        for part in [first, rest] {
            std::io::Write::write_all(&mut pipe, part.as_bytes()).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        drop(pipe);
        let ended = child.wait_with_output().unwrap();
        let output = String::from_utf8(ended.stdout).unwrap();
        assert_eq!(Some(output), file.output, "{}", String::from_utf8_lossy(&ended.stderr));
    }
}

#[test]
fn a_country_column_is_named_by_the_header_below_a_title() {
    for title in ["部门：,,日期", "基本信息,,联系方式"] {
        let text = format!("{title}\n姓名,国家码,手机号\nA,49,15123456789\nB,86,13800138000\n");
        assert_eq!(sent_numbers(&resolve(&text, &[])), ["+49-15123456789", "13800138000"]);
    }
}

/// Each row states Germany, or may do so, beside a number that is possible in the mainland.
#[test]
fn no_cell_for_a_country_is_overlooked() {
    for (text, answer) in [
        ("姓名,所在国家/地区,x,手机号\n甲,德国,1,15123456789\n", "sent"),
        ("姓名,国家(必填),x,手机号（必填）\n甲,德国,1,15123456789\n", "sent"),
        ("姓名,国家英文名,x,手机号\n甲,Germany,1,15123456789\n", "sent"),
        ("姓名,Country/Territory,x,手机号\n甲,DE,1,15123456789\n", "sent"),
        ("姓名,国际长途区号,x,手机号\n甲,49,1,15123456789\n", "sent"),
        ("姓名,国家编号,x,手机号\n甲,49,1,15123456789\n", "doubt"),
        ("姓名,Country ID,x,手机号\n甲,49,1,15123456789\n", "doubt"),
        ("姓名,Home country,x,手机号\n甲,德国,1,15123456789\n", "doubt"),
        ("姓名,Country of residence,x,手机号\n甲,德国,1,15123456789\n", "doubt"),
        ("姓名,usercountry,x,手机号\n甲,德国,1,15123456789\n", "doubt"),
        ("地区,姓名,代码,手机号\n华东,甲,49,15123456789\n", "doubt"),
        ("代码,手机号,x\n49,15123456789,852\n", "doubt"),
        ("DE,15123456789,IT\nDE,15123456788,HR\n", "doubt"),
        ("姓名,代码,手机号\nName,Code,Mobile\nHans,49,15123456789\n", "doubt"),
        ("姓名,拨号,手机号\n甲,本地,13800138000\n乙,+49,15123456789\n", "doubt"),
        ("姓名,国际编号,手机号\n甲,本地,13800138000\n乙,+49,15123456789\n", "doubt"),
        ("姓名,电话代码,手机号\n甲,49,15123456789\n", "doubt"),
        ("姓名,state,手机号\n甲,49,15123456789\n", "doubt"),
        ("姓名,国籍,手机号\n甲,德国,15123456789\n", "doubt"),
        ("姓名,拨号,部门,手机号\n甲,本地,x,13800138000\n乙,+49,x,15123456789\n", "doubt"),
        ("姓名,拨号,部门,手机号\n甲,本地,x,13800138000\n乙,0049,x,15123456789\n", "doubt"),
        ("姓名,state,x,手机号\n甲,CN,1,13800138000\n乙,DE,1,15123456789\n", "doubt"),
        ("姓名,state,x,手机号\n甲,86,1,13800138000\n乙,49,1,15123456789\n", "doubt"),
        ("name,state,mobile\nA,NY,13800138000\nB,DE,15123456789\n", "doubt"),
        ("name,mobile,x,Location\nA,15123456789,1,Germany\n", "doubt"),
        ("name,mobile,Location\nA,15123456789,\"Berlin, Germany\"\n", "doubt"),
        ("姓名,手机号,x,办公地点\n甲,15123456789,1,柏林（德国）\n", "doubt"),
        ("姓名,手机号,x,地址\n甲,15123456789,1,德国柏林市1号\n", "doubt"),
        ("姓名,state,手机号\n甲,+49,15123456789\n", "sent"),
        ("姓名,Dialing,x,手机号\n甲,49,1,15123456789\n", "sent"),
        ("国家,手机号\n德国 柏林,15123456789\n", "sent"),
        ("国家,手机号\n德国柏林,15123456789\n中国江苏,13800138000\n", "sent"),
        ("country,x,stateCode,mobile\nGermany,1,,15123456789\n", "doubt"),
        ("stateCode,mobile\nDE,15123456789\n", "doubt"),
        ("姓名,IDD,部门,手机号\n甲,+49,x,15123456789\n", "sent"),
        ("姓名,拨号,部门,手机号\n甲,+49,x,15123456789\n", "sent"),
        ("+49,张三,15123456789\n+86,李四,13800138000\n", "sent"),
        ("country,country_name,mobile\nDE,Germany,15123456789\n", "sent"),
        ("country_iso2,country_iso3,mobile\nDE,DEU,15123456789\n", "sent"),
        ("国家代码,国际区号,手机号\nDE,49,15123456789\n", "sent"),
        ("国家,国家码,手机号\n德国,86,15123456789\n", "doubt"),
        ("国家码,国家,手机号\n86,德国,15123456789\n", "doubt"),
        ("国家,区号,手机号\n德国,86,15123456789\n", "doubt"),
        ("姓名,手机号,x,y,所在国\n甲,15123456789,1,2,德国\n", "doubt"),
        ("姓名,手机号,x,y,归属地\n甲,15123456789,1,2,德国\n", "sent"),
        ("姓名,手机号,x,y,z\n甲,15123456789,1,2,德国\n", "doubt"),
        (
            "Name,Intl,Email,Dept,Mobile\nA,49,a@b,HR,15123456789\nB,86,b@b,HR,13800138000\n",
            "doubt",
        ),
        ("电话,国家码,手机号\n03012345,Deutschlnd,15123456789\n", "unknown"),
    ] {
        let run = resolve(text, &[]);
        let sent = sent_numbers(&run);
        let output = run.output.as_ref().expect(text);
        assert!(!sent.iter().any(|number| number.starts_with("151")), "{text}{sent:?}");
        assert_eq!(sent.contains(&"+49-15123456789".to_owned()), answer == "sent", "{text}");
        assert_eq!(output.contains("which may be the number's country"), answer == "doubt");
        assert_eq!(output.contains("\"\"Deutschlnd\"\", which is no known"), answer == "unknown");
    }
}

#[test]
fn other_columns_change_nothing() {
    for text in [
        "部门,姓名,手机号\nIT,甲,13800138000\nHR,乙,13800138001\n",
        "name,estate_code,mobile\nA,A12,13800138000\nB,B12,13800138001\n",
        "姓名,中国码头,手机号\n甲,A12,13800138000\n乙,B12,13800138001\n",
        "地区,手机号,序号\n华东,13800138000,49\n华南,13800138001,55\n",
        "国家,手机号\n国内,13800138000\nCN/中国,13800138001\n",
        "国家,手机号\n境内,13800138000\n中国大陆地区,13800138001\n",
        "国家,手机号\nChina/中国,13800138000\n中国/CN,13800138001\n",
    ] {
        let run = resolve(text, &[]);
        assert_eq!(sent_numbers(&run), ["13800138000", "13800138001"], "{text}");
    }
}

/// All numbers are possible in Germany or the United States as well.
#[test]
fn ordinary_lists_are_sent_as_numbers_of_the_mainland() {
    let (one, two, three) = ("15123456701", "15162345702", "13992345703");
    for [header, first, second, third] in [
        ["城市", "北京", "上海", "呼和浩特"],
        ["籍贯", "江苏", "浙江省杭州市", "内蒙古"],
        ["国籍", "中国", "中国", "汉"],
        ["地址", "北京市朝阳区1号", "上海市德国中心3楼", "江苏省南京市（中国）"],
        ["区号", "010", "86", "021"],
        ["邮编", "100049", "200001", "210049"],
        ["部门编号", "49", "1", "0049"],
        ["工号", "0049", "0001", "0055"],
        ["分机", "49", "8001", "055"],
        ["部门", "德国-市场部", "市场部/美国", "IT"],
        ["职级", "49", "P1", "55"],
        ["编号", "00049", "00001", "00055"],
        ["在职", "在职", "离职", "active"],
        ["City", "Beijing", "Shanghai", "Suzhou"],
        ["Office", "Beijing, China", "49", "Building 1"],
        ["Location", "Beijing, China", "Shanghai - China", "Suzhou, Jiangsu, China"],
        ["Country", "China", "CN", "PRC"],
        ["Extension", "49", "8001", "55"],
        ["Level", "Level 1", "Level 49", "1"],
        ["Amount", "49.00", "1", "55"],
        ["Zip code", "100049", "200001", "210000"],
        ["Dept No.", "49", "1", "55"],
        ["state", "active", "在职", "1"],
        ["state", "NY", "TX", "VT"],
        ["Address", "No. 49, Jianguo Road, Beijing, China", "1", "German Centre, Shanghai"],
        ["Seat", "49", "1", "B-49"],
        ["部门", "DE", "PR", "IT"],
        ["Dept", "HR", "DE", "PR"],
        ["Language", "de", "zh", "en"],
        ["Grade", "DE", "CA", "MS"],
        ["房间号", "49", "1649", "55"],
        ["成绩", "49", "86", "55"],
        ["鞋码", "49", "55", "39"],
        ["工资", "1242", "1600", "1684"],
        ["微信", "49", "US", "abc"],
        ["积点", "49", "55", "33"],
        ["职位", "外贸经理（美国）", "销售-德国", "德国 项目"],
        ["公司", "西门子-德国", "丰田（美国）", "甲"],
    ] {
        for [before, after] in [["", "x,"], ["x,", ""], ["", ""]] {
            let row = |cell: &str, number| format!("甲,\"{cell}\",{before}{number},{after}y\n");
            let rows = [row(first, one), row(second, two), row(third, three)].concat();
            let text = format!("姓名,{header},{before}手机号,{after}y\n{rows}");
            let run = resolve(&text, &[]);
            assert_eq!(run.statuses(), ["found"; 3], "{text}{:?}", run.output);
            assert_eq!(sent_numbers(&run), [three, one, two], "{text}");
            assert!(!run.result.stderr.contains("may hold"), "{text}{}", run.result.stderr);
        }
    }
}

#[test]
fn the_first_line_names_a_column_of_places_with_other_countries() {
    let text = "name,mobile,Location\nA,13800138000,\"Shanghai, China\"\n\
                B,15123456789,Germany\nC,15123456788,\"Berlin, Germany\"\n";
    let run = resolve(text, &[]);
    assert_eq!(run.statuses(), ["found", "invalid", "invalid"]);
    let note = "column 3 (Location) may hold the countries of these numbers; if it does, add \
                --country-column 3, otherwise --country-column none";
    run.assert_stderr(0, &[note]);
    let run = resolve(text, &["--country-column", "3"]);
    assert_eq!(sent_numbers(&run), ["+49-15123456788", "+49-15123456789", "13800138000"]);
    let run = resolve(text, &["--country-column", "none"]);
    assert_eq!(sent_numbers(&run), ["13800138000", "15123456788", "15123456789"]);
}

#[test]
fn a_calling_code_after_the_sample_is_not_overlooked() {
    let rows = "甲,本地,x,13800138000\n".repeat(300);
    let run = resolve(&format!("姓名,拨号,部门,手机号\n{rows}乙,+49,x,15123456789\n"), &[]);
    assert_eq!(sent_numbers(&run), ["13800138000"]);
}

#[test]
fn the_reason_is_about_the_country_that_another_cell_may_name() {
    let text = "name,Dialing,mobile\nA,1,2125551234\nB,86,13800138000\n";
    assert_eq!(sent_numbers(&resolve(text, &[])), ["+1-2125551234", "13800138000"]);
    let text = "name,XX,mobile\nA,US,2125551234\nB,CN,13800138000\nC,49,1512345678\n";
    let reasons = cells(&resolve(text, &[]), "errmsg");
    assert!(reasons[0].starts_with("column 2 says \"US\", which may be"), "{reasons:?}");
    // It rather lacks a digit.
    assert!(reasons[2].starts_with("too short: 10 digits"), "{reasons:?}");
}

#[test]
fn a_state_code_of_letters_may_be_a_state() {
    let run = resolve("name,state_code,mobile\nA,IN,8125550123\n", &["--region", "US"]);
    assert_eq!((sent_numbers(&run), run.statuses()), (vec![], vec!["invalid".to_owned()]));
    // Without a word for countries it is one.
    let run = resolve("name,state,mobile\nA,IN,8125550123\n", &["--region", "US"]);
    assert_eq!(sent_numbers(&run), ["+1-8125550123"]);
    let flags = ["--region", "US", "--country-column", "none"];
    let run = resolve("name,state_code,mobile\nA,IN,8125550123\n", &flags);
    assert_eq!(sent_numbers(&run), ["+1-8125550123"]);
}

#[test]
fn the_number_of_a_contact_may_be_of_another_country() {
    let text = "国家码,手机号,紧急联系人手机号\n49,15123456789,15912345678\n\
                49,13812345678,15912345679\n86,13800138000,15912345677\n";
    let columns = ["-c", "手机号", "-c", "紧急联系人手机号"];
    let run = resolve(text, &columns);
    assert_eq!(sent_numbers(&run), ["+49-15123456789", "13800138000"]);
    assert_eq!(run.statuses(), ["found", "invalid", "found"]);
    // The flag is about all number columns.
    let run = resolve(text, &[&columns[..], &["--country-column", "国家码"]].concat());
    assert_eq!(run.statuses()[1], "found");
    assert!(sent_numbers(&run).contains(&"+49-15912345679".to_owned()));
}

#[test]
fn a_second_header_stays_with_the_failed_rows() {
    let header = "姓名,代号,x,手机号\nName,Country code,y,Mobile\n";
    let text = format!("{header}Hans,49,1,15123456794\n乙,86,1,13800138000\n");
    let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
    let failed = workdir.path("failed.csv");
    let resolve = |input: &std::path::Path| {
        let mut command = api.resolve(input, &workdir.path("out.csv"));
        run(command.args(["--max-retries", "0", "--failed"]).arg(&failed))
    };
    for input in [workdir.write_file("in.csv", &text), workdir.path("retry.csv")] {
        let ended = resolve(&input);
        assert_eq!(ended.status, Some(4), "{}", ended.stderr);
        let rest = std::fs::read_to_string(&failed).unwrap();
        assert_eq!(rest, format!("{header}Hans,49,1,15123456794\n"));
        std::fs::write(workdir.path("retry.csv"), rest).unwrap();
    }
    let calls = api.call_log();
    assert!(calls.calls().iter().all(|call| call.number.to_string() != "15123456794"));
}

#[test]
fn a_header_among_the_rows_stays_only_above_failed_rows() {
    let header = "姓名,国家码,手机号\n";
    let failing = "Hans,49,15123456794\n";
    let fine = format!("{header}甲,86,13800138000\n{header}乙,86,13800138001\n");
    for (text, status, expected) in [
        (fine.clone(), 0, header.to_owned()),
        (format!("{fine}{header}{failing}{header}"), 4, format!("{header}{header}{failing}")),
    ] {
        let (workdir, api) = (Workdir::new(), Sandbox::new(unlimited_script()));
        let (input, failed) = (workdir.write_file("in.csv", &text), workdir.path("failed.csv"));
        let mut command = api.resolve(&input, &workdir.path("out.csv"));
        let ended = run(command.args(["--max-retries", "0", "--failed"]).arg(&failed));
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
        assert_eq!(std::fs::read_to_string(&failed).unwrap(), expected, "{text}");
    }
}

#[test]
fn many_rows_with_an_unknown_country_do_not_blame_the_number_column() {
    let rows = "甲,外国,13800138000\n".repeat(12);
    let run = resolve(&format!("姓名,国家,手机号\n{rows}"), &[]);
    let hint = "12 rows are invalid because of the cell for the country: correct these cells, name \
                the right column with --country-column, or use --country-column none";
    run.assert_stderr(0, &[hint]);
    assert!(!run.result.stderr.contains("is this the right column"), "{}", run.result.stderr);
}
