//! Masks what a URL may have of a secret: user, password, and the values of its query.

use std::borrow::Cow;

/// Replaces a secret.
const MASK: &str = "***";
/// Parameters of the shared server's URL that are no secret.
const PUBLIC_PARAMETERS: [&str; 2] = ["db", "protocol"];

/// A URL without user, password and the values of its query. The text may be no valid URL.
#[must_use]
pub(crate) fn mask_url(url: &str) -> String {
    let (scheme, rest) =
        url.split_once("://").map_or(("", url), |(_, rest)| url.split_at(url.len() - rest.len()));
    let (address, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    if query.contains('@') {
        // A password may contain a question mark, and then the address begins after the last @.
        return format!("{scheme}{MASK}");
    }
    let address = match address.rsplit_once('@') {
        Some((_, host)) => Cow::Owned(format!("{MASK}@{host}")),
        None => Cow::Borrowed(address),
    };
    let parameters: Vec<_> = query.split(['&', '?', '#']).map(mask_parameter).collect();
    let mut masked = format!("{scheme}{address}");
    let signs = query.matches(['&', '?', '#']);
    // Every parameter after the first, empty one follows a sign.
    for (sign, parameter) in signs.zip(parameters.iter().skip(1)) {
        masked.push_str(sign);
        masked.push_str(parameter);
    }
    masked
}

fn mask_parameter(parameter: &str) -> Cow<'_, str> {
    match parameter.split_once('=') {
        Some((name, _)) if PUBLIC_PARAMETERS.contains(&name) => Cow::Borrowed(parameter),
        Some((name, value)) if !value.is_empty() => Cow::Owned(format!("{name}={MASK}")),
        Some(_) => Cow::Borrowed(parameter),
        None if parameter.is_empty() => Cow::Borrowed(parameter),
        None => Cow::Borrowed(MASK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_urls_are_masked() {
        for (url, masked) in [
            ("http://u:geheim@h:1", "http://***@h:1"),
            ("u:geheim@h", "***@h"),
            ("http://u:ge@heim@h/x", "http://***@h/x"),
            ("https://h/?access_token=geheim&x=", "https://h/?access_token=***&x="),
            ("unix:///run/redis?db=1&pass=geheim", "unix:///run/redis?db=1&pass=***"),
            ("https://u:p@h/?geheim#geheim", "https://***@h/?***#***"),
            ("redis://u:ge?heim@h/0", "redis://***"),
        ] {
            assert_eq!(mask_url(url), masked, "{url}");
        }
        for url in ["http://h:1", "", "redis://h/0?db=2&protocol=resp3", "https://h/path"] {
            assert_eq!(mask_url(url), url);
        }
    }
}
