//! Variables of the environment that nothing reads: most likely misspelt, and without a word a job would run on the defaults
//! for months. Leaves reading the others to `cli` and `config`.

use std::ffi::OsString;

use clap::Command;
use tr::tr;

use crate::app::exit::shown;
use crate::table::detect::suggest::nearest;

/// The variable by which a shell's script says for which shell it asks; no flag, and nothing without such a script.
pub(crate) const COMPLETE: &str = "DINGMAP_COMPLETE";
/// The variable with the password of the server of `--shared`; no flag, since everybody on a machine can read those.
pub(crate) const PASSWORD: &str = "DINGMAP_SHARED_PASSWORD";
/// What only this program's variables begin with.
const OWN: &str = "DINGMAP_";
/// What those begin with that have credentials; other programs may have some too.
const SHARED: &str = "DINGTALK_";
/// What those are called behind that.
const CREDENTIALS: [&str; 3] = ["APP_KEY", "APP_SECRET", "ACCESS_TOKEN"];

/// What to say of each of the variables that are `set` and that no flag of `command` reads.
pub(crate) fn strangers(command: &Command, set: impl IntoIterator<Item = OsString>) -> Vec<String> {
    let own = [COMPLETE, PASSWORD].into_iter().filter_map(|name| name.strip_prefix(OWN));
    let mut known: Vec<String> = own.map(str::to_owned).collect();
    collect(command, &mut known);
    let told = |name: OsString| {
        let name = name.into_string().ok()?;
        if let Some(rest) = name.strip_prefix(OWN) {
            let names = || known.iter().map(String::as_str);
            return names()
                .all(|known| known != rest)
                .then(|| warning(&name, OWN, nearest(rest, names())));
        }
        let rest = name.strip_prefix(SHARED).filter(|rest| !CREDENTIALS.contains(rest))?;
        nearest(rest, CREDENTIALS).map(|near| warning(&name, SHARED, Some(near)))
    };
    let mut all: Vec<String> = set.into_iter().filter_map(told).collect();
    all.sort();
    all
}

fn collect(command: &Command, names: &mut Vec<String>) {
    let variables =
        command.get_arguments().filter_map(|arg| arg.get_env()?.to_str()?.strip_prefix(OWN));
    names.extend(variables.map(str::to_owned));
    command.get_subcommands().for_each(|below| collect(below, names));
}

fn warning(name: &str, prefix: &str, near: Option<&str>) -> String {
    let name = shown(name);
    match near {
        Some(near) => {
            tr!(
                "warning: nothing reads the variable {name}; did you mean {near}?",
                name,
                near = format!("{prefix}{near}")
            )
        }
        None => tr!(
            "warning: nothing reads the variable {name}; `dingmap resolve --help` has the flags, which variables are named after",
            name
        ),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::app::cli::args::Cli;

    #[test]
    fn what_no_flag_reads_is_told_with_what_was_meant() {
        let told = |name: &str| strangers(&Cli::command(), [name.into()]).concat();
        for known in [
            "DINGMAP_WORKERS",
            "DINGMAP_OLDER_THAN",
            "DINGMAP_LANG",
            "DINGMAP_COMPLETE",
            "DINGMAP_SHARED_PASSWORD",
            "DINGTALK_APP_KEY",
            "DINGTALK_CORP",
            "X",
        ] {
            assert_eq!(told(known), "");
        }
        assert!(told("DINGMAP_WROKERS").ends_with("did you mean DINGMAP_WORKERS?"));
        assert!(told("DINGMAP_RETRYMIN").ends_with("did you mean DINGMAP_RETRY_MIN?"));
        assert!(told("DINGTALK_APPSECRET").ends_with("did you mean DINGTALK_APP_SECRET?"));
        assert!(told("DINGMAP_ZZZ").contains("DINGMAP_ZZZ"));
    }
}
