//! Replays what the fuzzer kept: every file of `tests/fuzz/corpus` through the property that found
//! it interesting.

#[path = "../support/properties/number.rs"]
mod number;
#[path = "../support/properties/reply.rs"]
mod reply;
#[cfg(unix)]
#[path = "../support/properties/roundtrip.rs"]
mod roundtrip;

use std::path::{Path, PathBuf};

/// The most files that a corpus keeps, and the most bytes of each: a corpus is read by people, too.
const MAX_FILES: usize = 60;
const MAX_FILE_BYTES: u64 = 1024;

/// The entries of a folder of `tests/fuzz`, which the published crate does not have.
#[track_caller]
fn fuzz_entries(folder: &str) -> Vec<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(folder);
    let entries = std::fs::read_dir(&path).unwrap_or_else(|error| {
        panic!(
            "cannot read {}: {error}; run this test in the repository: the published crate has no \
             fuzz targets (to skip it: cargo test -- --skip fuzz_corpus)",
            path.display()
        )
    });
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[track_caller]
fn replay_corpus(target: &str, holds: fn(&[u8])) {
    let files = fuzz_entries(&format!("corpus/{target}"));
    assert!((20..=MAX_FILES).contains(&files.len()), "{} files for {target}", files.len());
    for file in files {
        assert!(file.metadata().unwrap().len() <= MAX_FILE_BYTES, "{}", file.display());
        // A failure names the file: the panic of the property alone would not.
        let data = std::fs::read(&file).unwrap();
        let held = std::panic::catch_unwind(|| holds(&data));
        assert!(held.is_ok(), "{}", file.display());
    }
}

#[test]
fn the_number_corpus_passes() {
    replay_corpus("number", number::number);
}

#[test]
fn the_reply_corpus_passes() {
    replay_corpus("reply", reply::reply);
}

#[cfg(unix)]
#[test]
fn the_round_trip_corpus_passes() {
    replay_corpus("roundtrip", roundtrip::roundtrip);
}

/// Every target of the fuzzer has its corpus, and every corpus its replay above.
#[test]
fn every_target_is_replayed() {
    let names = |folder: &str| {
        let name = |path: &PathBuf| path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut names: Vec<_> = fuzz_entries(folder).iter().map(name).collect();
        names.sort();
        names
    };
    assert_eq!(names("fuzz_targets"), ["number", "reply", "roundtrip"]);
    assert_eq!(names("corpus"), ["number", "reply", "roundtrip"]);
}
