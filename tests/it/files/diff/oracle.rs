//! Random tables, compared by the executable and by a plain loop over all pairs of rows.

use std::collections::BTreeSet;

use super::{DIFF_HEADER, body_lines, diff_command, summary_count};
use crate::support::sandbox::run;
use crate::support::workdir::Workdir;

/// A row: a staff number, a number with its spelling, the ids, the status.
#[derive(Clone)]
struct Row {
    line: usize,
    staff: &'static str,
    cell: &'static str,
    number: &'static str,
    userid: &'static str,
    exclusive: &'static str,
    status: &'static str,
}

/// Cells and the numbers that they hold.
const CELLS: [(&str, &str); 8] = [
    ("13800138000", "13800138000"),
    ("+86 138-0013-8000", "13800138000"),
    ("13900139000", "13900139000"),
    ("13900139000.0", "13900139000"),
    ("+852 5123 4567", "+852-51234567"),
    ("008613700137000", "13700137000"),
    ("n/a", ""),
    ("", ""),
];
const STATUSES: [&str; 10] = [
    "found",
    "found",
    "found",
    "found",
    "not_found",
    "bad_number",
    "invalid",
    "out_of_scope",
    "failed",
    "pending",
];

fn random_rows(dice: &mut fastrand::Rng) -> Vec<Row> {
    let rows = [0, 1, 3, 12, 40][dice.usize(..5)];
    let mut one = |of: &[&'static str]| of[dice.usize(..of.len())];
    let draw = |line: usize| {
        let status = one(&STATUSES);
        let cell = one(&CELLS.map(|(cell, _)| cell));
        let found = status == "found";
        Row {
            line: line + 2,
            staff: one(&["1", "01", "甲", "x y", "a", "b", "c", "d", "e", ""]),
            cell,
            number: CELLS.iter().find(|(other, _)| *other == cell).unwrap().1,
            userid: if found { one(&["u", "v", "w", "x", "y", ""]) } else { "" },
            exclusive: if found { one(&["", "", "", "p", "p;q", "q;p"]) } else { "" },
            status,
        }
    };
    (0..rows).map(draw).collect()
}

fn to_csv(rows: &[Row]) -> String {
    rows.iter().fold(
        "staff,mobile,userid,exclusive_userids,status,errcode,errmsg\n".to_owned(),
        |text, row| {
            let Row { staff, cell, userid, exclusive, status, .. } = row;
            text + &format!("{staff},{cell},{userid},{exclusive},{status},,\n")
        },
    )
}

impl Row {
    fn key(&self, by_number: bool) -> &'static str {
        if by_number { self.number } else { self.staff }
    }

    fn is_unresolved(&self) -> bool {
        self.status == "failed" || self.status == "pending"
    }

    fn has_same_answer(&self, other: &Self) -> bool {
        let exclusive = |row: &Self| row.exclusive.split(';').collect::<BTreeSet<_>>();
        match (self.status == "found", other.status == "found") {
            (true, true) => self.userid == other.userid && exclusive(self) == exclusive(other),
            (one, two) => one == two,
        }
    }
}

/// What the program has to say: the rows, how many say the same, how many are unknown.
fn expected_diff(old: &[Row], new: &[Row], by_number: bool) -> (Vec<String>, usize, usize) {
    let (mut actual, mut same, mut unknown) = (Vec::new(), 0, 0);
    let keys: BTreeSet<_> =
        old.iter().chain(new).map(|row| row.key(by_number)).filter(|key| !key.is_empty()).collect();
    for key in keys {
        let of = |rows: &[Row]| {
            rows.iter().filter(|row| row.key(by_number) == key).cloned().collect::<Vec<_>>()
        };
        let (mut before, mut after) = (of(old), of(new));
        before.retain(|row| {
            let twin = after.iter().position(|other| {
                !row.is_unresolved() && !other.is_unresolved() && row.has_same_answer(other)
            });
            if let Some(twin) = twin {
                after.remove(twin);
                same += 1;
            }
            twin.is_none()
        });
        for place in 0..before.len().max(after.len()) {
            let (one, other) = (before.get(place), after.get(place));
            if let (Some(one), Some(other)) = (one, other)
                && (one.is_unresolved() || other.is_unresolved())
            {
                unknown += 1;
                continue;
            }
            let change = match (one, other) {
                (None, _) => "added",
                (_, None) => "removed",
                (Some(one), Some(other)) => match (one.status, other.status) {
                    ("found", "found") => "changed",
                    ("found", _) => "lost",
                    _ => "gained",
                },
            };
            let all =
                matches!((one, other), (Some(one), Some(other)) if one.userid == other.userid);
            actual.push(diff_line(change, key, one, other, all));
        }
    }
    let shared = |change: &str, value: fn(&Row) -> &'static str| {
        let usable = |row: &&Row| {
            !row.is_unresolved() && !row.key(by_number).is_empty() && !value(row).is_empty()
        };
        let with_another = |row: &&Row| {
            let another = |other: &Row| {
                value(other) == value(row) && other.key(by_number) != row.key(by_number)
            };
            new.iter().filter(usable).any(another)
        };
        let rows = new.iter().filter(usable).filter(with_another);
        rows.map(|row| diff_line(change, row.key(by_number), None, Some(row), false))
            .collect::<Vec<_>>()
    };
    actual.extend(shared("shared_userid", |row| row.userid));
    if !by_number {
        actual.extend(shared("shared_number", |row| row.number));
    }
    (actual, same, unknown)
}

fn diff_line(change: &str, key: &str, old: Option<&Row>, new: Option<&Row>, all: bool) -> String {
    let ids = |row: &Row| match (row.userid, row.exclusive) {
        ("", exclusive) if !change.starts_with("shared") => exclusive.to_owned(),
        (userid, exclusive) if all && !exclusive.is_empty() => format!("{userid};{exclusive}"),
        (userid, _) => userid.to_owned(),
    };
    let cells = |row: Option<&Row>| {
        row.map_or_else(<[String; 3]>::default, |row| {
            [ids(row), row.status.to_owned(), row.line.to_string()]
        })
    };
    let ([old, was, before], [new, is, now]) = (cells(old), cells(new));
    format!("{change},{key},{old},{new},{was},{is},{before},{now}")
}

/// Random tables to compare.
const SEEDS: u64 = 40;

#[test]
fn random_tables_match_a_brute_force_comparison() {
    let workdir = Workdir::new();
    let mut differed = 0;
    for seed in 0..SEEDS {
        let mut dice = fastrand::Rng::with_seed(seed);
        let (old, new) = (random_rows(&mut dice), random_rows(&mut dice));
        let by_number = dice.bool();
        let (before, after) = (
            workdir.write_file("old.csv", to_csv(&old)),
            workdir.write_file("new.csv", to_csv(&new)),
        );
        let mut command = diff_command(&before, &after);
        command.args(["-c", "mobile"]);
        if !by_number {
            command.args(["--key", "staff"]);
        }
        let ended = run(&mut command);
        let (actual, same, unknown) = expected_diff(&old, &new, by_number);
        let what = format!("seed {seed}\n{}\n{}\n{}", to_csv(&old), to_csv(&new), ended.stderr);
        assert_eq!(ended.status, Some(if actual.is_empty() { 0 } else { 10 }), "{what}");
        assert!(ended.stdout.starts_with(DIFF_HEADER), "{what}");
        assert_eq!(body_lines(&ended.stdout), actual.iter().cloned().collect(), "{what}");
        // No line is there twice, so that the sets say all.
        assert_eq!(ended.stdout.lines().count(), actual.len() + 1, "{what}");
        let counts = ["same", "unknown"].map(|kind| summary_count(&ended, kind));
        assert_eq!(counts, [same as u64, unknown as u64], "{what}");
        for kind in [
            "added",
            "removed",
            "changed",
            "rounded",
            "lost",
            "gained",
            "shared_userid",
            "shared_number",
        ] {
            let rows = actual.iter().filter(|line| line.starts_with(&format!("{kind},"))).count();
            assert_eq!(summary_count(&ended, kind), rows as u64, "{kind} {what}");
        }
        differed += u64::from(!actual.is_empty());
    }
    assert!((SEEDS / 2..=SEEDS).contains(&differed), "{differed} of {SEEDS} tables differ");
}
