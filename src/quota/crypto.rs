//! What of a run may lie on a server that others use: numbers as keyed digests, everything else of it encrypted. Owns the
//! keys, which are derived from the app's secret and leave this process never. Leaves what is sealed to the others here.

use std::fmt::{self, Write as _};

use ring::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};

/// What the keys are for, and of which make: another make of the stored data takes another.
const HKDF_SALT: &[u8] = b"dingmap shared 1";
/// How much of a digest stands for a number: enough for no two of ten milliards to be taken for each other.
const DIGEST_BYTES: usize = 16;

/// The keys of one app. Whoever has another secret has other keys, and finds nothing.
pub(crate) struct AppKeys {
    digest_key: hmac::Key,
    cipher: LessSafeKey,
    rng: SystemRandom,
}

impl fmt::Debug for AppKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(..)")
    }
}

impl AppKeys {
    /// The keys that follow from a secret (HKDF with SHA-256, RFC 5869); none only where the library's bounds changed.
    #[must_use]
    pub(crate) fn from_secret(secret: &SecretString) -> Option<Self> {
        let source = Salt::new(HKDF_SHA256, HKDF_SALT).extract(secret.expose_secret().as_bytes());
        let digest = hmac::Key::from(source.expand(&[b"digest"], hmac::HMAC_SHA256).ok()?);
        let cipher = LessSafeKey::new(UnboundKey::from(
            source.expand(&[b"cipher"], &aead::CHACHA20_POLY1305).ok()?,
        ));
        Some(Self { digest_key: digest, cipher, rng: SystemRandom::new() })
    }

    /// What stands for these parts: 32 hexadecimal digits. Each has its length in front, so that no two lists of parts run
    /// into one another.
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

    /// The plain bytes encrypted, which only serve at this `place` (ChaCha20-Poly1305, RFC 8439, with a random nonce in
    /// front); none where the system has no randomness.
    #[must_use]
    pub(crate) fn encrypt(&self, place: &str, mut plain: Vec<u8>) -> Option<Vec<u8>> {
        let mut nonce = [0; aead::NONCE_LEN];
        self.rng.fill(&mut nonce).ok()?;
        let (unique, place) = (Nonce::assume_unique_for_key(nonce), Aad::from(place.as_bytes()));
        self.cipher.seal_in_place_append_tag(unique, place, &mut plain).ok()?;
        Some([&nonce[..], &plain].concat())
    }

    /// What was encrypted for this `place`; none for anything else, by whomever it was put there.
    #[must_use]
    pub(crate) fn decrypt(&self, place: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk()?;
        let mut bytes = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain =
            self.cipher.open_in_place(nonce, Aad::from(place.as_bytes()), &mut bytes).ok()?;
        Some(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(secret: &str) -> AppKeys {
        AppKeys::from_secret(&secret.into()).unwrap()
    }

    #[test]
    fn ciphertext_decrypts_only_under_its_key_name_and_secret() {
        let one = seal("one");
        let closed = one.encrypt("a", b"13800138000".to_vec()).unwrap();
        assert_ne!(one.encrypt("a", b"13800138000".to_vec()).unwrap(), closed, "no nonce twice");
        assert!(
            !closed.windows(5).any(|part| b"13800138000".windows(5).any(|digits| digits == part))
        );
        assert_eq!(one.decrypt("a", &closed).as_deref(), Some(&b"13800138000"[..]));
        assert_eq!((one.decrypt("b", &closed), seal("two").decrypt("a", &closed)), (None, None));
        for length in 0..closed.len() {
            assert_eq!(one.decrypt("a", &closed[..length]), None);
        }
        for bit in 0..closed.len() * 8 {
            let mut flipped = closed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(one.decrypt("a", &flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn digests_differ_by_fields_and_secrets() {
        let one = seal("one");
        let digests = [
            one.digest(&[b"a", b"bc"]),
            one.digest(&[b"ab", b"c"]),
            one.digest(&[b"abc"]),
            seal("two").digest(&[b"a", b"bc"]),
        ];
        for (at, digest) in digests.iter().enumerate() {
            assert_eq!(
                (digest.len(), digests.iter().position(|other| other == digest)),
                (32, Some(at))
            );
        }
        // Runs of every later version have to find what this one kept.
        assert_eq!(one.digest(&[b"a", b"bc"]), one.digest(&[b"a", b"bc"]));
    }
}
