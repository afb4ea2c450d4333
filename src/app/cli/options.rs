//! From flags as typed to each floor's own options: what values mean together, defaults that depend on each other,
//! credentials from the environment. Every error here is the user's to mend before anything runs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use tr::tr;
use url::Url;

use crate::api::http;
use crate::api::token::Credentials;
use crate::app::cli::args::{Merge, Resolve};
use crate::app::cli::input_args::{Directory, Mainland, Numbers, Reading, Switch};
use crate::app::cli::network;
use crate::app::cli::secret_file;
use crate::app::exit::{Exit, Failure};
use crate::domain::number::mobile;
use crate::domain::shard::Shard;
use crate::engine::backoff::Retries;
use crate::engine::io::row_format::Wanted;
use crate::engine::limits::Settings;
use crate::sandbox::script::Script;
use crate::table::detect::layout::Options;
use crate::table::prescan::Survey;
use crate::table::raw::encoding::Encoding;
use crate::table::write::sink::Style;

/// Where the API is and how to be let in.
#[derive(Debug)]
pub(crate) struct Access {
    /// The host of the calls.
    pub endpoint: Url,
    /// What to show the host.
    pub credentials: Credentials,
    /// The app's key, where it is known.
    pub app: Option<String>,
    /// How connections to it are made.
    pub connections: http::Settings,
    /// What the user should hear about all this.
    pub remarks: Vec<String>,
}

/// Where the API is, and the credentials from flags and environment.
///
/// # Errors
/// Usage (2) for an endpoint that cannot be meant; denied (5) where there are no credentials.
pub(crate) fn access(
    args: &Resolve,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Access, Failure> {
    let endpoint = network::endpoint(&args.directory.endpoint, args.way.insecure_http)?;
    let connections = network::connections(args, &endpoint, &variable)?;
    let mut remarks = Vec::new();
    let key = key(&args.directory, &variable)?;
    let secret = match &args.app_secret_file {
        Some(path) => {
            remarks.extend(secret_file::exposed("--app-secret-file", path));
            Some(secret_file::read("--app-secret-file", path)?)
        }
        None => text(&variable, "DINGTALK_APP_SECRET")?,
    };
    let token = token(&variable)?;
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
            return Err(Failure::new(
                Exit::Denied,
                tr!(
                    "there is an app key but no secret: set DINGTALK_APP_SECRET, or name a file with --app-secret-file"
                ),
            ));
        }
        (None, Some(_), None) => {
            return Err(Failure::new(
                Exit::Denied,
                tr!("there is an app secret but no key: set DINGTALK_APP_KEY, or give --app-key"),
            ));
        }
        (None, None, None) => {
            return Err(Failure::new(
                Exit::Denied,
                tr!(
                    "no credentials: set DINGTALK_APP_KEY and DINGTALK_APP_SECRET (or DINGTALK_ACCESS_TOKEN), or rehearse with --sandbox, which needs none"
                ),
            ));
        }
    };
    Ok(Access { endpoint, credentials, app, connections, remarks })
}

/// The app's key, from its flag or the environment.
///
/// # Errors
/// Usage (2) for a variable that is not text.
pub(crate) fn key(
    directory: &Directory,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, Failure> {
    match &directory.app_key {
        Some(key) => Ok(Some(key.trim().to_owned()).filter(|key| !key.is_empty())),
        None => text(variable, "DINGTALK_APP_KEY"),
    }
}

/// The token that the environment has.
///
/// # Errors
/// Usage (2) for a variable that is not text.
pub(crate) fn token(
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<String>, Failure> {
    text(variable, "DINGTALK_ACCESS_TOKEN")
}

fn text(
    variable: impl Fn(&str) -> Option<OsString>,
    name: &str,
) -> Result<Option<String>, Failure> {
    match variable(name).map(OsString::into_string) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Some(Err(_)) => Err(Failure::new(Exit::Usage, tr!("{name} is not valid text", name))),
    }
}

/// The built-in emulation's address, and the key that it takes. No credentials of the user's are touched.
///
/// # Errors
/// Unexpected (1) where the address is no URL.
pub(crate) fn rehearsal(
    args: &Resolve,
    endpoint: &str,
    script: &Script,
) -> Result<Access, Failure> {
    let endpoint = Url::parse(endpoint).map_err(|error| Failure::of(Exit::Broken, error))?;
    let credentials =
        Credentials::App { key: script.app_key.clone(), secret: script.app_secret.clone().into() };
    let connections = network::straight(args);
    Ok(Access { endpoint, credentials, app: None, connections, remarks: Vec::new() })
}

/// How the input is read, where this is wanted of its rows.
#[must_use]
pub(crate) fn reading(args: &Reading, wanted: &Wanted) -> Options {
    Options {
        encoding: args.encoding,
        eager: false,
        lossy: args.lossy_cells,
        skip_lines: args.skip_lines,
        flexible: args.flexible,
        resolved: wanted.again,
        delimiter: args.delimiter,
        headers: args.no_headers.then_some(false),
        columns: args.column.clone(),
        beside: wanted.beside(),
        further: wanted.names(),
    }
}

/// What is wanted of the rows beside the usual five cells.
///
/// # Errors
/// Usage (2) for flags that do not go with a table that has answers already.
pub(crate) fn wanted(args: &Resolve) -> Result<Wanted, Failure> {
    if args.retry_failed && args.reading.no_headers {
        let text = tr!(
            "--retry-failed finds the answers by the names of their columns, and --no-headers says that there are none: put a line with the names above the first row, and leave --no-headers out"
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    if args.retry_failed && args.reading.flexible {
        let text = tr!(
            "--retry-failed needs every answer below the names of its columns, and --flexible lets rows be longer: leave --flexible out, or resolve what --failed wrote"
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    if args.retry_failed && args.part.shard.is_some() {
        let text = tr!(
            "--retry-failed rewrites a whole table, and --shard takes a part of its rows: leave --shard out; a shard that was resolved is a table of its own"
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    Ok(Wanted {
        matched: args.reading.column.len() > 1,
        sent: args.show_sent,
        mainland: mainland(&args.directory),
        expect: args.expect.clone(),
        again: args.retry_failed,
        shard: args.part.shard,
    })
}

/// The fewest bytes that a row's new cells take: `,u,,found,0,`.
const LEAST_APPENDED: u64 = 12;

/// How the output is written, where the input is in the encoding `read` and holds what the survey, if there was one, says.
///
/// # Errors
/// Usage (2) for a byte order mark in an encoding that has none, and for bytes that are to be kept and converted.
pub(crate) fn writing(
    args: &Resolve,
    read: Encoding,
    survey: Option<&Survey>,
) -> Result<Style, Failure> {
    let encoding = args.output_encoding.unwrap_or(read);
    if args.reading.lossy_cells && encoding != read {
        let text = tr!(
            "--lossy-cells keeps bytes that are not {read}, and --output-encoding would have to turn them into {encoding}: leave one of them out",
            read,
            encoding
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    if args.output_bom == Some(true) && encoding.mark().is_empty() {
        let text = tr!(
            "--output-bom: {encoding} has no byte order mark; choose another --output-encoding, or leave it out",
            encoding
        );
        return Err(Failure::new(Exit::Usage, text));
    }
    let least = survey.map_or(0, |survey| {
        let own = if encoding == read { survey.bytes } else { 0 };
        own + if args.retry_failed { 0 } else { survey.rows * LEAST_APPENDED }
    });
    Ok(Style {
        encoding: Some(encoding),
        bom: args.output_bom,
        excel_safe: args.excel_safe,
        least,
        ..Style::default()
    })
}

/// What bounds the run. The window is wide enough for one slow reply not to starve the workers (DESIGN 7).
///
/// # Errors
/// Usage (2) for backoff bounds that contradict each other.
pub(crate) fn bounds(args: &Resolve, seed: u64) -> Result<Settings, Failure> {
    if args.retry_min > args.retry_max {
        return Err(Failure::new(
            Exit::Usage,
            tr!("--retry-min is longer than --retry-max: lower the one, or raise the other"),
        ));
    }
    let workers = usize::from(args.workers);
    Ok(Settings {
        workers,
        window: 1024.max(16 * workers),
        retries: Retries { most: args.max_retries, min: args.retry_min, max: args.retry_max },
        patience: args.patience,
        most_calls: args.max_calls,
        partial: args.partial,
        reads_on: true,
        seed,
        wall: jiff::Timestamp::now,
    })
}

/// What counts as a mobile number.
#[must_use]
pub fn rules(args: &Numbers) -> mobile::Rules {
    mobile::Rules { home: args.region, strict: args.strict_numbers == Switch::On }
}

/// How mainland numbers are sent.
#[must_use]
pub fn mainland(args: &Directory) -> mobile::Mainland {
    match args.mainland {
        Mainland::Plain => mobile::Mainland::Plain,
        Mainland::Prefixed => mobile::Mainland::Prefixed,
    }
}

/// Where the output goes: `-`, or a file. Without a flag that is the input's place where it has answers already, else that of
/// [`resolved`].
#[must_use]
pub(crate) fn output(args: &Resolve) -> PathBuf {
    if let Some(output) = &args.output {
        return output.clone();
    }
    if args.retry_failed {
        return args.input.clone();
    }
    resolved(&args.input, args.part.shard)
}

/// Where a whole table of shards goes.
#[must_use]
pub(crate) fn whole(args: &Merge) -> PathBuf {
    args.output.clone().unwrap_or_else(|| resolved(&args.input, None))
}

/// Where the rows of an input go, all of them or those of a shard, where nobody says otherwise: a file beside it, under its name
/// without what it is packed in, or standard output where the input is standard input.
#[must_use]
pub(crate) fn resolved(input: &Path, shard: Option<Shard>) -> PathBuf {
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
        name.push(shard.in_names());
    }
    name.push(".csv");
    input.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::app::cli::args::{Cli, Command};

    fn args(rest: &[&str]) -> Resolve {
        let Command::Resolve(args) =
            Cli::parse_from(["dingmap", "resolve"].iter().chain(rest)).command
        else {
            panic!()
        };
        *args
    }

    fn tried(rest: &[&str], variables: &[(&str, &str)]) -> Result<Access, Failure> {
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        };
        access(&args(rest), find)
    }

    #[test]
    fn credentials_by_every_way() {
        let app = [("DINGTALK_APP_KEY", "k"), ("DINGTALK_APP_SECRET", "s\n")];
        assert!(
            matches!(tried(&["i"], &app).unwrap().credentials, Credentials::App { key, .. } if key == "k")
        );
        let token = [("DINGTALK_ACCESS_TOKEN", "t")];
        assert!(matches!(tried(&["i"], &token).unwrap().credentials, Credentials::Token(_)));
        let both = [app[0], app[1], token[0]];
        assert_eq!(tried(&["i"], &both).unwrap().remarks.len(), 1);
        for variables in [&[][..], &app[..1], &app[1..], &[("DINGTALK_ACCESS_TOKEN", " ")]] {
            assert_eq!(tried(&["i"], variables).unwrap_err().exit, Exit::Denied, "{variables:?}");
        }
        assert_eq!(
            tried(&["i", "--app-secret-file", "/nowhere"], &app).unwrap_err().exit,
            Exit::Usage
        );
    }

    #[test]
    fn the_output_stands_beside_the_input() {
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
            assert_eq!(output(&args(&[input])), Path::new(expected));
            let shard = expected.replace(".resolved", ".resolved.1-of-3");
            assert_eq!(output(&args(&[input, "--shard", "1/3"])), Path::new(&shard));
        }
        assert_eq!(output(&args(&["-", "-o", "x"])), Path::new("x"));
    }

    #[test]
    fn bounds_that_contradict_each_other() {
        assert!(bounds(&args(&["i", "--retry-min", "2s", "--retry-max", "1s"]), 0).is_err());
        let bounds = bounds(&args(&["i", "-j", "100"]), 0).unwrap();
        assert_eq!((bounds.workers, bounds.window), (100, 1600));
    }
}
