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

/// Other words for a topic, in lower case.
const SYNONYMS: &[(&str, &[&str])] = &[
    ("first-run", &["start", "quickstart", "tutorial", "入门", "第一次运行"]),
    ("numbers", &["number", "mobile", "phone", "号码", "手机号"]),
    ("files", &["file", "csv", "encoding", "encodings", "delimiter", "文件", "编码"]),
    ("columns", &["column", "列"]),
    ("workbooks", &["workbook", "excel", "xlsx", "sheet", "gzip", "zstd", "工作簿"]),
    ("dry-run", &["dryrun", "预估"]),
    ("resume", &["续跑", "接着查询", "状态文件"]),
    ("retry", &["retries", "retry-failed", "重试"]),
    ("expect", &["expected", "比对"]),
    ("compare", &["comparison", "比较"]),
    ("shards", &["shard", "sharding", "分片"]),
    ("quota", &["redis", "valkey", "shared", "配额"]),
    ("calls", &["rate", "timeout", "token", "proxy", "tls", "限流", "速率", "超时", "代理"]),
    ("faults", &["fault", "error", "errors", "故障", "错误"]),
    ("config", &["configuration", "environment", "toml", "profile", "配置", "环境变量"]),
    ("report", &["reports", "summary", "json", "metrics", "progress", "log", "logs", "报告"]),
    ("unattended", &["cron", "systemd", "kubernetes", "timer", "无人值守", "定时"]),
    ("exit-status", &["status", "exit", "exit-code", "exit-codes", "退出状态", "退出码"]),
    ("changelog", &["changes", "更新日志"]),
];

impl Topic {
    /// Finds a topic by its name or a synonym, in any letter case, with spaces or hyphens.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        let name = name.to_lowercase().replace(' ', "-");
        let synonym = SYNONYMS.iter().find(|(_, words)| words.contains(&&*name));
        let name = synonym.map_or(&*name, |(name, _)| *name);
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
    fn every_synonym_leads_to_one_topic() {
        let mut seen = BTreeSet::new();
        for (name, words) in SYNONYMS {
            for word in *words {
                let is_topic = TOPICS.iter().any(|topic| topic.name == *word);
                assert!(!is_topic && seen.insert(word), "{word}");
                assert_eq!(Topic::find(word).unwrap().name, *name, "{word}");
            }
        }
        for typed in ["Exit Status", "EXIT-STATUS", "exit status", "Exit-Code"] {
            assert_eq!(Topic::find(typed).unwrap().name, "exit-status", "{typed}");
        }
        assert!(Topic::find("nothing").is_none());
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
