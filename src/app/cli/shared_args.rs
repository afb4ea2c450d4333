//! Flags that several commands share or that one room is asked for by: what is shown, the way to the API, and
//! where answers are kept. Owns their names and defaults (DESIGN 1). Leaves the other flags to `cli`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Subcommand, ValueEnum};
use secrecy::SecretString;
use tr::tr;

use crate::app::cli::help;
use crate::domain::number::mobile::DefaultRegion;
use crate::domain::outcome::Status;
use crate::domain::percent::Percentage;
use crate::table::detect::columns::ColumnChoice;
use crate::table::detect::dialect::parse_delimiter;
use crate::table::raw::encoding::Encoding;

/// What is shown on standard error.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Messages")]
pub struct MessageArgs {
    /// How progress is shown: auto is a bar on a terminal and lines elsewhere, json an object every second
    #[arg(long, env = "DINGMAP_PROGRESS", value_enum, default_value_t = ProgressChoice::Auto)]
    pub progress: ProgressChoice,
    /// Show errors only
    #[arg(short, long, env = "DINGMAP_QUIET", help_heading = None::<&str>, value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub quiet: bool,
    /// Log more: -v retries, -vv answers, -vvv all
    #[arg(short, long, env = "DINGMAP_VERBOSE", help_heading = None::<&str>, action = ArgAction::Count)]
    pub verbose: u8,
    /// The form of log lines
    #[arg(long, env = "DINGMAP_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Append log lines to this file instead of writing them to standard error; without -v it gets what -v shows
    #[arg(long, value_name = "FILE", env = "DINGMAP_LOG_FILE")]
    pub log_file: Option<PathBuf>,
}

impl Default for MessageArgs {
    /// As without any flag, for commands that have nothing to show.
    fn default() -> Self {
        Self {
            progress: ProgressChoice::Auto,
            quiet: false,
            verbose: 0,
            log_format: LogFormat::Text,
            log_file: None,
        }
    }
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressChoice {
    /// A bar on a terminal, lines elsewhere.
    Auto,
    /// A bar.
    Bar,
    /// A line every ten seconds.
    Line,
    /// A JSON object every second.
    Json,
    /// Nothing.
    None,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The way to the API.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// The proxy, http://HOST:PORT or https://HOST:PORT; none goes straight [default: HTTPS_PROXY or ALL_PROXY of the environment, save for the hosts in NO_PROXY; none to this machine]
    #[arg(long, value_name = "URL", env = "DINGMAP_PROXY", hide_env_values = true)]
    pub proxy: Option<SecretString>,
    /// A PEM file with certificates to trust beside the system's: those of a proxy that inspects connections
    #[arg(long, value_name = "FILE", env = "DINGMAP_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// Call an http:// endpoint that is not on this machine, with token and numbers readable on the way
    #[arg(long, env = "DINGMAP_INSECURE_HTTP", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub insecure_http: bool,
}

/// What a run leaves to be read beside its output.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Reports")]
pub struct ReportArgs {
    /// Write an account of the run as JSON, whatever it came to; - is standard output
    #[arg(long, value_name = "FILE", env = "DINGMAP_SUMMARY")]
    pub summary: Option<PathBuf>,
    /// Write the same as Prometheus text, for the node exporter's textfile collector
    #[arg(long, value_name = "FILE", env = "DINGMAP_METRICS")]
    pub metrics: Option<PathBuf>,
    /// Write a report of the run as an HTML page, whatever it came to
    #[arg(long, value_name = "FILE", env = "DINGMAP_REPORT")]
    pub report: Option<PathBuf>,
}

/// Where a run keeps its answers, and which it uses.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "State")]
pub struct StateArgs {
    /// Where answers are kept [default: dingmap/state.redb in your data directory; with --sandbox in memory]
    #[arg(long, value_name = "FILE", env = "DINGMAP_STATE")]
    pub state: Option<PathBuf>,
    /// Keep answers in memory alone: an interrupted run starts from the beginning
    #[arg(long, env = "DINGMAP_NO_STATE", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub no_state: bool,
    /// Forget what an interrupted run of this input learned, and ask for everything anew
    #[arg(long, env = "DINGMAP_RESTART", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub restart: bool,
    /// Wait while another run works with the state file
    #[arg(long, env = "DINGMAP_WAIT", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub wait: bool,
    /// Use answers of finished runs up to this old; 0: each run asks anew (one that goes on uses all since it began)
    #[arg(long, value_name = "D", env = "DINGMAP_MAX_AGE", default_value = "0", value_parser = parse_age)]
    pub max_age: Duration,
    /// The same for numbers that nobody had or that were out of scope, beside --max-age and at most that; 0: always ask again
    #[arg(long, value_name = "D", env = "DINGMAP_MAX_AGE_NOT_FOUND", default_value = "0", value_parser = parse_age)]
    pub max_age_not_found: Duration,
}

/// The quota that runs on several hosts share.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Several runs")]
pub struct QuotaArgs {
    /// Share the app's quota, answers and token with the runs that name the same Redis or Valkey server
    ///
    /// Its address is written `redis://HOST/DB`, `rediss://HOST/DB` or `unix:///PATH?db=N`, where `HOST` may have a port behind it and a user before it
    #[arg(long, value_name = "URL", env = "DINGMAP_SHARED", hide_env_values = true)]
    pub shared: Option<SecretString>,
    /// Where that server is silent, go on at this run's part of the rate instead of waiting
    #[arg(long, env = "DINGMAP_SHARED_OPTIONAL", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub shared_optional: bool,
    /// How to be let in
    #[command(flatten)]
    pub auth: RedisAuthArgs,
}

/// How to be let in by the server that runs share.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Several runs")]
pub struct RedisAuthArgs {
    /// A file with the password for that server [or DINGMAP_SHARED_PASSWORD]
    #[arg(long, value_name = "FILE", env = "DINGMAP_SHARED_PASSWORD_FILE")]
    pub shared_password_file: Option<PathBuf>,
    /// A PEM file with the certificates to trust for `rediss://` [default: the system's]
    #[arg(long, value_name = "FILE", env = "DINGMAP_SHARED_CA_FILE")]
    pub shared_ca_file: Option<PathBuf>,
}

/// What runs on several hosts share, for commands that look at it instead of the state file.
#[derive(Args, Debug)]
pub struct SharedStateArgs {
    /// The server that runs share, instead of the file
    ///
    /// It has to be typed: DINGMAP_SHARED and the file of --config say where runs meet, and do not count here, so that without this flag it is the state file that is told or forgotten
    #[arg(long, value_name = "URL", help_heading = None::<&str>)]
    pub shared: Option<SecretString>,
    /// How to be let in
    #[command(flatten)]
    pub auth: RedisAuthArgs,
}

/// `dingmap state`.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Tell how many answers there are, how old, and which runs are not finished; no numbers
    Info(StateInfoArgs),
    /// Forget the answers to which everything that is given applies, at once and without asking
    Forget(StateForgetArgs),
    /// Give back to the file system what the file does not need
    Compact(StateFileArgs),
    /// Write all answers to standard output as CSV, with full numbers and user ids: handle it as personal data
    Export(StateFileArgs),
}

impl StateCommand {
    /// Where the state is, and what to show.
    #[must_use]
    pub fn file_args(&self) -> &StateFileArgs {
        match self {
            Self::Info(info) => &info.file,
            Self::Forget(forget) => &forget.file,
            Self::Compact(place) | Self::Export(place) => place,
        }
    }

    /// The server that is meant instead of a file, and how to be let in.
    #[must_use]
    pub fn shared_server(&self) -> Option<(&SecretString, &RedisAuthArgs)> {
        let elsewhere = match self {
            Self::Info(info) => &info.server,
            Self::Forget(forget) => &forget.server,
            Self::Compact(_) | Self::Export(_) => return None,
        };
        elsewhere.shared.as_ref().map(|shared| (shared, &elsewhere.auth))
    }
}

/// `dingmap state info`.
#[derive(Args, Debug)]
pub struct StateInfoArgs {
    /// Where
    #[command(flatten)]
    pub file: StateFileArgs,
    /// Where else
    #[command(flatten)]
    pub server: SharedStateArgs,
}

/// Which state file a command is about.
#[derive(Args, Debug)]
pub struct StateFileArgs {
    /// The state file [default: dingmap/state.redb in your data directory]
    #[arg(long, value_name = "FILE", env = "DINGMAP_STATE")]
    pub state: Option<PathBuf>,
    /// Wait while a run works with it
    #[arg(long, env = "DINGMAP_WAIT", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub wait: bool,
    /// What to show on standard error
    #[command(flatten)]
    pub messages: MessageArgs,
}

/// `dingmap state forget`.
#[derive(Args, Debug)]
#[command(override_usage = "dingmap state forget <--all|--app|--older-than|--status|--number>")]
#[command(group = clap::ArgGroup::new("choice").required(true).multiple(true).args(["all", "app", "older_than", "status", "number"]))]
pub struct StateForgetArgs {
    /// All answers and all unfinished runs
    #[arg(long, env = "DINGMAP_ALL", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue, conflicts_with_all = ["app", "older_than", "status", "number"])]
    pub all: bool,
    /// Those of this app: its key, or the name that info shows for a token
    #[arg(long, value_name = "KEY", env = "DINGMAP_APP")]
    pub app: Option<String>,
    /// Those older than this
    #[arg(long, value_name = "D", env = "DINGMAP_OLDER_THAN", value_parser = parse_age)]
    pub older_than: Option<Duration>,
    /// Those with this status
    #[arg(long, value_name = "STATUS", env = "DINGMAP_STATUS", value_parser = parse_status)]
    pub status: Option<Status>,
    /// Those of the numbers on standard input, one a line; always -, so that no number stands on a command line
    #[arg(long, value_name = "-", env = "DINGMAP_NUMBER", value_parser = ["-"])]
    pub number: Option<String>,
    /// Where
    #[command(flatten)]
    pub file: StateFileArgs,
    /// Where else
    #[command(flatten)]
    pub server: SharedStateArgs,
}

/// `dingmap diff`.
#[derive(Args, Debug)]
#[command(after_long_help = help::DIFF)]
pub struct DiffArgs {
    /// The earlier file (also .gz, .zst); - is standard input
    pub old: PathBuf,
    /// The later one; - is standard input
    pub new: PathBuf,
    /// Where the differences go, as CSV
    ///
    /// - is standard output
    #[arg(short, long, value_name = "FILE", env = "DINGMAP_OUTPUT", default_value = "-")]
    pub output: PathBuf,
    /// The column that tells people apart [default: the number]
    ///
    /// Such as one of staff numbers: its header, or its position from 1
    #[arg(short, long, value_name = "NAME|N", env = "DINGMAP_KEY")]
    pub key: Option<ColumnChoice>,
    /// Exit with 11 where more than this share was lost: 5%
    ///
    /// It is that of OLD's rows which were changed, lost or removed, or could not be compared: 5%, 0.5%, 0.05
    #[arg(long, value_name = "P", env = "DINGMAP_MAX_CHANGE")]
    pub max_change: Option<Percentage>,
    /// The column with the numbers [default: detected]
    ///
    /// It is named as for resolve; where several are given, the first one with a number in it counts
    #[arg(short, long, value_name = "NAME|N|/RE/", env = "DINGMAP_COLUMN")]
    pub column: Vec<ColumnChoice>,
    /// The region of numbers without a country code
    #[arg(
        long,
        value_name = "CC",
        env = "DINGMAP_REGION",
        help_heading = "Input",
        default_value = "CN"
    )]
    pub region: DefaultRegion,
    /// The delimiter of both files: a character, or tab [default: detected]
    #[arg(short, long, value_name = "C", env = "DINGMAP_DELIMITER", help_heading = "Input", value_parser = parse_delimiter)]
    pub delimiter: Option<u8>,
    /// The encoding of both files [default: detected]
    #[arg(short, long, value_name = "NAME", env = "DINGMAP_ENCODING", help_heading = "Input")]
    pub encoding: Option<Encoding>,
    /// The sheet of both workbooks, by name or number [default: the first with rows]
    #[arg(long, value_name = "NAME|N", env = "DINGMAP_SHEET", help_heading = "Input")]
    pub sheet: Option<String>,
    /// Pass over so many lines above the header of both files
    #[arg(
        long,
        value_name = "N",
        env = "DINGMAP_SKIP_LINES",
        help_heading = "Input",
        default_value_t = 0
    )]
    pub skip_lines: u64,
    /// What to show on standard error
    #[command(flatten)]
    pub messages: MessageArgs,
}

/// An age such as `12h` or `30d`, up to ten years; `0` is none.
fn parse_age(text: &str) -> Result<Duration, String> {
    let most = Duration::from_hours(24 * 3653);
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    let age = humantime::parse_duration(text).map_err(|error| {
        tr!(
            "{cause}; write a number and a unit, such as 12h or 30d",
            cause = describe_duration_error(&error)
        )
    })?;
    if age > most { Err(tr!("at most ten years")) } else { Ok(age) }
}

/// Why a text is no duration.
#[must_use]
pub(crate) fn describe_duration_error(error: &humantime::DurationError) -> String {
    use humantime::DurationError::{
        Empty, InvalidCharacter, NumberExpected, NumberOverflow, UnknownUnit,
    };
    match error {
        InvalidCharacter(at) => tr!("invalid character at {at}", at = at + 1),
        NumberExpected(at) => tr!("expected number at {at}", at = at + 1),
        UnknownUnit { unit, value, .. } if unit.is_empty() => {
            tr!("time unit needed, for example {value}sec or {value}ms", value)
        }
        UnknownUnit { unit, .. } => tr!(
            "unknown time unit \"{unit}\", supported units: ns, us/µs, ms, sec, min, hours, days, weeks, months, years (and few variations)",
            unit
        ),
        NumberOverflow => tr!(
            "number is too large or cannot be represented without a lack of precision (values below 1ns are not supported)"
        ),
        Empty => tr!("value was empty"),
    }
}

/// A status that is kept.
fn parse_status(text: &str) -> Result<Status, String> {
    let kept = [Status::Found, Status::NotFound, Status::BadNumber, Status::OutOfScope];
    kept.into_iter().find(|status| status.name() == text.replace('-', "_")).ok_or_else(|| {
        tr!("one of {names}", names = kept.map(Status::name).join(&tr!("list" => ", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_ages_and_statuses_are_rejected() {
        assert_eq!(
            (parse_age("0"), parse_age("1d")),
            (Ok(Duration::ZERO), Ok(Duration::from_hours(24)))
        );
        assert!(parse_age("1").is_err() && parse_age("11y").is_err() && parse_age("-1d").is_err());
        assert_eq!(
            (parse_status("not-found"), parse_status("not_found")),
            (Ok(Status::NotFound), Ok(Status::NotFound))
        );
        assert!(parse_status("failed").is_err(), "none of these is kept");
    }
}
