//! Which language is spoken: chosen from the flag, its variable or the locale, and said once, before anything else runs. The
//! texts are in `src/language/`, a folder for each language but English, which the code itself has. Leaves what is said to
//! everybody else.

use std::ffi::{OsStr, OsString};
use std::sync::OnceLock;

use clap::ValueEnum;
use tr::{PoTranslator, set_translator};

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
static SPOKEN: OnceLock<Language> = OnceLock::new();

/// The Chinese texts, a file for each room. The first has the header.
const CHINESE: &str = concat!(
    include_str!("../language/zh-CN/help.po"),
    include_str!("../language/zh-CN/failure.po"),
    include_str!("../language/zh-CN/settings.po"),
    include_str!("../language/zh-CN/run.po"),
    include_str!("../language/zh-CN/plan.po"),
    include_str!("../language/zh-CN/diff.po"),
    include_str!("../language/zh-CN/state.po"),
);

impl Language {
    /// The language that the arguments or the environment ask for. It is needed before arguments are parsed, since their
    /// errors are told in it; a value that is none is left for the parser to refuse.
    #[must_use]
    pub fn chosen(args: &[OsString], variable: impl Fn(&str) -> Option<OsString>) -> Self {
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
            name == "zh" || name.starts_with("zh_") || name.starts_with("zh-") || name.starts_with("zh.")
        });
        if chinese { Self::Chinese } else { Self::English }
    }

    /// The one that is spoken: English unless [`Language::speak`] was told another.
    #[must_use]
    pub fn spoken() -> Self {
        SPOKEN.get().copied().unwrap_or(Self::English)
    }

    /// Speaks it from now on, in the whole process. To be called once, before other threads are there.
    pub fn speak(self) {
        // Whoever comes second is not heard.
        let _ = SPOKEN.set(self);
        if self == Self::Chinese
            && let Ok(texts) = PoTranslator::from_vec_u8(CHINESE.into())
        {
            set_translator!(texts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(args: &[&str], variables: &[(&str, &str)]) -> Language {
        let args: Vec<_> = args.iter().map(OsString::from).collect();
        Language::chosen(&args, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn a_flag_beats_its_variable_and_that_the_locale() {
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
        assert_eq!(chosen(&["--lang", "xx"], &[("LANG", "zh_CN")]), Chinese);
        assert_eq!(chosen(&[], &[("LC_ALL", "C"), ("LANG", "zh_CN")]), English);
        assert_eq!(chosen(&[], &[("LC_ALL", ""), ("LC_MESSAGES", "zh_CN"), ("LANG", "C")]), Chinese);
    }

    #[test]
    fn the_chinese_texts_can_be_read() {
        assert!(PoTranslator::from_vec_u8(CHINESE.into()).is_ok());
    }
}
