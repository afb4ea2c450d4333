//! Changes places in the XML of a small part. Everything between them keeps its bytes.

use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::table::unpack::workbook::error::WorkbookError;

/// The events of an XML text, each with its place in the text.
pub(crate) struct PlacedEvents<'a> {
    xml: Reader<&'a [u8]>,
}

impl<'a> PlacedEvents<'a> {
    #[must_use]
    pub(crate) fn new(text: &'a str) -> Self {
        let mut xml = Reader::from_str(text);
        xml.config_mut().check_end_names = false;
        Self { xml }
    }

    /// The next event; `None` at the end of the text.
    pub(crate) fn next_event(
        &mut self,
    ) -> Result<Option<(Event<'a>, Range<usize>)>, WorkbookError> {
        let start = self.position()?;
        match self.xml.read_event()? {
            Event::Eof => Ok(None),
            event => Ok(Some((event, start..self.position()?))),
        }
    }

    fn position(&self) -> Result<usize, WorkbookError> {
        usize::try_from(self.xml.buffer_position()).map_err(|_| WorkbookError::UnpackedTooLarge)
    }
}

/// Replacements in a text, in the order of their places.
#[derive(Default)]
pub(crate) struct PartEdits {
    edits: Vec<(Range<usize>, String)>,
}

impl PartEdits {
    pub(crate) fn replace(&mut self, place: Range<usize>, text: String) {
        self.edits.push((place, text));
    }

    pub(crate) fn insert(&mut self, at: usize, text: String) {
        self.replace(at..at, text);
    }

    /// The text with all replacements; `None` if there is none.
    #[must_use]
    pub(crate) fn apply(mut self, text: &str) -> Option<String> {
        if self.edits.is_empty() {
            return None;
        }
        self.edits.sort_by_key(|(place, _)| place.start);
        let mut edited = text.to_owned();
        // From the last to the first, so that the places of those to come stay valid.
        for (place, replacement) in self.edits.into_iter().rev() {
            edited.replace_range(place, &replacement);
        }
        Some(edited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_cover_the_text_without_gaps() {
        let text =
            "<?xml version=\"1.0\"?>\r\n<!-- a --><a b='>'>x&amp;y &#10; <![CDATA[<]]><c/></a>\n";
        let mut events = PlacedEvents::new(text);
        let mut end = 0;
        while let Some((_, place)) = events.next_event().unwrap() {
            assert_eq!(place.start, end);
            end = place.end;
        }
        assert_eq!(end, text.len());
    }

    #[test]
    fn edits_apply_in_the_order_of_their_places() {
        let mut edits = PartEdits::default();
        edits.insert(3, "X".to_owned());
        edits.replace(0..1, "Y".to_owned());
        assert_eq!(edits.apply("abcdef").unwrap(), "YbcXdef");
        assert_eq!(PartEdits::default().apply("abc"), None);
    }
}
