//! The file of `--config`: what beats what, how paths count, what is refused and where, and that
//! `--print-config` tells the truth of it.

use std::path::Path;
use std::process::Command;

use crate::support::rows::{read_rows, staff_csv};
use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

/// The settings of a command line, as lines with their blanks made one.
fn printed_settings(command: &mut Command) -> Vec<String> {
    let ended = run(command.arg("--print-config"));
    assert_eq!((ended.status, &*ended.stderr), (Some(0), ""), "{}", ended.stdout);
    ended.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[track_caller]
fn assert_has_line(settings: &[String], line: &str) {
    assert!(settings.iter().any(|known| known == line), "{line:?} is not in {settings:#?}");
}

fn resolve_with_config(config: &Path) -> Command {
    let mut command = dingmap();
    command.env_remove("DINGMAP_NO_STATE").arg("resolve").arg("--config").arg(config);
    command
}

/// The error message for a config file with this content.
fn config_error(workdir: &Workdir, content: &str) -> String {
    let config = workdir.write_file("bad.toml", content);
    let ended = run(resolve_with_config(&config).arg("staff.csv"));
    assert_eq!((ended.status, &*ended.stdout), (Some(2), ""), "{content}: {}", ended.stderr);
    ended
        .stderr
        .strip_prefix(&format!("dingmap: {}:", config.display()))
        .unwrap_or(&ended.stderr)
        .to_owned()
}

#[test]
fn flags_override_variables_which_override_profiles_which_override_the_file() {
    let workdir = Workdir::new();
    let text = "rate = 1\nworkers = 2\n\n[plan]\nrate = 7\n\n[profile.night]\nrate = \
        3\n\n[profile.night.resolve]\nworkers = 4\n";
    let config = workdir.write_file("c.toml", text);
    let at = config.display();
    assert_has_line(
        &printed_settings(&mut resolve_with_config(&config)),
        &format!("rate = 1 # {at}:1"),
    );
    let night = || {
        let mut command = resolve_with_config(&config);
        command.args(["--profile", "night"]);
        command
    };
    assert_has_line(&printed_settings(&mut night()), &format!("rate = 3 # {at}:8, profile night"));
    assert_has_line(
        &printed_settings(&mut night()),
        &format!("workers = 4 # {at}:11, profile night"),
    );
    assert_has_line(&printed_settings(&mut night()), "max-retries = 5 # default");
    assert_has_line(
        &printed_settings(night().env("DINGMAP_RATE", "5")),
        "rate = 5 # variable DINGMAP_RATE",
    );
    assert_has_line(
        &printed_settings(night().env("DINGMAP_RATE", "5").args(["-r", "6"])),
        "rate = 6 # command line",
    );
    // For one command; and a profile's is stronger than that.
    let plan = |args: &[&str]| {
        printed_settings(dingmap().arg("plan").args(args).env("DINGMAP_CONFIG", &config))
    };
    assert_has_line(&plan(&[]), &format!("rate = 7 # {at}:5"));
    assert_has_line(&plan(&["--profile", "night"]), &format!("rate = 3 # {at}:8, profile night"));
    let named = printed_settings(
        dingmap().arg("plan").env("DINGMAP_CONFIG", &config).env("DINGMAP_PROFILE", "night"),
    );
    assert_has_line(&named, &format!("rate = 3 # {at}:8, profile night"));
    // It may be a pipe, which can be read once.
    let piped = printed_settings(
        dingmap()
            .args(["plan", "--config", "/dev/stdin"])
            .stdin(std::fs::File::open(&config).unwrap()),
    );
    assert_has_line(&piped, "rate = 7 # /dev/stdin:5");
    let mut cat =
        Command::new("cat").arg(&config).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let pipe = cat.stdout.take().unwrap();
    assert_has_line(
        &printed_settings(dingmap().args(["plan", "--config", "/dev/stdin"]).stdin(pipe)),
        "rate = 7 # /dev/stdin:5",
    );
    cat.wait().unwrap();
    // Also when --config precedes the command.
    assert_has_line(
        &printed_settings(dingmap().arg("--config").arg(&config).arg("plan")),
        &format!("rate = 7 # {at}:5"),
    );
}

#[test]
fn the_sample_config_is_read_and_printed_as_a_config_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sample = Path::new("samples/dingmap.toml");
    let print = |command: &mut Command| printed_settings(command.current_dir(root));
    let actual = print(resolve_with_config(sample).args(["--profile", "nightly"]));
    assert_has_line(&actual, "[resolve]");
    assert_has_line(&actual, r#"column = ["手机号", "备用手机"] # samples/dingmap.toml:9"#);
    assert_has_line(
        &actual,
        r#"output = "samples/mapped.csv" # samples/dingmap.toml:25, profile nightly"#,
    );
    assert_has_line(&actual, r#"patience = "2h" # samples/dingmap.toml:22, profile nightly"#);
    assert_has_line(&actual, "# max-calls = # not set");
    let diff =
        print(dingmap().args(["diff", "--config", "samples/dingmap.toml", "--profile", "nightly"]));
    assert_has_line(&diff, r#"max-change = "5%" # samples/dingmap.toml:31, profile nightly"#);
    assert_has_line(&diff, r#"output = "-" # default"#);
    let rehearsal = print(resolve_with_config(sample).args(["--profile", "rehearsal"]));
    assert!(
        rehearsal.iter().any(|line| line.starts_with("sandbox = true # samples/dingmap.toml:"))
    );
    // What is printed can be named with --config, and then says the same, save for where from.
    let workdir = Workdir::new();
    let printed = workdir.write_file("printed.toml", actual.join("\n"));
    let again = printed_settings(&mut resolve_with_config(&printed));
    for line in actual.iter().filter(|line| {
        line.contains(" = ") && !line.starts_with("# ") && !line.contains("samples/m")
    }) {
        let setting = line.split(" # ").next().unwrap();
        // Paths that are not absolute count from the folder of the new file.
        if !setting.contains("samples/") {
            assert!(
                again.iter().any(|other| other.starts_with(setting)),
                "{setting} is not in {again:#?}"
            );
        }
    }
}

#[test]
fn a_run_uses_the_config_file() {
    let (api, workdir) = (Sandbox::with_plain_http(unlimited_script()), Workdir::new());
    let folder = workdir.path("etc");
    std::fs::create_dir(&folder).unwrap();
    let input = workdir.write_file(
        "staff.csv",
        staff_csv(3).replace("mobile", "工号,mobile").replace("\n1", "\n7,1"),
    );
    let endpoint = api.endpoint();
    let text = format!(
        "endpoint = \"{endpoint}\"\ncolumn = [\"mobile\"]\nrate = \"unlimited\"\nno-state = \
         true\n\n[resolve]\noutput = \"mapped.csv\"\nmax-calls = 2\nshow-sent = \
         true\n[profile.all.resolve]\nmax-calls = 9\n"
    );
    std::fs::write(folder.join("c.toml"), text).unwrap();
    let job = || {
        let mut command = resolve_with_config(&folder.join("c.toml"));
        command
            .arg(&input)
            .env("DINGTALK_APP_KEY", "sandbox-key")
            .env("DINGTALK_APP_SECRET", "sandbox-secret");
        command
    };
    assert_eq!(run(&mut job()).status, Some(6), "two calls are not enough");
    let ended = run(job().args(["--profile", "all"]));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let actual = read_rows(&folder.join("mapped.csv"));
    assert_eq!(actual.iter().filter(|row| row["status"] == "found").count(), 3);
    assert!(actual[0].contains_key("mobile_sent"));
    // A switch that the file turns on is turned off by its variable.
    let ended = run(job().args(["--profile", "all"]).env("DINGMAP_SHOW_SENT", "false"));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(!read_rows(&folder.join("mapped.csv"))[0].contains_key("mobile_sent"));
}

#[test]
fn of_two_conflicting_settings_the_higher_precedence_wins() {
    let workdir = Workdir::new();
    let input = workdir.write_file("staff.csv", staff_csv(1));
    let config = workdir.write_file(
        "c.toml",
        "endpoint = \"http://127.0.0.1:9\"\nno-state = \
        true\n[profile.both]\nstate = \"s.redb\"\n[profile.r.resolve]\nsandbox = \
        true\n[profile.x.resolve]\nsandbox = true\nendpoint = \"http://127.0.0.1:9\"\n",
    );
    let job = |args: &[&str]| {
        run(resolve_with_config(&config)
            .arg(&input)
            .args(args)
            .arg("-o")
            .arg(workdir.path("out.csv")))
    };
    let none = job(&["--sandbox"]);
    assert_eq!(none.status, Some(0), "the flag beats the endpoint of the file: {}", none.stderr);
    assert_eq!(job(&["--profile", "r"]).status, Some(0), "and so does a profile");
    let ended = job(&["--profile", "x"]);
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("--sandbox and --endpoint exclude each other"),
        "{}",
        ended.stderr
    );
    // The endpoint on the line beats the sandbox of the profile: then there are no credentials.
    let real = job(&["--profile", "r", "--endpoint", "http://127.0.0.1:9"]);
    assert_eq!(real.status, Some(5));
    let why = format!(
        "sandbox ({}:6, profile r) is off because of endpoint (command line)",
        config.display()
    );
    assert!(real.stderr.contains(&why), "{}", real.stderr);
    let stays = run(resolve_with_config(&config)
        .arg(&input)
        .args(["--profile", "r"])
        .env("DINGMAP_ENDPOINT", "http://127.0.0.1:9")
        .arg("-o")
        .arg(workdir.path("out.csv")));
    assert_eq!(stays.status, Some(0), "a variable makes no rehearsal real: {}", stays.stderr);
    assert!(stays.stderr.contains("resolving against the built-in sandbox"), "{}", stays.stderr);
    // The profile's state beats the file's switch against one.
    assert_eq!(job(&["--profile", "both", "--sandbox"]).status, Some(0));
    assert!(workdir.path("s.redb").exists());
}

#[test]
fn config_errors_have_a_line_and_a_suggestion() {
    let workdir = Workdir::new();
    for (content, actual) in [
        ("config = \"x\"\n", "1: unknown key 'config'; see `dingmap resolve"),
        ("rate = = 3\n", "1: invalid TOML at column 8: "),
        ("rate = 3\nwrokers = 4\n", "2: unknown key 'wrokers'; did you mean 'workers'?"),
        (
            "[resolve]\nrate = 3\njson = true\n",
            "3: unknown key 'json'; see `dingmap resolve --help`",
        ),
        ("[reslove]\nrate = 1\n", "1: unknown section 'reslove'; did you mean 'resolve'?"),
        ("[profile.a.plan]\nmax-calls = 1\n", "2: unknown key 'max-calls'"),
        ("config = \"x\"\n", "1: unknown key 'config'"),
        ("all = true\n", "1: unknown key 'all'"),
        ("# two\nworkers = \"8\"\n", "2: workers: expected a whole number, without quotes"),
        ("sandbox = \"yes\"\n", "1: sandbox: expected true or false"),
        ("[resolve]\noutput = 7\n", "2: output: expected a file name in quotes"),
        (
            "output = \"x.csv\"\n",
            "1: output: each command has its own output; put this key under [resolve]",
        ),
        ("workers = 0\n", "1: invalid value '0' for '--workers <N>': 0 is not in 1..=1024"),
        ("verbose = 300\n", "1: "),
        (
            "mainland = \"prefix\"\n",
            "1: invalid value 'prefix' for '--mainland <MAINLAND>' [possible values: plain, \
             prefixed] tip: a similar value exists: 'prefixed'",
        ),
        ("timeout = 10\n", "1: invalid value '10' for '--timeout <D>'"),
        ("column = [\"/(/\"]\n", "1: invalid value '/(/'"),
        ("rate = 1\nrate = 2\n", "2: invalid TOML at column 1: duplicate key"),
        ("rate = \n", "1: "),
        ("profile = 3\n", "1: a profile must be a table"),
        ("[profile]\nnight = 3\n", "2: a profile must be a table"),
        // A profile that this run does not ask for is checked all the same.
        ("[profile.night]\nraet = 1\n", "2: unknown key 'raet'; did you mean 'rate'?"),
    ] {
        let error = config_error(&workdir, content);
        assert!(error.starts_with(actual), "{content}: {error}");
    }
    let config = workdir.write_file("c.toml", "[profile.nightly]\nrate = 1\n");
    for (args, actual) in [
        (&["--profile", "nighty"][..], "has no profile 'nighty'; did you mean 'nightly'?"),
        (&["--profile", "x"], "has no profile 'x'; it has nightly"),
    ] {
        let ended = run(resolve_with_config(&config).arg("staff.csv").args(args));
        assert!(ended.status == Some(2) && ended.stderr.contains(actual), "{}", ended.stderr);
    }
    let ended = run(dingmap().args(["resolve", "staff.csv", "--profile", "x"]));
    assert!(
        ended.status == Some(2) && ended.stderr.contains("--profile needs a config file"),
        "{}",
        ended.stderr
    );
    let ended = run(resolve_with_config(&workdir.path("none.toml")).arg("staff.csv"));
    assert!(ended.status == Some(2) && ended.stderr.contains("none.toml: "), "{}", ended.stderr);
    // Errors of the command line look the same with and without a config file.
    for args in [
        &["resolve", "x", "--bogus"][..],
        &["--bogus"],
        &["resolv"],
        &["resolve", "x", "--rate"],
        &["resolve"],
    ] {
        for config in [config.as_os_str(), "".as_ref()] {
            let ended = run(dingmap().args(args).env("DINGMAP_CONFIG", config));
            assert!(
                ended.status == Some(2) && ended.stderr.starts_with("error: "),
                "{args:?}: {}",
                ended.stderr
            );
            assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        }
    }
    // Who asks for help gets it, whatever is wrong with a file.
    let ended =
        run(dingmap().args(["resolve", "--help"]).env("DINGMAP_CONFIG", workdir.path("none.toml")));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[test]
fn secrets_in_the_config_file_are_rejected_and_not_echoed() {
    let workdir = Workdir::new();
    for key in
        ["app-secret", "secret", "access_token", "token", "DINGTALK_APP_SECRET", "Client-Secret"]
    {
        let error = config_error(&workdir, &format!("rate = 1\n{key} = \"geheim\"\n"));
        assert!(
            error.starts_with("2: ") && error.contains("DINGTALK_APP_SECRET"),
            "{key}: {error}"
        );
        assert!(!error.contains("geheim"), "{error}");
    }
    let error = config_error(&workdir, "proxy = \"http://u:geheim@proxy:1\"\n");
    assert!(
        error.contains("set this URL in DINGMAP_PROXY") && !error.contains("geheim"),
        "{error}"
    );
    for url in ["redis://u:geheim@h", "unix:///s?pass=geheim"] {
        let error = config_error(&workdir, &format!("[resolve]\nshared = \"{url}\"\n"));
        assert!(error.contains("DINGMAP_SHARED_PASSWORD") && !error.contains("geheim"), "{error}");
        assert!(!error.contains("DINGMAP_PROXY"), "{error}");
    }
    let endpoint = "https://host/?access_token=geheim";
    let actual = printed_settings(
        dingmap()
            .args(["resolve", "--endpoint", endpoint, "-o", "/x/138-0013-8777.csv"])
            .env("DINGMAP_SHARED", "unix:///s?db=1&pass=geheim"),
    );
    assert_has_line(&actual, r#"# endpoint = "https://host/?access_token=***" # command line"#);
    assert_has_line(&actual, r#"# shared = "unix:///s?db=1&pass=***" # variable DINGMAP_SHARED"#);
    assert_has_line(&actual, r#"# output = "/x/138****77.csv" # command line"#);
    let actual = printed_settings(
        dingmap()
            .arg("resolve")
            .env("DINGMAP_PROXY", "http://u:geheim@proxy:1")
            .env("DINGTALK_APP_SECRET", "geheim")
            .env("DINGTALK_ACCESS_TOKEN", "geheim"),
    );
    assert_has_line(&actual, r#"# proxy = "http://***@proxy:1" # variable DINGMAP_PROXY"#);
    let endpoint =
        printed_settings(dingmap().args(["resolve", "--endpoint", "https://u:geheim@host"]));
    assert_has_line(&endpoint, r#"# endpoint = "https://***@host" # command line"#);
    assert_has_line(&actual, "# DINGTALK_APP_SECRET is set");
    assert_has_line(&actual, "# DINGTALK_APP_KEY is not set");
    assert!(!actual.concat().contains("geheim"), "{actual:#?}");
}

#[test]
fn no_config_file_is_read_unless_named() {
    let workdir = Workdir::new();
    for name in ["dingmap.toml", ".dingmap.toml"] {
        workdir.write_file(name, "rate = 3\n");
    }
    std::fs::create_dir_all(workdir.path("dingmap")).unwrap();
    workdir.write_file("dingmap/config.toml", "rate = 3\n");
    let actual = printed_settings(
        dingmap()
            .arg("plan")
            .current_dir(workdir.path(""))
            .env("XDG_CONFIG_HOME", workdir.path(""))
            .env("HOME", workdir.path("")),
    );
    assert_has_line(&actual, "rate = 20 # default");
}

#[test]
fn the_config_file_sets_the_language() {
    let workdir = Workdir::new();
    let config = workdir.write_file("c.toml", "lang = \"zh\"\n");
    // Also where something on the line is wrong before the file is named.
    let ended = run(dingmap().args(["resolve", "none.csv", "--bogus", "--config"]).arg(&config));
    assert!(ended.status == Some(2) && !ended.stderr.starts_with("error: "), "{}", ended.stderr);
    let actual = |args: &[&str]| {
        run(resolve_with_config(&config).env("DINGMAP_WROKERS", "1").arg("none.csv").args(args))
            .stderr
    };
    assert!(actual(&[]).starts_with("警告："), "{}", actual(&[]));
    assert!(
        actual(&["--lang", "en"]).contains("warning: nothing reads"),
        "{}",
        actual(&["--lang", "en"])
    );
}

#[test]
fn printed_configuration_can_be_read_back() {
    let workdir = Workdir::new();
    for args in [
        &["resolve", "--lang", "zh"][..],
        &["resolve", "--workers", "016", "--rate", "010", "-c", "007", "--max-retries", "+3"],
        &["resolve", "--endpoint", "https://u:geheim@host"],
        &["resolve", "-d", ";"],
        &["resolve", "-d", "\t"],
        &["plan", "--lang", "en"],
        &["diff"],
        &["sandbox", "--port", "0080"],
        &["state", "info"],
        &["state", "forget"],
    ] {
        let printed = |config: Option<&Path>| {
            let mut command = dingmap();
            command.env_remove("DINGMAP_NO_STATE").args(if config.is_some() {
                &args[..1]
            } else {
                args
            });
            command.args(args.get(1).filter(|word| config.is_some() && !word.starts_with('-')));
            command
                .env("DINGMAP_PROXY", if config.is_none() { "http://u:geheim@h" } else { "none" });
            config.map(|config| command.arg("--config").arg(config));
            printed_settings(&mut command)
        };
        let actual = printed(None);
        let config = workdir.write_file("c.toml", actual.join("\n"));
        let again = printed(Some(&config));
        let values = |lines: &[String]| -> Vec<String> {
            let lines =
                lines.iter().filter(|line| !line.starts_with('#') && !line.starts_with("proxy ="));
            lines.filter_map(|line| Some(line.split_once(" # ")?.0.to_owned())).collect()
        };
        let (before, mut after) = (values(&actual), values(&again));
        after.retain(|line| before.contains(line));
        assert_eq!(after, before, "{args:?}: {again:#?}");
    }
}

#[test]
fn arguments_after_a_double_dash_are_not_flags() {
    let workdir = Workdir::new();
    for name in ["-h", "--lang=zh", "--help"] {
        workdir.write_file(name, staff_csv(1));
        let ended = run(dingmap()
            .args(["plan", "--config", "none.toml", "--", name])
            .current_dir(workdir.path("")));
        assert!(
            ended.status == Some(2) && ended.stderr.contains("none.toml: "),
            "{name}: {ended:?}"
        );
        let ended = run(dingmap().args(["plan", "--", name]).current_dir(workdir.path("")));
        assert!(
            ended.status == Some(0) && ended.stdout.starts_with(&format!("{name}: 1 row,")),
            "{ended:?}"
        );
    }
}
