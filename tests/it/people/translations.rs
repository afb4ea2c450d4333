//! Every text of the code and the help is translated, every translation is used, and no text
//! bypasses `tr!`. `source_messages` parses the code, `negative` shows that the checks can fail,
//! and `runs` compares runs in both languages.

mod negative;
mod runs;
mod source_messages;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};
use dingmap::testing::app::Cli;
use dingmap::testing::app::Language;
use rspolib::{POEntry, pofile};
use source_messages::{
    Message, count_words, flags_in, literals_past_tr, placeholders, tr_messages,
};
use tr::Translator;

use crate::layout::{is_test_only, sources};
use crate::support::rust_tokens::{Token, tokens};

/// Where the translations are, and the file whose `CHINESE` puts them together.
const PO_DIR: &str = "src/app/i18n/zh-CN";
const PO_INDEX: &str = "src/app/i18n/language.rs";
/// Texts with words whose translation has no Chinese character, and why.
const KEPT_IN_ENGLISH: [(&str, &str); 1] = [("at {moment}", "a moment needs no word before it")];

/// A translation and the file that has it.
struct Translation {
    file: String,
    entry: POEntry,
}

/// What a file of translations has, and what is wrong with it by itself.
fn read_po(file: &str, content: &str, found: &mut Vec<String>) -> Vec<Translation> {
    if !content.ends_with("\"\n\n") {
        found.push(format!(
            "{file}: does not end with a blank line, behind which the next file goes on"
        ));
    }
    let read = match pofile(content) {
        Ok(read) => read,
        Err(error) => {
            found.push(format!("{file}: {error}"));
            return Vec::new();
        }
    };
    let mut translated = Vec::new();
    for entry in read.entries {
        if entry.fuzzy() || entry.obsolete {
            found.push(format!("{file}: marked as fuzzy or obsolete: {:?}", entry.msgid));
        }
        translated.push(Translation { file: file.to_owned(), entry });
    }
    translated
}

/// The translations of a text; none where one is missing or empty.
fn msgstrs(entry: &POEntry) -> Vec<&str> {
    let plural = entry.msgid_plural.is_some();
    let all: Vec<_> = match &entry.msgstr {
        Some(text) if !plural => vec![&**text],
        _ => entry.msgstr_plural.iter().map(|text| &**text).collect(),
    };
    if all.iter().any(|text| text.trim().is_empty()) { Vec::new() } else { all }
}

/// Whether a translation is one of this text.
fn is_translation_of(entry: &POEntry, text: &Message) -> bool {
    entry.msgid == text.singular
        && entry.msgid_plural == text.plural
        && entry.msgctxt == text.context
}

/// Every text of `texts` that is not translated as it should be.
fn missing_translations(texts: &[Message], translated: &[Translation]) -> Vec<String> {
    let mut found = Vec::new();
    for text in texts {
        let Some(Translation { file, entry }) =
            translated.iter().find(|known| is_translation_of(&known.entry, text))
        else {
            found.push(format!("{}: no translation of {:?}", text.location, text.singular));
            continue;
        };
        let forms = msgstrs(entry);
        if forms.is_empty() {
            found.push(format!("{file}: an empty translation of {:?}", text.singular));
        }
        if text.plural.is_some() && forms.len() > 1 {
            found.push(format!("{file}: Chinese has one form for {:?}", text.singular));
        }
        for form in forms {
            // The form that every count but one takes has all of them; a form for one may leave the
            // count out.
            let (wanted, given) =
                (placeholders(text.plural.as_ref().unwrap_or(&text.singular)), placeholders(form));
            if text.has_arguments && wanted != given {
                found.push(format!(
                    "{file}: {:?} has {wanted:?}, and its translation {given:?}",
                    text.singular
                ));
            }
            if flags_in(text.plural.as_ref().unwrap_or(&text.singular)) != flags_in(form) {
                found
                    .push(format!("{file}: other flags in the translation of {:?}", text.singular));
            }
            let chinese = form.chars().any(|sign| ('\u{4e00}'..='\u{9fff}').contains(&sign));
            if !chinese
                && count_words(&text.singular) > 0
                && !KEPT_IN_ENGLISH.iter().any(|(same, _)| *same == text.singular)
            {
                found.push(format!("{file}: no Chinese in the translation of {:?}", text.singular));
            }
        }
    }
    found
}

/// Every translation that no text asks for, and every one that is there twice.
fn unused_translations(texts: &[&[Message]], translated: &[Translation]) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = BTreeMap::new();
    for Translation { file, entry } in translated {
        // The texts of clap itself are in clap.
        let of_clap = entry.msgctxt.as_deref() == Some("clap");
        // Names such as `API URL` need no translation, and may have one.
        if !of_clap
            && count_words(&entry.msgid) > 0
            && !texts.iter().any(|texts| texts.iter().any(|text| is_translation_of(entry, text)))
        {
            found.push(format!("{file}: a translation that nothing asks for: {:?}", entry.msgid));
        }
        if let Some(other) = seen.insert((&entry.msgctxt, &entry.msgid), file) {
            found.push(format!("{file}: has {:?}, and so has {other}", entry.msgid));
        }
    }
    found
}

/// Every text that `command` and those under it show as their help.
fn collect_help(command: &Command, texts: &mut BTreeMap<String, String>) {
    let mut add = |place: &str, text: Option<String>| {
        if let Some(text) = text.filter(|text| count_words(text) > 0) {
            for paragraph in text.split("\n\n").filter(|paragraph| count_words(paragraph) > 0) {
                let actual = || format!("{}, {place}", command.get_name());
                texts.entry(paragraph.to_owned()).or_insert_with(actual);
            }
        }
    };
    let own = [
        command.get_about(),
        command.get_long_about(),
        command.get_before_help(),
        command.get_before_long_help(),
        command.get_after_help(),
        command.get_after_long_help(),
    ];
    for text in own.into_iter().flatten() {
        add("about it", Some(text.to_string()));
    }
    for arg in command.get_arguments() {
        let name = arg.get_id().as_str();
        add(name, arg.get_help().map(ToString::to_string));
        add(name, arg.get_long_help().map(ToString::to_string));
        add(name, arg.get_help_heading().map(ToString::to_string));
        // Those of completions and of switches are never shown with a help of their own.
        for value in arg.get_possible_values() {
            add(name, value.get_help().map(ToString::to_string));
        }
    }
    add("subcommands", command.get_subcommand_help_heading().map(ToString::to_string));
    for command in command.get_subcommands() {
        collect_help(command, texts);
    }
}

/// The texts of the help.
fn help_messages() -> Vec<Message> {
    let mut cli = Cli::command();
    cli.build();
    let mut texts = BTreeMap::new();
    collect_help(&cli, &mut texts);
    let text = |(one, place)| Message {
        location: place,
        context: None,
        singular: one,
        plural: None,
        has_arguments: false,
    };
    texts.into_iter().map(text).collect()
}

/// Everything that the crate and its translations have.
struct Catalogue {
    code: Vec<Message>,
    help: Vec<Message>,
    translations: Vec<Translation>,
    /// What is wrong with the calls of `tr!` or with a file by itself.
    problems: Vec<String>,
}

fn load_catalogue() -> Catalogue {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut code, mut found) = (Vec::new(), Vec::new());
    for (path, tokens) in crate_tokens() {
        code.extend(tr_messages(&path, &tokens, &mut found));
    }
    let included = included_files(&fs::read_to_string(root.join(PO_INDEX)).unwrap());
    let mut names: BTreeSet<String> = fs::read_dir(root.join(PO_DIR))
        .unwrap()
        .map(|entry| format!("{PO_DIR}/{}", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    let mut translated = Vec::new();
    for file in &included {
        if !names.remove(file) {
            found.push(format!("{PO_INDEX}: {file} is included twice or does not exist"));
            continue;
        }
        let own = fs::read_to_string(root.join(file)).unwrap();
        translated.extend(read_po(file, &own, &mut found));
    }
    found.extend(
        names.iter().map(|name| format!("{name}: not among those that {PO_INDEX} includes")),
    );
    Catalogue { code, help: help_messages(), translations: translated, problems: found }
}

/// The files that `CHINESE` puts together, from the crate's root.
fn included_files(chooser: &str) -> Vec<String> {
    let tokens = tokens(chooser, false).unwrap();
    let calls =
        tokens.windows(4).filter(|call| call[0].text == "include_str" && call[1].text == "!");
    calls
        .filter_map(|call| {
            Some(call[3].literal.as_ref()?.replacen("zh-CN/", "src/app/i18n/zh-CN/", 1))
        })
        .collect()
}

/// The tokens of every file under `src/`; code for tests is marked.
fn crate_tokens() -> Vec<(String, Vec<Token>)> {
    let files = sources();
    let code = files.iter().filter(|(path, _)| path.starts_with("src/"));
    code.map(|(path, text)| (path.clone(), tokens(text, is_test_only(path, &files)).unwrap()))
        .collect()
}

#[track_caller]
fn assert_no_problems(mut found: Vec<String>) {
    found.sort();
    found.dedup();
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_message_of_the_code_is_translated() {
    let whole = load_catalogue();
    let mut found = whole.problems;
    found.extend(missing_translations(&whole.code, &whole.translations));
    found.extend(unused_translations(&[&whole.code, &whole.help], &whole.translations));
    assert_no_problems(found);
}

/// Words that stand for what has another word everywhere else, and gaps that Chinese does not have.
const BANNED_TERMS: [&str; 12] = [
    "组织",
    "响应",
    "选项",
    "解析",
    "API",
    "该国",
    "国家代码",
    "国际区号",
    "国家码",
    "国家列",
    " %",
    "} 内",
];

#[test]
fn chinese_terms_are_consistent() {
    let mut found = Vec::new();
    for Translation { file, entry } in &load_catalogue().translations {
        for text in msgstrs(entry) {
            let text = text.replace("候选项", "");
            let unlike = BANNED_TERMS.iter().filter(|word| text.contains(**word));
            found.extend(unlike.map(|word| format!("{file}: {word} in {text}")));
        }
    }
    assert_no_problems(found);
}

#[test]
fn every_text_of_the_help_is_translated() {
    let whole = load_catalogue();
    assert!(whole.help.len() > 50, "{} texts", whole.help.len());
    assert_no_problems(missing_translations(&whole.help, &whole.translations));
}

/// The files by themselves may be right and yet nothing in them be found.
#[test]
fn every_translation_can_be_looked_up() {
    let whole = load_catalogue();
    let translator = Language::Chinese.catalog().unwrap();
    let mut found = Vec::new();
    for Translation { file, entry } in &whole.translations {
        let context = entry.msgctxt.as_deref();
        for count in [0, 1, 2, 5, 21, 1_000_000] {
            let translated = match &entry.msgid_plural {
                Some(many) => translator.ntranslate(count, &entry.msgid, many, context),
                None => translator.translate(&entry.msgid, context),
            };
            if msgstrs(entry).first().is_some_and(|wanted| *wanted != translated) {
                found.push(format!("{file}: {:?} gives {translated:?} for {count}", entry.msgid));
            }
        }
    }
    assert_no_problems(found);
}

fn crate_literals_past_tr(of: impl Fn(&str) -> bool) -> Vec<String> {
    let help: BTreeSet<_> = help_messages().into_iter().map(|text| text.singular).collect();
    let files = crate_tokens().into_iter().filter(|(path, _)| of(path));
    files.flat_map(|(path, tokens)| literals_past_tr(&path, &tokens, &help)).collect()
}

#[test]
fn no_text_outside_app_bypasses_translation() {
    assert_no_problems(crate_literals_past_tr(|path| {
        !path.starts_with("src/app/") && !path.starts_with("src/sandbox/")
    }));
}

#[test]
fn no_text_in_app_bypasses_translation() {
    assert_no_problems(crate_literals_past_tr(|path| path.starts_with("src/app/")));
}
