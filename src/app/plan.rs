//! `dingmap plan`: what a run would do, without one: nothing is sent, written or begun. Owns the order of the work and the
//! words for people. Leaves counting to `tally`, what is known to `forecast`, and the form for programs to `outline`.

use std::fmt::Write as _;
use std::io::Write as _;

use jiff::Zoned;

use crate::api::rate::Rate;
use crate::app::answer::tell;
use crate::app::cli::Plan;
use crate::app::config;
use crate::app::departure::clock;
use crate::app::effort::{Effort, Span};
use crate::app::exit::{Exit, Failure, rounded, shown};
use crate::app::forecast::{Forecast, Ground, forecast};
use crate::app::opening::{self, Opened};
use crate::app::outline::Outline;
use crate::app::outlook::{grouped, since};
use crate::app::summary;
use crate::app::tally::Tally;
use crate::app::terminal::{Terminal, printable};
use crate::store::runs::Found;

/// Runs the command.
///
/// # Errors
/// As `resolve` where the input cannot be read (3) or flags do not fit it (2); output (7).
pub fn plan(args: &Plan, terminal: &Terminal) -> Result<Exit, Failure> {
    let regular = opening::regular(&args.input);
    let Opened { mut source, title, .. } =
        opening::open_once(&args.input, &args.reading, args.numbers.region)?;
    let tally = Tally::of(&mut source, config::rules(&args.numbers))
        .map_err(|error| opening::unreadable(&args.input, error))?;
    let forecast = forecast(args, &source, regular, &tally, terminal)?;
    let effort = Effort::of(&tally, &forecast, args.speed.rate, &Zoned::now());
    let text = if args.json {
        let name = summary::name(&args.input);
        let outline = Outline::of(args, name, &source, &tally, &forecast, &effort);
        outline.json().map_err(|error| Failure::of(Exit::Broken, error))?
    } else {
        let opening = summary::opening(&title, &source, Some(tally.rows));
        let several = source.columns().len() > 1;
        printable(&format!("{opening}\n\n{}", words(args, &tally, &forecast, &effort, several)))
    };
    tell(|output| output.write_all(text.as_bytes()))?;
    Ok(Exit::Done)
}

/// All but the first line, for people.
fn words(args: &Plan, tally: &Tally, forecast: &Forecast, effort: &Effort, several: bool) -> String {
    let mut text = String::new();
    let mut line = |what: &str, count: u64, remark: &str| {
        let line = format!("{what:<20}{:>12}  {remark}", grouped(count));
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", line.trim_end());
    };
    line("rows", tally.rows, "");
    line("with a number", tally.with_number, if several { "the first one of each row counts" } else { "" });
    line("distinct numbers", tally.distinct(), "");
    line("repeated rows", tally.repeated(), "which share the answer of a row before them");
    if several {
        line("further numbers", tally.behind(), "asked where nobody has the ones before them");
    }
    line("invalid rows", tally.invalid(), "");
    for example in &tally.examples {
        let _ = writeln!(text, "  line {}: {}", example.line, shown(&example.reason));
    }
    let more = tally.invalid() - tally.examples.len() as u64;
    if more > 0 {
        let _ = writeln!(text, "  and {} more", grouped(more));
    }
    let mut line = |what: &str, count: &str, remark: &str| {
        let line = format!("{what:<20}{count:>12}  {remark}");
        let _ = writeln!(text, "{}", line.trim_end());
    };
    let behind = match forecast.behind {
        0 => String::new(),
        behind => format!("; and {} of the further ones", grouped(behind)),
    };
    line("known already", &grouped(forecast.known), &(ground(args, &forecast.ground) + &behind));
    let Effort { least, most, .. } = effort;
    let bound = if several { "at least " } else { "" };
    let calls = if several { format!("at most {}; ", grouped(most.calls)) } else { String::new() };
    let calls = format!("{calls}repeats of failed calls come on top");
    line("calls needed", &format!("{bound}{}", grouped(least.calls)), &calls);
    let (time, course) = course(args.speed.rate, effort, several);
    line("time", &format!("{bound}{time}"), &course);
    text
}

/// How long a run would take at least, and when it would end, in words.
fn course(rate: Rate, Effort { least, most, .. }: &Effort, several: bool) -> (String, String) {
    let (Some(shortest), Some(longest)) = (least.takes, most.takes) else {
        return ("open".to_owned(), "there is no limit: as long as the replies take".to_owned());
    };
    let end = |span: &Span| {
        span.end.as_ref().map_or_else(|| "beyond the calendar".to_owned(), |end| format!("at {}", clock(end)))
    };
    let mut text = format!("at {rate} calls a second; if it began now it would end {}", end(least));
    if several {
        // Writing to a string does not fail.
        let _ = write!(text, ", or after {} {} at the latest", rounded(longest), end(most));
    }
    (rounded(shortest), text)
}

/// Why so much is known, and what would change it.
fn ground(args: &Plan, ground: &Ground) -> String {
    let ages = (!args.keep.max_age.is_zero()).then(|| {
        let nobody = args.keep.max_age_not_found.min(args.keep.max_age);
        let nobody =
            if nobody.is_zero() { "asked again".to_owned() } else { format!("up to {}", rounded(nobody)) };
        format!(
            "answers of finished runs up to {} old (those of numbers that nobody had: {nobody})",
            rounded(args.keep.max_age)
        )
    });
    let open = match ground {
        Ground::NoState => return "without a state nothing is known".to_owned(),
        Ground::Restart => return "--restart asks for everything anew".to_owned(),
        Ground::NoApp => {
            return "whose answers are meant is not said: set DINGTALK_APP_KEY or give --app-key".to_owned();
        }
        Ground::Absent => return "nothing was kept yet".to_owned(),
        Ground::InUse => return "not looked up: another process works with the state".to_owned(),
        Ground::Unusable => return "not looked up: the state cannot be worked with".to_owned(),
        Ground::Seen(Found::Nothing) => None,
        Ground::Seen(Found::Resumed { started, .. }) => {
            Some(format!("the run goes on that was interrupted, with its answers since {}", since(*started)))
        }
        Ground::Seen(Found::Inherited { started, .. }) => {
            Some(format!("another input was not finished: its answers since {}", since(*started)))
        }
    };
    let grounds: Vec<_> = open.into_iter().chain(ages).collect();
    if grounds.is_empty() {
        "each run asks anew; --max-age uses answers of finished runs".to_owned()
    } else {
        grounds.join("; ")
    }
}
