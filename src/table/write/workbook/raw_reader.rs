//! Reads XML event by event, each with the bytes that it takes in the part.

use std::io::{self, BufRead, BufReader, Read};

use quick_xml::Reader;
use quick_xml::events::Event;
use tr::tr;

use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::limits::MAX_TEXT_BYTES;
use crate::table::unpack::workbook::part_encoding::{PartEncoding, Utf8Part};

/// The events of a part with their bytes, in UTF-8 whatever the encoding of the part.
pub(crate) struct RawReader<R: Read> {
    xml: Reader<Recorder<R>>,
    buffer: Vec<u8>,
}

impl<R: Read> RawReader<R> {
    #[must_use]
    pub(crate) fn new(part: R) -> Self {
        let inner = BufReader::with_capacity(64 << 10, Utf8Part::new(part));
        let mut xml = Reader::from_reader(Recorder { inner, recorded: Vec::new() });
        xml.config_mut().check_end_names = false;
        Self { xml, buffer: Vec::new() }
    }

    /// The encoding of the part, and its byte order mark.
    pub(crate) fn encoding(&mut self) -> io::Result<(PartEncoding, &[u8])> {
        self.xml.get_mut().inner.get_mut().encoding()
    }

    /// The next event and its bytes; `None` at the end of the part.
    ///
    /// # Errors
    /// [`WorkbookError`] for invalid XML, and for an event that is too long.
    pub(crate) fn next_event(&mut self) -> Result<Option<(Event<'_>, &[u8])>, WorkbookError> {
        self.buffer.clear();
        self.xml.get_mut().recorded.clear();
        match self.xml.read_event_into(&mut self.buffer) {
            Ok(Event::Eof) => Ok(None),
            Ok(event) => Ok(Some((event, &self.xml.get_ref().recorded))),
            Err(quick_xml::Error::Io(error)) if error.kind() == io::ErrorKind::FileTooLarge => {
                Err(WorkbookError::TextTooLong)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The same where the part must not end.
    pub(crate) fn require_event(&mut self) -> Result<(Event<'_>, &[u8]), WorkbookError> {
        self.next_event()?.ok_or_else(|| WorkbookError::Damaged(tr!("it ends too early")))
    }
}

/// Keeps the bytes that were consumed since it was cleared. Ends with an error once they take more
/// than [`MAX_TEXT_BYTES`].
struct Recorder<R: Read> {
    inner: BufReader<Utf8Part<R>>,
    recorded: Vec<u8>,
}

impl<R: Read> Read for Recorder<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let size = self.fill_buf()?.read(room)?;
        self.consume(size);
        Ok(size)
    }
}

impl<R: Read> BufRead for Recorder<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.recorded.len() > MAX_TEXT_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, size: usize) {
        self.recorded.extend_from_slice(&self.inner.buffer()[..size]);
        self.inner.consume(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_all_events_are_the_part() {
        let text = "<?xml version=\"1.0\"?>\r\n<!DOCTYPE  a >\n<!-- a --><x:a b='>' ><c/>x&amp;y \
                    <![CDATA[<]]>&#10;<?p i?></x:a >\n\n";
        for bom in ["", "\u{feff}"] {
            let part = format!("{bom}{text}");
            let mut reader = RawReader::new(part.as_bytes());
            assert_eq!(reader.encoding().unwrap(), (PartEncoding::Utf8, bom.as_bytes()));
            let mut copied = Vec::new();
            while let Some((_, raw)) = reader.next_event().unwrap() {
                copied.extend_from_slice(raw);
            }
            assert_eq!(String::from_utf8(copied).unwrap(), text);
        }
    }

    #[test]
    fn an_endless_event_ends_at_the_limit() {
        let endless = io::Cursor::new("<a b=\"").chain(io::repeat(b'x'));
        let error = RawReader::new(endless).next_event().unwrap_err();
        assert!(matches!(error, WorkbookError::TextTooLong), "{error}");
    }
}
