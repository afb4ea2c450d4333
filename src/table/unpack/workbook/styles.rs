//! The number formats of a workbook's cells.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use quick_xml::events::{BytesStart, Event};
use tr::tr;

use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::limits::{MAX_FORMAT_BYTES, MAX_FORMATS_BYTES, MAX_STYLES};
use crate::table::unpack::workbook::number_format::NumberFormat;
use crate::table::unpack::workbook::part_reader::{PartReader, attribute};

/// The maximum number of codes of one format, for versions of Excel.
const MAX_ALTERNATIVES: usize = 8;

/// The number formats of a workbook.
#[derive(Default)]
pub(crate) struct Styles {
    /// By the number of the cell format. Cell formats with the same number format share it.
    pub formats: Vec<Arc<NumberFormat>>,
    /// By the number to which rules of conditional formats refer. Most have no number format.
    pub conditional: Vec<Option<Arc<NumberFormat>>>,
}

/// The element that is being read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Codes,
    CellFormats,
    ConditionalFormats,
    Other,
}

impl Styles {
    pub(crate) fn read(part: impl Read) -> Result<Self, WorkbookError> {
        let mut xml = PartReader::new(part);
        let mut codes: HashMap<u32, Vec<String>> = HashMap::new();
        let mut by_id: HashMap<u32, Arc<NumberFormat>> = HashMap::new();
        let mut code_bytes = 0;
        let mut styles = Self::default();
        let (mut section, mut is_fallback) = (Section::Other, false);
        loop {
            match xml.next_event()? {
                Event::Start(start) => match (start.local_name().as_ref(), section) {
                    ("numFmts", _) => section = Section::Codes,
                    ("cellXfs", _) => section = Section::CellFormats,
                    ("dxfs", _) => section = Section::ConditionalFormats,
                    // What older programs read in place of what is before it.
                    ("Fallback", _) => is_fallback = true,
                    ("numFmt", Section::Codes) => {
                        let id = format_id(&start)?.unwrap_or_default();
                        let codes = codes.entry(id).or_default();
                        for code in format_codes(&start)? {
                            code_bytes += code.len();
                            if !codes.contains(&code) {
                                codes.push(code);
                            }
                            if codes.len() > MAX_ALTERNATIVES {
                                return Err(WorkbookError::TooManyStyles);
                            }
                        }
                    }
                    ("numFmt", Section::ConditionalFormats) => {
                        let found = format_codes(&start)?;
                        code_bytes += found.iter().map(String::len).sum::<usize>();
                        if let Some(style) = styles.conditional.last_mut() {
                            *style = Some(Arc::new(NumberFormat::parse_all(&found)));
                        }
                    }
                    ("xf", Section::CellFormats) if !is_fallback => {
                        let id = format_id(&start)?.unwrap_or_default();
                        let format = by_id.entry(id).or_insert_with(|| {
                            Arc::new(match codes.get(&id) {
                                Some(codes) if !codes.is_empty() => NumberFormat::parse_all(codes),
                                _ => NumberFormat::parse(built_in_code(id)),
                            })
                        });
                        styles.formats.push(Arc::clone(format));
                    }
                    ("dxf", Section::ConditionalFormats) if !is_fallback => {
                        styles.conditional.push(None);
                    }
                    _ => {}
                },
                Event::End(end) => match end.local_name().as_ref() {
                    "numFmts" | "cellXfs" | "dxfs" => section = Section::Other,
                    "Fallback" => is_fallback = false,
                    "styleSheet" => return Ok(styles),
                    _ => {}
                },
                _ => {}
            }
            let count = styles.formats.len().max(codes.len()).max(styles.conditional.len());
            if count > MAX_STYLES || code_bytes > MAX_FORMATS_BYTES {
                return Err(WorkbookError::TooManyStyles);
            }
        }
    }
}

/// The code of a number format, and the one that newer versions of Excel use in its place.
fn format_codes(element: &BytesStart<'_>) -> Result<Vec<String>, WorkbookError> {
    let mut codes = Vec::new();
    for name in ["formatCode16", "formatCode"] {
        codes.extend(attribute(element, name)?);
    }
    if codes.iter().any(|code| code.len() > MAX_FORMAT_BYTES) {
        return Err(format_too_long());
    }
    Ok(codes)
}

fn format_too_long() -> WorkbookError {
    WorkbookError::Damaged(tr!(
        "a number format is longer than {most} bytes",
        most = MAX_FORMAT_BYTES
    ))
}

fn format_id(element: &BytesStart<'_>) -> Result<Option<u32>, WorkbookError> {
    Ok(attribute(element, "numFmtId")?.and_then(|id| id.parse().ok()))
}

/// The code of a format that workbooks do not define (ECMA-376, 18.8.30), as far as it matters
/// here.
fn built_in_code(id: u32) -> &'static str {
    match id {
        11 => "0.00E+00",
        48 => "##0.0E+0",
        // From 27 on, of East Asian languages.
        14..=22 | 27..=36 | 45 | 47 | 50..=58 => "yyyy-mm-dd hh:mm:ss",
        46 => "[h]:mm:ss",
        _ => "General",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::unpack::workbook::number_format::{Displayed, NumberKind};

    fn error_of(xml: &str) -> WorkbookError {
        match Styles::read(xml.as_bytes()) {
            Err(error) => error,
            Ok(_) => panic!("{xml}"),
        }
    }

    #[test]
    fn alternative_codes_of_one_format_have_to_agree() {
        let xml = r#"<styleSheet><numFmts><mc:AlternateContent><mc:Choice Requires="x16r2">
            <numFmt numFmtId="164" formatCode="0" x16r2:formatCode16="0"/></mc:Choice><mc:Fallback>
            <numFmt numFmtId="164" formatCode="\+0"/></mc:Fallback></mc:AlternateContent>
            <numFmt numFmtId="165" formatCode="+0"/></numFmts>
            <cellXfs><mc:AlternateContent><mc:Choice><xf numFmtId="164"/></mc:Choice><mc:Fallback>
            <xf numFmtId="165"/></mc:Fallback></mc:AlternateContent><xf numFmtId="165"/></cellXfs>
            </styleSheet>"#;
        let formats = Styles::read(xml.as_bytes()).unwrap().formats;
        let shown: Vec<_> =
            formats.iter().map(|format| format.display_number(13_108_207_129.0)).collect();
        let unclear = Displayed::ChangedDigits(r"13108207129 [\+0]".to_owned());
        assert_eq!(shown, [unclear, Displayed::Text("+13108207129".to_owned())]);
    }

    #[test]
    fn cell_formats_refer_to_codes_and_to_built_in_formats() {
        let xml = r#"<x:styleSheet><x:numFmts><x:numFmt numFmtId="164" formatCode="&quot;+&quot;0"/>
            <x:numFmt numFmtId="14" formatCode="0"/></x:numFmts>
            <cellStyleXfs><xf numFmtId="22"/></cellStyleXfs>
            <cellXfs><xf/><xf numFmtId="164"/><xf numFmtId="46"/><xf numFmtId="14"/></cellXfs>
            <dxfs><dxf><font/></dxf><dxf><numFmt numFmtId="165" formatCode="\+0"/></dxf></dxfs>
            </x:styleSheet>"#;
        let Styles { formats, conditional } = Styles::read(xml.as_bytes()).unwrap();
        let codes: Vec<&str> = formats.iter().map(|format| format.code()).collect();
        assert_eq!(codes, ["General", "\"+\"0", "[h]:mm:ss", "0"]);
        assert_eq!(formats[2].kind(), NumberKind::Duration);
        let codes: Vec<_> =
            conditional.iter().map(|format| Some(format.as_ref()?.code())).collect();
        assert_eq!(codes, [None, Some("\\+0")]);
    }

    #[test]
    fn the_number_of_formats_is_bounded() {
        let xml = format!("<styleSheet><cellXfs>{}", "<xf/>".repeat(MAX_STYLES + 1));
        let error = error_of(&xml);
        assert!(matches!(error, WorkbookError::TooManyStyles), "{error}");
    }

    #[test]
    fn cell_formats_share_their_number_format() {
        let code = "0".repeat(MAX_FORMAT_BYTES);
        let xml = format!(
            "<styleSheet><numFmts><numFmt numFmtId=\"164\" formatCode=\"{code}\"/></numFmts>\
             <cellXfs>{}{}</cellXfs></styleSheet>",
            "<xf numFmtId=\"164\"/>".repeat(1000),
            "<xf numFmtId=\"14\"/>".repeat(1000)
        );
        let formats = Styles::read(xml.as_bytes()).unwrap().formats;
        assert_eq!(formats.len(), 2000);
        for half in formats.chunks(1000) {
            assert!(half.iter().all(|format| Arc::ptr_eq(format, &half[0])));
        }
    }

    #[test]
    fn the_codes_of_formats_are_bounded() {
        let format = |id: usize, len: usize| {
            format!("<numFmt numFmtId=\"{id}\" formatCode=\"{}\"/>", "0".repeat(len))
        };
        let long = format!("<styleSheet><numFmts>{}", format(164, MAX_FORMAT_BYTES + 1));
        let error = error_of(&long);
        assert!(matches!(error, WorkbookError::Damaged(_)), "{error}");
        // The same number again and again keeps one format only, but the work grows.
        let count = MAX_FORMATS_BYTES / MAX_FORMAT_BYTES + 1;
        let all = format(164, MAX_FORMAT_BYTES).repeat(count);
        let error = error_of(&format!("<styleSheet><numFmts>{all}"));
        assert!(matches!(error, WorkbookError::TooManyStyles), "{error}");
    }
}
