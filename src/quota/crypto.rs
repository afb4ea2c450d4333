//! The keys for data on the shared server: numbers are stored as keyed digests, everything else
//! encrypted. The keys are derived from the app's secret and never leave the process.

use std::fmt::{self, Write as _};

use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};

/// Has the version of the stored data, as [`KEY_PREFIX`](crate::quota::protocol::KEY_PREFIX) has.
const HKDF_SALT: &[u8] = b"dingmap shared 1";
/// 128 bits: a collision among 10 billion numbers has a probability below 10⁻¹⁸.
const DIGEST_BYTES: usize = 16;

/// The keys of one app. With another secret, no data is found.
pub(crate) struct AppKeys {
    digest_key: hmac::Key,
    cipher: LessSafeKey,
    rng: SystemRandom,
}

impl fmt::Debug for AppKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppKeys(..)")
    }
}

impl AppKeys {
    /// Derives the keys by HKDF with SHA-256 (RFC 5869). `None` only if the library rejects the
    /// lengths.
    #[must_use]
    pub(crate) fn from_secret(secret: &SecretString) -> Option<Self> {
        let source = Salt::new(HKDF_SHA256, HKDF_SALT).extract(secret.expose_secret().as_bytes());
        let digest_key = hmac::Key::from(source.expand(&[b"digest"], hmac::HMAC_SHA256).ok()?);
        let cipher = LessSafeKey::new(UnboundKey::from(
            source.expand(&[b"cipher"], &aead::CHACHA20_POLY1305).ok()?,
        ));
        Some(Self { digest_key, cipher, rng: SystemRandom::new() })
    }

    /// The keyed digest of a list of byte strings, as 32 hexadecimal digits. Each is hashed with
    /// its length, so that lists with the same concatenation differ.
    #[must_use]
    pub(crate) fn digest(&self, parts: &[&[u8]]) -> String {
        let mut context = hmac::Context::with_key(&self.digest_key);
        for part in parts {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        let mut text = String::with_capacity(2 * DIGEST_BYTES);
        for byte in context.sign().as_ref().iter().take(DIGEST_BYTES) {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// Encrypts by ChaCha20-Poly1305 (RFC 8439), with a random nonce in front. `None` if the system
    /// has no randomness.
    #[must_use]
    pub(crate) fn encrypt(&self, associated_data: &str, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let mut nonce = [0; aead::NONCE_LEN];
        self.rng.fill(&mut nonce).ok()?;
        let associated_data = Aad::from(associated_data.as_bytes());
        let unique_nonce = Nonce::assume_unique_for_key(nonce);
        self.cipher.seal_in_place_append_tag(unique_nonce, associated_data, &mut bytes).ok()?;
        Some([&nonce[..], &bytes].concat())
    }

    /// The inverse of [`AppKeys::encrypt`]. `None` for anything that was not encrypted with these
    /// keys and this associated data.
    #[must_use]
    pub(crate) fn decrypt(&self, associated_data: &str, encrypted: &[u8]) -> Option<Vec<u8>> {
        let (nonce, encrypted) = encrypted.split_first_chunk()?;
        let mut bytes = encrypted.to_vec();
        let associated_data = Aad::from(associated_data.as_bytes());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        Some(self.cipher.open_in_place(nonce, associated_data, &mut bytes).ok()?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app_keys(secret: &str) -> AppKeys {
        AppKeys::from_secret(&secret.into()).unwrap()
    }

    #[test]
    fn ciphertext_decrypts_only_under_its_key_name_and_secret() {
        let one = app_keys("one");
        let encrypted = one.encrypt("a", b"13800138000".to_vec()).unwrap();
        assert_ne!(one.encrypt("a", b"13800138000".to_vec()).unwrap(), encrypted, "another nonce");
        let has_digits = |part: &[u8]| b"13800138000".windows(5).any(|digits| digits == part);
        assert!(!encrypted.windows(5).any(has_digits));
        assert_eq!(one.decrypt("a", &encrypted).as_deref(), Some(&b"13800138000"[..]));
        assert_eq!(one.decrypt("b", &encrypted), None);
        assert_eq!(app_keys("two").decrypt("a", &encrypted), None);
        for length in 0..encrypted.len() {
            assert_eq!(one.decrypt("a", &encrypted[..length]), None);
        }
        for bit in 0..encrypted.len() * 8 {
            let mut flipped = encrypted.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(one.decrypt("a", &flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn digests_differ_by_fields_and_secrets() {
        let one = app_keys("one");
        let digests = [
            one.digest(&[b"a", b"bc"]),
            one.digest(&[b"ab", b"c"]),
            one.digest(&[b"abc"]),
            app_keys("two").digest(&[b"a", b"bc"]),
        ];
        for (index, digest) in digests.iter().enumerate() {
            assert_eq!(
                (digest.len(), digests.iter().position(|other| other == digest)),
                (32, Some(index))
            );
        }
        assert_eq!(one.digest(&[b"a", b"bc"]), one.digest(&[b"a", b"bc"]));
    }
}
