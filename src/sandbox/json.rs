//! Parses requests in every form that the API accepts and writes the bodies of replies by hand.

use std::fmt::Write as _;

use crate::sandbox::directory::{AbsentList, DirectoryEntry, IdForm};
use serde_json::Value;
use url::form_urlencoded;

/// A reply to send.
#[derive(Debug)]
pub(crate) enum Reply {
    Full(FullReply),
    /// HTTP 200 with the first half of this JSON body; then the connection closes.
    Half(String),
    /// No reply: the connection closes.
    Drop,
}

/// A complete reply.
#[derive(Debug)]
pub(crate) struct FullReply {
    pub status: u16,
    /// The content type, unless `headers` has one.
    pub content_type: &'static str,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Reply {
    /// A JSON body with this HTTP status.
    #[must_use]
    pub(crate) fn json(status: u16, body: String) -> Self {
        Self::Full(FullReply {
            status,
            content_type: "application/json;charset=utf-8",
            headers: Vec::new(),
            body,
        })
    }
}

/// The parameters of a `getbymobile` request ([request](crate::guide::api#request)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LookupRequest {
    /// `access_token` of the query, else of a form body; empty if missing.
    pub token: String,
    /// `mobile`; empty if it is missing or not a string.
    pub mobile: String,
    /// `support_exclusive_account_search`, as a boolean or as the string `true` or `false`; else
    /// `None`.
    pub exclusive: Option<bool>,
    /// The content type header; empty if missing.
    pub content_type: String,
}

impl LookupRequest {
    /// Parses a request. The content type decides between JSON and form; if it names neither, the
    /// first byte decides.
    #[must_use]
    pub(crate) fn parse(query: &str, content_type: &str, body: &[u8]) -> Self {
        let mut lookup = Self {
            token: form_value(query.as_bytes(), "access_token"),
            mobile: String::new(),
            exclusive: None,
            content_type: content_type.to_owned(),
        };
        // Media types are case-insensitive (RFC 9110, 8.3.1).
        let media_type = content_type.to_ascii_lowercase();
        let is_json = media_type.contains("json")
            || (!media_type.contains("form-urlencoded")
                && body.trim_ascii_start().starts_with(b"{"));
        if is_json {
            let value: Value = serde_json::from_slice(body).unwrap_or_default();
            str_or_empty(&value["mobile"]).clone_into(&mut lookup.mobile);
            let exclusive = &value["support_exclusive_account_search"];
            lookup.exclusive = exclusive.as_bool().or_else(|| parse_bool(str_or_empty(exclusive)));
        } else {
            for (name, value) in form_urlencoded::parse(body) {
                match &*name {
                    "access_token" if lookup.token.is_empty() => lookup.token = value.into_owned(),
                    "mobile" => lookup.mobile = value.into_owned(),
                    "support_exclusive_account_search" => lookup.exclusive = parse_bool(&value),
                    _ => {}
                }
            }
        }
        lookup
    }
}

/// The credentials of a token call ([tokens](crate::guide::api#tokens)); empty if missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub key: String,
    pub secret: String,
}

impl Credentials {
    /// Parses the JSON body of the V1 call.
    #[must_use]
    pub(crate) fn from_v1_body(body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        Self {
            key: str_or_empty(&value["appKey"]).to_owned(),
            secret: str_or_empty(&value["appSecret"]).to_owned(),
        }
    }

    /// Parses the query of the legacy call.
    #[must_use]
    pub(crate) fn from_legacy_query(query: &str) -> Self {
        Self {
            key: form_value(query.as_bytes(), "appkey"),
            secret: form_value(query.as_bytes(), "appsecret"),
        }
    }
}

/// A bare code ([reply](crate::guide::api#reply)). Here and below, `id` is the `request_id`.
#[must_use]
pub(crate) fn bare_code(code: i64, msg: &str, id: u64) -> String {
    let mut body = format!(r#"{{"errcode":{code},"errmsg":""#);
    push_escaped(&mut body, msg);
    finish_object(body, r#"""#, id)
}

/// A code wrapped in errcode 88 by the gateway ([reply](crate::guide::api#reply)).
#[must_use]
pub(crate) fn wrapped_code(code: &str, msg: &str, id: u64) -> String {
    let mut body = String::from(r#"{"errcode":88,"sub_code":""#);
    push_escaped(&mut body, code);
    body.push_str(r#"","sub_msg":""#);
    push_escaped(&mut body, msg);
    body.push_str(r#"","errmsg":"ding talk error[subcode="#);
    push_escaped(&mut body, code);
    body.push_str(",submsg=");
    push_escaped(&mut body, msg);
    finish_object(body, r#"]""#, id)
}

/// The reply for a directory entry after its busy attempts.
#[must_use]
pub(crate) fn body_for_entry(
    entry: DirectoryEntry,
    mobile: &str,
    form: IdForm,
    exclusive: bool,
    id: u64,
) -> String {
    match entry {
        DirectoryEntry::Found | DirectoryEntry::FoundLater => found_user(mobile, form, id),
        DirectoryEntry::OnlyExclusive if exclusive => {
            let [one, two] = form.exclusive_ids(mobile);
            let result = format!(r#"{{"exclusive_account_userid_list":["{one}","{two}"]}}"#);
            success(&format!(r#"0,"errmsg":"ok","result":{result}"#), id)
        }
        DirectoryEntry::Both => {
            let userid = form.userid(mobile);
            let [one, two] = form.exclusive_ids(mobile);
            let list =
                if exclusive { format!(r#"[\"{one}\",\"{two}\"]"#) } else { "[]".to_owned() };
            let result =
                format!(r#"{{"userid":"{userid}","exclusive_account_userid_list":"{list}"}}"#);
            success(&format!(r#""0","errmsg":"ok","result":{result}"#), id)
        }
        DirectoryEntry::Empty => success(r#"0,"errmsg":"ok","result":{}"#, id),
        DirectoryEntry::NotFound | DirectoryEntry::OnlyExclusive => {
            bare_code(60121, "找不到该用户", id)
        }
        DirectoryEntry::NotFoundWrapped => wrapped_code("60121", "找不到该用户", id),
        DirectoryEntry::BadNumber => wrapped_code("40104", "无效手机号", id),
        DirectoryEntry::OutOfScope => bare_code(50002, "请求的员工userid不在授权范围内", id),
        DirectoryEntry::Busy => busy(id),
        DirectoryEntry::UnknownCode => bare_code(34567, "未知错误", id),
        DirectoryEntry::Malformed => wrapped_code("400002", "参数错误: mobile", id),
    }
}

/// A person with a userid and no exclusive account.
#[must_use]
pub(crate) fn found_user(mobile: &str, form: IdForm, id: u64) -> String {
    let userid = form.userid(mobile);
    let list = match AbsentList::for_number(mobile) {
        AbsentList::Empty => r#","exclusive_account_userid_list":[]"#,
        AbsentList::Missing => "",
        AbsentList::Null => r#","exclusive_account_userid_list":null"#,
    };
    success(&format!(r#"0,"errmsg":"ok","result":{{"userid":"{userid}"{list}}}"#), id)
}

/// A bare -1.
#[must_use]
pub(crate) fn busy(id: u64) -> String {
    bare_code(-1, "系统繁忙", id)
}

/// A token as the V1 call returns it; `seconds` is its lifetime.
#[must_use]
pub(crate) fn v1_token(token: &str, seconds: u64, id: u64) -> String {
    format!(r#"{{"accessToken":"{token}","expireIn":{seconds},"request_id":"{id:016x}"}}"#)
}

/// The V1 call's refusal of credentials, sent with HTTP 400. The id has the name that the official
/// SDK reads.
#[must_use]
pub(crate) fn v1_token_rejected(id: u64) -> String {
    let code = "invalidClientIdOrSecret";
    format!(
        r#"{{"code":"{code}","message":"无效的clientId或者clientSecret","requestid":"{id:016x}"}}"#
    )
}

/// A token as the legacy call returns it; `seconds` is its lifetime.
#[must_use]
pub(crate) fn legacy_token(token: &str, seconds: u64, id: u64) -> String {
    success(&format!(r#"0,"errmsg":"ok","access_token":"{token}","expires_in":{seconds}"#), id)
}

/// The ban of an egress IP as JSON ([reply](crate::guide::api#reply)).
#[must_use]
pub(crate) fn ban_json(id: u64) -> String {
    let fields = r#""status":1111,"wait":5,"source":"x5","punish":"deny""#;
    format!(r#"{{{fields},"uuid":"{id:016x}","request_id":"{id:016x}"}}"#)
}

/// The ban of an egress IP as an HTML page ([reply](crate::guide::api#reply)).
#[must_use]
pub(crate) fn ban_page(id: u64) -> String {
    format!(
        "<!DOCTYPE html>\n<html><head><title>405</title></head><body><h1>访问被阻断</h1>\
         <p>您的访问过于频繁，请稍后再试。</p><p>request_id: {id:016x}</p></body></html>\n"
    )
}

fn success(fields: &str, id: u64) -> String {
    finish_object(format!(r#"{{"errcode":{fields}"#), "", id)
}

fn finish_object(mut body: String, close: &str, id: u64) -> String {
    // Writing to a string cannot fail.
    let _ = write!(body, r#"{close},"request_id":"{id:016x}"}}"#);
    body
}

fn push_escaped(body: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '"' => body.push_str(r#"\""#),
            '\\' => body.push_str(r"\\"),
            '\0'..='\x1f' => {
                // Writing to a string cannot fail.
                let _ = write!(body, "\\u{:04x}", u32::from(char));
            }
            _ => body.push(char),
        }
    }
}

fn form_value(form: &[u8], name: &str) -> String {
    let pair = form_urlencoded::parse(form).find(|(key, _)| key == name);
    pair.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn str_or_empty(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(body: &str) -> Value {
        serde_json::from_str(body).unwrap()
    }

    #[test]
    fn requests_are_parsed_in_every_form() {
        let form = "mobile=%2B852-51234567&support_exclusive_account_search=true";
        let json = r#" {"mobile":"+852-51234567","support_exclusive_account_search":true}"#;
        let json_text = r#"{"mobile":"+852-51234567","support_exclusive_account_search":"true"}"#;
        for (content_type, body) in [
            ("application/x-www-form-urlencoded;charset=utf-8", form),
            ("", form),
            ("application/json", json),
            ("", json),
            ("text/plain", json_text),
        ] {
            let lookup =
                LookupRequest::parse("a=b&access_token=T%201", content_type, body.as_bytes());
            let expected = LookupRequest {
                token: "T 1".to_owned(),
                mobile: "+852-51234567".to_owned(),
                exclusive: Some(true),
                content_type: content_type.to_owned(),
            };
            assert_eq!(lookup, expected, "{content_type} {body}");
        }
    }

    #[test]
    fn a_form_body_may_bring_the_token_and_json_may_not() {
        let form = LookupRequest::parse("", "", b"access_token=T&mobile=1");
        assert_eq!((&*form.token, &*form.mobile, form.exclusive), ("T", "1", None));
        assert_eq!(LookupRequest::parse("access_token=Q", "", b"access_token=T").token, "Q");
        let json = LookupRequest::parse(
            "",
            "application/json",
            br#"{"access_token":"T","mobile":13800138000}"#,
        );
        assert_eq!((&*json.token, &*json.mobile), ("", ""));
        assert_eq!(LookupRequest::parse("", "application/json", b"{").mobile, "");
        let form = LookupRequest::parse("", "", b"support_exclusive_account_search=false&mobile=1");
        assert_eq!(form.exclusive, Some(false));
    }

    #[test]
    fn both_reply_shapes_carry_any_text() {
        let text = "引号\" 反斜线\\ 换行\n\u{1}";
        let reply = parsed(&bare_code(-1, text, 7));
        assert_eq!(reply, json!({"errcode": -1, "errmsg": text, "request_id": "0000000000000007"}));
        let reply = parsed(&wrapped_code("isp.\"x", text, 7));
        assert_eq!(reply["errcode"], 88);
        assert_eq!(reply["sub_code"], "isp.\"x");
        assert_eq!(reply["sub_msg"], text);
        assert_eq!(reply["errmsg"], format!("ding talk error[subcode=isp.\"x,submsg={text}]"));
    }

    #[test]
    fn every_directory_rule_has_a_reply_body() {
        let reply = |mobile: &str, exclusive| {
            let entry = DirectoryEntry::for_number(mobile);
            parsed(&body_for_entry(entry, mobile, IdForm::Short, exclusive, 7))
        };
        let result = |mobile: &str, exclusive| reply(mobile, exclusive)["result"].clone();
        let list = "exclusive_account_userid_list";
        assert_eq!(result("13800138000", true), json!({"userid": "u00138000", list: []}));
        assert_eq!(result("13800138195", true), json!({"userid": "u00138195"}));
        assert_eq!(result("13800138200", true), json!({"userid": "u00138200", list: null}));
        assert_eq!(result("13800138096", true), json!({list: ["ex1-00138096", "ex2-00138096"]}));
        let odd = json!({"userid": "u00138097", list: r#"["ex1-00138097","ex2-00138097"]"#});
        assert_eq!(result("13800138097", true), odd);
        assert_eq!(reply("13800138097", true)["errcode"], "0");
        assert_eq!(result("13800138097", false), json!({"userid": "u00138097", list: "[]"}));
        assert_eq!(result("13800138098", true), json!({}));
        for ending in 89..=99 {
            let mobile = format!("138001380{ending}");
            for exclusive in [false, true] {
                let reply = reply(&mobile, exclusive);
                let code =
                    if reply["errcode"] == 88 { &reply["sub_code"] } else { &reply["errcode"] };
                let code = code.as_str().map_or_else(|| code.to_string(), str::to_owned);
                assert_eq!(
                    code,
                    DirectoryEntry::for_number(&mobile).code(exclusive).to_string(),
                    "{mobile}"
                );
                assert_eq!(reply["request_id"], "0000000000000007");
            }
        }
    }
}
