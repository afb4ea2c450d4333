//! Whole runs drawn from a seed: repeats, spellings, bad cells, transient answers and slow replies,
//! against a prediction that is worked out from the directory's rules alone.

use std::collections::BTreeMap;
use std::time::Duration;

use dingmap::testing::sandbox::DirectoryEntry;
use dingmap::testing::sandbox::Script;
use fastrand::Rng;

use super::resolve_against;
use crate::support::expected_rows::{ExpectedTable, expected_answer, invalid_answer};
use crate::support::sandbox::{Sandbox, unlimited_script};

const ROWS: usize = 300;
const MAX_RETRIES: u32 = 5;

/// A number written as people and programs write it.
fn random_spelling(number: &str, chance: &mut Rng) -> String {
    let (area, rest) = number.split_at(3);
    let (middle, end) = rest.split_at(4);
    match chance.u8(..10) {
        0 => format!("{area} {middle} {end}"),
        1 => format!("+86 {area}-{middle}-{end}"),
        2 => format!("0086{number}"),
        3 => format!("\" {number}\""),
        4 => format!("{number}.0"),
        5 => number.chars().filter_map(|digit| char::from_u32(u32::from(digit) + 0xfee0)).collect(),
        6 => format!("'{number}"),
        _ => number.to_owned(),
    }
}

/// A number with an ending that is plain most of the time.
fn random_number(chance: &mut Rng) -> String {
    let ending = if chance.u8(..3) == 0 { chance.u8(90..100) } else { chance.u8(..90) };
    format!("1{}{:07}{ending:02}", chance.u8(3..10), chance.u32(..10_000_000))
}

fn random_script(seed: u64, chance: &mut Rng) -> Script {
    let slowest = Duration::from_millis(chance.u64(..12));
    Script {
        seed,
        transient_share: 0.15,
        transient_attempts: chance.u32(1..3),
        latency: Duration::ZERO..=slowest,
        slow: Some((0.02, Duration::from_millis(80))),
        revoke_tokens_after_calls: chance.bool().then(|| chance.u64(..150)),
        ..unlimited_script()
    }
}

/// How many calls one number takes by the rules of the directory and the script.
fn expected_calls(number: &str, script: &Script) -> u32 {
    let rule = DirectoryEntry::for_number(number);
    let busy = rule.busy_attempts().max(script.transient_attempts_for(number));
    match rule {
        DirectoryEntry::Busy => 1 + MAX_RETRIES,
        DirectoryEntry::UnknownCode => busy + 3,
        _ => busy + 1,
    }
}

fn check_seed(seed: u64) {
    let mut chance = Rng::with_seed(seed);
    let script = random_script(seed, &mut chance);
    let pool: Vec<String> = (0..chance.usize(1..150)).map(|_| random_number(&mut chance)).collect();
    let refused = [
        ("", "the cell is empty"),
        ("1.39E+10", "1.39E+10: Excel rounded this number; restore it from the source"),
        (
            "unknown",
            "not a phone number: it has characters other than digits and + - ( ) . and spaces",
        ),
        (
            "1380013800",
            "too short: 10 digits; a mainland mobile number has 11, others need their country code",
        ),
    ];
    let mut table = ExpectedTable {
        bom: chance.bool(),
        delimiter: chance.choice([',', ';', '\t', '|']).unwrap(),
        line_end: chance.choice(["\n", "\r\n"]).unwrap(),
        ends_with_newline: chance.bool(),
        header: None,
        rows: Vec::new(),
    };
    let mut predicted: BTreeMap<&str, u32> = BTreeMap::new();
    let mut fails = false;
    for row in 0..ROWS {
        let (cell, cells) = if chance.u8(..10) == 0 {
            let (cell, reason) = chance.choice(refused).unwrap();
            (cell.to_owned(), invalid_answer(reason))
        } else {
            let number = chance.choice(&pool).unwrap();
            predicted.insert(number, expected_calls(number, &script));
            fails |= matches!(
                DirectoryEntry::for_number(number),
                DirectoryEntry::Busy | DirectoryEntry::UnknownCode
            );
            (random_spelling(number, &mut chance), expected_answer(number, true))
        };
        let note = if chance.u8(..5) == 0 {
            format!("\"a\"\"{}b\"", table.line_end)
        } else {
            row.to_string()
        };
        let line = format!("{note}{}{cell}", table.delimiter);
        table.push_row(&line, cells);
    }
    let workers = chance.u16(1..64).to_string();
    let api = Sandbox::new(script.clone());
    let (ended, output, call_log) = resolve_against(&api, &table.input_text(), |command| {
        command.args(["-n", "-c", "2", "--retry-max", "10ms", "--workers", &workers]);
        command.args(["--max-retries", &MAX_RETRIES.to_string()]);
    });
    assert_eq!(output, table.output_text(), "{}", ended.stderr);
    assert_eq!(ended.status, Some(if fails { 4 } else { 0 }), "{}", ended.stderr);
    // A call that met a revoked token is repeated with the next one and tells nothing of its
    // number.
    let mut arrived: BTreeMap<&str, u32> = BTreeMap::new();
    for call in call_log.calls().iter().filter(|call| call.answered != "40014") {
        *arrived.entry(&call.number).or_default() += 1;
    }
    assert_eq!(arrived, predicted);
    let retries: u32 = predicted.values().map(|calls| calls - 1).sum();
    let turned_away = call_log.count_answered("40014");
    assert_eq!(
        call_log.calls().len(),
        call_log.distinct_numbers() + retries as usize + turned_away
    );
    assert!(turned_away <= 64 && call_log.token_calls().len() <= 2, "a token is renewed once");
}

#[test]
fn a_seeded_random_run_gives_the_predicted_rows_and_calls() {
    for seed in 1..=8 {
        println!("seed {seed}");
        check_seed(seed);
    }
}
