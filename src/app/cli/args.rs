//! The command line as it is typed: flags, their environment variables, their help. Owns names, defaults and the
//! shape of values (DESIGN 1). Leaves reading it to `typed`, and what values mean together to `config`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use tr::tr;

use crate::app::cli::help;
use crate::app::cli::input_args::{ApiArgs, NumberArgs, RateLimitArgs, ReaderArgs, ShardArgs};
use crate::app::cli::shared_args::{
    DiffArgs, MessageArgs, NetworkArgs, QuotaArgs, ReportArgs, StateArgs, StateCommand,
    describe_duration_error,
};
use crate::app::i18n::language::Language;
use crate::table::detect::columns::ColumnChoice;
use crate::table::raw::encoding::Encoding;

/// Turns a CSV of mobile numbers into the same CSV with DingTalk user ids.
#[derive(Debug, Parser)]
#[command(name = "dingmap", version, about, after_help = help::TOP, after_long_help = help::for_program(), max_term_width = 110, disable_help_subcommand = true)]
pub struct Cli {
    /// The language of messages, help and reports [default: by LC_ALL, LC_MESSAGES, LANG]
    #[arg(long, value_enum, env = "DINGMAP_LANG", global = true, help_heading = "Messages")]
    pub lang: Option<Language>,
    /// A TOML file with defaults for the flags
    ///
    /// Its keys are the flags' long names, for all commands, under `[resolve]` and the like for one, and under `[profile.NAME]` for
    /// those who ask for that profile. A flag beats its variable, that a profile, that the rest of the file
    #[arg(long, value_name = "FILE", env = "DINGMAP_CONFIG", display_order = 100, global = true)]
    pub config: Option<PathBuf>,
    /// The profile in that file to use, by its name
    #[arg(
        long,
        value_name = "NAME",
        env = "DINGMAP_PROFILE",
        display_order = 100,
        hide_short_help = true,
        global = true
    )]
    pub profile: Option<String>,
    /// Tell each flag's value and where it comes from, and run nothing
    #[arg(long, env = "DINGMAP_PRINT_CONFIG", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue, global = true, help_heading = "Messages")]
    pub print_config: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Append user id and status to every row of a CSV
    Resolve(Box<ResolveArgs>),
    /// Tell what resolve would do and how long it takes; asks nobody
    ///
    /// What was detected, which rows are invalid, how many calls are needed; no network, no output, no secret
    Plan(Box<PlanArgs>),
    /// Compare two files that resolve wrote
    ///
    /// Who was added, removed, lost, or has another user id
    Diff(Box<DiffArgs>),
    /// Put the shards of a table together again
    ///
    /// What several runs of resolve with --shard wrote becomes the file that one run would have written
    Merge(Box<MergeArgs>),
    /// Serve the emulated API on loopback until stopped
    Sandbox(SandboxArgs),
    /// Look into the file in which answers are kept, or forget some
    #[command(subcommand, after_long_help = help::STATE)]
    State(Box<StateCommand>),
    /// Write completions for a shell to standard output
    #[command(after_long_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Write the manual in the form of man
    ///
    /// All of it goes to standard output, or a page for each command into a directory
    #[command(after_long_help = help::MAN)]
    Man {
        /// The directory of the pages: dingmap.1, dingmap-resolve.1 and so on
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
    /// A CSV (also .gz, .zst) or a workbook (.xlsx); - is standard input
    pub input: PathBuf,

    /// The CSV to write [default: NAME.resolved.csv]
    ///
    /// Without it the output stands beside the input; - is standard output
    #[arg(short, long, value_name = "FILE", env = "DINGMAP_OUTPUT", help_heading = None::<&str>)]
    pub output: Option<PathBuf>,
    /// Also write the rows that another try may answer
    ///
    /// They are written as they came in, as the input of that try; - is standard output
    #[arg(long, value_name = "FILE", env = "DINGMAP_FAILED", help_heading = None::<&str>)]
    pub failed: Option<PathBuf>,
    /// Ask only the failed and pending rows of a resolved file, in place
    ///
    /// The other rows stay as they are, to the byte; with --output the file itself does, too
    #[arg(long, env = "DINGMAP_RETRY_FAILED", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue, help_heading = "Input and output")]
    pub retry_failed: bool,
    /// Compare with the user ids in this column
    ///
    /// A column expected is appended: match, mismatch or missing, and nothing where no id is on file or no answer is definitive
    #[arg(
        long,
        value_name = "NAME|N|/REGEX/",
        env = "DINGMAP_EXPECT",
        help_heading = "Input and output"
    )]
    pub expect: Option<ColumnChoice>,
    /// Which of the rows
    #[command(flatten)]
    pub sharding: ShardArgs,
    /// How the input is read
    #[command(flatten)]
    pub reader: ReaderArgs,
    /// The encoding of the output [default: the input's]
    #[arg(
        long,
        value_name = "NAME",
        env = "DINGMAP_OUTPUT_ENCODING",
        help_heading = "Input and output"
    )]
    pub output_encoding: Option<Encoding>,
    /// Begin the output with a byte order mark, or not [default: as the input]
    #[arg(long, value_name = "BOOL", env = "DINGMAP_OUTPUT_BOM", action = ArgAction::Set, help_heading = "Input and output")]
    pub output_bom: Option<bool>,
    /// Append a column with the number as it went to the API
    #[arg(long, env = "DINGMAP_SHOW_SENT", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue, help_heading = "Input and output")]
    pub show_sent: bool,
    /// Put an apostrophe before new cells that a spreadsheet would take for formulas
    #[arg(long, env = "DINGMAP_EXCEL_SAFE", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue, help_heading = "Input and output")]
    pub excel_safe: bool,
    /// What counts as a number
    #[command(flatten)]
    pub numbers: NumberArgs,
    /// Write the output although the run stopped early, the open rows as pending
    #[arg(long, env = "DINGMAP_PARTIAL", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue, help_heading = "Input and output")]
    pub partial: bool,

    /// Whom the numbers are asked of
    #[command(flatten)]
    pub api: ApiArgs,
    /// Rehearse against a built-in emulation of the API
    ///
    /// Calls go over real HTTP on this machine; no credentials are needed, and people and ids are invented
    #[arg(long, env = "DINGMAP_SANDBOX", help_heading = None::<&str>, value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub sandbox: bool,
    /// A file with its secret [or DINGTALK_APP_SECRET]
    ///
    /// A token in DINGTALK_ACCESS_TOKEN stands in for key and secret
    #[arg(long, value_name = "FILE", env = "DINGMAP_APP_SECRET_FILE", help_heading = None::<&str>)]
    pub app_secret_file: Option<PathBuf>,

    /// How fast
    #[command(flatten)]
    pub rate_limit: RateLimitArgs,
    /// Calls in flight at most
    #[arg(short = 'j', long, value_name = "N", env = "DINGMAP_WORKERS", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = "Calls")]
    pub workers: u16,
    /// Extra attempts after transient failures
    #[arg(
        long,
        value_name = "N",
        env = "DINGMAP_MAX_RETRIES",
        default_value_t = 5,
        help_heading = "Calls"
    )]
    pub max_retries: u32,
    /// The shortest backoff
    #[arg(long, value_name = "D", env = "DINGMAP_RETRY_MIN", default_value = "500ms", value_parser = parse_duration, help_heading = "Calls")]
    pub retry_min: Duration,
    /// The longest backoff
    #[arg(long, value_name = "D", env = "DINGMAP_RETRY_MAX", default_value = "30s", value_parser = parse_duration, help_heading = "Calls")]
    pub retry_max: Duration,
    /// How long throttling may hold the run in total
    #[arg(long, value_name = "D", env = "DINGMAP_PATIENCE", default_value = "15m", value_parser = parse_duration, help_heading = "Calls")]
    pub patience: Duration,
    /// One attempt, from its turn to the end of the reply
    #[arg(long, value_name = "D", env = "DINGMAP_TIMEOUT", default_value = "10s", value_parser = parse_timeout, help_heading = "Calls")]
    pub timeout: Duration,
    /// The connection alone
    #[arg(long, value_name = "D", env = "DINGMAP_CONNECT_TIMEOUT", default_value = "5s", value_parser = parse_timeout, help_heading = "Calls")]
    pub connect_timeout: Duration,
    /// Make the first call at this moment, when everything has been checked: 14:10, 2026-11-23T14:10:00+08:00, +15m
    #[arg(long, value_name = "TIME", env = "DINGMAP_START_AT", help_heading = "Calls")]
    pub start_at: Option<String>,
    /// Stop after so many calls, the rest pending
    #[arg(long, value_name = "N", env = "DINGMAP_MAX_CALLS", help_heading = None::<&str>)]
    pub max_calls: Option<u64>,
    /// Count these rows as failed in the exit status
    #[arg(
        long,
        value_name = "STATUS",
        env = "DINGMAP_FAIL_ON",
        value_enum,
        help_heading = "Calls"
    )]
    pub fail_on: Option<FailOn>,

    /// The way to the API
    #[command(flatten)]
    pub network: NetworkArgs,

    /// Where answers are kept
    #[command(flatten)]
    pub state: StateArgs,

    /// What runs on several hosts share
    #[command(flatten)]
    pub quota: QuotaArgs,

    /// What to leave beside the output
    #[command(flatten)]
    pub reports: ReportArgs,

    /// What to show on standard error
    #[command(flatten)]
    pub messages: MessageArgs,
}

/// `dingmap plan`.
#[derive(Args, Debug)]
#[command(after_long_help = help::PLAN)]
pub struct PlanArgs {
    /// A CSV (also .gz, .zst) or a workbook (.xlsx); - is standard input
    pub input: PathBuf,

    /// Which of the rows
    #[command(flatten)]
    pub sharding: ShardArgs,
    /// How the input is read
    #[command(flatten)]
    pub reader: ReaderArgs,
    /// What counts as a number
    #[command(flatten)]
    pub numbers: NumberArgs,
    /// Give the plan as JSON, for programs
    #[arg(long, env = "DINGMAP_JSON", help_heading = None::<&str>, value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub json: bool,

    /// Whom the numbers would be asked of
    #[command(flatten)]
    pub api: ApiArgs,

    /// How fast
    #[command(flatten)]
    pub rate_limit: RateLimitArgs,

    /// Where answers are kept
    #[command(flatten)]
    pub state: StateArgs,

    /// What to show on standard error
    #[command(flatten)]
    pub messages: MessageArgs,
}

/// `dingmap merge`.
#[derive(Args, Debug)]
#[command(after_long_help = help::MERGE)]
pub struct MergeArgs {
    /// The table that the runs took their rows from; - is standard input
    pub input: PathBuf,
    /// What they wrote, a file for each shard, in any order
    #[arg(required = true, value_name = "SHARD")]
    pub shards: Vec<PathBuf>,

    /// The CSV to write [default: NAME.resolved.csv]
    ///
    /// Without it the output stands beside the input; - is standard output
    #[arg(short, long, value_name = "FILE", env = "DINGMAP_OUTPUT", help_heading = None::<&str>)]
    pub output: Option<PathBuf>,
    /// How the input is read
    #[command(flatten)]
    pub reader: ReaderArgs,
    /// What counts as a number
    #[command(flatten)]
    pub numbers: NumberArgs,
    /// The encoding of the shards [default: the input's]
    #[arg(
        long,
        value_name = "NAME",
        env = "DINGMAP_OUTPUT_ENCODING",
        help_heading = "Input and output"
    )]
    pub output_encoding: Option<Encoding>,

    /// What to show on standard error
    #[command(flatten)]
    pub messages: MessageArgs,
}

/// `dingmap sandbox`.
#[derive(Args, Debug)]
#[command(after_long_help = help::SANDBOX)]
pub struct SandboxArgs {
    /// The port on 127.0.0.1; 0 is any free one
    #[arg(long, value_name = "N", env = "DINGMAP_PORT", default_value_t = 8600)]
    pub port: u16,
    /// Calls in any second above which it answers 90018; 0 is no limit
    #[arg(long, value_name = "N", env = "DINGMAP_LIMIT", default_value_t = 20)]
    pub limit: u32,
    /// How long each reply takes
    #[arg(long, value_name = "D", env = "DINGMAP_LATENCY", default_value = "0ms", value_parser = parse_duration)]
    pub latency: Duration,
    /// How long a token is valid
    #[arg(long, value_name = "D", env = "DINGMAP_TOKEN_LIFETIME", default_value = "2h", value_parser = parse_timeout)]
    pub token_lifetime: Duration,
    /// Serve HTTPS, with a certificate made at startup; the output names the file for --ca-file
    #[arg(long, env = "DINGMAP_TLS")]
    pub tls: bool,
    /// What to show on standard error
    #[command(flatten)]
    pub messages: MessageArgs,
}

/// Definitive answers that a job may want to hear about by the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Rows with the status `not_found`.
    NotFound,
}

/// A duration such as `500ms`, `30s` or `15m`, up to a hundred days.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| {
        tr!(
            "{cause}; write a number and a unit, such as 500ms, 30s or 15m",
            cause = describe_duration_error(&error)
        )
    })?;
    if duration > Duration::from_hours(2400) { Err(tr!("at most 100 days")) } else { Ok(duration) }
}

/// A duration above zero.
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
                // Where runs meet is set for them; what is told or forgotten is not to follow from that.
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
        // On the command line it is refused, which is checked behind the parser; a variable takes the same way through it.
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
