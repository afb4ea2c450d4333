//! Decodes the body of an API reply into the effective code, the message and the ids, in every form
//! that was observed ([reply](crate::guide::api#reply)).

use serde::Deserialize;
use serde_json::value::RawValue;
use tr::tr;

use crate::domain::outcome::Code;

/// A decoded reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The effective code: inside errcode 88 or 15, the `sub_code`.
    pub code: Code,
    /// The message of the effective code.
    pub message: String,
    /// `None` if absent, null or blank.
    pub userid: Option<String>,
    /// The ids of exclusive accounts, without blank ones.
    pub exclusive_ids: Vec<String>,
    /// `None` if absent or not in the usual form of an id.
    pub request_id: Option<String>,
}

/// Why a body is not a reply of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The page or object of the WAF that bans an egress IP ([reply](crate::guide::api#reply)).
    #[error("{}", tr!("the platform refuses this network address for now"))]
    Banned,
    #[error("{}", tr!("the reply was empty"))]
    Empty,
    /// A web page, such as of a proxy or a login portal.
    #[error("{}", tr!("the reply was a web page, not an answer of the API"))]
    HtmlPage,
    /// Neither JSON nor a web page, or truncated JSON.
    #[error("{}", tr!("the reply was not readable JSON"))]
    NotJson,
    /// The ids have an unknown form, so the number is neither found nor not found.
    #[error("{}", tr!("the ids in the reply were not readable"))]
    UnreadableIds,
    #[error("{}", tr!("the reply had no errcode"))]
    MissingCode,
}

/// The API's longest messages have some hundred bytes.
const MAX_MESSAGE_BYTES: usize = 4000;
/// The longest user id. DingTalk's have at most 64 characters; a longer one is some other text.
const MAX_ID_BYTES: usize = 256;
/// Digits and sign of the longest known code.
const MAX_CODE_CHARS: usize = 7;

/// Decodes a body. Every text except the ids is redacted before it is processed: a server may quote
/// what was sent, and a truncated secret could not be found any more.
pub fn decode(body: &[u8], redact: impl Fn(String) -> String) -> Result<Reply, DecodeError> {
    let code = |raw| parse_code(raw, &redact);
    let text = |raw| parse_text(raw).map(&redact);
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let raw: RawReply<'_> = serde_json::from_slice(body).map_err(|_| classify_body(body))?;
    let Some(outer) = raw.errcode.and_then(&code) else {
        let is_ban = raw.punish.is_some() || raw.status.and_then(&code) == Some(Code::Number(1111));
        return Err(if is_ban { DecodeError::Banned } else { DecodeError::MissingCode });
    };
    let message = raw.errmsg.and_then(&text).unwrap_or_default();
    let inner = match outer {
        Code::Number(88 | 15) => raw
            .sub_code
            .and_then(&code)
            .or_else(|| raw.subcode.and_then(&code))
            .or_else(|| parse_sub_code(&message)),
        _ => None,
    };
    let inner_message =
        raw.sub_msg.or(raw.submsg).and_then(&text).filter(|message| !message.is_empty());
    let (userid, exclusive_ids) = parse_result(raw.result)?;
    Ok(Reply {
        message: truncate_message(if inner.is_some() {
            inner_message.unwrap_or(message)
        } else {
            message
        }),
        code: inner.unwrap_or(outer),
        userid,
        exclusive_ids,
        request_id: raw.request_id.and_then(&text).filter(|id| is_valid_request_id(id)),
    })
}

fn truncate_message(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
        message.push('…');
    }
    message
}

/// At most 64 letters, digits and `-_.:`, so that it cannot be free text.
fn is_valid_request_id(id: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (1..=64).contains(&id.len()) && id.bytes().all(is_allowed)
}

/// The user id and the exclusive ids of a result, which is an object or a string that contains one
/// as JSON. Absent, null and blank ids mean that there is no user.
fn parse_result(result: Option<&RawValue>) -> Result<(Option<String>, Vec<String>), DecodeError> {
    let Some(result) = result else { return Ok((None, Vec::new())) };
    let inner = parse_text(result);
    let json = inner.as_deref().unwrap_or(result.get());
    if json.trim().is_empty() {
        return Ok((None, Vec::new()));
    }
    let ids: RawResult<'_> = serde_json::from_str(json).map_err(|_| DecodeError::UnreadableIds)?;
    let userid = ids.userid.map(parse_id).transpose()?;
    let exclusive_ids = match ids.exclusive_account_userid_list {
        Some(list) => parse_ids(list)?,
        None => Vec::new(),
    };
    Ok((userid.filter(|id| !id.trim().is_empty()), exclusive_ids))
}

/// Strings that identify the ban page of the platform's WAF: its identifiers, and its words for
/// "blocked". A page without any of them is not from the platform. No source documents this.
const BAN_MARKERS: [&str; 8] =
    ["x5sec", "x5step", "x5referer", "_____tmd_____", "punish", "阻断", "封禁", "过于频繁"];

/// Classifies a body that is not JSON.
fn classify_body(body: &[u8]) -> DecodeError {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let is_page = text.starts_with('<');
    // Finds the ban object in a script of a page, and with any quotation marks.
    let compact: String =
        text.chars().filter(|c| !c.is_whitespace() && !"\"'\\".contains(*c)).collect();
    if text.is_empty() {
        DecodeError::Empty
    } else if compact.contains("status:1111")
        || (is_page && BAN_MARKERS.iter().any(|marker| text.contains(marker)))
    {
        DecodeError::Banned
    } else if is_page {
        DecodeError::HtmlPage
    } else {
        DecodeError::NotJson
    }
}

/// The code in `ding talk error[subcode=40014,submsg=…]`, for replies without a `sub_code` field.
fn parse_sub_code(errmsg: &str) -> Option<Code> {
    let (_, tail) = errmsg.split_once("subcode=").or_else(|| errmsg.split_once("sub_code="))?;
    let code = tail.split([',', ']', ' ', ';']).next()?.trim();
    (!code.is_empty()).then(|| Code::from_text(code))
}

/// The fields that are used. Each was seen missing, null or with another type, so each is kept as
/// raw JSON: one unexpected field must not make the whole reply unreadable.
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

/// Parses a number or a string that is not blank. A number with the length of a code is not
/// redacted.
fn parse_code(raw: &RawValue, redact: impl Fn(String) -> String) -> Option<Code> {
    let text = parse_text(raw).filter(|text| !text.trim().is_empty())?;
    let is_code = text.trim().len() <= MAX_CODE_CHARS && text.trim().parse::<i64>().is_ok();
    Some(Code::from_text(&if is_code { text } else { redact(text) }))
}

/// A string, or the text of a number.
fn parse_text(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw.get()).ok(),
        Some(b'-' | b'0'..=b'9') => Some(raw.get().to_owned()),
        _ => None,
    }
}

fn parse_id(raw: &RawValue) -> Result<String, DecodeError> {
    parse_text(raw).filter(|id| id.len() <= MAX_ID_BYTES).ok_or(DecodeError::UnreadableIds)
}

/// Parses a list, or a string that contains a list as JSON. Blank and null items are skipped.
fn parse_ids(raw: &RawValue) -> Result<Vec<String>, DecodeError> {
    let inner = parse_text(raw);
    let json = inner.as_deref().unwrap_or(raw.get());
    if json.trim().is_empty() {
        return Ok(Vec::new());
    }
    let items: Vec<Option<&RawValue>> =
        serde_json::from_str(json).map_err(|_| DecodeError::UnreadableIds)?;
    let ids = items.into_iter().flatten().map(parse_id);
    Ok(ids.collect::<Result<Vec<_>, _>>()?.into_iter().filter(|id| !id.trim().is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Code, message, user id and exclusive ids.
    fn decode_parts(body: &str) -> (String, String, Option<String>, Vec<String>) {
        let reply = decode(body.as_bytes(), |text| text).unwrap();
        (reply.code.to_string(), reply.message, reply.userid, reply.exclusive_ids)
    }

    #[test]
    fn every_known_form_of_a_success_is_decoded() {
        let expected = (
            "0".to_owned(),
            "ok".to_owned(),
            Some("zhangsan".to_owned()),
            vec!["a".to_owned(), "b".to_owned()],
        );
        for body in [
            concat!(
                r#"{"errcode":0,"errmsg":"ok","result":{"userid":"zhangsan","#,
                r#""exclusive_account_userid_list":["a","b"]},"request_id":"not one"}"#
            ),
            concat!(
                r#"{"errcode":"0","errmsg":"ok","result":{"#,
                r#""exclusive_account_userid_list":"[\"a\",\"b\"]","userid":"zhangsan"}}"#
            ),
            concat!(
                r#" {"request_id":null,"result":{"userid":"zhangsan","#,
                r#""exclusive_account_userid_list":["a",null,"","b"]},"errmsg":"ok","errcode":0} "#
            ),
        ] {
            assert_eq!(decode_parts(body), expected, "{body}");
        }
        for list in ["null", "[]", "\"\"", "\"[]\"", "[null, \"\"]"] {
            let result = format!(r#"{{"userid":"u","exclusive_account_userid_list":{list}}}"#);
            let body = format!(r#"{{"errcode":0,"result":{result}}}"#);
            assert_eq!(
                decode_parts(&body),
                ("0".into(), String::new(), Some("u".into()), vec![]),
                "{body}"
            );
        }
        for result in ["null", "{}", "\"\"", "\"{}\"", "{\"userid\":null}", "{\"userid\":\" \"}"] {
            let body = format!(r#"{{"errcode":0,"errmsg":"ok","result":{result}}}"#);
            assert_eq!(decode_parts(&body), ("0".into(), "ok".into(), None, vec![]), "{body}");
        }
    }

    #[test]
    fn a_valid_request_id_is_kept() {
        let decoded_id = |id: &str| {
            decode(format!(r#"{{"errcode":60121,"request_id":{id}}}"#).as_bytes(), |text| text)
                .unwrap()
                .request_id
        };
        assert_eq!(decoded_id("\"15r6q4p9-1\"").as_deref(), Some("15r6q4p9-1"));
        for id in ["null", "\"\"", "\"not one\"", &format!("\"{}\"", "a".repeat(65))] {
            assert_eq!(decoded_id(id), None, "{id}");
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
        let body = |bytes: usize| {
            let id = "u".repeat(bytes);
            let user = format!(r#"{{"errcode":0,"result":{{"userid":"{id}"}}}}"#);
            let list =
                format!(r#"{{"errcode":0,"result":{{"exclusive_account_userid_list":["{id}"]}}}}"#);
            [user, list].map(|body| decode(body.as_bytes(), |text| text).is_ok())
        };
        assert_eq!([body(256), body(257)], [[true; 2], [false; 2]]);
        let inside = r#"{"errcode":0,"errmsg":"ok","result":"{\"userid\":\"u\"}"}"#;
        assert_eq!(decode_parts(inside).2.as_deref(), Some("u"));
    }

    #[test]
    fn the_effective_code_is_the_wrapped_one() {
        let cases = [
            (r#"{"errcode":60121,"errmsg":"gone","request_id":"r"}"#, "60121", "gone"),
            (
                r#"{"errcode":88,"sub_code":"40014","sub_msg":"bad token","errmsg":"error[…]"}"#,
                "40014",
                "bad token",
            ),
            (r#"{"errcode":88,"subcode":90018,"submsg":"slow down"}"#, "90018", "slow down"),
            (
                r#"{"errcode":"88","sub_code":null,"errmsg":"error[subcode=60011,submsg=no]"}"#,
                "60011",
                "error[subcode=60011,submsg=no]",
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
            let (actual_code, actual_message, ..) = decode_parts(body);
            assert_eq!((&*actual_code, &*actual_message), (code, message), "{body}");
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
        fn any_ids_and_messages_are_decoded_unchanged(
            code in any::<i64>(),
            message in "\\PC{0,20}",
            id in "[a-z\"\\\\é中]{1,12}",
        ) {
            prop_assume!(code != 88 && code != 15);
            let body =
                serde_json::json!({"errcode": code, "errmsg": message, "result": {"userid": id}});
            let expected = (code.to_string(), message, Some(id), vec![]);
            prop_assert_eq!(decode_parts(&body.to_string()), expected);
        }
    }
}
