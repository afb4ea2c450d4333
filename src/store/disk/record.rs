//! A stored answer: which answers are stored, their bytes, and a checksum over key and bytes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::outcome::{Code, Outcome, Status};

/// The definitive statuses. The index of a status is its number on disk, so the order must not
/// change.
const DEFINITIVE: [Status; 4] =
    [Status::Found, Status::NotFound, Status::BadNumber, Status::OutOfScope];
/// Bytes of the checksum at the start of a value.
const CHECKSUM_LEN: usize = 4;
/// Bytes reserved for a value; most values fit.
const TYPICAL_LEN: usize = 96;

/// The number of the scope and the bits of the mobile number.
pub(crate) type AnswerKey = (u32, u64);

/// A stored answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerRecord {
    /// The session that looked the number up.
    pub session_id: u64,
    /// When it was looked up, in seconds since 1970.
    pub asked_at: i64,
    /// Shared with lookups that happen before it is committed.
    pub outcome: Arc<Outcome>,
}

/// Whether answers with this status outlive their run, as `not_found` does. `failed` and `pending`
/// do not.
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

/// The most common kind of answer (see [`is_compact`]): session, time, user id, request id. This
/// form makes the file a third smaller.
type CompactFields<S> = (u64, i64, S, S);
/// Any other answer: session, time, status, code, user id, exclusive ids, message, request id.
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
        let request_id = &*outcome.request_id;
        if is_compact(outcome) {
            let fields: CompactFields<&str> =
                (self.session_id, self.asked_at, &outcome.userid, request_id);
            serde_json::to_writer(&mut bytes, &fields).ok()?;
        } else {
            let (userid, exclusive) = (&*outcome.userid, &*outcome.exclusive_ids);
            let message = if is_ok_without_user(outcome.status, outcome.code.as_ref()) {
                ""
            } else {
                &*outcome.message
            };
            let (session_id, asked_at) = (self.session_id, self.asked_at);
            let fields: FullFields<&str> =
                (session_id, asked_at, status, code, userid, exclusive, message, request_id);
            serde_json::to_writer(&mut bytes, &fields).ok()?;
        }
        let (sum, json) = bytes.split_at_mut(CHECKSUM_LEN);
        sum.copy_from_slice(&checksum(key, json));
        Some(bytes)
    }

    /// Decodes a value; none if it is damaged or belongs to another key.
    #[must_use]
    pub fn decode(key: AnswerKey, bytes: &[u8]) -> Option<Self> {
        let (sum, json) = bytes.split_at_checked(CHECKSUM_LEN)?;
        if sum != checksum(key, json) {
            return None;
        }
        if let Ok((session_id, asked_at, userid, request_id)) =
            serde_json::from_slice::<CompactFields<Box<str>>>(json)
        {
            return Some(Self {
                session_id,
                asked_at,
                outcome: Arc::new(compact_outcome(userid, request_id)),
            });
        }
        let fields: FullFields<Box<str>> = serde_json::from_slice(json).ok()?;
        let (session_id, asked_at, status, code, userid, exclusive_ids, message, request_id) =
            fields;
        let code = code.map(|code| match code {
            StoredCode::Number(number) => Code::Number(number),
            StoredCode::Word(word) => Code::Word(word),
        });
        let status = *DEFINITIVE.get(status)?;
        let outcome = if message.is_empty() && is_ok_without_user(status, code.as_ref()) {
            Outcome { request_id, ..Outcome::ok_without_user(code) }
        } else {
            Outcome { status, userid, exclusive_ids, code, message, request_id }
        };
        Some(Self { session_id, asked_at, outcome: Arc::new(outcome) })
    }
}

/// The message of a [compact](is_compact) answer.
const OK_MESSAGE: &str = "ok";

fn compact_outcome(userid: Box<str>, request_id: Box<str>) -> Outcome {
    Outcome {
        userid,
        request_id,
        ..Outcome::without_user(Status::Found, Some(Code::Number(0)), OK_MESSAGE)
    }
}

/// Whether [`compact_outcome`] restores this answer from its user id and request id.
fn is_compact(outcome: &Outcome) -> bool {
    let Outcome { status, userid: _, exclusive_ids: exclusive, code, message, request_id: _ } =
        outcome;
    *status == Status::Found
        && exclusive.is_empty()
        && *code == Some(Code::Number(0))
        && **message == *OK_MESSAGE
}

/// Whether dingmap itself gave the reason for this answer. Such a message is not stored, so that it
/// is shown in the language of the reader.
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

    fn record(outcome: Outcome) -> AnswerRecord {
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
            let record = record(outcome);
            let bytes = record.encode((1, 2)).unwrap();
            assert_eq!(AnswerRecord::decode((1, 2), &bytes).as_ref(), Some(&record));
            assert_eq!(
                (AnswerRecord::decode((1, 3), &bytes), AnswerRecord::decode((2, 2), &bytes)),
                (None, None)
            );
        }
    }

    #[test]
    fn a_reason_of_dingmap_is_stored_without_language() {
        let without_user = Outcome::ok_without_user(Some(Code::Number(0)));
        let bytes = record(without_user.clone()).encode((1, 2)).unwrap();
        assert!(!bytes.windows(4).any(|part| part == b"user"), "{}", bytes.escape_ascii());
        // A message stored by an earlier version stays as it is.
        let json = br#"[7,1790000000,1,0,"","","in words",""]"#;
        let read = AnswerRecord::decode((1, 2), &[&checksum((1, 2), json), &json[..]].concat());
        assert_eq!(read, Some(record(Outcome { message: "in words".into(), ..without_user })));
    }

    #[test]
    fn only_definitive_answers_are_encoded() {
        for status in Status::ALL {
            let record = record(Outcome::without_user(status, None, "m"));
            assert_eq!(record.encode((1, 2)).is_some(), is_definitive(status), "{status}");
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
            let bytes = record(outcome).encode((1, 2)).unwrap();
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
