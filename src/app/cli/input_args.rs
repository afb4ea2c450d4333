//! Flags that say what is read, and what is asked of whom and how fast: shared by the commands that take an input with
//! numbers. Owns their names and defaults (DESIGN 1). Leaves what values mean together to `config`.

use std::ffi::OsStr;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};

use crate::api::rate::Rate;
use crate::domain::number::mobile::DefaultRegion;
use crate::domain::shard::Shard;
use crate::table::detect::columns::ColumnChoice;
use crate::table::detect::dialect::parse_delimiter;
use crate::table::raw::encoding::Encoding;

/// How an input is read.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Input and output")]
pub struct ReaderArgs {
    /// The column with the numbers [default: detected]
    ///
    /// It is named by its header, by its position from 1, or by a regular expression that fits one header. Where several are
    /// given (in the variable on a line each), the next one is tried for rows whose number before is invalid or not found
    #[arg(short, long, value_name = "NAME|N|/RE/", env = "DINGMAP_COLUMN", help_heading = None::<&str>)]
    pub column: Vec<ColumnChoice>,
    /// The first row is data, not a header [default: detected]
    #[arg(short, long, env = "DINGMAP_NO_HEADERS", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub no_headers: bool,
    /// The delimiter: a character, or tab [default: detected]
    #[arg(short, long, value_name = "C", env = "DINGMAP_DELIMITER", value_parser = parse_delimiter)]
    pub delimiter: Option<u8>,
    /// The sheet of a workbook [default: the first]
    ///
    /// It is named by its name or its number from 1; by default it is the first visible one with rows
    #[arg(long, value_name = "NAME|N", env = "DINGMAP_SHEET", help_heading = None::<&str>)]
    pub sheet: Option<String>,
    /// The encoding: utf-8, utf-16le, utf-16be, gb18030, big5, shift-jis, windows-1252 [default: detected]
    #[arg(short, long, value_name = "NAME", env = "DINGMAP_ENCODING")]
    pub encoding: Option<Encoding>,
    /// Let cells with bytes that are not in the encoding pass through as they are
    #[arg(long, env = "DINGMAP_LOSSY_CELLS", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub lossy_cells: bool,
    /// Keep so many lines above the header as they are: titles, comments
    #[arg(long, value_name = "N", env = "DINGMAP_SKIP_LINES", default_value_t = 0)]
    pub skip_lines: u64,
    /// Keep rows with more cells than the header whole, with the new cells behind theirs
    #[arg(long, env = "DINGMAP_FLEXIBLE", value_parser = BoolishValueParser::new(), action = ArgAction::SetTrue)]
    pub flexible: bool,
}

/// Which of the rows are taken.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Input and output")]
pub struct ShardArgs {
    /// Take a part of the rows: shard K of N, counted from 0, such as 0/4
    ///
    /// Every row of a number falls to the same shard, in every run. N alone takes K from the environment, where an indexed Job of
    /// Kubernetes sets it. The output has this shard's rows alone, and `dingmap merge` puts the shards together
    #[arg(long, value_name = "K/N", env = "DINGMAP_SHARD", value_parser = parse_shard)]
    pub shard: Option<Shard>,
}

/// What counts as a number.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Input and output")]
pub struct NumberArgs {
    /// The region of numbers without a country code
    #[arg(long, value_name = "CC", env = "DINGMAP_REGION", default_value = "CN")]
    pub region: DefaultRegion,
    /// Whether a number must be in a range that its country gives to mobiles; off: the right length is enough
    #[arg(long, env = "DINGMAP_STRICT_NUMBERS", value_enum, default_value_t = OnOff::On)]
    pub strict_numbers: OnOff,
}

/// Whom numbers are asked of, and how: what keeps the answers of one directory apart from those of another.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "DingTalk")]
pub struct ApiArgs {
    /// The API
    ///
    /// Organisations of the edition for China have <https://oapi.dingtalk.com>
    #[arg(long, value_name = "URL", env = "DINGMAP_ENDPOINT", help_heading = None::<&str>, default_value = "https://oapi.dingtalk.io")]
    pub endpoint: String,
    /// The app's key [or DINGTALK_APP_KEY]
    #[arg(long, value_name = "KEY", env = "DINGMAP_APP_KEY", help_heading = None::<&str>, hide_env_values = true)]
    pub app_key: Option<String>,
    /// How mainland numbers are sent
    #[arg(long, env = "DINGMAP_MAINLAND", value_enum, default_value_t = MainlandChoice::Plain)]
    pub mainland: MainlandChoice,
    /// Also find exclusive accounts that this organisation created
    #[arg(long, value_name = "BOOL", env = "DINGMAP_EXCLUSIVE_ACCOUNTS", default_value_t = true, action = ArgAction::Set)]
    pub exclusive_accounts: bool,
}

/// How fast numbers are asked.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Calls")]
pub struct RateLimitArgs {
    /// Calls a second; also as 900/m
    ///
    /// Fractions are allowed, and so is unlimited; retries count. 20 is the limit of the standard edition; other programs that use the same app share it
    #[arg(short, long, value_name = "N", env = "DINGMAP_RATE", help_heading = None::<&str>, default_value = "20")]
    pub rate: Rate,
}

/// A shard, of which the environment may say the number.
fn parse_shard(text: &str) -> Result<Shard, String> {
    let index = std::env::var_os("JOB_COMPLETION_INDEX");
    Shard::parse(text, index.as_deref().and_then(OsStr::to_str))
}

/// A rule that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// It holds.
    On,
    /// It does not.
    Off,
}

/// How mainland numbers are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MainlandChoice {
    /// Eleven digits.
    Plain,
    /// +86- and eleven digits, for organisations registered abroad.
    Prefixed,
}
