//! The jobs in `samples/` for runs that nobody watches: each command line runs as it is written
//! there, with its places in a directory of the test's own and the sandbox for DingTalk, and the
//! alerts are about what a run leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use prometheus_parse::Scrape;
use regex::{NoExpand, Regex};

use crate::support::redis::RedisServer;
use crate::support::rows::staff_csv;
use crate::support::sample_files::sample_path;
use crate::support::sandbox::{PROGRAM, RunOutput, Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

/// The places that the samples name; every one of them is the test's directory.
const SAMPLE_PATHS: [&str; 8] = [
    "%S/dingmap/%i",
    "%d",
    "/var/lib/dingmap/staff",
    "/var/lib/prometheus/node-exporter",
    "/var/log/dingmap",
    "/etc/dingmap",
    "/data",
    "/secrets",
];
/// What the jobs are given, and what all of them leave.
const INPUT_FILES: [&str; 3] = ["app-secret", "list.csv", "staff.secret"];
const OUTPUT_FILES: [&str; 4] =
    ["list.resolved.csv", "state.redb", "state.redb.lock", "summary.json"];

fn read_sample(name: &str) -> String {
    std::fs::read_to_string(sample_path(name)).unwrap()
}

/// A machine on which a job is set up.
struct JobHost {
    sandbox: Sandbox,
    workdir: Workdir,
}

impl JobHost {
    fn new(list: &str) -> Self {
        let workdir = Workdir::new();
        for (name, content) in
            INPUT_FILES.into_iter().zip(["sandbox-secret\n", list, "sandbox-secret\n"])
        {
            let path = workdir.write_file(name, content);
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        Self { sandbox: Sandbox::new(unlimited_script()), workdir }
    }

    /// A text of a sample with this machine's places.
    fn localize(&self, text: &str) -> String {
        let place = self.workdir.path("");
        replace_paths(place.to_str().unwrap().trim_end_matches('/'), text)
    }

    /// The same for a shell, to which a space in a place says something.
    fn localize_for_shell(&self, text: &str) -> String {
        let place = self.workdir.path("");
        replace_paths(&shell_quote(place.to_str().unwrap().trim_end_matches('/')), text)
    }

    /// The variables of a sample, but for those that lead to the real DingTalk.
    fn environment(
        &self,
        actual: impl Iterator<Item = (String, String)>,
    ) -> BTreeMap<String, String> {
        let mut all: BTreeMap<_, _> =
            actual.map(|(name, value)| (name, self.localize(&value))).collect();
        assert!(
            all.contains_key("DINGTALK_APP_KEY")
                && all["DINGMAP_ENDPOINT"].starts_with("https://oapi.")
        );
        assert!(all["DINGMAP_RATE"].parse::<f64>().unwrap() <= 20.0);
        let ours = [
            ("DINGTALK_APP_KEY", "sandbox-key".to_owned()),
            ("DINGMAP_ENDPOINT", self.sandbox.endpoint()),
            ("DINGMAP_CA_FILE", self.sandbox.ca_file().unwrap().display().to_string()),
            ("DINGMAP_RATE", "unlimited".to_owned()),
            ("DINGMAP_RETRY_MIN", "5ms".to_owned()),
            ("DINGMAP_RETRY_MAX", "20ms".to_owned()),
        ];
        all.extend(ours.map(|(name, value)| (name.to_owned(), value)));
        all
    }

    /// Sees that a job did its work and left these files beside the ones that all leave.
    #[track_caller]
    fn assert_job_done(&self, ended: &RunOutput, status: i32, more: &[&str]) {
        assert_eq!(ended.status, Some(status), "{ended:?}");
        assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
        let mut names: Vec<_> =
            INPUT_FILES.iter().chain(&OUTPUT_FILES).chain(more).copied().collect();
        names.sort_unstable();
        assert_eq!(self.workdir.file_names(), names);
    }
}

/// A text of a sample with its places at this one.
fn replace_paths(place: &str, text: &str) -> String {
    // In one pass, since the test's place may have a name of these in it.
    let there = Regex::new(&SAMPLE_PATHS.map(regex::escape).join("|")).unwrap();
    there.replace_all(text, NoExpand(place)).into_owned()
}

/// One word of a shell's.
fn shell_quote(text: &str) -> String {
    shlex::try_quote(text).unwrap().into_owned()
}

/// `NAME=VALUE` on each line that is one, and on each that only a `#` keeps from it.
fn assignments(text: &str) -> impl Iterator<Item = (String, String)> {
    let lines = text.lines().map(|line| line.strip_prefix('#').unwrap_or(line));
    let pairs =
        lines.filter(|line| line.starts_with("DING")).filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned()))
}

/// What the containers of a sample for Kubernetes are started with, all of which are this program.
fn container_args(job: &str) -> Vec<Vec<String>> {
    let list = Regex::new(r"(?s)args: \[(.*?)\n +\]").unwrap();
    let lists = list.captures_iter(job).map(|found| format!("[{}]", &found[1]));
    let lists: Vec<_> = lists.map(|list| serde_json::from_str(&list).unwrap()).collect();
    assert_eq!(job.matches("command: [\"/usr/bin/dingmap\"]").count(), lists.len());
    lists
}

/// The variables that such a sample sets.
fn job_variables(job: &str) -> impl Iterator<Item = (String, String)> {
    assert!(job.contains("- name: DINGTALK_APP_KEY\n"));
    let pair = Regex::new(r#"\{name: (DINGMAP_[A-Z_]+), value: "?([^"}]+)"?\}"#).unwrap();
    let actual: Vec<_> =
        pair.captures_iter(job).map(|found| (found[1].to_owned(), found[2].to_owned())).collect();
    actual.into_iter().chain([("DINGTALK_APP_KEY".to_owned(), String::new())])
}

#[test]
fn the_systemd_service_resolves_its_list() {
    let machine = JobHost::new(&staff_csv(20));
    let unit = read_sample("systemd/dingmap@.service").replace("\\\n", " ");
    let set = |name: &str| -> Vec<&str> {
        unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('=')).collect()
    };
    let mut variables: BTreeMap<_, _> = set("Environment")
        .into_iter()
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name, machine.localize(value)))
        .collect();
    let list = variables.remove("LIST").unwrap();
    let [line] = set("ExecStart").try_into().unwrap();
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("/usr/bin/dingmap"));
    let mut command = dingmap();
    command.args(words.map(|word| machine.localize(word).replace("${LIST}", &list)));
    command.env_remove("DINGMAP_NO_STATE").envs(variables);
    // The file overrides the unit.
    command.envs(machine.environment(assignments(&read_sample("dingmap.env"))));
    let ended = run(&mut command);
    machine.assert_job_done(&ended, 0, &["dingmap-staff.prom", "list.failed.csv"]);
    assert_eq!(machine.sandbox.call_log().calls().len(), 20);
    assert!(
        ended.stderr.contains("\n  found               20\n"),
        "the journal has the result: {}",
        ended.stderr
    );
}

#[test]
fn the_crontab_resolves_its_list_and_mails_errors() {
    let machine = JobHost::new(&staff_csv(20));
    let variables = machine.environment(assignments(&read_sample("dingmap.env")));
    let file: Vec<_> =
        variables.iter().map(|(name, value)| format!("{name}={}\n", shell_quote(value))).collect();
    machine.workdir.write_file("staff.env", file.concat());
    let table = read_sample("dingmap.cron");
    let [line] = table
        .lines()
        .filter(|line| line.contains("dingmap resolve"))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let fields: Vec<_> = line.splitn(7, ' ').collect();
    assert!(fields[0].parse::<u8>().unwrap() % 15 > 0, "not with everybody else");
    assert_eq!(
        (fields[5], fields[6].contains('%')),
        ("dingmap", false),
        "cron ends a command at a %"
    );
    let script =
        machine.localize_for_shell(fields[6]).replace("/usr/bin/dingmap", &shell_quote(PROGRAM));
    let go = || {
        run(Command::new("sh")
            .args(["-c", &script])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C"))
    };
    let more = ["dingmap-staff.prom", "list.failed.csv", "staff.env", "staff.log"];
    let ended = go();
    machine.assert_job_done(&ended, 0, &more);
    assert_eq!((&*ended.stdout, &*ended.stderr), ("", ""), "nothing to mail");
    assert!(
        std::fs::read_to_string(machine.workdir.path("staff.log"))
            .unwrap()
            .contains("found               20")
    );

    machine.workdir.write_file("list.csv", "");
    let ended = go();
    machine.assert_job_done(&ended, 0, &more);
    assert!(ended.stdout.starts_with("dingmap: exit status 3; see "), "{ended:?}");
    assert!(
        std::fs::read_to_string(machine.workdir.path("staff.log")).unwrap().contains("list.csv")
    );
}

#[test]
fn the_kubernetes_cronjob_resolves_its_list_and_a_retry_asks_failed_rows() {
    // One is busy through every try, and nobody has the other.
    let machine = JobHost::new(&(staff_csv(20) + "13800138094\n13800138090\n"));
    let job = read_sample("cronjob.yaml");
    let [args] = container_args(&job).try_into().unwrap();
    let variables = machine.environment(job_variables(&job));
    let mut command = dingmap();
    command
        .args(args.iter().map(|arg| machine.localize(arg)))
        .env_remove("DINGMAP_NO_STATE")
        .envs(variables);
    let ended = run(&mut command);
    machine.assert_job_done(&ended, 4, &[]);
    let asked = machine.sandbox.call_log().calls().len();
    assert_eq!(asked, 22 + 5);
    let ended = run(&mut command);
    machine.assert_job_done(&ended, 4, &[]);
    assert_eq!(machine.sandbox.call_log().calls().len() - asked, 1 + 5, "{}", ended.stderr);
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn the_indexed_job_resolves_shards_and_the_second_job_merges_them() {
    let machine = JobHost::new(&staff_csv(200));
    let job = read_sample("indexed-job.yaml");
    let [mut args, merge] = container_args(&job).try_into().unwrap();
    let shards =
        args.iter().position(|arg| arg == "--shard").map(|at| args[at + 1].clone()).unwrap();
    assert!(
        job.contains(&format!("completions: {shards}\n"))
            && job.contains("completionMode: Indexed\n")
    );
    let server = RedisServer::with_password("shared");
    let password = machine.workdir.write_file("shared-password", "shared\n");
    std::fs::set_permissions(password, std::fs::Permissions::from_mode(0o600)).unwrap();
    for arg in &mut args {
        *arg = arg.replace("redis://dingmap-redis:6379", &server.url());
    }
    let mut variables = machine.environment(job_variables(&job));
    // A quota that is shared has a limit.
    variables.insert("DINGMAP_RATE".to_owned(), "1000".to_owned());
    for index in 0..shards.parse::<u32>().unwrap() {
        let mut command = dingmap();
        let index = index.to_string();
        command.args(
            args.iter().map(|arg| machine.localize(arg).replace("$(JOB_COMPLETION_INDEX)", &index)),
        );
        command.env_remove("DINGMAP_NO_STATE").envs(&variables).env("JOB_COMPLETION_INDEX", &index);
        let ended = run(&mut command);
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(ended.stderr.contains("calls/s shared at redis://"), "{}", ended.stderr);
        assert!(machine.workdir.path(format!("state.{index}.redb")).exists());
        assert!(machine.workdir.path(format!("summary.{index}.json")).exists());
    }
    assert_eq!(machine.sandbox.call_log().calls().len(), 200);
    let ended = run(dingmap().args(merge.iter().map(|arg| machine.localize(arg))));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    let [merged, one] = ["list.resolved.csv", "one.csv"].map(|name| machine.workdir.path(name));
    let ended = run(&mut machine.sandbox.resolve(&machine.workdir.path("list.csv"), &one));
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(std::fs::read_to_string(merged).unwrap(), std::fs::read_to_string(one).unwrap());
}

#[test]
fn the_alert_rules_use_metrics_that_a_run_writes() {
    let (api, workdir) = (Sandbox::new(unlimited_script()), Workdir::new());
    let metrics = workdir.path("dingmap.prom");
    let ended = run(api
        .resolve(&workdir.write_file("staff.csv", staff_csv(3)), &workdir.path("out.csv"))
        .arg("--metrics")
        .arg(&metrics));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(std::fs::metadata(&metrics).unwrap().permissions().mode() & 0o777, 0o644);
    let text = std::fs::read_to_string(&metrics).unwrap();
    let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
    let left: BTreeSet<_> = scrape.samples.iter().map(|sample| sample.metric.clone()).collect();
    let labels: BTreeSet<_> = scrape
        .samples
        .iter()
        .flat_map(|sample| sample.labels.iter().map(|(name, value)| (name.clone(), value.clone())))
        .collect();

    let rules = read_sample("alerts.yml");
    let expressions: String =
        rules.lines().filter(|line| line.trim_start().starts_with("expr: ")).collect();
    // What a rule of the same file records is no metric of ours.
    let name = Regex::new(r"[a-z_:]*dingmap_[a-z_:]+").unwrap();
    let (recorded, used): (BTreeSet<_>, BTreeSet<_>) = name
        .find_iter(&expressions)
        .map(|found| found.as_str().to_owned())
        .partition(|name| name.contains(':'));
    assert!(used.len() >= 5 && used.is_subset(&left), "{used:?} of {left:?}");
    assert!(
        recorded.iter().all(|name| rules.contains(&format!("record: {name}\n"))),
        "{recorded:?}"
    );
    let matcher = Regex::new(r#"([a-z_]+)=~?"([a-z_|]+)""#).unwrap();
    for found in matcher.captures_iter(&expressions) {
        for value in found[2].split('|') {
            assert!(
                labels.contains(&(found[1].to_owned(), value.to_owned())),
                "{value}: {labels:?}"
            );
        }
    }
    let without = Regex::new(r"(?:by|without) \(([a-z_]+)\)").unwrap();
    for found in without.captures_iter(&expressions) {
        assert!(labels.iter().any(|(name, _)| *name == found[1]), "{}", &found[1]);
    }
}
