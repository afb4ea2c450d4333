//! Random tables, of cells and rows that are easily taken for others: whatever `resolve` takes, the
//! shards of it become what one run writes.

use std::path::Path;

use encoding_rs::GB18030;
use proptest::prelude::*;
use proptest::sample::select;

use super::run_merge;
use crate::support::sandbox::{Sandbox, run, unlimited_script};
use crate::support::workdir::Workdir;

/// Cells as they are written, many of which begin like another one.
const CELLS: [&str; 12] = [
    "",
    "a",
    "ab",
    "\"a\"",
    "\"a\"\"b\"",
    "\"a\nb\"",
    "\"a;\"",
    "x\"y",
    " ",
    "张",
    "张三",
    "found",
];
/// Numbers, and what is none.
const NUMBERS: [&str; 14] = [
    "13900000001",
    "139 0000 0001",
    "+86-139-0000-0001",
    "13900000002",
    "13900000003",
    "13900000090",
    "13900000093",
    "1390000000",
    "139000000",
    "1.38E+10",
    "n/a",
    "",
    "\"13900000004\"",
    "13900000005;13900000006",
];

#[derive(Clone, Debug)]
struct ShardCase {
    text: String,
    encoding: &'static str,
    shard_count: usize,
    input_flags: Vec<String>,
    output_flags: Vec<&'static str>,
    /// The encoding of the outputs, where it is another one.
    output_encoding: Option<&'static str>,
}

impl ShardCase {
    fn encoded_text(&self) -> Vec<u8> {
        let wide = || format!("\u{feff}{}", self.text);
        match self.encoding {
            "gb18030" => GB18030.encode(&self.text).0.into_owned(),
            "utf-16le" => wide().encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "utf-16be" => wide().encode_utf16().flat_map(u16::to_be_bytes).collect(),
            "utf-8" => self.text.clone().into_bytes(),
            _ => wide().into_bytes(),
        }
    }
}

prop_compose! {
    /// A row: blank lines before it, its number, other cells, and how many of all of them there are
    /// in the end.
    fn row()(
        before in select(vec![0, 0, 0, 0, 1, 2]),
        number in select(NUMBERS.to_vec()),
        cells in prop::collection::vec(select(CELLS.to_vec()), 4),
        count in select(vec![3, 3, 3, 3, 3, 1, 2, 4, 5]),
    ) -> (usize, &'static str, Vec<&'static str>, usize) {
        (before, number, cells, count)
    }
}

prop_compose! {
    fn odd()(
        rows in prop::collection::vec(row(), 1..40),
        at in 0..3_usize,
        delimiter in select(vec![',', ';', '\t', '|']),
        end in select(vec!["\n", "\r\n", "\r"]),
        ends in select(vec![0_usize, 1, 3]),
        (header, lead, narrow) in (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2)),
        encoding in select(vec!["utf-8", "utf-8 with a mark", "gb18030", "utf-16le", "utf-16be"]),
        to in select(vec![None, None, None, Some("utf-8"), Some("gb18030"), Some("windows-1252")]),
        writing in select(vec![
            vec![],
            vec!["--show-sent"],
            vec!["--excel-safe", "--expect", "1"],
            vec!["--output-bom", "false"],
        ]),
        of in 1..6_usize,
    ) -> ShardCase {
        let (at, columns) = if narrow { (0, 1) } else { (at, 3) };
        let mut lines = Vec::new();
        if lead {
            lines.push("名单".to_owned());
        }
        if header {
            let names: Vec<_> = (0..columns)
                .map(|column| if column == at { "手机" } else { "备注" })
                .collect();
            lines.push(names.join(&delimiter.to_string()));
        }
        for (nth, (before, number, mut cells, count)) in rows.into_iter().enumerate() {
            // The first row says how many cells a row has.
            let first = nth == 0 && !header;
            lines.extend(vec![String::new(); if first { 0 } else { before }]);
            cells.insert(at, number);
            cells.truncate(if narrow { 1 } else if first { 3 } else { count });
            let blank = first && cells.iter().all(|cell| cell.is_empty());
            lines.push(if blank { vec!["0"; columns] } else { cells }.join(&delimiter.to_string()));
        }
        let mut reading: Vec<String> = ["--flexible", "-c"].map(str::to_owned).to_vec();
        let delimiter_name =
            if delimiter == '\t' { "tab".to_owned() } else { delimiter.to_string() };
        reading.extend([(at + 1).to_string(), format!("--delimiter={delimiter_name}")]);
        reading.push(format!("--encoding={}", encoding.split(' ').next().unwrap_or_default()));
        reading.push(format!("--skip-lines={}", u8::from(lead)));
        reading.extend((!header).then(|| "--no-headers".to_owned()));
        ShardCase {
            text: lines.join(end) + &end.repeat(ends),
            encoding,
            shard_count: of,
            input_flags: reading,
            output_flags: writing,
            output_encoding: to,
        }
    }
}

#[test]
fn merged_shards_of_random_tables_equal_the_output_of_one_run() {
    let api = Sandbox::new(unlimited_script());
    let config =
        ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(odd in odd())| {
        let workdir = Workdir::new();
        let input = workdir.write_file("a.csv", odd.encoded_text());
        let (whole, merged) = (workdir.path("whole.csv"), workdir.path("merged.csv"));
        let to = odd.output_encoding.map(|to| ["--output-encoding", to]);
        let resolve = |output: &Path| {
            let mut command = api.resolve(&input, output);
            command
                .arg("--no-state")
                .args(&odd.input_flags)
                .args(&odd.output_flags)
                .args(to.iter().flatten());
            command
        };
        let one = run(&mut resolve(&whole));
        // A table without a number is refused.
        prop_assume!(!one.stderr.contains("could be meant as a phone number"));
        prop_assert!(matches!(one.status, Some(0 | 4)), "{:?}", one);
        let shards: Vec<_> = (0..odd.shard_count)
            .map(|index| {
                let output = workdir.path(format!("{index}"));
                let shard = format!("--shard={index}/{}", odd.shard_count);
                let ended = run(resolve(&output).arg(shard));
                assert!(matches!(ended.status, Some(0 | 4)), "{ended:?}");
                output
            })
            .collect();
        let mut flags: Vec<_> = odd.input_flags.iter().map(String::as_str).collect();
        flags.extend(to.into_iter().flatten());
        flags.extend(["-o", merged.to_str().unwrap()]);
        let ended = run_merge(&input, &shards, &flags);
        prop_assert_eq!(ended.status, Some(0), "{:?}", ended);
        let [whole, merged] = [whole, merged].map(|path| std::fs::read(path).unwrap());
        prop_assert!(
            whole == merged,
            "{}\n{}",
            String::from_utf8_lossy(&whole),
            String::from_utf8_lossy(&merged)
        );
    });
}
