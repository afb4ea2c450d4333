//! The strings of a workbook: cells refer to them by number.

use std::io::Read;

use quick_xml::events::Event;

use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::limits::{MAX_STRING_BYTES, MAX_STRINGS, MAX_TEXT_BYTES};
use crate::table::unpack::workbook::part_reader::PartReader;

/// The strings, one after the other in one buffer: a string of its own would take 24 bytes and an
/// allocation more.
#[derive(Default)]
pub(crate) struct SharedStrings {
    text: String,
    /// Where each string ends in `text`. [`MAX_STRING_BYTES`] fits.
    ends: Vec<u32>,
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
        let mut strings = Self::default();
        loop {
            match xml.next_event()? {
                Event::Start(start) if start.local_name().as_ref() == "si" => {}
                Event::End(end) if end.local_name().as_ref() == "sst" => return Ok(strings),
                _ => continue,
            }
            // One text must not fill the memory before the sum of all is compared.
            let most = max_bytes.min(strings.text.len() + MAX_TEXT_BYTES);
            match xml.read_string("si", &mut strings.text, most) {
                Err(WorkbookError::TextTooLong) if strings.text.len() > max_bytes => {
                    return Err(WorkbookError::TooManyStrings);
                }
                result => result?,
            }
            let end =
                u32::try_from(strings.text.len()).map_err(|_| WorkbookError::TooManyStrings)?;
            strings.ends.push(end);
            if strings.ends.len() > max_strings {
                return Err(WorkbookError::TooManyStrings);
            }
        }
    }

    /// The string with this number, counted from 0.
    pub(crate) fn get(&self, index: usize) -> Option<&str> {
        let end = *self.ends.get(index)? as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.text.get(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_numbered_and_bounded() {
        let xml = "<sst uniqueCount=\"9999999999\"><si><t>a</t></si><si/><si><t>bc</t></si></sst>";
        let strings = SharedStrings::read(xml.as_bytes()).unwrap();
        assert_eq!([0, 1, 2, 3].map(|n| strings.get(n)), [Some("a"), Some(""), Some("bc"), None]);
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
