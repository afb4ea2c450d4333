//! One answer as it lies on disk: which answers are kept, their bytes, and a checksum over key and bytes. Leaves where
//! the bytes lie to `disk`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::outcome::{Code, Outcome, Status};

/// The statuses that are definitive, each at the number that stands for it on disk: these never change places.
const DEFINITIVE: [Status; 4] =
    [Status::Found, Status::NotFound, Status::BadNumber, Status::OutOfScope];
/// How many bytes of a value are its checksum.
const CHECKSUM: usize = 4;
/// In how many bytes a usual answer finds room.
const USUAL: usize = 96;

/// Whose answer: the number of the scope and the bits of the mobile number.
pub(crate) type Key = (u32, u64);

/// An answer, and when it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The ordinal of the session that asked.
    pub session: u64,
    /// The wall clock then, in seconds since 1970.
    pub asked: i64,
    /// The answer, shared with whoever looks it up before it is written.
    pub outcome: Arc<Outcome>,
}

/// Whether an answer is one that outlives its run. Nobody found is one; a failure or a row without its turn is none.
#[must_use]
pub(crate) fn definitive(status: Status) -> bool {
    DEFINITIVE.contains(&status)
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Cipher {
    Number(i64),
    Word(Box<str>),
}

/// The usual answer, found and nothing unusual about it: session, time, user id, request. It saves a third of the file.
type Plain<S> = (u64, i64, S, S);
/// Any other: session, time, status, code, user id, exclusive ids, message, request.
type Whole<S> = (u64, i64, usize, Option<Cipher>, S, S, S, S);

impl Kept {
    /// The bytes on disk; none for an answer that is not [`definitive`].
    #[must_use]
    pub fn encode(&self, key: Key) -> Option<Vec<u8>> {
        let outcome = &self.outcome;
        let status = DEFINITIVE.iter().position(|status| *status == outcome.status)?;
        let code = outcome.code.as_ref().map(|code| match code {
            Code::Number(number) => Cipher::Number(*number),
            Code::Word(word) => Cipher::Word(word.clone()),
        });
        let mut bytes = Vec::with_capacity(USUAL);
        bytes.resize(CHECKSUM, 0);
        let request = &*outcome.request;
        if is_plain(outcome) {
            let plain: Plain<&str> = (self.session, self.asked, &outcome.userid, request);
            serde_json::to_writer(&mut bytes, &plain).ok()?;
        } else {
            let (userid, exclusive) = (&*outcome.userid, &*outcome.exclusive);
            let message = if is_nobody(outcome.status, outcome.code.as_ref()) {
                ""
            } else {
                &*outcome.message
            };
            let whole: Whole<&str> =
                (self.session, self.asked, status, code, userid, exclusive, message, request);
            serde_json::to_writer(&mut bytes, &whole).ok()?;
        }
        let sum = checksum(key, bytes.get(CHECKSUM..)?);
        bytes.get_mut(..CHECKSUM)?.copy_from_slice(&sum);
        Some(bytes)
    }

    /// What the bytes say; none where they are not as they were written, or belong to another key.
    #[must_use]
    pub fn decode(key: Key, bytes: &[u8]) -> Option<Self> {
        let (sum, json) = bytes.split_at_checked(CHECKSUM)?;
        if sum != checksum(key, json) {
            return None;
        }
        if let Ok((session, asked, userid, request)) =
            serde_json::from_slice::<Plain<Box<str>>>(json)
        {
            return Some(Self { session, asked, outcome: Arc::new(plain(userid, request)) });
        }
        let (session, asked, status, code, userid, exclusive, message, request): Whole<Box<str>> =
            serde_json::from_slice(json).ok()?;
        let code = code.map(|code| match code {
            Cipher::Number(number) => Code::Number(number),
            Cipher::Word(word) => Code::Word(word),
        });
        let status = *DEFINITIVE.get(status)?;
        let outcome = if message.is_empty() && is_nobody(status, code.as_ref()) {
            Outcome { request, ..Outcome::nobody(code) }
        } else {
            Outcome { status, userid, exclusive, code, message, request }
        };
        Some(Self { session, asked, outcome: Arc::new(outcome) })
    }
}

/// The message of the usual answer.
const OK: &str = "ok";

/// The usual answer.
fn plain(userid: Box<str>, request: Box<str>) -> Outcome {
    Outcome { userid, request, ..Outcome::bare(Status::Found, Some(Code::Number(0)), OK) }
}

/// Whether [`plain`] makes this answer of its user id and its request.
fn is_plain(outcome: &Outcome) -> bool {
    let Outcome { status, userid: _, exclusive, code, message, request: _ } = outcome;
    *status == Status::Found
        && exclusive.is_empty()
        && *code == Some(Code::Number(0))
        && **message == *OK
}

/// Whether the reason for this answer is our own, which is kept in no language: whoever reads it may speak another.
fn is_nobody(status: Status, code: Option<&Code>) -> bool {
    status == Status::NotFound && code == Some(&Code::Number(0))
}

fn checksum((scope, number): Key, json: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&scope.to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.update(json);
    hasher.finalize().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(outcome: Outcome) -> Kept {
        Kept { session: 7, asked: 1_790_000_000, outcome: Arc::new(outcome) }
    }

    fn answers() -> Vec<Outcome> {
        let found = Outcome {
            userid: "u1\"\\,;".into(),
            exclusive: "a;b".into(),
            ..Outcome::bare(Status::Found, Some(Code::Number(0)), "ok\u{0}\u{7f}找")
        };
        let word = Code::Word("isp.x".into());
        vec![
            plain("u1".into(), "r-1".into()),
            plain("".into(), "".into()),
            Outcome { exclusive: "a".into(), ..plain("u1".into(), "r-1".into()) },
            found.clone(),
            Outcome { code: None, ..found },
            Outcome::bare(Status::NotFound, Some(Code::Number(60121)), ""),
            Outcome { request: "r-3".into(), ..Outcome::nobody(Some(Code::Number(0))) },
            Outcome { request: "r-2".into(), ..Outcome::bare(Status::NotFound, None, "x") },
            Outcome::bare(Status::BadNumber, Some(word), "m"),
            Outcome::bare(Status::OutOfScope, Some(Code::Number(-1)), "m"),
        ]
    }

    #[test]
    fn what_is_kept_comes_back_as_it_was_and_under_its_key_alone() {
        for outcome in answers() {
            let kept = kept(outcome);
            let bytes = kept.encode((1, 2)).unwrap();
            assert_eq!(Kept::decode((1, 2), &bytes).as_ref(), Some(&kept));
            assert_eq!((Kept::decode((1, 3), &bytes), Kept::decode((2, 2), &bytes)), (None, None));
        }
    }

    #[test]
    fn a_reason_of_ours_is_kept_in_no_language() {
        let nobody = Outcome::nobody(Some(Code::Number(0)));
        let bytes = kept(nobody.clone()).encode((1, 2)).unwrap();
        assert!(!bytes.windows(4).any(|part| part == b"user"), "{}", bytes.escape_ascii());
        // Words that an earlier dingmap kept stay as they are.
        let json = br#"[7,1790000000,1,0,"","","in words",""]"#;
        let read = Kept::decode((1, 2), &[&checksum((1, 2), json), &json[..]].concat());
        assert_eq!(read, Some(kept(Outcome { message: "in words".into(), ..nobody })));
    }

    #[test]
    fn only_definitive_answers_have_bytes() {
        for status in Status::ALL {
            let kept = kept(Outcome::bare(status, None, "m"));
            assert_eq!(kept.encode((1, 2)).is_some(), definitive(status), "{status}");
        }
        assert!(
            !definitive(Status::Failed)
                && !definitive(Status::Pending)
                && !definitive(Status::Invalid)
        );
    }

    #[test]
    fn a_flipped_bit_or_a_cut_is_no_answer() {
        for outcome in answers() {
            let bytes = kept(outcome).encode((1, 2)).unwrap();
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Kept::decode((1, 2), &flipped), None, "bit {bit}");
            }
            for length in 0..bytes.len() {
                assert_eq!(Kept::decode((1, 2), &bytes[..length]), None, "{length} bytes");
            }
        }
    }
}
