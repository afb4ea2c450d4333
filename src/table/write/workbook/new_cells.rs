//! The XML of new cells: inline strings, or empty cells with a format.

use std::borrow::Cow;
use std::fmt::Write as _;

use quick_xml::escape::partial_escape;

use crate::table::raw::cell_name::cell_name;

/// The most UTF-16 code units in the text of a cell, by which Excel counts.
pub(crate) const MAX_CELL_UNITS: usize = 32_767;

/// A cell that is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewCell<'a> {
    /// Its position, from 0.
    pub row: u32,
    pub column: u32,
    /// The number of its format.
    pub style: Option<u32>,
    pub text: &'a str,
}

impl NewCell<'_> {
    /// Appends the cell. `prefix` is that of the elements of the sheet.
    pub(crate) fn write(&self, prefix: &str, to: &mut Vec<u8>) {
        let mut xml = format!("<{prefix}c r=\"{}\"", cell_name(self.row, self.column));
        // Writing to a string does not fail.
        if let Some(style) = self.style {
            let _ = write!(xml, " s=\"{style}\"");
        }
        if self.text.is_empty() {
            xml.push_str("/>");
        } else {
            let (text, _) = truncate_units(self.text);
            let space = if needs_preserved_space(text) { " xml:space=\"preserve\"" } else { "" };
            let text = escape_text(text);
            let _ = write!(
                xml,
                " t=\"inlineStr\"><{prefix}is><{prefix}t{space}>{text}</{prefix}t></{prefix}is>\
                 </{prefix}c>"
            );
        }
        to.extend_from_slice(xml.as_bytes());
    }
}

/// The beginning of a text that fits a cell, and whether that is not all of it.
#[must_use]
pub(crate) fn truncate_units(text: &str) -> (&str, bool) {
    // A character has as many bytes as code units, or more.
    if text.len() <= MAX_CELL_UNITS {
        return (text, false);
    }
    let mut units = 0;
    for (at, character) in text.char_indices() {
        units += character.len_utf16();
        if units > MAX_CELL_UNITS {
            return (&text[..at], true);
        }
    }
    (text, false)
}

fn needs_preserved_space(text: &str) -> bool {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    text.starts_with(is_space) || text.ends_with(is_space) || text.contains(['\t', '\n'])
}

/// The text as XML. Characters that XML lacks, and texts that would be read as such, are written as
/// `_xHHHH_`, by which Excel reads them.
fn escape_text(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'.' | b'-')) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        let is_missing_in_xml =
            matches!(character, '\0'..='\u{8}' | '\u{B}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}');
        // A carriage return is read as a line feed by XML.
        if is_missing_in_xml || (character == '_' && is_escape(&text[at..])) {
            let _ = write!(escaped, "_x{:04X}_", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    partial_escape(escaped).into_owned().into()
}

/// Whether a text starts like `_x000D_`.
fn is_escape(text: &str) -> bool {
    let digits = text.strip_prefix("_x").and_then(|rest| rest.get(..4));
    digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        && text[6..].starts_with('_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::unpack::workbook::part_reader::PartReader;

    fn written(text: &str) -> String {
        let mut xml = Vec::new();
        NewCell { row: 1, column: 6, style: Some(3), text }.write("", &mut xml);
        String::from_utf8(xml).unwrap()
    }

    #[test]
    fn cells_are_inline_strings_or_empty_with_a_format() {
        assert_eq!(
            written("a<&>b"),
            "<c r=\"G2\" s=\"3\" t=\"inlineStr\"><is><t>a&lt;&amp;&gt;b</t></is></c>"
        );
        assert_eq!(written(""), "<c r=\"G2\" s=\"3\"/>");
        let mut xml = Vec::new();
        NewCell { row: 0, column: 0, style: None, text: " x" }.write("x:", &mut xml);
        assert_eq!(
            String::from_utf8(xml).unwrap(),
            "<x:c r=\"A1\" t=\"inlineStr\"><x:is><x:t xml:space=\"preserve\"> x</x:t></x:is></x:c>"
        );
    }

    #[test]
    fn every_text_is_read_back_as_it_was() {
        for text in [
            "1234567890123456789",
            "00001",
            " a ",
            "a\nb",
            "a\r\nb\r",
            "\ta\t",
            "_x000D_",
            "_x000d__x_x12_xZZZZ_",
            "_x005F_x000D_",
            "\0\u{1}\u{8}\u{B}\u{C}\u{1F}\u{7F}\u{FFFE}\u{FFFF}",
            "]]>&amp;<手机\u{1F4F7}\"'",
            "_",
            "_x",
            "_x手_",
        ] {
            let xml = written(text);
            let mut reader = PartReader::new(xml.as_bytes());
            let mut read = String::new();
            reader.next_event().unwrap();
            reader.next_event().unwrap();
            reader.read_string("is", &mut read, 1 << 20).unwrap();
            assert_eq!(read, text, "{xml}");
        }
    }

    #[test]
    fn a_text_longer_than_a_cell_is_cut_between_characters() {
        let limit = "x".repeat(MAX_CELL_UNITS);
        assert_eq!(truncate_units(&limit), (&*limit, false));
        assert_eq!(truncate_units(&format!("{limit}y")), (&*limit, true));
        let odd = format!("{}\u{1F4F7}", &limit[1..]);
        assert_eq!(truncate_units(&odd), (&limit[1..], true));
        let wide = "手".repeat(MAX_CELL_UNITS);
        assert_eq!(truncate_units(&wide), (&*wide, false));
    }
}
