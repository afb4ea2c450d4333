//! Shards: several runs that take a part of a table each, and the one file that their outputs become, on the real executable.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use encoding_rs::GB18030;

use crate::harness::{Api, Desk, Ended, dingmap, run, unlimited};

/// People, some with the same number, some without one, some twice, with blank lines between and a last row without an end.
fn table() -> String {
    let mut text = "工号,姓名,手机号\n".to_owned();
    for n in 0..400_u32 {
        text += &match n % 40 {
            7 => format!("{n},空,\n"),
            8 => "8,空,\n".to_owned(),
            9 => format!("\n\n{n},\"a\nb\",1.38E+10\n"),
            10 => "10,重,13900000007\n".to_owned(),
            11 => format!("{n},短\n"),
            _ => format!("{n},\"人,{n}\",139{:06}{:02}\n", n % 5, n * 7919 % 80),
        };
    }
    text += "400,末,13900000001";
    text
}

/// Runs each shard of `input`, with flags of the caller's, and gives their outputs.
fn sharded(api: &Api, input: &Path, of: u32, flags: &[&str]) -> Vec<PathBuf> {
    (0..of)
        .map(|index| {
            let shard = format!("{index}/{of}");
            let mut command = api.resolve_without_output(&api.endpoint(), input);
            let ended = run(command.args(["--shard", &shard]).args(flags));
            assert_eq!(ended.status, Some(0), "{ended:?}");
            let name = format!("{}.resolved.{index}-of-{of}.csv", input.file_stem().unwrap().to_str().unwrap());
            input.with_file_name(name)
        })
        .collect()
}

fn merge(input: &Path, shards: &[PathBuf], flags: &[&str]) -> Ended {
    run(dingmap().arg("merge").arg(input).args(shards).args(flags))
}

/// What one run writes, and what shards become, each of which asks for its own numbers alone.
fn as_one(text: &[u8], of: u32, reading: &[&str], writing: &[&str]) {
    let (api, desk) = (Api::new(unlimited()), Desk::new());
    let (input, whole, merged) = (desk.file("staff.csv", text), desk.path("whole.csv"), desk.path("merged.csv"));
    let ended = run(api.resolve(&input, &whole).args(reading).args(writing));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let asked = api.ledger().calls().len();
    let flags: Vec<_> = reading.iter().chain(writing).copied().collect();
    let mut shards = sharded(&api, &input, of, &flags);
    assert_eq!(api.ledger().calls().len(), 2 * asked, "each number is asked by one shard");
    shards.reverse();
    let merging = writing.iter().position(|flag| *flag == "--output-encoding").map_or(&[][..], |at| &writing[at..at + 2]);
    let flags: Vec<_> = reading.iter().chain(merging).copied().chain(["-o", merged.to_str().unwrap()]).collect();
    let ended = merge(&input, &shards, &flags);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(std::fs::read(&merged).unwrap() == std::fs::read(&whole).unwrap(), "{of} {reading:?} {writing:?}");
}

#[test]
fn shards_become_what_one_run_writes() {
    for of in [1, 2, 3, 16] {
        as_one(table().as_bytes(), of, &["--flexible"], &[]);
    }
    as_one(table().as_bytes(), 4, &[], &["--show-sent", "--excel-safe"]);
    let crlf = table().replace('\n', "\r\n") + "\r\n\r\n";
    as_one(&[b"\xef\xbb\xbf", crlf.as_bytes()].concat(), 4, &[], &[]);
    as_one(&GB18030.encode(&table()).0, 4, &[], &[]);
    let wide: Vec<u8> = format!("\u{feff}{}", table()).encode_utf16().flat_map(u16::to_le_bytes).collect();
    as_one(&wide, 4, &[], &[]);
    as_one(table().as_bytes(), 4, &[], &["--output-encoding", "gb18030"]);
    let headless = table().split_once('\n').unwrap().1.to_owned();
    as_one(headless.as_bytes(), 4, &["--no-headers", "-c", "3"], &[]);
    // More shards than rows: some have none.
    as_one(b"mobile\n13900000001\n13900000002\n", 16, &[], &[]);
    as_one(b"13900000001\n13900000002\n", 16, &["--no-headers"], &[]);
}

#[test]
fn a_shard_has_its_rows_alone_and_every_row_of_a_number() {
    let (api, desk) = (Api::new(unlimited()), Desk::new());
    let input = desk.file("staff.csv", table());
    let shards = sharded(&api, &input, 4, &[]);
    let mut seen = HashSet::new();
    for shard in &shards {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(shard).unwrap();
        let numbers: HashSet<_> = reader.records().map(|row| row.unwrap()[2].to_owned()).collect();
        assert!(numbers.len() > 20 && numbers.iter().all(|number| seen.insert(number.clone())), "{shard:?}");
    }
}

#[test]
fn an_index_comes_from_the_environment_of_a_job() {
    let (api, desk) = (Api::new(unlimited()), Desk::new());
    let input = desk.file("staff.csv", table());
    let named = std::fs::read(&sharded(&api, &input, 3, &[])[2]).unwrap();
    let output = desk.path("o.csv");
    let mut command = api.resolve(&input, &output);
    let ended = run(command.env("DINGMAP_SHARD", "3").env("JOB_COMPLETION_INDEX", "2"));
    assert_eq!((ended.status, std::fs::read(&output).unwrap()), (Some(0), named), "{}", ended.stderr);
    let calls = api.ledger().calls().len();
    for (index, shard, told) in [
        (None, "3", "JOB_COMPLETION_INDEX is not set"),
        (Some("3"), "3", "there is no shard 3 of 3"),
        (Some("x"), "3", "write K/N"),
        (None, "3/3", "counted from 0"),
        (None, "1/0", "write K/N"),
    ] {
        let mut command = api.resolve(&input, &output);
        command.args(["--shard", shard]).env_remove("JOB_COMPLETION_INDEX");
        let ended = run(command.envs(index.map(|index| ("JOB_COMPLETION_INDEX", index))));
        assert_eq!(ended.status, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(told), "{ended:?}");
    }
    let ended = run(api.resolve(&input, &output).args(["--shard", "0/2", "--retry-failed"]));
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert_eq!(api.ledger().calls().len(), calls, "nothing was asked");
}

#[test]
fn what_is_missing_or_strange_is_named_and_nothing_is_written() {
    let (api, desk) = (Api::new(unlimited()), Desk::new());
    let input = desk.file("staff.csv", table());
    let shards = sharded(&api, &input, 3, &[]);
    let other = desk.file("other.csv", "工号,姓名,手机号\n1,x,13900000003\n2,y,13900000004\n");
    let strange = sharded(&api, &other, 1, &[]).remove(0);
    let shown = sharded(&api, &input, 1, &["--show-sent"]).remove(0);
    let before = desk.names();
    for (files, told) in [
        (&[0, 2][..], "shard 1/3 is missing"),
        (&[1], "shard 0/3, 2/3 is missing"),
        (&[0, 1, 2, 1], "is this a shard of another input, or the same one given twice?"),
    ] {
        let files: Vec<_> = files.iter().map(|at| shards[*at].clone()).collect();
        let ended = merge(&input, &files, &["-o", desk.path("m.csv").to_str().unwrap()]);
        assert!(ended.status == Some(3) && ended.stderr.contains(told), "{ended:?}");
        assert!(!ended.stderr.contains("139000"), "{ended:?}");
    }
    let ended = merge(&input, &[shards[0].clone(), strange], &["-o", "m.csv"]);
    assert!(ended.status == Some(3) && ended.stderr.contains("the input has no such row where it is due"), "{ended:?}");
    let ended = merge(&input, &[shards[0].clone(), shown], &["-o", "m.csv"]);
    assert!(ended.status == Some(3) && ended.stderr.contains("begins otherwise"), "{ended:?}");
    let ended = merge(&input, &[desk.path("nowhere.csv")], &[]);
    assert!(ended.status == Some(3) && ended.stderr.contains("nowhere.csv"), "{ended:?}");
    assert_eq!(desk.names(), before);
}

#[test]
fn a_shard_that_was_interrupted_goes_on_and_other_shards_do_not_disturb_it() {
    let (api, desk) = (Api::new(unlimited()), Desk::new());
    let input = desk.file("staff.csv", table());
    let shard = |index: &str, flags: &[&str]| {
        let mut command = api.resolve_without_output(&api.endpoint(), &input);
        run(command.args(["--shard", index]).args(flags))
    };
    assert_eq!(shard("0/2", &["--max-calls", "10", "-j", "1"]).status, Some(6));
    assert_eq!(shard("1/2", &[]).status, Some(0));
    let before = api.ledger().calls().len();
    assert_eq!(shard("0/2", &[]).status, Some(0));
    let calls = api.ledger().calls().len() - before;
    let all = desk.path("all.csv");
    let whole = api.ledger().calls().len();
    assert_eq!(run(api.resolve(&input, &all).arg("--no-state")).status, Some(0));
    let distinct = api.ledger().calls().len() - whole;
    // What the first half asked and the other shard's numbers were not asked again.
    assert_eq!(before + calls, distinct, "{before} {calls}");
}
