//! Checks that a workbook is as Excel writes it. Readers accept what Excel repairs, so their word
//! is not enough. Shares no code with the program.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

/// The elements of a sheet in the order of the standard.
const SHEET_ORDER: &str = "sheetPr dimension sheetViews sheetFormatPr cols sheetData sheetCalcPr \
    sheetProtection protectedRanges scenarios autoFilter sortState dataConsolidate \
    customSheetViews mergeCells phoneticPr conditionalFormatting dataValidations hyperlinks \
    printOptions pageMargins pageSetup headerFooter rowBreaks colBreaks customProperties \
    cellWatches ignoredErrors smartTags drawing legacyDrawing legacyDrawingHF drawingHF picture \
    oleObjects controls webPublishItems tableParts extLst";
const MAX_COLUMNS: u32 = 16_384;
const MAX_ROWS: u32 = 1 << 20;
const MAX_UNITS: usize = 32_767;

/// An element of XML, its name without the prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub children: Vec<Element>,
    /// The text of the element and of everything in it.
    pub text: String,
}

impl Element {
    pub(crate) fn parse(xml: &[u8]) -> Result<Self, String> {
        let text = decode(xml)?;
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        let mut open = vec![Self::default()];
        loop {
            let event = reader.read_event().map_err(|error| error.to_string())?;
            match event {
                Event::Start(tag) => open.push(Self::from_tag(&tag)?),
                Event::Empty(tag) => {
                    let element = Self::from_tag(&tag)?;
                    open.last_mut().unwrap().children.push(element);
                }
                Event::End(_) => {
                    let element = open.pop().unwrap();
                    let parent = open.last_mut().ok_or("an end without a start")?;
                    parent.text.push_str(&element.text);
                    parent.children.push(element);
                }
                Event::Text(text) => {
                    let text = text.xml10_content().into_owned();
                    open.last_mut().unwrap().text.push_str(&text);
                }
                Event::CData(text) => {
                    let text = text.xml10_content().into_owned();
                    open.last_mut().unwrap().text.push_str(&text);
                }
                Event::GeneralRef(reference) => {
                    let name: &str = reference.as_ref();
                    let resolved = quick_xml::escape::resolve_xml_entity(name)
                        .map(str::to_owned)
                        .or_else(|| reference.resolve_char_ref().ok()?.map(String::from));
                    let resolved = resolved.ok_or_else(|| format!("unknown entity {name}"))?;
                    open.last_mut().unwrap().text.push_str(&resolved);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let [root] = &*open else { return Err("an element is not closed".to_owned()) };
        let [element] = &*root.children else { return Err("not one root".to_owned()) };
        Ok(element.clone())
    }

    fn from_tag(tag: &BytesStart<'_>) -> Result<Self, String> {
        let mut element = Self { name: tag.local_name().as_ref().to_owned(), ..Self::default() };
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value = quick_xml::escape::unescape(&attribute.value)
                .map_err(|error| error.to_string())?
                .into_owned();
            element.attributes.insert(attribute.key.as_ref().to_owned(), value);
        }
        Ok(element)
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.attribute(name)?.parse().ok()
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The elements of this name in the first child called `list`.
    pub(crate) fn items(&self, list: &str, name: &str) -> Vec<&Self> {
        let items = self.child(list).into_iter().flat_map(|list| &list.children);
        items.filter(|item| item.name == name).collect()
    }
}

pub(crate) fn decode(xml: &[u8]) -> Result<String, String> {
    let from_units = |from: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = xml.chunks_exact(2).map(|pair| from([pair[0], pair[1]])).collect();
        String::from_utf16(&units).map_err(|error| error.to_string())
    };
    match xml {
        [0xFF, 0xFE, ..] => from_units(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => from_units(u16::from_be_bytes),
        _ => String::from_utf8(xml.to_vec()).map_err(|error| error.to_string()),
    }
}

/// A rectangle: top, left, bottom, right, from 1.
type Range = [u32; 4];

fn parse_cell(name: &str) -> Option<(u32, u32)> {
    let name = name.replace('$', "");
    let split = name.find(|c: char| c.is_ascii_digit())?;
    let (letters, row) = name.split_at(split);
    let column = letters.bytes().fold(0, |sum, letter| sum * 26 + u32::from(letter - b'A') + 1);
    Some((row.parse().ok()?, column))
}

fn parse_range(text: &str) -> Option<Range> {
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    let ((top, left), (bottom, right)) = (parse_cell(first)?, parse_cell(last)?);
    (top <= bottom && left <= right).then_some([top, left, bottom, right])
}

fn overlap(one: &Range, other: &Range) -> bool {
    one[0] <= other[2] && other[0] <= one[2] && one[1] <= other[3] && other[1] <= one[3]
}

/// The unpacked parts of a workbook, in the order of the archive.
pub(crate) fn read_parts(workbook: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(workbook)).unwrap();
    let mut parts = Vec::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let (name, mut content) = (entry.name().unwrap().into_owned(), Vec::new());
        entry.read_to_end(&mut content).unwrap();
        parts.push((name, content));
    }
    parts
}

/// Everything that is wrong with a workbook.
pub(crate) fn check_workbook(workbook: &[u8]) -> Vec<String> {
    let mut found = check_archive(workbook);
    let parts = read_parts(workbook);
    let mut parsed = BTreeMap::new();
    for (name, content) in &parts {
        // Other parts, such as drawings for comments, need not be valid XML.
        let is_xml = [".xml", ".rels"].iter().any(|ending| name.ends_with(ending));
        match Element::parse(content) {
            Ok(element) => drop(parsed.insert(name.clone(), element)),
            Err(error) if is_xml => found.push(format!("{name}: {error}")),
            Err(_) => {}
        }
    }
    Checker { parts: &parsed, found: &mut found }.check();
    found
}

struct Checker<'a> {
    parts: &'a BTreeMap<String, Element>,
    found: &'a mut Vec<String>,
}

/// What the cells of a sheet refer to.
struct Limits {
    styles: usize,
    strings: Vec<String>,
}

impl Checker<'_> {
    fn report(&mut self, place: &str, what: impl Into<String>) {
        self.found.push(format!("{place}: {}", what.into()));
    }

    fn check(&mut self) {
        let parts = self.parts;
        let by_end = |ending: &str| {
            let mut names = parts.iter().filter(|(name, _)| name.ends_with(ending));
            names.next().map(|(_, element)| element)
        };
        let limits = Limits {
            styles: by_end("styles.xml").map_or(1, |styles| styles.items("cellXfs", "xf").len()),
            strings: by_end("sharedStrings.xml").map_or_else(Vec::new, |strings| {
                let strings = strings.children.iter().filter(|child| child.name == "si");
                strings.map(|string| string.text.clone()).collect()
            }),
        };
        if let Some(styles) = by_end("styles.xml") {
            for list in ["cellXfs", "fonts", "fills", "borders", "numFmts"] {
                let Some(element) = styles.child(list) else { continue };
                if element
                    .number("count")
                    .is_some_and(|count| count as usize != element.children.len())
                {
                    self.report("styles", format!("the count of {list} is wrong"));
                }
            }
        }
        let mut tables = BTreeMap::new();
        for (name, element) in parts.iter().filter(|(_, element)| element.name == "worksheet") {
            let cells = self.check_sheet(name, element, &limits);
            self.check_tables(name, &cells, &mut tables);
        }
        self.check_names();
    }

    /// Returns the texts of the cells.
    fn check_sheet(
        &mut self,
        name: &str,
        sheet: &Element,
        limits: &Limits,
    ) -> BTreeMap<(u32, u32), String> {
        let order: Vec<&str> = SHEET_ORDER.split_whitespace().collect();
        let mut last_place = 0;
        for child in &sheet.children {
            match order.iter().position(|known| *known == child.name) {
                Some(place) if place < last_place => {
                    self.report(name, format!("{} is not in order", child.name));
                }
                Some(place) => last_place = place,
                None => {}
            }
        }
        self.check_columns(name, sheet);
        let mut cells = BTreeMap::new();
        let (mut row_number, mut extent) = (0, None::<Range>);
        for row in sheet.items("sheetData", "row") {
            let number = row.number("r").unwrap_or(row_number + 1);
            if number <= row_number || number > MAX_ROWS {
                self.report(name, format!("row {number} follows row {row_number}"));
            }
            row_number = number;
            let mut column_number = 0;
            for cell in row.children.iter().filter(|child| child.name == "c") {
                let stated = cell.attribute("r").map(parse_cell);
                let (in_row, column) = match stated {
                    None => (number, column_number + 1),
                    Some(Some(position)) => position,
                    Some(None) => (0, 0),
                };
                if in_row != number || column <= column_number || column > MAX_COLUMNS {
                    let position = cell.attribute("r").unwrap_or("?");
                    self.report(name, format!("cell {position} is not in order in row {number}"));
                }
                column_number = column;
                if row.children.iter().position(|child| child.name != "c").is_some_and(|other| {
                    row.children[other..].iter().any(|child| child.name == "c")
                }) {
                    self.report(name, format!("row {number} has cells behind other elements"));
                }
                let text = self.check_cell(name, (number, column), cell, limits);
                extent = Some(extent.map_or([number, column, number, column], |known| {
                    [
                        known[0].min(number),
                        known[1].min(column),
                        known[2].max(number),
                        known[3].max(column),
                    ]
                }));
                cells.insert((number, column), text);
                let spans = row.attribute("spans").into_iter().flat_map(|text| text.split(' '));
                let mut spans = spans.filter_map(|span| span.split_once(':')).peekable();
                let holds = |(first, last): (&str, &str)| {
                    (first.parse().unwrap_or(1)..=last.parse().unwrap_or(0)).contains(&column)
                };
                if spans.peek().is_some() && !spans.any(holds) {
                    self.report(name, format!("the spans of row {number} do not hold {column}"));
                }
            }
        }
        let dimension =
            sheet.child("dimension").and_then(|child| parse_range(child.attribute("ref")?));
        if let (Some(dimension), Some(extent)) = (dimension, extent)
            && (dimension[3] < extent[3] || dimension[2] < extent[2])
        {
            self.report(name, "the dimension does not hold all cells");
        }
        let merges = sheet.items("mergeCells", "mergeCell");
        let merges: Vec<Range> =
            merges.iter().filter_map(|merge| parse_range(merge.attribute("ref")?)).collect();
        for (index, merge) in merges.iter().enumerate() {
            if merges[..index].iter().any(|other| overlap(merge, other)) {
                self.report(name, "merged cells overlap");
            }
        }
        cells
    }

    fn check_columns(&mut self, name: &str, sheet: &Element) {
        let mut end = 0;
        if sheet.child("cols").is_some_and(|columns| columns.children.is_empty()) {
            self.report(name, "cols is empty");
        }
        for column in sheet.items("cols", "col") {
            let (Some(first), Some(last)) = (column.number("min"), column.number("max")) else {
                self.report(name, "a col has no columns");
                continue;
            };
            if first <= end || last < first || last > MAX_COLUMNS {
                self.report(name, format!("col {first} to {last} follows {end}"));
            }
            end = last;
        }
    }

    /// Returns the text of the cell.
    fn check_cell(
        &mut self,
        name: &str,
        (row, column): (u32, u32),
        cell: &Element,
        limits: &Limits,
    ) -> String {
        let place = format!("{name} row {row} column {column}");
        if cell.number("s").is_some_and(|style| style as usize >= limits.styles.max(1)) {
            self.report(&place, "its style does not exist");
        }
        let value = cell.child("v").map(|value| value.text.clone());
        let text = match cell.attribute("t") {
            Some("s") => {
                let index = value.and_then(|value| value.trim().parse::<usize>().ok());
                let text = index.and_then(|index| limits.strings.get(index));
                if text.is_none() {
                    self.report(&place, "its shared string does not exist");
                }
                text.cloned().unwrap_or_default()
            }
            Some("inlineStr") => {
                let string = cell.child("is");
                if string.is_none() {
                    self.report(&place, "its inline string is missing");
                }
                string.map(|string| string.text.clone()).unwrap_or_default()
            }
            Some("n" | "b" | "e" | "str" | "d") | None => {
                if cell.child("is").is_some() {
                    self.report(&place, "it has an inline string and another type");
                }
                value.unwrap_or_default()
            }
            Some(other) => {
                self.report(&place, format!("its type {other} is unknown"));
                String::new()
            }
        };
        if text.encode_utf16().count() > MAX_UNITS {
            self.report(&place, "its text is too long");
        }
        text
    }

    fn check_tables(
        &mut self,
        sheet: &str,
        cells: &BTreeMap<(u32, u32), String>,
        ids: &mut BTreeMap<String, Range>,
    ) {
        let (folder, file) = sheet.rsplit_once('/').unwrap_or(("", sheet));
        let Some(relations) = self.parts.get(&format!("{folder}/_rels/{file}.rels")) else {
            return;
        };
        let mut ranges: Vec<Range> = Vec::new();
        let targets: Vec<String> = relations
            .children
            .iter()
            .filter(|relation| {
                relation.attribute("Type").is_some_and(|kind| kind.ends_with("/table"))
            })
            .filter_map(|relation| relation.attribute("Target"))
            .map(|target| target.rsplit('/').next().unwrap_or_default().to_owned())
            .collect();
        for target in targets {
            let part = self.parts.iter().find(|(name, _)| name.ends_with(&format!("/{target}")));
            let Some((name, table)) = part else {
                self.report(sheet, format!("the table {target} is missing"));
                continue;
            };
            let Some(range) = table.attribute("ref").and_then(parse_range) else {
                self.report(name, "its ref is invalid");
                continue;
            };
            self.check_table(name, table, range, cells);
            let id = format!("id {}", table.attribute("id").unwrap_or_default());
            let shown = table.attribute("displayName").unwrap_or_default().to_lowercase();
            for key in [id, shown] {
                if ids.insert(key.clone(), range).is_some() {
                    self.report(name, format!("another table has {key}"));
                }
            }
            if ranges.iter().any(|other| overlap(&range, other)) {
                self.report(name, "it overlaps another table");
            }
            ranges.push(range);
        }
    }

    fn check_table(
        &mut self,
        name: &str,
        table: &Element,
        [top, left, bottom, right]: Range,
        cells: &BTreeMap<(u32, u32), String>,
    ) {
        let columns = table.items("tableColumns", "tableColumn");
        let width = (right - left + 1) as usize;
        let list = table.child("tableColumns").and_then(|list| list.number("count"));
        if columns.len() != width || list.is_some_and(|count| count as usize != width) {
            self.report(name, "its columns are not as many as its ref has");
        }
        let ids: BTreeSet<_> = columns.iter().map(|column| column.attribute("id")).collect();
        let names: BTreeSet<_> = columns
            .iter()
            .map(|column| column.attribute("name").unwrap_or_default().to_lowercase())
            .collect();
        if ids.len() != columns.len() || names.len() != columns.len() {
            self.report(name, "two of its columns have one id or one name");
        }
        if table.attribute("headerRowCount") != Some("0") {
            for (column, number) in columns.iter().zip(left..) {
                let text = cells.get(&(top, number)).map(String::as_str);
                if column.attribute("name") != text {
                    self.report(name, format!("column {number} is not called as its header"));
                }
            }
        }
        let mut parents = vec![table];
        while let Some(parent) = parents.pop() {
            for child in &parent.children {
                let is_part = matches!(child.name.as_str(), "autoFilter" | "sortState");
                let range = child.attribute("ref").and_then(parse_range).filter(|_| is_part);
                if range.is_some_and(|range| {
                    range[1] != left || range[3] != right || range[0] < top || range[2] > bottom
                }) {
                    self.report(name, format!("its {} has another ref", child.name));
                }
                parents.push(child);
            }
        }
    }

    /// The name of a filter is the range of the filter.
    fn check_names(&mut self) {
        let Some((name, workbook)) = self.parts.iter().find(|(_, part)| part.name == "workbook")
        else {
            return;
        };
        for defined in workbook.items("definedNames", "definedName") {
            if defined.attribute("name") != Some("_xlnm._FilterDatabase") {
                continue;
            }
            let range = defined.text.rsplit('!').next().and_then(parse_range);
            let filters = self.parts.values().filter(|part| part.name == "worksheet");
            let mut filters = filters.filter_map(|sheet| sheet.child("autoFilter"));
            let is_filter =
                |filter: &Element| filter.attribute("ref").and_then(parse_range) == range;
            if !filters.any(is_filter) {
                self.report(name, "the name of the filter is not the range of a filter");
            }
        }
    }
}

/// What is wrong with the zip archive. Its entries begin at the first byte and follow each other.
fn check_archive(archive: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let short = |at: usize| usize::from(u16::from_le_bytes([archive[at], archive[at + 1]]));
    let long = |at: usize| u32::from_le_bytes(archive[at..at + 4].try_into().unwrap()) as usize;
    let Some(end) = archive.windows(4).rposition(|bytes| bytes == b"PK\x05\x06") else {
        return vec!["archive: it has no end".to_owned()];
    };
    let (count, size, start) = (short(end + 10), long(end + 12), long(end + 16));
    if start + size != end || end + 22 + short(end + 20) != archive.len() {
        found.push("archive: its directory is elsewhere".to_owned());
        return found;
    }
    let (mut at, mut data_end, mut names) = (start, 0, BTreeSet::new());
    for _ in 0..count {
        let (name_len, extra, comment) = (short(at + 28), short(at + 30), short(at + 32));
        let name = String::from_utf8_lossy(&archive[at + 46..at + 46 + name_len]).into_owned();
        let (packed, offset, flags) = (long(at + 20), long(at + 42), short(at + 8));
        let mut report = |what: &str| found.push(format!("archive: {name}: {what}"));
        if !names.insert(name.clone()) {
            report("twice");
        }
        if offset != data_end {
            report("it does not follow the entry before it");
        }
        let local = offset;
        if archive[local..].get(..4) != Some(b"PK\x03\x04") {
            report("it has no header");
            break;
        }
        let local_name = &archive[local + 30..local + 30 + short(local + 26)];
        if local_name != name.as_bytes()
            || short(local + 6) != flags
            || short(local + 8) != short(at + 10)
            || archive[local + 10..local + 14] != archive[at + 12..at + 16]
        {
            report("its two headers differ");
        }
        data_end = local + 30 + short(local + 26) + short(local + 28) + packed;
        let sizes = &archive[at + 16..at + 28];
        if flags & 8 == 0 {
            if &archive[local + 14..local + 26] != sizes {
                report("its sizes differ");
            }
        } else {
            let is_descriptor = archive.get(data_end..data_end + 4) == Some(b"PK\x07\x08");
            if !is_descriptor || archive.get(data_end + 4..data_end + 16) != Some(sizes) {
                report("its descriptor differs");
            }
            data_end += 16;
        }
        at += 46 + name_len + extra + comment;
    }
    if at != end || data_end != start {
        found.push("archive: it has other bytes between its entries".to_owned());
    }
    found
}
