//! What `--help` prints, and the suggestions for misspelled commands and flags.

use unicode_width::UnicodeWidthStr;

use crate::support::sandbox::{dingmap, run};
use crate::support::workdir::Workdir;

const COMMANDS: [&str; 13] = [
    "",
    "resolve",
    "plan",
    "diff",
    "merge",
    "sandbox",
    "state",
    "state info",
    "state forget",
    "state compact",
    "state export",
    "completions",
    "man",
];

fn help_text(command: &str, flag: &str) -> String {
    let ended = run(dingmap().args(command.split_whitespace()).arg(flag).env("COLUMNS", "80"));
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""), "{command} {flag}");
    ended.stdout
}

#[test]
fn short_help_fits_one_screen() {
    for command in COMMANDS {
        let actual = help_text(command, "-h");
        let widest = actual.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(actual.lines().count() <= 22 && widest <= 80, "{command}:\n{actual}");
        // Room is left for the command line and the next prompt.
        assert!(actual.contains("see more with '--help'"), "{command}:\n{actual}");
    }
    // The flags that most runs need.
    let actual = help_text("resolve", "-h");
    for flag in [
        "--output",
        "--column",
        "--sandbox",
        "--app-key",
        "--app-secret-file",
        "--rate",
        "--config",
    ] {
        assert!(actual.contains(flag), "{flag}:\n{actual}");
    }
    assert!(!actual.contains("--retry-min"), "{actual}");
}

#[test]
fn translated_help_keeps_the_english_width() {
    let widest = |columns: &str| {
        let ended =
            run(dingmap().args(["resolve", "--help", "--lang", "zh"]).env("COLUMNS", columns));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        ended
            .stdout
            .lines()
            .filter(|line| !line.starts_with("  dingmap "))
            .map(UnicodeWidthStr::width)
            .max()
    };
    assert!(
        widest("60") <= Some(60) && widest("100") > Some(60),
        "{:?} {:?}",
        widest("60"),
        widest("100")
    );
}

#[test]
fn long_help_has_every_flag_under_a_heading_and_examples() {
    let actual = help_text("resolve", "--help");
    let headings = [
        "Options:",
        "Input and output:",
        "DingTalk:",
        "Calls:",
        "Network:",
        "State:",
        "Reports:",
        "Messages:",
    ];
    for heading in headings {
        assert!(actual.lines().any(|line| line == heading), "{heading}:\n{actual}");
    }
    for flag in ["--retry-min", "--max-age-not-found", "--lang", "--insecure-http"] {
        assert!(actual.contains(flag), "{flag}:\n{actual}");
    }
    for command in
        ["", "resolve", "plan", "diff", "merge", "sandbox", "state", "completions", "man"]
    {
        let actual = help_text(command, "--help");
        let example = format!("\n  dingmap {command}");
        assert!(
            actual.contains("Examples:") && actual.contains(example.trim_end()),
            "{command}:\n{actual}"
        );
    }
}

#[test]
fn help_examples_are_valid_command_lines() {
    for command in COMMANDS {
        let actual = help_text(command, "--help");
        let examples = actual.lines().filter_map(|line| line.strip_prefix("  dingmap "));
        for example in examples {
            // Behind the command stand a remark, or what the shell does with its output.
            let typed = example.split("   ").next().unwrap().split([' ', '\t']);
            let words: Vec<_> = typed.take_while(|word| !["<", ">", "|"].contains(word)).collect();
            let config = ["--config", "--profile", "--print-config", "dingmap.toml", "nightly"];
            let words = words.iter().filter(|word| !config.contains(word));
            // With help at the end nothing is run, but all before it must be right.
            let ended = run(dingmap().args(words).arg("--help"));
            assert_eq!(ended.status, Some(0), "{example}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_misspelled_word_gets_a_suggestion() {
    for (line, meant) in [
        ("resolv staff.csv", "'resolve'"),
        ("resolve staff.csv --max-retrys 3", "'--max-retries'"),
        ("resolve staff.csv --mainland prefix", "'prefixed'"),
        ("diff a b --max-chnage 5%", "'--max-change'"),
        ("state inf", "'info'"),
        ("completions bsh", "'bash'"),
    ] {
        let ended = run(dingmap().args(line.split(' ')));
        assert_eq!(ended.status, Some(2), "{line}");
        assert!(ended.stderr.contains(meant), "{line}: {}", ended.stderr);
    }
}

#[test]
fn help_of_a_topic_is_found_by_any_letter_case_and_by_synonyms() {
    let page = |words: &[&str]| {
        let ended = run(dingmap().arg("help").args(words));
        assert_eq!((ended.status, &*ended.stderr), (Some(0), ""), "{words:?}");
        ended.stdout
    };
    for (typed, topic) in [
        (&["Exit", "Status"][..], "exit-status"),
        (&["excel"], "workbooks"),
        (&["退出状态"], "exit-status"),
        (&["CSV"], "files"),
    ] {
        assert_eq!(page(typed), page(&[topic]), "{typed:?}");
    }
    assert_eq!(page(&["Resolve"]), page(&["resolve"]));
    let ended = run(dingmap().args(["help", "exit-statsu"]));
    assert_eq!(ended.status, Some(2));
    assert!(ended.stderr.contains("did you mean 'exit-status'?"), "{}", ended.stderr);
    let chinese = page(&["changelog", "--lang", "zh"]);
    assert!(chinese.starts_with("此页只有英文版：\n\nChangelog\n"), "{chinese}");
    let retry = page(&["retry"]);
    assert!(retry.contains("\n    # exit status 4\n") && !retry.contains("? 4"), "{retry}");
}

#[test]
fn a_misspelled_variable_is_warned_about() {
    let workdir = Workdir::new();
    let input = workdir.write_file("staff.csv", "手机号\n13800138000\n");
    let plan = || {
        let mut command = dingmap();
        command.arg("plan").arg(&input);
        command
    };
    let ended = run(plan().env("DINGMAP_WROKERS", "3"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let actual = "warning: nothing reads the variable DINGMAP_WROKERS; did you mean \
        DINGMAP_WORKERS?";
    assert!(ended.stderr.contains(actual), "{}", ended.stderr);
    let ended = run(plan().env("DINGTALK_APPKEY", "k"));
    assert!(ended.stderr.contains("did you mean DINGTALK_APP_KEY?"), "{}", ended.stderr);
    let ended = run(plan().env("DINGMAP_RATE", "3").env("DINGTALK_CORP_ID", "x"));
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
}

#[test]
fn a_misspelled_column_gets_a_suggestion() {
    let workdir = Workdir::new();
    let input = workdir.write_file("staff.csv", "工号,手机号,Mobile\n1,13800138000,\n");
    for (column, meant) in [("手机好", "手机号"), ("moblie", "Mobile"), ("ＭＯＢＩＬ", "Mobile")]
    {
        let ended = run(dingmap().arg("plan").arg(&input).args(["--column", column]));
        assert_eq!(ended.status, Some(3), "{}", ended.stderr);
        let actual = format!(
            "there is no column \"{column}\"; did you mean {meant}? Name one of these with \
             --column: 1 工号"
        );
        assert!(ended.stderr.contains(&actual), "{}", ended.stderr);
    }
    let ended = run(dingmap().arg("plan").arg(&input).args(["-c", "电话"]));
    assert!(
        !ended.stderr.contains("did you mean") && ended.stderr.contains("2 手机号"),
        "{}",
        ended.stderr
    );
    // A header that is a number, where the first row is none, is not repeated.
    let headless = workdir.write_file("headless.csv", "x,13800138000\ny,13900139000\n");
    let ended = run(dingmap()
        .arg("plan")
        .arg(&headless)
        .args(["-c", "13800138001"])
        .env("DINGMAP_LANG", "en"));
    assert!(!ended.stderr.contains("13800138000"), "{}", ended.stderr);
}

#[test]
fn a_flag_of_another_command_is_reported_as_such() {
    for (flags, actual) in [
        (&["plan", "x", "--timeout", "5s"][..], "--timeout is a flag of resolve"),
        (&["plan", "x", "--key=1"], "--key is a flag of diff"),
        (&["plan", "x", "--older-than", "1d"], "--older-than is a flag of state forget"),
    ] {
        let ended = run(dingmap().args(flags));
        assert_eq!(ended.status, Some(2));
        assert!(
            ended.stderr.contains(actual) && !ended.stderr.contains("as a value"),
            "{}",
            ended.stderr
        );
    }
    let ended = run(dingmap().args(["resolve", "x", "--sandbox", "--endpoint", "https://a"]));
    assert!(ended.stderr.contains("Usage: dingmap resolve"), "{}", ended.stderr);
}

#[test]
fn an_invalid_value_is_reported_with_its_variable() {
    for (language, actual) in [("en", "comes from the variable"), ("zh", "来自环境变量")] {
        for (name, value) in [("RATE", "abc"), ("RATE", ""), ("CONFIG", ""), ("COLUMN", "/(/")] {
            let name = format!("DINGMAP_{name}");
            let ended = run(dingmap().args(["plan", "x", "--lang", language]).env(&name, value));
            assert_eq!(ended.status, Some(2), "{}", ended.stderr);
            assert!(ended.stderr.contains(&format!("{actual} {name}")), "{}", ended.stderr);
        }
        let typed = ["plan", "x", "--lang", language, "--rate", "abc"];
        let ended = run(dingmap().args(typed).env("DINGMAP_RATE", "abc"));
        assert!(!ended.stderr.contains("DINGMAP_RATE"), "{}", ended.stderr);
    }
    let ended = run(dingmap().args(["plan", "x"]).env("DINGMAP_CONFIG", "/no/such.toml"));
    assert!(
        ended.stderr.contains("DINGMAP_CONFIG /no/such.toml: No such file"),
        "{}",
        ended.stderr
    );
}

#[cfg(target_os = "linux")]
#[test]
fn unwritable_help_is_an_error() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child =
        dingmap().arg("--help").stdout(full).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let ended = child.wait_with_output().unwrap();
    let actual = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(7), "{actual}");
    assert!(actual.contains("No space left"), "{actual}");
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_silent() {
    let workdir = Workdir::new();
    let table = |userid: &str| {
        let rows = (0..3000).map(|n| format!("139{n:08},{userid}{n},,found,0,ok\n"));
        "mobile,userid,exclusive_userids,status,errcode,errmsg\n".to_owned()
            + &rows.collect::<String>()
    };
    let old = workdir.write_file("old.csv", table("a")).display().to_string();
    let new = workdir.write_file("new.csv", table("b")).display().to_string();
    let input = workdir.write_file("in.csv", "mobile\n13800138000\n").display().to_string();
    let row = "mobile,userid,exclusive_userids,status,errcode,errmsg\n13800138000,u,,found,0,ok\n";
    let resolved = workdir.write_file("resolved.csv", row).display().to_string();
    let output = workdir.path("out.csv").display().to_string();
    for (line, status) in [
        (vec!["--help"], 0),
        (vec!["--version"], 0),
        (vec!["help"], 0),
        (vec!["help", "faults"], 0),
        (vec!["help", "faults", "--lang", "zh"], 0),
        (vec!["help", "--lang", "zh"], 0),
        (vec!["man"], 0),
        (vec!["completions", "bash"], 0),
        (vec!["plan", &input], 0),
        // The exit status still tells that there are differences.
        (vec!["diff", "-q", &old, &new], 10),
        // It tells that the table is incomplete.
        (vec!["resolve", "-q", "--sandbox", "-o", "-", &input], 7),
        (vec!["resolve", "-q", "--sandbox", "-o", &output, "--failed", "-", &input], 7),
        (vec!["resolve", "-q", "--sandbox", "-o", &output, "--metrics", "-", &input], 7),
        (vec!["merge", "-q", "-o", "-", &input, &resolved], 7),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = dingmap()
            .args(&line)
            .stdout(writer)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let ended = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), &*stderr), (Some(status), ""), "{line:?}");
    }
}

#[test]
fn chinese_help_has_full_width_colons_and_ordered_arguments() {
    let actual = |command: &str| {
        let ended = run(dingmap().args([command, "--help", "--lang", "zh"]));
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        ended.stdout
    };
    let diff = actual("diff");
    assert!(diff.find("\n  <OLD>\n") < diff.find("\n  <NEW>\n"), "{diff}");
    assert!(diff.contains("\n参数：\n") && diff.contains("用法：dingmap diff"), "{diff}");
    assert!(actual("sandbox").contains("DINGTALK_APP_SECRET=sandbox-secret"));
}

#[test]
fn help_names_every_flag_and_ends_with_status_0() {
    let resolve = "-o, --output|-c, --column|-n, --no-headers|-d, --delimiter|--region|--mainland|\
        --endpoint|--sandbox|--app-key|--app-secret-file|--exclusive-accounts|-r, --rate|\
        -j, --workers|--max-retries|--retry-min|--retry-max|--patience|--timeout|\
        --connect-timeout|--max-calls|--partial|--fail-on|--progress|-q, --quiet|-v, --verbose|\
        --log-format|DINGTALK_APP_KEY|DINGTALK_APP_SECRET|DINGTALK_ACCESS_TOKEN|\
        https://oapi.dingtalk.io|130/143";
    let sandbox = "--port|--limit|--latency|--token-lifetime|8600";
    let version = concat!("dingmap ", env!("CARGO_PKG_VERSION"));
    for (args, words) in [
        (&["--help"][..], "resolve|sandbox|--sandbox|DINGTALK_APP_KEY|DINGMAP_<FLAG>"),
        (&["resolve", "--help"], resolve),
        (&["resolve", "-h"], "--output|--rate|--help"),
        (&["sandbox", "--help"], sandbox),
        (&["--version"], version),
    ] {
        let ended = run(dingmap().args(args));
        assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""), "{args:?}");
        for word in words.split('|') {
            assert!(ended.stdout.contains(word), "{args:?} does not mention {word}");
        }
        // A flag has its variable beside it.
        for flag in words
            .split('|')
            .filter_map(|word| word.split("--").nth(1))
            .filter(|_| args.contains(&"--help") && args.len() == 2)
        {
            let variable = format!("DINGMAP_{}", flag.replace('-', "_").to_uppercase());
            assert!(ended.stdout.contains(&variable), "{args:?} does not mention {variable}");
        }
    }
}
