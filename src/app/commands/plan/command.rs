//! `dingmap plan`: a dry run. Nothing is sent, written or started.

use std::fmt::Write as _;
use std::io::Write as _;

use tr::tr;
use unicode_width::UnicodeWidthStr;

use crate::api::rate::Rate;
use crate::app::cli::args::PlanArgs;
use crate::app::cli::options;
use crate::app::commands::open_input::{self, OpenedInput};
use crate::app::commands::plan::count::InputCounts;
use crate::app::commands::plan::estimate::{
    CallEstimate, Estimate, KnownNumbers, StateAvailability, find_known,
};
use crate::app::commands::plan::json::PlanJson;
use crate::app::commands::workbook_copy::check_copy;
use crate::app::exit::{Exit, Failure, format_whole_seconds};
use crate::app::format::{format_since, format_timestamp, group_thousands};
use crate::app::progress::terminal::Terminal;
use crate::app::report::text;
use crate::app::stdout::with_stdout;
use crate::clock;
use crate::domain::redact;
use crate::domain::redact::sanitize;
use crate::store::disk::sessions::EarlierRun;

/// # Errors
/// As `resolve`: the input cannot be read, or something is in the way of the answers in a workbook
/// (3); flags do not fit it (2); output (7).
pub(crate) fn plan(args: &PlanArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let is_regular = open_input::is_regular_file(&args.input);
    let OpenedInput { mut source, title, origin, .. } = open_input::open_single_pass(
        &args.input,
        &args.reader,
        &args.content,
        options::number_rules(&args.numbers),
    )?;
    let counts = InputCounts::from_source(
        &mut source,
        options::number_rules(&args.numbers),
        args.sharding.shard,
    )
    .map_err(|error| open_input::unreadable_input(&args.input, error))?;
    let known = find_known(args, &source, is_regular, &counts, terminal)?;
    let header = source.header();
    let check = |origin| check_copy(&args.input, &origin, header, args.reader.flexible);
    // The plan is printed all the same: an output of text has room.
    let (copy_warnings, refusal) = match origin.map_or(Ok(Vec::new()), check) {
        Ok(warnings) => (warnings, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    for warning in &copy_warnings {
        terminal.print_warning(warning);
    }
    let estimate =
        Estimate::from_counts(&counts, &known, args.rate_limit.rate, &clock::now_local());
    let text = if args.json {
        let name = sanitize(&args.input.display().to_string());
        let outline = PlanJson::new(args, name, &source, &counts, &known, &estimate)
            .with_warnings(&copy_warnings);
        outline.to_json().map_err(|error| Failure::from_error(Exit::Error, error))?
    } else {
        let first_line =
            text::describe_input(&title, &source, args.sharding.shard, Some(counts.rows));
        let has_several_columns = source.columns().len() > 1;
        redact::message(&format!(
            "{first_line}\n\n{}",
            format_plan(args, &counts, &known, &estimate, has_several_columns)
        ))
    };
    with_stdout(|output| output.write_all(text.as_bytes()))?;
    refusal.map_or(Ok(Exit::Success), Err)
}

/// All lines but the first, for people.
fn format_plan(
    args: &PlanArgs,
    counts: &InputCounts,
    known: &KnownNumbers,
    estimate: &Estimate,
    has_several_columns: bool,
) -> String {
    let mut text = String::new();
    let empty = String::new;
    write_line(&mut text, &tr!("rows"), &group_thousands(counts.rows), &empty());
    let first =
        if has_several_columns { tr!("the first number of each row counts") } else { empty() };
    write_line(&mut text, &tr!("with a number"), &group_thousands(counts.with_number), &first);
    write_line(
        &mut text,
        &tr!("distinct numbers"),
        &group_thousands(counts.distinct_first()),
        &empty(),
    );
    let shared = tr!("they share the answer of an earlier row");
    write_line(&mut text, &tr!("repeated rows"), &group_thousands(counts.duplicates()), &shared);
    if has_several_columns {
        let further = tr!("asked only if the numbers before them are not found");
        write_line(
            &mut text,
            &tr!("further numbers"),
            &group_thousands(counts.distinct_further()),
            &further,
        );
    }
    write_line(&mut text, &tr!("invalid rows"), &group_thousands(counts.invalid()), &empty());
    for example in &counts.invalid_examples {
        let (row, reason) = (&example.location, sanitize(&example.reason));
        let line = match &example.cell {
            Some(cell) => tr!("{row} ({cell}): {reason}", row, cell, reason),
            None => tr!("{row}: {reason}", row, reason),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {line}");
    }
    let more = counts.invalid() - counts.invalid_examples.len() as u64;
    if more > 0 {
        let _ = writeln!(text, "  {}", tr!("and {count} more", count = group_thousands(more)));
    }
    let ground = describe_availability(args, &known.availability);
    let ground = match known.further {
        0 => ground,
        behind => tr!(
            "{ground}; and {count} of the further ones",
            ground,
            count = group_thousands(behind)
        ),
    };
    write_line(&mut text, &tr!("known already"), &group_thousands(known.first), &ground);
    let Estimate { min: least, max: most, .. } = estimate;
    let bound =
        |least: String| if has_several_columns { tr!("at least {least}", least) } else { least };
    let calls = if has_several_columns {
        tr!("at most {most}; not counting retries", most = group_thousands(most.calls))
    } else {
        tr!("not counting retries")
    };
    write_line(&mut text, &tr!("calls needed"), &bound(group_thousands(least.calls)), &calls);
    let (time, time_remark) = describe_time(args.rate_limit.rate, estimate, has_several_columns);
    write_line(&mut text, &tr!("time"), &bound(time), &time_remark);
    text
}

/// One line: label, right-aligned count, remark. A Chinese character is two columns wide.
fn write_line(text: &mut String, what: &str, count: &str, remark: &str) {
    let space = |most: usize, filled: &str| " ".repeat(most.saturating_sub(filled.width()));
    let line = format!("{what}{}{}{count}  {remark}", space(20, what), space(12, count));
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{}", line.trim_end());
}

/// The minimal duration, and when the run would end.
fn describe_time(
    rate: Rate,
    Estimate { min: least, max: most, .. }: &Estimate,
    has_several_columns: bool,
) -> (String, String) {
    let (Some(shortest), Some(longest)) = (least.duration, most.duration) else {
        return (tr!("unknown"), tr!("no rate limit: depends on the latency of the replies"));
    };
    let end = |span: &CallEstimate| {
        span.end.as_ref().map_or_else(
            || tr!("beyond the calendar"),
            |end| tr!("end" => "at {moment}", moment = format_timestamp(end)),
        )
    };
    let text = if has_several_columns {
        tr!(
            "at {rate} calls/s; started now, it would end {end}, at the latest {latest} (after \
             {longest})",
            rate,
            end = end(least),
            longest = format_whole_seconds(longest),
            latest = end(most)
        )
    } else {
        tr!("at {rate} calls/s; started now, it would end {end}", rate, end = end(least))
    };
    (format_whole_seconds(shortest), text)
}

/// Why this many numbers are known, and what would change it.
fn describe_availability(args: &PlanArgs, availability: &StateAvailability) -> String {
    let ages = (!args.state.max_age.is_zero()).then(|| {
        let not_found = args.state.max_age_not_found.min(args.state.max_age);
        let not_found = if not_found.is_zero() {
            tr!("asked again")
        } else {
            tr!("up to {age}", age = format_whole_seconds(not_found))
        };
        let age = format_whole_seconds(args.state.max_age);
        tr!("answers of finished runs up to {age} old (not_found: {not_found})", age, not_found)
    });
    let earlier_run = match availability {
        StateAvailability::Disabled => return tr!("nothing is known with --no-state"),
        StateAvailability::Restart => return tr!("--restart asks all numbers again"),
        StateAvailability::NoApp => {
            return tr!("the app is not known: set DINGTALK_APP_KEY or use --app-key");
        }
        StateAvailability::Absent => return tr!("no answers are stored yet"),
        StateAvailability::InUse => {
            return tr!("not checked: another process uses the state");
        }
        StateAvailability::Unusable => {
            return tr!("not checked: the state cannot be used");
        }
        StateAvailability::Inspected(EarlierRun::None) => None,
        StateAvailability::Inspected(EarlierRun::Resumed { started, .. }) => {
            let since = format_since(*started);
            Some(tr!("resumes the interrupted run with its answers since {since}", since))
        }
        StateAvailability::Inspected(EarlierRun::Inherited { started, .. }) => Some(tr!(
            "uses the answers of an unfinished run of another input since {since}",
            since = format_since(*started)
        )),
    };
    let reasons: Vec<_> = earlier_run.into_iter().chain(ages).collect();
    if reasons.is_empty() {
        tr!("each run asks again; --max-age reuses answers of finished runs")
    } else {
        reasons.join(&tr!("; "))
    }
}
