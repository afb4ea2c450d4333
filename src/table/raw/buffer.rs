//! The buffer between a blocking reader and the decoder: bytes that were read and not yet consumed.

use std::io::{self, Read};

/// The number of bytes that one read asks for.
const READ_BYTES: usize = 256 << 10;

/// The bytes of an input that were read and not yet consumed.
pub(crate) struct InputBuffer {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    complete: bool,
}

impl InputBuffer {
    #[must_use]
    pub(crate) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input, buffer: Vec::new(), start: 0, end: 0, offset: 0, complete: false }
    }

    /// The bytes that were read and not yet consumed.
    #[must_use]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The number of bytes consumed so far.
    #[must_use]
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the input has ended.
    #[must_use]
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Consumes the first `bytes` bytes.
    pub(crate) fn consume(&mut self, bytes: usize) {
        assert!(bytes <= self.end - self.start, "bytes that were not read cannot be consumed");
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Reads once, blocking, and appends what was read. Retries a read that a signal interrupted.
    pub(crate) fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() < self.end + READ_BYTES {
            self.buffer.resize(self.end + READ_BYTES, 0);
        }
        let room = &mut self.buffer[self.end..];
        let read = loop {
            match self.input.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.end += read;
        self.complete = read == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns its chunks one by one, with an interruption before each.
    struct Chunks(Vec<&'static [u8]>, bool);

    impl Read for Chunks {
        fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if self.0.is_empty() {
                return Ok(0);
            }
            self.0.remove(0).read(target)
        }
    }

    #[test]
    fn the_buffer_advances_over_the_input() {
        let mut buffer = InputBuffer::new(Box::new(Chunks(vec![b"ab", b"cde"], false)));
        buffer.fill().unwrap();
        buffer.consume(1);
        assert_eq!((buffer.bytes(), buffer.offset(), buffer.is_complete()), (&b"b"[..], 1, false));
        buffer.fill().unwrap();
        assert_eq!(
            (buffer.bytes(), buffer.offset(), buffer.is_complete()),
            (&b"bcde"[..], 1, false)
        );
        buffer.consume(3);
        buffer.fill().unwrap();
        assert_eq!((buffer.bytes(), buffer.offset(), buffer.is_complete()), (&b"e"[..], 4, true));
    }

    #[test]
    fn a_failing_reader_is_an_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::TimedOut.into())
            }
        }
        assert_eq!(
            InputBuffer::new(Box::new(Broken)).fill().unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
    }
}
