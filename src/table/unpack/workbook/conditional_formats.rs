//! The number formats that the conditional formats of a sheet may give to its cells.

use std::io::Read;
use std::sync::Arc;

use quick_xml::events::Event;

use crate::table::raw::cell_name::parse_cell_name;
use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::limits::{MAX_FORMAT_BYTES, MAX_TEXT_BYTES};
use crate::table::unpack::workbook::number_format::NumberFormat;
use crate::table::unpack::workbook::part_reader::{PartReader, attribute};

/// The maximum number of ranges, all of which are looked at for each cell.
const MAX_RANGES: usize = 1000;

/// The ranges of a sheet with the number formats that their conditions may give, as far as these
/// add something to a number. The conditions are not evaluated.
#[derive(Debug, Default)]
pub(crate) struct ConditionalFormats(Vec<(CellRange, Arc<NumberFormat>)>);

/// The first and the last row and column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CellRange {
    rows: (u32, u32),
    columns: (u32, u32),
}

impl CellRange {
    const ALL: Self = Self { rows: (0, u32::MAX), columns: (0, u32::MAX) };

    /// Parses `B2` or `B2:C9`. Other texts are taken for the whole sheet.
    fn parse(text: &str) -> Self {
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        match (parse_cell_name(first), parse_cell_name(last)) {
            (Some(first), Some(last)) => {
                Self { rows: (first.0, last.0), columns: (first.1, last.1) }
            }
            _ => Self::ALL,
        }
    }

    fn contains(self, row: u32, column: u32) -> bool {
        (self.rows.0..=self.rows.1).contains(&row)
            && (self.columns.0..=self.columns.1).contains(&column)
    }
}

impl ConditionalFormats {
    /// Reads a sheet after its cells to its end. `styles` has the formats of the workbook by the
    /// number that rules refer to; an extension of Excel has them beside the rule.
    pub(crate) fn read(
        xml: &mut PartReader<impl Read>,
        styles: &[Option<Arc<NumberFormat>>],
    ) -> Result<Self, WorkbookError> {
        let mut found = Self::default();
        let (mut ranges, mut formats) = (String::new(), Vec::new());
        loop {
            let is_sqref = match xml.next_event()? {
                Event::Start(start) => match start.local_name().as_ref() {
                    "conditionalFormatting" => {
                        formats.clear();
                        ranges = attribute(&start, "sqref")?.unwrap_or_default();
                        false
                    }
                    "cfRule" => {
                        let style = attribute(&start, "dxfId")?.and_then(|id| id.parse().ok());
                        formats.extend(style.and_then(|id: usize| styles.get(id)?.clone()));
                        false
                    }
                    "numFmt" => {
                        let code = attribute(&start, "formatCode")?.unwrap_or_default();
                        if code.len() > MAX_FORMAT_BYTES {
                            return Err(WorkbookError::TooManyStyles);
                        }
                        formats.push(Arc::new(NumberFormat::parse(&code)));
                        false
                    }
                    name => name == "sqref",
                },
                Event::End(end) => {
                    match end.local_name().as_ref() {
                        "conditionalFormatting" => found.push(&ranges, &formats)?,
                        "worksheet" => return Ok(found),
                        _ => {}
                    }
                    false
                }
                _ => false,
            };
            if is_sqref {
                ranges.clear();
                xml.read_text("sqref", &mut ranges, MAX_TEXT_BYTES)?;
            }
            formats.retain(|format| format.adds_text());
            if formats.len() > MAX_RANGES {
                return Err(WorkbookError::TooManyStyles);
            }
        }
    }

    fn push(&mut self, ranges: &str, formats: &[Arc<NumberFormat>]) -> Result<(), WorkbookError> {
        for format in formats {
            for range in ranges.split_ascii_whitespace() {
                if self.0.len() == MAX_RANGES {
                    return Err(WorkbookError::TooManyStyles);
                }
                self.0.push((CellRange::parse(range), Arc::clone(format)));
            }
        }
        Ok(())
    }

    /// The number formats that a cell may have in place of its own.
    pub(crate) fn at(&self, row: u32, column: u32) -> impl Iterator<Item = &NumberFormat> {
        let here = self.0.iter().filter(move |(range, _)| range.contains(row, column));
        here.map(|(_, format)| format.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_formats_are_read_as_excel_and_its_extension_write_them() {
        let xml = r#"<worksheet><conditionalFormatting sqref="B2:B3 D4">
            <cfRule type="expression" dxfId="1"/><cfRule dxfId="0"/>
            <cfRule dxfId="9"/></conditionalFormatting>
            <extLst><x14:conditionalFormattings><x14:conditionalFormatting><x14:cfRule><x14:dxf>
            <numFmt numFmtId="164" formatCode="&quot;+&quot;0"/></x14:dxf></x14:cfRule>
            <xm:sqref>C7</xm:sqref></x14:conditionalFormatting></x14:conditionalFormattings>
            </extLst></worksheet>"#;
        let format = |code: &str| Some(Arc::new(NumberFormat::parse(code)));
        let styles = [format("0.00"), format("+0")];
        let read = ConditionalFormats::read(&mut PartReader::new(xml.as_bytes()), &styles).unwrap();
        let codes = |row, column| read.at(row, column).map(NumberFormat::code).collect::<Vec<_>>();
        assert_eq!(codes(1, 1), ["+0"]);
        assert_eq!(codes(3, 3), ["+0"]);
        assert_eq!(codes(6, 2), ["\"+\"0"]);
        assert_eq!((codes(3, 1).len(), codes(1, 3).len(), codes(6, 1).len()), (0, 0, 0));
        assert!(CellRange::parse("B:B").contains(9, 9), "it cannot be read, so it may be any cell");
    }

    #[test]
    fn the_number_of_ranges_is_bounded() {
        let ranges = "B2 ".repeat(MAX_RANGES + 1);
        let xml = format!(
            "<worksheet><conditionalFormatting sqref=\"{ranges}\"><cfRule dxfId=\"0\"/>\
             </conditionalFormatting></worksheet>"
        );
        let read = |code: &str| {
            let styles = [Some(Arc::new(NumberFormat::parse(code)))];
            ConditionalFormats::read(&mut PartReader::new(xml.as_bytes()), &styles)
        };
        assert!(matches!(read("+0"), Err(WorkbookError::TooManyStyles)));
        assert!(read("0.00").is_ok(), "it adds nothing");
    }
}
