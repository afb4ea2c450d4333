//! The language of messages, from flag, variable or locale. It is set once, at startup. English
//! texts are in the code; translations are in a directory for each language.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::OnceLock;

use clap::ValueEnum;
use rspolib::pofile;
use tr::{Translator, set_translator, tr};

/// The languages of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// English.
    #[value(name = "en")]
    English,
    /// Simplified Chinese.
    #[value(name = "zh", alias = "zh-CN")]
    Chinese,
}

static CURRENT: OnceLock<Language> = OnceLock::new();

/// The Chinese texts. Each file is named after the module that has its texts; `help.po` has those
/// of `--help` and, first, the header.
const CHINESE_CATALOG: &str = concat!(
    include_str!("zh-CN/help.po"),
    include_str!("zh-CN/clap.po"),
    include_str!("zh-CN/cli.po"),
    include_str!("zh-CN/app.po"),
    include_str!("zh-CN/commands.po"),
    include_str!("zh-CN/report.po"),
    include_str!("zh-CN/domain.po"),
    include_str!("zh-CN/table.po"),
    include_str!("zh-CN/store.po"),
    include_str!("zh-CN/api.po"),
    include_str!("zh-CN/quota.po"),
    include_str!("zh-CN/engine.po"),
    include_str!("zh-CN/guide.po"),
);

impl Language {
    /// The language that arguments or environment select. Arguments are parsed later, so that parse
    /// errors are in this language; an invalid value is ignored here and rejected then.
    #[must_use]
    pub fn detect(args: &[OsString], variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // After `--`, everything is a value.
        let args = args.split(|arg| arg == "--").next().unwrap_or_default();
        let flag = args.iter().enumerate().rev().find_map(|(at, arg)| {
            let arg = arg.to_str()?;
            match arg.strip_prefix("--lang")? {
                "" => args.get(at + 1)?.to_str().map(str::to_owned),
                suffix => suffix.strip_prefix('=').map(str::to_owned),
            }
        });
        let from_env = || variable("DINGMAP_LANG").and_then(|name| name.into_string().ok());
        let selected = flag.or_else(from_env);
        if let Some(language) = selected.and_then(|name| Self::from_str(&name, true).ok()) {
            return language;
        }
        // POSIX: the first one that is set and not empty.
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| value != OsStr::new("")));
        let is_chinese = locale.is_some_and(|locale| {
            let name = locale.to_string_lossy().to_lowercase();
            name == "zh"
                || name.starts_with("zh_")
                || name.starts_with("zh-")
                || name.starts_with("zh.")
        });
        if is_chinese { Self::Chinese } else { Self::English }
    }

    /// The current language: English before [`Language::set_current`].
    #[must_use]
    pub fn current() -> Self {
        CURRENT.get().copied().unwrap_or(Self::English)
    }

    /// Sets the language of the process. Call once, before other threads start.
    pub fn set_current(self) {
        // A second call has no effect.
        let _ = CURRENT.set(self);
        if let Some(catalog) = self.catalog() {
            set_translator!(catalog);
        }
    }

    /// Translates help texts, which clap takes from doc comments, paragraph by paragraph. Unknown
    /// paragraphs stay English.
    #[must_use]
    pub fn translate_help(english: &str) -> String {
        english.split("\n\n").map(|paragraph| tr!(paragraph)).collect::<Vec<_>>().join("\n\n")
    }

    /// Translates a message of clap; an unknown message stays English.
    #[must_use]
    pub fn translate_clap(english: &str) -> String {
        tr!("clap" => english)
    }

    /// The translations; `None` for English.
    #[must_use]
    pub fn catalog(self) -> Option<Catalog> {
        match self {
            Self::English => None,
            Self::Chinese => Catalog::parse(CHINESE_CATALOG),
        }
    }
}

/// The translations of a language by English text. (The .po reader of `tr` 0.1.11 cannot read from
/// memory.)
pub struct Catalog(HashMap<String, String>);

impl Catalog {
    fn parse(po: &str) -> Option<Self> {
        let entries = pofile(po).ok()?.entries.into_iter();
        // Chinese has one plural form.
        let translations = entries.filter_map(|entry| {
            let text = entry.msgstr_plural.into_iter().next().or(entry.msgstr)?;
            Some((catalog_key(&entry.msgid, entry.msgctxt.as_deref()).into_owned(), text))
        });
        Some(Self(translations.collect()))
    }

    fn find<'a>(&'a self, english: &str, context: Option<&str>) -> Option<Cow<'a, str>> {
        self.0.get(&*catalog_key(english, context)).map(|text| Cow::Borrowed(&**text))
    }
}

/// The key of a text: with its context first, as in gettext's .mo files.
fn catalog_key<'a>(english: &'a str, context: Option<&str>) -> Cow<'a, str> {
    context.map_or(Cow::Borrowed(english), |context| Cow::Owned(format!("{context}\u{4}{english}")))
}

impl Translator for Catalog {
    fn translate<'a>(&'a self, english: &'a str, context: Option<&'a str>) -> Cow<'a, str> {
        self.find(english, context).unwrap_or(Cow::Borrowed(english))
    }

    fn ntranslate<'a>(
        &'a self,
        count: u64,
        one: &'a str,
        many: &'a str,
        context: Option<&'a str>,
    ) -> Cow<'a, str> {
        self.find(one, context).unwrap_or(Cow::Borrowed(if count == 1 { one } else { many }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(args: &[&str], variables: &[(&str, &str)]) -> Language {
        let args: Vec<_> = args.iter().map(OsString::from).collect();
        Language::detect(&args, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn a_flag_overrides_its_variable_which_overrides_the_locale() {
        use Language::{Chinese, English};
        let lang = |value| [("LANG", value)];
        for value in ["zh_CN.UTF-8", "zh", "zh.UTF-8", "zh_TW", "ZH_cn"] {
            assert_eq!(detect(&[], &lang(value)), Chinese, "{value}");
        }
        for value in ["", "C", "C.UTF-8", "en_GB", "zha_CN", "de_DE.UTF-8"] {
            assert_eq!(detect(&[], &lang(value)), English, "{value}");
        }
        assert_eq!(detect(&["--lang", "zh"], &[("DINGMAP_LANG", "en")]), Chinese);
        assert_eq!(detect(&["--lang=en"], &[("DINGMAP_LANG", "zh")]), English);
        assert_eq!(detect(&["--lang=en", "--lang=zh-cn"], &[]), Chinese);
        assert_eq!(detect(&[], &[("DINGMAP_LANG", "en"), ("LANG", "zh_CN")]), English);
        assert_eq!(detect(&["--lang=en", "--", "--lang=zh"], &[("LANG", "zh_CN")]), English);
        assert_eq!(detect(&["--", "--lang=zh"], &[]), English);
        assert_eq!(detect(&["--lang", "xx"], &[("LANG", "zh_CN")]), Chinese);
        assert_eq!(detect(&[], &[("LC_ALL", "C"), ("LANG", "zh_CN")]), English);
        assert_eq!(
            detect(&[], &[("LC_ALL", ""), ("LC_MESSAGES", "zh_CN"), ("LANG", "C")]),
            Chinese
        );
    }

    #[test]
    fn translations_are_looked_up_by_english_text_and_context() {
        let po = "msgid \"\"\nmsgstr \"\"\n\"Language: zh_CN\\n\"\n\n\
                  msgid \"open \\\"it\\\"\"\nmsgstr \"打开\"\n\n\
                  msgctxt \"state\"\nmsgid \"open \\\"it\\\"\"\nmsgstr \"未完成\"\n\n\
                  msgid \"a row\"\nmsgid_plural \"{n} rows\"\nmsgstr[0] \"{n} 行\"\n\n";
        let catalog = Catalog::parse(po).unwrap();
        assert_eq!(catalog.translate("open \"it\"", None), "打开");
        assert_eq!(catalog.translate("open \"it\"", Some("state")), "未完成");
        assert_eq!(catalog.translate("open \"it\"", Some("verb")), "open \"it\"");
        for count in [0, 1, 2] {
            assert_eq!(catalog.ntranslate(count, "a row", "{n} rows", None), "{n} 行");
        }
        assert_eq!(catalog.ntranslate(2, "a line", "{n} lines", None), "{n} lines");
        assert!(
            Language::Chinese.catalog().is_some_and(|catalog| !catalog.0.is_empty())
                && Language::English.catalog().is_none()
        );
    }
}
