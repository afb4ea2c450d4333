//! The two editions of DingTalk, each with a host and apps of its own.

/// Their endpoints: international, mainland China.
const ENDPOINTS: [&str; 2] = ["https://oapi.dingtalk.io", "https://oapi.dingtalk.com"];

/// The endpoint of the other edition; `None` if `endpoint` is neither. Its name in messages will
/// do: the proxy may follow the URL.
#[must_use]
pub(crate) fn other_edition(endpoint: &str) -> Option<&'static str> {
    let url = endpoint.split(' ').next()?.trim_end_matches('/');
    let own = ENDPOINTS.iter().position(|known| *known == url)?;
    Some(ENDPOINTS[1 - own])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_edition_is_named_for_the_two_hosts_alone() {
        let [international, mainland] = ENDPOINTS;
        assert_eq!(other_edition(international), Some(mainland));
        assert_eq!(other_edition("https://oapi.dingtalk.com/"), Some(international));
        let with_proxy = format!("{mainland} (proxy: http://proxy:3128)");
        assert_eq!(other_edition(&with_proxy), Some(international));
        for other in ["https://oapi.dingtalk.io.example", "http://127.0.0.1:1", ""] {
            assert_eq!(other_edition(other), None, "{other}");
        }
    }
}
