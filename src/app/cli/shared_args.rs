//! Flags that several commands share (messages, network, reports, state, shared quota), and those
//! of `state` and `diff`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Subcommand, ValueEnum};
use humantime::DurationError;
use secrecy::SecretString;
use tr::tr;

use crate::app::cli::help;
use crate::app::cli::whole_number::{self, MAX_COUNT};
use crate::domain::number::mobile::DefaultRegion;
use crate::domain::outcome::Status;
use crate::domain::percent::Percentage;
use crate::table::detect::columns::ColumnChoice;
use crate::table::detect::country_column::CountryChoice;
use crate::table::detect::dialect::parse_delimiter;
use crate::table::raw::encoding::Encoding;

/// What to show on standard error.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Messages")]
pub struct MessageArgs {
    /// How to show progress: auto is a bar on a terminal and lines elsewhere, json is one object
    /// per second
    #[arg(long, env = "DINGMAP_PROGRESS", value_enum, default_value_t = ProgressChoice::Auto)]
    pub progress: ProgressChoice,
    /// Show errors only
    #[arg(
        short,
        long,
        env = "DINGMAP_QUIET",
        help_heading = None::<&str>,
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue
    )]
    pub quiet: bool,
    /// Log more: -v retries, -vv answers, -vvv all
    #[arg(
        short,
        long,
        env = "DINGMAP_VERBOSE",
        help_heading = None::<&str>,
        action = ArgAction::Count
    )]
    pub verbose: u8,
    /// Format of log lines
    #[arg(long, env = "DINGMAP_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Append log lines to this file instead of standard error; logs at least what -v shows
    #[arg(long, value_name = "FILE", env = "DINGMAP_LOG_FILE")]
    pub log_file: Option<PathBuf>,
}

impl Default for MessageArgs {
    /// The values without any flag, for commands without these flags.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProgressChoice {
    /// A bar on a terminal, lines elsewhere.
    Auto,
    /// A bar.
    Bar,
    /// One line every 10 seconds.
    Line,
    /// One JSON object per second.
    Json,
    /// Nothing.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Human-readable text.
    Text,
    /// One JSON object per line.
    Json,
}

/// How to connect to the API.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// Proxy, http://HOST:PORT or https://HOST:PORT; `none` disables the proxy [default:
    /// HTTPS_PROXY or ALL_PROXY, except for hosts in NO_PROXY; none for this machine]
    #[arg(long, value_name = "URL", env = "DINGMAP_PROXY", hide_env_values = true)]
    pub proxy: Option<SecretString>,
    /// PEM file with certificates to trust in addition to the system's, such as those of a proxy
    /// that inspects TLS connections
    #[arg(long, value_name = "FILE", env = "DINGMAP_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// Allow an http:// endpoint on another machine; token and numbers are sent unencrypted
    #[arg(
        long,
        env = "DINGMAP_INSECURE_HTTP",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue
    )]
    pub insecure_http: bool,
}

/// Reports of a run.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Reports")]
pub struct ReportArgs {
    /// Write a summary of the run as JSON, also if it fails; - is standard output
    #[arg(long, value_name = "FILE", env = "DINGMAP_SUMMARY")]
    pub summary: Option<PathBuf>,
    /// Write the summary as Prometheus text, for the node exporter's textfile collector
    #[arg(long, value_name = "FILE", env = "DINGMAP_METRICS")]
    pub metrics: Option<PathBuf>,
    /// Write a report of the run as an HTML page, also if it fails
    #[arg(long, value_name = "FILE", env = "DINGMAP_REPORT")]
    pub report: Option<PathBuf>,
}

/// Where a run keeps answers, and which it reuses.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "State")]
pub struct StateArgs {
    /// File that keeps the answers [default: dingmap/state.redb in your data directory; with
    /// --sandbox in memory]
    #[arg(long, value_name = "FILE", env = "DINGMAP_STATE")]
    pub state: Option<PathBuf>,
    /// Keep answers only in memory: an interrupted run starts from the beginning
    #[arg(
        long,
        env = "DINGMAP_NO_STATE",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue
    )]
    pub no_state: bool,
    /// Discard the answers of an interrupted run of this input, and ask for all numbers again
    #[arg(
        long,
        env = "DINGMAP_RESTART",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue
    )]
    pub restart: bool,
    /// Wait while another run uses the state file
    #[arg(
        long,
        env = "DINGMAP_WAIT",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue
    )]
    pub wait: bool,
    /// Use answers of finished runs up to this age; 0: ask again (a resumed run uses all answers
    /// since its start)
    #[arg(
        long,
        value_name = "D",
        env = "DINGMAP_MAX_AGE",
        default_value = "0",
        value_parser = parse_age
    )]
    pub max_age: Duration,
    /// The same for numbers that were not found or out of scope, at most --max-age; 0: ask again
    #[arg(
        long,
        value_name = "D",
        env = "DINGMAP_MAX_AGE_NOT_FOUND",
        default_value = "0",
        value_parser = parse_age
    )]
    pub max_age_not_found: Duration,
}

/// Sharing the quota between runs on several hosts.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Shared quota")]
pub struct QuotaArgs {
    /// Share the app's quota, answers and token with runs that use the same Redis or Valkey server
    ///
    /// The URL is `redis://HOST/DB`, `rediss://HOST/DB` or `unix:///PATH?db=N`. `HOST` may include
    /// a user and a port: `USER@HOST:PORT`
    #[arg(long, value_name = "URL", env = "DINGMAP_SHARED", hide_env_values = true)]
    pub shared: Option<SecretString>,
    /// If the server is unreachable, continue at this run's share of the rate instead of waiting
    #[arg(
        long,
        env = "DINGMAP_SHARED_OPTIONAL",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue
    )]
    pub shared_optional: bool,
    #[command(flatten)]
    pub auth: RedisAuthArgs,
}

/// Authentication at the shared server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Shared quota")]
pub struct RedisAuthArgs {
    /// File with the server's password [or DINGMAP_SHARED_PASSWORD]
    #[arg(long, value_name = "FILE", env = "DINGMAP_SHARED_PASSWORD_FILE")]
    pub shared_password_file: Option<PathBuf>,
    /// PEM file with the certificates to trust for `rediss://` [default: the system's]
    #[arg(long, value_name = "FILE", env = "DINGMAP_SHARED_CA_FILE")]
    pub shared_ca_file: Option<PathBuf>,
}

/// The shared server, for commands that use it instead of the state file.
///
/// Without environment variable: `DINGMAP_SHARED` is set for runs and must not change what these
/// commands show or delete.
#[derive(Args, Debug)]
pub struct SharedStateArgs {
    /// Use this shared server instead of the state file
    ///
    /// Read only from the command line: DINGMAP_SHARED and the config file are for runs and are
    /// ignored here. Without this flag, the command uses the state file
    #[arg(long, value_name = "URL", help_heading = None::<&str>)]
    pub shared: Option<SecretString>,
    #[command(flatten)]
    pub auth: RedisAuthArgs,
}

/// `dingmap state`.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Show the number and age of answers, and unfinished runs; shows no mobile numbers
    Info(StateInfoArgs),
    /// Delete the answers that match all given conditions, without confirmation
    Forget(StateForgetArgs),
    /// Release the space that the state file no longer needs
    Compact(StateFileArgs),
    /// Write all answers to standard output as CSV, with full numbers and user ids: treat them as
    /// personal data
    Export(StateFileArgs),
}

impl StateCommand {
    #[must_use]
    pub fn file_args(&self) -> &StateFileArgs {
        match self {
            Self::Info(info) => &info.file,
            Self::Forget(forget) => &forget.file,
            Self::Compact(file) | Self::Export(file) => file,
        }
    }

    /// The shared server to use instead of the state file, if given.
    #[must_use]
    pub fn shared_server(&self) -> Option<(&SecretString, &RedisAuthArgs)> {
        let server = match self {
            Self::Info(info) => &info.server,
            Self::Forget(forget) => &forget.server,
            Self::Compact(_) | Self::Export(_) => return None,
        };
        server.shared.as_ref().map(|shared| (shared, &server.auth))
    }
}

/// `dingmap state info`.
#[derive(Args, Debug)]
pub struct StateInfoArgs {
    #[command(flatten)]
    pub file: StateFileArgs,
    #[command(flatten)]
    pub server: SharedStateArgs,
}

/// The state file of a command.
#[derive(Args, Debug)]
pub struct StateFileArgs {
    /// State file [default: dingmap/state.redb in your data directory]
    #[arg(long, value_name = "FILE", env = "DINGMAP_STATE")]
    pub state: Option<PathBuf>,
    /// Wait while a run uses the state file
    #[arg(
        long,
        env = "DINGMAP_WAIT",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue
    )]
    pub wait: bool,
    #[command(flatten)]
    pub messages: MessageArgs,
}

/// `dingmap state forget`.
#[derive(Args, Debug)]
#[command(override_usage = "dingmap state forget <--all|--app|--older-than|--status|--number>")]
#[command(
    group = clap::ArgGroup::new("choice")
        .required(true)
        .multiple(true)
        .args(["all", "app", "older_than", "status", "number"])
)]
pub struct StateForgetArgs {
    /// All answers and all unfinished runs
    #[arg(
        long,
        env = "DINGMAP_ALL",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue,
        conflicts_with_all = ["app", "older_than", "status", "number"]
    )]
    pub all: bool,
    /// Answers of this app: its key, or the name that info shows for a token
    #[arg(long, value_name = "KEY", env = "DINGMAP_APP")]
    pub app: Option<String>,
    /// Answers older than this
    #[arg(long, value_name = "D", env = "DINGMAP_OLDER_THAN", value_parser = parse_age)]
    pub older_than: Option<Duration>,
    /// Answers with this status
    #[arg(long, value_name = "STATUS", env = "DINGMAP_STATUS", value_parser = parse_status)]
    pub status: Option<Status>,
    /// Answers of the numbers on standard input, one per line; always -, to keep numbers off the
    /// command line
    #[arg(long, value_name = "-", env = "DINGMAP_NUMBER", value_parser = ["-"])]
    pub number: Option<String>,
    #[command(flatten)]
    pub file: StateFileArgs,
    #[command(flatten)]
    pub server: SharedStateArgs,
}

/// `dingmap diff`.
#[derive(Args, Debug)]
#[command(after_long_help = help::DIFF)]
pub struct DiffArgs {
    /// Earlier file (also .gz, .zst); - is standard input
    pub old: PathBuf,
    /// Later file; - is standard input
    pub new: PathBuf,
    /// Output CSV with the differences
    ///
    /// - is standard output
    #[arg(short, long, value_name = "FILE", env = "DINGMAP_OUTPUT", default_value = "-")]
    pub output: PathBuf,
    /// Column that identifies a person [default: the number]
    ///
    /// For example, the staff number. NAME is the header, N the position from 1
    #[arg(short, long, value_name = "NAME|N", env = "DINGMAP_KEY")]
    pub key: Option<ColumnChoice>,
    /// Exit with 11 above this percentage of losses: 5%
    ///
    /// Percentage of OLD's rows that were changed, lost or removed, or could not be compared: 5%,
    /// 0.5%, 0.05
    #[arg(long, value_name = "P", env = "DINGMAP_MAX_CHANGE")]
    pub max_change: Option<Percentage>,
    /// Column with the numbers [default: detected]
    ///
    /// Named as for resolve. If several columns are given, the first one that contains a number
    /// counts
    #[arg(short, long, value_name = "NAME|N|/RE/", env = "DINGMAP_COLUMN")]
    pub column: Vec<ColumnChoice>,
    /// Column with the country or calling code of the numbers, or none [default: detected]
    ///
    /// Named as for resolve
    #[arg(
        long,
        value_name = "NAME|N|none",
        env = "DINGMAP_COUNTRY_COLUMN",
        help_heading = "Numbers"
    )]
    pub country_column: Option<CountryChoice>,
    /// Region of numbers without a country code
    #[arg(
        long,
        value_name = "CC",
        env = "DINGMAP_REGION",
        help_heading = "Numbers",
        default_value = "CN"
    )]
    pub region: DefaultRegion,
    /// Delimiter of both files: a character, or tab [default: detected]
    #[arg(
        short,
        long,
        value_name = "C",
        env = "DINGMAP_DELIMITER",
        help_heading = "File format",
        value_parser = parse_delimiter
    )]
    pub delimiter: Option<char>,
    /// Encoding of both files [default: detected]
    #[arg(
        short,
        long,
        value_name = "NAME",
        env = "DINGMAP_ENCODING",
        help_heading = "File format"
    )]
    pub encoding: Option<Encoding>,
    /// Sheet of both workbooks, by name or number [default: detected]
    #[arg(long, value_name = "NAME|N", env = "DINGMAP_SHEET", help_heading = "File format")]
    pub sheet: Option<String>,
    /// Number of lines to skip above the header of both files [default: detected]
    #[arg(
        long,
        value_name = "N",
        env = "DINGMAP_SKIP_LINES",
        value_parser = |text: &str| whole_number::parse::<u64>(text, 0..=MAX_COUNT),
        help_heading = "File format"
    )]
    pub skip_lines: Option<u64>,
    #[command(flatten)]
    pub messages: MessageArgs,
}

/// Parses an age such as `12h` or `30d`, of at most ten years; `0` means none.
fn parse_age(text: &str) -> Result<Duration, String> {
    let max = Duration::from_hours(24 * 3653);
    if text.trim() == "0" {
        return Ok(Duration::ZERO);
    }
    let too_long = || tr!("at most ten years");
    let age = humantime::parse_duration(text).map_err(|error| match error {
        DurationError::NumberOverflow => too_long(),
        error => tr!(
            "{cause}; write a number and a unit, such as 12h or 30d",
            cause = describe_duration_error(&error)
        ),
    })?;
    if age > max { Err(too_long()) } else { Ok(age) }
}

/// Translates an error of [`humantime`].
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
            "unknown time unit \"{unit}\", supported units: ns, us/µs, ms, sec, min, hours, days, \
             weeks, months, years (and few variations)",
            unit
        ),
        NumberOverflow => {
            tr!("number is too large or cannot be represented without a lack of precision (values \
                 below 1ns are not supported)")
        }
        Empty => tr!("value was empty"),
    }
}

/// Parses a status that the state file keeps.
fn parse_status(text: &str) -> Result<Status, String> {
    let stored = [Status::Found, Status::NotFound, Status::BadNumber, Status::OutOfScope];
    stored.into_iter().find(|status| status.name() == text.replace('-', "_")).ok_or_else(|| {
        tr!("one of {names}", names = stored.map(Status::name).join(&tr!("list" => ", ")))
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
        assert!(parse_status("failed").is_err(), "the state file keeps no such status");
    }
}
