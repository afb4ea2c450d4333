//! The commands and their flags, with environment variables, defaults and help, for clap.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{BoolishValueParser, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use humantime::DurationError;
use tr::tr;

use crate::app::cli::help;
use crate::app::cli::input_args::{
    ApiArgs, ContentArgs, NumberArgs, RateLimitArgs, ReaderArgs, ShardArgs,
};
use crate::app::cli::shared_args::{
    DiffArgs, MessageArgs, NetworkArgs, QuotaArgs, ReportArgs, StateArgs, StateCommand,
    describe_duration_error,
};
use crate::app::cli::whole_number::{self, MAX_COUNT};
use crate::app::i18n::language::Language;
use crate::domain::outcome::Status;
use crate::table::detect::columns::ColumnChoice;
use crate::table::raw::encoding::Encoding;

/// Turns a table of mobile numbers into the same table with DingTalk user ids.
#[derive(Debug, Parser)]
#[command(
    name = "dingmap",
    version,
    about,
    after_help = help::TOP,
    after_long_help = help::for_program(),
    max_term_width = 110,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// Language of messages, help and reports [default: from LC_ALL, LC_MESSAGES, LANG]
    #[arg(long, value_enum, env = "DINGMAP_LANG", global = true, help_heading = "Messages")]
    pub lang: Option<Language>,
    /// TOML file with defaults for the flags
    ///
    /// Keys are the long names of flags. At the top level they apply to all commands, under
    /// `[resolve]` and so on to one command, and under `[profile.NAME]` only if that profile is
    /// selected. Precedence: flag, environment variable, profile, rest of the file
    #[arg(long, value_name = "FILE", env = "DINGMAP_CONFIG", display_order = 100, global = true)]
    pub config: Option<PathBuf>,
    /// Profile of the config file to use
    #[arg(
        long,
        value_name = "NAME",
        env = "DINGMAP_PROFILE",
        display_order = 100,
        hide_short_help = true,
        global = true
    )]
    pub profile: Option<String>,
    /// Print the value and source of each flag, and exit
    #[arg(
        long,
        env = "DINGMAP_PRINT_CONFIG",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue,
        global = true,
        help_heading = "Messages"
    )]
    pub print_config: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Append user id and status to every row of a table
    Resolve(Box<ResolveArgs>),
    /// Show what resolve would do and how long it takes; no calls
    ///
    /// Shows what was detected, which rows are invalid and how many calls are needed. Needs no
    /// network and no secret, and writes no output
    Plan(Box<PlanArgs>),
    /// Compare two resolved files
    ///
    /// Finds the people who were added, removed or lost, or whose user id changed
    Diff(Box<DiffArgs>),
    /// Merge the outputs of shards into one table
    ///
    /// Joins the outputs of several runs of `resolve --shard` into the file that one run would have
    /// written
    Merge(Box<MergeArgs>),
    /// Serve an emulated DingTalk API on 127.0.0.1 until stopped
    Sandbox(SandboxArgs),
    /// Inspect the state file, or delete answers from it
    #[command(subcommand, after_long_help = help::STATE)]
    State(Box<StateCommand>),
    /// Print shell completions
    #[command(after_long_help = help::COMPLETIONS)]
    Completions {
        /// Name of the shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the man pages
    ///
    /// Prints everything as one page, or writes one page for each command into a directory
    #[command(after_long_help = help::MAN)]
    Man {
        /// Directory for the pages: dingmap.1, dingmap-resolve.1 and so on
        #[arg(long, value_name = "DIR", env = "DINGMAP_DIRECTORY")]
        directory: Option<PathBuf>,
    },
    /// Show the help of a command, or a page of the guide
    Help {
        /// A command, or a topic of the guide; without one, the list of both
        #[arg(value_name = "COMMAND|TOPIC")]
        topic: Vec<String>,
    },
}

/// `dingmap resolve`.
#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(after_long_help = help::RESOLVE)]
pub struct ResolveArgs {
    /// CSV (also .gz, .zst) or Excel workbook (.xlsx); - is standard input
    pub input: PathBuf,

    /// Output [default: NAME.resolved.csv or .xlsx]
    ///
    /// The name says the format: .csv and .txt are text, .gz and .zst compressed text, .xlsx is a
    /// workbook; .xlsm is the copy of an .xlsm. The default is next to the input, in its own
    /// format; - is standard output
    #[arg(short, long, value_name = "FILE", env = "DINGMAP_OUTPUT", help_heading = None::<&str>)]
    pub output: Option<PathBuf>,
    /// Format of an output whose name does not say it
    ///
    /// Also changes the default name: with csv, the output of a workbook is NAME.resolved.csv
    #[arg(
        long,
        value_name = "FORMAT",
        env = "DINGMAP_OUTPUT_FORMAT",
        value_enum,
        help_heading = "File format"
    )]
    pub output_format: Option<OutputFormat>,
    /// Also write the rows that may succeed on a retry
    ///
    /// The rows are written as they were read, so that the file can be the input of the retry. Its
    /// own name says the format; - is standard output
    #[arg(long, value_name = "FILE", env = "DINGMAP_FAILED", help_heading = None::<&str>)]
    pub failed: Option<PathBuf>,
    /// Ask the failed, pending and corrected rows of a resolved file again, in place
    ///
    /// Asks the rows whose status is failed, pending or empty, the invalid rows whose number can be
    /// sent now, and the rows whose number is not the one that was asked. All other rows stay
    /// unchanged, to the byte, except that an invalid row gets the reason of the number it has now.
    /// With --output, the input file stays unchanged too
    #[arg(
        long,
        env = "DINGMAP_RETRY_FAILED",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue,
        help_heading = "Input and output"
    )]
    pub retry_failed: bool,
    /// As --retry-failed, for rows with these statuses instead of failed and pending
    ///
    /// Such as not_found,bad_number. Rows without a status, and rows whose number was corrected,
    /// are asked again too
    #[arg(
        long,
        value_name = "STATUS,...",
        env = "DINGMAP_RETRY",
        value_parser = status_parser(),
        value_delimiter = ',',
        help_heading = "Input and output"
    )]
    pub retry: Vec<Status>,
    /// Compare the results with the user ids in this column
    ///
    /// Appends a column `expected` with match, mismatch, rounded or missing. The cell is empty if
    /// the input has no user id or the answer is not definitive
    #[arg(
        long,
        value_name = "NAME|N|/REGEX/",
        env = "DINGMAP_EXPECT",
        help_heading = "Input and output"
    )]
    pub expect: Option<ColumnChoice>,
    #[command(flatten)]
    pub sharding: ShardArgs,
    #[command(flatten)]
    pub content: ContentArgs,
    #[command(flatten)]
    pub reader: ReaderArgs,
    /// Encoding of the output [default: that of the input]
    #[arg(
        long,
        value_name = "NAME",
        env = "DINGMAP_OUTPUT_ENCODING",
        help_heading = "File format"
    )]
    pub output_encoding: Option<Encoding>,
    /// Whether the output begins with a byte order mark [default: as the input]
    #[arg(
        long,
        value_name = "BOOL",
        env = "DINGMAP_OUTPUT_BOM",
        action = ArgAction::Set,
        help_heading = "File format"
    )]
    pub output_bom: Option<bool>,
    /// Append a column with the number as sent to the API
    #[arg(
        long,
        env = "DINGMAP_SHOW_SENT",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue,
        help_heading = "Input and output"
    )]
    pub show_sent: bool,
    /// Put an apostrophe before new cells that a spreadsheet would change: formulas, long ids
    ///
    /// Excel takes `-1` or `=1` for a formula, shows ids of 12 or more digits as 4.69E+15, and
    /// removes leading zeros. Other commands read such cells without the apostrophe
    #[arg(
        long,
        env = "DINGMAP_EXCEL_SAFE",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue,
        help_heading = "File format"
    )]
    pub excel_safe: bool,
    #[command(flatten)]
    pub numbers: NumberArgs,
    /// Write the output even if the run stops early; unresolved rows are pending
    #[arg(
        long,
        env = "DINGMAP_PARTIAL",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue,
        help_heading = "Input and output"
    )]
    pub partial: bool,

    #[command(flatten)]
    pub api: ApiArgs,
    /// Rehearse against a built-in emulated API
    ///
    /// Calls go over HTTP on this machine. No credentials are needed; people and ids are invented
    #[arg(
        long,
        env = "DINGMAP_SANDBOX",
        help_heading = None::<&str>,
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue
    )]
    pub sandbox: bool,
    /// File with the secret [or DINGTALK_APP_SECRET]
    ///
    /// A token in DINGTALK_ACCESS_TOKEN replaces key and secret
    #[arg(long, value_name = "FILE", env = "DINGMAP_APP_SECRET_FILE", help_heading = None::<&str>)]
    pub app_secret_file: Option<PathBuf>,

    #[command(flatten)]
    pub rate_limit: RateLimitArgs,
    /// Maximum number of calls in flight
    #[arg(
        short = 'j',
        long,
        value_name = "N",
        env = "DINGMAP_WORKERS",
        default_value_t = 16,
        value_parser = |text: &str| whole_number::parse::<u16>(text, 1..=1024),
        help_heading = "Calls"
    )]
    pub workers: u16,
    /// Maximum number of retries after transient failures
    #[arg(
        long,
        value_name = "N",
        env = "DINGMAP_MAX_RETRIES",
        default_value_t = 5,
        value_parser = |text: &str| whole_number::parse::<u32>(text, 0..=u32::MAX.into()),
        help_heading = "Retries and timeouts"
    )]
    pub max_retries: u32,
    /// Lower bound of the backoff between retries
    #[arg(
        long,
        value_name = "D",
        env = "DINGMAP_RETRY_MIN",
        default_value = "500ms",
        value_parser = parse_duration,
        help_heading = "Retries and timeouts"
    )]
    pub retry_min: Duration,
    /// Upper bound of the backoff between retries
    #[arg(
        long,
        value_name = "D",
        env = "DINGMAP_RETRY_MAX",
        default_value = "30s",
        value_parser = parse_duration,
        help_heading = "Retries and timeouts"
    )]
    pub retry_max: Duration,
    /// Total time that rate limits may pause the run
    #[arg(
        long,
        value_name = "D",
        env = "DINGMAP_PATIENCE",
        default_value = "15m",
        value_parser = parse_duration,
        help_heading = "Retries and timeouts"
    )]
    pub patience: Duration,
    /// Timeout of one attempt, from sending to the end of the reply
    #[arg(
        long,
        value_name = "D",
        env = "DINGMAP_TIMEOUT",
        default_value = "10s",
        value_parser = parse_timeout,
        help_heading = "Retries and timeouts"
    )]
    pub timeout: Duration,
    /// Timeout of connecting
    #[arg(
        long,
        value_name = "D",
        env = "DINGMAP_CONNECT_TIMEOUT",
        default_value = "5s",
        value_parser = parse_timeout,
        help_heading = "Retries and timeouts"
    )]
    pub connect_timeout: Duration,
    /// Run all checks, then wait until this time for the first call: 14:10,
    /// 2026-11-23T14:10:00+08:00, +15m
    #[arg(long, value_name = "TIME", env = "DINGMAP_START_AT", help_heading = "Calls")]
    pub start_at: Option<String>,
    /// Stop after N calls; remaining rows are pending
    #[arg(
        long,
        value_name = "N",
        env = "DINGMAP_MAX_CALLS",
        value_parser = |text: &str| whole_number::parse::<u64>(text, 0..=MAX_COUNT),
        help_heading = None::<&str>
    )]
    pub max_calls: Option<u64>,
    /// Count rows with this status as failed (exit status 4)
    #[arg(
        long,
        value_name = "STATUS",
        env = "DINGMAP_FAIL_ON",
        value_enum,
        help_heading = "Calls"
    )]
    pub fail_on: Option<FailOn>,

    #[command(flatten)]
    pub network: NetworkArgs,

    #[command(flatten)]
    pub state: StateArgs,

    #[command(flatten)]
    pub quota: QuotaArgs,

    #[command(flatten)]
    pub reports: ReportArgs,

    #[command(flatten)]
    pub messages: MessageArgs,
}

/// `dingmap plan`.
#[derive(Args, Debug)]
#[command(after_long_help = help::PLAN)]
pub struct PlanArgs {
    /// CSV (also .gz, .zst) or Excel workbook (.xlsx); - is standard input
    pub input: PathBuf,

    #[command(flatten)]
    pub sharding: ShardArgs,
    #[command(flatten)]
    pub content: ContentArgs,
    #[command(flatten)]
    pub reader: ReaderArgs,
    #[command(flatten)]
    pub numbers: NumberArgs,
    /// Print the plan as JSON
    #[arg(
        long,
        env = "DINGMAP_JSON",
        help_heading = None::<&str>,
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue
    )]
    pub json: bool,

    #[command(flatten)]
    pub api: ApiArgs,

    #[command(flatten)]
    pub rate_limit: RateLimitArgs,

    #[command(flatten)]
    pub state: StateArgs,

    #[command(flatten)]
    pub messages: MessageArgs,
}

/// `dingmap merge`.
#[derive(Args, Debug)]
#[command(after_long_help = help::MERGE)]
pub struct MergeArgs {
    /// Input of the sharded runs; - is standard input
    pub input: PathBuf,
    /// Outputs of the sharded runs, one for each shard, in any order
    #[arg(required = true, value_name = "SHARD")]
    pub shards: Vec<PathBuf>,

    /// Output [default: NAME.resolved.csv or .xlsx]
    ///
    /// The name says the format, as for resolve. The default is next to the input, in its own
    /// format; - is standard output
    #[arg(short, long, value_name = "FILE", env = "DINGMAP_OUTPUT", help_heading = None::<&str>)]
    pub output: Option<PathBuf>,
    /// Format of an output whose name does not say it
    ///
    /// Also changes the default name, as for resolve
    #[arg(
        long,
        value_name = "FORMAT",
        env = "DINGMAP_OUTPUT_FORMAT",
        value_enum,
        help_heading = "File format"
    )]
    pub output_format: Option<OutputFormat>,
    #[command(flatten)]
    pub reader: ReaderArgs,
    #[command(flatten)]
    pub numbers: NumberArgs,
    /// Encoding of the shards [default: that of the input]
    #[arg(
        long,
        value_name = "NAME",
        env = "DINGMAP_OUTPUT_ENCODING",
        help_heading = "File format"
    )]
    pub output_encoding: Option<Encoding>,

    #[command(flatten)]
    pub messages: MessageArgs,
}

/// `dingmap sandbox`.
#[derive(Args, Debug)]
#[command(after_long_help = help::SANDBOX)]
pub struct SandboxArgs {
    /// Port on 127.0.0.1; 0 is any free port
    #[arg(
        long,
        value_name = "N",
        env = "DINGMAP_PORT",
        value_parser = |text: &str| whole_number::parse::<u16>(text, 0..=u16::MAX.into()),
        default_value_t = 8600
    )]
    pub port: u16,
    /// Calls in any second above which it replies 90018; 0 is no limit
    #[arg(
        long,
        value_name = "N",
        env = "DINGMAP_LIMIT",
        value_parser = |text: &str| whole_number::parse::<u32>(text, 0..=u32::MAX.into()),
        default_value_t = 20
    )]
    pub limit: u32,
    /// Delay of each reply
    #[arg(
        long,
        value_name = "D",
        env = "DINGMAP_LATENCY",
        default_value = "0ms",
        value_parser = parse_duration
    )]
    pub latency: Duration,
    /// Lifetime of a token
    #[arg(
        long,
        value_name = "D",
        env = "DINGMAP_TOKEN_LIFETIME",
        default_value = "2h",
        value_parser = parse_timeout
    )]
    pub token_lifetime: Duration,
    /// Serve HTTPS, with a certificate made at startup; the output names the file for --ca-file
    #[arg(long, env = "DINGMAP_TLS")]
    pub tls: bool,
    /// Form of the user ids
    #[arg(long, value_name = "FORM", env = "DINGMAP_IDS", value_enum, default_value_t)]
    pub ids: IdChoice,
    #[command(flatten)]
    pub messages: MessageArgs,
}

/// Formats that `--output-format` can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Text in the dialect of the input
    Csv,
    /// A workbook
    Xlsx,
}

/// Forms of the sandbox's user ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum IdChoice {
    /// `u` and the last eight digits of the number
    #[default]
    Short,
    /// 17 to 19 digits, some with leading zeros, which a spreadsheet would round
    Numeric,
}

/// Definitive statuses that `--fail-on` can count as failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Rows with the status `not_found`.
    NotFound,
}

/// Parses a status by its name.
fn status_parser() -> impl TypedValueParser<Value = Status> {
    let names = Status::ALL.map(Status::name);
    PossibleValuesParser::new(names).try_map(|name| {
        let status = Status::ALL.into_iter().find(|status| status.name() == name);
        status.ok_or_else(|| name.clone())
    })
}

/// Parses a duration such as `500ms`, `30s` or `15m`, of at most 100 days.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let too_long = || tr!("at most 100 days");
    let duration = humantime::parse_duration(text).map_err(|error| match error {
        DurationError::NumberOverflow => too_long(),
        error => tr!(
            "{cause}; write a number and a unit, such as 500ms, 30s or 15m",
            cause = describe_duration_error(&error)
        ),
    })?;
    if duration > Duration::from_hours(2400) { Err(too_long()) } else { Ok(duration) }
}

/// Parses a duration above zero.
fn parse_timeout(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => {
            Err(tr!("must be more than zero; write a number and a unit, such as 10s"))
        }
        some => Ok(some),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_has_its_variable() {
        let cli = Cli::command();
        for command in
            cli.get_subcommands().flat_map(|command| command.get_subcommands().chain([command]))
        {
            for flag in command.get_arguments().filter(|arg| arg.get_long().is_some()) {
                let long = flag.get_long().unwrap();
                // DINGMAP_SHARED is set for runs; it must not change what `state` shows or deletes.
                if ["info", "forget"].contains(&command.get_name()) && long == "shared" {
                    assert_eq!(flag.get_env(), None);
                    continue;
                }
                let variable = format!("DINGMAP_{}", long.replace('-', "_").to_uppercase());
                let set = flag.get_env().and_then(|name| name.to_str());
                assert_eq!(set, Some(variable.as_str()), "{} --{long}", command.get_name());
            }
        }
    }

    #[test]
    fn the_debug_form_of_arguments_hides_the_proxy_password() {
        // A password in the flag is rejected only after parsing; in the variable, it is accepted.
        let cli = Cli::parse_from(["dingmap", "resolve", "i", "--proxy", "http://u:geheim@h:1"]);
        let Command::Resolve(args) = &cli.command else { panic!() };
        assert_eq!(args.network.proxy.as_ref().unwrap().expose_secret(), "http://u:geheim@h:1");
        assert!(!format!("{cli:?} {cli:#?}").contains("geheim"));
    }

    #[test]
    fn invalid_flag_values_are_rejected() {
        assert!(
            parse_duration("15m").is_ok()
                && parse_duration("15").is_err()
                && parse_duration("900d").is_err()
        );
        assert!(parse_timeout("0s").is_err());
    }
}
