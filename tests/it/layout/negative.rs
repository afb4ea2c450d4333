//! Owns the proof that `tidy` can fail: a small house in order, and one violation of each kind planted into
//! it.

use super::{MAX_LINES, find_violations};

const VALID_MAP: &str = "//! The map.

pub mod domain {
    pub mod first;
    pub mod second;
}
pub mod table {
    pub mod sheet;
    #[cfg(test)]
    mod trial;
}
pub mod store {
    pub mod memory;
}
pub mod api {
    pub mod http;
    pub mod token;
}
pub mod sandbox {
    pub mod script;
    pub mod server;
}
pub mod app {
    pub mod terminal;
    pub mod resolve;
}
";

/// Each file of the house that is not empty, from line 3.
const VALID_FILES: &[(&str, &str)] = &[
    ("src/main.rs", "fn main() { dingmap::app::commands::resolve::command::run() }"),
    (
        "src/domain/second.rs",
        "use std::time::Duration;\nuse crate::domain::first::{self, Word};\n/// Not `crate::app::terminal`.\n\
         fn says() -> &'static str { \"crate::app::terminal, println! and std::fs\" } // std::io\n\
         #[cfg(test)]\nmod tests {\n    use super::*;\n\
         fn f() { super::says(); std::fs::read(\"x\"); }\n}",
    ),
    (
        "src/table/sheet.rs",
        "use std::io;\npub(super) struct Sheet;\npub(in crate::table::sheet) struct Row;",
    ),
    ("src/table/trial.rs", "use crate::table::sheet::Sheet;"),
    (
        "src/store/memory.rs",
        "use crate::{domain::{first, second::*}, table::sheet::Sheet as Page};",
    ),
    ("src/api/http.rs", "use reqwest::Client;\nasync fn f() { tokio::spawn(g()).await }"),
    ("src/api/token.rs", "#[cfg(test)]\nmod tests {\n    use reqwest::Client;\n}"),
    ("src/sandbox/server.rs", "use crate::sandbox::script::Script;"),
    ("src/app/terminal.rs", "fn f() { std::io::stderr(); }"),
    (
        "src/app/resolve.rs",
        "use anyhow::Error;\nfn f() { error.print(); crate::app::terminal::f(); }",
    ),
    ("tests/it/main.rs", "#[test]\nfn it_works() { println!() }"),
];

fn file_text(code: &str) -> String {
    format!("//! Owns nothing.\n\n{code}\n")
}

/// The house with `code` instead of what the file at `path` holds from line 3.
fn crate_with(path: &str, code: &str) -> Vec<(String, String)> {
    let paths = [
        "src/main.rs",
        "src/domain/first.rs",
        "src/domain/second.rs",
        "src/table/sheet.rs",
        "src/table/trial.rs",
        "src/store/memory.rs",
        "src/api/http.rs",
        "src/api/token.rs",
        "src/sandbox/script.rs",
        "src/sandbox/server.rs",
        "src/app/terminal.rs",
        "src/app/resolve.rs",
        "tests/it/main.rs",
    ];
    let code_of = |path: &str| {
        VALID_FILES.iter().find(|(orderly, _)| *orderly == path).map_or("", |found| found.1)
    };
    let mut files: Vec<_> =
        paths.into_iter().map(|path| (path.to_owned(), file_text(code_of(path)))).collect();
    files.retain(|(other, _)| other != path);
    files.push((path.to_owned(), file_text(code)));
    files
}

#[test]
fn a_valid_crate_has_no_violations() {
    assert_eq!(find_violations(VALID_MAP, &crate_with("src/main.rs", VALID_FILES[0].1)), [""; 0]);
}

const SECOND_FILE: &str = "src/domain/second.rs";

/// A file, what it holds from line 3, and what is said of it, behind its path.
const VIOLATIONS: &[(&str, &str, &str)] = &[
    // The order.
    (
        "src/domain/first.rs",
        "use crate::domain::second::X;",
        "3: src/domain/second.rs stands below it in the map",
    ),
    (
        "src/domain/first.rs",
        "use crate::{\n domain::{first::A, second::{B, C}}\n};",
        "4: src/domain/second.rs stands below it in the map",
    ),
    (
        "src/store/memory.rs",
        "fn f() {\n g(crate::app::resolve::X);\n}",
        "4: src/app/resolve.rs stands below it in the map",
    ),
    (
        "src/store/memory.rs",
        "macro_rules! m { () => { $crate::api::http::f() } }",
        "3: src/api/http.rs stands below it in the map",
    ),
    (
        "src/store/memory.rs",
        "m!(a, crate::api::http::f);",
        "3: src/api/http.rs stands below it in the map",
    ),
    (
        "src/store/memory.rs",
        "pub(in crate::api::http) struct A;",
        "3: src/api/http.rs stands below it in the map",
    ),
    (
        "src/store/memory.rs",
        "#[cfg(test)]\nmod tests { use crate::api::http::A; }",
        "4: src/api/http.rs stands below it in the map",
    ),
    (
        "src/table/trial.rs",
        "use crate::app::resolve::X;",
        "3: src/app/resolve.rs stands below it in the map\nsrc/table/trial.rs:3: table uses crate::app",
    ),
    ("src/store/memory.rs", "use crate::domain;", "3: crate::domain is no file of the map"),
    (
        "src/store/memory.rs",
        "use crate::domain::{self, first};",
        "3: crate::domain::self is no file of the map",
    ),
    ("src/store/memory.rs", "use crate::{self as house};", "3: crate::self is no file of the map"),
    ("src/store/memory.rs", "use crate as house;", "3: the crate under another name"),
    ("src/store/memory.rs", "extern crate self as house;", "3: the crate under another name"),
    (
        "src/store/memory.rs",
        "use super::super::api::http;",
        "3: super:: leads out of the file's tests",
    ),
    (
        "src/store/memory.rs",
        "use self::super::other::X;",
        "3: super:: leads out of the file's tests",
    ),
    (
        "src/store/memory.rs",
        "#[cfg(test)]\nuse super::other::X;",
        "4: super:: leads out of the file's tests",
    ),
    (
        "src/store/memory.rs",
        "mod inner { use super::*; }",
        "3: super:: leads out of the file's tests",
    ),
    (
        "src/store/memory.rs",
        "#[cfg(test)]\nmod tests { fn f() { super::super::g(); } }",
        "4: super:: leads out of the file's tests",
    ),
    (
        "src/main.rs",
        "mod more;\nfn main() {}",
        "3: main.rs has more than the library's public names",
    ),
    // What a room leaves to others.
    (SECOND_FILE, "use std::fs;", "3: the rules mention std::fs"),
    (
        SECOND_FILE,
        "use std::{collections::HashMap, io::{self, Read}};",
        "3: the rules mention std::io",
    ),
    (SECOND_FILE, "type A = ::std::net::IpAddr;", "3: the rules mention std::net"),
    (
        SECOND_FILE,
        "fn f() { let start = std::time::Instant::now(); }",
        "3: the rules mention Instant",
    ),
    (SECOND_FILE, "use std::time::{Duration, SystemTime};", "3: the rules mention SystemTime"),
    (SECOND_FILE, "fn f() { jiff::Timestamp::now(); }", "3: the rules mention Timestamp::now"),
    (
        SECOND_FILE,
        "const CLOCK: fn() -> Timestamp = Timestamp::now;",
        "3: the rules mention Timestamp::now",
    ),
    (SECOND_FILE, "fn f() -> u64 { fastrand::u64(..) }", "3: the rules mention fastrand"),
    (SECOND_FILE, "async fn f() {}", "3: the rules mention async"),
    (SECOND_FILE, "fn f() { std::thread::yield_now(); }", "3: the rules mention std::thread"),
    (SECOND_FILE, "fn f() { std::env::var(\"HOME\"); }", "3: the rules mention std::env"),
    (SECOND_FILE, "#[cfg(not(test))]\nuse std::fs;", "4: the rules mention std::fs"),
    (SECOND_FILE, "#[cfg(test)]\nmod tests {}\nuse std::fs;", "5: the rules mention std::fs"),
    (SECOND_FILE, "#[cfg(test)]\nuse a::b;\nuse std::fs;", "5: the rules mention std::fs"),
    (SECOND_FILE, "#[cfg(test)]\nmod tests { use tokio::time; }", "4: domain knows of tokio"),
    ("src/table/sheet.rs", "use tokio::sync::mpsc;", "3: table knows of tokio"),
    ("src/store/memory.rs", "use hyper::Request;", "3: store knows of hyper"),
    ("src/table/sheet.rs", "use crate::domain::first::X;", "3: table uses crate::domain"),
    ("src/sandbox/server.rs", "use crate::domain::first::X;", "3: sandbox uses crate::domain"),
    (
        "src/api/token.rs",
        "fn f(client: &reqwest::Client) {}",
        "3: reqwest belongs to src/api/http.rs",
    ),
    ("src/api/http.rs", "fn f() -> anyhow::Result<()> {}", "3: anyhow belongs to src/app/"),
    // Standard error and output.
    ("src/app/resolve.rs", "fn f() { std::io::stderr().lock(); }", "3: stderr is the terminal's"),
    ("src/app/resolve.rs", "fn f() { target::stderr_with_hz(1); }", "3: stderr is the terminal's"),
    ("src/app/terminal.rs", "fn f() { eprintln!(\"x\"); }", "3: eprintln!"),
    (SECOND_FILE, "fn f() { println!(); }", "3: println!"),
    (
        "src/api/http.rs",
        "#[cfg(test)]\nmod tests { fn f() { print!(\"x\"); dbg!(1); } }",
        "4: dbg!\nsrc/api/http.rs:4: print!",
    ),
    // Everywhere.
    ("src/api/http.rs", "use tokio::sync::mpsc::unbounded_channel;", "3: a queue without a bound"),
    ("src/api/http.rs", "#[allow(dead_code)]\nfn f() {}", "3: the attribute allow"),
    ("tests/it/main.rs", "#![allow(dead_code)]", "3: the attribute allow"),
    (
        "tests/it/main.rs",
        "#[cfg_attr(unix, allow(dead_code))]\nfn f() {}",
        "3: the attribute allow",
    ),
    ("tests/it/main.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", "4: the attribute ignore"),
    ("src/api/http.rs", "mod common { }", "3: common says nothing about what is inside"),
];

#[test]
fn a_layout_violation_is_reported_with_its_line() {
    for (path, code, expected) in VIOLATIONS {
        let found = find_violations(VALID_MAP, &crate_with(path, code)).join("\n");
        assert_eq!(found, format!("{path}:{expected}"), "{path}: {code}");
    }
}

#[test]
fn a_misplaced_or_malformed_file_is_reported() {
    let long = "\n".repeat(MAX_LINES - 2);
    for (path, code, expected) in [
        ("src/api/pool.rs", "", "src/api/pool.rs: not declared in src/lib.rs"),
        ("src/stray.rs", "", "src/stray.rs: not declared in src/lib.rs"),
        ("src/api/http.rs", long.as_str(), "src/api/http.rs: 401 lines, more than 400"),
        ("benches/speed.rs", long.as_str(), "benches/speed.rs: 401 lines, more than 400"),
        ("tests/it/mod.rs", "", "tests/it/mod.rs: a file called mod.rs"),
        (
            "tests/helpers/rows.rs",
            "",
            "tests/helpers/rows.rs: helpers says nothing about what is inside",
        ),
        ("benches/utils.rs", "", "benches/utils.rs: utils says nothing about what is inside"),
        (
            "tests/it/manager.rs",
            "",
            "tests/it/manager.rs: manager says nothing about what is inside",
        ),
        (
            "src/api/http.rs",
            "fn f() {",
            "src/api/http.rs: it is no Rust: cannot parse string into token stream",
        ),
    ] {
        assert_eq!(find_violations(VALID_MAP, &crate_with(path, code)), [expected], "{path}");
    }
    let mut files = crate_with("src/main.rs", VALID_FILES[0].1);
    files[0].1.insert_str(0, "// ");
    let silent = format!("{}:1: the first line does not say what the file owns", files[0].0);
    assert_eq!(find_violations(VALID_MAP, &files), [silent]);
}

#[test]
fn an_inconsistent_module_map_is_reported() {
    let files = crate_with("src/main.rs", VALID_FILES[0].1);
    for (was, is, expected) in [
        (
            "pub mod http;",
            "pub mod http; pub mod wire;",
            "src/lib.rs: src/api/wire.rs is declared and does not exist",
        ),
        (
            "pub mod memory;",
            "pub mod memory; pub mod memory;",
            "src/lib.rs: src/store/memory.rs is declared twice",
        ),
        (
            "pub mod http;",
            "pub use token::X; pub mod http;",
            "src/lib.rs: src/api has an item that is no module",
        ),
        (
            "pub mod http;",
            "#[path = \"h.rs\"] pub mod http;",
            "src/lib.rs: module http has a path of its own",
        ),
        ("//! The map.", "", "src/lib.rs:1: the first line does not say what the file owns"),
        ("pub mod api {", "pub mod api {{", "src/lib.rs: it is no Rust: "),
    ] {
        let found = find_violations(&VALID_MAP.replacen(was, is, 1), &files);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{is}: {found:?}");
    }
}
