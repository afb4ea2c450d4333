//! What packagers install beside the program: completions and manual pages.

use crate::support::sandbox::{dingmap, run};
use crate::support::workdir::Workdir;

const FLAGS: [&str; 4] = ["max-retries", "start-at", "older-than", "token-lifetime"];

#[test]
fn every_shell_has_a_completion_script() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ended = run(dingmap().args(["completions", shell]));
        assert_eq!((ended.status, &*ended.stderr), (Some(0), ""), "{shell}");
        assert!(ended.stdout.contains("DINGMAP_COMPLETE"), "{shell}: {}", ended.stdout);
    }
    let ended = run(dingmap().args(["completions", "cmd"]));
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
}

#[test]
fn every_command_has_a_man_page() {
    let whole = run(dingmap().arg("man"));
    assert_eq!((whole.status, &*whole.stderr), (Some(0), ""));
    for flag in FLAGS {
        // A dash of a flag is an escaped one in the form of man.
        let spelt = format!(r"\-\-{}", flag.replace('-', r"\-"));
        assert!(whole.stdout.contains(&spelt), "{flag}");
    }
    let workdir = Workdir::new();
    let directory = workdir.path("man/man1");
    let ended = run(dingmap().arg("man").arg("--directory").arg(&directory));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let mut names: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    for name in ["dingmap.1", "dingmap-resolve.1", "dingmap-sandbox.1", "dingmap-state-forget.1"] {
        assert!(names.iter().any(|known| known == name), "{names:?}");
        let page = std::fs::read_to_string(directory.join(name)).unwrap();
        assert!(page.contains(".TH ") && whole.stdout.contains(&page), "{name}");
        assert!(name != "dingmap.1" || page.contains("\nProfile of the config file"), "{page}");
    }
    for (topic, about) in [
        ("first-run", r"from the app\*(Aqs credentials to the first result"),
        ("dry-run", "what dingmap plan shows"),
    ] {
        let page = std::fs::read_to_string(directory.join(format!("dingmap-{topic}.7"))).unwrap();
        let name = format!("dingmap-{topic} - {about}").replace('-', r"\-");
        assert!(page.contains(&format!(".SH NAME\n{name}\n")), "{page}");
        // Code in tables is bold.
        assert!(!page.contains('`'), "{page}");
    }
    let ended = run(dingmap().args(["man", "--directory", "/proc/none"]));
    assert_eq!(ended.status, Some(7), "{}", ended.stderr);
    assert!(ended.stderr.contains("/proc/none"), "{}", ended.stderr);
}

#[test]
fn man_pages_end_with_examples_exit_statuses_and_variables() {
    for (language, headings) in [
        ("en", ["EXAMPLES", "EXIT STATUS", "ENVIRONMENT"]),
        ("zh", ["示例", "退出状态", "环境变量"]),
    ] {
        let workdir = Workdir::new();
        let ended =
            run(dingmap().args(["man", "--lang", language, "--directory"]).arg(workdir.path("")));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        let page = std::fs::read_to_string(workdir.path("dingmap-diff.1")).unwrap();
        let title = page.lines().find(|line| line.starts_with(".TH ")).unwrap();
        assert!(title.contains(concat!("dingmap ", env!("CARGO_PKG_VERSION"))), "{title}");
        assert!(!page.contains("EXTRA") && page.contains(".ad l") == (language == "zh"), "{page}");
        for heading in headings {
            let begins = page
                .lines()
                .position(|line| line.trim_start_matches(".SH ").trim_matches('"') == heading);
            let lines: Vec<_> = page.lines().skip(begins.expect(&page) + 1).collect();
            assert!(lines[0] == ".nf" && lines.contains(&".fi"), "{heading}: {page}");
        }
        assert!(page.contains("\n10       ") && page.contains("\nDINGMAP_MAX_CHANGE "), "{page}");
    }
}
