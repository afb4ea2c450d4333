//! One stored answer: which answers are stored, their bytes, and a checksum over key and bytes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::outcome::{Code, Outcome, Status};

/// The statuses that are definitive, each at the number that stands for it on disk: these never
/// change places.
const DEFINITIVE: [Status; 4] =
    [Status::Found, Status::NotFound, Status::BadNumber, Status::OutOfScope];
/// How many bytes of a value are its checksum.
const CHECKSUM_LEN: usize = 4;
/// In how many bytes a usual answer finds room.
const TYPICAL_LEN: usize = 96;

/// Whose answer: the number of the scope and the bits of the mobile number.
pub(crate) type AnswerKey = (u32, u64);

/// An answer, and when it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerRecord {
    /// The ordinal of the session that asked.
    pub session_id: u64,
    /// The wall clock then, in seconds since 1970.
    pub asked_at: i64,
    /// The answer, shared with whoever looks it up before it is written.
    pub outcome: Arc<Outcome>,
}

/// Whether an answer is one that outlives its run. Nobody found is one; a failure or a row without
/// its turn is none.
#[must_use]
pub(crate) fn is_definitive(status: Status) -> bool {
    DEFINITIVE.contains(&status)
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredCode {
    Number(i64),
    Word(Box<str>),
}

/// The usual answer, found and nothing unusual about it: session, time, user id, request. It saves
/// a third of the file.
type CompactFields<S> = (u64, i64, S, S);
/// Any other: session, time, status, code, user id, exclusive ids, message, request.
type FullFields<S> = (u64, i64, usize, Option<StoredCode>, S, S, S, S);

impl AnswerRecord {
    /// The bytes on disk; none for an answer that is not [definitive](is_definitive).
    #[must_use]
    pub fn encode(&self, key: AnswerKey) -> Option<Vec<u8>> {
        let outcome = &self.outcome;
        let status = DEFINITIVE.iter().position(|status| *status == outcome.status)?;
        let code = outcome.code.as_ref().map(|code| match code {
            Code::Number(number) => StoredCode::Number(*number),
            Code::Word(word) => StoredCode::Word(word.clone()),
        });
        let mut bytes = Vec::with_capacity(TYPICAL_LEN);
        bytes.resize(CHECKSUM_LEN, 0);
        let request = &*outcome.request_id;
        if is_compact(outcome) {
            let plain: CompactFields<&str> =
                (self.session_id, self.asked_at, &outcome.userid, request);
            serde_json::to_writer(&mut bytes, &plain).ok()?;
        } else {
            let (userid, exclusive) = (&*outcome.userid, &*outcome.exclusive_ids);
            let message = if is_ok_without_user(outcome.status, outcome.code.as_ref()) {
                ""
            } else {
                &*outcome.message
            };
            let whole: FullFields<&str> =
                (self.session_id, self.asked_at, status, code, userid, exclusive, message, request);
            serde_json::to_writer(&mut bytes, &whole).ok()?;
        }
        let sum = checksum(key, bytes.get(CHECKSUM_LEN..)?);
        bytes.get_mut(..CHECKSUM_LEN)?.copy_from_slice(&sum);
        Some(bytes)
    }

    /// What the bytes say; none where they are not as they were written, or belong to another key.
    #[must_use]
    pub fn decode(key: AnswerKey, bytes: &[u8]) -> Option<Self> {
        let (sum, json) = bytes.split_at_checked(CHECKSUM_LEN)?;
        if sum != checksum(key, json) {
            return None;
        }
        if let Ok((session, asked, userid, request)) =
            serde_json::from_slice::<CompactFields<Box<str>>>(json)
        {
            return Some(Self {
                session_id: session,
                asked_at: asked,
                outcome: Arc::new(compact_outcome(userid, request)),
            });
        }
        let (session, asked, status, code, userid, exclusive, message, request): FullFields<
            Box<str>,
        > = serde_json::from_slice(json).ok()?;
        let code = code.map(|code| match code {
            StoredCode::Number(number) => Code::Number(number),
            StoredCode::Word(word) => Code::Word(word),
        });
        let status = *DEFINITIVE.get(status)?;
        let outcome = if message.is_empty() && is_ok_without_user(status, code.as_ref()) {
            Outcome { request_id: request, ..Outcome::ok_without_user(code) }
        } else {
            Outcome { status, userid, exclusive_ids: exclusive, code, message, request_id: request }
        };
        Some(Self { session_id: session, asked_at: asked, outcome: Arc::new(outcome) })
    }
}

/// The message of the usual answer.
const OK_MESSAGE: &str = "ok";

/// The usual answer.
fn compact_outcome(userid: Box<str>, request: Box<str>) -> Outcome {
    Outcome {
        userid,
        request_id: request,
        ..Outcome::without_user(Status::Found, Some(Code::Number(0)), OK_MESSAGE)
    }
}

/// Whether [`compact_outcome`] makes this answer of its user id and its request.
fn is_compact(outcome: &Outcome) -> bool {
    let Outcome { status, userid: _, exclusive_ids: exclusive, code, message, request_id: _ } =
        outcome;
    *status == Status::Found
        && exclusive.is_empty()
        && *code == Some(Code::Number(0))
        && **message == *OK_MESSAGE
}

/// Whether the reason for this answer is our own, which is kept in no language: whoever reads it
/// may speak another.
fn is_ok_without_user(status: Status, code: Option<&Code>) -> bool {
    status == Status::NotFound && code == Some(&Code::Number(0))
}

fn checksum((scope, number): AnswerKey, json: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&scope.to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.update(json);
    hasher.finalize().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(outcome: Outcome) -> AnswerRecord {
        AnswerRecord { session_id: 7, asked_at: 1_790_000_000, outcome: Arc::new(outcome) }
    }

    fn answers() -> Vec<Outcome> {
        let found = Outcome {
            userid: "u1\"\\,;".into(),
            exclusive_ids: "a;b".into(),
            ..Outcome::without_user(Status::Found, Some(Code::Number(0)), "ok\u{0}\u{7f}找")
        };
        let word = Code::Word("isp.x".into());
        vec![
            compact_outcome("u1".into(), "r-1".into()),
            compact_outcome("".into(), "".into()),
            Outcome { exclusive_ids: "a".into(), ..compact_outcome("u1".into(), "r-1".into()) },
            found.clone(),
            Outcome { code: None, ..found },
            Outcome::without_user(Status::NotFound, Some(Code::Number(60121)), ""),
            Outcome { request_id: "r-3".into(), ..Outcome::ok_without_user(Some(Code::Number(0))) },
            Outcome {
                request_id: "r-2".into(),
                ..Outcome::without_user(Status::NotFound, None, "x")
            },
            Outcome::without_user(Status::BadNumber, Some(word), "m"),
            Outcome::without_user(Status::OutOfScope, Some(Code::Number(-1)), "m"),
        ]
    }

    #[test]
    fn a_stored_answer_survives_a_round_trip_only_under_its_key() {
        for outcome in answers() {
            let kept = kept(outcome);
            let bytes = kept.encode((1, 2)).unwrap();
            assert_eq!(AnswerRecord::decode((1, 2), &bytes).as_ref(), Some(&kept));
            assert_eq!(
                (AnswerRecord::decode((1, 3), &bytes), AnswerRecord::decode((2, 2), &bytes)),
                (None, None)
            );
        }
    }

    #[test]
    fn a_reason_of_dingmap_is_stored_without_language() {
        let nobody = Outcome::ok_without_user(Some(Code::Number(0)));
        let bytes = kept(nobody.clone()).encode((1, 2)).unwrap();
        assert!(!bytes.windows(4).any(|part| part == b"user"), "{}", bytes.escape_ascii());
        // Words that an earlier dingmap kept stay as they are.
        let json = br#"[7,1790000000,1,0,"","","in words",""]"#;
        let read = AnswerRecord::decode((1, 2), &[&checksum((1, 2), json), &json[..]].concat());
        assert_eq!(read, Some(kept(Outcome { message: "in words".into(), ..nobody })));
    }

    #[test]
    fn only_definitive_answers_are_encoded() {
        for status in Status::ALL {
            let kept = kept(Outcome::without_user(status, None, "m"));
            assert_eq!(kept.encode((1, 2)).is_some(), is_definitive(status), "{status}");
        }
        assert!(
            !is_definitive(Status::Failed)
                && !is_definitive(Status::Pending)
                && !is_definitive(Status::Invalid)
        );
    }

    #[test]
    fn a_damaged_record_is_not_an_answer() {
        for outcome in answers() {
            let bytes = kept(outcome).encode((1, 2)).unwrap();
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(AnswerRecord::decode((1, 2), &flipped), None, "bit {bit}");
            }
            for length in 0..bytes.len() {
                assert_eq!(AnswerRecord::decode((1, 2), &bytes[..length]), None, "{length} bytes");
            }
        }
    }
}
