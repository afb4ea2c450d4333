//! What shows that a number was changed: `mobile_sent`, the state, or the cell itself.

use std::fs;
use std::path::Path;

use super::{advised, answers, call_numbers, owned};
use crate::support::observed_run::assert_exit;
use crate::support::rows::read_rows;
use crate::support::sandbox::{RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

const NAMES: &str = "userid,exclusive_userids,status,errcode,errmsg";

/// A sandbox, and a result whose numbers are corrected.
struct Fixture {
    api: Sandbox,
    workdir: Workdir,
    file: std::path::PathBuf,
}

impl Fixture {
    /// Resolves a table.
    fn new(table: &str, flags: &[&str]) -> Self {
        let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
        let (input, file) = (workdir.write_file("in.csv", table), workdir.path("out.csv"));
        let ended = run(api.resolve(&input, &file).args(["--max-retries", "0"]).args(flags));
        assert!(matches!(ended.status, Some(0 | 4)), "{}", ended.stderr);
        Self { api, workdir, file }
    }

    fn edit(&self, edits: &[(&str, &str)]) {
        let text = fs::read_to_string(&self.file).unwrap();
        let edited = edits.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "{from} is missing in {text}");
            text.replacen(from, to, 1)
        });
        fs::write(&self.file, edited).unwrap();
    }

    /// Asks again. Returns what was printed, and the numbers that were asked, in order.
    fn retry(&self, flags: &[&str]) -> (RunOutput, Vec<String>) {
        let asked = call_numbers(&self.api).len();
        let mut command = self.api.resolve_without_output(&self.api.endpoint(), &self.file);
        let ended = run(command.args(["-j", "1", "--max-retries", "0"]).args(flags));
        (ended, call_numbers(&self.api).split_off(asked))
    }

    fn answers(&self) -> Vec<(String, String)> {
        answers(&self.file)
    }
}

#[test]
fn a_named_row_with_another_number_never_keeps_the_old_user_id() {
    let table = "手机\n13900000001\n13900000002\n13900000003\n";
    for flags in [&["--show-sent"][..], &[], &["--no-state"]] {
        let fixture = Fixture::new(table, flags);
        fixture.edit(&[("13900000002", "13900000012")]);
        // Only one call, for the first row.
        let mut retry = vec!["--retry", "found", "--max-calls", "1"];
        retry.extend(flags.iter().filter(|flag| **flag == "--no-state"));
        let (ended, asked) = fixture.retry(&retry);
        assert_exit(&ended, 6, &[]);
        assert_eq!(asked, ["13900000001"]);
        // Without a record, nobody knows whether the third row was changed.
        let third = if flags == ["--no-state"] { ("pending", "") } else { ("found", "u00000003") };
        let expected = owned(&[("found", "u00000001"), ("pending", ""), third]);
        assert_eq!(fixture.answers(), expected, "{flags:?}");
    }
}

#[test]
fn a_rounded_user_id_of_another_number_is_not_kept() {
    let table = format!(
        "tel,{NAMES},mobile_sent\n13900000001,4.68E+17,,found,0,ok,13900000001\n\
         13900000002,4.69E+17,,found,0,ok,13900000022\n\
         13900000003,4.69E+17,,found,0,ok,13900000003\n"
    );
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let fixture = Fixture { file: workdir.write_file("out.csv", table), api, workdir };
    let (ended, _) = fixture.retry(&["--retry-failed", "--max-calls", "1"]);
    assert_exit(&ended, 6, &["another number than the one that was asked 1, rounded user id 2"]);
    assert_eq!(
        fixture.answers(),
        owned(&[("found", "u00000001"), ("pending", ""), ("found", "4.69E+17")])
    );
}

#[test]
fn the_first_of_two_numbers_is_compared_although_the_second_was_sent() {
    let table = "手机,备用\n13900000190,13900000001\n13900000290,13900000002\n,13900000003\n";
    let columns = ["-c", "手机", "-c", "备用"];
    for (state, second) in [(&[][..], None), (&["--no-state"], Some("13900000290"))] {
        let flags = [&columns[..], &["--show-sent"], state].concat();
        let fixture = Fixture::new(table, &flags);
        fixture.edit(&[("13900000190", "13900000011")]);
        let (ended, asked) = fixture.retry(&[&columns[..], &["--retry-failed"], state].concat());
        assert_exit(&ended, 0, &[]);
        assert_eq!(asked[0], "13900000011");
        // Without a record, the first number may be another one.
        assert_eq!(asked.get(1).map(|number| &**number), second, "{state:?}");
        let ids = [("found", "u00000011"), ("found", "u00000002"), ("found", "u00000003")];
        assert_eq!(fixture.answers(), owned(&ids), "{state:?}");
    }
}

#[test]
fn a_word_in_place_of_a_number_takes_the_user_id_away_in_a_small_file_too() {
    let table = "手机\n13900000001\n13900000002\n13900000003\n";
    for (flags, retry) in [
        (&[][..], &["--retry-failed"][..]),
        (&["--show-sent"], &["--retry-failed"]),
        (&["--no-state"], &["--retry-failed", "--no-state"]),
    ] {
        let fixture = Fixture::new(table, flags);
        fixture.edit(&[("13900000001", "离职"), ("13900000003", "待补")]);
        let (ended, asked) = fixture.retry(retry);
        assert_exit(&ended, 0, &["another number than the one that was asked 2"]);
        assert!(asked.is_empty(), "{asked:?}");
        assert_eq!(
            fixture.answers(),
            owned(&[("invalid", ""), ("found", "u00000002"), ("invalid", "")]),
            "{flags:?}"
        );
    }
}

#[test]
fn a_mistyped_number_that_ends_as_the_one_that_was_sent_is_another_number() {
    let fixture = Fixture::new("手机\n13900000001\n13900000002\n", &["--show-sent"]);
    fixture.edit(&[("13900000001,u", "00000001,u"), ("13900000002,u", "213900000002,u")]);
    assert_exit(&fixture.retry(&["--retry-failed", "-c", "1"]).0, 0, &[]);
    assert_eq!(fixture.answers(), owned(&[("invalid", ""), ("invalid", "")]));
}

/// A spreadsheet does that to every number of the column: it says nothing about a correction.
#[test]
fn a_number_that_a_spreadsheet_rounded_is_listed_and_keeps_its_user_id() {
    let fixture = Fixture::new("手机\n13900000001\n13900000002\n", &["--show-sent"]);
    fixture.edit(&[("13900000001,u", "1.39E+10,u")]);
    let (ended, asked) = fixture.retry(&["--retry-failed"]);
    assert_exit(&ended, 0, &["1 row has an answer, and its number cannot be read", "line 2"]);
    assert!(asked.is_empty());
    assert_eq!(fixture.answers()[0], ("found".to_owned(), "u00000001".to_owned()));
}

#[test]
fn answers_that_were_forgotten_are_not_taken_for_other_numbers() {
    let table = "手机\n13900000001\n13900000002\n13900000090\n";
    let fixture = Fixture::new(table, &[]);
    let before = fs::read_to_string(&fixture.file).unwrap();
    let mut forget = dingmap();
    forget.args(["state", "forget", "--all", "--state"]).arg(fixture.api.state_path());
    assert_exit(&run(&mut forget), 0, &[]);
    let (ended, asked) = fixture.retry(&["--retry-failed"]);
    assert_exit(&ended, 0, &["3 rows have an answer, and there is no record of the number"]);
    assert!(asked.is_empty(), "{asked:?}");
    assert_eq!(fs::read_to_string(&fixture.file).unwrap(), before);
}

#[test]
fn a_file_that_a_run_without_state_replaced_is_not_taken_for_the_earlier_one() {
    let fixture = Fixture::new("手机\n13900000001\n13900000002\n", &[]);
    let input = fixture.workdir.write_file("other.csv", "手机\n13900000003\n13900000004\n");
    assert_exit(&run(fixture.api.resolve(&input, &fixture.file).arg("--no-state")), 0, &[]);
    let (ended, asked) = fixture.retry(&["--retry-failed"]);
    assert_exit(&ended, 0, &["2 rows have an answer, and there is no record of the number"]);
    assert!(asked.is_empty(), "{asked:?}");
    // Nor by its name, after a file from elsewhere was written there.
    let foreign = format!("手机,{NAMES}\n13900000090,,,not_found,60121,none\n");
    let foreign = fixture.workdir.write_file("foreign.csv", foreign);
    let mut command = fixture.api.resolve(&foreign, &fixture.file);
    assert_exit(&run(command.arg("--retry-failed")), 0, &[]);
    let (ended, asked) = fixture.retry(&["--retry-failed"]);
    assert_exit(&ended, 0, &["1 row has an answer, and there is no record of the number"]);
    assert!(asked.is_empty(), "{asked:?}");
}

#[test]
fn the_only_row_of_a_file_that_was_not_found_is_asked_with_its_new_number() {
    let fixture = Fixture::new("手机\n13900000090\n", &[]);
    fixture.edit(&[("13900000090", "13900000009")]);
    let (ended, asked) = fixture.retry(&["--retry-failed"]);
    assert_exit(&ended, 0, &["asking 1 of 1 rows again: number not in the state 1"]);
    assert_eq!((asked.len(), &*fixture.answers()[0].1), (1, "u00000009"));
}

#[test]
fn an_invalid_row_with_another_invalid_number_gets_its_reason_without_a_call() {
    let fixture = Fixture::new("手机\n139000001\n13900000002\n1390000033\n", &[]);
    fixture.edit(&[("139000001,", "离职,")]);
    let before = fs::read_to_string(&fixture.file).unwrap();
    // Nothing is lost where the app is not known.
    let mut command = fixture.api.resolve_without_output(&fixture.api.endpoint(), &fixture.file);
    command.env_remove("DINGTALK_APP_KEY").env_remove("DINGTALK_APP_SECRET");
    assert_exit(&run(command.arg("--retry-failed")), 0, &[]);
    assert_eq!(fs::read_to_string(&fixture.file).unwrap(), before);
    let (ended, asked) = fixture.retry(&["--retry-failed"]);
    assert_exit(&ended, 0, &["2 rows kept as they were"]);
    assert!(asked.is_empty(), "{asked:?}");
    let reasons: Vec<_> =
        read_rows(&fixture.file).iter().map(|row| row["errmsg"].clone()).collect();
    assert!(reasons[0].contains("not a phone number"), "{reasons:?}");
    assert!(reasons[2].contains("10 digits"), "{reasons:?}");
    let (ended, _) = fixture.retry(&["--retry-failed"]);
    assert_exit(&ended, 0, &["nothing to retry"]);
}

#[test]
fn retry_of_other_statuses_asks_failed_rows_with_another_number_too() {
    let table = "手机\n13900000094\n13900000194\n13900000090\n13900000001\n";
    // By the number that was sent, or because the state has an answer to the number.
    for (flags, number) in [(&["--show-sent"][..], "13900000011"), (&[], "13900000001")] {
        let fixture = Fixture::new(table, flags);
        fixture.edit(&[("13900000194,", &format!("{number},"))]);
        let (ended, asked) = fixture.retry(&["--retry", "not_found"]);
        assert_exit(&ended, 4, &["not_found 1, another number than the one that was asked 1"]);
        assert_eq!(asked, [number, "13900000090"], "{flags:?}");
        let statuses: Vec<_> = fixture.answers().into_iter().map(|(status, _)| status).collect();
        assert_eq!(statuses, ["failed", "found", "not_found", "found"]);
    }
}

#[test]
fn pending_rows_that_no_status_names_are_no_success() {
    // Otherwise the state has the answer.
    let fixture = Fixture::new("手机\n13900000001\n13900000090\n", &["--no-state"]);
    fixture.edit(&[("u00000001,,found,0,ok", ",,pending,,")]);
    assert_exit(&fixture.retry(&["--retry", "not_found"]).0, 4, &["not_found 1"]);
    assert_eq!(fixture.answers()[0].0, "pending");
    let words = "nothing to retry, although 1 of 2 rows failed or are pending";
    assert_exit(&fixture.retry(&["--retry", "bad_number"]).0, 4, &[words]);
}

#[test]
fn the_command_that_is_advised_after_a_retry_of_some_statuses_asks_what_is_open() {
    let table = "手机\n13900000001\n13900000090\n13900000190\n13900000094\n";
    let fixture = Fixture::new(table, &[]);
    let flags = ["--retry", "not_found", "--restart", "--partial", "--max-calls", "1"];
    let (ended, _) = fixture.retry(&flags);
    assert_exit(&ended, 6, &[]);
    fixture.edit(&[("13900000190,", "13900000019,")]);
    let again = run(&mut advised(&fixture.api, &ended, "correct the numbers in"));
    assert_exit(&again, 4, &["number not in the state 1"]);
    assert!(again.stderr.contains("failed 1"), "{}", again.stderr);
    assert_eq!(fixture.answers()[2].1, "u00000019");
    let again = run(&mut advised(&fixture.api, &again, "row failed; to ask it again"));
    assert_exit(&again, 4, &["asking 1 of 4 rows again: failed 1"]);
}

/// A state that cannot be read must not pass for one that knows nothing.
#[test]
fn a_state_that_cannot_be_read_ends_the_run() {
    let fixture = Fixture::new("手机\n13900000001\n13900000090\n", &[]);
    fixture.edit(&[("13900000090,", "13900000019,")]);
    let before = fs::read_to_string(&fixture.file).unwrap();
    break_table(&fixture.api.state_path());
    let (ended, asked) = fixture.retry(&["--retry-failed"]);
    assert_exit(&ended, 1, &["the state file cannot be read"]);
    assert!(asked.is_empty(), "{asked:?}");
    assert_eq!(fs::read_to_string(&fixture.file).unwrap(), before);
    // A run that can do without says what is lost.
    let (input, output) = (fixture.workdir.path("in.csv"), fixture.workdir.path("out2.csv"));
    let ended = run(&mut fixture.api.resolve(&input, &output));
    assert_exit(&ended, 0, &["the state file could not record that"]);
}

/// Gives the table of the files other types.
fn break_table(state: &Path) {
    use redb::{Database, TableDefinition};
    let database = Database::open(state).unwrap();
    let transaction = database.begin_write().unwrap();
    let name = "dingmap resolved";
    transaction.delete_table(TableDefinition::<&str, (u32, u64)>::new(name)).unwrap();
    transaction.open_table(TableDefinition::<u64, u64>::new(name)).unwrap();
    transaction.commit().unwrap();
}
