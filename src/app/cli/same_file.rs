//! Whether two paths name one file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Whether two paths name the same file, also by links, or would name it once it exists.
#[must_use]
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    let stdio = Path::new("-");
    if one == stdio || other == stdio {
        return false;
    }
    // Writing to a device or a pipe overwrites nothing.
    let is_special =
        |path| fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    if is_special(one) || is_special(other) {
        return false;
    }
    let file = |path| fs::metadata(path).ok().filter(fs::Metadata::is_file);
    if let (Some(one), Some(other)) = (file(one), file(other)) {
        return (one.dev(), one.ino()) == (other.dev(), other.ino());
    }
    canonical_path(one).is_some_and(|one| Some(one) == canonical_path(other))
}

/// The path with links resolved. If the file does not exist yet, its parent is resolved.
fn canonical_path(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().or_else(|| {
        let path = std::path::absolute(path).ok()?;
        let parent = path.parent()?.canonicalize().ok();
        Some(parent.and_then(|parent| Some(parent.join(path.file_name()?))).unwrap_or(path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_is_recognized_under_all_its_names() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("a"), "x").unwrap();
        fs::write(path("b"), "x").unwrap();
        fs::hard_link(path("a"), path("hard")).unwrap();
        std::os::unix::fs::symlink(path("a"), path("soft")).unwrap();
        std::os::unix::fs::symlink(directory.path(), path("folder")).unwrap();
        for (one, other, expected) in [
            ("a", "hard", true),
            ("a", "soft", true),
            ("a", "folder/hard", true),
            ("a", "b", false),
            ("a", "none", false),
            ("none", "folder/none", true),
            ("none/x", "none/x", true),
        ] {
            assert_eq!(is_same_file(&path(one), &path(other)), expected, "{one} {other}");
        }
        assert!(!is_same_file(Path::new("-"), Path::new("-")));
        assert!(!is_same_file(Path::new("/dev/null"), Path::new("/dev/null")));
    }
}
