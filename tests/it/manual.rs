//! What packagers install beside the program: completions and manual pages.

use std::process::{Command, Stdio};

use crate::harness::{Desk, dingmap, run};

const FLAGS: [&str; 4] = ["max-retries", "start-at", "older-than", "token-lifetime"];

#[test]
fn every_shell_completes_every_flag() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ended = run(dingmap().args(["completions", shell]));
        assert_eq!((ended.status, &*ended.stderr), (Some(0), ""), "{shell}");
        for flag in FLAGS {
            assert!(ended.stdout.contains(flag), "{shell}: {flag}");
        }
    }
    let ended = run(dingmap().args(["completions", "cmd"]));
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
}

#[test]
fn bash_reads_its_completions() {
    let desk = Desk::new();
    let script = desk.file("dingmap.bash", run(dingmap().args(["completions", "bash"])).stdout);
    let complete = "source \"$0\"; COMP_WORDS=(dingmap resolve --max-r); COMP_CWORD=2; _dingmap dingmap --max-r resolve; echo \"${COMPREPLY[@]}\"";
    let output =
        Command::new("bash").args(["-c", complete]).arg(script).stderr(Stdio::inherit()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "--max-retries");
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let whole = run(dingmap().arg("man"));
    assert_eq!((whole.status, &*whole.stderr), (Some(0), ""));
    for flag in FLAGS {
        // A dash of a flag is an escaped one in the form of man.
        let spelt = format!(r"\-\-{}", flag.replace('-', r"\-"));
        assert!(whole.stdout.contains(&spelt), "{flag}");
    }
    let desk = Desk::new();
    let directory = desk.path("man/man1");
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
    }
    let ended = run(dingmap().args(["man", "--directory", "/proc/none"]));
    assert_eq!(ended.status, Some(7), "{}", ended.stderr);
    assert!(ended.stderr.contains("/proc/none"), "{}", ended.stderr);
}
