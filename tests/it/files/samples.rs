//! The samples hold what they promise: replies read as listed, and the staff list comes out to the
//! byte.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use dingmap::testing::domain::Status;
use dingmap::testing::domain::{DecodeError, decode};
use dingmap::testing::domain::{DefaultRegion, MainlandFormat, Mobile};
use dingmap::testing::domain::{Pause, PauseLength, Verdict, by_code, ip_ban_pause};
use dingmap::testing::sandbox::{IdForm, Script};

use crate::support::roster_workbook::{roster_parts, roster_workbook};
use crate::support::rows::read_rows;
use crate::support::sample_files::sample_path;
use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::workbook::{read_parts, read_sheet};
use crate::support::workdir::Workdir;

/// A line of `replies/expected.csv`.
#[derive(Debug, Default, PartialEq, Eq, serde::Deserialize)]
struct ExpectedReply {
    file: String,
    kind: String,
    detail: String,
    code: String,
    userid: String,
    exclusive: String,
    message: String,
}

/// What dingmap makes of a body that came with HTTP 200.
fn classify_reply(file: &str, body: &[u8]) -> ExpectedReply {
    let file = file.to_owned();
    let reply = match decode(body, |text| text) {
        Ok(reply) => reply,
        Err(garbled) => {
            let (kind, detail) = match garbled {
                DecodeError::Banned => {
                    ("banned", verdict_detail(&Verdict::Throttled(ip_ban_pause())))
                }
                DecodeError::Empty => ("empty", String::new()),
                DecodeError::HtmlPage => ("page", String::new()),
                DecodeError::NotJson => ("not_json", String::new()),
                DecodeError::UnreadableIds => ("odd", String::new()),
                DecodeError::MissingCode => ("no_code", String::new()),
            };
            return ExpectedReply {
                file,
                kind: kind.into(),
                detail,
                message: garbled.to_string(),
                ..ExpectedReply::default()
            };
        }
    };
    let verdict = by_code(&reply.code, &reply.message);
    let kind = match &verdict {
        Verdict::Answer(Status::Found)
            if reply.userid.is_none() && reply.exclusive_ids.is_empty() =>
        {
            "nobody"
        }
        Verdict::Answer(status) => status.name(),
        Verdict::Transient => "transient",
        Verdict::Throttled(_) => "throttled",
        Verdict::TokenRejected => "token",
        Verdict::Fatal(_) => "fatal",
        Verdict::UnknownCode => "unknown",
    };
    ExpectedReply {
        file,
        kind: kind.into(),
        detail: verdict_detail(&verdict),
        code: reply.code.to_string(),
        userid: reply.userid.unwrap_or_default(),
        exclusive: reply.exclusive_ids.join(";"),
        message: reply.message,
    }
}

/// What a person has to do, or which limit was met and how long it holds.
fn verdict_detail(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Fatal(remedy) => format!("{remedy:?}"),
        Verdict::Throttled(Pause { cause, until: Some(until), .. }) => {
            format!("{cause:?} until {until}")
        }
        Verdict::Throttled(Pause { cause, length: PauseLength::Fixed(pause), .. }) => {
            format!("{cause:?} {}", humantime::format_duration(*pause))
        }
        Verdict::Throttled(Pause { cause, length: PauseLength::Exponential, .. }) => {
            format!("{cause:?} growing")
        }
        _ => String::new(),
    }
}

#[test]
fn every_sample_reply_is_listed_and_classified_as_listed() {
    let list = sample_path("replies/expected.csv");
    let expected: Vec<ExpectedReply> =
        csv::Reader::from_path(&list).unwrap().deserialize().map(Result::unwrap).collect();
    for expected in &expected {
        let body = std::fs::read(sample_path("replies").join(&expected.file));
        let body = body.unwrap_or_else(|error| panic!("{} is listed: {error}", expected.file));
        assert_eq!(&classify_reply(&expected.file, &body), expected);
    }
    let listed: BTreeSet<String> = expected.iter().map(|line| line.file.clone()).collect();
    assert_eq!(listed.len(), expected.len(), "a file is listed twice");
    let names = std::fs::read_dir(sample_path("replies")).unwrap();
    let mut there: BTreeSet<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.remove("expected.csv");
    assert_eq!(there, listed);
}

/// Every kind of reply has its sample, so that a new kind gets one too.
#[test]
fn the_replies_cover_every_kind() {
    let list = sample_path("replies/expected.csv");
    let lines = csv::Reader::from_path(&list).unwrap().into_deserialize::<ExpectedReply>();
    let kinds: BTreeSet<String> = lines.map(|line| line.unwrap().kind).collect();
    let all = "bad_number banned empty fatal found no_code nobody not_found not_json odd \
        out_of_scope page throttled token transient unknown";
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), all.split_whitespace().collect::<Vec<_>>());
}

/// The appended cells but `errmsg` that the table in `samples/README.md` gives, by the ending of
/// the number.
fn predicted_cells() -> HashMap<String, [String; 4]> {
    let text = std::fs::read_to_string(sample_path("README.md")).unwrap();
    let mut predictions = HashMap::new();
    for line in text.lines() {
        let cells: Vec<String> = line.split('|').map(|cell| cell.trim().replace('`', "")).collect();
        if let [_, ending, _, status, code, userid, exclusive, _] = &*cells
            && (ending == "00 to 89" || (ending.len() == 2 && ending.starts_with('9')))
        {
            let cells = [status, code, userid, exclusive].map(Clone::clone);
            assert!(
                predictions.insert(ending.clone(), cells).is_none(),
                "{ending} is listed twice"
            );
        }
    }
    predictions
}

fn golden_rows(name: &str) -> impl Iterator<Item = (HashMap<String, String>, Option<Mobile>)> {
    read_rows(&sample_path(name)).into_iter().map(|row| {
        let mobile = Mobile::parse(&row["手机号"], DefaultRegion::CHINA).ok();
        (row, mobile)
    })
}

#[test]
fn the_readme_predicts_every_row_of_the_golden_outputs() {
    let predictions = predicted_cells();
    assert_eq!(predictions.len(), 11);
    let mut used = HashSet::new();
    let rows = golden_rows("staff.resolved.csv").chain(golden_rows("staff-faults.resolved.csv"));
    for (row, mobile) in rows {
        let Some(mobile) = mobile else {
            assert_eq!(
                [&row["status"], &row["errcode"], &row["userid"]],
                ["invalid", "", ""],
                "{row:?}"
            );
            assert!(!row["errmsg"].is_empty(), "{row:?}");
            continue;
        };
        let digits: String = mobile
            .to_api_string(MainlandFormat::Plain)
            .chars()
            .filter(char::is_ascii_digit)
            .collect();
        let (tail, ending) = (&digits[digits.len() - 8..], &digits[digits.len() - 2..]);
        let ending = if ending < "90" { "00 to 89" } else { ending };
        used.insert(ending.to_owned());
        let expected = predictions[ending].clone().map(|cell| cell.replace("*tail*", tail));
        let cells =
            ["status", "errcode", "userid", "exclusive_userids"].map(|name| row[name].clone());
        assert_eq!(cells, expected, "{row:?}");
    }
    assert_eq!(used.len(), predictions.len(), "every rule has a row: {used:?}");
}

/// Rows of the golden output by status.
fn status_counts(name: &str) -> HashMap<String, usize> {
    golden_rows(name).fold(HashMap::new(), |mut counts, (mut row, _)| {
        *counts.entry(row.remove("status").unwrap()).or_default() += 1;
        counts
    })
}

#[test]
fn the_golden_outputs_have_every_status_of_a_complete_run() {
    let (staff, faults) =
        (status_counts("staff.resolved.csv"), status_counts("staff-faults.resolved.csv"));
    for status in Status::ALL {
        let complete = !matches!(status, Status::Failed | Status::Pending);
        assert_eq!(staff.contains_key(status.name()), complete, "{status}");
    }
    assert_eq!(faults["failed"], 2);
    assert!(staff["found"] * 4 > staff.values().sum::<usize>() * 3, "{staff:?}");
}

#[test]
fn the_faults_sample_resolves_byte_for_byte() {
    let workdir = Workdir::new();
    let output = workdir.path("out.csv");
    let mut command = dingmap();
    command.arg("resolve").arg(sample_path("staff-faults.csv")).arg("-o").arg(&output);
    let result = run(command.args(["--sandbox", "--retry-min", "5ms", "--retry-max", "50ms"]));
    assert_eq!(result.status, Some(4), "{}", result.stderr);
    let golden = std::fs::read_to_string(sample_path("staff-faults.resolved.csv")).unwrap();
    assert_eq!(std::fs::read_to_string(&output).unwrap(), golden);
}

#[test]
fn the_staff_sample_resolves_byte_for_byte() {
    let (workdir, input) = (Workdir::new(), sample_path("staff.csv"));
    let output = workdir.path("staff.resolved.csv");
    let mut command = dingmap();
    command.args(["resolve".as_ref(), input.as_os_str(), "-o".as_ref(), output.as_os_str()]);
    // The rate stays that of the command in the README, since the sandbox limits it too; the
    // backoffs may be short.
    command
        .args(["--sandbox", "-vvv"])
        .env("DINGMAP_RETRY_MIN", "5ms")
        .env("DINGMAP_RETRY_MAX", "50ms");
    let ended = run(&mut command);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let golden = std::fs::read_to_string(sample_path("staff.resolved.csv")).unwrap();
    let written = std::fs::read_to_string(&output).unwrap();
    for (number, (is, golden)) in written.lines().zip(golden.lines()).enumerate() {
        assert_eq!(is, golden, "line {}", number + 1);
    }
    assert_eq!(written, golden);
    assert_eq!(
        (ended.stdout.as_str(), workdir.file_names()),
        ("", vec!["staff.resolved.csv".to_owned()])
    );

    let block =
        ended.stderr.rfind("\n200 rows in ").map(|start| &ended.stderr[start + 1..]).unwrap();
    let mut lines = block.lines();
    let first = lines.next().unwrap();
    let distinct: HashSet<Mobile> =
        golden_rows("staff.resolved.csv").filter_map(|(_, mobile)| mobile).collect();
    let shared = golden_rows("staff.resolved.csv").filter(|(_, mobile)| mobile.is_some()).count()
        - distinct.len();
    let asked = format!(": {} distinct numbers asked with ", distinct.len());
    let (_, calls) = first.split_once(&asked).unwrap_or_else(|| panic!("{first}"));
    assert!(calls.ends_with(&format!(" retries), {shared} rows shared an answer")), "{first}");
    let numbers: Vec<usize> =
        calls.split([' ', '(']).filter_map(|word| word.parse().ok()).collect();
    assert_eq!(numbers[0], distinct.len() + numbers[1], "{first}");
    let actual: HashMap<String, usize> = lines
        .map_while(|line| line.strip_prefix("  "))
        .map(|line| {
            let mut words = line.split_whitespace();
            (words.next().unwrap().to_owned(), words.next().unwrap().parse().unwrap())
        })
        .collect();
    assert_eq!(actual, status_counts("staff.resolved.csv"));
    // With -v a log line follows, which says that the run has ended.
    assert!(block.contains(&format!("\nwritten to {}\n", output.display())), "{block}");
    assert!(block.contains("\nout_of_scope: "), "{block}");

    for (row, mobile) in golden_rows("staff.resolved.csv") {
        let Some(mobile) = mobile else { continue };
        let sent = mobile.to_api_string(MainlandFormat::Plain);
        let national = sent.rsplit('-').next().unwrap();
        for shown in [sent.as_str(), national, row["手机号"].trim()] {
            assert!(!ended.stderr.contains(shown), "{shown} is on standard error");
        }
    }
    assert!(ended.stderr.contains("****") && !ended.stderr.contains("sandbox-secret"));
}

/// Resolves the roster against a sandbox with ids of 17 to 19 digits.
fn resolve_roster(output: &Path) {
    let script = Script { id_form: IdForm::Numeric, ..unlimited_script() };
    let ended = run(&mut Sandbox::new(script).resolve(&sample_path("roster.xlsx"), output));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

fn assert_same_parts(path: &Path, expected: &[(String, String)]) {
    let parts = read_parts(path);
    let names = |parts: &[(String, String)]| -> Vec<String> {
        parts.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&parts), names(expected), "{}", path.display());
    for ((name, is), (_, expected)) in parts.iter().zip(expected) {
        assert!(is == expected, "{name} of {} differs:\n{is}\n{expected}", path.display());
    }
}

/// Part by part, because a newer version of the library may compress them better. To write them
/// anew: `DINGMAP_WRITE_ROSTER=1 cargo test --test it the_roster_sample`.
#[test]
fn the_roster_sample_and_its_result_are_as_generated() {
    if std::env::var_os("DINGMAP_WRITE_ROSTER").is_some() {
        std::fs::write(sample_path("roster.xlsx"), roster_workbook()).unwrap();
        resolve_roster(&sample_path("roster.resolved.xlsx"));
    }
    assert_same_parts(&sample_path("roster.xlsx"), &roster_parts());
    let workdir = Workdir::new();
    let output = workdir.path("roster.resolved.xlsx");
    resolve_roster(&output);
    assert_same_parts(&output, &read_parts(&sample_path("roster.resolved.xlsx")));
}

#[test]
fn every_user_id_of_the_roster_keeps_its_digits() {
    let rows = read_sheet(&sample_path("roster.resolved.xlsx"), "在职");
    let header = rows.iter().position(|row| row[0] == "工号").unwrap();
    let column = |name: &str| rows[header].iter().position(|cell| cell == name).unwrap();
    let (number, userid) = (column("手机号"), column("userid"));
    let mut found = 0;
    for row in rows[header + 1..].iter().filter(|row| row[column("status")] == "found") {
        let mobile = Mobile::parse(&row[number], DefaultRegion::CHINA).unwrap();
        let sent = mobile.to_api_string(MainlandFormat::Plain);
        assert_eq!(row[userid], IdForm::Numeric.userid(&sent));
        assert!(row[userid].len() >= 17 && row[column("工资卡号")].len() == 19, "{row:?}");
        found += 1;
    }
    assert_eq!(found, 14);
    assert_eq!(rows[header + 1][0], "00001");
}
