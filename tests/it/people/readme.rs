//! The README against the program: its first command, in both languages, and the excerpts of its output, and its tables of flags,
//! statuses and exit statuses. (Its second command is the one that runs this test.)

use std::collections::BTreeSet;
use std::path::Path;

use clap::CommandFactory;
use dingmap::testing::app::Cli;
use dingmap::testing::domain::Status;
use regex::Regex;

use crate::support::sandbox::{RunOutput, dingmap, run};
use crate::support::workdir::Workdir;

const README: &str = include_str!("../../../README.md");

/// The words in backticks in the first cells of the tables below a heading.
fn first_column_words(heading: &str) -> BTreeSet<String> {
    let section = README.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.replace("\\|", "/").split('|').nth(1).map(str::to_owned));
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[test]
fn the_first_readme_command_prints_the_shown_output() {
    let block = README.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let words: Vec<_> = block.split_whitespace().collect();
    assert_eq!(
        words[..4],
        ["cargo", "run", "--release", "--"],
        "a fresh clone needs nothing but cargo"
    );
    let (ended, output) = run_on_sample(&words[4..]);
    let golden = include_str!("../../../samples/staff.resolved.csv");
    assert_eq!(output, golden);

    let excerpt = README.split("```csv\n").nth(1).unwrap().split("```").next().unwrap();
    for line in excerpt.lines() {
        assert!(golden.lines().any(|other| other == line), "not in the output: {line}");
    }
    let (first, bar) =
        readme_excerpt("$ dingmap resolve samples/staff.csv -o staff.resolved.csv --sandbox\n")
            .split_once("\n━")
            .unwrap();
    assert_excerpt_printed(first, &ended.stderr);
    assert_excerpt_printed(bar.split_once("\n\n").unwrap().1, &ended.stderr);
}

#[test]
fn the_chinese_readme_command_prints_the_shown_output() {
    let command = "resolve samples/staff.csv -o staff.resolved.csv --sandbox --lang zh";
    let (ended, _) = run_on_sample(&command.split(' ').collect::<Vec<_>>());
    assert_excerpt_printed(readme_excerpt(&format!("$ dingmap {command}\n")), &ended.stderr);
}

/// What a command over the sample says and writes, in a directory that has the sample alone.
fn run_on_sample(words: &[&str]) -> (RunOutput, String) {
    let desk = Workdir::new();
    std::fs::create_dir(desk.path("samples")).unwrap();
    desk.write_file("samples/staff.csv", include_str!("../../../samples/staff.csv"));
    // The number that is busy through every retry costs half a minute by itself; its row does not depend on how long.
    let ended =
        run(dingmap().args(words).current_dir(desk.path("")).env("DINGMAP_RETRY_MAX", "1s"));
    assert_eq!(ended.status, Some(4), "as the README says: {}", ended.stderr);
    (ended, std::fs::read_to_string(desk.path("staff.resolved.csv")).unwrap())
}

/// What the README shows below a command.
fn readme_excerpt(command: &str) -> &'static str {
    README.split(command).nth(1).unwrap().split("```").next().unwrap()
}

/// Sees that each line of an excerpt is told, and that the counts are the same; but for times and calls, and for what there is
/// to say of them: a stall of this machine can cost a call that is refused and repeated.
#[track_caller]
fn assert_excerpt_printed(excerpt: &str, told: &str) {
    let time = Regex::new(r"[0-9][0-9:.]* ?(毫秒|秒|ms|s\b)|[0-9]+:[0-9:]+").unwrap();
    let calls = Regex::new("[0-9]+ (次|calls|lookups|repeated|after)").unwrap();
    let count = Regex::new("[0-9]+([.][0-9]+)?").unwrap();
    let timeless = |line: &str| {
        let line = time.replace_all(line, "#");
        let line = calls.replace_all(&line, "# $1");
        // A line of progress begins with the time of day.
        if line.starts_with('#') {
            count.replace_all(&line, "#").into_owned()
        } else {
            line.into_owned()
        }
    };
    let told: Vec<_> = told.lines().map(timeless).collect();
    for line in excerpt.lines() {
        let line = timeless(line);
        // What a line of progress says of the moment need not be said of another one.
        let parts: Vec<_> = line.split(['·', '，', '（', '：', '(', ',']).map(str::trim).collect();
        let same = |told: &String| {
            let lasting = |part: &&&str| !part.starts_with("约剩") && !part.starts_with("重试中");
            *told == line
                || line.contains('#')
                    && parts.iter().filter(lasting).all(|part| told.contains(part))
        };
        assert!(told.iter().any(same), "{line}\n{told:#?}");
    }
}

#[test]
fn the_table_of_contents_lists_every_section_in_order() {
    let contents = README.split("\n## ").next().unwrap();
    let link = Regex::new(r"\[([^]]+)\]\(#([^)]+)\)").unwrap();
    let told: Vec<_> = link
        .captures_iter(contents)
        .map(|found| (found[1].to_owned(), found[2].to_owned()))
        .collect();
    // As GitHub makes an anchor of a heading: letters, digits and hyphens, and a hyphen for each space.
    let anchor = |title: &str| {
        let kept = title.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect::<String>()
    };
    let titles = README
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| title.replace('`', ""));
    let real: Vec<_> = titles.map(|title| (title.clone(), anchor(&title))).collect();
    assert_eq!(told, real);
    for found in link.captures_iter(README) {
        assert!(real.iter().any(|(_, anchor)| *anchor == found[2]), "{}", &found[0]);
    }
}

/// A picture that needs nothing but itself, and that shows what the program says now.
#[test]
fn the_recording_is_small_self_contained_and_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/recording.svg");
    let picture = std::fs::read_to_string(path).unwrap();
    assert!(picture.len() < 200_000, "{} bytes", picture.len());
    for foreign in
        ["<script", "@import", "@font-face", "url(", "href=\"http", "<image", "translateY(END)"]
    {
        assert!(!picture.contains(foreign), "{foreign}");
    }
    // The excerpt, of which another test sees that it is what the program says; but for times.
    let shown = README.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let same = ["$ ", "  ", "resolving ", "written to "];
    for line in shown.lines().filter(|line| same.iter().any(|begin| line.starts_with(begin))) {
        assert!(
            picture.contains(&format!(">{line}")),
            "make it anew by samples/recording/record.sh: {line}"
        );
    }
}

#[test]
fn the_flag_table_lists_exactly_the_flags() {
    let mut cli = Cli::command();
    // The flags of all commands come to each of them when it is built, and so does --help, which needs no row.
    cli.build();
    let resolve = cli.find_subcommand("resolve").unwrap();
    let flags =
        || resolve.get_arguments().filter(|arg| arg.get_long().is_some_and(|long| long != "help"));
    let real: BTreeSet<_> = flags().filter_map(|arg| arg.get_long()).map(str::to_owned).collect();
    let told: BTreeSet<_> = first_column_words("Flags of `resolve`")
        .iter()
        .filter_map(|cell| cell.strip_prefix("--"))
        .map(|flag| flag.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(told, real);
    let section = README.split("\n## Flags of `resolve`").nth(1).unwrap();
    for arg in flags() {
        let row = section
            .lines()
            .find(|line| {
                line.starts_with('|') && line.contains(&format!("--{}", arg.get_long().unwrap()))
            })
            .unwrap();
        if let Some(short) = arg.get_short() {
            assert!(row.contains(&format!("`-{short}`")), "{row}");
        }
        let set = matches!(arg.get_action(), clap::ArgAction::SetTrue | clap::ArgAction::Count);
        for default in arg.get_default_values().iter().filter(|_| !set) {
            assert!(
                row.contains(&format!("`{}`", default.to_string_lossy())),
                "{default:?} in {row}"
            );
        }
    }
}

#[test]
fn the_status_tables_are_complete() {
    let told = first_column_words("Columns");
    for status in Status::ALL {
        assert!(told.contains(status.name()), "{status}");
    }
    let section = README.split("\n## Exit status").nth(1).unwrap();
    for status in ["0", "1", "2", "3", "4", "5", "6", "7", "10", "11", "130, 143"] {
        assert!(section.contains(&format!("\n| {status} |")), "{status}");
    }
}

#[test]
fn every_file_named_in_the_readme_exists() {
    let rooms = ["src/", "tests/", "samples/", "benches/"];
    for name in README.split('`').filter(|text| rooms.iter().any(|room| text.starts_with(room))) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name.split(' ').next().unwrap());
        assert!(path.exists(), "{name}");
    }
}
