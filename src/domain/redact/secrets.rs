//! What no text may show: the secrets of a run. Owns finding them in a text, whole or in pieces. Leaves which texts those are
//! to `token` and the engine.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use secrecy::{ExposeSecret, SecretString};

/// A piece of a secret of so many bytes is one too: who has cut it, or has more of it elsewhere, has told it all the same. A
/// shorter piece could be a word.
const PIECE_BYTES: usize = 10;
/// What stands in its place.
const REDACTED: &str = "***";

/// The secrets of a run, as many as it comes to know.
#[derive(Default)]
pub(crate) struct Redactor(Mutex<Vec<Pieces>>);

/// The pieces of one secret, in small letters and in every spelling.
struct Pieces {
    length: usize,
    windows: HashSet<Box<[u8]>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(..)")
    }
}

impl Redactor {
    /// Adds a secret: as it is, as URLs spell it, and as JSON may.
    pub(crate) fn add(&self, secret: &SecretString) {
        let secret = secret.expose_secret().to_ascii_lowercase();
        let length = secret.len().min(PIECE_BYTES);
        if length == 0 {
            return;
        }
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let form = form.to_ascii_lowercase();
        let spellings = [form.replace('+', "%20"), form, secret.replace('/', r"\/"), secret];
        let pieces = spellings.iter().flat_map(|spelling| spelling.as_bytes().windows(length));
        let pieces = Pieces { length, windows: pieces.map(Box::from).collect() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(pieces);
    }

    /// The text without any of them, whatever the case of its letters.
    #[must_use]
    pub(crate) fn redact(&self, text: String) -> String {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if secrets.iter().all(|secret| text.len() < secret.length) {
            return text;
        }
        let small = text.to_ascii_lowercase();
        // Where a piece begins, and where it ends; in order, and running into one another where more than a piece is there.
        let mut spans = Vec::new();
        for secret in &*secrets {
            for (start, window) in small.as_bytes().windows(secret.length).enumerate() {
                if secret.windows.contains(window) {
                    spans.push((start, start + secret.length));
                }
            }
        }
        if spans.is_empty() {
            return text;
        }
        spans.sort_unstable();
        let (mut told, mut at) = (String::new(), 0);
        for (start, end) in spans {
            let start = text.floor_char_boundary(start);
            if start >= at && !(start == at && at > 0) {
                told.push_str(text.get(at..start).unwrap_or_default());
                told.push_str(REDACTED);
            }
            at = at.max(text.ceil_char_boundary(end));
        }
        told.push_str(text.get(at..).unwrap_or_default());
        told
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "se cret/K+x==0123456789abcdefghij";

    fn veil() -> Redactor {
        let veil = Redactor::default();
        veil.add(&SECRET.into());
        veil.add(&"tokenofanhourago".into());
        veil
    }

    #[test]
    fn a_secret_is_redacted_in_every_spelling_and_in_fragments() {
        for (text, told) in [
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
            assert_eq!(veil().redact(text.clone()), told, "{text}");
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
            assert_eq!(veil().redact(text.to_owned()), text);
        }
        let short = Redactor::default();
        short.add(&"".into());
        short.add(&"abc".into());
        assert_eq!(short.redact("ab abc ABCD".to_owned()), "ab *** ***D");
        assert_eq!(format!("{short:?}"), "Redactor(..)");
    }

    proptest! {
        /// Whatever stands around and wherever it is cut: ten bytes in a row are never shown.
        #[test]
        fn no_fragment_of_a_secret_is_left(before in "\\PC{0,20}", after in "\\PC{0,20}", from in 0..33_usize, to in 0..33_usize) {
            let piece = SECRET.get(from.min(to)..from.max(to)).unwrap();
            let told = veil().redact(format!("{before}{piece}{after}"));
            let shown = |window: &[u8]| told.as_bytes().windows(PIECE_BYTES).any(|told| told == window);
            prop_assert!(!SECRET.as_bytes().windows(PIECE_BYTES).any(shown), "{}", told);
        }
    }
}
