//! Each check of translations passes valid texts and reports a violation of each kind.

use std::collections::BTreeSet;

use super::{Translation, included_files, missing_translations, read_po, unused_translations};
use crate::people::translations::source_messages::{
    Message, count_words, literals_past_tr, placeholders, tr_messages,
};
use crate::support::rust_tokens::tokens;

fn parse_messages(code: &str) -> (Vec<Message>, Vec<String>) {
    let mut found = Vec::new();
    let texts = tr_messages("a.rs", &tokens(code, false).unwrap(), &mut found);
    (texts, found)
}

fn parse_po(content: &str) -> (Vec<Translation>, Vec<String>) {
    let mut found = Vec::new();
    (read_po("a.po", content, &mut found), found)
}

#[test]
fn messages_are_parsed_as_the_compiler_does() {
    let code = concat!(
        r##"
        #[error("{}", tr!("one \
            line: {cause}", cause = .0))]
        fn f() { tr!("a \"b\"\n"); tr!(r#"raw"#); tr!("verb" => "open"); "##,
        r##"g(tr!("{n} row of {name}" | "{n} rows of {name}" % a.b(c, d), name)) }
        #[cfg(test)]
        mod tests { fn f() { tr!("not this") } }
    "##
    );
    let (texts, found) = parse_messages(code);
    assert_eq!(found, [""; 0]);
    let read: Vec<_> = texts
        .iter()
        .map(|text| (text.context.as_deref(), &*text.singular, text.plural.as_deref()))
        .collect();
    assert_eq!(
        read,
        [
            (None, "one line: {cause}", None),
            (None, "a \"b\"\n", None),
            (None, "raw", None),
            (Some("verb"), "open", None),
            (None, "{n} row of {name}", Some("{n} rows of {name}")),
        ]
    );
    assert_eq!(texts[4].location, "a.rs:4");
}

#[test]
fn a_message_with_missing_arguments_is_reported() {
    for (code, what) in [
        (r#"tr!("{path} is gone", file = path)"#, "no value for {path}"),
        (r#"tr!("{path} is gone", file = path)"#, "{file} is not in"),
        (r#"tr!("{} is {}", one)"#, "no value for {1}"),
        (r#"tr!("{path:>5} is gone", path)"#, "no value for {path:>5}"),
        (r#"tr!("it is {path}")"#, "braces, and no value"),
        (r#"tr!("a row" | "{n} rows of {m}" % n)"#, "no value for {m}"),
        (r#"tr!("a row" | "rows" % n)"#, "{n} is not in"),
        ("tr!(text)", "no literal text"),
        (r#"tr!(concat!("a", "b"))"#, "no literal text"),
    ] {
        let (_, found) = parse_messages(code);
        assert!(found.iter().any(|found| found.contains(what)), "{code}: {found:?}");
    }
    assert_eq!(parse_messages(r#"tr!("a {{ and {b}", b = c == d, )"#).1, [""; 0]);
}

#[test]
fn a_missing_translation_is_reported() {
    let (texts, _) =
        parse_messages(r#"tr!("cannot open {path}", path); tr!("a row" | "{n} rows" % n)"#);
    let right = "msgid \"cannot open {path}\"\nmsgstr \"无法打开 {path}\"\n\n\
                 msgid \"a row\"\nmsgid_plural \"{n} rows\"\nmsgstr[0] \"{n} 行\"\n\n";
    let all = |content: &str| {
        let (translated, mut found) = parse_po(content);
        found.extend(missing_translations(&texts, &translated));
        found.extend(unused_translations(&[&texts], &translated));
        found
    };
    assert_eq!(all(right), [""; 0]);
    for (wrong, what) in [
        (right.replace("cannot", "could not"), "no translation of \"cannot open {path}\""),
        (right.replace("cannot", "could not"), "nothing asks for: \"could not open {path}\""),
        (right.replace("{n} rows", "{n} lines"), "no translation of \"a row\""),
        (right.replace("无法打开 {path}", ""), "an empty translation of \"cannot open {path}\""),
        (right.replace("{n} 行", " "), "an empty translation of \"a row\""),
        (
            right.replace("打开 {path}", "打开 {file}"),
            "has {\"path\"}, and its translation {\"file\"}",
        ),
        (right.replace("{n} 行", "行"), "has {\"n\"}, and its translation {}"),
        (right.replace("无法打开", "cannot open"), "no Chinese in the translation of"),
        (right.replace("无法打开", "用 --input 打开"), "other flags in the translation of"),
        (right.repeat(2), "has \"a row\", and so has a.po"),
        (right.replacen("msgid", "#, fuzzy\nmsgid", 1), "marked as fuzzy"),
        (
            right.replacen("msgid", "#~ msgid", 1).replacen("\nmsgstr", "\n#~ msgstr", 1),
            "marked as",
        ),
        (right.trim_end().to_owned(), "does not end with a blank line"),
        (right.replacen("msgid", "msgit", 1), "a.po: "),
        (
            format!("{}msgstr[1] \"{{n}} 行\"\n\n", right.trim_end().to_owned() + "\n"),
            "one form for \"a row\"",
        ),
    ] {
        let found = all(&wrong);
        assert!(found.iter().any(|found| found.contains(what)), "{what}: {found:?}");
    }
}

#[test]
fn a_text_that_bypasses_translation_is_reported() {
    let unspoken = |code: &str| {
        literals_past_tr(
            "a.rs",
            &tokens(code, false).unwrap(),
            &BTreeSet::from(["In help.".to_owned()]),
        )
    };
    for code in [
        r#"#[error("interrupted")] struct A;"#,
        r#"#[error("line {line}: {0}")] struct A;"#,
        r#"#[error("{}", if a { "a" } else { "gone" })] struct A;"#,
        r#"fn f() { Failure::new(Exit::Usage, "interrupted") }"#,
        r#"fn f() { self.terminal.say("stopping") }"#,
        r#"fn f() { self.terminal.say(&format!("{n} rows")) }"#,
        r#"fn f() { terminal.complain(&x.replace("a", "no file")) }"#,
        r#"fn f() -> &'static str { "actual by its mark" }"#,
        r#"fn f() { format!("{n} rows") }"#,
        r#"fn f() { tr!("{why}: it is gone", why = if a { "as asked for" } else { "" }) }"#,
        r#"fn f() { "<p class=\"a b\">Rows of it</p>" }"#,
    ] {
        assert_eq!(unspoken(code).len(), 1, "{code}: {:?}", unspoken(code));
    }
    for code in [
        "/// A comment that says much.\n//! As this does.\nfn f() {}",
        r#"#[error("{path}: {0}")] struct A;"#,
        r#"#[error("{}", tr!("line {line}: {cause}", line, cause = .0))] struct A;"#,
        r#"#[arg(help = "actual by clap")] #[expect(lint, reason = "it is so")] struct A;"#,
        r#"fn f() { tracing::debug!(a, "a new token"); warn!("it is late") }"#,
        r#"fn f() { message.contains("token is blank") || message.split("For more").next() }"#,
        concat!(
            r#"fn f() { Failure::new(Exit::Usage, tr!("interrupted")); "#,
            r#"terminal.say(&text.replace("--column", "--key")) }"#,
        ),
        concat!(
            r#"fn f() { format!("{a}: {b}\n"); format!("--{flag} {value}"); "#,
            r#""userid"; "<p class=\"a b\">" }"#,
        ),
        "#[cfg(test)]\nmod tests { fn f() { terminal.say(\"as it is\") } }",
        r#"const HELP: &str = "In help.";"#,
    ] {
        assert_eq!(unspoken(code), [""; 0], "{code}");
    }
}

#[test]
fn words_are_distinguished_from_placeholders() {
    assert_eq!(count_words("{name}: --column N, user_id, HTTP 404 (a)"), 0);
    assert_eq!(count_words("line {line}: gone, or \"away\" ({why})"), 4);
    assert_eq!(
        placeholders("{a} of {} {{b}} and {}"),
        BTreeSet::from(["a", "0", "1"].map(str::to_owned))
    );
    let chooser =
        r#"const C: &str = concat!(include_str!("zh-CN/a.po"), include_str!("zh-CN/b.po"));"#;
    assert_eq!(included_files(chooser), ["src/app/i18n/zh-CN/a.po", "src/app/i18n/zh-CN/b.po"]);
}
