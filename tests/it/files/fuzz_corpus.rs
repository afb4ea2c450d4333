//! Replays what the fuzzer kept: every file of `tests/fuzz/corpus` through the property that found
//! it interesting.

#[path = "../support/properties/number.rs"]
mod number;
#[path = "../support/properties/reply.rs"]
mod reply;
#[cfg(unix)]
#[path = "../support/properties/roundtrip.rs"]
mod roundtrip;

use std::path::Path;

/// The most files that a corpus keeps, and the most bytes of each: a corpus is read by people, too.
const MAX_FILES: usize = 60;
const MAX_FILE_BYTES: u64 = 1024;

/// Whether these are the sources that cargo packed, where the fuzzer is not: it leaves out what has
/// a manifest of its own.
fn is_packaged_source() -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml.orig").exists()
}

fn replay_corpus(target: &str, holds: fn(&[u8])) {
    if is_packaged_source() {
        return;
    }
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let files: Vec<_> = std::fs::read_dir(&corpus).unwrap().map(|entry| entry.unwrap()).collect();
    assert!((20..=MAX_FILES).contains(&files.len()), "{} files for {target}", files.len());
    for file in files {
        assert!(file.metadata().unwrap().len() <= MAX_FILE_BYTES, "{}", file.path().display());
        // A failure names the file: the panic of the property alone would not.
        let data = std::fs::read(file.path()).unwrap();
        let held = std::panic::catch_unwind(|| holds(&data));
        assert!(held.is_ok(), "{}", file.path().display());
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
    if is_packaged_source() {
        return;
    }
    let names = |under: &str| {
        let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(under)).unwrap();
        let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut names: Vec<_> = entries.map(|entry| name(&entry.unwrap().path())).collect();
        names.sort();
        names
    };
    assert_eq!(names("tests/fuzz/fuzz_targets"), ["number", "reply", "roundtrip"]);
    assert_eq!(names("tests/fuzz/corpus"), ["number", "reply", "roundtrip"]);
}
