//! Appends cell formats to the styles of a workbook: existing ones with number format Text.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use quick_xml::events::Event;

use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::write::workbook::part_edits::{PartEdits, PlacedEvents};
use crate::table::write::workbook::tag::{open_tag, prefix, raw_attribute, set_attribute};

/// The number of the number format Text, which spreadsheets do not define in a workbook.
const TEXT_FORMAT: &str = "49";
/// The most cell formats of a workbook in Excel.
const MAX_CELL_FORMATS: usize = 65_490;

/// The cell format with number format Text of each cell format that needs one.
#[derive(Debug, Default)]
pub(crate) struct TextFormats {
    by_base: BTreeMap<u32, u32>,
}

impl TextFormats {
    /// Whether the cells like those with format `base` get the number format Text.
    #[must_use]
    pub(crate) fn has_text(&self, base: u32) -> bool {
        self.by_base.contains_key(&base)
    }

    /// The format like `base` with number format Text, or `base` if there is none.
    #[must_use]
    pub(crate) fn text_format(&self, base: Option<u32>) -> Option<u32> {
        self.by_base.get(&base.unwrap_or(0)).copied().or(base.filter(|base| *base != 0))
    }
}

/// Where the cell formats are in the XML of the styles.
#[derive(Default)]
struct CellFormats {
    /// The start tag of the list.
    list: Range<usize>,
    /// The start of its end tag; 0 for a list without one.
    list_end: usize,
    formats: Vec<Range<usize>>,
}

impl CellFormats {
    /// `None` without a list of cell formats.
    fn find(xml: &str) -> Result<Option<Self>, WorkbookError> {
        let (mut events, mut found) = (PlacedEvents::new(xml), Self::default());
        let (mut is_inside, mut format_start) = (false, None);
        while let Some((event, place)) = events.next_event()? {
            match event {
                Event::Empty(tag) if tag.local_name().as_ref() == "cellXfs" => {
                    found.list = place;
                    return Ok(Some(found));
                }
                Event::Start(tag) if tag.local_name().as_ref() == "cellXfs" => {
                    (is_inside, found.list) = (true, place);
                }
                Event::End(tag) if is_inside && tag.local_name().as_ref() == "cellXfs" => {
                    found.list_end = place.start;
                    return Ok(Some(found));
                }
                Event::Empty(tag) if is_inside && tag.local_name().as_ref() == "xf" => {
                    found.formats.push(place);
                }
                Event::Start(tag) if is_inside && tag.local_name().as_ref() == "xf" => {
                    format_start = Some(place.start);
                }
                Event::End(tag) if is_inside && tag.local_name().as_ref() == "xf" => {
                    found.formats.extend(format_start.take().map(|start| start..place.end));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

/// Appends a format with number format Text for each of the formats `bases` that has another one.
/// Returns the new XML, `None` if nothing is appended, and the formats to use.
pub(crate) fn append_text_formats(
    xml: &str,
    bases: &BTreeSet<u32>,
) -> Result<(Option<String>, TextFormats), WorkbookError> {
    let mut text_formats = TextFormats::default();
    let Some(found) = CellFormats::find(xml)? else { return Ok((None, text_formats)) };
    let list = &xml[found.list.clone()];
    let mut appended = Vec::new();
    if found.formats.is_empty() {
        // The first format is that of all cells without one.
        appended.push(format!("<{}xf/>", prefix(list)));
    }
    let mut known: HashMap<String, usize> = HashMap::new();
    for (index, place) in found.formats.iter().enumerate() {
        known.entry(xml[place.clone()].to_owned()).or_insert(index);
    }
    for &base in bases {
        let place = usize::try_from(base).ok().and_then(|base| found.formats.get(base));
        if place.is_some_and(|place| has_text_format(&xml[place.clone()])) {
            text_formats.by_base.insert(base, base);
            continue;
        }
        // Spreadsheets show a format that does not exist as the first one.
        let place = place.or(found.formats.first());
        let format =
            place.map_or_else(|| appended[0].clone(), |place| xml[place.clone()].to_owned());
        let text_format = with_text_format(&format);
        let count = found.formats.len() + appended.len();
        // An earlier run, or somebody else, may have appended it.
        let index = match known.get(&text_format) {
            Some(index) => *index,
            None if count >= MAX_CELL_FORMATS => continue,
            None => {
                known.insert(text_format.clone(), count);
                appended.push(text_format);
                count
            }
        };
        // Bounded by the limit of Excel.
        text_formats.by_base.extend(u32::try_from(index).map(|index| (base, index)));
    }
    if text_formats.by_base.values().all(|index| (*index as usize) < found.formats.len()) {
        return Ok((None, text_formats));
    }
    let mut edits = PartEdits::default();
    let count = found.formats.len() + appended.len();
    let counted = match raw_attribute(list, "count") {
        Some(_) => set_attribute(list, "count", &count.to_string()),
        None => list.to_owned(),
    };
    if found.list_end == 0 {
        let end = format!("</{}cellXfs>", prefix(list));
        edits.replace(found.list.clone(), open_tag(&counted) + &appended.concat() + &end);
    } else {
        edits.replace(found.list.clone(), counted);
        edits.insert(found.list_end, appended.concat());
    }
    Ok((edits.apply(xml), text_formats))
}

/// The start tag of a format, and what follows it.
fn split_format(format: &str) -> (&str, &str) {
    format.split_at(format.find('>').map_or(format.len(), |at| at + 1))
}

fn has_text_format(format: &str) -> bool {
    raw_attribute(split_format(format).0, "numFmtId") == Some(TEXT_FORMAT)
}

fn with_text_format(format: &str) -> String {
    let (tag, content) = split_format(format);
    let tag = set_attribute(tag, "numFmtId", TEXT_FORMAT);
    set_attribute(&tag, "applyNumberFormat", "1") + content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_appended_with_their_borders_and_number_format_text() {
        let xml = "<x:styleSheet><cellStyleXfs><xf numFmtId=\"0\"/></cellStyleXfs>\
                   <x:cellXfs count=\"4\"><x:xf numFmtId=\"0\" borderId=\"2\"/>\
                   <x:xf numFmtId=\"14\" applyNumberFormat=\"0\"><x:alignment indent=\"1\"/></x:xf>\
                   <x:xf numFmtId=\"49\"/><x:xf/></x:cellXfs><dxfs/></x:styleSheet>";
        let (edited, formats) = append_text_formats(xml, &BTreeSet::from([0, 1, 2, 3, 9])).unwrap();
        let expected = xml.replace("count=\"4\"", "count=\"7\"").replace(
            "</x:cellXfs>",
            "<x:xf numFmtId=\"49\" borderId=\"2\" applyNumberFormat=\"1\"/>\
             <x:xf numFmtId=\"49\" applyNumberFormat=\"1\"><x:alignment indent=\"1\"/></x:xf>\
             <x:xf numFmtId=\"49\" applyNumberFormat=\"1\"/></x:cellXfs>",
        );
        assert_eq!(edited.unwrap(), expected);
        let (again, same) =
            append_text_formats(&expected, &BTreeSet::from([0, 1, 2, 3, 9])).unwrap();
        assert_eq!((again, same.by_base), (None, formats.by_base.clone()));
        let texts = [None, Some(0), Some(1), Some(2), Some(3), Some(9)];
        // The format 9 does not exist, and is shown as the first one.
        let expected = [Some(4), Some(4), Some(5), Some(2), Some(6), Some(4)];
        assert_eq!(texts.map(|base| formats.text_format(base)), expected);
    }

    #[test]
    fn nothing_is_appended_where_nothing_is_needed_or_possible() {
        let text = "<styleSheet><cellXfs><xf numFmtId=\"49\"/></cellXfs></styleSheet>";
        let full = format!(
            "<styleSheet><cellXfs>{}</cellXfs></styleSheet>",
            "<xf/>".repeat(MAX_CELL_FORMATS)
        );
        for (xml, has_text) in [(text, true), ("<styleSheet/>", false), (&full, false)] {
            let (edited, formats) = append_text_formats(xml, &BTreeSet::from([0])).unwrap();
            assert_eq!((edited, formats.has_text(0)), (None, has_text));
        }
    }

    #[test]
    fn an_empty_list_gets_the_format_of_the_other_cells_first() {
        for (list, expected) in [
            ("<x:cellXfs count='0' />", "<x:cellXfs count='2'>"),
            ("<x:cellXfs></x:cellXfs>", "<x:cellXfs>"),
        ] {
            let xml = format!("<x:styleSheet>{list}<x:dxfs/></x:styleSheet>");
            let (edited, formats) = append_text_formats(&xml, &BTreeSet::from([0])).unwrap();
            let expected = format!(
                "<x:styleSheet>{expected}<x:xf/><x:xf numFmtId=\"49\" applyNumberFormat=\"1\"/>\
                 </x:cellXfs><x:dxfs/></x:styleSheet>"
            );
            assert_eq!((edited.unwrap(), formats.text_format(None)), (expected, Some(1)));
        }
    }
}
