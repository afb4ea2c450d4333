//! Ways to the server, and ways that lead nowhere: what is refused, by what words, and that no
//! password is among them.

use crate::support::network_servers::CertificateAuthority;
use crate::support::quota_fixture::{QuotaFixture, table_of_run};
use crate::support::redis::RedisServer;
use crate::support::redis::resp_client::RespValue;
use crate::support::sandbox::{Sandbox, dingmap, run, unlimited_script};
use crate::support::workdir::Workdir;

const PASSWORD: &str = "open-sesame-42";

/// Sees that a run over an address resolves everything, and has left something at the server.
#[track_caller]
fn assert_reaches_server(fixture: &QuotaFixture, url: &str, flags: &[&str]) {
    let ended = run(fixture.command_at_url(url, "run", &table_of_run(0, 5)).args(flags));
    assert_eq!(
        (ended.status, fixture.count_rows("run", "found")),
        (Some(0), 5),
        "{url}: {}",
        ended.stderr
    );
    assert_ne!(fixture.redis.call(&["DBSIZE"]), RespValue::Integer(0), "{url}");
    assert!(!ended.stderr.contains(PASSWORD), "{}", ended.stderr);
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_unix_socket_and_another_database_work() {
    let fixture = QuotaFixture::new(unlimited_script());
    assert_reaches_server(&fixture, &format!("unix://{}", fixture.redis.socket().display()), &[]);
    fixture.redis.call(&["FLUSHALL"]);
    let others = [
        format!("{}/3", fixture.redis.url()),
        format!("unix://{}?db=5", fixture.redis.socket().display()),
    ];
    for url in others {
        let ended = run(&mut fixture.command_at_url(&url, "run", &table_of_run(0, 5)));
        assert_eq!(ended.status, Some(0), "{url}: {}", ended.stderr);
    }
    let RespValue::Text(info) = fixture.redis.call(&["INFO", "keyspace"]) else {
        panic!("no text")
    };
    let info = String::from_utf8(info).unwrap();
    assert!(!info.contains("db0:") && info.contains("db3:") && info.contains("db5:"), "{info}");
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_password_comes_from_a_variable_or_a_file() {
    let redis = RedisServer::with_password(PASSWORD);
    let fixture = QuotaFixture::with_redis(redis, unlimited_script());
    let file = fixture.workdir.write_file("password", format!("{PASSWORD}\n"));
    assert_reaches_server(
        &fixture,
        &fixture.redis.url(),
        &["--shared-password-file", file.to_str().unwrap()],
    );
    fixture.redis.call(&[
        "ACL",
        "SETUSER",
        "nightly",
        "on",
        ">other-sesame",
        "~dingmap:*",
        "+@all",
    ]);
    for (url, password) in [
        (fixture.redis.url(), PASSWORD),
        (fixture.redis.url().replace("redis://", "redis://nightly@"), "other-sesame"),
    ] {
        let mut command = fixture.command_at_url(&url, "run", &table_of_run(0, 5));
        let ended = run(command.env("DINGMAP_SHARED_PASSWORD", password));
        assert_eq!(ended.status, Some(0), "{url}: {}", ended.stderr);
    }
    // The address itself may come from the environment, a password in it too: no shell's history
    // has it.
    let url = fixture.redis.url().replace("redis://", &format!("redis://:{PASSWORD}@"));
    let ended =
        run(fixture.command_without_shared("run", &table_of_run(0, 5)).env("DINGMAP_SHARED", url));
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains(PASSWORD), "{}", ended.stderr);
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_tls_server_is_trusted_only_by_its_ca() {
    let authority = CertificateAuthority::new();
    let redis = RedisServer::with_tls(&authority);
    let fixture = QuotaFixture::with_redis(redis, unlimited_script());
    let url = format!("rediss://localhost:{}", fixture.redis.port);
    for (name, authority, status) in
        [("right", authority, Some(0)), ("wrong", CertificateAuthority::new(), Some(2))]
    {
        let file = fixture.workdir.write_file(name, authority.pem());
        let mut command = fixture.command_at_url(&url, "run", &table_of_run(0, 5));
        let ended =
            run(command.args(["--patience", "1s", "--shared-ca-file", file.to_str().unwrap()]));
        println!("{}", ended.stderr);
        assert_eq!(ended.status, status, "{name}: {}", ended.stderr);
        assert_eq!(
            ended.stderr.contains("certificate not trusted"),
            name == "wrong",
            "{}",
            ended.stderr
        );
        let calls = fixture.sandbox.call_log().calls().len();
        assert_eq!(calls, 5, "{name}");
    }
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn an_invalid_server_url_is_rejected_with_a_remedy() {
    let redis = RedisServer::with_password(PASSWORD);
    let fixture = QuotaFixture::with_redis(redis, unlimited_script());
    let url = fixture.redis.url();
    let (host, wrong) = (url.strip_prefix("redis://").unwrap(), "wrong-sesame");
    let http_server = Sandbox::with_plain_http(unlimited_script());
    let http = http_server.endpoint().replace("http://", "redis://");
    // (the address, the password, the exit status, words that say what to do)
    let cases: &[(String, &str, i32, &[&str])] = &[
        (url.clone(), wrong, 5, &["password"]),
        (url.clone(), "", 5, &["DINGMAP_SHARED_PASSWORD"]),
        (format!("redis://nobody@{host}"), PASSWORD, 5, &["authentication failed"]),
        (format!("{url}/99"), PASSWORD, 2, &["99"]),
        (format!("http://{host}"), PASSWORD, 2, &["redis://"]),
        (format!("redis://:{wrong}@{host}"), "", 2, &["DINGMAP_SHARED_PASSWORD"]),
        (host.to_owned(), PASSWORD, 2, &["redis://"]),
        (http, PASSWORD, 2, &["Redis"]),
    ];
    for (url, password, status, words) in cases {
        let mut command = fixture.command_at_url(url, "run", &table_of_run(0, 5));
        if !password.is_empty() {
            command.env("DINGMAP_SHARED_PASSWORD", password);
        }
        let ended = run(command.args(["--patience", "2s"]));
        println!("{url}: {:?}\n{}", ended.status, ended.stderr);
        assert_eq!(ended.status, Some(*status), "{url}: {}", ended.stderr);
        assert!(words.iter().all(|word| ended.stderr.contains(word)), "{url}: {}", ended.stderr);
        let actual = [PASSWORD, wrong].into_iter().find(|password| ended.stderr.contains(password));
        assert_eq!(actual, None, "{}", ended.stderr);
    }
    assert_eq!(fixture.sandbox.call_log().calls().len(), 0);
}

#[test]
fn sandbox_and_shared_exclude_each_other() {
    let workdir = Workdir::new();
    let input = workdir.write_file("staff.csv", table_of_run(0, 5));
    let ended = run(dingmap().arg("resolve").arg(&input).args([
        "--sandbox",
        "--shared",
        "redis://127.0.0.1:1",
    ]));
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("--sandbox") && ended.stderr.contains("--shared"),
        "{}",
        ended.stderr
    );
    assert_eq!(workdir.file_names(), ["staff.csv"]);
}
