//! The scope of answers (whose directory was searched and how) and the fingerprint by which a run
//! is recognized. Neither reveals a token.

use std::fmt;
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::table::digest::{hash_content, to_hex};

/// The prefix of [`Scope::app`] when only a token is known.
const TOKEN_PREFIX: &str = "token:";

/// Whose answers these are: an answer is only used in its own scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The host of the API, or a fixed word for a host that each run starts itself.
    pub endpoint: String,
    /// The app's key, or the result of [`Scope::app_from_token`].
    pub app: String,
    /// Whether exclusive accounts were searched as well.
    pub exclusive: bool,
    /// Whether mainland numbers were sent with their country code.
    pub prefixed: bool,
}

impl Scope {
    /// Whether only a token identifies the owner of the answers.
    #[must_use]
    pub fn is_token_only(&self) -> bool {
        self.app.starts_with(TOKEN_PREFIX)
    }

    /// A name for the unknown app of a token: a digest of the token.
    #[must_use]
    pub fn app_from_token(token: &str) -> String {
        let digest = Fingerprint::new("dingmap token").with("token", token.as_bytes()).to_string();
        // Half of its 64 digits is enough to distinguish tokens.
        format!("{TOKEN_PREFIX}{}", &digest[..32])
    }
}

/// Identifies a run: a digest of its input and of the options that change answers.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    /// Starts a fingerprint; fingerprints of different kinds never match.
    #[must_use]
    pub(crate) fn new(kind: &str) -> Self {
        Self(Sha256::new()).with("", kind.as_bytes())
    }

    /// Adds a named value. Both lengths are hashed too, so that different lists of values cannot
    /// give the same bytes.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &[u8]) -> Self {
        for part in [name.as_bytes(), value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// Adds the content up to its end.
    pub(crate) fn with_content(mut self, content: impl Read) -> io::Result<Self> {
        hash_content(&mut self.0, content)?;
        Ok(self.with("content", b""))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_field_and_its_position_change_the_digest() {
        let run = || Fingerprint::new("run");
        let fingerprints = [
            run(),
            Fingerprint::new("ru"),
            run().with("a", b"bc"),
            run().with("ab", b"c"),
            run().with("a", b"b").with("", b"c"),
            run().with("", b"c").with("a", b"b"),
            run().with_content(&b"bc"[..]).unwrap(),
            run().with_content(&b"b"[..]).unwrap().with("", b"c"),
        ]
        .map(|fingerprint| fingerprint.to_string());
        for (at, fingerprint) in fingerprints.iter().enumerate() {
            assert_eq!(
                (fingerprint.len(), fingerprints.iter().position(|other| other == fingerprint)),
                (64, Some(at))
            );
        }
        let content = |bytes: &[u8]| run().with_content(bytes).unwrap().to_string();
        assert_ne!(content(b"long"), content(b"ong"));
        assert_eq!(content(b"long"), content(b"long"));
    }

    #[test]
    fn tokens_are_distinguished_without_being_stored() {
        let name = Scope::app_from_token("sandbox-token");
        assert!(
            !name.contains("sandbox") && name.starts_with("token:") && name.len() == 38,
            "{name}"
        );
        assert_ne!(name, Scope::app_from_token("sandbox-token2"));
        assert!(
            !name.contains(&Fingerprint(Sha256::new_with_prefix("sandbox-token")).to_string()[..8])
        );
    }
}
