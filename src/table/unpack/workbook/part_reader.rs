//! Reads the XML of a part of a workbook event by event, with a bound on the size of an event.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};

use quick_xml::Reader;
use quick_xml::escape::{resolve_xml_entity, unescape};
use quick_xml::events::{BytesRef, BytesStart, Event};
use tr::tr;

use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::limits::MAX_TEXT_BYTES;
use crate::table::unpack::workbook::part_encoding::Utf8Part;

/// The events of a part. An empty element is a start and an end. Names are compared without their
/// prefixes, since some programs write all elements with one.
pub(crate) struct PartReader<R: Read> {
    xml: Reader<EventLimit<R>>,
    buffer: Vec<u8>,
}

impl<R: Read> PartReader<R> {
    pub(crate) fn new(part: R) -> Self {
        let inner = BufReader::new(Utf8Part::new(part));
        let limited = EventLimit { inner, left: MAX_TEXT_BYTES };
        let mut xml = Reader::from_reader(limited);
        let config = xml.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = false;
        Self { xml, buffer: Vec::new() }
    }

    /// # Errors
    /// [`WorkbookError`] for invalid XML, for an event that is too long, and at the end of the
    /// part: callers stop at the end of an element before it.
    pub(crate) fn next_event(&mut self) -> Result<Event<'_>, WorkbookError> {
        self.buffer.clear();
        self.xml.get_mut().left = MAX_TEXT_BYTES;
        match self.xml.read_event_into(&mut self.buffer) {
            Ok(Event::Eof) => Err(WorkbookError::Damaged(tr!("it ends too early"))),
            Ok(event) => Ok(event),
            Err(quick_xml::Error::Io(error)) if error.kind() == LIMIT_REACHED => {
                Err(WorkbookError::TextTooLong)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Appends the text up to the end of the element `name`.
    ///
    /// # Errors
    /// As [`PartReader::next_event`], and once `text` is longer than `most` bytes.
    pub(crate) fn read_text(
        &mut self,
        name: &str,
        text: &mut String,
        most: usize,
    ) -> Result<(), WorkbookError> {
        loop {
            if text.len() > most {
                return Err(WorkbookError::TextTooLong);
            }
            match self.next_event()? {
                Event::Text(piece) => text.push_str(&piece.xml10_content()),
                Event::CData(piece) => text.push_str(&piece.xml10_content()),
                Event::GeneralRef(reference) => push_reference(&reference, text)?,
                Event::End(end) if end.local_name().as_ref() == name => return Ok(()),
                _ => {}
            }
        }
    }

    /// Skips everything up to the end of the element `name`.
    pub(crate) fn skip(&mut self, name: &str) -> Result<(), WorkbookError> {
        loop {
            if let Event::End(end) = self.next_event()?
                && end.local_name().as_ref() == name
            {
                return Ok(());
            }
        }
    }

    /// Appends the text of a string up to the end of its element `name`: one text, or several in
    /// different fonts, without the reading aids of Japanese.
    ///
    /// # Errors
    /// As [`PartReader::read_text`].
    pub(crate) fn read_string(
        &mut self,
        name: &str,
        string: &mut String,
        most: usize,
    ) -> Result<(), WorkbookError> {
        let mut piece = String::new();
        loop {
            if string.len() > most {
                return Err(WorkbookError::TextTooLong);
            }
            let keeps_space = match self.next_event()? {
                Event::Start(start) if start.local_name().as_ref() == "rPh" => {
                    self.skip("rPh")?;
                    continue;
                }
                Event::Start(start) if start.local_name().as_ref() == "t" => {
                    attribute(&start, "space")?.is_some_and(|space| space == "preserve")
                }
                Event::End(end) if end.local_name().as_ref() == name => return Ok(()),
                _ => continue,
            };
            piece.clear();
            self.read_text("t", &mut piece, MAX_TEXT_BYTES)?;
            let text =
                if keeps_space { &*piece } else { piece.trim_matches([' ', '\t', '\r', '\n']) };
            string.push_str(&decode_escapes(text));
        }
    }
}

/// The value of an attribute, with entities resolved.
pub(crate) fn attribute(
    element: &BytesStart<'_>,
    name: &str,
) -> Result<Option<String>, WorkbookError> {
    for attribute in element.attributes().with_checks(false) {
        let attribute = attribute.map_err(|error| WorkbookError::Damaged(error.to_string()))?;
        if attribute.key.local_name().as_ref() == name {
            let value = unescape(&attribute.value)
                .map_err(|error| WorkbookError::Damaged(error.to_string()))?;
            return Ok(Some(value.into_owned()));
        }
    }
    Ok(None)
}

fn push_reference(reference: &BytesRef<'_>, text: &mut String) -> Result<(), WorkbookError> {
    if let Some(entity) = resolve_xml_entity(reference.as_ref()) {
        text.push_str(entity);
    } else if let Some(character) = reference.resolve_char_ref()? {
        text.push(character);
    } else {
        return Err(WorkbookError::Damaged(tr!("it has an unknown entity")));
    }
    Ok(())
}

/// The length of an escape such as `_x000D_`.
const ESCAPE_BYTES: usize = 7;
const ESCAPE_PREFIX: &str = "_x";

/// Replaces Excel's escapes of code units of UTF-16, such as `_x000D_`.
pub(crate) fn decode_escapes(text: &str) -> Cow<'_, str> {
    if !text.contains(ESCAPE_PREFIX) {
        return text.into();
    }
    let (mut decoded, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(ESCAPE_PREFIX) {
        let (plain, escapes) = rest.split_at(at);
        decoded.push_str(plain);
        // Several escapes in a row can be the units of one character.
        let (mut units, mut after) = (Vec::new(), escapes);
        while let Some((unit, next)) = split_escape(after) {
            units.push(unit);
            after = next;
        }
        if units.is_empty() {
            decoded.push_str(ESCAPE_PREFIX);
            after = escapes.split_at(ESCAPE_PREFIX.len()).1;
        }
        decoded.push_str(&String::from_utf16_lossy(&units));
        rest = after;
    }
    decoded.push_str(rest);
    decoded.into()
}

/// The code unit of the escape that `text` begins with, and the text after it.
fn split_escape(text: &str) -> Option<(u16, &str)> {
    let (escape, after) = text.split_at_checked(ESCAPE_BYTES)?;
    let digits = escape.strip_prefix(ESCAPE_PREFIX)?.strip_suffix('_')?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let unit = u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)?;
    Some((unit, after))
}

/// The kind of error of [`EventLimit`].
const LIMIT_REACHED: io::ErrorKind = io::ErrorKind::FileTooLarge;

/// Ends with an error once an event takes more than [`MAX_TEXT_BYTES`], all of which would be in
/// memory.
struct EventLimit<R> {
    inner: BufReader<Utf8Part<R>>,
    left: usize,
}

impl<R: Read> Read for EventLimit<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let size = self.fill_buf()?.read(room)?;
        self.consume(size);
        Ok(size)
    }
}

impl<R: Read> BufRead for EventLimit<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(LIMIT_REACHED.into());
        }
        let bytes = self.inner.fill_buf()?;
        Ok(bytes.get(..self.left).unwrap_or(bytes))
    }

    fn consume(&mut self, size: usize) {
        self.left -= size;
        self.inner.consume(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded() {
        for (text, expected) in [
            ("a_x000D_b", "a\rb"),
            ("_x005F_x000D_", "_x000D_"),
            ("_xD83D__xDCF7_!", "\u{1F4F7}!"),
            ("_xD83D_!", "\u{FFFD}!"),
            ("_x00_", "_x00_"),
            ("_x+00D_", "_x+00D_"),
            ("_x", "_x"),
            ("手_x手_机", "手_x手_机"),
            ("", ""),
        ] {
            assert_eq!(decode_escapes(text), expected, "{text}");
        }
    }

    #[test]
    fn strings_are_joined_and_references_resolved() {
        let read = |xml: &str| {
            let (part, mut string) = (format!("<si>{xml}"), String::new());
            let mut xml = PartReader::new(part.as_bytes());
            xml.next_event().unwrap();
            xml.read_string("si", &mut string, 9).map(|()| string)
        };
        assert_eq!(read("<t> a&amp;&#10;b </t></si>").unwrap(), "a&\nb");
        assert_eq!(read("<t xml:space=\"preserve\"> a </t></si>").unwrap(), " a ");
        assert_eq!(
            read("<x:r><x:t>1</x:t></x:r><r><t>2</t></r><rPh><t>x</t></rPh></x:si>").unwrap(),
            "12"
        );
        assert_eq!(read("<t><![CDATA[<a>]]></t></si>").unwrap(), "<a>");
        assert_eq!(read("</si>").unwrap(), "");
        assert!(matches!(read("<t>&unknown;</t></si>"), Err(WorkbookError::Damaged(_))));
        assert!(matches!(read("<t>a"), Err(WorkbookError::Damaged(_))));
    }

    #[test]
    fn an_endless_event_ends_at_the_limit() {
        let mut text = String::new();
        for beginning in ["<t>", "<t a=\""] {
            let endless = io::Cursor::new(beginning).chain(io::repeat(b'x'));
            let mut xml = PartReader::new(endless);
            let error = xml.read_text("t", &mut text, MAX_TEXT_BYTES).unwrap_err();
            assert!(matches!(error, WorkbookError::TextTooLong), "{error}");
        }
    }

    /// Returns the same bytes again and again.
    struct Repeated(&'static [u8], usize);

    impl Read for Repeated {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let size = (&self.0[self.1..]).read(room)?;
            self.1 = (self.1 + size) % self.0.len();
            Ok(size)
        }
    }

    #[test]
    fn an_endless_text_in_pieces_ends_at_the_limit() {
        for piece in [&b"ab<!---->"[..], b"&amp;ab", b"<![CDATA[ab]]>", b"<b>ab</b>"] {
            let mut text = String::new();
            let mut xml = PartReader::new(Repeated(piece, 0));
            let error = xml.read_text("t", &mut text, 1000).unwrap_err();
            assert!(matches!(error, WorkbookError::TextTooLong), "{error}");
            assert!(text.len() <= 1002, "{}", text.len());
        }
        for piece in [&b"<t>ab</t>"[..], b"<r><t> ab_x0031_</t></r>"] {
            let mut string = String::new();
            let mut xml = PartReader::new(Repeated(piece, 0));
            let error = xml.read_string("si", &mut string, 1000).unwrap_err();
            assert!(matches!(error, WorkbookError::TextTooLong), "{error}");
            assert!(string.len() <= 1003, "{}", string.len());
        }
    }
}
