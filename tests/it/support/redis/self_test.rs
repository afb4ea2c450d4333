//! Whether the tests' own server and proxy do what is said of them: what they are to break must
//! have been whole.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::RedisServer;
use crate::support::network_servers::CertificateAuthority;
use crate::support::redis::fault_proxy::FaultProxy;
use crate::support::redis::resp_client::RespValue;

const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stream
}

/// Whether an answer comes soon.
fn has_reply(stream: &mut TcpStream) -> bool {
    let mut reply = [0; PONG.len()];
    stream.read_exact(&mut reply).is_ok_and(|()| reply == PONG)
}

fn replies_to_ping(address: SocketAddr) -> bool {
    let mut stream = connect(address);
    stream.write_all(PING).unwrap();
    has_reply(&mut stream)
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_killed_server_restarts_empty() {
    let mut redis = RedisServer::start();
    assert!(replies_to_ping(redis.address()));
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
    assert!(replies_to_ping(redis.address()));
    assert_eq!(redis.call(&["DBSIZE"]), RespValue::Integer(0));
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn a_server_can_be_paused_and_run_out_of_memory() {
    let redis = RedisServer::start();
    redis.pause();
    let mut stream = connect(redis.address());
    stream.write_all(PING).unwrap();
    assert!(!has_reply(&mut stream));
    redis.resume();
    assert!(has_reply(&mut stream));
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
    assert!(!replies_to_ping(locked.address()));
    assert_eq!(locked.call(&["DBSIZE"]), RespValue::Integer(0));
    let encrypted = RedisServer::with_tls(&CertificateAuthority::new());
    assert!(!replies_to_ping(encrypted.address()));
    assert_eq!(encrypted.call(&["DBSIZE"]), RespValue::Integer(0));
}

#[test]
#[ignore = "needs redis-server: cargo test -- --include-ignored"]
fn the_proxy_can_partition_delay_and_break() {
    let mut redis = RedisServer::start();
    let proxy = FaultProxy::new(redis.address());
    let mut stream = connect(proxy.address);
    stream.write_all(PING).unwrap();
    assert!(has_reply(&mut stream));
    proxy.partition();
    stream.write_all(PING).unwrap();
    assert!(!has_reply(&mut stream) && !replies_to_ping(proxy.address));
    proxy.heal();
    assert!(has_reply(&mut stream), "what was in flight arrives");
    proxy.set_round_trip(Duration::from_millis(200));
    let start = Instant::now();
    stream.write_all(PING).unwrap();
    assert!(has_reply(&mut stream) && start.elapsed() >= Duration::from_millis(200));
    redis.kill();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}
