//! SHA-256 digests of files.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// How many bytes of a file are read at once.
const BLOCK_SIZE: usize = 256 << 10;

/// Tells whether two files have the same content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileDigest {
    /// In bytes.
    pub size: u64,
    /// In hexadecimal digits.
    pub sha256: String,
}

impl FileDigest {
    pub(crate) fn from_path(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self { size: file.metadata()?.len(), sha256: sha256(file)? })
    }
}

/// The SHA-256 of the content in hexadecimal digits, as `sha256sum` prints it.
pub(crate) fn sha256(content: impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    hash_content(&mut hash, content)?;
    Ok(to_hex(hash))
}

/// Adds the content up to its end.
pub(crate) fn hash_content(hash: &mut Sha256, mut content: impl Read) -> io::Result<()> {
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

#[must_use]
pub(crate) fn to_hex(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_of_a_file_is_hashed() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256(&b""[..]).unwrap(), empty);
        let long = vec![7; 3 * BLOCK_SIZE + 1];
        assert_eq!(sha256(&*long).unwrap(), sha256(&*long).unwrap());
        assert_ne!(sha256(&*long).unwrap(), sha256(&long[1..]).unwrap());
    }
}
