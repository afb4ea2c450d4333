//! What the program is made of: under which licenses, and for which Rust. Read from what cargo says
//! of this platform's dependencies, those of the tests among them.

use std::process::Command;

use serde_json::Value;
use spdx::{Expression, ParseMode};

/// Licenses that ask for no more than to be named, and no network of their own.
const PERMISSIVE: [&str; 10] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

/// Licenses of what the tests alone are made of may also ask that changes to its own files are
/// shared.
const TEST_ONLY: [&str; 1] = ["MPL-2.0"];

/// Every package that is built here, and whether it is part of the program or of its build.
fn packages() -> Vec<(Value, bool)> {
    let cargo = || Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // What was built is there already: nothing is fetched.
    let mut command = cargo();
    command.args([
        "metadata",
        "--locked",
        "--offline",
        "--format-version",
        "1",
        "--filter-platform",
        host,
    ]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut actual: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nodes = actual["resolve"]["nodes"].as_array().unwrap();
    let used: Vec<_> = nodes.iter().map(|node| node["id"].clone()).collect();
    let mut linked = vec![actual["resolve"]["root"].clone()];
    let mut at = 0;
    while let Some(id) = linked.get(at) {
        let node = nodes.iter().find(|node| node["id"] == *id).unwrap();
        let of_tests = |dependency: &&Value| {
            dependency["dep_kinds"].as_array().unwrap().iter().all(|kind| kind["kind"] == "dev")
        };
        let behind =
            node["deps"].as_array().unwrap().iter().filter(|dependency| !of_tests(dependency));
        let new: Vec<_> = behind
            .map(|dependency| dependency["pkg"].clone())
            .filter(|id| !linked.contains(id))
            .collect();
        linked.extend(new);
        at += 1;
    }
    let Value::Array(packages) = actual["packages"].take() else { panic!("{actual}") };
    let packages = packages.into_iter().filter(|package| used.contains(&package["id"]));
    packages.map(|package| (package.clone(), linked.contains(&package["id"]))).collect()
}

#[test]
fn every_dependency_is_permissive_and_builds_with_the_msrv() {
    let packages = packages();
    assert!(packages.len() > 200, "{}", packages.len());
    let version =
        |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
    let promised = version(env!("CARGO_PKG_RUST_VERSION"));
    assert!(packages.iter().any(|(package, linked)| *linked && package["name"] == "maud"));
    assert!(packages.iter().any(|(package, linked)| !linked && package["name"] == "scraper"));
    for (package, linked) in &packages {
        let name = package["name"].as_str().unwrap();
        let license =
            package["license"].as_str().unwrap_or_else(|| panic!("{name} has no license"));
        let license = Expression::parse_mode(license, ParseMode::LAX).unwrap();
        let allowed = license.evaluate(|asked| {
            let named = |id: spdx::LicenseId| {
                PERMISSIVE.contains(&id.name) || (!linked && TEST_ONLY.contains(&id.name))
            };
            asked.addition.is_none() && asked.license.id().is_some_and(named)
        });
        assert!(allowed, "{name}: {license}");
        if let Some(needed) = package["rust_version"].as_str() {
            let needed = version(needed);
            assert!(needed[..2] <= promised[..2], "{name} needs Rust {needed:?}");
        }
    }
}
