//! Flags of the commands that read an input with numbers: file format, numbers, API, rate.

use std::ffi::OsStr;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};

use crate::api::rate::Rate;
use crate::app::cli::whole_number::{self, MAX_COUNT};
use crate::domain::number::mobile::DefaultRegion;
use crate::domain::shard::Shard;
use crate::table::detect::columns::ColumnChoice;
use crate::table::detect::country_column::CountryChoice;
use crate::table::detect::dialect::parse_delimiter;
use crate::table::raw::encoding::Encoding;

/// How to read the input.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "File format")]
pub struct ReaderArgs {
    /// Column with the numbers [default: detected]
    ///
    /// By header, by position from 1, or by a regular expression that matches one header. If
    /// several columns are given (one per line in the variable), the next one is tried for rows
    /// whose previous number is invalid or not found
    #[arg(
        short,
        long,
        value_name = "NAME|N|/RE/",
        env = "DINGMAP_COLUMN",
        help_heading = None::<&str>
    )]
    pub column: Vec<ColumnChoice>,
    /// Column with the country or calling code of the numbers, or none [default: detected]
    ///
    /// By header or by position from 1. A cell has a calling code (49, +49), a code of ISO 3166
    /// (DE) or a name; the number is then a number of that country. If it is blank, --region
    /// applies. With none, --region applies to all numbers without a country code
    #[arg(long, value_name = "NAME|N|none", env = "DINGMAP_COUNTRY_COLUMN")]
    pub country_column: Option<CountryChoice>,
    /// The first row is data, not a header [default: detected]
    #[arg(
        short,
        long,
        env = "DINGMAP_NO_HEADERS",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue
    )]
    pub no_headers: bool,
    /// Delimiter: a character, or tab [default: detected]
    #[arg(short, long, value_name = "C", env = "DINGMAP_DELIMITER", value_parser = parse_delimiter)]
    pub delimiter: Option<char>,
    /// Sheet of a workbook [default: detected]
    ///
    /// By name or by number from 1. The default is the first visible sheet with a column of numbers
    #[arg(long, value_name = "NAME|N", env = "DINGMAP_SHEET", help_heading = None::<&str>)]
    pub sheet: Option<String>,
    /// Encoding: utf-8, utf-16le, utf-16be, gb18030, big5, shift-jis, windows-1252 [default:
    /// detected]
    #[arg(short, long, value_name = "NAME", env = "DINGMAP_ENCODING")]
    pub encoding: Option<Encoding>,
    /// Pass through cells with bytes that are invalid in the encoding
    #[arg(
        long,
        env = "DINGMAP_LOSSY_CELLS",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue
    )]
    pub lossy_cells: bool,
    /// Keep N lines above the header unchanged: titles, comments [default: detected]
    #[arg(
        long,
        value_name = "N",
        env = "DINGMAP_SKIP_LINES",
        value_parser = |text: &str| whole_number::parse::<u64>(text, 0..=MAX_COUNT)
    )]
    pub skip_lines: Option<u64>,
    /// Keep rows with more cells than the header; the new cells follow the extra ones
    #[arg(
        long,
        env = "DINGMAP_FLEXIBLE",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue
    )]
    pub flexible: bool,
}

/// Which rows to process.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Input and output")]
pub struct ShardArgs {
    /// Process only shard K of N, counted from 0, such as 0/4
    ///
    /// All rows of a number belong to the same shard, in every run. N alone takes K from
    /// JOB_COMPLETION_INDEX, which an indexed Job of Kubernetes sets. The output has only the rows
    /// of this shard; `dingmap merge` merges the shards
    #[arg(long, value_name = "K/N", env = "DINGMAP_SHARD", value_parser = parse_shard)]
    pub shard: Option<Shard>,
}

/// What the input must contain.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Input and output")]
pub struct ContentArgs {
    /// Accept an input without rows
    ///
    /// Otherwise an empty input, or one with only a header, ends with exit status 3, and no output
    /// is replaced
    #[arg(
        long,
        env = "DINGMAP_ALLOW_EMPTY",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::SetTrue
    )]
    pub allow_empty: bool,
}

/// Which cells are valid numbers.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Numbers")]
pub struct NumberArgs {
    /// Region of numbers without a country code
    #[arg(long, value_name = "CC", env = "DINGMAP_REGION", default_value = "CN")]
    pub region: DefaultRegion,
    /// Whether a number must be in a mobile range of its country; off: the right length is enough
    #[arg(long, env = "DINGMAP_STRICT_NUMBERS", value_enum, default_value_t = OnOff::On)]
    pub strict_numbers: OnOff,
}

/// The endpoint and the app to ask, and how. Answers for different values are kept apart.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "DingTalk")]
pub struct ApiArgs {
    /// API URL
    ///
    /// Organizations of the edition for China use <https://oapi.dingtalk.com>
    #[arg(
        long,
        value_name = "URL",
        env = "DINGMAP_ENDPOINT",
        help_heading = None::<&str>,
        default_value = "https://oapi.dingtalk.io"
    )]
    pub endpoint: String,
    /// Key of the app [or DINGTALK_APP_KEY]
    #[arg(
        long,
        value_name = "KEY",
        env = "DINGMAP_APP_KEY",
        help_heading = None::<&str>,
        hide_env_values = true
    )]
    pub app_key: Option<String>,
    /// How to send mainland numbers
    #[arg(long, env = "DINGMAP_MAINLAND", value_enum, default_value_t = MainlandChoice::Plain)]
    pub mainland: MainlandChoice,
    /// Also find exclusive accounts that this organization created
    #[arg(
        long,
        value_name = "BOOL",
        env = "DINGMAP_EXCLUSIVE_ACCOUNTS",
        default_value_t = true,
        action = ArgAction::Set
    )]
    pub exclusive_accounts: bool,
}

/// The rate of calls.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Calls")]
pub struct RateLimitArgs {
    /// Calls per second; also as 900/m
    ///
    /// Fractions and unlimited are allowed. Retries count. 20 is the limit of the standard edition;
    /// other programs that use the same app share it
    #[arg(
        short,
        long,
        value_name = "N",
        env = "DINGMAP_RATE",
        help_heading = None::<&str>,
        default_value = "20"
    )]
    pub rate: Rate,
}

/// Parses a shard; K may come from `JOB_COMPLETION_INDEX`.
fn parse_shard(text: &str) -> Result<Shard, String> {
    let index = std::env::var_os("JOB_COMPLETION_INDEX");
    Shard::parse(text, index.as_deref().and_then(OsStr::to_str))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnOff {
    /// Required.
    On,
    /// Not required.
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MainlandChoice {
    /// 11 digits.
    Plain,
    /// +86- and 11 digits, for organizations registered abroad.
    Prefixed,
}
