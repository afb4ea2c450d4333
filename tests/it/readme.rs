//! The README against the program: its first command and the excerpts of its output, and its tables of flags, statuses and exit
//! statuses. (Its second command is the one that runs this test.)

use std::collections::BTreeSet;
use std::path::Path;

use clap::CommandFactory;
use dingmap::app::cli::Cli;
use dingmap::domain::outcome::Status;

use crate::harness::{Desk, dingmap, run};

const README: &str = include_str!("../../README.md");

/// The words in backticks in the first cells of the tables below a heading.
fn first_cells(heading: &str) -> BTreeSet<String> {
    let section = README.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.replace("\\|", "/").split('|').nth(1).map(str::to_owned));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn the_first_command_gives_the_output_that_is_shown() {
    let block = README.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let words: Vec<_> = block.split_whitespace().collect();
    assert_eq!(words[..4], ["cargo", "run", "--release", "--"], "a fresh clone needs nothing but cargo");
    let desk = Desk::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = desk.path("staff.resolved.csv");
    let args = words[4..].iter().map(|word| match *word {
        "staff.resolved.csv" => output.clone(),
        word => word.into(),
    });
    // The number that is busy through every retry costs half a minute by itself; its row does not depend on how long.
    let ended = run(dingmap().args(args).current_dir(root).env("DINGMAP_RETRY_MAX", "1s"));
    assert_eq!(ended.status, Some(4), "as the README says: {}", ended.stderr);
    let golden = std::fs::read_to_string(root.join("samples/staff.resolved.csv")).unwrap();
    assert_eq!(std::fs::read_to_string(&output).unwrap(), golden);

    let excerpt = README.split("```csv\n").nth(1).unwrap().split("```").next().unwrap();
    for line in excerpt.lines() {
        assert!(golden.lines().any(|other| other == line), "not in the output: {line}");
    }
    let shown = README.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let (first, block) = shown.split_once("\n━").unwrap();
    assert!(ended.stderr.contains(first.split_once('\n').unwrap().1), "{}", ended.stderr);
    // The last block, but for times and calls: a stall of this machine can cost one that is refused and repeated.
    let block = block.split_once("\n\n").unwrap().1;
    for line in block.lines().filter(|line| line.starts_with("  ")) {
        assert!(ended.stderr.contains(line), "{line}\n{}", ended.stderr);
    }
    assert!(
        ended.stderr.contains("\n200 rows in ")
            && ended.stderr.contains(": 181 distinct numbers asked with ")
    );
}

/// A picture that needs nothing but itself, and that shows what the program says now.
#[test]
fn the_recording_is_small_whole_and_of_the_program_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/recording.svg");
    let picture = std::fs::read_to_string(path).unwrap();
    assert!(picture.len() < 200_000, "{} bytes", picture.len());
    for foreign in ["<script", "@import", "@font-face", "url(", "href=\"http", "<image", "translateY(END)"] {
        assert!(!picture.contains(foreign), "{foreign}");
    }
    // The excerpt, of which another test sees that it is what the program says; but for times.
    let shown = README.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let same = ["$ ", "  ", "resolving ", "written to "];
    for line in shown.lines().filter(|line| same.iter().any(|begin| line.starts_with(begin))) {
        assert!(picture.contains(&format!(">{line}")), "make it anew by samples/recording/record.sh: {line}");
    }
}

#[test]
fn the_table_of_flags_has_every_flag_and_no_other() {
    let mut cli = Cli::command();
    // The flags of all commands come to each of them when it is built, and so does --help, which needs no row.
    cli.build();
    let resolve = cli.find_subcommand("resolve").unwrap();
    let flags = || resolve.get_arguments().filter(|arg| arg.get_long().is_some_and(|long| long != "help"));
    let real: BTreeSet<_> = flags().filter_map(|arg| arg.get_long()).map(str::to_owned).collect();
    let told: BTreeSet<_> = first_cells("Flags of `resolve`")
        .iter()
        .filter_map(|cell| cell.strip_prefix("--"))
        .map(|flag| flag.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(told, real);
    let section = README.split("\n## Flags of `resolve`").nth(1).unwrap();
    for arg in flags() {
        let row = section
            .lines()
            .find(|line| line.starts_with('|') && line.contains(&format!("--{}", arg.get_long().unwrap())))
            .unwrap();
        if let Some(short) = arg.get_short() {
            assert!(row.contains(&format!("`-{short}`")), "{row}");
        }
        let set = matches!(arg.get_action(), clap::ArgAction::SetTrue | clap::ArgAction::Count);
        for default in arg.get_default_values().iter().filter(|_| !set) {
            assert!(row.contains(&format!("`{}`", default.to_string_lossy())), "{default:?} in {row}");
        }
    }
}

#[test]
fn the_tables_of_statuses_are_whole() {
    let told = first_cells("Columns");
    for status in Status::ALL {
        assert!(told.contains(status.name()), "{status}");
    }
    let section = README.split("\n## Exit status").nth(1).unwrap();
    for status in ["0", "1", "2", "3", "4", "5", "6", "7", "10", "11", "130, 143"] {
        assert!(section.contains(&format!("\n| {status} |")), "{status}");
    }
}

#[test]
fn every_file_that_the_readme_names_is_there() {
    let rooms = ["src/", "tests/", "samples/", "benches/"];
    for name in README.split('`').filter(|text| rooms.iter().any(|room| text.starts_with(room))) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name.split(' ').next().unwrap());
        assert!(path.exists(), "{name}");
    }
}
