//! What is left at the server: nothing that tells who works here or opens a door, nothing for ever,
//! nothing of anybody else's.

use std::collections::HashSet;

use dingmap::testing::sandbox::{exclusive_ids_for, userid_for};
use sha2::{Digest, Sha256};

use crate::support::process::{Process, wait_until};
use crate::support::quota_fixture::QuotaFixture;
use crate::support::redis::resp_client::Entry;
use crate::support::rows::read_rows;
use crate::support::sandbox::unlimited_script;

const KEY_PREFIX: &[u8] = b"dingmap:1:";

/// Every form in which a number might stand there, its plain digests included, which a list of all
/// numbers reverses.
fn encodings_of_number(number: &str) -> Vec<Vec<u8>> {
    // The first is part of every form with a country code before it.
    let [a, b, c] = [&number[..3], &number[3..7], &number[7..]];
    let spelt = [number.to_owned(), format!("{a} {b} {c}"), format!("{a}-{b}-{c}")];
    let value: u64 = number.parse().unwrap();
    let mut forms: Vec<Vec<u8>> = spelt.into_iter().map(String::into_bytes).collect();
    // Of a number's eight bytes the first three are zero, and may have been left out.
    forms.extend([value.to_be_bytes()[3..].to_vec(), value.to_le_bytes()[..5].to_vec()]);
    for text in [number.to_owned(), format!("+86{number}"), format!("+86-{number}")] {
        // Not more of it than a short key would have.
        let digest: [u8; 8] = Sha256::digest(text.as_bytes())[..8].try_into().unwrap();
        let hex = format!("{:016x}", u64::from_be_bytes(digest));
        forms.extend([digest.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()]);
    }
    forms
}

/// The secrets that the entries contain.
fn leaked_secrets(entries: &[Entry], secrets: &[Vec<u8>]) -> Vec<String> {
    let texts: HashSet<_> =
        entries.iter().flat_map(|entry| entry.values.iter().chain([&entry.key])).collect();
    let is_stored = |secret: &&Vec<u8>| {
        texts.iter().any(|text| text.windows(secret.len()).any(|part| part == *secret))
    };
    secrets.iter().filter(is_stored).map(|secret| secret.escape_ascii().to_string()).collect()
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn the_server_holds_no_number_id_or_secret_and_every_key_expires() {
    let fixture = QuotaFixture::new(unlimited_script());
    let people: Vec<_> = (50..=99).map(|ending| format!("137418293{ending}")).collect();
    let table = "mobile\n".to_owned() + &people.join("\n") + "\n";
    let mut runs = ["one", "other"]
        .map(|name| Process::start(fixture.command(name, &table).args(["--max-retries", "3"])));
    let mut entries = Vec::new();
    // While they run there are claims and live runs.
    for calls in [1, 10, 20, 30] {
        wait_until("calls", || (fixture.sandbox.call_log().calls().len() >= calls).then_some(()));
        entries.extend(fixture.redis.entries());
    }
    for run in &mut runs {
        let ended = run.wait();
        // The numbers that are busy for ever and answered with a code that nobody knows are not
        // resolved.
        assert_eq!(ended.status, Some(4), "{}", ended.stderr);
    }
    assert!(
        read_rows(&fixture.output_path("one"))
            .iter()
            .any(|row| !row["exclusive_userids"].is_empty())
    );
    let after = fixture.redis.entries();
    assert!(!after.is_empty(), "nothing is kept at all");
    println!("{} entries at the end, {} seen during the runs", after.len(), entries.len());
    entries.extend(after);
    let call_log = fixture.sandbox.call_log();
    let mut secrets: Vec<Vec<u8>> =
        people.iter().flat_map(|number| encodings_of_number(number)).collect();
    secrets.extend(people.iter().map(|number| userid_for(number).into_bytes()));
    secrets
        .extend(people.iter().flat_map(|number| exclusive_ids_for(number)).map(String::into_bytes));
    secrets.extend(call_log.calls().iter().map(|call| call.token.as_bytes().to_vec()));
    secrets.push(b"sandbox-secret".to_vec());
    assert_eq!(leaked_secrets(&entries, &secrets), Vec::<String>::new());
    for entry in &entries {
        let key = entry.key.escape_ascii();
        assert!(entry.key.starts_with(KEY_PREFIX), "{key}");
        assert!(entry.ttl_ms >= 0, "{key} never expires");
    }
}

#[test]
fn the_leak_check_detects_every_form() {
    let number = "13000000000";
    for form in encodings_of_number(number) {
        let text = [b"before ", &form[..], b" after"].concat();
        for entry in [
            Entry { key: text.clone(), values: Vec::new(), ttl_ms: 1 },
            Entry {
                key: b"key".to_vec(),
                values: vec![b"other".to_vec(), text.clone()],
                ttl_ms: 1,
            },
        ] {
            assert!(!leaked_secrets(&[entry], &encodings_of_number(number)).is_empty());
        }
    }
    let entry = Entry { key: b"key".to_vec(), values: vec![b"13000000001".to_vec()], ttl_ms: 1 };
    assert_eq!(leaked_secrets(&[entry], &encodings_of_number("15912345678")), Vec::<String>::new());
}
