//! Reads files with a secret, and checks their permissions.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tr::tr;

use crate::app::exit::{Exit, Failure};

/// Reads the only line of the file that `flag` names, without the line end.
///
/// # Errors
/// 2 if the file cannot be read, is empty or has more than one line.
pub(crate) fn read_secret(flag: &str, path: &Path) -> Result<String, Failure> {
    let failure = |message: &str| {
        Failure::with_message(Exit::Usage, format!("{flag} {}: {message}", path.display()))
    };
    let bytes = fs::read(path).map_err(|cause| {
        failure(&tr!("{cause}; check the path, and that this user may read the file", cause))
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| failure(&tr!("the file is not text; it must contain only the secret")))?;
    // Some editors put a byte order mark at the start of every file.
    match text.trim_start_matches('\u{feff}').trim() {
        "" => Err(failure(&tr!("the file is empty"))),
        secret if secret.lines().count() > 1 => {
            Err(failure(&tr!("the file has more than one line; it must contain only the secret")))
        }
        secret => {
            ensure_unquoted(&format!("{flag} {}", path.display()), secret)?;
            Ok(secret.to_owned())
        }
    }
}

/// Rejects a credential in quotation marks. They are not part of any key, secret or token:
/// `docker run --env-file` and systemd's `EnvironmentFile=` differ in whether they take them off.
///
/// # Errors
/// 2, with `source`, the place of the value.
pub(crate) fn ensure_unquoted(source: &str, value: &str) -> Result<(), Failure> {
    const PAIRS: [(char, char); 5] = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('‘', '’')];
    let is_quoted = |(open, close)| {
        value.starts_with(open) && value.ends_with(close) && value.chars().count() > 1
    };
    if PAIRS.into_iter().any(is_quoted) {
        let text = tr!(
            "{source}: the value has quotation marks around it, which would be sent as part of it; \
             remove them (docker run --env-file keeps them)",
            source
        );
        return Err(Failure::with_message(Exit::Usage, text));
    }
    Ok(())
}

/// A warning if other users can read the file that `flag` names. If another user owns the file, our
/// group may read it: systemd and Kubernetes provide secrets like that.
#[must_use]
pub(crate) fn permissions_warning(flag: &str, path: &Path) -> Option<String> {
    let file = fs::metadata(path).ok()?;
    let mode = file.mode();
    let forbidden = if file.uid() == rustix::process::geteuid().as_raw() { 0o077 } else { 0o007 };
    (mode & forbidden != 0).then(|| {
        tr!(
            "warning: other users of this machine can read {flag} {path} (mode {mode}); run: chmod \
             600 {path}",
            flag,
            path = path.display(),
            mode = format_args!("{:03o}", mode & 0o777)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown};

    #[test]
    fn quotation_marks_around_a_credential_are_rejected() {
        for bad in ["\"key\"", "'key'", "`key`", "“key”", "‘key’", "\"\""] {
            let failure = ensure_unquoted("DINGTALK_APP_KEY", bad).unwrap_err();
            let text = failure.error.to_string();
            assert!(failure.exit == Exit::Usage && !text.contains(bad), "{text}");
            assert!(text.starts_with("DINGTALK_APP_KEY: the value has quotation marks"), "{text}");
        }
        for good in ["key", "k\"e\"y", "\"key", "key'", "\"", ""] {
            assert!(ensure_unquoted("DINGTALK_APP_KEY", good).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_secret_file_of_another_owner_may_be_group_readable() {
        let secret = tempfile::NamedTempFile::new().unwrap();
        let warns = |mode| {
            fs::set_permissions(secret.path(), fs::Permissions::from_mode(mode)).unwrap();
            permissions_warning("--app-secret-file", secret.path()).is_some()
        };
        assert_eq!([0o600, 0o640, 0o604].map(warns), [false, true, true]);
        // Only root can change the owner.
        if chown(secret.path(), Some(1), None).is_ok() {
            assert_eq!([0o400, 0o440, 0o444].map(warns), [false, false, true]);
        }
    }
}
