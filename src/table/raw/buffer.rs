//! Owns the buffer between a blocking reader and the framing of rows: the part of the input that was read and is not
//! used up. Knows nothing of what the bytes mean.

use std::io::{self, Read};

/// The most bytes that are asked of the reader at a time.
const READ_BYTES: usize = 256 << 10;

/// The part of an input that is known and not used up yet.
pub(crate) struct InputBuffer {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    complete: bool,
}

impl InputBuffer {
    /// An empty window at the beginning of `input`.
    #[must_use]
    pub(crate) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input, buffer: Vec::new(), start: 0, end: 0, offset: 0, complete: false }
    }

    /// What is known and not used up.
    #[must_use]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// How many bytes of the input stand before the window.
    #[must_use]
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the input has no bytes beyond the window.
    #[must_use]
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Uses up the first `bytes` bytes of the window.
    pub(crate) fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.end - self.start);
        self.start += bytes;
        self.offset += bytes as u64;
    }

    /// Reads once, and waits for it if it must; what is read is added at the window's end.
    ///
    /// # Errors
    /// What the reader fails with, other than an interruption.
    pub(crate) fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() < self.end + READ_BYTES {
            self.buffer.resize(self.end + READ_BYTES, 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
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

    /// Gives its pieces one by one, with an interruption before each.
    struct Pieces(Vec<&'static [u8]>, bool);

    impl Read for Pieces {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if self.0.is_empty() {
                return Ok(0);
            }
            self.0.remove(0).read(room)
        }
    }

    #[test]
    fn the_buffer_advances_over_the_input() {
        let mut window = InputBuffer::new(Box::new(Pieces(vec![b"ab", b"cde"], false)));
        window.fill().unwrap();
        window.consume(1);
        assert_eq!((window.bytes(), window.offset(), window.is_complete()), (&b"b"[..], 1, false));
        window.fill().unwrap();
        assert_eq!(
            (window.bytes(), window.offset(), window.is_complete()),
            (&b"bcde"[..], 1, false)
        );
        window.consume(3);
        window.fill().unwrap();
        assert_eq!((window.bytes(), window.offset(), window.is_complete()), (&b"e"[..], 4, true));
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
