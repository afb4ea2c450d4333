//! `--shared`: the address and credentials of the server, joining the quota, and the messages about
//! it.

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

#[derive(Debug)]
pub(crate) struct SharedServer {
    pub client: Client,
    /// The name in messages: the address without user and password.
    pub name: String,
    pub warnings: Vec<String>,
}

/// Parses the address of the server. `variable` reads the environment.
///
/// # Errors
/// Usage (2) for an invalid address, and for a file that cannot be read.
pub(crate) fn parse_server(
    address: &SecretString,
    auth: &RedisAuthArgs,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<SharedServer, Failure> {
    let invalid = |reason: &str| Failure::with_message(Exit::Usage, format!("--shared: {reason}"));
    let forms = || tr!("write redis://HOST/DB, rediss://HOST/DB or unix:///PATH?db=N");
    // The text is not quoted, because it may contain a password.
    let url = Url::parse(address.expose_secret().trim()).map_err(|error| {
        invalid(&tr!("not a URL ({cause}); {forms}", cause = error, forms = forms()))
    })?;
    if !matches!(url.scheme(), "redis" | "rediss" | "unix") {
        return Err(invalid(&tr!(
            "unsupported scheme '{scheme}'; {forms}",
            scheme = url.scheme(),
            forms = forms()
        )));
    }
    if url.query().is_some() && url.scheme() != "unix" {
        return Err(invalid(&tr!("the URL must not have a query ('?'); {forms}", forms = forms())));
    }
    if url.fragment().is_some() {
        return Err(invalid(&tr!(
            "the URL must not have a fragment ('#'); {forms}",
            forms = forms()
        )));
    }
    let name = network::redact_url(&url);
    let mut info = url.into_connection_info().map_err(|error| {
        let cause = error.detail().map_or_else(|| error.to_string(), str::to_owned);
        invalid(&tr!("{cause}; {forms}", cause, forms = forms()))
    })?;
    let (flag, mut warnings) = ("--shared-password-file", Vec::new());
    let password = match &auth.shared_password_file {
        Some(path) => {
            warnings.extend(secret_file::permissions_warning(flag, path));
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
    let client = build_client(auth, info).map_err(|reason| invalid(&reason))?;
    Ok(SharedServer { client, name, warnings })
}

fn build_client(auth: &RedisAuthArgs, info: ConnectionInfo) -> Result<Client, String> {
    let describe =
        |error: redis::RedisError| error.detail().map_or_else(|| error.to_string(), str::to_owned);
    let Some(path) = &auth.shared_ca_file else { return Client::open(info).map_err(describe) };
    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        return Err(tr!("--shared-ca-file needs an address that starts with rediss://"));
    }
    let pem =
        fs::read(path).map_err(|error| format!("--shared-ca-file {}: {error}", path.display()))?;
    Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(pem) })
        .map_err(|error| format!("--shared-ca-file {}: {}", path.display(), describe(error)))
}

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

/// Joins the runs that share the quota. If the server is unreachable, the run joins once it is
/// back.
///
/// # Errors
/// Access denied (5) if the server refuses the credentials; usage (2) if it is not a suitable
/// server; interrupted, by a signal.
pub(crate) async fn join(
    server: &SharedServer,
    request: JoinRequest,
    signals: &mut Signals,
) -> Result<Joined, Failure> {
    let key_error =
        || Failure::with_message(Exit::Error, tr!("cannot derive keys from the app secret"));
    let joined = tokio::select! {
        biased;
        signal = signals.recv() => {
            let text = tr!("interrupted before the first call");
            return Err(Failure::with_message(Exit::Interrupted(signal), text));
        }
        joined = Box::pin(Joined::join(request)) => joined,
    };
    let joined = joined.ok_or_else(key_error)?;
    match joined.unavailable().map(|unavailable| unavailable_failure(server, unavailable)) {
        Some(failure) if failure.exit != Exit::Error => Err(failure),
        _ => Ok(joined),
    }
}

/// The failure of a command that needs the server.
#[must_use]
pub(crate) fn unavailable_failure(
    server: &SharedServer,
    Unavailable { message, cause }: &Unavailable,
) -> Failure {
    let text = tr!("--shared {server}: {what}", server = server.name, what = message);
    match cause {
        Cause::Denied => {
            let hint = tr!(
                "Set the user in the URL, and the password in DINGMAP_SHARED_PASSWORD or in the \
                 file of --shared-password-file."
            );
            Failure::with_message(Exit::AccessDenied, format!("{text}\n  {hint}"))
        }
        Cause::Unsupported => Failure::with_message(Exit::Usage, text),
        Cause::Transient | Cause::ScriptMissing => {
            let hint = tr!(
                "Check the address and that the server is running, then run the same command again."
            );
            Failure::with_message(Exit::Error, format!("{text}\n  {hint}"))
        }
    }
}

/// The quota, as a part of the first line of a run. `own_rate` is the rate of this run.
#[must_use]
pub(crate) fn describe_joined(server: &SharedServer, joined: &Joined, own_rate: Rate) -> String {
    let Some((min_rate, peers)) = joined.min_rate_and_peers() else {
        let cause = joined.unavailable().map(ToString::to_string).unwrap_or_default();
        return tr!(
            "the quota is shared at {server}, which is unreachable: {cause}",
            server = server.name,
            cause
        );
    };
    let rate = if min_rate == own_rate {
        tr!("{rate} calls/s", rate = min_rate)
    } else {
        tr!(
            "{rate} calls/s (the lowest --rate of all runs; this one: {asked})",
            rate = min_rate,
            asked = own_rate
        )
    };
    if peers == 0 {
        tr!("{rate} shared at {server}, no other run so far", rate, server = server.name)
    } else {
        tr!(
            "{rate} shared at {server} with {n} other run"
                | "{rate} shared at {server} with {n} other runs" % peers,
            rate,
            server = server.name
        )
    }
}

#[must_use]
pub(crate) fn describe_notice(server: &str, notice: &Notice) -> String {
    match notice {
        Notice::Unreachable(unavailable) => tr!(
            "the shared server {server} is unreachable ({cause}): calls are paused until it is \
             back, at most for --patience",
            server,
            cause = unavailable
        ),
        Notice::Degraded(unavailable, rate, runs) => tr!(
            "the shared server {server} is unreachable ({cause}): continuing without it at {rate} \
             calls/s, the share of one of {n} run"
                | "the shared server {server} is unreachable ({cause}): continuing without it at \
                   {rate} calls/s, the share of one of {n} runs"
                    % *runs,
            server,
            cause = unavailable,
            rate
        ),
        Notice::Restored(outage) => {
            tr!(
                "the shared server {server} is back after {time}",
                server,
                time = format_whole_seconds(*outage)
            )
        }
    }
}

/// The warning if the app key is unknown: runs of the app with another token do not share the
/// quota.
#[must_use]
pub(crate) fn token_scope_warning(access: &ApiConfig) -> Option<String> {
    let is_token_only =
        matches!(access.credentials, Credentials::Token(_)) && access.app_key.is_none();
    is_token_only.then(|| {
        tr!(
            "the quota is shared only with runs that use the same token; use --app-key to share it \
             with all runs of the app"
        )
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::app::cli::args::{Cli, Command};

    fn parse(flags: &[&str], variables: &[(&str, &str)]) -> Result<SharedServer, Failure> {
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
            let server = parse(&["--shared", url], &[]).unwrap();
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
            let failure = parse(&["--shared", url], &[]).unwrap_err();
            let message = failure.error.to_string();
            assert!(failure.exit == Exit::Usage && message.starts_with("--shared: "), "{message}");
            assert!(
                !message.contains("geheim") && message.contains("redis://HOST/DB"),
                "{message}"
            );
        }
    }

    #[test]
    fn the_password_comes_from_the_variable() {
        let password = |variables: &[_]| {
            let server = parse(&["--shared", "redis://u@h"], variables).unwrap();
            let settings = server.client.get_connection_info().redis_settings().clone();
            (settings.username().map(str::to_owned), settings.password().map(str::to_owned))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(password(&[(SHARED_PASSWORD_VAR, "p")]), (some("u"), some("p")));
        assert_eq!(password(&[(SHARED_PASSWORD_VAR, "")]), (some("u"), None));
    }
}
