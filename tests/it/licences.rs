//! What the program is made of: under which licences, and for which Rust. Read from what cargo says of this platform's
//! dependencies, those of the tests among them.

use std::process::Command;

use serde_json::Value;
use spdx::{Expression, ParseMode};

/// Licences that ask for no more than to be named, and no network of their own.
const PERMISSIVE: [&str; 9] =
    ["0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "Unicode-3.0", "Zlib"];

/// Every package that is built here.
fn packages() -> Vec<Value> {
    let cargo = || Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // What was built is there already: nothing is fetched.
    let mut command = cargo();
    command.args(["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", host]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let used: Vec<_> =
        told["resolve"]["nodes"].as_array().unwrap().iter().map(|node| node["id"].clone()).collect();
    let Value::Array(packages) = told["packages"].take() else { panic!("{told}") };
    packages.into_iter().filter(|package| used.contains(&package["id"])).collect()
}

#[test]
fn everything_is_permissive_and_builds_with_the_rust_that_is_promised() {
    let packages = packages();
    assert!(packages.len() > 200, "{}", packages.len());
    let version = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
    let promised = version(env!("CARGO_PKG_RUST_VERSION"));
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or_else(|| panic!("{name} has no licence"));
        let licence = Expression::parse_mode(licence, ParseMode::LAX).unwrap();
        let allowed = licence.evaluate(|asked| {
            asked.addition.is_none() && asked.license.id().is_some_and(|id| PERMISSIVE.contains(&id.name))
        });
        assert!(allowed, "{name}: {licence}");
        if let Some(needed) = package["rust_version"].as_str() {
            let needed = version(needed);
            assert!(needed[..2] <= promised[..2], "{name} needs Rust {needed:?}");
        }
    }
}
