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

/// Reads the number formats by the number of the cell format. Cell formats with the same number
/// format share it.
pub(crate) fn read_number_formats(
    part: impl Read,
) -> Result<Vec<Arc<NumberFormat>>, WorkbookError> {
    let mut xml = PartReader::new(part);
    let mut codes: HashMap<u32, String> = HashMap::new();
    let mut by_id: HashMap<u32, Arc<NumberFormat>> = HashMap::new();
    let mut code_bytes = 0;
    let mut formats = Vec::new();
    let (mut in_codes, mut in_formats) = (false, false);
    loop {
        match xml.next_event()? {
            Event::Start(start) => match start.local_name().as_ref() {
                "numFmts" => in_codes = true,
                "cellXfs" => in_formats = true,
                "numFmt" if in_codes => {
                    if let (Some(id), Some(code)) =
                        (format_id(&start)?, attribute(&start, "formatCode")?)
                    {
                        if code.len() > MAX_FORMAT_BYTES {
                            return Err(format_too_long());
                        }
                        code_bytes += code.len();
                        codes.insert(id, code);
                    }
                }
                "xf" if in_formats => {
                    let id = format_id(&start)?.unwrap_or_default();
                    let format = by_id.entry(id).or_insert_with(|| {
                        let code = codes.get(&id).map_or_else(|| built_in_code(id), String::as_str);
                        Arc::new(NumberFormat::parse(code))
                    });
                    formats.push(Arc::clone(format));
                }
                _ => {}
            },
            Event::End(end) => match end.local_name().as_ref() {
                "numFmts" => in_codes = false,
                "cellXfs" => in_formats = false,
                "styleSheet" => return Ok(formats),
                _ => {}
            },
            _ => {}
        }
        if formats.len().max(codes.len()) > MAX_STYLES || code_bytes > MAX_FORMATS_BYTES {
            return Err(WorkbookError::TooManyStyles);
        }
    }
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
    use crate::table::unpack::workbook::number_format::NumberKind;

    #[test]
    fn cell_formats_refer_to_codes_and_to_built_in_formats() {
        let xml = r#"<x:styleSheet><x:numFmts><x:numFmt numFmtId="164" formatCode="&quot;+&quot;0"/>
            <x:numFmt numFmtId="14" formatCode="0"/></x:numFmts>
            <cellStyleXfs><xf numFmtId="22"/></cellStyleXfs>
            <cellXfs><xf/><xf numFmtId="164"/><xf numFmtId="46"/><xf numFmtId="14"/></cellXfs>
            <dxfs><dxf><numFmt numFmtId="165" formatCode="0"/></dxf></dxfs></x:styleSheet>"#;
        let formats = read_number_formats(xml.as_bytes()).unwrap();
        let codes: Vec<&str> = formats.iter().map(|format| format.code()).collect();
        assert_eq!(codes, ["General", "\"+\"0", "[h]:mm:ss", "0"]);
        assert_eq!(formats[2].kind(), NumberKind::Duration);
    }

    #[test]
    fn the_number_of_formats_is_bounded() {
        let xml = format!("<styleSheet><cellXfs>{}", "<xf/>".repeat(MAX_STYLES + 1));
        let error = read_number_formats(xml.as_bytes()).unwrap_err();
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
        let formats = read_number_formats(xml.as_bytes()).unwrap();
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
        let error = read_number_formats(long.as_bytes()).unwrap_err();
        assert!(matches!(error, WorkbookError::Damaged(_)), "{error}");
        // The same number again and again keeps one format only, but the work grows.
        let count = MAX_FORMATS_BYTES / MAX_FORMAT_BYTES + 1;
        let all = format(164, MAX_FORMAT_BYTES).repeat(count);
        let error =
            read_number_formats(format!("<styleSheet><numFmts>{all}").as_bytes()).unwrap_err();
        assert!(matches!(error, WorkbookError::TooManyStyles), "{error}");
    }
}
