//! From flags as typed to each floor's own options: what values mean together, defaults that depend on each other,
//! credentials from the environment. Every error here is the user's to mend before anything runs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use tr::tr;
use url::Url;

use crate::api::http;
use crate::api::token::Credentials;
use crate::app::cli::args::{MergeArgs, ResolveArgs};
use crate::app::cli::input_args::{ApiArgs, MainlandChoice, NumberArgs, OnOff, ReaderArgs};
use crate::app::cli::network;
use crate::app::cli::secret_file;
use crate::app::exit::{Exit, Failure};
use crate::domain::number::mobile;
use crate::domain::shard::Shard;
use crate::engine::backoff::RetryPolicy;
use crate::engine::io::row_format::RowOptions;
use crate::engine::limits::RunLimits;
use crate::sandbox::script::Script;
use crate::table::detect::layout::SourceOptions;
use crate::table::prescan::Prescan;
use crate::table::raw::encoding::Encoding;
use crate::table::write::sink::SinkOptions;

/// Where the API is and how to be let in.
#[derive(Debug)]
pub(crate) struct ApiConfig {
    /// The host of the calls.
    pub endpoint: Url,
    /// What to show the host.
    pub credentials: Credentials,
    /// The app's key, where it is known.
    pub app_key: Option<String>,
    /// How connections to it are made.
    pub http_settings: http::HttpSettings,
    /// What the user should hear about all this.
    pub warnings: Vec<String>,
}

/// Where the API is, and the credentials from flags and environment.
///
/// # Errors
/// Usage (2) for an endpoint that cannot be meant; denied (5) where there are no credentials.
pub(crate) fn api_config(
    args: &ResolveArgs,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<ApiConfig, Failure> {
    let endpoint = network::parse_endpoint(&args.api.endpoint, args.network.insecure_http)?;
    let connections = network::http_settings(args, &endpoint, &variable)?;
    let mut remarks = Vec::new();
    let key = app_key(&args.api, &variable)?;
    let secret = match &args.app_secret_file {
        Some(path) => {
            remarks.extend(secret_file::permissions_warning("--app-secret-file", path));
            Some(secret_file::read_secret("--app-secret-file", path)?)
        }
        None => env_text(&variable, "DINGTALK_APP_SECRET")?,
    };
    let token = access_token_from_env(&variable)?;
    if key.is_some() && secret.is_some() && token.is_some() {
        remarks.push(tr!(
            "using the app key and secret, which can renew a token; DINGTALK_ACCESS_TOKEN is not used"
        ));
    }
    let app = key.clone();
    let credentials = match (key, secret, token) {
        (Some(key), Some(secret), _) => Credentials::App { key, secret: secret.into() },
        (_, _, Some(token)) => Credentials::Token(SecretString::from(token)),
        (Some(_), None, None) => {
            return Err(Failure::with_message(
                Exit::AccessDenied,
                tr!(
                    "there is an app key but no secret: set DINGTALK_APP_SECRET, or name a file with --app-secret-file"
                ),
            ));
        }
        (None, Some(_), None) => {
            return Err(Failure::with_message(
                Exit::AccessDenied,
                tr!("there is an app secret but no key: set DINGTALK_APP_KEY, or give --app-key"),
            ));
        }
        (None, None, None) => {
            return Err(Failure::with_message(
                Exit::AccessDenied,
                tr!(
                    "no credentials: set DINGTALK_APP_KEY and DINGTALK_APP_SECRET (or DINGTALK_ACCESS_TOKEN), or rehearse with --sandbox, which needs none"
                ),
            ));
        }
    };
    Ok(ApiConfig {
        endpoint,
        credentials,
        app_key: app,
        http_settings: connections,
        warnings: remarks,
    })
}

/// The app's key, from its flag or the environment.
///
/// # Errors
/// Usage (2) for a variable that is not text.
pub(crate) fn app_key(
    directory: &ApiArgs,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, Failure> {
    match &directory.app_key {
        Some(key) => Ok(Some(key.trim().to_owned()).filter(|key| !key.is_empty())),
        None => env_text(variable, "DINGTALK_APP_KEY"),
    }
}

/// The token that the environment has.
///
/// # Errors
/// Usage (2) for a variable that is not text.
pub(crate) fn access_token_from_env(
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, Failure> {
    env_text(variable, "DINGTALK_ACCESS_TOKEN")
}

fn env_text(
    variable: impl Fn(&str) -> Option<OsString>,
    name: &str,
) -> Result<Option<String>, Failure> {
    match variable(name).map(OsString::into_string) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Some(Err(_)) => {
            Err(Failure::with_message(Exit::Usage, tr!("{name} is not valid text", name)))
        }
    }
}

/// The built-in emulation's address, and the key that it takes. No credentials of the user's are touched.
///
/// # Errors
/// Unexpected (1) where the address is no URL.
pub(crate) fn sandbox_config(
    args: &ResolveArgs,
    endpoint: &str,
    script: &Script,
) -> Result<ApiConfig, Failure> {
    let endpoint = Url::parse(endpoint).map_err(|error| Failure::from_error(Exit::Error, error))?;
    let credentials =
        Credentials::App { key: script.app_key.clone(), secret: script.app_secret.clone().into() };
    let connections = network::direct_settings(args);
    Ok(ApiConfig {
        endpoint,
        credentials,
        app_key: None,
        http_settings: connections,
        warnings: Vec::new(),
    })
}

/// How the input is read, where this is wanted of its rows.
#[must_use]
pub(crate) fn reader_options(args: &ReaderArgs, wanted: &RowOptions) -> SourceOptions {
    SourceOptions {
        encoding: args.encoding,
        read_sample_first: false,
        lossy: args.lossy_cells,
        skip_lines: args.skip_lines,
        flexible: args.flexible,
        has_answers: wanted.has_answers,
        delimiter: args.delimiter,
        has_headers: args.no_headers.then_some(false),
        columns: args.column.clone(),
        extra_columns: wanted.extra_columns(),
        optional_columns: wanted.optional_columns(),
    }
}

/// What is wanted of the rows beside the usual five cells.
///
/// # Errors
/// Usage (2) for flags that do not go with a table that has answers already.
pub(crate) fn output_columns(args: &ResolveArgs) -> Result<RowOptions, Failure> {
    if args.retry_failed && args.reader.no_headers {
        let text = tr!(
            "--retry-failed finds the answers by the names of their columns, and --no-headers says that there are none: put a line with the names above the first row, and leave --no-headers out"
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    if args.retry_failed && args.reader.flexible {
        let text = tr!(
            "--retry-failed needs every answer below the names of its columns, and --flexible lets rows be longer: leave --flexible out, or resolve what --failed wrote"
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    if args.retry_failed && args.sharding.shard.is_some() {
        let text = tr!(
            "--retry-failed rewrites a whole table, and --shard takes a part of its rows: leave --shard out; a shard that was resolved is a table of its own"
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    Ok(RowOptions {
        has_matched: args.reader.column.len() > 1,
        has_sent: args.show_sent,
        mainland: mainland_format(&args.api),
        expected_column: args.expect.clone(),
        has_answers: args.retry_failed,
        shard: args.sharding.shard,
    })
}

/// The fewest bytes that a row's new cells take: `,u,,found,0,`.
const MIN_APPENDED_BYTES: u64 = 12;

/// How the output is written, where the input is in the encoding `read` and holds what the survey, if there was one, says.
///
/// # Errors
/// Usage (2) for a byte order mark in an encoding that has none, and for bytes that are to be kept and converted.
pub(crate) fn output_style(
    args: &ResolveArgs,
    read: Encoding,
    survey: Option<&Prescan>,
) -> Result<SinkOptions, Failure> {
    let encoding = args.output_encoding.unwrap_or(read);
    if args.reader.lossy_cells && encoding != read {
        let text = tr!(
            "--lossy-cells keeps bytes that are not {read}, and --output-encoding would have to turn them into {encoding}: leave one of them out",
            read,
            encoding
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    if args.output_bom == Some(true) && encoding.bom().is_empty() {
        let text = tr!(
            "--output-bom: {encoding} has no byte order mark; choose another --output-encoding, or leave it out",
            encoding
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    let least = survey.map_or(0, |survey| {
        let own = if encoding == read { survey.bytes } else { 0 };
        own + if args.retry_failed { 0 } else { survey.rows * MIN_APPENDED_BYTES }
    });
    Ok(SinkOptions {
        encoding: Some(encoding),
        write_bom: args.output_bom,
        excel_safe: args.excel_safe,
        min_bytes: least,
        ..SinkOptions::default()
    })
}

/// What bounds the run. The window is wide enough for one slow reply not to starve the workers (DESIGN 7).
///
/// # Errors
/// Usage (2) for backoff bounds that contradict each other.
pub(crate) fn run_limits(args: &ResolveArgs, seed: u64) -> Result<RunLimits, Failure> {
    if args.retry_min > args.retry_max {
        return Err(Failure::with_message(
            Exit::Usage,
            tr!("--retry-min is longer than --retry-max: lower the one, or raise the other"),
        ));
    }
    let workers = usize::from(args.workers);
    Ok(RunLimits {
        workers,
        window: 1024.max(16 * workers),
        retry_policy: RetryPolicy {
            max_retries: args.max_retries,
            min_delay: args.retry_min,
            max_delay: args.retry_max,
        },
        patience: args.patience,
        max_calls: args.max_calls,
        partial: args.partial,
        read_to_end: true,
        seed,
        wall_clock: jiff::Timestamp::now,
    })
}

/// What counts as a mobile number.
#[must_use]
pub fn number_rules(args: &NumberArgs) -> mobile::NumberRules {
    mobile::NumberRules { default_region: args.region, strict: args.strict_numbers == OnOff::On }
}

/// How mainland numbers are sent.
#[must_use]
pub fn mainland_format(args: &ApiArgs) -> mobile::MainlandFormat {
    match args.mainland {
        MainlandChoice::Plain => mobile::MainlandFormat::Plain,
        MainlandChoice::Prefixed => mobile::MainlandFormat::Prefixed,
    }
}

/// Where the output goes: `-`, or a file. Without a flag that is the input's place where it has answers already, else that of
/// [`resolved`].
#[must_use]
pub(crate) fn output_path(args: &ResolveArgs) -> PathBuf {
    if let Some(output) = &args.output {
        return output.clone();
    }
    if args.retry_failed {
        return args.input.clone();
    }
    default_output_path(&args.input, args.sharding.shard)
}

/// Where a whole table of shards goes.
#[must_use]
pub(crate) fn merge_output_path(args: &MergeArgs) -> PathBuf {
    args.output.clone().unwrap_or_else(|| default_output_path(&args.input, None))
}

/// Where the rows of an input go, all of them or those of a shard, where nobody says otherwise: a file beside it, under its name
/// without what it is packed in, or standard output where the input is standard input.
#[must_use]
pub(crate) fn default_output_path(input: &Path, shard: Option<Shard>) -> PathBuf {
    if input == Path::new("-") {
        return PathBuf::from("-");
    }
    let packed = input
        .extension()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("gz") || kind.eq_ignore_ascii_case("zst"));
    // The output is not packed, so its name does not say so.
    let bare = if packed { input.with_extension("") } else { input.to_owned() };
    let mut name = bare.file_stem().unwrap_or(bare.as_os_str()).to_owned();
    name.push(".resolved");
    if let Some(shard) = shard {
        name.push(".");
        name.push(shard.to_file_label());
    }
    name.push(".csv");
    input.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::app::cli::args::{Cli, Command};

    fn args(rest: &[&str]) -> ResolveArgs {
        let Command::Resolve(args) =
            Cli::parse_from(["dingmap", "resolve"].iter().chain(rest)).command
        else {
            panic!()
        };
        *args
    }

    fn tried(rest: &[&str], variables: &[(&str, &str)]) -> Result<ApiConfig, Failure> {
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        };
        api_config(&args(rest), find)
    }

    #[test]
    fn credentials_are_read_from_every_source() {
        let app = [("DINGTALK_APP_KEY", "k"), ("DINGTALK_APP_SECRET", "s\n")];
        assert!(
            matches!(tried(&["i"], &app).unwrap().credentials, Credentials::App { key, .. } if key == "k")
        );
        let token = [("DINGTALK_ACCESS_TOKEN", "t")];
        assert!(matches!(tried(&["i"], &token).unwrap().credentials, Credentials::Token(_)));
        let both = [app[0], app[1], token[0]];
        assert_eq!(tried(&["i"], &both).unwrap().warnings.len(), 1);
        for variables in [&[][..], &app[..1], &app[1..], &[("DINGTALK_ACCESS_TOKEN", " ")]] {
            assert_eq!(
                tried(&["i"], variables).unwrap_err().exit,
                Exit::AccessDenied,
                "{variables:?}"
            );
        }
        assert_eq!(
            tried(&["i", "--app-secret-file", "/nowhere"], &app).unwrap_err().exit,
            Exit::Usage
        );
    }

    #[test]
    fn the_default_output_is_next_to_the_input() {
        for (input, expected) in [
            ("a/staff.csv", "a/staff.resolved.csv"),
            ("staff", "staff.resolved.csv"),
            ("-", "-"),
            ("a.b.tsv", "a.b.resolved.csv"),
            ("a/staff.csv.gz", "a/staff.resolved.csv"),
            ("staff.ZST", "staff.resolved.csv"),
            (".gz", ".gz.resolved.csv"),
            ("a.xlsx", "a.resolved.csv"),
        ] {
            assert_eq!(output_path(&args(&[input])), Path::new(expected));
            let shard = expected.replace(".resolved", ".resolved.1-of-3");
            assert_eq!(output_path(&args(&[input, "--shard", "1/3"])), Path::new(&shard));
        }
        assert_eq!(output_path(&args(&["-", "-o", "x"])), Path::new("x"));
    }

    #[test]
    fn contradictory_limits_are_rejected() {
        assert!(run_limits(&args(&["i", "--retry-min", "2s", "--retry-max", "1s"]), 0).is_err());
        let bounds = run_limits(&args(&["i", "-j", "100"]), 0).unwrap();
        assert_eq!((bounds.workers, bounds.window), (100, 1600));
    }
}
