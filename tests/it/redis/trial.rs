//! Whether the tests' own server and cable do what is said of them: what they are to break must have been whole.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Redis;
use super::cable::Cable;
use super::wire::Reply;
use crate::network::fronts::Authority;

const PING: &[u8] = b"PING\r\n";
const PONG: &[u8] = b"+PONG\r\n";

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stream
}

/// Whether an answer comes soon.
fn heard(stream: &mut TcpStream) -> bool {
    let mut reply = [0; PONG.len()];
    stream.read_exact(&mut reply).is_ok_and(|()| reply == PONG)
}

fn answers(address: SocketAddr) -> bool {
    let mut stream = connect(address);
    stream.write_all(PING).unwrap();
    heard(&mut stream)
}

#[test]
fn a_server_can_be_killed_and_comes_back_with_nothing() {
    let Some(mut redis) = Redis::start() else { return };
    assert!(answers(redis.address()));
    redis.call(&["SET", "a", "b", "PX", "60000"]);
    redis.call(&["HSET", "c", "d", "1"]);
    let mut entries = redis.entries();
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    let [text, hash] = &entries[..] else { panic!("{} entries", entries.len()) };
    assert!(text.key == b"a" && text.texts == [b"b"] && (1..=60_000).contains(&text.ends));
    assert!(hash.key == b"c" && hash.texts == [b"d", b"1"] && hash.ends == -1);
    redis.kill();
    assert!(TcpStream::connect(redis.address()).is_err());
    redis.start_anew();
    assert!(answers(redis.address()));
    assert_eq!(redis.call(&["DBSIZE"]), Reply::Number(0));
}

#[test]
fn a_server_can_be_paused_and_filled() {
    let Some(redis) = Redis::start() else { return };
    redis.pause();
    let mut stream = connect(redis.address());
    stream.write_all(PING).unwrap();
    assert!(!heard(&mut stream));
    redis.go_on();
    assert!(heard(&mut stream));
    redis.fill();
    let mut wire = super::wire::Wire::connect(&redis.socket(), None).unwrap();
    let refused = wire.call(&["SET", "a", "b"]).unwrap_err();
    assert!(refused.starts_with("OOM "), "{refused}");
    redis.empty();
    assert_eq!(wire.call(&["SET", "a", "b"]), Ok(Reply::Text(b"OK".into())));
}

#[test]
fn a_locked_server_lets_in_nobody_and_an_encrypted_one_speaks_to_nobody_in_clear() {
    let Some(locked) = Redis::locked("opensesame") else { return };
    assert!(!answers(locked.address()));
    assert_eq!(locked.call(&["DBSIZE"]), Reply::Number(0));
    let Some(encrypted) = Redis::encrypted(&Authority::new()) else { return };
    assert!(!answers(encrypted.address()));
    assert_eq!(encrypted.call(&["DBSIZE"]), Reply::Number(0));
}

#[test]
fn a_cable_can_be_cut_and_long_and_breaks_with_the_server() {
    let Some(mut redis) = Redis::start() else { return };
    let cable = Cable::new(redis.address());
    let mut stream = connect(cable.address);
    stream.write_all(PING).unwrap();
    assert!(heard(&mut stream));
    cable.cut();
    stream.write_all(PING).unwrap();
    assert!(!heard(&mut stream) && !answers(cable.address));
    cable.mend();
    assert!(heard(&mut stream), "what was under way arrives");
    cable.lengthen(Duration::from_millis(200));
    let start = Instant::now();
    stream.write_all(PING).unwrap();
    assert!(heard(&mut stream) && start.elapsed() >= Duration::from_millis(200));
    redis.kill();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}
