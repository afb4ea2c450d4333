//! Removes a run's secrets from text, whole or in part.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

/// A fragment of a secret of this many bytes is secret too, since other fragments may be known from
/// elsewhere. A shorter one could be a word.
const FRAGMENT_BYTES: usize = 10;
/// Replaces a secret.
const REDACTED: &str = "***";

/// The secrets of a run. They are added as they become known.
#[derive(Default)]
pub(crate) struct Redactor(Mutex<Vec<Fragments>>);

/// The fragments of one secret, in lower case and in every spelling.
struct Fragments {
    length: usize,
    windows: HashSet<Box<[u8]>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(..)")
    }
}

impl Redactor {
    /// Adds a secret in its spellings: as it is, in URLs, and in JSON.
    pub(crate) fn add(&self, secret: &SecretString) {
        let secret = secret.expose_secret().to_ascii_lowercase();
        let length = secret.len().min(FRAGMENT_BYTES);
        if length == 0 {
            return;
        }
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let form = form.to_ascii_lowercase();
        let spellings = [form.replace('+', "%20"), form, secret.replace('/', r"\/"), secret];
        let windows = spellings.iter().flat_map(|spelling| spelling.as_bytes().windows(length));
        let fragments = Fragments { length, windows: windows.map(Box::from).collect() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fragments);
    }

    /// Replaces every secret and fragment of one, ignoring the case of ASCII letters.
    #[must_use]
    pub(crate) fn redact(&self, text: String) -> String {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if secrets.iter().all(|secret| text.len() < secret.length) {
            return text;
        }
        let lower = text.to_ascii_lowercase();
        let mut spans = Vec::new();
        for secret in &*secrets {
            for (start, window) in lower.as_bytes().windows(secret.length).enumerate() {
                if secret.windows.contains(window) {
                    spans.push((start, start + secret.length));
                }
            }
        }
        if spans.is_empty() {
            return text;
        }
        spans.sort_unstable();
        // Spans of one secret overlap or touch: they become one. `at` is the end of the last one.
        let (mut redacted, mut at) = (String::new(), 0);
        for (start, end) in spans {
            let start = text.floor_char_boundary(start);
            if start >= at && !(start == at && at > 0) {
                redacted.push_str(&text[at..start]);
                redacted.push_str(REDACTED);
            }
            at = at.max(text.ceil_char_boundary(end));
        }
        redacted.push_str(&text[at..]);
        redacted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "se cret/K+x==0123456789abcdefghij";

    fn redactor() -> Redactor {
        let redactor = Redactor::default();
        redactor.add(&SECRET.into());
        redactor.add(&"tokenofanhourago".into());
        redactor
    }

    #[test]
    fn a_secret_is_redacted_in_every_spelling_and_in_fragments() {
        for (text, shown) in [
            (format!("bad: {SECRET}!"), "bad: ***!"),
            ("t=se+cret%2FK%2Bx%3D%3D0123456789abcdefghij&".to_owned(), "t=***&"),
            ("se%20cret%2fk%2bx%3d%3d0123456789abcdefghij".to_owned(), "***"),
            (r"se cret\/K+x==0123456789abcdefghij".to_owned(), "***"),
            (SECRET.to_uppercase(), "***"),
            (format!("{} and more", &SECRET[..20]), "*** and more"),
            (format!("(…{}", &SECRET[5..]), "(…***"),
            (format!("{SECRET}{SECRET} of TokenOfAnHourAgo"), "*** of ***"),
            ("访问的".to_owned() + SECRET + "不合法", "访问的***不合法"),
        ] {
            assert_eq!(redactor().redact(text.clone()), shown, "{text}");
        }
    }

    #[test]
    fn text_that_is_not_secret_is_kept() {
        for text in [
            "",
            "ok",
            "0123456",
            "ding talk error[subcode=40014]",
            "找不到该用户，请检查该用户是否存在",
        ] {
            assert_eq!(redactor().redact(text.to_owned()), text);
        }
        let short = Redactor::default();
        short.add(&"".into());
        short.add(&"abc".into());
        assert_eq!(short.redact("ab abc ABCD".to_owned()), "ab *** ***D");
        assert_eq!(format!("{short:?}"), "Redactor(..)");
    }

    proptest! {
        /// For any context and any cut, no ten consecutive bytes of a secret are shown.
        #[test]
        fn no_fragment_of_a_secret_is_left(
            before in "\\PC{0,20}",
            after in "\\PC{0,20}",
            from in 0..33_usize,
            to in 0..33_usize,
        ) {
            let fragment = SECRET.get(from.min(to)..from.max(to)).unwrap();
            let shown = redactor().redact(format!("{before}{fragment}{after}"));
            let fragments = |text| str::as_bytes(text).windows(FRAGMENT_BYTES);
            let is_shown = |fragment: &[u8]| fragments(&shown).any(|part| part == fragment);
            prop_assert!(!fragments(SECRET).any(is_shown), "{}", shown);
        }
    }
}
