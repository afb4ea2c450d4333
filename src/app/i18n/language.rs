//! Which language is spoken: chosen from the flag, its variable or the locale, and said once, before anything else runs. The
//! texts are in `src/language/`, a folder for each language but English, which the code itself has. Leaves what is said to
//! everybody else.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::OnceLock;

use clap::ValueEnum;
use rspolib::pofile;
use tr::{Translator, set_translator, tr};

/// The languages that people are told things in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// English.
    #[value(name = "en")]
    English,
    /// Simplified Chinese.
    #[value(name = "zh", alias = "zh-CN")]
    Chinese,
}

/// What is spoken.
static CURRENT: OnceLock<Language> = OnceLock::new();

/// The Chinese texts. Each file is named after the module that has its texts; `help.po` has those of
/// `--help` and, first, the header.
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
    /// The language that the arguments or the environment ask for. It is needed before arguments are parsed, since their
    /// errors are told in it; a value that is none is left for the parser to refuse.
    #[must_use]
    pub fn detect(args: &[OsString], variable: impl Fn(&str) -> Option<OsString>) -> Self {
        // Behind `--` everything is a value.
        let args = args.split(|arg| arg == "--").next().unwrap_or_default();
        let typed = args.iter().enumerate().rev().find_map(|(at, arg)| {
            let arg = arg.to_str()?;
            match arg.strip_prefix("--lang")? {
                "" => args.get(at + 1)?.to_str().map(str::to_owned),
                rest => rest.strip_prefix('=').map(str::to_owned),
            }
        });
        let set = || variable("DINGMAP_LANG").and_then(|name| name.into_string().ok());
        if let Some(named) = typed.or_else(set).and_then(|name| Self::from_str(&name, true).ok()) {
            return named;
        }
        // The order of POSIX: the first that is set and not empty.
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| value != OsStr::new("")));
        let chinese = locale.is_some_and(|locale| {
            let name = locale.to_string_lossy().to_lowercase();
            name == "zh"
                || name.starts_with("zh_")
                || name.starts_with("zh-")
                || name.starts_with("zh.")
        });
        if chinese { Self::Chinese } else { Self::English }
    }

    /// The one that is spoken: English unless [`Language::speak`] was told another.
    #[must_use]
    pub fn current() -> Self {
        CURRENT.get().copied().unwrap_or(Self::English)
    }

    /// Speaks it from now on, in the whole process. To be called once, before other threads are there.
    pub fn set_current(self) {
        // Whoever comes second is not heard.
        let _ = CURRENT.set(self);
        if let Some(texts) = self.catalog() {
            set_translator!(texts);
        }
    }

    /// A text that does not stand in the code as a literal, since clap has it from a comment: the help of a flag, say. In the
    /// language that is spoken, paragraph by paragraph; what has no words there stays English.
    #[must_use]
    pub fn translate_help(english: &str) -> String {
        english.split("\n\n").map(|paragraph| tr!(paragraph)).collect::<Vec<_>>().join("\n\n")
    }

    /// What clap says by itself, in the language that is spoken; what has no words there stays English.
    #[must_use]
    pub fn translate_clap(english: &str) -> String {
        tr!("clap" => english)
    }

    /// Its texts; none for English, which the code itself has.
    #[must_use]
    pub fn catalog(self) -> Option<Catalog> {
        match self {
            Self::English => None,
            Self::Chinese => Catalog::parse(CHINESE_CATALOG),
        }
    }
}

/// The texts of a language, by the English ones. (The reader of .po files that `tr` has, in 0.1.11, finds nothing in a file
/// that is in memory.)
pub struct Catalog(HashMap<String, String>);

impl Catalog {
    fn parse(po: &str) -> Option<Self> {
        let entries = pofile(po).ok()?.entries.into_iter();
        // One form does for every count: so it is in Chinese, and so far there is no other language.
        let told = entries.filter_map(|entry| {
            let text = entry.msgstr_plural.into_iter().next().or(entry.msgstr)?;
            Some((catalog_key(&entry.msgid, entry.msgctxt.as_deref()).into_owned(), text))
        });
        Some(Self(told.collect()))
    }

    fn find<'a>(&'a self, english: &str, context: Option<&str>) -> Option<Cow<'a, str>> {
        self.0.get(&*catalog_key(english, context)).map(|text| Cow::Borrowed(&**text))
    }
}

/// What a text is known by: with its context before it, as in gettext's own files.
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

    fn chosen(args: &[&str], variables: &[(&str, &str)]) -> Language {
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
            assert_eq!(chosen(&[], &lang(value)), Chinese, "{value}");
        }
        for value in ["", "C", "C.UTF-8", "en_GB", "zha_CN", "de_DE.UTF-8"] {
            assert_eq!(chosen(&[], &lang(value)), English, "{value}");
        }
        assert_eq!(chosen(&["--lang", "zh"], &[("DINGMAP_LANG", "en")]), Chinese);
        assert_eq!(chosen(&["--lang=en"], &[("DINGMAP_LANG", "zh")]), English);
        assert_eq!(chosen(&["--lang=en", "--lang=zh-cn"], &[]), Chinese);
        assert_eq!(chosen(&[], &[("DINGMAP_LANG", "en"), ("LANG", "zh_CN")]), English);
        assert_eq!(chosen(&["--lang=en", "--", "--lang=zh"], &[("LANG", "zh_CN")]), English);
        assert_eq!(chosen(&["--", "--lang=zh"], &[]), English);
        assert_eq!(chosen(&["--lang", "xx"], &[("LANG", "zh_CN")]), Chinese);
        assert_eq!(chosen(&[], &[("LC_ALL", "C"), ("LANG", "zh_CN")]), English);
        assert_eq!(
            chosen(&[], &[("LC_ALL", ""), ("LC_MESSAGES", "zh_CN"), ("LANG", "C")]),
            Chinese
        );
    }

    #[test]
    fn translations_are_looked_up_by_english_text_and_context() {
        let po = "msgid \"\"\nmsgstr \"\"\n\"Language: zh_CN\\n\"\n\nmsgid \"open \\\"it\\\"\"\nmsgstr \"打开\"\n\n\
                  msgctxt \"state\"\nmsgid \"open \\\"it\\\"\"\nmsgstr \"未完成\"\n\n\
                  msgid \"a row\"\nmsgid_plural \"{n} rows\"\nmsgstr[0] \"{n} 行\"\n\n";
        let texts = Catalog::parse(po).unwrap();
        assert_eq!(texts.translate("open \"it\"", None), "打开");
        assert_eq!(texts.translate("open \"it\"", Some("state")), "未完成");
        assert_eq!(texts.translate("open \"it\"", Some("verb")), "open \"it\"");
        for count in [0, 1, 2] {
            assert_eq!(texts.ntranslate(count, "a row", "{n} rows", None), "{n} 行");
        }
        assert_eq!(texts.ntranslate(2, "a line", "{n} lines", None), "{n} lines");
        assert!(
            Language::Chinese.catalog().is_some_and(|texts| !texts.0.is_empty())
                && Language::English.catalog().is_none()
        );
    }
}
