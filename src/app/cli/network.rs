//! The way to the API: which addresses are called, by which proxy, and whom to trust. Owns what flags and environment
//! say of it together, and how messages name an address. Leaves connecting to `api::http`.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use tr::tr;
use url::{Host, ParseError, Url};

use crate::api::http::{HttpSettings, ProxyRoute, TrustedRoot};
use crate::app::cli::args::ResolveArgs;
use crate::app::exit::{Exit, Failure};

/// The address of the API.
///
/// # Errors
/// Usage (2) for one that cannot be meant, and for plain HTTP to another machine, unless `insecure`.
pub(crate) fn parse_endpoint(text: &str, insecure: bool) -> Result<Url, Failure> {
    let wrong = |what: &str| Failure::with_message(Exit::Usage, format!("--endpoint: {what}"));
    // The text is not repeated: a URL can have a password in it.
    let url = Url::parse(text).map_err(|error| {
        wrong(&tr!(
            "not a URL ({cause}); write scheme, host and port, such as https://oapi.dingtalk.io",
            cause = describe_url_error(error)
        ))
    })?;
    let bare = url.username().is_empty() && url.password().is_none() && url.host().is_some();
    if !bare || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(&tr!("only scheme, host and port, such as https://oapi.dingtalk.io")));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if insecure || is_loopback(&url) => Ok(url),
        "http" => Err(wrong(&tr!(
            "http:// would send the token and the numbers in clear; use https://, or an address on this machine, or accept that with --insecure-http"
        ))),
        _ => {
            let text = tr!(
                "{address}: the address begins with https://, such as https://oapi.dingtalk.io",
                address = url
            );
            Err(wrong(&text))
        }
    }
}

/// Why a text is no URL.
fn describe_url_error(error: ParseError) -> String {
    match error {
        ParseError::InvalidPort => tr!("invalid port number"),
        ParseError::EmptyHost => tr!("empty host"),
        ParseError::RelativeUrlWithoutBase => tr!("it does not begin with https://"),
        other => other.to_string(),
    }
}

/// How connections to an endpoint are made. `variable` gives a variable of the environment.
///
/// # Errors
/// Usage (2) for a proxy that cannot be meant, in a flag or in the environment, and for a file without certificates.
pub(crate) fn http_settings(
    args: &ResolveArgs,
    endpoint: &Url,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<HttpSettings, Failure> {
    let given = args.network.proxy.as_ref().map(|proxy| proxy.expose_secret().trim());
    let proxy = match given.filter(|proxy| !proxy.is_empty()) {
        Some("none") => None,
        Some(given) => Some((parse_proxy("--proxy", given)?, String::new())),
        // The environment's proxy knows nothing of addresses on this machine.
        None if is_loopback(endpoint) => None,
        None => {
            let named = proxy_from_env(endpoint, &variable);
            let except = || {
                first_set_variable(&variable, &["NO_PROXY", "no_proxy"])
                    .map_or_else(String::new, |(_, hosts)| hosts)
            };
            named
                .map(|(name, value)| parse_proxy(name, &value).map(|url| (url, except())))
                .transpose()?
        }
    };
    let plain = endpoint.scheme() == "http";
    let foreign = proxy.as_ref().is_some_and(|(url, _)| !is_loopback(url));
    if plain && foreign && !args.network.insecure_http {
        let what = tr!(
            "--proxy: the proxy would see the token and the numbers that go to an http:// endpoint; leave it out, or accept that with --insecure-http"
        );
        return Err(Failure::with_message(Exit::Usage, what));
    }
    let encrypted = !plain || proxy.as_ref().is_some_and(|(url, _)| url.scheme() == "https");
    let roots = args.network.ca_file.as_deref().map(read_roots).transpose()?.unwrap_or_default();
    let route = proxy.map_or(ProxyRoute::Direct, |(url, except)| ProxyRoute::Proxy {
        url: String::from(url).into(),
        no_proxy: except,
    });
    Ok(HttpSettings { route, encrypted, roots, ..direct_settings(args) })
}

/// How connections to this very process are made.
#[must_use]
pub(crate) fn direct_settings(args: &ResolveArgs) -> HttpSettings {
    HttpSettings {
        timeout: args.timeout,
        connect_timeout: args.connect_timeout,
        max_idle_per_host: usize::from(args.workers),
        route: ProxyRoute::Direct,
        encrypted: false,
        roots: Vec::new(),
    }
}

/// The address of the API as messages name it, with the proxy that stands before it, without its password.
#[must_use]
pub(crate) fn describe_endpoint(endpoint: &Url, route: &ProxyRoute) -> String {
    let plain = endpoint.as_str().trim_end_matches('/');
    let proxy = match route {
        ProxyRoute::Proxy { url, .. } => Url::parse(url.expose_secret()).ok(),
        ProxyRoute::Direct => None,
    };
    proxy.map_or_else(
        || plain.to_owned(),
        |proxy| {
            tr!(
                "{endpoint} (proxy: {proxy})",
                endpoint = plain,
                proxy = proxy.origin().ascii_serialization()
            )
        },
    )
}

/// What messages call the server that is given by this address; none where that is no URL.
#[must_use]
pub(crate) fn describe_shared_server(given: &SecretString) -> Option<String> {
    // One without a host cannot be told from one that is nothing but a password.
    let url = Url::parse(given.expose_secret().trim()).ok().filter(|url| !url.cannot_be_a_base());
    url.map(|url| redact_url(&url))
}

/// An address without user, password and anything else that could be a secret.
#[must_use]
pub(crate) fn redact_url(url: &Url) -> String {
    let mut bare = url.clone();
    // Addresses that can have neither have neither.
    let _ = (bare.set_username(""), bare.set_password(None));
    bare.set_query(None);
    bare.to_string()
}

/// What to say where no encrypted connection could ever be made; `what` is what the TLS library says.
#[must_use]
pub(crate) fn tls_failure(what: &str) -> Failure {
    let text = tr!(
        "no connection can be encrypted: {cause}. Install the system's certificates (the package ca-certificates), or name some with --ca-file.",
        cause = what
    );
    Failure::with_message(Exit::Error, text)
}

/// Whether a host is this machine: then no proxy of the environment is asked, and plain HTTP gives nothing away.
#[must_use]
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The proxy that the environment names for an endpoint, and the variable. `HTTP_PROXY` in capitals is none of them, as
/// with curl: a web server that runs programs (CGI) sets it to what a caller sends as the header `Proxy`.
fn proxy_from_env(
    endpoint: &Url,
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Option<(&'static str, String)> {
    let names: &[_] = match endpoint.scheme() {
        "http" => &["http_proxy", "ALL_PROXY", "all_proxy"],
        _ => &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
    };
    first_set_variable(variable, names)
}

/// The first of these variables that is set to something.
fn first_set_variable(
    variable: &impl Fn(&str) -> Option<OsString>,
    names: &[&'static str],
) -> Option<(&'static str, String)> {
    let read = |name| Some((name, variable(name)?.to_string_lossy().trim().to_owned()));
    names.iter().filter_map(|name| read(*name)).find(|(_, value)| !value.is_empty())
}

/// A proxy's URL; one without a scheme is meant as `http://`. `place` is where it was given.
fn parse_proxy(place: &str, given: &str) -> Result<Url, Failure> {
    let wrong = |what: &str| Err(Failure::with_message(Exit::Usage, format!("{place}: {what}")));
    let whole = if given.contains("://") { given.to_owned() } else { format!("http://{given}") };
    // The text is not repeated: it can have a password in it.
    match Url::parse(&whole) {
        Err(error) => wrong(&tr!("not a URL: {cause}; write http://HOST:PORT", cause = error)),
        Ok(url) if url.host_str().is_none_or(str::is_empty) => {
            wrong(&tr!("no host in it; write http://HOST:PORT"))
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        Ok(url) if url.scheme().starts_with("socks") => {
            wrong(&tr!("SOCKS proxies are not supported; give an http:// or https:// proxy"))
        }
        Ok(_) => wrong(&tr!("a proxy's URL begins with http:// or https://")),
    }
}

fn read_roots(path: &Path) -> Result<Vec<TrustedRoot>, Failure> {
    let wrong = |what: &str| {
        Failure::with_message(Exit::Usage, format!("--ca-file {}: {what}", path.display()))
    };
    let pem = fs::read(path).map_err(|error| wrong(&error.to_string()))?;
    match TrustedRoot::from_pem_bundle(&pem) {
        Err(what) => Err(wrong(&what)),
        Ok(roots) if roots.is_empty() => Err(wrong(&tr!(
            "there is no certificate in it; it should have PEM, with a line BEGIN CERTIFICATE"
        ))),
        Ok(roots) => Ok(roots),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::app::cli::args::{Cli, Command};

    /// The way to an endpoint: the proxy, and for which hosts it is left out.
    fn way(
        to: &str,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Option<(String, String)>, String> {
        let line = ["dingmap", "resolve", "i"].iter().chain(flags);
        let Command::Resolve(args) = Cli::parse_from(line).command else { panic!() };
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        };
        let told = |failure: Failure| {
            assert_eq!(failure.exit, Exit::Usage);
            failure.error.to_string()
        };
        let to = parse_endpoint(to, args.network.insecure_http).map_err(told)?;
        Ok(match http_settings(&args, &to, find).map_err(told)?.route {
            ProxyRoute::Direct => None,
            ProxyRoute::Proxy { url, no_proxy: except } => {
                Some((url.expose_secret().to_owned(), except))
            }
        })
    }

    #[test]
    fn invalid_endpoints_are_rejected() {
        for good in [
            "https://oapi.dingtalk.com",
            "http://127.0.0.1:1",
            "http://[::1]:1",
            "http://localhost:1",
        ] {
            assert!(parse_endpoint(good, false).is_ok(), "{good}");
        }
        for bad in [
            "oapi.dingtalk.io",
            "http://oapi.dingtalk.io",
            "http://[::2]",
            "http://localhost.example.com",
            "ftp://x",
            "https://u:p@x",
            "https://x/?access_token=1",
        ] {
            let failure = parse_endpoint(bad, false).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{bad}");
            assert!(!failure.error.to_string().contains("u:p"));
            assert_eq!(parse_endpoint(bad, true).is_ok(), bad.starts_with("http:"), "{bad}");
        }
    }

    #[test]
    fn the_proxy_flag_overrides_the_environment_and_localhost_bypasses_the_proxy() {
        let dingtalk = "https://oapi.dingtalk.io";
        let some = |url: &str, except: &str| Ok(Some((url.to_owned(), except.to_owned())));
        let set = [("HTTPS_PROXY", "http://a:1"), ("NO_PROXY", "x,y"), ("ALL_PROXY", "http://b:2")];
        assert_eq!(way(dingtalk, &[], &set), some("http://a:1/", "x,y"));
        assert_eq!(way(dingtalk, &[], &set[1..]), some("http://b:2/", "x,y"));
        assert_eq!(
            way(dingtalk, &[], &[("HTTPS_PROXY", " "), ("https_proxy", "c:3")]),
            some("http://c:3/", "")
        );
        assert_eq!(way(dingtalk, &["--proxy", "https://d"], &set), some("https://d/", ""));
        assert_eq!(way(dingtalk, &["--proxy", "none"], &set), Ok(None));
        assert_eq!(
            (way(dingtalk, &[], &[]), way("https://127.0.0.1", &[], &set)),
            (Ok(None), Ok(None))
        );
        let http = [("HTTPS_PROXY", "http://a:1"), ("http_proxy", "http://e:5")];
        assert_eq!(way("http://gateway", &["--insecure-http"], &http), some("http://e:5/", ""));
        // The capitals are what a stranger may have sent to a web server that runs this.
        let strange = [("HTTP_PROXY", "http://f:6"), ("all_proxy", "http://b:2")];
        assert_eq!(way("http://gateway", &["--insecure-http"], &strange[..1]), Ok(None));
        assert_eq!(way("http://gateway", &["--insecure-http"], &strange), some("http://b:2/", ""));
        assert_eq!(way(dingtalk, &[], &strange[..1]), Ok(None));
    }

    #[test]
    fn an_invalid_proxy_is_reported_with_its_source_and_without_its_password() {
        for bad in
            ["http://u:geheim@[x", "http://u:geheim@", "socks5://u:geheim@h:1", "ftp://u:geheim@h"]
        {
            let told = way("https://h", &[], &[("ALL_PROXY", bad)]).unwrap_err();
            assert!(told.starts_with("ALL_PROXY: ") && !told.contains("geheim"), "{told}");
        }
        let told = way("https://h", &["--proxy", "socks5://h:1"], &[]).unwrap_err();
        assert!(told.starts_with("--proxy: SOCKS"), "{told}");
    }

    #[test]
    fn a_remote_proxy_for_plain_http_requires_insecure_http() {
        let (here, flags) = ("http://127.0.0.1:1", ["--proxy", "http://proxy.example:3128"]);
        assert!(way(here, &flags, &[]).unwrap_err().contains("--insecure-http"));
        assert!(way(here, &[flags[0], flags[1], "--insecure-http"], &[]).unwrap().is_some());
        assert!(way(here, &["--proxy", "http://127.0.0.1:2"], &[]).unwrap().is_some());
        assert!(
            way("https://127.0.0.1:1", &flags, &[]).unwrap().is_some(),
            "it sees nothing of what is encrypted"
        );
    }
}
