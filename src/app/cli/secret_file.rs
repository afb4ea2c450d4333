//! A file with a secret: reading it, and whether others can read it too. Leaves what the secret is for to `config` and
//! `quota`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tr::tr;

use crate::app::exit::{Exit, Failure};

/// The first line of the file that `flag` names: what an editor adds at the end does not belong to the secret.
///
/// # Errors
/// Usage (2) for a file that cannot be read, is empty or has more than one line.
pub(crate) fn read_secret(flag: &str, path: &Path) -> Result<String, Failure> {
    let say = |what: &str| format!("{flag} {}: {what}", path.display());
    let bytes = fs::read(path).map_err(|error| {
        Failure::with_message(
            Exit::Usage,
            say(&tr!(
                "{cause}; check the path, and that this user may read the file",
                cause = error
            )),
        )
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::with_message(
            Exit::Usage,
            say(&tr!("the file is not text; it should have the secret alone, in ASCII")),
        )
    })?;
    // Some editors begin every file with a mark.
    match text.trim_start_matches('\u{feff}').trim() {
        "" => Err(Failure::with_message(Exit::Usage, say(&tr!("the file is empty")))),
        secret if secret.lines().count() > 1 => Err(Failure::with_message(
            Exit::Usage,
            say(&tr!("the file has more than one line; it should have the secret alone")),
        )),
        secret => Ok(secret.to_owned()),
    }
}

/// What to say of a file, named by `flag`, that others than its owner can read, with the command that mends it. One that belongs to somebody else
/// may let our group read it, as service managers and clusters hand out secrets.
#[must_use]
pub(crate) fn permissions_warning(flag: &str, path: &Path) -> Option<String> {
    let file = fs::metadata(path).ok()?;
    let mode = file.mode();
    let too_much = if file.uid() == rustix::process::geteuid().as_raw() { 0o077 } else { 0o007 };
    (mode & too_much != 0).then(|| {
        tr!(
            "warning: others on this machine can read {flag} {path} (mode {mode}); mend that with: chmod 600 {path}",
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
    fn a_secret_file_of_another_owner_may_be_group_readable() {
        let secret = tempfile::NamedTempFile::new().unwrap();
        let told = |mode| {
            fs::set_permissions(secret.path(), fs::Permissions::from_mode(mode)).unwrap();
            permissions_warning("--app-secret-file", secret.path()).is_some()
        };
        assert_eq!([0o600, 0o640, 0o604].map(told), [false, true, true]);
        // Only the superuser gives files away.
        if chown(secret.path(), Some(1), None).is_ok() {
            assert_eq!([0o400, 0o440, 0o444].map(told), [false, false, true]);
        }
    }
}
