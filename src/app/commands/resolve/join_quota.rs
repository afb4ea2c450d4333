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
use crate::app::cli::args::Resolve;
use crate::app::cli::env::PASSWORD;
use crate::app::cli::network;
use crate::app::cli::options::Access;
use crate::app::cli::secret_file;
use crate::app::cli::shared_args::Door;
use crate::app::commands::resolve::open_state;
use crate::app::exit::{Exit, Failure, rounded};
use crate::app::signals::Signals;
use crate::quota::connection::{Kind, Silence};
use crate::quota::join::{Application, Membership};
use crate::quota::limiter::Word;

/// The server that runs share.
#[derive(Debug)]
pub(crate) struct Server {
    /// What connects to it.
    pub client: Client,
    /// What messages call it: its address without user and password.
    pub name: String,
    /// What the user should hear about all this.
    pub remarks: Vec<String>,
}

/// The server at a `given` address. `variable` gives a variable of the environment.
///
/// # Errors
/// Usage (2) for an address that cannot be meant, and for a file that cannot be read.
pub(crate) fn server(
    given: &SecretString,
    door: &Door,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Server, Failure> {
    let wrong = |what: &str| Failure::new(Exit::Usage, format!("--shared: {what}"));
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
    let name = network::bare(&url);
    let mut info = url.into_connection_info().map_err(|error| {
        let cause = error.detail().map_or_else(|| error.to_string(), str::to_owned);
        wrong(&tr!("{cause}; {forms}", cause, forms = forms()))
    })?;
    let (flag, mut remarks) = ("--shared-password-file", Vec::new());
    let password = match &door.shared_password_file {
        Some(path) => {
            remarks.extend(secret_file::exposed(flag, path));
            Some(secret_file::read(flag, path)?)
        }
        None => variable(PASSWORD)
            .and_then(|text| text.into_string().ok())
            .filter(|text| !text.is_empty()),
    };
    if let Some(password) = password {
        let settings = info.redis_settings().clone().set_password(password);
        info = info.set_redis_settings(settings);
    }
    let client = client(door, info).map_err(|what| wrong(&what))?;
    Ok(Server { client, name, remarks })
}

fn client(door: &Door, info: ConnectionInfo) -> Result<Client, String> {
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
pub(crate) fn application(args: &Resolve, server: &Server, access: &Access) -> Application {
    let secret = match &access.credentials {
        Credentials::App { secret, .. } | Credentials::Token(secret) => secret.clone(),
    };
    Application {
        client: server.client.clone(),
        scope: open_state::answers(&args.directory, Some(access)),
        secret,
        rate: args.speed.rate,
        ages: open_state::ages(&args.keep),
        optional: args.sharing.shared_optional,
    }
}

/// Joins the other runs, or stands at the door where the server is silent for the moment.
///
/// # Errors
/// Denied (5) where the server does not let it in; usage (2) where it is none that will do; interrupted, by a signal.
pub(crate) async fn join(
    server: &Server,
    application: Application,
    signals: &mut Signals,
) -> Result<Membership, Failure> {
    let broken = || Failure::new(Exit::Broken, tr!("no keys could be made of the app's secret"));
    let joined = tokio::select! {
        biased;
        signal = signals.next() => {
            return Err(Failure::new(Exit::Interrupted(signal), tr!("interrupted before the first call")));
        }
        joined = Box::pin(Membership::join(application)) => joined,
    };
    let membership = joined.ok_or_else(broken)?;
    match membership.silence().map(|silence| refused(server, silence)) {
        Some(failure) if failure.exit != Exit::Broken => Err(failure),
        _ => Ok(membership),
    }
}

/// What follows from a silence where nothing is done without a word of the server.
#[must_use]
pub(crate) fn refused(server: &Server, Silence { what, kind }: &Silence) -> Failure {
    let text = tr!("--shared {server}: {what}", server = server.name, what);
    match kind {
        Kind::Denied => {
            let advice = tr!(
                "Its user stands in the URL, its password in DINGMAP_SHARED_PASSWORD or in the file of --shared-password-file."
            );
            Failure::new(Exit::Denied, format!("{text}\n  {advice}"))
        }
        Kind::Unfit => Failure::new(Exit::Usage, text),
        Kind::Passing | Kind::Scriptless => {
            let advice =
                tr!("Check the address and that the server is up, and run the same command again.");
            Failure::new(Exit::Broken, format!("{text}\n  {advice}"))
        }
    }
}

/// What a run found as it joined: a part of its first line.
#[must_use]
pub(crate) fn found(server: &Server, membership: &Membership, asked: Rate) -> String {
    let Some((least, others)) = membership.found() else {
        let cause = membership.silence().map(ToString::to_string).unwrap_or_default();
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
pub(crate) fn told(server: &str, word: &Word) -> String {
    match word {
        Word::Lost(silence) => tr!(
            "the shared server {server} is silent ({cause}): no call is made until it is back, or for as long as --patience allows",
            server,
            cause = silence
        ),
        Word::Alone(silence, rate, runs) => tr!(
            "the shared server {server} is silent ({cause}): this run goes on alone at {rate} calls/s, its part as one of {n} run"
                | "the shared server {server} is silent ({cause}): this run goes on alone at {rate} calls/s, its part as one of {n} runs"
                    % *runs,
            server,
            cause = silence,
            rate
        ),
        Word::Back(after) => {
            tr!("the shared server {server} is back after {time}", server, time = rounded(*after))
        }
    }
}

/// What to say where runs of the same app may not meet.
#[must_use]
pub(crate) fn apart(access: &Access) -> Option<String> {
    let alone = matches!(access.credentials, Credentials::Token(_)) && access.app.is_none();
    alone.then(|| {
        tr!("the quota is shared with runs that have the same token alone; give --app-key to share it with all runs of the app")
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::app::cli::args::{Cli, Command};

    fn tried(flags: &[&str], variables: &[(&str, &str)]) -> Result<Server, Failure> {
        let line = ["dingmap", "resolve", "i"].iter().chain(flags);
        let Command::Resolve(args) = Cli::parse_from(line).command else { panic!() };
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        };
        server(args.sharing.shared.as_ref().unwrap(), &args.sharing.door, find)
    }

    #[test]
    fn addresses_that_can_be_meant_are_named_without_a_password() {
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
    fn others_are_refused_without_being_repeated() {
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
        assert_eq!(password(&[(PASSWORD, "p")]), (some("u"), some("p")));
        assert_eq!(password(&[(PASSWORD, "")]), (some("u"), None));
    }
}
