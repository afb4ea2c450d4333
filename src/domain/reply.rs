//! The API's reply: from the bytes of a body to the effective code, the message and the ids. Reads both shapes of
//! `API.md` 2 and every form in which their parts were seen. Leaves what a code means to `verdict`.

use serde::Deserialize;
use serde_json::value::RawValue;
use tr::tr;

use crate::domain::outcome::Code;

/// A body of the API, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The effective code: that of the gateway's wrapping where there is one.
    pub code: Code,
    /// The message that goes with the effective code.
    pub message: String,
    /// The user's id; none when absent, null or blank.
    pub userid: Option<String>,
    /// The ids of exclusive accounts, without blanks.
    pub exclusive_ids: Vec<String>,
    /// What the API calls the request by, where it says so in a form that can be passed on to its support.
    pub request_id: Option<String>,
}

/// A body that is not the API's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The page or object by which the platform bans an egress IP (`API.md` 2).
    #[error("{}", tr!("the platform refuses this network address for now"))]
    Banned,
    /// No bytes at all.
    #[error("{}", tr!("the reply was empty"))]
    Empty,
    /// A web page, as a proxy or a login portal sends.
    #[error("{}", tr!("the reply was a web page, not an answer of the API"))]
    HtmlPage,
    /// Neither JSON nor a page, or JSON that breaks off.
    #[error("{}", tr!("the reply was not readable JSON"))]
    NotJson,
    /// An answer whose ids are of no form that was ever seen: nobody was found, and nobody ruled out.
    #[error("{}", tr!("the ids in the reply were not readable"))]
    UnreadableIds,
    /// JSON without the one part that every answer has.
    #[error("{}", tr!("the reply had no errcode"))]
    MissingCode,
}

/// In bytes; the API's longest have some hundreds.
const MAX_MESSAGE_BYTES: usize = 4000;
/// Digits and sign of the longest code that is known.
const MAX_CODE_CHARS: usize = 7;

/// Reads a body. Every text in it but the ids goes through `hide` before anything is made of it: a far side can quote in
/// any of them what was sent, and a part of a secret would not be found any more.
///
/// # Errors
/// [`Garbled`] says what the body is instead.
pub fn decode(body: &[u8], hide: impl Fn(String) -> String) -> Result<Reply, DecodeError> {
    let code = |raw| parse_code(raw, &hide);
    let text = |raw| parse_text(raw).map(&hide);
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let wire: RawReply<'_> = serde_json::from_slice(body).map_err(|_| classify_body(body))?;
    let Some(outer) = wire.errcode.and_then(&code) else {
        let banned =
            wire.punish.is_some() || wire.status.and_then(&code) == Some(Code::Number(1111));
        return Err(if banned { DecodeError::Banned } else { DecodeError::MissingCode });
    };
    let message = wire.errmsg.and_then(&text).unwrap_or_default();
    let inner = match outer {
        Code::Number(88 | 15) => wire
            .sub_code
            .and_then(&code)
            .or_else(|| wire.subcode.and_then(&code))
            .or_else(|| parse_sub_code(&message)),
        _ => None,
    };
    let inner_message =
        wire.sub_msg.or(wire.submsg).and_then(&text).filter(|message| !message.is_empty());
    let (userid, exclusive) = parse_result(wire.result)?;
    Ok(Reply {
        message: truncate_message(if inner.is_some() {
            inner_message.unwrap_or(message)
        } else {
            message
        }),
        code: inner.unwrap_or(outer),
        userid,
        exclusive_ids: exclusive,
        request_id: wire.request_id.and_then(&text).filter(|request| is_valid_request_id(request)),
    })
}

/// A message of a length that a cell and a terminal can do with.
fn truncate_message(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        message.push('…');
    }
    message
}

/// Whether a request's id is one: a few dozen letters, digits and signs, and no text.
fn is_valid_request_id(request: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (1..=64).contains(&request.len()) && request.bytes().all(plain)
}

/// The user id and the exclusive ids of a result: an object, or one as JSON text inside a string. Absent, null and blank
/// parts are nobody; parts of another form are unreadable.
fn parse_result(result: Option<&RawValue>) -> Result<(Option<String>, Vec<String>), DecodeError> {
    let Some(result) = result else { return Ok((None, Vec::new())) };
    let inner = parse_text(result);
    let json = inner.as_deref().unwrap_or(result.get());
    if json.trim().is_empty() {
        return Ok((None, Vec::new()));
    }
    let person: RawResult<'_> =
        serde_json::from_str(json).map_err(|_| DecodeError::UnreadableIds)?;
    let userid =
        person.userid.map(|id| parse_text(id).ok_or(DecodeError::UnreadableIds)).transpose()?;
    let exclusive =
        person.exclusive_account_userid_list.map(parse_ids).transpose()?.unwrap_or_default();
    Ok((userid.filter(|id| !id.trim().is_empty()), exclusive))
}

/// What marks a page as that of the platform's guard: its own names, and the words in which it says that the caller
/// is blocked. A page without any is somebody else's (`API.md` 2 knows both, and not how to tell them apart).
const BAN_MARKERS: [&str; 8] =
    ["x5sec", "x5step", "x5referer", "_____tmd_____", "punish", "阻断", "封禁", "过于频繁"];

/// What a body without JSON is.
fn classify_body(body: &[u8]) -> DecodeError {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let page = text.starts_with('<');
    // The ban's object, as a script in a page or in a hand that is no JSON.
    let bare: String =
        text.chars().filter(|c| !c.is_whitespace() && !"\"'\\".contains(*c)).collect();
    if text.is_empty() {
        DecodeError::Empty
    } else if bare.contains("status:1111")
        || (page && BAN_MARKERS.iter().any(|mark| text.contains(mark)))
    {
        DecodeError::Banned
    } else if page {
        DecodeError::HtmlPage
    } else {
        DecodeError::NotJson
    }
}

/// The code in `ding talk error[subcode=40014,submsg=…]`, where the parts were not sent on their own.
fn parse_sub_code(errmsg: &str) -> Option<Code> {
    let (_, rest) = errmsg.split_once("subcode=").or_else(|| errmsg.split_once("sub_code="))?;
    let code = rest.split([',', ']', ' ', ';']).next()?.trim();
    (!code.is_empty()).then(|| Code::from_text(code))
}

/// The parts that matter, each as the text that it was sent as: any of them was seen missing, null or of another
/// type, and one odd part must not cost the answer.
#[derive(Deserialize)]
struct RawReply<'a> {
    #[serde(borrow)]
    errcode: Option<&'a RawValue>,
    #[serde(borrow)]
    errmsg: Option<&'a RawValue>,
    #[serde(borrow)]
    sub_code: Option<&'a RawValue>,
    #[serde(borrow)]
    subcode: Option<&'a RawValue>,
    #[serde(borrow)]
    sub_msg: Option<&'a RawValue>,
    #[serde(borrow)]
    submsg: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    punish: Option<&'a RawValue>,
    #[serde(borrow)]
    request_id: Option<&'a RawValue>,
}

/// The `result` of a success.
#[derive(Deserialize)]
struct RawResult<'a> {
    #[serde(borrow)]
    userid: Option<&'a RawValue>,
    #[serde(borrow)]
    exclusive_account_userid_list: Option<&'a RawValue>,
}

/// A number or a string with something in it. A number of the length that codes have is one, whatever is hidden.
fn parse_code(raw: &RawValue, hide: impl Fn(String) -> String) -> Option<Code> {
    let text = parse_text(raw).filter(|text| !text.trim().is_empty())?;
    let is_code = text.trim().len() <= MAX_CODE_CHARS && text.trim().parse::<i64>().is_ok();
    Some(Code::from_text(&if is_code { text } else { hide(text) }))
}

/// A string, or a number as it was written.
fn parse_text(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw.get()).ok(),
        Some(b'-' | b'0'..=b'9') => Some(raw.get().to_owned()),
        _ => None,
    }
}

/// A list, or a list as JSON text inside a string; blanks and nulls in it are passed over.
fn parse_ids(raw: &RawValue) -> Result<Vec<String>, DecodeError> {
    let inner = parse_text(raw);
    let json = inner.as_deref().unwrap_or(raw.get());
    if json.trim().is_empty() {
        return Ok(Vec::new());
    }
    let parts: Vec<Option<&RawValue>> =
        serde_json::from_str(json).map_err(|_| DecodeError::UnreadableIds)?;
    let ids =
        parts.into_iter().flatten().map(|id| parse_text(id).ok_or(DecodeError::UnreadableIds));
    Ok(ids.collect::<Result<Vec<_>, _>>()?.into_iter().filter(|id| !id.trim().is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &str) -> (String, String, Option<String>, Vec<String>) {
        let reply = decode(body.as_bytes(), |text| text).unwrap();
        (reply.code.to_string(), reply.message, reply.userid, reply.exclusive_ids)
    }

    #[test]
    fn every_known_form_of_a_success_is_decoded() {
        let both = (
            "0".to_owned(),
            "ok".to_owned(),
            Some("zhangsan".to_owned()),
            vec!["a".to_owned(), "b".to_owned()],
        );
        for body in [
            r#"{"errcode":0,"errmsg":"ok","result":{"userid":"zhangsan","exclusive_account_userid_list":["a","b"]},"request_id":"not one"}"#,
            r#"{"errcode":"0","errmsg":"ok","result":{"exclusive_account_userid_list":"[\"a\",\"b\"]","userid":"zhangsan"}}"#,
            r#" {"request_id":null,"result":{"userid":"zhangsan","exclusive_account_userid_list":["a",null,"","b"]},"errmsg":"ok","errcode":0} "#,
        ] {
            assert_eq!(read(body), both, "{body}");
        }
        for list in ["null", "[]", "\"\"", "\"[]\"", "[null, \"\"]"] {
            let body = format!(
                r#"{{"errcode":0,"result":{{"userid":"u","exclusive_account_userid_list":{list}}}}}"#
            );
            assert_eq!(
                read(&body),
                ("0".into(), String::new(), Some("u".into()), vec![]),
                "{body}"
            );
        }
        for result in ["null", "{}", "\"\"", "\"{}\"", "{\"userid\":null}", "{\"userid\":\" \"}"] {
            let body = format!(r#"{{"errcode":0,"errmsg":"ok","result":{result}}}"#);
            assert_eq!(read(&body), ("0".into(), "ok".into(), None, vec![]), "{body}");
        }
    }

    #[test]
    fn a_valid_request_id_is_kept() {
        let of = |id: &str| {
            decode(format!(r#"{{"errcode":60121,"request_id":{id}}}"#).as_bytes(), |text| text)
                .unwrap()
                .request_id
        };
        assert_eq!(of("\"15r6q4p9-1\"").as_deref(), Some("15r6q4p9-1"));
        for none in ["null", "\"\"", "\"not one\"", &format!("\"{}\"", "a".repeat(65))] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn unreadable_ids_do_not_mean_not_found() {
        for result in [
            "[]",
            "7",
            r#"[{"userid":"u"}]"#,
            r#"{"userid":["u"]}"#,
            r#"{"userid":"\ud83d"}"#,
            r#"{"userid":"u","exclusive_account_userid_list":"a,b"}"#,
            r#"{"exclusive_account_userid_list":{"string":["a"]}}"#,
            r#"{"exclusive_account_userid_list":[["a"]]}"#,
        ] {
            let body = format!(r#"{{"errcode":0,"errmsg":"ok","result":{result}}}"#);
            assert_eq!(
                decode(body.as_bytes(), |text| text),
                Err(DecodeError::UnreadableIds),
                "{body}"
            );
        }
        let inside = r#"{"errcode":0,"errmsg":"ok","result":"{\"userid\":\"u\"}"}"#;
        assert_eq!(read(inside).2.as_deref(), Some("u"));
    }

    #[test]
    fn the_effective_code_is_the_wrapped_one() {
        let cases = [
            (r#"{"errcode":60121,"errmsg":"gone","request_id":"r"}"#, "60121", "gone"),
            (
                r#"{"errcode":88,"sub_code":"40014","sub_msg":"bad token","errmsg":"ding talk error[…]"}"#,
                "40014",
                "bad token",
            ),
            (r#"{"errcode":88,"subcode":90018,"submsg":"slow down"}"#, "90018", "slow down"),
            (
                r#"{"errcode":"88","sub_code":null,"errmsg":"ding talk error[subcode=60011,submsg=no]"}"#,
                "60011",
                "ding talk error[subcode=60011,submsg=no]",
            ),
            (
                r#"{"errcode":15,"sub_code":"isp.remote-service-error","sub_msg":"x"}"#,
                "isp.remote-service-error",
                "x",
            ),
            (r#"{"errcode":15,"errmsg":"remote"}"#, "15", "remote"),
            ("\u{feff}{\"errcode\":60121,\"errmsg\":\"gone\"}", "60121", "gone"),
            (r#"{"errcode":-1,"errmsg":"busy","status":1111}"#, "-1", "busy"),
            (r#"{"errcode":-1,"errmsg":"busy","sub_code":"40014"}"#, "-1", "busy"),
        ];
        for (body, code, message) in cases {
            let (read_code, read_message, ..) = read(body);
            assert_eq!((read_code.as_str(), read_message.as_str()), (code, message), "{body}");
        }
    }

    #[test]
    fn replies_that_are_no_answer_are_classified() {
        let cases: [(&str, DecodeError); 13] = [
            ("", DecodeError::Empty),
            (" \n", DecodeError::Empty),
            ("<html><body>502</body></html>", DecodeError::HtmlPage),
            (
                "<!doctype html><script>var url='/_____tmd_____/punish?x5secdata=1'</script>",
                DecodeError::Banned,
            ),
            (r#"{"status":1111,"wait":5,"source":"x5","punish":"deny"}"#, DecodeError::Banned),
            (r#"<html><body>{"status" : 1111}</body></html>"#, DecodeError::Banned),
            (r"<script>var punish={'status':1111}</script>", DecodeError::Banned),
            ("{status:1111,wait:5}", DecodeError::Banned),
            (r#"{"errcode":0,"result":{"userid":"zh"#, DecodeError::NotJson),
            ("upstream timed out", DecodeError::NotJson),
            (r#"{"errcode":90018,"errmsg":"请求过于频繁"#, DecodeError::NotJson),
            ("[]", DecodeError::NotJson),
            (r#"{"errmsg":"ok"}"#, DecodeError::MissingCode),
        ];
        for (body, expected) in cases {
            assert_eq!(decode(body.as_bytes(), |text| text), Err(expected), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn decoding_never_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&body, |text| text);
        }

        #[test]
        fn any_ids_and_messages_are_decoded_unchanged(code in any::<i64>(), message in "\\PC{0,20}", id in "[a-z\"\\\\é中]{1,12}") {
            let body = serde_json::json!({"errcode": code, "errmsg": message, "result": {"userid": id}}).to_string();
            prop_assume!(code != 88 && code != 15);
            prop_assert_eq!(read(&body), (code.to_string(), message, Some(id), vec![]));
        }
    }
}
