//! Numbers: every cell of the guide's page, libphonenumber's example of every region, and the
//! sample of messy cells.

use std::collections::BTreeSet;

use clap::Parser;
use dingmap::testing::app::options;
use dingmap::testing::app::{Cli, Command, ResolveArgs};
use dingmap::testing::domain::NumberCell;
use dingmap::testing::domain::{DefaultRegion, MainlandFormat, Mobile};
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region};

use crate::support::observed_run::observe_run;
use crate::support::rows::read_rows;
use crate::support::sample_files::sample_path;
use crate::support::sandbox::{dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

const GUIDE: &str = include_str!("../../../src/guide/numbers.md");
const CHINESE_GUIDE: &str = include_str!("../../../src/guide/zh/numbers.md");

/// Cells of the page, with what it says about them.
struct DocumentedCells {
    cells: Vec<String>,
    flags: Vec<String>,
    sent: Option<String>,
    /// The reason, or what is appended to the message of the API.
    message: String,
}

/// The text in backticks.
fn code_spans(cell: &str) -> Vec<String> {
    let texts = cell.split('`').skip(1).step_by(2);
    texts.map(|text| unescape(&text.replace("\\|", "|"))).collect()
}

/// A text in which characters that do not show are written out.
fn unescape(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\u{") {
        let (code, behind) = after.split_once('}').unwrap();
        shown += before;
        shown.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
        rest = behind;
    }
    (shown + rest).replace("\\n", "\n")
}

fn documented_cells() -> Vec<DocumentedCells> {
    let (sent, refused) = GUIDE.split_once("## What is refused").unwrap();
    let rows = sent.lines().filter(|line| line.starts_with('|')).skip(2).map(|line| {
        let line = line.replace("\\|", "\u{1}");
        let columns: Vec<_> =
            line.split('|').map(|column| column.trim().replace('\u{1}', "\\|")).collect();
        let [_, _, cells, sent, _] = &columns[..] else { panic!("{line}") };
        let (flags, cells) = code_spans(cells).into_iter().partition(|text| text.starts_with("--"));
        let message = match sent.rsplit(' ').next() {
            Some("(1)") => "(first of 2 numbers in the cell)",
            Some("(2)") => "(second of 2 numbers in the cell)",
            _ => "",
        };
        DocumentedCells {
            cells,
            flags,
            sent: code_spans(sent).into_iter().next(),
            message: message.to_owned(),
        }
    });
    let block = refused.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let mut rules: Vec<_> = rows.collect();
    for line in block.lines() {
        match line.strip_prefix("    ") {
            None => rules.push(DocumentedCells {
                cells: Vec::new(),
                flags: Vec::new(),
                sent: None,
                message: line.to_owned(),
            }),
            Some(cells) => rules
                .last_mut()
                .unwrap()
                .cells
                .extend(cells.split("   ").map(|cell| unescape(cell.trim()))),
        }
    }
    rules
}

/// The flags as the command line reads them.
fn parse_args(flags: &[String]) -> ResolveArgs {
    let words = flags.iter().flat_map(|flag| flag.split(' '));
    let cli = Cli::parse_from(["dingmap", "resolve", "in.csv"].into_iter().chain(words));
    let Command::Resolve(args) = cli.command else { panic!() };
    *args
}

#[test]
fn every_cell_in_the_guide_is_read_as_documented() {
    let rules = documented_cells();
    assert!(rules.len() > 25, "{} rules", rules.len());
    for rule in rules {
        let args = parse_args(&rule.flags);
        assert!(!rule.cells.is_empty());
        for cell in &rule.cells {
            match (NumberCell::parse(cell, options::number_rules(&args.numbers)), &rule.sent) {
                (Ok(entry), Some(sent)) => {
                    assert_eq!(
                        &entry.mobile.to_api_string(options::mainland_format(&args.api)),
                        sent,
                        "{cell:?}"
                    );
                    let remark = entry.annotate_message("").unwrap_or_default();
                    assert_eq!(remark, rule.message, "{cell:?}");
                }
                (Err(reason), None) => {
                    // The page does not repeat the reason of the first number in the cell.
                    let (reason, documented) = (reason.to_string(), rule.message.split('(').next());
                    let is_same = if rule.message.ends_with("(the reason for that one)") {
                        reason.starts_with(documented.unwrap())
                    } else {
                        reason == rule.message
                    };
                    assert!(is_same, "{cell:?}: {reason}");
                }
                (read, sent) => panic!("{cell:?} reads as {read:?}, and the guide says {sent:?}"),
            }
        }
    }
}

#[test]
fn both_languages_of_the_guide_have_the_same_cells() {
    let tables = |page: &'static str| {
        let cells = |line: &str| match line.strip_prefix("    ") {
            Some(cells) => Some(vec![cells.to_owned()]),
            None => line.starts_with('|').then(|| code_spans(line)),
        };
        page.lines().filter_map(cells).collect::<Vec<_>>()
    };
    assert!(tables(GUIDE).len() > 50);
    assert_eq!(tables(GUIDE), tables(CHINESE_GUIDE));
}

#[test]
fn every_row_of_the_guides_country_table_is_sent_as_documented() {
    let section = GUIDE.split_once("## The country column").unwrap().1;
    let rows: Vec<_> = section.lines().filter(|line| line.starts_with('|')).skip(2).collect();
    assert_eq!(rows.len(), 9);
    for row in rows {
        let columns: Vec<_> = row.trim_matches('|').split('|').map(code_spans).collect();
        let [header, country, number, sent] = &columns[..] else { panic!("{row}") };
        let (header, country) = (&header[0], country.concat());
        let text = format!("{header},手机号\n{country},{}\n", number[0]);
        let run = observe_run(unlimited_script(), &text, |_| {});
        let calls: Vec<_> =
            run.call_log.calls().iter().map(|call| call.number.to_string()).collect();
        let expected = match sent.first().map(String::as_str) {
            Some("invalid") => Vec::new(),
            Some("--region") => number.clone(),
            sent => vec![sent.unwrap().to_owned()],
        };
        assert_eq!(calls, expected, "{row}");
    }
}

/// The regions that libphonenumber knows, each with its example of a mobile number.
fn region_examples() -> Vec<(Region, PhoneNumber)> {
    let kind = PhoneNumberType::Mobile;
    let example =
        |region| PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind).ok();
    PHONE_NUMBER_UTIL
        .get_supported_regions()
        .filter_map(|region| Some((region, example(region)?)))
        .collect()
}

#[test]
fn the_example_number_of_every_region_is_sent_in_one_form() {
    let examples = region_examples();
    assert!(examples.len() > 240, "{} regions", examples.len());
    let mut wrong = Vec::new();
    for (region, number) in examples {
        let national = number.get_national_significant_number();
        let expected = match number.country_code {
            86 => national.clone(),
            code => format!("+{code}-{national}"),
        };
        let home: DefaultRegion = region.to_string().parse().unwrap();
        for (format, home) in [
            (PhoneNumberFormat::E164, DefaultRegion::CHINA),
            (PhoneNumberFormat::International, DefaultRegion::CHINA),
            (PhoneNumberFormat::RFC3966, DefaultRegion::CHINA),
            (PhoneNumberFormat::E164, home),
            (PhoneNumberFormat::International, home),
            (PhoneNumberFormat::National, home),
        ] {
            let cell = number.format_as(format).into_owned();
            let sent = Mobile::parse(&cell, home)
                .map(|mobile| mobile.to_api_string(MainlandFormat::Plain));
            if sent.as_deref() != Ok(&expected) {
                wrong.push(format!("{region:?} {format:?} {cell}: {sent:?}, not {expected}"));
            }
        }
        let zeros = format!("00{}{national}", number.country_code);
        assert_eq!(
            Mobile::parse(&zeros, home).map(|mobile| mobile.to_api_string(MainlandFormat::Plain)),
            Ok(expected)
        );
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_example_landline_of_every_region_is_rejected() {
    for region in PHONE_NUMBER_UTIL.get_supported_regions() {
        let example = PHONE_NUMBER_UTIL
            .get_example_number_for_type_and_region(region, PhoneNumberType::FixedLine);
        let Ok(number) = example else { continue };
        // Some plans, such as North America's, tell no landline from a mobile.
        if number.get_type() != PhoneNumberType::FixedLine {
            continue;
        }
        for strict in ["on", "off"] {
            let args = parse_args(&["--strict-numbers".to_owned(), strict.to_owned()]);
            let cell = number.format_as(PhoneNumberFormat::International).into_owned();
            let read = NumberCell::parse(&cell, options::number_rules(&args.numbers));
            assert_eq!(
                read.unwrap_err().to_string(),
                "a landline number, not a mobile number",
                "{cell}"
            );
        }
    }
}

#[test]
fn the_messy_sample_resolves_byte_for_byte() {
    let (input, golden) = (sample_path("messy.csv"), sample_path("messy.resolved.csv"));
    let workdir = Workdir::new();
    let output = workdir.path("messy.resolved.csv");
    let mut command = dingmap();
    command.args(["resolve".as_ref(), input.as_os_str(), "-o".as_ref(), output.as_os_str()]);
    let ended = run(command.arg("--sandbox"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(
        std::fs::read_to_string(&output).unwrap(),
        std::fs::read_to_string(&golden).unwrap()
    );

    let there: BTreeSet<String> =
        read_rows(&input).into_iter().map(|mut row| row.remove("手机号").unwrap()).collect();
    for cell in documented_cells()
        .into_iter()
        .filter(|rule| rule.flags.is_empty())
        .flat_map(|rule| rule.cells)
    {
        assert!(there.contains(&cell), "{cell:?} is in the guide and not in the sample");
    }
}

#[test]
fn reported_cells_get_true_reasons_and_first_numbers() {
    let none = "no number: the cell says that there is none";
    for (cell, expected) in [
        // Cases of other tools: foreign numbers, placeholders, Google Contacts, Chinese labels.
        ("+52 1 55 1234 5678", Err("too long for +52: 11 digits without the country code")),
        ("+852 5123 45678", Err("too long for +852: 9 digits without the country code")),
        ("+65 8123 45678 9", Err("too long for +65: 10 digits without the country code")),
        ("+44 7911 123456 7", Err("too long for +44: 11 digits without the country code")),
        ("0", Err(none)),
        ("-", Err(none)),
        ("--", Err(none)),
        ("0.0", Err(none)),
        ("/", Err(none)),
        ("没有", Err(none)),
        ("NULL", Err(none)),
        ("13800138000 ::: 13900139000", Ok("ok (first of 2 numbers in the cell)")),
        ("手机：13800138000", Ok("ok")),
        ("电话:13800138000", Ok("ok")),
        ("M: 13800138000", Ok("ok")),
        ("手机13800138000", Ok("ok")),
        ("座机：62345678", Err("a landline number, not a mobile number")),
        (
            "\"00001,张三,13800138000\"",
            Err("the cell holds more than phone numbers; keep only the phone numbers in it"),
        ),
        // Three exports joined: a mark and a header in the middle.
        ("\u{feff}13800138000", Ok("ok")),
    ] {
        let seen = observe_run(
            unlimited_script(),
            format!("name,mobile\nA,{cell}\nB,13800000021\n"),
            |_| (),
        );
        assert_eq!(seen.result.status, Some(0), "{cell}: {}", seen.result.stderr);
        let output = seen.output.unwrap();
        let mut reader = csv::Reader::from_reader(output.as_bytes());
        let row = reader.records().next().unwrap().unwrap();
        let (status, message) = (&row[4], &row[6]);
        match expected {
            Ok(text) => assert_eq!((status, message), ("found", text), "{cell}"),
            Err(text) => assert_eq!((status, message), ("invalid", text), "{cell}"),
        }
        // One call is that of the other row.
        assert_eq!(seen.call_log.calls().len(), 1 + usize::from(expected.is_ok()), "{cell}");
    }
}
