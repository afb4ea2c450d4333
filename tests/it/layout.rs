//! The house order, enforced on the source: `src/lib.rs` is the map, and a file that looks up in it, hides
//! from it or does what its room leaves to others fails here by name and line.

mod negative;

use std::fs;
use std::path::Path;

use crate::support::rust_tokens::{ModuleMap, Token, paths, tokens};

/// The most lines that a file may have.
const MAX_LINES: usize = 400;
/// Names that say nothing about what is inside.
const VAGUE_NAMES: [&str; 4] = ["utils", "helpers", "common", "manager"];
/// What the rules may not touch outside tests: the world, time, chance and waiting.
const IMPURE_PATHS: [&str; 18] = [
    "std::fs",
    "std::io",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "std::sync::mpsc",
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "tokio",
    "fastrand",
    "reqwest",
    "hyper",
    "tracing",
    "async",
    "await",
];
/// Rooms that block, or decide, and so know nothing of these.
const SYNC_MODULES: [&str; 3] = ["domain", "table", "store"];
const ASYNC_CRATES: [&str; 3] = ["tokio", "reqwest", "hyper"];
/// Rooms that use nothing of ours but themselves.
const STANDALONE_MODULES: [&str; 2] = ["sandbox", "table"];
/// What only one place may name outside tests, and that place.
const RESTRICTED_CRATES: [(&str, &str); 3] =
    [("anyhow", "src/app/"), ("redb", "src/store/"), ("reqwest", "src/api/http.rs")];
/// Macros that write past the terminal.
const PRINT_MACROS: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];

/// Everything that `files` do against the house order, of which `map` is the text of `src/lib.rs`.
fn find_violations(map: &str, files: &[(String, String)]) -> Vec<String> {
    let mut found = check_any_file("src/lib.rs", map);
    let map = match ModuleMap::read(map) {
        Ok(map) => map,
        Err(error) => return vec![format!("src/lib.rs: {error}")],
    };
    for (at, declared) in map.files.iter().enumerate() {
        let path = &declared.path;
        if map.position_of_path(path) != Some(at) {
            found.push(format!("src/lib.rs: {path} is declared twice"));
        }
        if !files.iter().any(|(file, _)| file == path) {
            found.push(format!("src/lib.rs: {path} is declared and does not exist"));
        }
    }
    for (path, text) in files {
        found.extend(check_any_file(path, text));
        if path.starts_with("src/") {
            found.extend(check_source_file(&map, path, text));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// What no file may do, tests and benchmarks included.
fn check_any_file(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if !text.starts_with("//! ") {
        found.push(format!("{path}:1: the first line does not say what the file owns"));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{path}: {lines} lines, more than {MAX_LINES}"));
    }
    let mut names = path.trim_end_matches(".rs").split('/');
    if names.clone().next_back() == Some("mod") {
        found.push(format!("{path}: a file called mod.rs"));
    }
    if let Some(name) = names.find(|name| VAGUE_NAMES.contains(name)) {
        found.push(format!("{path}: {name} says nothing about what is inside"));
    }
    let tokens = match tokens(text, false) {
        Ok(tokens) => tokens,
        Err(error) => return vec![format!("{path}: {error}")],
    };
    for (at, token) in tokens.iter().enumerate() {
        let line = token.location.line;
        let next = |ahead: usize| tokens.get(at + ahead).map_or("", |token| token.text.as_str());
        if token.text == "mod" && VAGUE_NAMES.contains(&next(1)) {
            found.push(format!("{path}:{line}: {} says nothing about what is inside", next(1)));
        }
        if token.text == "#" {
            let attribute = if next(1) == "!" { at + 2 } else { at + 1 };
            for name in attribute_names(&tokens, attribute) {
                if matches!(name, "allow" | "ignore") {
                    found.push(format!("{path}:{line}: the attribute {name}"));
                }
            }
        }
    }
    found
}

/// The name of the attribute whose bracket is at `at`, and those that a `cfg_attr` adds.
fn attribute_names(tokens: &[Token], at: usize) -> Vec<&str> {
    let words = || {
        tokens.iter().skip(at + 1).take_while(|token| token.text != "]").map(|token| &*token.text)
    };
    if tokens.get(at).is_none_or(|token| token.text != "[") {
        return Vec::new();
    }
    if words().next() == Some("cfg_attr") { words().collect() } else { words().take(1).collect() }
}

/// What no file under `src/` may do.
fn check_source_file(map: &ModuleMap, path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let room = path.split('/').nth(1).unwrap_or_default();
    let own = map.position_of_path(path);
    let main = path == "src/main.rs";
    if own.is_none() && !main {
        found.push(format!("{path}: not declared in src/lib.rs"));
    }
    let Ok(tokens) = tokens(text, own.is_some_and(|own| map.files[own].is_test)) else {
        return found;
    };
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1).map_or("", |token| token.text.as_str());
        let mut say = |what: &str| found.push(format!("{path}:{}: {what}", token.location.line));
        if PRINT_MACROS.contains(&&*token.text) && next == "!" {
            say(&format!("{}!", token.text));
        }
        if token.text.contains("stderr") && path != "src/app/terminal.rs" {
            say("stderr is the terminal's");
        }
        if token.text == "unbounded_channel" {
            say("a queue without a bound");
        }
        if main && (token.text == "mod" || token.text == "crate") {
            say("main.rs has more than the library's public names");
        }
        let not_alone = matches!((&*token.text, next), ("crate", "as" | ";") | ("extern", "crate"));
        if not_alone && !main {
            say("the crate under another name");
        }
    }
    for spelt in paths(&tokens) {
        let place = spelt.location;
        let mut say = |what: String| found.push(format!("{path}:{}: {what}", place.line));
        let supers = spelt.segments.iter().filter(|segment| *segment == "super").count();
        if supers > 0 && spelt.segments.len() > 1 && (!place.is_test || supers > place.depth) {
            say("super:: leads out of the file's tests".to_owned());
        }
        if let [root, rest @ ..] = spelt.segments.as_slice()
            && root == "crate"
            && !rest.is_empty()
        {
            match map.position_of(rest) {
                None => say(format!("crate::{} is no file of the map", rest.join("::"))),
                Some(there) if own.is_some_and(|own| there > own) => {
                    say(format!("{} stands below it in the map", map.files[there].path));
                }
                Some(_) => {}
            }
            if STANDALONE_MODULES.contains(&room) && rest[0] != room {
                say(format!("{room} uses crate::{}", rest[0]));
            }
        }
        if room == "domain" && !place.is_test {
            for name in IMPURE_PATHS.iter().filter(|name| spelt.contains(name)) {
                say(format!("the rules mention {name}"));
            }
        }
        if SYNC_MODULES.contains(&room) {
            for name in ASYNC_CRATES.iter().filter(|name| spelt.contains(name)) {
                say(format!("{room} knows of {name}"));
            }
        }
        for (name, place) in RESTRICTED_CRATES {
            if !path.starts_with(place) && !spelt.location.is_test && spelt.contains(name) {
                say(format!("{name} belongs to {place}"));
            }
        }
    }
    found
}

/// Every source of the crate but the map, by its path from the crate's root.
pub(crate) fn sources() -> Vec<(String, String)> {
    fn collect(root: &Path, under: &str, to: &mut Vec<(String, String)>) {
        let Ok(entries) = fs::read_dir(root.join(under)) else { return };
        for entry in entries {
            let entry = entry.unwrap();
            let path = format!("{under}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                collect(root, &path, to);
            } else if entry.path().extension().is_some_and(|kind| kind == "rs")
                && path != "src/lib.rs"
            {
                to.push((path.clone(), fs::read_to_string(root.join(&path)).unwrap()));
            }
        }
    }
    let mut sources = Vec::new();
    for under in ["src", "tests", "benches"] {
        collect(Path::new(env!("CARGO_MANIFEST_DIR")), under, &mut sources);
    }
    sources
}

#[test]
fn the_source_layout_is_valid() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let files = sources();
    // An empty list of sources would be in perfect order.
    assert!(files.len() > 40, "{} sources", files.len());
    let found = find_violations(&map, &files);
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}
