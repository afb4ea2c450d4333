//! Converts flags to the options of the other modules: defaults that depend on each other,
//! credentials from the environment, and flags that exclude each other. Errors are reported before
//! anything runs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use tr::tr;
use url::Url;

use crate::api::http;
use crate::api::token::Credentials;
use crate::app::cli::args::{MergeArgs, ResolveArgs};
use crate::app::cli::env;
use crate::app::cli::input_args::{ApiArgs, MainlandChoice, NumberArgs, OnOff, ReaderArgs};
use crate::app::cli::network;
use crate::app::cli::output_format::{InputKind, default_output_path};
use crate::app::cli::secret_file;
use crate::app::exit::{Exit, Failure};
use crate::clock;
use crate::domain::number::mobile;
use crate::engine::backoff::RetryPolicy;
use crate::engine::io::row_format::RowOptions;
use crate::engine::limits::RunLimits;
use crate::sandbox::script::Script;
use crate::table::detect::dialect::Dialect;
use crate::table::detect::layout::SourceOptions;
use crate::table::prescan::Prescan;
use crate::table::raw::row_numbers::RowNumbers;
use crate::table::write::format::TableFormat;
use crate::table::write::sink::SinkOptions;

/// Endpoint, credentials and connection settings.
#[derive(Debug)]
pub(crate) struct ApiConfig {
    pub endpoint: Url,
    pub credentials: Credentials,
    /// The app's key, if known.
    pub app_key: Option<String>,
    pub http_settings: http::HttpSettings,
    /// Warnings to show.
    pub warnings: Vec<String>,
}

/// Endpoint and credentials, from flags and environment.
///
/// # Errors
/// 2 for an invalid endpoint or proxy; 5 if credentials are missing.
pub(crate) fn api_config(
    args: &ResolveArgs,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<ApiConfig, Failure> {
    let endpoint = network::parse_endpoint(&args.api.endpoint, args.network.insecure_http)?;
    let http_settings = network::http_settings(args, &endpoint, &variable)?;
    let mut warnings = Vec::new();
    let key = app_key(&args.api, &variable)?;
    let secret = match &args.app_secret_file {
        Some(path) => {
            warnings.extend(secret_file::permissions_warning("--app-secret-file", path));
            Some(secret_file::read_secret("--app-secret-file", path)?)
        }
        None => env_credential(&variable, env::APP_SECRET_VARS)?,
    };
    let token = access_token_from_env(&variable)?;
    if key.is_some() && secret.is_some() && token.is_some() {
        warnings.push(tr!(
            "using the app key and secret, which can renew the token; DINGTALK_ACCESS_TOKEN is \
             ignored"
        ));
    }
    let app_key = key.clone();
    let credentials = match (key, secret, token) {
        (Some(key), Some(secret), _) => Credentials::App { key, secret: secret.into() },
        (_, _, Some(token)) => Credentials::Token(SecretString::from(token)),
        (Some(_), None, None) => {
            return Err(Failure::with_message(
                Exit::AccessDenied,
                tr!("app secret missing: set DINGTALK_APP_SECRET, or name a file with \
                     --app-secret-file"),
            ));
        }
        (None, Some(_), None) => {
            return Err(Failure::with_message(
                Exit::AccessDenied,
                tr!("app key missing: set DINGTALK_APP_KEY, or pass --app-key"),
            ));
        }
        (None, None, None) => {
            return Err(Failure::with_message(
                Exit::AccessDenied,
                tr!("no credentials: set DINGTALK_APP_KEY and DINGTALK_APP_SECRET (or \
                     DINGTALK_ACCESS_TOKEN), or rehearse with --sandbox, which needs none"),
            ));
        }
    };
    Ok(ApiConfig { endpoint, credentials, app_key, http_settings, warnings })
}

/// The app's key, from its flag or the environment.
///
/// # Errors
/// 2 for a variable that is not UTF-8.
pub(crate) fn app_key(
    args: &ApiArgs,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, Failure> {
    match &args.app_key {
        Some(key) => {
            let key = key.trim();
            secret_file::ensure_unquoted("--app-key", key)?;
            Ok(Some(key.to_owned()).filter(|key| !key.is_empty()))
        }
        None => env_credential(variable, env::APP_KEY_VARS),
    }
}

/// The access token from the environment.
///
/// # Errors
/// 2 for a variable that is not UTF-8.
pub(crate) fn access_token_from_env(
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, Failure> {
    env_text(variable, env::ACCESS_TOKEN_VAR)
}

/// A credential that has two names.
fn env_credential(
    variable: impl Fn(&str) -> Option<OsString>,
    [first, second]: [&str; 2],
) -> Result<Option<String>, Failure> {
    let values = (env_text(&variable, first)?, env_text(&variable, second)?);
    if let (Some(one), Some(other)) = &values
        && one != other
    {
        let text = tr!(
            "{first} and {second} name the same thing and have different values; unset one of them",
            first,
            second
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    Ok(values.0.or(values.1))
}

fn env_text(
    variable: impl Fn(&str) -> Option<OsString>,
    name: &str,
) -> Result<Option<String>, Failure> {
    match variable(name).map(OsString::into_string) {
        None => Ok(None),
        Some(Ok(text)) => {
            secret_file::ensure_unquoted(name, text.trim())?;
            Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
        }
        Some(Err(_)) => {
            Err(Failure::with_message(Exit::Usage, tr!("{name} is not valid UTF-8", name)))
        }
    }
}

/// Endpoint and credentials of the sandbox in this process. The user's credentials are not read.
pub(crate) fn sandbox_config(
    args: &ResolveArgs,
    endpoint: &str,
    script: &Script,
) -> Result<ApiConfig, Failure> {
    let endpoint = Url::parse(endpoint).map_err(|error| Failure::from_error(Exit::Error, error))?;
    let credentials =
        Credentials::App { key: script.app_key.clone(), secret: script.app_secret.clone().into() };
    let http_settings = network::direct_settings(args);
    Ok(ApiConfig { endpoint, credentials, app_key: None, http_settings, warnings: Vec::new() })
}

/// How to read the input. `rows` says which columns are needed in addition.
#[must_use]
pub(crate) fn reader_options(args: &ReaderArgs, rows: &RowOptions) -> SourceOptions {
    SourceOptions {
        encoding: args.encoding,
        read_sample_first: false,
        lossy: args.lossy_cells,
        skip_lines: args.skip_lines,
        flexible: args.flexible,
        has_answers: rows.has_answers,
        delimiter: args.delimiter,
        has_headers: args.no_headers.then_some(false),
        columns: args.column.clone(),
        country_column: args.country_column.clone().unwrap_or_default(),
        extra_columns: rows.extra_columns(),
        optional_columns: rows.optional_columns(),
        missing_values: Arc::default(),
        row_numbers: RowNumbers::default(),
        trusts_quotes: false,
        required_numbers: None,
        allow_empty: false,
    }
}

/// The output columns in addition to the five answer columns.
///
/// # Errors
/// 2 for flags that cannot be combined with `--retry-failed`.
pub(crate) fn output_columns(args: &ResolveArgs) -> Result<RowOptions, Failure> {
    if args.retry_failed && args.reader.no_headers {
        let text = tr!(
            "--retry-failed finds the answer columns by name and cannot be used with --no-headers: \
             add a header line above the first row, and remove --no-headers"
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    if args.retry_failed && args.reader.flexible {
        let text =
            tr!("--retry-failed needs every answer under its header and cannot be used with \
                 --flexible: remove --flexible, or resolve the file that --failed wrote");
        return Err(Failure::with_message(Exit::Usage, text));
    }
    if args.retry_failed && args.sharding.shard.is_some() {
        let text =
            tr!("--retry-failed rewrites a whole table and cannot be used with --shard: remove \
                 --shard; the output of a shard is a complete table");
        return Err(Failure::with_message(Exit::Usage, text));
    }
    Ok(RowOptions {
        has_matched: args.reader.column.len() > 1,
        has_sent: args.show_sent,
        mainland: mainland_format(&args.api),
        expected_column: args.expect.clone(),
        has_answers: args.retry_failed,
        retry_statuses: args.retry.clone(),
        shard: args.sharding.shard,
    })
}

/// The minimum size of a row's new cells in bytes: `,u,,found,0,`.
const MIN_APPENDED_BYTES: u64 = 12;

/// How to write the output. `dialect` is that of the input, `prescan` its size if it was scanned.
///
/// # Errors
/// 2 for a byte order mark or a delimiter that the encoding lacks, and for `--lossy-cells` with a
/// conversion.
pub(crate) fn output_style(
    args: &ResolveArgs,
    format: TableFormat,
    dialect: Dialect,
    prescan: Option<&Prescan>,
) -> Result<SinkOptions, Failure> {
    let Dialect { encoding: input, delimiter, .. } = dialect;
    let rows = prescan.map(|prescan| prescan.rows);
    if format.is_workbook() {
        let is_text = || InputKind::from_path(&args.input) == InputKind::Text;
        if args.reader.lossy_cells && is_text() {
            let text = tr!(
                "--lossy-cells keeps bytes that are invalid {input}, which a workbook cannot hold: \
                 name a .csv file with --output, or remove --lossy-cells",
                input
            );
            return Err(Failure::with_message(Exit::Usage, text));
        }
        let widest_row = prescan.and_then(|prescan| prescan.widest_row);
        return Ok(SinkOptions { format, rows, widest_row, ..SinkOptions::default() });
    }
    let encoding = args.output_encoding.unwrap_or(input);
    if args.reader.lossy_cells && encoding != input {
        let text = tr!(
            "--lossy-cells keeps bytes that are invalid {input}, which --output-encoding cannot \
             convert to {encoding}: remove one of the two flags",
            input,
            encoding
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    if args.output_bom == Some(true) && encoding.bom().is_empty() {
        let text = tr!(
            "--output-bom: {encoding} has no byte order mark; choose another --output-encoding, or \
             remove --output-bom",
            encoding
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    if !encoding.has_char(delimiter) {
        let text = tr!(
            "{encoding} has no {delimiter}, the delimiter of the table: choose another \
             --output-encoding or --delimiter",
            encoding,
            delimiter
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    let min_bytes = prescan.map_or(0, |prescan| {
        let copied = if encoding == input { prescan.bytes } else { 0 };
        copied + if args.retry_failed { 0 } else { prescan.rows * MIN_APPENDED_BYTES }
    });
    Ok(SinkOptions {
        format,
        rows,
        encoding: Some(encoding),
        write_bom: args.output_bom,
        excel_safe: args.excel_safe,
        min_bytes,
        ..SinkOptions::default()
    })
}

/// The limits of the run. The window is wide enough that one slow reply does not starve the
/// workers.
///
/// # Errors
/// 2 if `--retry-min` is greater than `--retry-max`.
pub(crate) fn run_limits(args: &ResolveArgs, seed: u64) -> Result<RunLimits, Failure> {
    if args.retry_min > args.retry_max {
        return Err(Failure::with_message(
            Exit::Usage,
            tr!("--retry-min is longer than --retry-max: decrease --retry-min, or increase \
                 --retry-max"),
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
        wall_clock: clock::now,
    })
}

/// The rules for valid numbers.
#[must_use]
pub fn number_rules(args: &NumberArgs) -> mobile::NumberRules {
    mobile::NumberRules { default_region: args.region, strict: args.strict_numbers == OnOff::On }
}

#[must_use]
pub fn mainland_format(args: &ApiArgs) -> mobile::MainlandFormat {
    match args.mainland {
        MainlandChoice::Plain => mobile::MainlandFormat::Plain,
        MainlandChoice::Prefixed => mobile::MainlandFormat::Prefixed,
    }
}

/// The output path; `-` is standard output. The default is the input with `--retry-failed`, else
/// [`default_output_path`].
#[must_use]
pub(crate) fn output_path(args: &ResolveArgs) -> PathBuf {
    if let Some(output) = &args.output {
        return output.clone();
    }
    if args.retry_failed {
        return args.input.clone();
    }
    default_output_path(&args.input, args.sharding.shard, args.output_format)
}

/// The output path of `merge`.
#[must_use]
pub(crate) fn merge_output_path(args: &MergeArgs) -> PathBuf {
    let default = || default_output_path(&args.input, None, args.output_format);
    args.output.clone().unwrap_or_else(default)
}

/// Whether the path may be the default output path of an input.
#[must_use]
pub(crate) fn is_default_output_name(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().contains(".resolved."))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::app::cli::args::{Cli, Command};

    fn args(flags: &[&str]) -> ResolveArgs {
        let Command::Resolve(args) =
            Cli::parse_from(["dingmap", "resolve"].iter().chain(flags)).command
        else {
            panic!()
        };
        *args
    }

    fn try_api_config(flags: &[&str], variables: &[(&str, &str)]) -> Result<ApiConfig, Failure> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        };
        api_config(&args(flags), variable)
    }

    #[test]
    fn credentials_are_read_from_every_source() {
        let app = [("DINGTALK_APP_KEY", "k"), ("DINGTALK_APP_SECRET", "s\n")];
        let credentials = try_api_config(&["i"], &app).unwrap().credentials;
        assert!(matches!(credentials, Credentials::App { key, .. } if key == "k"));
        let token = [("DINGTALK_ACCESS_TOKEN", "t")];
        assert!(matches!(
            try_api_config(&["i"], &token).unwrap().credentials,
            Credentials::Token(_)
        ));
        let both = [app[0], app[1], token[0]];
        assert_eq!(try_api_config(&["i"], &both).unwrap().warnings.len(), 1);
        for variables in [&[][..], &app[..1], &app[1..], &[("DINGTALK_ACCESS_TOKEN", " ")]] {
            assert_eq!(
                try_api_config(&["i"], variables).unwrap_err().exit,
                Exit::AccessDenied,
                "{variables:?}"
            );
        }
        assert_eq!(
            try_api_config(&["i", "--app-secret-file", "/nowhere"], &app).unwrap_err().exit,
            Exit::Usage
        );
    }

    #[test]
    fn the_names_of_the_developer_console_are_read_too() {
        let console = [("DINGTALK_CLIENT_ID", "k"), ("DINGTALK_CLIENT_SECRET", "s")];
        let app = [("DINGTALK_APP_KEY", "k"), ("DINGTALK_APP_SECRET", "s")];
        for pair in [[console[0], console[1]], [console[0], app[1]], [app[0], console[1]]] {
            let credentials = try_api_config(&["i"], &pair).unwrap().credentials;
            assert!(matches!(credentials, Credentials::App { key, .. } if key == "k"), "{pair:?}");
        }
        let equal = try_api_config(&["i"], &[console, app].concat());
        assert!(equal.is_ok());
        for (name, other) in [
            ("DINGTALK_APP_KEY", "DINGTALK_CLIENT_ID"),
            ("DINGTALK_APP_SECRET", "DINGTALK_CLIENT_SECRET"),
        ] {
            let variables = [console.as_slice(), &[(name, "another")]].concat();
            let failure = try_api_config(&["i"], &variables).unwrap_err();
            let text = failure.error.to_string();
            assert_eq!(failure.exit, Exit::Usage, "{text}");
            assert!(
                text.contains(name) && text.contains(other) && !text.contains("another"),
                "{text}"
            );
            // An empty one is not set, and a flag stands above both.
            let variables = [console.as_slice(), &[(name, "")]].concat();
            assert!(try_api_config(&["i"], &variables).is_ok());
        }
        let variables = [console.as_slice(), &[("DINGTALK_APP_KEY", "another")]].concat();
        assert!(try_api_config(&["i", "--app-key", "flag"], &variables).is_ok());
    }

    #[test]
    fn quotation_marks_around_credentials_are_a_usage_error() {
        let app = [("DINGTALK_APP_KEY", "k"), ("DINGTALK_APP_SECRET", "s")];
        for (name, value) in [
            ("DINGTALK_APP_KEY", "'k'"),
            ("DINGTALK_CLIENT_ID", "\"k\"\n"),
            ("DINGTALK_APP_SECRET", "\"s\""),
            ("DINGTALK_CLIENT_SECRET", "\"s\""),
            ("DINGTALK_ACCESS_TOKEN", "\"t\""),
        ] {
            let variables: Vec<_> = app
                .into_iter()
                .filter(|(known, _)| *known != name)
                .chain([(name, value)])
                .collect();
            let failure = try_api_config(&["i"], &variables).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.error.to_string().starts_with(name), "{}", failure.error);
        }
        let failure = try_api_config(&["i", "--app-key", "\"k\""], &app).unwrap_err();
        assert!(failure.error.to_string().starts_with("--app-key: "));
    }

    #[test]
    fn the_output_is_the_named_one_the_default_or_the_input() {
        for (line, expected) in [
            (&["a.csv", "-o", "x"][..], "x"),
            (&["a.csv"], "a.resolved.csv"),
            (&["a.xlsx"], "a.resolved.xlsx"),
            (&["a.xlsx", "--output-format", "csv"], "a.resolved.csv"),
            (&["a.xlsx", "--shard", "1/3"], "a.resolved.1-of-3.csv"),
            (&["a.xlsx", "--retry-failed"], "a.xlsx"),
        ] {
            assert_eq!(output_path(&args(line)), Path::new(expected), "{line:?}");
        }
    }

    #[test]
    fn contradictory_limits_are_rejected() {
        assert!(run_limits(&args(&["i", "--retry-min", "2s", "--retry-max", "1s"]), 0).is_err());
        let limits = run_limits(&args(&["i", "-j", "100"]), 0).unwrap();
        assert_eq!((limits.workers, limits.window), (100, 1600));
    }
}
