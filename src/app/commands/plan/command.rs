//! `dingmap plan`: what a run would do, without one: nothing is sent, written or begun. Owns the order of the work and the
//! words for people. Leaves counting to `tally`, what is known to `forecast`, and the form for programs to `outline`.

use std::fmt::Write as _;
use std::io::Write as _;

use jiff::Zoned;
use tr::tr;
use unicode_width::UnicodeWidthStr;

use crate::api::rate::Rate;
use crate::app::cli::args::Plan;
use crate::app::cli::options;
use crate::app::commands::open_input::{self, Opened};
use crate::app::commands::plan::count::Tally;
use crate::app::commands::plan::effort::{Effort, Span};
use crate::app::commands::plan::estimate::{Forecast, Ground, forecast};
use crate::app::commands::plan::json::Outline;
use crate::app::commands::resolve::start_at::clock;
use crate::app::commands::state::messages::{grouped, since};
use crate::app::exit::{Exit, Failure, rounded, shown};
use crate::app::progress::terminal::{Terminal, printable};
use crate::app::report::text;
use crate::app::stdout::tell;
use crate::store::disk::sessions::Found;

/// Runs the command.
///
/// # Errors
/// As `resolve` where the input cannot be read (3) or flags do not fit it (2); output (7).
pub(crate) fn plan(args: &Plan, terminal: &Terminal) -> Result<Exit, Failure> {
    let regular = open_input::regular(&args.input);
    let Opened { mut source, title, .. } =
        open_input::open_once(&args.input, &args.reading, args.numbers.region)?;
    let tally = Tally::of(&mut source, options::rules(&args.numbers), args.part.shard)
        .map_err(|error| open_input::unreadable(&args.input, error))?;
    let forecast = forecast(args, &source, regular, &tally, terminal)?;
    let effort = Effort::of(&tally, &forecast, args.speed.rate, &Zoned::now());
    let text = if args.json {
        let name = shown(&args.input.display().to_string());
        let outline = Outline::of(args, name, &source, &tally, &forecast, &effort);
        outline.json().map_err(|error| Failure::of(Exit::Broken, error))?
    } else {
        let opening = text::opening(&title, &source, args.part.shard, Some(tally.rows));
        let several = source.columns().len() > 1;
        printable(&format!("{opening}\n\n{}", words(args, &tally, &forecast, &effort, several)))
    };
    tell(|output| output.write_all(text.as_bytes()))?;
    Ok(Exit::Done)
}

/// All but the first line, for people.
fn words(
    args: &Plan,
    tally: &Tally,
    forecast: &Forecast,
    effort: &Effort,
    several: bool,
) -> String {
    let mut text = String::new();
    let none = String::new;
    line(&mut text, &tr!("rows"), &grouped(tally.rows), &none());
    let first = if several { tr!("the first one of each row counts") } else { none() };
    line(&mut text, &tr!("with a number"), &grouped(tally.with_number), &first);
    line(&mut text, &tr!("distinct numbers"), &grouped(tally.distinct()), &none());
    let shared = tr!("which share the answer of a row before them");
    line(&mut text, &tr!("repeated rows"), &grouped(tally.repeated()), &shared);
    if several {
        let further = tr!("asked where nobody has the ones before them");
        line(&mut text, &tr!("further numbers"), &grouped(tally.behind()), &further);
    }
    line(&mut text, &tr!("invalid rows"), &grouped(tally.invalid()), &none());
    for example in &tally.examples {
        let reason = shown(&example.reason);
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {}", tr!("line {line}: {reason}", line = example.line, reason));
    }
    let more = tally.invalid() - tally.examples.len() as u64;
    if more > 0 {
        let _ = writeln!(text, "  {}", tr!("and {count} more", count = grouped(more)));
    }
    let ground = ground(args, &forecast.ground);
    let ground = match forecast.behind {
        0 => ground,
        behind => tr!("{ground}; and {count} of the further ones", ground, count = grouped(behind)),
    };
    line(&mut text, &tr!("known already"), &grouped(forecast.known), &ground);
    let Effort { least, most, .. } = effort;
    let bound = |least: String| if several { tr!("at least {least}", least) } else { least };
    let calls = if several {
        tr!("at most {most}; repeats of failed calls come on top", most = grouped(most.calls))
    } else {
        tr!("repeats of failed calls come on top")
    };
    line(&mut text, &tr!("calls needed"), &bound(grouped(least.calls)), &calls);
    let (time, course) = course(args.speed.rate, effort, several);
    line(&mut text, &tr!("time"), &bound(time), &course);
    text
}

/// One line: what, how much of it on the right of its column, and a remark. A Chinese character takes the place of two others.
fn line(text: &mut String, what: &str, count: &str, remark: &str) {
    let space = |most: usize, filled: &str| " ".repeat(most.saturating_sub(filled.width()));
    let line = format!("{what}{}{}{count}  {remark}", space(20, what), space(12, count));
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}", line.trim_end());
}

/// How long a run would take at least, and when it would end, in words.
fn course(rate: Rate, Effort { least, most, .. }: &Effort, several: bool) -> (String, String) {
    let (Some(shortest), Some(longest)) = (least.takes, most.takes) else {
        return (tr!("open"), tr!("there is no limit: as long as the replies take"));
    };
    let end = |span: &Span| {
        span.end.as_ref().map_or_else(
            || tr!("beyond the calendar"),
            |end| tr!("end" => "at {moment}", moment = clock(end)),
        )
    };
    let text = if several {
        tr!(
            "at {rate} calls a second; if it began now it would end {end}, or after {longest} {latest} at the latest",
            rate,
            end = end(least),
            longest = rounded(longest),
            latest = end(most)
        )
    } else {
        tr!("at {rate} calls a second; if it began now it would end {end}", rate, end = end(least))
    };
    (rounded(shortest), text)
}

/// Why so much is known, and what would change it.
fn ground(args: &Plan, ground: &Ground) -> String {
    let ages = (!args.keep.max_age.is_zero()).then(|| {
        let nobody = args.keep.max_age_not_found.min(args.keep.max_age);
        let nobody = if nobody.is_zero() {
            tr!("asked again")
        } else {
            tr!("up to {age}", age = rounded(nobody))
        };
        let age = rounded(args.keep.max_age);
        tr!(
            "answers of finished runs up to {age} old (those of numbers that nobody had: {nobody})",
            age,
            nobody
        )
    });
    let open = match ground {
        Ground::NoState => return tr!("without a state nothing is known"),
        Ground::Restart => return tr!("--restart asks for everything anew"),
        Ground::NoApp => {
            return tr!(
                "whose answers are meant is not said: set DINGTALK_APP_KEY or give --app-key"
            );
        }
        Ground::Absent => return tr!("nothing was kept yet"),
        Ground::InUse => return tr!("not looked up: another process works with the state"),
        Ground::Unusable => return tr!("not looked up: the state cannot be worked with"),
        Ground::Seen(Found::Nothing) => None,
        Ground::Seen(Found::Resumed { started, .. }) => {
            let since = since(*started);
            Some(tr!("the run goes on that was interrupted, with its answers since {since}", since))
        }
        Ground::Seen(Found::Inherited { started, .. }) => Some(tr!(
            "another input was not finished: its answers since {since}",
            since = since(*started)
        )),
    };
    let grounds: Vec<_> = open.into_iter().chain(ages).collect();
    if grounds.is_empty() {
        tr!("each run asks anew; --max-age uses answers of finished runs")
    } else {
        grounds.join(&tr!("; "))
    }
}
