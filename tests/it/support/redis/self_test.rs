//! Checks that the tests' own server and proxy work as documented: what they are to break must have
//! been whole.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::RedisServer;
use crate::support::network_servers::CertificateAuthority;
use crate::support::process::WAIT_TIMEOUT;
use crate::support::redis::fault_proxy::FaultProxy;
use crate::support::redis::resp_client::RespValue;

const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

/// How long to wait for a reply that must not come.
const SILENCE: Duration = Duration::from_millis(300);

fn has_reply_within(stream: &mut TcpStream, timeout: Duration) -> bool {
    stream.set_read_timeout(Some(timeout)).unwrap();
    let mut reply = [0; PONG.len()];
    stream.read_exact(&mut reply).is_ok_and(|()| reply == PONG)
}

fn replies_to_ping_within(address: SocketAddr, timeout: Duration) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(PING).unwrap();
    has_reply_within(&mut stream, timeout)
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_killed_server_restarts_empty() {
    let mut redis = RedisServer::start();
    assert!(replies_to_ping_within(redis.address(), WAIT_TIMEOUT));
    redis.call(&["SET", "a", "b", "PX", "60000"]);
    redis.call(&["HSET", "c", "d", "1"]);
    let mut entries = redis.entries();
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    let [text, hash] = &entries[..] else { panic!("{} entries", entries.len()) };
    assert!(text.key == b"a" && text.values == [b"b"] && (1..=60_000).contains(&text.ttl_ms));
    assert!(hash.key == b"c" && hash.values == [b"d", b"1"] && hash.ttl_ms == -1);
    redis.kill();
    assert!(TcpStream::connect(redis.address()).is_err());
    redis.restart_empty();
    assert!(replies_to_ping_within(redis.address(), WAIT_TIMEOUT));
    assert_eq!(redis.call(&["DBSIZE"]), RespValue::Integer(0));
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_server_can_be_paused_and_run_out_of_memory() {
    let redis = RedisServer::start();
    redis.pause();
    let mut stream = TcpStream::connect(redis.address()).unwrap();
    stream.write_all(PING).unwrap();
    assert!(!has_reply_within(&mut stream, SILENCE));
    redis.resume();
    assert!(has_reply_within(&mut stream, WAIT_TIMEOUT));
    redis.exhaust_memory();
    let mut wire =
        crate::support::redis::resp_client::RespClient::connect(&redis.socket(), None).unwrap();
    let refused = wire.call(&["SET", "a", "b"]).unwrap_err();
    assert!(refused.starts_with("OOM "), "{refused}");
    redis.free_memory();
    assert_eq!(wire.call(&["SET", "a", "b"]), Ok(RespValue::Text(b"OK".into())));
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn password_and_tls_servers_reject_plain_clients() {
    let locked = RedisServer::with_password("opensesame");
    assert!(!replies_to_ping_within(locked.address(), SILENCE));
    assert_eq!(locked.call(&["DBSIZE"]), RespValue::Integer(0));
    let encrypted = RedisServer::with_tls(&CertificateAuthority::new());
    assert!(!replies_to_ping_within(encrypted.address(), SILENCE));
    assert_eq!(encrypted.call(&["DBSIZE"]), RespValue::Integer(0));
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn the_proxy_can_partition_delay_and_break() {
    let mut redis = RedisServer::start();
    let proxy = FaultProxy::new(redis.address());
    let mut stream = TcpStream::connect(proxy.address).unwrap();
    stream.write_all(PING).unwrap();
    assert!(has_reply_within(&mut stream, WAIT_TIMEOUT));
    proxy.partition();
    stream.write_all(PING).unwrap();
    assert!(
        !has_reply_within(&mut stream, SILENCE) && !replies_to_ping_within(proxy.address, SILENCE)
    );
    proxy.heal();
    assert!(has_reply_within(&mut stream, WAIT_TIMEOUT), "what was in flight arrives");
    proxy.set_round_trip(Duration::from_millis(200));
    let start = Instant::now();
    stream.write_all(PING).unwrap();
    assert!(
        has_reply_within(&mut stream, WAIT_TIMEOUT)
            && start.elapsed() >= Duration::from_millis(200)
    );
    redis.kill();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}
