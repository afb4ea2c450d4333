//! A clock that jumps back an hour. A test cannot set the machine's clock, so it moves every moment
//! in the state an hour ahead instead: for the program that is the same. It knows the state's
//! tables by itself, as the file has them.

use std::fs;
use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::Value;

use crate::support::interrupted_runs::{
    interrupt_after_calls, numbers_table, resolvable_numbers, run_and_count_calls,
    uninterrupted_output,
};
use crate::support::sandbox::{Sandbox, slow_script};
use crate::support::workdir::Workdir;

const ANSWERS: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("dingmap answers");
const RUNS: TableDefinition<'_, (u32, &str), &str> = TableDefinition::new("dingmap runs");
const HOUR: i64 = 3600;

/// Moves what a state says of time an hour ahead; how many answers there are.
fn shift_state_one_hour_ahead(state: &Path) -> usize {
    let database = Database::open(state).unwrap();
    let read = database.begin_read().unwrap();
    let (answers, runs) = (read.open_table(ANSWERS).unwrap(), read.open_table(RUNS).unwrap());
    let answers: Vec<_> = answers.iter().unwrap().map(Result::unwrap).collect();
    let runs: Vec<_> = runs.iter().unwrap().map(Result::unwrap).collect();
    let change = database.begin_write().unwrap();
    {
        let mut table = change.open_table(ANSWERS).unwrap();
        for (key, value) in &answers {
            table
                .insert(key.value(), &*shift_answer_one_hour_ahead(key.value(), value.value()))
                .unwrap();
        }
        let mut table = change.open_table(RUNS).unwrap();
        for (key, value) in &runs {
            let mut run: Value = serde_json::from_str(value.value()).unwrap();
            run["started"] = (run["started"].as_i64().unwrap() + HOUR).into();
            table.insert(key.value(), &*run.to_string()).unwrap();
        }
    }
    change.commit().unwrap();
    answers.len()
}

/// An answer is its checksum, over key and text, and a text of which the second element is the
/// moment.
fn shift_answer_one_hour_ahead((scope, number): (u32, u64), value: &[u8]) -> Vec<u8> {
    let mut text: Value = serde_json::from_slice(&value[4..]).unwrap();
    text[1] = (text[1].as_i64().unwrap() + HOUR).into();
    let text = text.to_string();
    let mut sum = crc32fast::Hasher::new();
    sum.update(&scope.to_le_bytes());
    sum.update(&number.to_le_bytes());
    sum.update(text.as_bytes());
    [&sum.finalize().to_le_bytes(), text.as_bytes()].concat()
}

#[test]
fn a_run_resumes_after_the_clock_is_set_back_and_answers_keep_their_age() {
    let (api, workdir) = (Sandbox::new(slow_script(10)), Workdir::new());
    let (input, output) = (
        workdir.write_file("staff.csv", numbers_table(&resolvable_numbers(400))),
        workdir.path("out.csv"),
    );
    let ended = interrupt_after_calls(&api, &input, &output, 150, "TERM", &[]);
    assert_eq!(ended.status, Some(143), "{}", ended.stderr);
    let kept = shift_state_one_hour_ahead(&api.state_path());
    assert!(kept >= 100, "{kept}");
    let (_, ended) = run_and_count_calls(&api, &input, &output, &[]);
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("resuming: {kept} of ")), "{}", ended.stderr);
    let busy = resolvable_numbers(400).iter().filter(|number| number.ends_with("95")).count();
    assert_eq!(
        api.call_log().calls().len(),
        400 + 2 * busy,
        "nothing that was kept is asked again"
    );
    let expected = uninterrupted_output(&input);
    assert_eq!(fs::read(&output).unwrap(), expected);

    // The answers seem to be of an hour from now, and count as an hour old: never as younger than
    // any age allows.
    assert_eq!(shift_state_one_hour_ahead(&api.state_path()), 400);
    for (age, asks) in [("0", true), ("30m", true), ("3h", false)] {
        let (calls, ended) = run_and_count_calls(
            &api,
            &input,
            &output,
            &["--max-age", age, "--max-age-not-found", age],
        );
        assert_eq!((calls == 0, ended.status), (!asks, Some(0)), "{age}: {}", ended.stderr);
        assert_eq!(fs::read(&output).unwrap(), expected);
        if asks {
            shift_state_one_hour_ahead(&api.state_path());
        }
    }
}
