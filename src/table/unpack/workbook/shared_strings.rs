//! The strings of a workbook: cells refer to them by number.

use std::borrow::Cow;
use std::io::Read;

use quick_xml::events::Event;

use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::limits::{MAX_STRING_BYTES, MAX_STRINGS, MAX_TEXT_BYTES};
use crate::table::unpack::workbook::part_reader::PartReader;
use crate::table::unpack::workbook::spilled_bytes::SpilledBytes;

/// How many bytes of the strings, and of the places where they end, are kept in memory.
const MEMORY_BYTES: usize = 8 << 20;
/// The size of such a place in bytes. [`MAX_STRING_BYTES`] fits.
const PLACE_BYTES: usize = size_of::<u32>();

/// The strings, one after the other: a string of its own would take 24 bytes and an allocation
/// more. What does not fit in a little memory is in temporary files, because a workbook may have
/// millions of strings.
pub(crate) struct SharedStrings {
    text: SpilledBytes,
    /// Where each string ends in `text`.
    ends: SpilledBytes,
}

impl Default for SharedStrings {
    fn default() -> Self {
        Self { text: SpilledBytes::new(MEMORY_BYTES), ends: SpilledBytes::new(MEMORY_BYTES) }
    }
}

impl SharedStrings {
    /// Reads a part of strings.
    pub(crate) fn read(part: impl Read) -> Result<Self, WorkbookError> {
        Self::read_up_to(part, MAX_STRINGS, MAX_STRING_BYTES)
    }

    fn read_up_to(
        part: impl Read,
        max_strings: usize,
        max_bytes: usize,
    ) -> Result<Self, WorkbookError> {
        let mut xml = PartReader::new(part);
        let (mut strings, mut string) = (Self::default(), String::new());
        loop {
            match xml.next_event()? {
                Event::Start(start) if start.local_name().as_ref() == "si" => {}
                Event::End(end) if end.local_name().as_ref() == "sst" => return Ok(strings),
                _ => continue,
            }
            string.clear();
            // One text must not fill the memory before the sum of all is compared.
            let left = max_bytes - strings.text.len();
            match xml.read_string("si", &mut string, left.min(MAX_TEXT_BYTES)) {
                Err(WorkbookError::TextTooLong) if string.len() > left => {
                    return Err(WorkbookError::TooManyStrings);
                }
                result => result?,
            }
            if string.len() > left {
                return Err(WorkbookError::TooManyStrings);
            }
            strings.text.append(string.as_bytes());
            let end =
                u32::try_from(strings.text.len()).map_err(|_| WorkbookError::TooManyStrings)?;
            strings.ends.append(&end.to_le_bytes());
            if strings.ends.len() > max_strings * PLACE_BYTES {
                return Err(WorkbookError::TooManyStrings);
            }
        }
    }

    /// Whether the string with this number, counted from 0, is empty.
    pub(crate) fn is_empty_at(&self, index: usize) -> bool {
        self.get(index).is_some_and(|string| string.is_empty())
    }

    /// The string with this number, counted from 0.
    pub(crate) fn get(&self, index: usize) -> Option<Cow<'_, str>> {
        let start = index.checked_sub(1).map_or(Some(0), |before| self.end(before))?;
        match self.text.get(start, self.end(index)?)? {
            Cow::Borrowed(text) => std::str::from_utf8(text).ok().map(Cow::Borrowed),
            Cow::Owned(text) => String::from_utf8(text).ok().map(Cow::Owned),
        }
    }

    /// Where the string with this number ends.
    fn end(&self, index: usize) -> Option<usize> {
        let place = index.checked_mul(PLACE_BYTES)?;
        let bytes = self.ends.get(place, place.checked_add(PLACE_BYTES)?)?;
        let end = u32::from_le_bytes(<[u8; PLACE_BYTES]>::try_from(&*bytes).ok()?);
        usize::try_from(end).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_numbered_and_bounded() {
        let xml = "<sst uniqueCount=\"9999999999\"><si><t>a</t></si><si/><si><t>bc</t></si></sst>";
        let strings = SharedStrings::read(xml.as_bytes()).unwrap();
        let found = [0, 1, 2, 3].map(|n| strings.get(n).map(Cow::into_owned));
        assert_eq!(found.each_ref().map(Option::as_deref), [Some("a"), Some(""), Some("bc"), None]);
        for (max_strings, max_bytes) in [(2, 3), (3, 2)] {
            let error = SharedStrings::read_up_to(xml.as_bytes(), max_strings, max_bytes).err();
            assert!(matches!(error, Some(WorkbookError::TooManyStrings)));
        }
        assert!(SharedStrings::read_up_to(xml.as_bytes(), 3, 3).is_ok());
        let endless = format!("<sst><si>{}", "<t>abc</t>".repeat(10));
        let error = SharedStrings::read_up_to(endless.as_bytes(), 1, 5).err();
        assert!(matches!(error, Some(WorkbookError::TooManyStrings)), "not at the end of the text");
        assert!(u32::try_from(MAX_STRING_BYTES + MAX_STRINGS).is_ok());
    }
}
