//! Endpoint, proxy and trusted certificates from flags and environment, and how messages show URLs.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use tr::tr;
use url::{Host, ParseError, Url};

use crate::api::http::{HttpSettings, ProxyRoute, TrustedRoot};
use crate::app::cli::args::ResolveArgs;
use crate::app::exit::{Exit, Failure};

/// Parses the URL of the API.
///
/// # Errors
/// 2 if it is invalid, or uses plain HTTP to another machine without `insecure`.
pub(crate) fn parse_endpoint(text: &str, insecure: bool) -> Result<Url, Failure> {
    let failure =
        |message: &str| Failure::with_message(Exit::Usage, format!("--endpoint: {message}"));
    // Do not print the text: a URL can contain a password.
    let url = Url::parse(text).map_err(|error| {
        failure(&tr!(
            "invalid URL ({cause}); write scheme, host and port, such as https://oapi.dingtalk.io",
            cause = describe_url_error(error)
        ))
    })?;
    let bare = url.username().is_empty() && url.password().is_none() && url.host().is_some();
    if !bare || url.query().is_some() || url.fragment().is_some() {
        return Err(failure(&tr!(
            "write only scheme, host and port, such as https://oapi.dingtalk.io"
        )));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if insecure || is_loopback(&url) => Ok(url),
        "http" => Err(failure(&tr!(
            "http:// would send the token and the numbers unencrypted; use https://, an address on \
             this machine, or --insecure-http"
        ))),
        _ => {
            let text = tr!(
                "unsupported scheme '{scheme}://'; use https://HOST[:PORT], or http:// for an \
                 address on this machine",
                scheme = url.scheme()
            );
            Err(failure(&text))
        }
    }
}

fn describe_url_error(error: ParseError) -> String {
    match error {
        ParseError::InvalidPort => tr!("invalid port number"),
        ParseError::EmptyHost => tr!("empty host"),
        ParseError::RelativeUrlWithoutBase => tr!("it does not begin with https://"),
        other => other.to_string(),
    }
}

/// The settings of connections to `endpoint`. `variable` reads an environment variable.
///
/// Precedence of proxies: `--proxy`; none for loopback; the environment.
///
/// # Errors
/// 2 for an invalid proxy or a file without certificates.
pub(crate) fn http_settings(
    args: &ResolveArgs,
    endpoint: &Url,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<HttpSettings, Failure> {
    let given = args.network.proxy.as_ref().map(|proxy| proxy.expose_secret().trim());
    let proxy = match given.filter(|proxy| !proxy.is_empty()) {
        Some("none") => None,
        Some(given) => Some((parse_proxy("--proxy", given)?, String::new())),
        // A proxy cannot reach addresses on this machine.
        None if is_loopback(endpoint) => None,
        None => {
            let from_env = proxy_from_env(endpoint, &variable);
            let no_proxy = || {
                first_set_variable(&variable, &["NO_PROXY", "no_proxy"])
                    .map_or_else(String::new, |(_, hosts)| hosts)
            };
            from_env
                .map(|(name, value)| parse_proxy(name, &value).map(|url| (url, no_proxy())))
                .transpose()?
        }
    };
    let is_plain = endpoint.scheme() == "http";
    let is_remote_proxy = proxy.as_ref().is_some_and(|(url, _)| !is_loopback(url));
    if is_plain && is_remote_proxy && !args.network.insecure_http {
        let message = tr!(
            "--proxy: the proxy could read the token and the numbers sent to an http:// endpoint; \
             remove --proxy, or add --insecure-http"
        );
        return Err(Failure::with_message(Exit::Usage, message));
    }
    let encrypted = !is_plain || proxy.as_ref().is_some_and(|(url, _)| url.scheme() == "https");
    let roots = args.network.ca_file.as_deref().map(read_roots).transpose()?.unwrap_or_default();
    let route = proxy.map_or(ProxyRoute::Direct, |(url, no_proxy)| ProxyRoute::Proxy {
        url: String::from(url).into(),
        no_proxy,
    });
    Ok(HttpSettings { route, encrypted, roots, ..direct_settings(args) })
}

/// The settings of connections to the sandbox in this process.
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

/// The endpoint for messages, with the proxy but without its password.
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

/// The shared server for messages; `None` if `given` is not a URL.
#[must_use]
pub(crate) fn describe_shared_server(given: &SecretString) -> Option<String> {
    // Without a host, the text could be a password.
    let url = Url::parse(given.expose_secret().trim()).ok().filter(|url| !url.cannot_be_a_base());
    url.map(|url| redact_url(&url))
}

/// A URL without user, password and query.
#[must_use]
pub(crate) fn redact_url(url: &Url) -> String {
    let mut redacted = url.clone();
    // These fail only for URLs that cannot have a user or password.
    let _ = (redacted.set_username(""), redacted.set_password(None));
    redacted.set_query(None);
    redacted.to_string()
}

/// The failure if TLS cannot be set up; `cause` is the error of the TLS library.
#[must_use]
pub(crate) fn tls_failure(cause: &str) -> Failure {
    let text = tr!(
        "cannot set up TLS: {cause}. Install the system's certificates (package ca-certificates), \
         or pass some with --ca-file.",
        cause
    );
    Failure::with_message(Exit::Error, text)
}

/// Whether a host is this machine: no proxy of the environment applies, and plain HTTP is safe.
#[must_use]
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The proxy from the environment for an endpoint, with the name of its variable. `HTTP_PROXY` in
/// capitals is ignored, as by curl: a CGI web server sets it from the request header `Proxy`
/// (httpoxy).
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

/// The first of these variables that is set and not empty.
fn first_set_variable(
    variable: &impl Fn(&str) -> Option<OsString>,
    names: &[&'static str],
) -> Option<(&'static str, String)> {
    let read = |name| Some((name, variable(name)?.to_string_lossy().trim().to_owned()));
    names.iter().filter_map(|name| read(*name)).find(|(_, value)| !value.is_empty())
}

/// Parses a proxy URL; the default scheme is `http://`. `source` is the flag or variable.
fn parse_proxy(source: &str, given: &str) -> Result<Url, Failure> {
    let failure =
        |message: &str| Err(Failure::with_message(Exit::Usage, format!("{source}: {message}")));
    let url = if given.contains("://") { given.to_owned() } else { format!("http://{given}") };
    // Do not print the text: it can contain a password.
    match Url::parse(&url) {
        Err(error) => failure(&tr!("invalid URL: {cause}; write http://HOST:PORT", cause = error)),
        Ok(url) if url.host_str().is_none_or(str::is_empty) => {
            failure(&tr!("the URL has no host; write http://HOST:PORT"))
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        Ok(url) if url.scheme().starts_with("socks") => {
            failure(&tr!("SOCKS proxies are not supported; use an http:// or https:// proxy"))
        }
        Ok(_) => failure(&tr!("unsupported scheme; use http:// or https://")),
    }
}

fn read_roots(path: &Path) -> Result<Vec<TrustedRoot>, Failure> {
    let failure = |message: &str| {
        Failure::with_message(Exit::Usage, format!("--ca-file {}: {message}", path.display()))
    };
    let pem = fs::read(path).map_err(|error| failure(&error.to_string()))?;
    match TrustedRoot::from_pem_bundle(&pem) {
        Err(message) => Err(failure(&message)),
        Ok(roots) if roots.is_empty() => Err(failure(&tr!(
            "no certificate in the file; it must be PEM, with a line BEGIN CERTIFICATE"
        ))),
        Ok(roots) => Ok(roots),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::app::cli::args::{Cli, Command};

    /// The proxy for an endpoint, and its `NO_PROXY` list.
    fn route(
        to: &str,
        flags: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Option<(String, String)>, String> {
        let line = ["dingmap", "resolve", "i"].iter().chain(flags);
        let Command::Resolve(args) = Cli::parse_from(line).command else { panic!() };
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        };
        let message = |failure: Failure| {
            assert_eq!(failure.exit, Exit::Usage);
            failure.error.to_string()
        };
        let to = parse_endpoint(to, args.network.insecure_http).map_err(message)?;
        Ok(match http_settings(&args, &to, find).map_err(message)?.route {
            ProxyRoute::Direct => None,
            ProxyRoute::Proxy { url, no_proxy } => Some((url.expose_secret().to_owned(), no_proxy)),
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
        let some = |url: &str, no_proxy: &str| Ok(Some((url.to_owned(), no_proxy.to_owned())));
        let set = [("HTTPS_PROXY", "http://a:1"), ("NO_PROXY", "x,y"), ("ALL_PROXY", "http://b:2")];
        assert_eq!(route(dingtalk, &[], &set), some("http://a:1/", "x,y"));
        assert_eq!(route(dingtalk, &[], &set[1..]), some("http://b:2/", "x,y"));
        assert_eq!(
            route(dingtalk, &[], &[("HTTPS_PROXY", " "), ("https_proxy", "c:3")]),
            some("http://c:3/", "")
        );
        assert_eq!(route(dingtalk, &["--proxy", "https://d"], &set), some("https://d/", ""));
        assert_eq!(route(dingtalk, &["--proxy", "none"], &set), Ok(None));
        assert_eq!(
            (route(dingtalk, &[], &[]), route("https://127.0.0.1", &[], &set)),
            (Ok(None), Ok(None))
        );
        let http = [("HTTPS_PROXY", "http://a:1"), ("http_proxy", "http://e:5")];
        assert_eq!(route("http://gateway", &["--insecure-http"], &http), some("http://e:5/", ""));
        // A request header can set HTTP_PROXY in capitals.
        let untrusted = [("HTTP_PROXY", "http://f:6"), ("all_proxy", "http://b:2")];
        assert_eq!(route("http://gateway", &["--insecure-http"], &untrusted[..1]), Ok(None));
        assert_eq!(
            route("http://gateway", &["--insecure-http"], &untrusted),
            some("http://b:2/", "")
        );
        assert_eq!(route(dingtalk, &[], &untrusted[..1]), Ok(None));
    }

    #[test]
    fn an_invalid_proxy_is_reported_with_its_source_and_without_its_password() {
        for bad in
            ["http://u:geheim@[x", "http://u:geheim@", "socks5://u:geheim@h:1", "ftp://u:geheim@h"]
        {
            let message = route("https://h", &[], &[("ALL_PROXY", bad)]).unwrap_err();
            assert!(message.starts_with("ALL_PROXY: ") && !message.contains("geheim"), "{message}");
        }
        let message = route("https://h", &["--proxy", "socks5://h:1"], &[]).unwrap_err();
        assert!(message.starts_with("--proxy: SOCKS"), "{message}");
    }

    #[test]
    fn a_remote_proxy_for_plain_http_requires_insecure_http() {
        let (here, flags) = ("http://127.0.0.1:1", ["--proxy", "http://proxy.example:3128"]);
        assert!(route(here, &flags, &[]).unwrap_err().contains("--insecure-http"));
        assert!(route(here, &[flags[0], flags[1], "--insecure-http"], &[]).unwrap().is_some());
        assert!(route(here, &["--proxy", "http://127.0.0.1:2"], &[]).unwrap().is_some());
        assert!(
            route("https://127.0.0.1:1", &flags, &[]).unwrap().is_some(),
            "the proxy cannot read encrypted data"
        );
    }
}
