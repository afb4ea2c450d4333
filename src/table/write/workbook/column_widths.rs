//! The `cols` of a sheet: gives new columns a width, and takes them out of ranges that may be
//! hidden.

use std::ops::RangeInclusive;

use crate::table::write::workbook::tag::{prefix, raw_attribute, set_attribute};

/// The width of a new column whose name says nothing, in characters.
const DEFAULT_WIDTH: u32 = 16;
/// The widths of new columns, in characters: user ids have up to 19 digits, messages are sentences.
const WIDTHS: [(&str, u32); 5] =
    [("exclusive_userids", 24), ("userid", 24), ("status", 12), ("errcode", 12), ("errmsg", 40)];

/// The width of the new column with this name.
#[must_use]
pub(crate) fn column_width(name: &str) -> u32 {
    let known = WIDTHS.iter().find(|(ending, _)| name.ends_with(ending));
    known.map_or(DEFAULT_WIDTH, |(_, width)| *width)
}

/// The columns of `col` elements while they are read one after the other.
pub(crate) struct ColumnEdits {
    /// The width of each new column that was not written yet, with its number from 1.
    new: Vec<(u32, u32)>,
    /// The numbers of all new columns, from 1.
    range: RangeInclusive<u32>,
}

impl ColumnEdits {
    /// `first` is the first new column, from 0.
    #[must_use]
    pub(crate) fn new(first: u32, widths: &[u32]) -> Self {
        let new: Vec<_> = (first + 1..).zip(widths.iter().copied()).collect();
        let last = new.last().map_or(first, |(number, _)| *number);
        Self { new, range: first + 1..=last }
    }

    /// Appends `tag`, an empty `col` element, without the new columns, and the new columns that
    /// belong before or into it.
    pub(crate) fn push(&mut self, tag: &str, to: &mut Vec<u8>) {
        let number = |name| raw_attribute(tag, name)?.trim().parse::<u32>().ok();
        let (Some(first), Some(last)) = (number("min"), number("max")) else {
            to.extend_from_slice(tag.as_bytes());
            return;
        };
        self.write_before(first, prefix(tag), to);
        let (start, end) = (*self.range.start(), *self.range.end());
        if last < start || first > end {
            to.extend_from_slice(tag.as_bytes());
            return;
        }
        let part = |from: u32, until: u32| {
            set_attribute(&set_attribute(tag, "min", &from.to_string()), "max", &until.to_string())
        };
        if first < start {
            to.extend_from_slice(part(first, start - 1).as_bytes());
        }
        while let Some(&(number, width)) = self.new.first().filter(|(number, _)| *number <= last) {
            write_column(number, width, prefix(tag), raw_attribute(tag, "style"), to);
            self.new.remove(0);
        }
        if last > end {
            to.extend_from_slice(part(end + 1, last).as_bytes());
        }
    }

    /// Appends the new columns that no element covers.
    pub(crate) fn finish(&mut self, prefix: &str, to: &mut Vec<u8>) {
        self.write_before(u32::MAX, prefix, to);
    }

    fn write_before(&mut self, end: u32, prefix: &str, to: &mut Vec<u8>) {
        while let Some(&(number, width)) = self.new.first().filter(|(number, _)| *number < end) {
            write_column(number, width, prefix, None, to);
            self.new.remove(0);
        }
    }
}

fn write_column(number: u32, width: u32, prefix: &str, style: Option<&str>, to: &mut Vec<u8>) {
    let style = style.map(|style| [" style=\"", style, "\""].concat()).unwrap_or_default();
    let xml = format!(
        "<{prefix}col min=\"{number}\" max=\"{number}\" width=\"{width}\"{style} \
         customWidth=\"1\"/>"
    );
    to.extend_from_slice(xml.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(tags: &[&str]) -> String {
        let (mut edits, mut xml) = (ColumnEdits::new(6, &[24, 12]), Vec::new());
        for tag in tags {
            edits.push(tag, &mut xml);
        }
        edits.finish("", &mut xml);
        String::from_utf8(xml).unwrap()
    }

    #[test]
    fn new_columns_get_a_width_and_are_never_hidden() {
        let new = "<col min=\"7\" max=\"7\" width=\"24\" customWidth=\"1\"/>\
                   <col min=\"8\" max=\"8\" width=\"12\" customWidth=\"1\"/>";
        let styled = new.replace(" customWidth", " style=\"5\" customWidth");
        for (tags, expected) in [
            (&[][..], new.to_owned()),
            (&["<col min='1' max='6'/>"], format!("<col min='1' max='6'/>{new}")),
            (&["<col min='9' max='9'/>"], format!("{new}<col min='9' max='9'/>")),
            (&["<col min=\"7\" max=\"8\" hidden=\"1\"/>"], new.to_owned()),
            (
                &["<col min=\"5\" max=\"16384\" style=\"5\" hidden=\"1\"/>"],
                format!(
                    "<col min=\"5\" max=\"6\" style=\"5\" hidden=\"1\"/>{styled}\
                     <col min=\"9\" max=\"16384\" style=\"5\" hidden=\"1\"/>"
                ),
            ),
            (
                &["<col min=\"8\" max=\"9\" outlineLevel=\"1\"/>"],
                format!("{new}<col min=\"9\" max=\"9\" outlineLevel=\"1\"/>"),
            ),
            (&["<col max=\"9\"/>"], format!("<col max=\"9\"/>{new}")),
        ] {
            assert_eq!(edited(tags), expected);
        }
    }

    #[test]
    fn widths_fit_the_content_of_answers() {
        let widths = ["userid", "dingtalk_status", "exclusive_userids", "mobile_sent"];
        assert_eq!(widths.map(column_width), [24, 12, 24, 16]);
    }
}
