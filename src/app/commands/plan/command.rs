//! `dingmap plan`: what a run would do, without one: nothing is sent, written or begun. Owns the order of the work and the
//! words for people. Leaves counting to `tally`, what is known to `forecast`, and the form for programs to `outline`.

use std::fmt::Write as _;
use std::io::Write as _;

use jiff::Zoned;
use tr::tr;
use unicode_width::UnicodeWidthStr;

use crate::api::rate::Rate;
use crate::app::cli::args::PlanArgs;
use crate::app::cli::options;
use crate::app::commands::open_input::{self, OpenedInput};
use crate::app::commands::plan::count::InputCounts;
use crate::app::commands::plan::effort::{CallEstimate, Estimate};
use crate::app::commands::plan::estimate::{KnownNumbers, StateAvailability, find_known};
use crate::app::commands::plan::json::PlanJson;
use crate::app::commands::resolve::start_at::format_timestamp;
use crate::app::commands::state::messages::{format_since, group_thousands};
use crate::app::exit::{Exit, Failure, format_whole_seconds, sanitize};
use crate::app::progress::terminal::{Terminal, strip_control};
use crate::app::report::text;
use crate::app::stdout::with_stdout;
use crate::store::disk::sessions::EarlierRun;

/// Runs the command.
///
/// # Errors
/// As `resolve` where the input cannot be read (3) or flags do not fit it (2); output (7).
pub(crate) fn plan(args: &PlanArgs, terminal: &Terminal) -> Result<Exit, Failure> {
    let regular = open_input::is_regular_file(&args.input);
    let OpenedInput { mut source, title, .. } =
        open_input::open_single_pass(&args.input, &args.reader, args.numbers.region)?;
    let tally = InputCounts::from_source(
        &mut source,
        options::number_rules(&args.numbers),
        args.sharding.shard,
    )
    .map_err(|error| open_input::unreadable_input(&args.input, error))?;
    let forecast = find_known(args, &source, regular, &tally, terminal)?;
    let effort = Estimate::from_counts(&tally, &forecast, args.rate_limit.rate, &Zoned::now());
    let text = if args.json {
        let name = sanitize(&args.input.display().to_string());
        let outline = PlanJson::new(args, name, &source, &tally, &forecast, &effort);
        outline.to_json().map_err(|error| Failure::from_error(Exit::Error, error))?
    } else {
        let opening = text::describe_input(&title, &source, args.sharding.shard, Some(tally.rows));
        let several = source.columns().len() > 1;
        strip_control(&format!(
            "{opening}\n\n{}",
            format_plan(args, &tally, &forecast, &effort, several)
        ))
    };
    with_stdout(|output| output.write_all(text.as_bytes()))?;
    Ok(Exit::Success)
}

/// All but the first line, for people.
fn format_plan(
    args: &PlanArgs,
    tally: &InputCounts,
    forecast: &KnownNumbers,
    effort: &Estimate,
    several: bool,
) -> String {
    let mut text = String::new();
    let none = String::new;
    write_line(&mut text, &tr!("rows"), &group_thousands(tally.rows), &none());
    let first = if several { tr!("the first one of each row counts") } else { none() };
    write_line(&mut text, &tr!("with a number"), &group_thousands(tally.with_number), &first);
    write_line(
        &mut text,
        &tr!("distinct numbers"),
        &group_thousands(tally.distinct_first()),
        &none(),
    );
    let shared = tr!("which share the answer of a row before them");
    write_line(&mut text, &tr!("repeated rows"), &group_thousands(tally.duplicates()), &shared);
    if several {
        let further = tr!("asked where nobody has the ones before them");
        write_line(
            &mut text,
            &tr!("further numbers"),
            &group_thousands(tally.distinct_further()),
            &further,
        );
    }
    write_line(&mut text, &tr!("invalid rows"), &group_thousands(tally.invalid()), &none());
    for example in &tally.invalid_examples {
        let reason = sanitize(&example.reason);
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {}", tr!("line {line}: {reason}", line = example.line, reason));
    }
    let more = tally.invalid() - tally.invalid_examples.len() as u64;
    if more > 0 {
        let _ = writeln!(text, "  {}", tr!("and {count} more", count = group_thousands(more)));
    }
    let ground = describe_availability(args, &forecast.availability);
    let ground = match forecast.further {
        0 => ground,
        behind => tr!(
            "{ground}; and {count} of the further ones",
            ground,
            count = group_thousands(behind)
        ),
    };
    write_line(&mut text, &tr!("known already"), &group_thousands(forecast.first), &ground);
    let Estimate { min: least, max: most, .. } = effort;
    let bound = |least: String| if several { tr!("at least {least}", least) } else { least };
    let calls = if several {
        tr!(
            "at most {most}; repeats of failed calls come on top",
            most = group_thousands(most.calls)
        )
    } else {
        tr!("repeats of failed calls come on top")
    };
    write_line(&mut text, &tr!("calls needed"), &bound(group_thousands(least.calls)), &calls);
    let (time, course) = describe_time(args.rate_limit.rate, effort, several);
    write_line(&mut text, &tr!("time"), &bound(time), &course);
    text
}

/// One line: what, how much of it on the right of its column, and a remark. A Chinese character takes the place of two others.
fn write_line(text: &mut String, what: &str, count: &str, remark: &str) {
    let space = |most: usize, filled: &str| " ".repeat(most.saturating_sub(filled.width()));
    let line = format!("{what}{}{}{count}  {remark}", space(20, what), space(12, count));
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}", line.trim_end());
}

/// How long a run would take at least, and when it would end, in words.
fn describe_time(
    rate: Rate,
    Estimate { min: least, max: most, .. }: &Estimate,
    several: bool,
) -> (String, String) {
    let (Some(shortest), Some(longest)) = (least.duration, most.duration) else {
        return (tr!("open"), tr!("there is no limit: as long as the replies take"));
    };
    let end = |span: &CallEstimate| {
        span.end.as_ref().map_or_else(
            || tr!("beyond the calendar"),
            |end| tr!("end" => "at {moment}", moment = format_timestamp(end)),
        )
    };
    let text = if several {
        tr!(
            "at {rate} calls a second; if it began now it would end {end}, or after {longest} {latest} at the latest",
            rate,
            end = end(least),
            longest = format_whole_seconds(longest),
            latest = end(most)
        )
    } else {
        tr!("at {rate} calls a second; if it began now it would end {end}", rate, end = end(least))
    };
    (format_whole_seconds(shortest), text)
}

/// Why so much is known, and what would change it.
fn describe_availability(args: &PlanArgs, ground: &StateAvailability) -> String {
    let ages = (!args.state.max_age.is_zero()).then(|| {
        let nobody = args.state.max_age_not_found.min(args.state.max_age);
        let nobody = if nobody.is_zero() {
            tr!("asked again")
        } else {
            tr!("up to {age}", age = format_whole_seconds(nobody))
        };
        let age = format_whole_seconds(args.state.max_age);
        tr!(
            "answers of finished runs up to {age} old (those of numbers that nobody had: {nobody})",
            age,
            nobody
        )
    });
    let open = match ground {
        StateAvailability::Disabled => return tr!("without a state nothing is known"),
        StateAvailability::Restart => return tr!("--restart asks for everything anew"),
        StateAvailability::NoApp => {
            return tr!(
                "whose answers are meant is not said: set DINGTALK_APP_KEY or give --app-key"
            );
        }
        StateAvailability::Absent => return tr!("nothing was kept yet"),
        StateAvailability::InUse => {
            return tr!("not looked up: another process works with the state");
        }
        StateAvailability::Unusable => {
            return tr!("not looked up: the state cannot be worked with");
        }
        StateAvailability::Inspected(EarlierRun::None) => None,
        StateAvailability::Inspected(EarlierRun::Resumed { started, .. }) => {
            let since = format_since(*started);
            Some(tr!("the run goes on that was interrupted, with its answers since {since}", since))
        }
        StateAvailability::Inspected(EarlierRun::Inherited { started, .. }) => Some(tr!(
            "another input was not finished: its answers since {since}",
            since = format_since(*started)
        )),
    };
    let grounds: Vec<_> = open.into_iter().chain(ages).collect();
    if grounds.is_empty() {
        tr!("each run asks anew; --max-age uses answers of finished runs")
    } else {
        grounds.join(&tr!("; "))
    }
}
