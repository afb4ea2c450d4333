//! The quota that runs share, as the command line has it: which server is meant and how to be let in, and what people are told
//! of it. Leaves sharing to `shared`.

use std::ffi::OsString;
use std::fs;

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, TlsCertificates};
use secrecy::{ExposeSecret, SecretString};
use tr::tr;
use url::Url;

use crate::api::rate::Rate;
use crate::api::token::Credentials;
use crate::app::cli::args::ResolveArgs;
use crate::app::cli::env::SHARED_PASSWORD_VAR;
use crate::app::cli::network;
use crate::app::cli::options::ApiConfig;
use crate::app::cli::secret_file;
use crate::app::cli::shared_args::RedisAuthArgs;
use crate::app::commands::resolve::open_state;
use crate::app::exit::{Exit, Failure, format_whole_seconds};
use crate::app::signals::Signals;
use crate::quota::connection::{Cause, Unavailable};
use crate::quota::join::{JoinRequest, Joined};
use crate::quota::limiter::Notice;

/// The server that runs share.
#[derive(Debug)]
pub(crate) struct SharedServer {
    /// What connects to it.
    pub client: Client,
    /// What messages call it: its address without user and password.
    pub name: String,
    /// What the user should hear about all this.
    pub warnings: Vec<String>,
}

/// The server at a `given` address. `variable` gives a variable of the environment.
///
/// # Errors
/// Usage (2) for an address that cannot be meant, and for a file that cannot be read.
pub(crate) fn parse_server(
    given: &SecretString,
    door: &RedisAuthArgs,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<SharedServer, Failure> {
    let wrong = |what: &str| Failure::with_message(Exit::Usage, format!("--shared: {what}"));
    let forms = || tr!("write redis://HOST/DB, rediss://HOST/DB or unix:///PATH?db=N");
    // The text is not repeated: it can have a password in it.
    let url = Url::parse(given.expose_secret().trim()).map_err(|error| {
        wrong(&tr!("not a URL ({cause}); {forms}", cause = error, forms = forms()))
    })?;
    if !matches!(url.scheme(), "redis" | "rediss" | "unix") {
        return Err(wrong(&tr!(
            "'{scheme}' is no scheme of it; {forms}",
            scheme = url.scheme(),
            forms = forms()
        )));
    }
    if url.query().is_some() && url.scheme() != "unix" {
        return Err(wrong(&tr!("there is something behind a '?' in it; {forms}", forms = forms())));
    }
    if url.fragment().is_some() {
        return Err(wrong(&tr!("there is something behind a '#' in it; {forms}", forms = forms())));
    }
    let name = network::redact_url(&url);
    let mut info = url.into_connection_info().map_err(|error| {
        let cause = error.detail().map_or_else(|| error.to_string(), str::to_owned);
        wrong(&tr!("{cause}; {forms}", cause, forms = forms()))
    })?;
    let (flag, mut remarks) = ("--shared-password-file", Vec::new());
    let password = match &door.shared_password_file {
        Some(path) => {
            remarks.extend(secret_file::permissions_warning(flag, path));
            Some(secret_file::read_secret(flag, path)?)
        }
        None => variable(SHARED_PASSWORD_VAR)
            .and_then(|text| text.into_string().ok())
            .filter(|text| !text.is_empty()),
    };
    if let Some(password) = password {
        let settings = info.redis_settings().clone().set_password(password);
        info = info.set_redis_settings(settings);
    }
    let client = build_client(door, info).map_err(|what| wrong(&what))?;
    Ok(SharedServer { client, name, warnings: remarks })
}

fn build_client(door: &RedisAuthArgs, info: ConnectionInfo) -> Result<Client, String> {
    let said =
        |error: redis::RedisError| error.detail().map_or_else(|| error.to_string(), str::to_owned);
    let Some(path) = &door.shared_ca_file else { return Client::open(info).map_err(said) };
    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        return Err(tr!("--shared-ca-file is for addresses that begin with rediss://"));
    }
    let pem =
        fs::read(path).map_err(|error| format!("--shared-ca-file {}: {error}", path.display()))?;
    Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem) })
        .map_err(|error| format!("--shared-ca-file {}: {}", path.display(), said(error)))
}

/// What a run with this access brings; `server` is where it joins the others.
#[must_use]
pub(crate) fn join_request(
    args: &ResolveArgs,
    server: &SharedServer,
    access: &ApiConfig,
) -> JoinRequest {
    let secret = match &access.credentials {
        Credentials::App { secret, .. } | Credentials::Token(secret) => secret.clone(),
    };
    JoinRequest {
        client: server.client.clone(),
        scope: open_state::scope_from_access(&args.api, Some(access)),
        secret,
        rate: args.rate_limit.rate,
        ages: open_state::ages_from_args(&args.state),
        optional: args.quota.shared_optional,
    }
}

/// Joins the other runs, or stands at the door where the server is silent for the moment.
///
/// # Errors
/// Denied (5) where the server does not let it in; usage (2) where it is none that will do; interrupted, by a signal.
pub(crate) async fn join(
    server: &SharedServer,
    application: JoinRequest,
    signals: &mut Signals,
) -> Result<Joined, Failure> {
    let broken =
        || Failure::with_message(Exit::Error, tr!("no keys could be made of the app's secret"));
    let joined = tokio::select! {
        biased;
        signal = signals.recv() => {
            return Err(Failure::with_message(Exit::Interrupted(signal), tr!("interrupted before the first call")));
        }
        joined = Box::pin(Joined::join(application)) => joined,
    };
    let membership = joined.ok_or_else(broken)?;
    match membership.unavailable().map(|silence| unavailable_failure(server, silence)) {
        Some(failure) if failure.exit != Exit::Error => Err(failure),
        _ => Ok(membership),
    }
}

/// What follows from a silence where nothing is done without a word of the server.
#[must_use]
pub(crate) fn unavailable_failure(
    server: &SharedServer,
    Unavailable { message: what, cause: kind }: &Unavailable,
) -> Failure {
    let text = tr!("--shared {server}: {what}", server = server.name, what);
    match kind {
        Cause::Denied => {
            let advice = tr!(
                "Its user stands in the URL, its password in DINGMAP_SHARED_PASSWORD or in the file of --shared-password-file."
            );
            Failure::with_message(Exit::AccessDenied, format!("{text}\n  {advice}"))
        }
        Cause::Unsupported => Failure::with_message(Exit::Usage, text),
        Cause::Transient | Cause::ScriptMissing => {
            let advice =
                tr!("Check the address and that the server is up, and run the same command again.");
            Failure::with_message(Exit::Error, format!("{text}\n  {advice}"))
        }
    }
}

/// What a run found as it joined: a part of its first line.
#[must_use]
pub(crate) fn describe_joined(server: &SharedServer, membership: &Joined, asked: Rate) -> String {
    let Some((least, others)) = membership.min_rate_and_peers() else {
        let cause = membership.unavailable().map(ToString::to_string).unwrap_or_default();
        return tr!(
            "the quota is shared at {server}, which is silent: {cause}",
            server = server.name,
            cause
        );
    };
    let rate = if least == asked {
        tr!("{rate} calls/s", rate = least)
    } else {
        tr!(
            "{rate} calls/s (the lowest that any run asks for; this one: {asked})",
            rate = least,
            asked
        )
    };
    if others == 0 {
        tr!("{rate} shared at {server}, no other run so far", rate, server = server.name)
    } else {
        tr!(
            "{rate} shared at {server} with {n} other run"
                | "{rate} shared at {server} with {n} other runs" % others,
            rate,
            server = server.name
        )
    }
}

/// What people are told of the server on the way.
#[must_use]
pub(crate) fn describe_notice(server: &str, word: &Notice) -> String {
    match word {
        Notice::Unreachable(silence) => tr!(
            "the shared server {server} is silent ({cause}): no call is made until it is back, or for as long as --patience allows",
            server,
            cause = silence
        ),
        Notice::Degraded(silence, rate, runs) => tr!(
            "the shared server {server} is silent ({cause}): this run goes on alone at {rate} calls/s, its part as one of {n} run"
                | "the shared server {server} is silent ({cause}): this run goes on alone at {rate} calls/s, its part as one of {n} runs"
                    % *runs,
            server,
            cause = silence,
            rate
        ),
        Notice::Restored(after) => {
            tr!(
                "the shared server {server} is back after {time}",
                server,
                time = format_whole_seconds(*after)
            )
        }
    }
}

/// What to say where runs of the same app may not meet.
#[must_use]
pub(crate) fn token_scope_warning(access: &ApiConfig) -> Option<String> {
    let alone = matches!(access.credentials, Credentials::Token(_)) && access.app_key.is_none();
    alone.then(|| {
        tr!("the quota is shared with runs that have the same token alone; give --app-key to share it with all runs of the app")
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::app::cli::args::{Cli, Command};

    fn tried(flags: &[&str], variables: &[(&str, &str)]) -> Result<SharedServer, Failure> {
        let line = ["dingmap", "resolve", "i"].iter().chain(flags);
        let Command::Resolve(args) = Cli::parse_from(line).command else { panic!() };
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        };
        parse_server(args.quota.shared.as_ref().unwrap(), &args.quota.auth, find)
    }

    #[test]
    fn valid_server_urls_are_printed_without_the_password() {
        for (url, name) in [
            ("redis://h", "redis://h"),
            ("redis://h:1/2", "redis://h:1/2"),
            ("rediss://u:geheim@h:1/2", "rediss://h:1/2"),
            ("unix:///run/redis.sock?db=3&pass=geheim", "unix:///run/redis.sock"),
        ] {
            let server = tried(&["--shared", url], &[]).unwrap();
            assert_eq!(server.name, name);
        }
    }

    #[test]
    fn invalid_server_urls_are_rejected_without_being_echoed() {
        for url in [
            "h:geheim",
            "http://u:geheim@h",
            "redis://u:geheim@h/x",
            "redis://u:geheim@",
            "redis://h?db=geheim",
            "redis://h#geheim",
        ] {
            let failure = tried(&["--shared", url], &[]).unwrap_err();
            let told = failure.error.to_string();
            assert!(failure.exit == Exit::Usage && told.starts_with("--shared: "), "{told}");
            assert!(!told.contains("geheim") && told.contains("redis://HOST/DB"), "{told}");
        }
    }

    #[test]
    fn the_password_comes_from_the_variable() {
        let password = |variables: &[_]| {
            let server = tried(&["--shared", "redis://u@h"], variables).unwrap();
            let settings = server.client.get_connection_info().redis_settings().clone();
            (settings.username().map(str::to_owned), settings.password().map(str::to_owned))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(password(&[(SHARED_PASSWORD_VAR, "p")]), (some("u"), some("p")));
        assert_eq!(password(&[(SHARED_PASSWORD_VAR, "")]), (some("u"), None));
    }
}
