//! The guide: what `dingmap help TOPIC`, the manual and rustdoc show. Content only.

#[doc = include_str!("guide/api.md")]
pub(crate) mod api {}
#[doc = include_str!("guide/architecture.md")]
pub(crate) mod architecture {}
#[doc = include_str!("guide/testing.md")]
pub(crate) mod testing {}

/// A page for users.
pub(crate) struct Topic {
    /// As in `dingmap help NAME`.
    pub(crate) name: &'static str,
    /// Markdown.
    pub(crate) english: &'static str,
    /// Markdown; `None` shows the English page.
    pub(crate) chinese: Option<&'static str>,
}

/// Declares [`TOPICS`], and a module of the same name for rustdoc for each.
macro_rules! topics {
    ($($module:ident $name:literal $(zh: $chinese:literal)?),+ $(,)?) => {
        $(
            #[doc = include_str!(concat!("guide/", $name, ".md"))]
            pub(crate) mod $module {}
        )+

        /// The pages for users, in the order in which `dingmap help` lists them.
        pub(crate) const TOPICS: &[Topic] = &[$(topics!(@entry $name $($chinese)?)),+];
    };
    (@entry $name:literal $chinese:literal) => {
        Topic {
            name: $name,
            english: include_str!(concat!("guide/", $name, ".md")),
            chinese: Some(include_str!(concat!("guide/", $chinese, ".md"))),
        }
    };
    (@entry $name:literal) => {
        Topic {
            name: $name,
            english: include_str!(concat!("guide/", $name, ".md")),
            chinese: None,
        }
    };
}

topics! {
    first_run "first-run" zh: "zh/first-run",
    numbers "numbers" zh: "zh/numbers",
    files "files" zh: "zh/files",
    columns "columns" zh: "zh/columns",
    workbooks "workbooks" zh: "zh/workbooks",
    dry_run "dry-run" zh: "zh/dry-run",
    resume "resume" zh: "zh/resume",
    retry "retry" zh: "zh/retry",
    expect "expect" zh: "zh/expect",
    compare "compare" zh: "zh/compare",
    shards "shards" zh: "zh/shards",
    quota "quota" zh: "zh/quota",
    calls "calls" zh: "zh/calls",
    faults "faults" zh: "zh/faults",
    config "config" zh: "zh/config",
    report "report" zh: "zh/report",
    unattended "unattended" zh: "zh/unattended",
    exit_status "exit-status" zh: "zh/exit-status",
    changelog "changelog",
}

impl Topic {
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        TOPICS.iter().find(|topic| topic.name == name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn page_names(folder: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide").join(folder);
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter_map(|name| Some(name.to_str()?.strip_suffix(".md")?.to_owned())).collect()
    }

    #[test]
    fn every_page_is_a_topic() {
        let pages = page_names("");
        let developer_pages = ["api", "architecture", "testing"].map(str::to_owned);
        let topics: BTreeSet<_> = TOPICS.iter().map(|topic| topic.name.to_owned()).collect();
        assert_eq!(topics.len(), TOPICS.len());
        assert_eq!(pages, topics.into_iter().chain(developer_pages).collect());
        let chinese = TOPICS.iter().filter(|topic| topic.chinese.is_some());
        assert_eq!(page_names("zh"), chinese.map(|topic| topic.name.to_owned()).collect());
    }

    #[test]
    fn every_page_starts_with_a_title_and_a_sentence() {
        for topic in TOPICS {
            for text in [Some(topic.english), topic.chinese].into_iter().flatten() {
                let mut lines = text.lines();
                assert!(lines.next().unwrap().starts_with("# "), "{}", topic.name);
                assert_eq!(lines.next(), Some(""), "{}", topic.name);
                assert!(lines.next().is_some_and(|line| line.len() > 20), "{}", topic.name);
            }
        }
    }
}
