//! What keeps answers and runs apart: whose directory was asked and how (the scope), and by what a
//! run is known again (its fingerprint). Nothing here can be turned back into a token.

use std::fmt::{self, Write as _};
use std::io::{self, Read};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How the name of a token's owner begins.
const TOKEN_PREFIX: &str = "token:";
/// Bytes of a file that are read at once.
const BLOCK_SIZE: usize = 256 << 10;

/// Whose answers: those of one scope never serve in another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The host that was asked, or a word for one that is made anew for each run.
    pub endpoint: String,
    /// The app's key, or what [`Scope::app_from_token`] makes of a token.
    pub app: String,
    /// Whether exclusive accounts were searched too.
    pub exclusive: bool,
    /// Whether mainland numbers were sent with their country code.
    pub prefixed: bool,
}

impl Scope {
    /// Whether nothing but a token says whose answers these are.
    #[must_use]
    pub fn is_token_only(&self) -> bool {
        self.app.starts_with(TOKEN_PREFIX)
    }

    /// The name of whoever a token belongs to, where nothing else is known: a digest of it.
    #[must_use]
    pub fn app_from_token(token: &str) -> String {
        let digest = Fingerprint::new("dingmap token").with("token", token.as_bytes()).to_string();
        // Half of its 64 digits is enough to tell any two tokens apart.
        format!("{TOKEN_PREFIX}{}", &digest[..32])
    }
}

/// By what a run is known again: a digest of its input and of the options that change answers.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    /// Begins one; those that begin with another word never agree with it.
    #[must_use]
    pub(crate) fn new(kind: &str) -> Self {
        Self(Sha256::new()).with("", kind.as_bytes())
    }

    /// Adds a part. The name and both lengths count, so that no two lists of parts run into one
    /// another.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: &[u8]) -> Self {
        for part in [name.as_bytes(), value] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
        self
    }

    /// Adds everything that there is to read.
    ///
    /// # Errors
    /// What reading says.
    pub(crate) fn with_content(mut self, content: impl Read) -> io::Result<Self> {
        hash_content(&mut self.0, content)?;
        Ok(self.with("content", b""))
    }
}

/// The SHA-256 of everything that there is to read, as other programs tell it.
///
/// # Errors
/// What reading says.
pub(crate) fn sha256(content: impl Read) -> io::Result<String> {
    let mut print = Fingerprint(Sha256::new());
    hash_content(&mut print.0, content)?;
    Ok(print.to_string())
}

fn hash_content(hash: &mut Sha256, mut content: impl Read) -> io::Result<()> {
    let mut block = vec![0; BLOCK_SIZE];
    loop {
        match content.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(read) => hash.update(&block[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for byte in self.0.clone().finalize() {
            write!(text, "{byte:02x}")?;
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_field_and_its_position_change_the_digest() {
        let run = || Fingerprint::new("run");
        let prints = [
            run(),
            Fingerprint::new("ru"),
            run().with("a", b"bc"),
            run().with("ab", b"c"),
            run().with("a", b"b").with("", b"c"),
            run().with("", b"c").with("a", b"b"),
            run().with_content(&b"bc"[..]).unwrap(),
            run().with_content(&b"b"[..]).unwrap().with("", b"c"),
        ]
        .map(|print| print.to_string());
        for (at, print) in prints.iter().enumerate() {
            assert_eq!(
                (print.len(), prints.iter().position(|other| other == print)),
                (64, Some(at))
            );
        }
        let long = vec![7; 3 * BLOCK_SIZE + 1];
        let print = |bytes: &[u8]| run().with_content(bytes).unwrap().to_string();
        assert_ne!(print(&long), print(&long[1..]));
        assert_eq!(print(&long), print(&long));
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
