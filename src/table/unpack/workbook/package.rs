//! The archive of a workbook: its parts, its sheets, and what cells refer to.

use std::collections::HashMap;
use std::io::{self, BufReader, Read, Seek};
use std::sync::Arc;

use quick_xml::events::{BytesStart, Event};
use tr::tr;
use zip::ZipArchive;
use zip::read::ZipFile;
use zip::result::ZipError;

use crate::table::detect::file_type::FileType;
use crate::table::unpack::workbook::cell_reader::{CellContext, CellReader};
use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::limits::{MAX_LIST_BYTES, MAX_UNPACKED_BYTES};
use crate::table::unpack::workbook::part_reader::{PartReader, attribute};
use crate::table::unpack::workbook::shared_file::SharedFile;
use crate::table::unpack::workbook::shared_strings::SharedStrings;
use crate::table::unpack::workbook::styles::Styles;

/// The part with the types of all parts.
const CONTENT_TYPES: &str = "[Content_Types].xml";

pub(crate) type Archive = ZipArchive<BufReader<SharedFile>>;
pub(crate) type SheetCells<'a> = CellReader<ZipFile<'a, BufReader<SharedFile>>>;

/// An open workbook.
pub(crate) struct Package {
    pub archive: Archive,
    /// In the order of their tabs.
    pub sheets: Vec<SheetEntry>,
    pub context: Arc<CellContext>,
    /// The positions, in the archive, of the part that lists the sheets and of the cell formats.
    pub workbook_part: usize,
    pub styles_part: Option<usize>,
}

/// A sheet of a workbook.
pub(crate) struct SheetEntry {
    pub name: String,
    pub is_visible: bool,
    /// The number of its tab, from 1. A hidden sheet has none.
    pub number: Option<usize>,
    /// The position of its part in the archive. A chart, a dialog and macros have no cells.
    pub part: Option<usize>,
}

impl SheetEntry {
    pub(crate) fn part(&self) -> Result<usize, WorkbookError> {
        self.part.ok_or_else(|| {
            let name = &self.name;
            WorkbookError::Damaged(tr!("the part of the sheet {name} is missing", name))
        })
    }
}

impl Package {
    pub(crate) fn open(file: SharedFile) -> Result<Self, WorkbookError> {
        let mut archive = ZipArchive::new(BufReader::new(file))?;
        let parts = Parts::list(&archive)?;
        if let Some(other) = parts.other_type() {
            return Err(WorkbookError::UnsupportedType(other));
        }
        check_size(&mut archive, MAX_UNPACKED_BYTES)?;
        let root = parts.relationships(&mut archive, "")?;
        let workbook = root
            .into_values()
            .find(|target| target.kind == "officeDocument")
            .ok_or_else(|| WorkbookError::Damaged(tr!("no part lists the sheets")))?
            .part;
        let related = parts.relationships(&mut archive, &workbook)?;
        let part_of = |kind: &str, usual: &str| {
            let related = related.values().find(|target| target.kind == kind);
            parts.find(related.map_or(usual, |target| target.part.as_str()))
        };
        let strings = match part_of("sharedStrings", "xl/sharedStrings.xml") {
            Some(part) => read_part(&mut archive, part, |part| SharedStrings::read(part))?,
            None => SharedStrings::default(),
        };
        let styles_part = part_of("styles", "xl/styles.xml");
        let styles = match styles_part {
            Some(part) => read_part(&mut archive, part, |part| Styles::read(part))?,
            None => Styles::default(),
        };
        let workbook_part = parts.require(&workbook)?;
        let SheetList { sheets, is_1904, calculates_on_load } =
            read_part(&mut archive, workbook_part, |part| {
                SheetList::read(part.take(MAX_LIST_BYTES), &parts, &related)
            })?;
        let context = CellContext { strings, styles, is_1904, calculates_on_load };
        Ok(Self { archive, sheets, context: Arc::new(context), workbook_part, styles_part })
    }

    /// The cells of the sheet at `index` of [`Package::sheets`].
    pub(crate) fn cells(&mut self, index: usize) -> Result<SheetCells<'_>, WorkbookError> {
        let sheet = &self.sheets[index];
        let part = self.archive.by_index(sheet.part()?)?;
        CellReader::new(part, sheet.name.clone(), Arc::clone(&self.context))
    }
}

/// Reads a part. An error in it names the part.
pub(crate) fn read_part<T>(
    archive: &mut Archive,
    part: usize,
    read: impl FnOnce(ZipFile<'_, BufReader<SharedFile>>) -> Result<T, WorkbookError>,
) -> Result<T, WorkbookError> {
    let file = archive.by_index(part)?;
    let name = file.name()?.into_owned();
    read(file).map_err(|error| error.in_part(&name))
}

/// The content type of the part that lists the sheets; `None` if it is not stated.
pub(crate) fn main_content_type(file: SharedFile) -> Result<Option<String>, WorkbookError> {
    let mut archive = ZipArchive::new(BufReader::new(file))?;
    let parts = Parts::list(&archive)?;
    let main = parts.targets(&mut archive, "")?;
    let main = main.into_iter().find(|target| target.kind == "officeDocument");
    let (Some(main), Some(list)) = (main, parts.find(CONTENT_TYPES)) else { return Ok(None) };
    let main = normalize(&main.part);
    read_part(&mut archive, list, |part| {
        let mut xml = PartReader::new(part.take(MAX_LIST_BYTES));
        loop {
            match xml.next_event()? {
                Event::Start(start) if start.local_name().as_ref() == "Override" => {
                    let name = attribute(&start, "PartName")?.unwrap_or_default();
                    if normalize(name.trim_start_matches('/')) == main {
                        return attribute(&start, "ContentType");
                    }
                }
                Event::End(end) if end.local_name().as_ref() == "Types" => return Ok(None),
                _ => {}
            }
        }
    })
}

/// The target of a relationship.
pub(crate) struct Target {
    /// The last word of its type, such as `worksheet`.
    pub kind: String,
    pub part: String,
}

/// The parts of an archive by their names, of which case and the kind of slash do not matter.
pub(crate) struct Parts(HashMap<String, usize>);

impl Parts {
    pub(crate) fn list(archive: &Archive) -> Result<Self, ZipError> {
        let names = archive.file_names().enumerate();
        names
            .map(|(index, name)| Ok((normalize(&name?), index)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.0.get(&normalize(name)).copied()
    }

    fn require(&self, name: &str) -> Result<usize, WorkbookError> {
        self.find(name)
            .ok_or_else(|| WorkbookError::Damaged(tr!("the part {name} is missing", name)))
    }

    /// The type of the archive, if it is not a workbook.
    fn other_type(&self) -> Option<FileType> {
        let has = |ending: &str| self.0.keys().any(|part| part.ends_with(ending));
        if has("workbook.bin") {
            Some(FileType::BinaryWorkbook)
        } else if has("content.xml") && has("mimetype") {
            Some(FileType::OpenDocument)
        } else if has("word/document.xml") || has("ppt/presentation.xml") {
            Some(FileType::Document)
        } else if has("index/document.iwa") {
            Some(FileType::Numbers)
        } else if !has("_rels/.rels") || !self.0.keys().any(|part| is_workbook_part(part)) {
            Some(FileType::Archive("zip"))
        } else {
            None
        }
    }

    /// Whether there is a part in this folder.
    pub(crate) fn has_folder(&self, name: &str) -> bool {
        self.0.keys().any(|part| part.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')))
    }

    /// The relationships of a part, or those of the whole archive, by their names.
    fn relationships(
        &self,
        archive: &mut Archive,
        source_part: &str,
    ) -> Result<HashMap<String, Target>, WorkbookError> {
        let (folder, list) = relationships_part(source_part);
        let part = self.require(&list)?;
        read_part(archive, part, |part| read_targets(part.take(MAX_LIST_BYTES), folder))
    }

    /// The targets of the relationships of a part, which may have none.
    pub(crate) fn targets(
        &self,
        archive: &mut Archive,
        source_part: &str,
    ) -> Result<Vec<Target>, WorkbookError> {
        match self.find(&relationships_part(source_part).1) {
            Some(_) => Ok(self.relationships(archive, source_part)?.into_values().collect()),
            None => Ok(Vec::new()),
        }
    }
}

/// The folder of a part, and the part that lists its relationships.
fn relationships_part(source_part: &str) -> (&str, String) {
    let (folder, file) = source_part.rsplit_once('/').unwrap_or(("", source_part));
    let slash = if folder.is_empty() { "" } else { "/" };
    (folder, format!("{folder}{slash}_rels/{file}.rels"))
}

/// Reads the relationships of a part in `folder`.
fn read_targets(part: impl Read, folder: &str) -> Result<HashMap<String, Target>, WorkbookError> {
    let mut xml = PartReader::new(part);
    let mut targets = HashMap::new();
    loop {
        match xml.next_event()? {
            Event::Start(start) if start.local_name().as_ref() == "Relationship" => {
                if let (Some(id), Some(kind), Some(target)) = (
                    attribute(&start, "Id")?,
                    attribute(&start, "Type")?,
                    attribute(&start, "Target")?,
                ) {
                    let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
                    targets.insert(id, Target { kind, part: resolve(folder, &target) });
                }
            }
            Event::End(end) if end.local_name().as_ref() == "Relationships" => {
                return Ok(targets);
            }
            _ => {}
        }
    }
}

fn normalize(name: &str) -> String {
    name.replace('\\', "/").to_lowercase()
}

/// The name of the part that a relationship of a part in `folder` names.
fn resolve(folder: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    let mut path: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => folder.split('/').filter(|name| !name.is_empty()).collect(),
    };
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => drop(path.pop()),
            name => path.push(name),
        }
    }
    path.join("/")
}

/// Whether a part may be the one that lists the sheets. Some programs name it `workbook2.xml`.
fn is_workbook_part(part: &str) -> bool {
    part.contains("workbook") && part.rsplit('.').next() == Some("xml")
}

/// The part of a workbook that lists its sheets.
struct SheetList {
    sheets: Vec<SheetEntry>,
    is_1904: bool,
    calculates_on_load: bool,
}

impl SheetList {
    fn read(
        part: impl Read,
        parts: &Parts,
        related: &HashMap<String, Target>,
    ) -> Result<Self, WorkbookError> {
        let mut xml = PartReader::new(part);
        let mut list = Self { sheets: Vec::new(), is_1904: false, calculates_on_load: false };
        let is_true = |value: &str| matches!(value, "1" | "true");
        loop {
            match xml.next_event()? {
                Event::Start(start) => match start.local_name().as_ref() {
                    // An extension has an element of the same name without this attribute.
                    "workbookPr" => {
                        if let Some(value) = attribute(&start, "date1904")? {
                            list.is_1904 = is_true(&value);
                        }
                    }
                    "calcPr" => {
                        let value = attribute(&start, "fullCalcOnLoad")?;
                        list.calculates_on_load = value.is_some_and(|value| is_true(&value));
                    }
                    "sheet" => list.push(&start, parts, related)?,
                    _ => {}
                },
                Event::End(end) if end.local_name().as_ref() == "workbook" => return Ok(list),
                _ => {}
            }
        }
    }

    fn push(
        &mut self,
        sheet: &BytesStart<'_>,
        parts: &Parts,
        related: &HashMap<String, Target>,
    ) -> Result<(), WorkbookError> {
        let name = attribute(sheet, "name")?.unwrap_or_default();
        let target = attribute(sheet, "id")?.and_then(|id| related.get(&id)).ok_or_else(|| {
            WorkbookError::Damaged(tr!("the part of the sheet {name} is missing", name))
        })?;
        let part = match target.kind.as_str() {
            "worksheet" => Some(parts.require(&target.part)?),
            _ => None,
        };
        // Each part is read a few times. Many sheets with the same large part would not end.
        if part.is_some() && self.sheets.iter().any(|other| other.part == part) {
            return Err(WorkbookError::Damaged(tr!("two sheets have the same part")));
        }
        let is_visible = attribute(sheet, "state")?.is_none_or(|state| state == "visible");
        let visible = self.sheets.iter().filter(|sheet| sheet.is_visible).count();
        let number = is_visible.then_some(visible + 1);
        self.sheets.push(SheetEntry { name, is_visible, number, part });
        Ok(())
    }
}

/// Decompresses every part of the archive once without keeping it, to know its real size before it
/// is loaded. The sizes stated in the archive may be wrong.
fn check_size<R: Read + Seek>(archive: &mut ZipArchive<R>, most: u64) -> Result<(), WorkbookError> {
    let mut left = most;
    for index in 0..archive.len() {
        let part = archive.by_index(index)?;
        let size = io::copy(&mut part.take(left + 1), &mut io::sink())
            .map_err(|error| WorkbookError::Damaged(error.to_string()))?;
        left = left.checked_sub(size).ok_or(WorkbookError::UnpackedTooLarge)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::write::SimpleFileOptions;

    use super::*;

    #[test]
    fn a_decompression_bomb_is_rejected_whatever_its_declared_size() {
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, size) in
            [("_rels/.rels", 10), ("xl/workbook.xml", 10), ("xl/sharedStrings.xml", 5000)]
        {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(&b" ".repeat(size)).unwrap();
        }
        let mut archive = ZipArchive::new(zip.finish().unwrap()).unwrap();
        assert!(matches!(check_size(&mut archive, 5019), Err(WorkbookError::UnpackedTooLarge)));
        assert!(check_size(&mut archive, 5020).is_ok());
    }

    #[test]
    fn targets_are_relative_to_the_folder_of_their_part() {
        for (folder, target, expected) in [
            ("", "xl/workbook.xml", "xl/workbook.xml"),
            ("xl", "worksheets/sheet1.xml", "xl/worksheets/sheet1.xml"),
            ("xl", "/xl/worksheets/sheet1.xml", "xl/worksheets/sheet1.xml"),
            ("xl", "../data/./sheet1.xml", "data/sheet1.xml"),
            ("xl", "worksheets\\sheet1.xml", "xl/worksheets/sheet1.xml"),
            ("", "../../x.xml", "x.xml"),
        ] {
            assert_eq!(resolve(folder, target), expected, "{folder} {target}");
        }
    }
}
