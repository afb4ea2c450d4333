//! Warnings about environment variables that nothing reads: with a misspelled variable, a job would
//! run on the defaults unnoticed.

use std::ffi::OsString;

use clap::Command;
use tr::tr;

use crate::domain::redact::sanitize;
use crate::table::detect::suggest::suggest;

/// Set by the shell's completion script to the name of the shell. It has no flag.
pub(crate) const COMPLETE_VAR: &str = "DINGMAP_COMPLETE";
/// The password of the `--shared` server. It has no flag: every user of the machine can read
/// arguments.
pub(crate) const SHARED_PASSWORD_VAR: &str = "DINGMAP_SHARED_PASSWORD";
/// The names of the app's key. The developer console shows it as Client ID.
pub(crate) const APP_KEY_VARS: [&str; 2] = ["DINGTALK_APP_KEY", "DINGTALK_CLIENT_ID"];
/// The names of the app's secret. The developer console shows it as Client Secret.
pub(crate) const APP_SECRET_VARS: [&str; 2] = ["DINGTALK_APP_SECRET", "DINGTALK_CLIENT_SECRET"];
pub(crate) const ACCESS_TOKEN_VAR: &str = "DINGTALK_ACCESS_TOKEN";
/// The prefix of dingmap's own variables.
const DINGMAP_PREFIX: &str = "DINGMAP_";
/// The prefix of variables with credentials. Other programs may use it too.
const DINGTALK_PREFIX: &str = "DINGTALK_";

/// The variables with credentials.
pub(crate) fn credential_variables() -> impl Iterator<Item = &'static str> {
    let [keys, secrets] = [APP_KEY_VARS, APP_SECRET_VARS];
    let pairs = keys.into_iter().zip(secrets).flat_map(|(key, secret)| [key, secret]);
    pairs.chain([ACCESS_TOKEN_VAR])
}

/// A warning for each variable in `set` that no flag of `command` reads.
pub(crate) fn unknown_variables(
    command: &Command,
    set: impl IntoIterator<Item = OsString>,
) -> Vec<String> {
    let own = [COMPLETE_VAR, SHARED_PASSWORD_VAR]
        .into_iter()
        .filter_map(|name| name.strip_prefix(DINGMAP_PREFIX));
    let mut known: Vec<String> = own.map(str::to_owned).collect();
    collect_names(command, &mut known);
    let warning_for = |name: OsString| {
        let name = name.into_string().ok()?;
        if let Some(rest) = name.strip_prefix(DINGMAP_PREFIX) {
            let names = || known.iter().map(String::as_str);
            return names()
                .all(|known| known != rest)
                .then(|| warning(&name, DINGMAP_PREFIX, suggest(rest, names())));
        }
        let credentials =
            || credential_variables().filter_map(|known| known.strip_prefix(DINGTALK_PREFIX));
        let rest = name.strip_prefix(DINGTALK_PREFIX)?;
        let near = suggest(rest, credentials()).filter(|near| *near != rest)?;
        Some(warning(&name, DINGTALK_PREFIX, Some(near)))
    };
    let mut all: Vec<String> = set.into_iter().filter_map(warning_for).collect();
    all.sort();
    all
}

fn collect_names(command: &Command, names: &mut Vec<String>) {
    let variables = command
        .get_arguments()
        .filter_map(|arg| arg.get_env()?.to_str()?.strip_prefix(DINGMAP_PREFIX));
    names.extend(variables.map(str::to_owned));
    command.get_subcommands().for_each(|subcommand| collect_names(subcommand, names));
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
            "warning: nothing reads the variable {name}; variables are named after flags, see \
             `dingmap resolve --help`",
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
        let warnings = |name: &str| unknown_variables(&Cli::command(), [name.into()]).concat();
        for known in [
            "DINGMAP_WORKERS",
            "DINGMAP_OLDER_THAN",
            "DINGMAP_LANG",
            "DINGMAP_COMPLETE",
            "DINGMAP_SHARED_PASSWORD",
            "DINGTALK_APP_KEY",
            "DINGTALK_CLIENT_ID",
            "DINGTALK_CLIENT_SECRET",
            "DINGTALK_ACCESS_TOKEN",
            "DINGTALK_CORP",
            "X",
        ] {
            assert_eq!(warnings(known), "");
        }
        assert!(warnings("DINGMAP_WROKERS").ends_with("did you mean DINGMAP_WORKERS?"));
        assert!(warnings("DINGMAP_RETRYMIN").ends_with("did you mean DINGMAP_RETRY_MIN?"));
        assert!(warnings("DINGTALK_APPSECRET").ends_with("did you mean DINGTALK_APP_SECRET?"));
        let misspelled = warnings("DINGTALK_CLIENTID");
        assert!(misspelled.ends_with("did you mean DINGTALK_CLIENT_ID?"), "{misspelled}");
        assert!(warnings("DINGMAP_ZZZ").contains("DINGMAP_ZZZ"));
    }
}
