//! What the tests themselves say to a Redis server, by its socket: commands and replies in the
//! protocol's second version, and everything that is kept there. It shares no line with the
//! program's own client.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A connection.
pub(crate) struct RespClient(BufReader<UnixStream>);

/// What a server says to a command.
#[derive(Debug, PartialEq)]
pub(crate) enum RespValue {
    Text(Vec<u8>),
    Integer(i64),
    Array(Vec<RespValue>),
    Nil,
}

/// A key, and every text of its value.
pub(crate) struct Entry {
    pub(crate) key: Vec<u8>,
    pub(crate) values: Vec<Vec<u8>>,
    /// Milliseconds until it expires; -1 where it does not.
    pub(crate) ttl_ms: i64,
}

impl RespClient {
    /// None where nobody listens, or the password is not taken.
    pub(crate) fn connect(socket: &Path, password: Option<&str>) -> Option<Self> {
        let mut wire = Self(BufReader::new(UnixStream::connect(socket).ok()?));
        if let Some(password) = password {
            wire.call(&["AUTH", password]).ok()?;
        }
        Some(wire)
    }

    /// A command and its reply, or the error that it gave.
    pub(crate) fn call(&mut self, words: &[impl AsRef<[u8]>]) -> Result<RespValue, String> {
        let mut command = format!("*{}\r\n", words.len()).into_bytes();
        for word in words.iter().map(AsRef::as_ref) {
            command.extend(format!("${}\r\n", word.len()).bytes());
            command.extend(word.iter().chain(b"\r\n"));
        }
        self.0.get_mut().write_all(&command).map_err(|error| error.to_string())?;
        self.read_reply()
    }

    fn read_reply(&mut self) -> Result<RespValue, String> {
        let mut line = String::new();
        self.0.read_line(&mut line).map_err(|error| error.to_string())?;
        let (kind, rest) = line.trim_end().split_at_checked(1).ok_or("the server has gone")?;
        let number = || rest.parse::<i64>().map_err(|_| format!("no number: {line:?}"));
        match kind {
            "+" => Ok(RespValue::Text(rest.into())),
            "-" => Err(rest.to_owned()),
            ":" => number().map(RespValue::Integer),
            "$" => match usize::try_from(number()?) {
                Err(_) => Ok(RespValue::Nil),
                Ok(length) => {
                    let mut text = vec![0; length + 2];
                    self.0.read_exact(&mut text).map_err(|error| error.to_string())?;
                    text.truncate(length);
                    Ok(RespValue::Text(text))
                }
            },
            "*" => match usize::try_from(number()?) {
                Err(_) => Ok(RespValue::Nil),
                Ok(length) => (0..length)
                    .map(|_| self.read_reply())
                    .collect::<Result<_, _>>()
                    .map(RespValue::Array),
            },
            _ => Err(format!("no reply: {line:?}")),
        }
    }

    /// Everything that is kept, but what expires meanwhile.
    pub(crate) fn entries(&mut self) -> Vec<Entry> {
        let mut keys = Vec::new();
        self.call(&["KEYS", "*"]).unwrap().collect_texts(&mut keys);
        keys.into_iter().filter_map(|key| self.entry(key)).collect()
    }

    fn entry(&mut self, key: Vec<u8>) -> Option<Entry> {
        let RespValue::Integer(ends) = self.call(&[b"PTTL", &key[..]]).unwrap() else {
            panic!("no time")
        };
        let RespValue::Text(kind) = self.call(&[b"TYPE", &key[..]]).unwrap() else {
            panic!("no type")
        };
        let words: &[&[u8]] = match &kind[..] {
            b"none" => return None,
            b"string" => &[b"GET", &key],
            b"hash" => &[b"HGETALL", &key],
            b"list" => &[b"LRANGE", &key, b"0", b"-1"],
            b"set" => &[b"SMEMBERS", &key],
            b"zset" => &[b"ZRANGE", &key, b"0", b"-1", b"WITHSCORES"],
            b"stream" => &[b"XRANGE", &key, b"-", b"+"],
            _ => panic!("a type that is unknown here: {}", kind.escape_ascii()),
        };
        let mut texts = Vec::new();
        self.call(words).unwrap().collect_texts(&mut texts);
        Some(Entry { key, values: texts, ttl_ms: ends })
    }
}

impl RespValue {
    fn collect_texts(self, to: &mut Vec<Vec<u8>>) {
        match self {
            Self::Text(text) => to.push(text),
            Self::Integer(number) => to.push(number.to_string().into_bytes()),
            Self::Array(replies) => replies.into_iter().for_each(|reply| reply.collect_texts(to)),
            Self::Nil => {}
        }
    }
}
