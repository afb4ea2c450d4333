//! The layout of the crate: layers, no import cycles, a pure `domain`, a standalone `sandbox`, and
//! a header in every file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::support::rust_tokens::{CodePath, paths, tokens};

/// What `domain` must not mention outside tests: I/O, clocks, randomness, async.
const IMPURE: &str = "std::fs std::io std::net std::thread std::env std::process Instant \
    SystemTime Timestamp::now Zoned::now crate::clock tokio fastrand reqwest hyper tracing async \
    await";
/// What panics at the end of the calendar. Only `clock` may read the clock.
const CLOCK_READS: [[&str; 2]; 2] = [["Timestamp", "now"], ["Zoned", "now"]];

/// All sources by path from the root of the package, without the fuzz targets, which are a
/// workspace of their own.
pub(crate) fn sources() -> BTreeMap<String, String> {
    fn collect(root: &Path, dir: &str, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(root.join(dir)).unwrap().map(Result::unwrap) {
            let path = format!("{dir}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                collect(root, &path, files);
            } else if Path::new(&path).extension().is_some_and(|extension| extension == "rs") {
                files.insert(path.clone(), fs::read_to_string(root.join(&path)).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    for dir in ["src", "tests/it", "benches"] {
        collect(Path::new(env!("CARGO_MANIFEST_DIR")), dir, &mut files);
    }
    files
}

/// Whether a file is declared as `#[cfg(test)] mod NAME;`.
pub(crate) fn is_test_only(path: &str, files: &BTreeMap<String, String>) -> bool {
    if path == "src/lib.rs" {
        return false;
    }
    let (dir, name) = path.trim_end_matches(".rs").rsplit_once('/').unwrap();
    let root = if dir == "src" { "src/lib.rs".to_owned() } else { format!("{dir}.rs") };
    let declares = |text: &String| text.contains(&format!("#[cfg(test)]\nmod {name};"));
    files.get(&root).is_some_and(|text| declares(text) || is_test_only(&root, files))
}

/// The paths that each file of `src` spells.
type Spelled = BTreeMap<String, Vec<CodePath>>;

/// The file that `path` (`crate`, `api`, `http`, …) in `file` names, and the rest of the path.
fn module_file<'a>(
    file: &str,
    path: &'a [String],
    spelled: &Spelled,
) -> Option<(String, &'a [String])> {
    let below = file.trim_end_matches(".rs").to_owned();
    let (base, names) = match path.split_first()? {
        (first, names) if first == "crate" => ("src".to_owned(), names),
        (first, names) if first == "super" => (below.rsplit_once('/')?.0.to_owned(), names),
        _ => (below, path),
    };
    let name = |count: usize| format!("{base}/{}.rs", names[..count].join("/"));
    let count = (1..=names.len()).rev().find(|count| spelled.contains_key(&name(*count)))?;
    Some((name(count), &names[count..]))
}

/// The file that defines what `path` names: a root file may re-export it from a file below.
fn resolve(file: &str, path: &[String], spelled: &Spelled) -> Option<String> {
    let (target, items) = module_file(file, path, spelled)?;
    let re_exported = items.first().filter(|_| target != file).and_then(|item| {
        let mut exports =
            spelled[&target].iter().filter(|path| path.segments[1..].last() == Some(item));
        exports.find_map(|path| Some(module_file(&target, &path.segments, spelled)?.0))
    });
    Some(re_exported.unwrap_or(target))
}

/// Everything that breaks the rules; `src/lib.rs` declares the layers, lowest first.
fn violations(files: &BTreeMap<String, String>) -> Vec<String> {
    let headless = files.iter().filter(|(_, text)| !text.starts_with("//! "));
    let mut found: Vec<String> =
        headless.map(|(path, _)| format!("{path}: the first line is no `//!` header")).collect();
    let roots = ["src/lib.rs", "src/main.rs"];
    let code =
        files.iter().filter(|(path, _)| path.starts_with("src/") && !roots.contains(&&***path));
    let spelled: Spelled = code
        .map(|(path, text)| {
            (path.clone(), paths(&tokens(text, is_test_only(path, files)).unwrap()))
        })
        .collect();
    let lines = files["src/lib.rs"].lines();
    let layers: Vec<&str> =
        lines.filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';')).collect();
    let layer = |path: &str| path["src/".len()..].split(['/', '.']).next().unwrap().to_owned();
    let position = |name: &str| layers.iter().position(|layer| *layer == name);
    let mut imports = BTreeMap::new();
    for (path, code) in &spelled {
        let own = layer(path);
        let reads_clock = code.iter().filter(|path| !path.is_test).any(|path| {
            path.segments.windows(2).any(|part| CLOCK_READS.iter().any(|read| part == read))
        });
        if reads_clock {
            found.push(format!("{path}: reads the clock without crate::clock"));
        }
        if own == "domain" {
            found.extend(impurities(code).map(|what| format!("{path}: mentions {what}")));
        }
        let targets: BTreeSet<String> =
            code.iter().filter_map(|name| resolve(path, &name.segments, &spelled)).collect();
        for target in targets.iter().filter(|target| layer(target) != own) {
            if own == "sandbox" || position(&layer(target)) >= position(&own) {
                found.push(format!("{path}: {own} imports {target}"));
            }
        }
        imports.insert(path.clone(), targets);
    }
    let mut done = BTreeSet::new();
    for file in imports.keys() {
        find_cycle(file, &imports, &mut Vec::new(), &mut done, &mut found);
    }
    found
}

fn impurities(code: &[CodePath]) -> impl Iterator<Item = &str> {
    IMPURE.split_whitespace().filter(|name| {
        let name: Vec<&str> = name.split("::").collect();
        let mut outside_tests = code.iter().filter(|path| !path.is_test);
        outside_tests.any(|path| path.segments.windows(name.len()).any(|part| part == name))
    })
}

/// Depth-first search; `path` is the chain of imports from the start to `file`.
fn find_cycle(
    file: &str,
    imports: &BTreeMap<String, BTreeSet<String>>,
    path: &mut Vec<String>,
    done: &mut BTreeSet<String>,
    found: &mut Vec<String>,
) {
    if let Some(start) = path.iter().position(|earlier| earlier == file) {
        found.push(format!("{}: import cycle", path[start..].join(" > ")));
    } else if !done.contains(file) {
        path.push(file.to_owned());
        let targets = imports.get(file).into_iter().flatten().filter(|target| *target != file);
        targets.for_each(|target| find_cycle(target, imports, path, done, found));
        path.pop();
        done.insert(file.to_owned());
    }
}

#[test]
fn the_layout_is_valid() {
    let found = violations(&sources());
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

#[test]
fn planted_violations_are_found() {
    let valid = [
        ("src/lib.rs", "mod domain;\nmod sandbox;\nmod app;\n"),
        ("src/domain.rs", "mod rule; mod cell; pub(crate) use rule::Rule;"),
        ("src/domain/rule.rs", "#[cfg(test)] mod tests { use std::fs; use super::*; }"),
        ("src/domain/cell.rs", "use crate::domain::Rule;"),
        ("src/sandbox.rs", "mod server; mod script;"),
        ("src/sandbox/server.rs", "use crate::sandbox::script::Script;"),
        ("src/sandbox/script.rs", "fn script() {}"),
        ("src/app.rs", "use crate::{domain::{self, cell}, sandbox::server::*}; use std::fs;"),
    ];
    let check = |path: &str, text: &str| {
        let mut files: BTreeMap<_, _> =
            valid.map(|(path, text)| (path.to_owned(), format!("//! A file.\n{text}"))).into();
        files.insert(path.to_owned(), text.to_owned());
        violations(&files)
    };
    assert_eq!(check("src/sandbox/script.rs", "//! A script."), [""; 0]);
    for (path, text, violation) in [
        ("src/app.rs", "use std::fs;", "no `//!` header"),
        ("benches/pace.rs", "\n//! Late.", "no `//!` header"),
        ("src/domain/cell.rs", "//! A.\nuse crate::app::X;", "domain imports src/app.rs"),
        (
            "src/domain/cell.rs",
            "//! A.\nfn f() { g!(crate::app::f()) }",
            "domain imports src/app.rs",
        ),
        (
            "src/sandbox/script.rs",
            "//! A.\nuse crate::{domain::{cell::Cell}};",
            "sandbox imports src/domain/cell.rs",
        ),
        (
            "src/sandbox/script.rs",
            "//! A.\nuse crate::sandbox::server::Server;",
            "src/sandbox/script.rs: import cycle",
        ),
        (
            "src/sandbox/script.rs",
            "//! A.\nuse super::server::Server;",
            "src/sandbox/script.rs: import cycle",
        ),
        (
            "src/domain/rule.rs",
            "//! A.\nuse crate::domain::cell;",
            "src/domain/rule.rs: import cycle",
        ),
        ("src/domain/rule.rs", "//! A.\nuse std::{io, fs::File};", "mentions std::fs"),
        ("src/domain/rule.rs", "//! A.\nfn f() { Instant::now() }", "mentions Instant"),
        ("src/domain/rule.rs", "//! A.\nasync fn f() {}", "mentions async"),
        ("src/app.rs", "//! A.\nfn f() { jiff::Zoned::now() }", "reads the clock"),
    ] {
        let found = check(path, text);
        assert!(found.iter().any(|found| found.contains(violation)), "{path}, {text}: {found:?}");
    }
}
