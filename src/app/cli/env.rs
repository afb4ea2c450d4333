//! Variables of the environment that nothing reads: most likely misspelt, and without a word a job would run on the defaults
//! for months. Leaves reading the others to `cli` and `config`.

use std::ffi::OsString;

use clap::Command;
use tr::tr;

use crate::domain::redact::sanitize;
use crate::table::detect::suggest::suggest;

/// The variable by which a shell's script says for which shell it asks; no flag, and nothing without such a script.
pub(crate) const COMPLETE_VAR: &str = "DINGMAP_COMPLETE";
/// The variable with the password of the server of `--shared`; no flag, since everybody on a machine can read those.
pub(crate) const SHARED_PASSWORD_VAR: &str = "DINGMAP_SHARED_PASSWORD";
/// What only this program's variables begin with.
const DINGMAP_PREFIX: &str = "DINGMAP_";
/// What those begin with that have credentials; other programs may have some too.
const DINGTALK_PREFIX: &str = "DINGTALK_";
/// What those are called behind that.
const CREDENTIAL_SUFFIXES: [&str; 3] = ["APP_KEY", "APP_SECRET", "ACCESS_TOKEN"];

/// What to say of each of the variables that are `set` and that no flag of `command` reads.
pub(crate) fn unknown_variables(
    command: &Command,
    set: impl IntoIterator<Item = OsString>,
) -> Vec<String> {
    let own = [COMPLETE_VAR, SHARED_PASSWORD_VAR]
        .into_iter()
        .filter_map(|name| name.strip_prefix(DINGMAP_PREFIX));
    let mut known: Vec<String> = own.map(str::to_owned).collect();
    collect_names(command, &mut known);
    let told = |name: OsString| {
        let name = name.into_string().ok()?;
        if let Some(rest) = name.strip_prefix(DINGMAP_PREFIX) {
            let names = || known.iter().map(String::as_str);
            return names()
                .all(|known| known != rest)
                .then(|| warning(&name, DINGMAP_PREFIX, suggest(rest, names())));
        }
        let rest = name
            .strip_prefix(DINGTALK_PREFIX)
            .filter(|rest| !CREDENTIAL_SUFFIXES.contains(rest))?;
        suggest(rest, CREDENTIAL_SUFFIXES).map(|near| warning(&name, DINGTALK_PREFIX, Some(near)))
    };
    let mut all: Vec<String> = set.into_iter().filter_map(told).collect();
    all.sort();
    all
}

fn collect_names(command: &Command, names: &mut Vec<String>) {
    let variables = command
        .get_arguments()
        .filter_map(|arg| arg.get_env()?.to_str()?.strip_prefix(DINGMAP_PREFIX));
    names.extend(variables.map(str::to_owned));
    command.get_subcommands().for_each(|below| collect_names(below, names));
}

fn warning(name: &str, prefix: &str, near: Option<&str>) -> String {
    let name = sanitize(name);
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
    fn an_unknown_variable_is_reported_with_a_suggestion() {
        let told = |name: &str| unknown_variables(&Cli::command(), [name.into()]).concat();
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
