//! Recognizes by content a file that is not a table: a web page, a document, an archive and so on.

use std::borrow::Cow;
use std::fmt;

use encoding_rs::{UTF_8, UTF_16BE, UTF_16LE};
use tr::tr;

use crate::table::raw::encoding::Encoding;

/// A type of file that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    WebPage,
    WebArchive,
    SpreadsheetXml,
    FlatOpenDocument,
    Xml,
    Json,
    Pdf,
    Rtf,
    Sylk,
    Contacts,
    /// A workbook of Excel 97 to 2003, or older.
    LegacyWorkbook,
    BinaryWorkbook,
    OpenDocument,
    Numbers,
    /// Another document of an office program.
    Document,
    /// The file that marks a workbook as open.
    LockFile,
    /// With the name of the format.
    Archive(&'static str),
    /// With the name of the format.
    Database(&'static str),
    /// With the name of the format.
    Image(&'static str),
    Program,
}

impl fmt::Display for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::WebPage => tr!("a web page (HTML)"),
            Self::WebArchive => tr!("a web page in one file (.mht)"),
            Self::SpreadsheetXml => tr!("an XML Spreadsheet 2003 file"),
            Self::FlatOpenDocument => tr!("a flat OpenDocument file (.fods)"),
            Self::Xml => tr!("an XML file"),
            Self::Json => tr!("a JSON file"),
            Self::Pdf => tr!("a PDF file"),
            Self::Rtf => tr!("an RTF document"),
            Self::Sylk => tr!("a SYLK file (.slk)"),
            Self::Contacts => tr!("a list of contacts in vCard format (.vcf)"),
            Self::LegacyWorkbook => tr!("an old Excel workbook (.xls)"),
            Self::BinaryWorkbook => tr!("a binary Excel workbook (.xlsb)"),
            Self::OpenDocument => tr!("an OpenDocument file (.ods)"),
            Self::Numbers => tr!("a Numbers spreadsheet (.numbers)"),
            Self::Document => tr!("a document of an office program"),
            Self::LockFile => tr!("the file that Excel keeps beside an open workbook (~$…)"),
            Self::Archive(format) => tr!("an archive ({format})", format),
            Self::Database(format) => tr!("a database ({format})", format),
            Self::Image(format) => tr!("an image ({format})", format),
            Self::Program => tr!("a program"),
        })
    }
}

impl FileType {
    /// Why such a file is not read, and what to do.
    pub(crate) fn refusal(self) -> String {
        tr!("this is {kind}, which is not read: {remedy}", kind = self, remedy = self.remedy())
    }

    fn remedy(self) -> String {
        match self {
            Self::WebPage => {
                tr!("if it is an export, open it in Excel or WPS, save it as \"Excel workbook \
                 (.xlsx)\", and run again with that file; if a program downloaded it, check the \
                 address and the login")
            }
            Self::WebArchive
            | Self::SpreadsheetXml
            | Self::FlatOpenDocument
            | Self::Sylk
            | Self::LegacyWorkbook
            | Self::BinaryWorkbook
            | Self::OpenDocument
            | Self::Numbers => tr!(
                "open it in the program that reads it (Excel, WPS …), save it as \"Excel workbook \
                 (.xlsx)\", and run again with that file"
            ),
            Self::Archive(_) => tr!("unpack it, and run again with the table that is in it"),
            Self::LockFile => {
                tr!("run again with the workbook itself, whose name does not begin with ~$")
            }
            Self::Xml
            | Self::Json
            | Self::Pdf
            | Self::Rtf
            | Self::Contacts
            | Self::Document
            | Self::Database(_)
            | Self::Image(_)
            | Self::Program => tr!(
                "export the table as CSV or as \"Excel workbook (.xlsx)\", and run again with that \
                 file"
            ),
        }
    }
}

/// What the first bytes of an input say about its type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recognized {
    /// None of the types here.
    Other,
    Type(FileType),
    /// More bytes decide.
    NeedsMore,
}

/// How many bytes are looked at.
const SAMPLE_BYTES: usize = 64 << 10;

/// Signatures with bytes that do not occur in text, each with its offset.
#[rustfmt::skip]
const BINARY_SIGNATURES: &[(usize, &[u8], FileType)] = &[
    (0, b"7z\xBC\xAF\x27\x1C", FileType::Archive("7z")),
    (0, b"Rar!\x1A\x07", FileType::Archive("RAR")),
    (0, b"\xFD7zXZ\0", FileType::Archive("xz")),
    (0, b"\x04\x22\x4D\x18", FileType::Archive("LZ4")),
    (0, b"\x1F\x9D", FileType::Archive("compress")),
    (0, b"MSCF\0\0\0\0", FileType::Archive("CAB")),
    (4, b"1AY&SY", FileType::Archive("bzip2")),
    (257, b"ustar\0", FileType::Archive("tar")),
    (257, b"ustar  \0", FileType::Archive("tar")),
    // Before Excel 97, without the container of later ones.
    (0, b"\x09\x08\x10\0\0\x06\x05\0", FileType::LegacyWorkbook),
    (0, b"\x09\x08\x08\0\0\x05", FileType::LegacyWorkbook),
    (0, b"\x09\x04\x06\0", FileType::LegacyWorkbook),
    (0, b"\x09\x02\x06\0", FileType::LegacyWorkbook),
    (0, b"\x09\0\x04\0", FileType::LegacyWorkbook),
    (0, b"SQLite format 3\0", FileType::Database("SQLite")),
    (0, b"\0\x01\0\0Standard Jet DB\0", FileType::Database("Access")),
    (0, b"\0\x01\0\0Standard ACE DB\0", FileType::Database("Access")),
    (0, b"\x89PNG\r\n\x1A\n", FileType::Image("PNG")),
    (0, b"\xFF\xD8\xFF", FileType::Image("JPEG")),
    (0, b"II*\0", FileType::Image("TIFF")),
    (0, b"MM\0*", FileType::Image("TIFF")),
    (6, b"\0\0\0\0\x36\0\0\0\x28\0\0\0", FileType::Image("BMP")),
    (0, b"\x7FELF", FileType::Program),
    (0, b"MZ\x90\0", FileType::Program),
    (0, b"\xCF\xFA\xED\xFE", FileType::Program),
];

/// How text of a type begins, in lower case.
const TEXT_SIGNATURES: &[(&str, FileType)] = &[
    ("%pdf-", FileType::Pdf),
    ("{\\rtf", FileType::Rtf),
    ("mime-version:", FileType::WebArchive),
    ("from: <saved by", FileType::WebArchive),
    ("begin:vcard", FileType::Contacts),
    // Not `ID;P` alone: a header may begin so.
    ("id;pwxl", FileType::Sylk),
    ("id;pcalc", FileType::Sylk),
    ("id;pscalc", FileType::Sylk),
    ("gif87a", FileType::Image("GIF")),
    ("gif89a", FileType::Image("GIF")),
];

/// The elements with which only web pages begin.
const HTML_ELEMENTS: &[&str] =
    &["body", "frameset", "head", "html", "iframe", "meta", "noscript", "script", "style"];
/// More elements with which parts of web pages begin. The name of a column may be such a word in
/// angle brackets, so another tag must follow.
const HTML_PART_ELEMENTS: &[&str] = &[
    "a", "b", "base", "br", "center", "div", "font", "form", "h1", "h2", "h3", "link", "main", "p",
    "pre", "section", "span", "table", "tbody", "thead", "title", "tr",
];

/// Recognizes the type of a file by its first bytes. `complete` means that nothing follows them.
pub(crate) fn recognize(start: &[u8], complete: bool) -> Recognized {
    let is_cut = !complete && start.len() < SAMPLE_BYTES;
    let start = start.get(..SAMPLE_BYTES).unwrap_or(start);
    let has = |offset: usize, signature: &[u8]| {
        start.get(offset..).is_some_and(|rest| rest.starts_with(signature))
    };
    if let Some((_, _, file_type)) =
        BINARY_SIGNATURES.iter().find(|(offset, signature, _)| has(*offset, signature))
    {
        return Recognized::Type(*file_type);
    }
    if is_dbase(start) {
        return Recognized::Type(FileType::Database("dBase"));
    }
    if complete && is_lock_file(start) {
        return Recognized::Type(FileType::LockFile);
    }
    let text = decode(start);
    let text =
        text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\0'));
    let begins_with = |signature: &str| {
        text.get(..signature.len()).is_some_and(|head| head.eq_ignore_ascii_case(signature))
    };
    if let Some((_, file_type)) = TEXT_SIGNATURES.iter().find(|(head, _)| begins_with(head)) {
        return Recognized::Type(*file_type);
    }
    match text.as_bytes().first() {
        Some(b'<') => recognize_markup(&text.to_ascii_lowercase(), is_cut),
        Some(b'{' | b'[') => recognize_json(text, is_cut),
        _ => Recognized::Other,
    }
}

/// The text of the sample. What is not UTF-16 is read as UTF-8: signatures are ASCII, which is the
/// same in all other encodings.
fn decode(start: &[u8]) -> Cow<'_, str> {
    let encoding = match start {
        [0xFF, 0xFE, ..] => UTF_16LE,
        [0xFE, 0xFF, ..] => UTF_16BE,
        [first, 0, ..] if *first != 0 => UTF_16LE,
        [0, second, ..] if *second != 0 => UTF_16BE,
        _ => UTF_8,
    };
    let start = start.strip_prefix(Encoding::Gb18030.bom()).unwrap_or(start);
    encoding.decode_with_bom_removal(start).0
}

/// Recognizes a web page and other XML. `text` is in lower case and begins with `<`.
fn recognize_markup(text: &str, is_cut: bool) -> Recognized {
    let mut rest = text;
    while let Some(comment) = rest.strip_prefix("<!--") {
        match comment.split_once("-->") {
            Some((_, after)) => rest = after.trim_start(),
            None if is_cut => return Recognized::NeedsMore,
            None => return Recognized::Type(FileType::WebPage),
        }
    }
    if rest.is_empty() && is_cut {
        return Recognized::NeedsMore;
    }
    if let Some(document_type) = rest.strip_prefix("<!doctype") {
        let is_html = document_type.trim_start().starts_with("html");
        return Recognized::Type(if is_html { FileType::WebPage } else { FileType::Xml });
    }
    let declared = ["<?xml", "<?mso-application"].iter().any(|head| rest.starts_with(head));
    if declared {
        // The root element says which XML it is.
        let root = |text: &str| {
            text.match_indices('<')
                .any(|(at, _)| text[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic()))
        };
        return if is_cut && !root(rest) {
            Recognized::NeedsMore
        } else {
            Recognized::Type(xml_type(rest))
        };
    }
    let Some((name, body)) = split_first_tag(rest) else { return Recognized::Other };
    let has_child = body.trim_start().starts_with('<');
    // `<name>,<mobile>` is the header of a table.
    if body.starts_with([',', ';', '\t', '|', '，']) {
        Recognized::Other
    } else if HTML_ELEMENTS.contains(&name)
        || (HTML_PART_ELEMENTS.contains(&name) && (has_child || body.contains("</")))
    {
        Recognized::Type(FileType::WebPage)
    } else if has_child && body.contains("</") {
        Recognized::Type(xml_type(rest))
    } else {
        Recognized::Other
    }
}

/// Splits `<name …>body`.
fn split_first_tag(text: &str) -> Option<(&str, &str)> {
    let tag = text.strip_prefix('<')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-' | '.');
    let name = &tag[..tag.find(|c| !is_name(c)).unwrap_or(tag.len())];
    let (attributes, body) = tag[name.len()..].split_once('>')?;
    (name.starts_with(|c: char| c.is_ascii_alphabetic())
        && (attributes.is_empty() || attributes.starts_with([' ', '\t', '\r', '\n', '/'])))
    .then_some((name, body))
}

/// The type of an XML text in lower case.
fn xml_type(text: &str) -> FileType {
    if text.contains("<html") {
        FileType::WebPage
    } else if text.contains("urn:schemas-microsoft-com:office:spreadsheet")
        || text.contains("progid=\"excel.sheet\"")
    {
        FileType::SpreadsheetXml
    } else if text.contains("urn:oasis:names:tc:opendocument") {
        FileType::FlatOpenDocument
    } else {
        FileType::Xml
    }
}

/// Recognizes JSON and lines of JSON. A cell may begin with a bracket too, but what follows it is
/// then not the rest of a JSON value.
fn recognize_json(text: &str, is_cut: bool) -> Recognized {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
    match values.next() {
        Some(Ok(value)) => {
            let rest = text.get(values.byte_offset()..).unwrap_or_default();
            let continues = rest.trim_start().starts_with(['{', '[']) || rest.trim().is_empty();
            // `[13800138000]` is a number in brackets.
            let is_number = value
                .as_array()
                .is_some_and(|items| matches!(items.as_slice(), [only] if only.is_number()));
            if continues && !is_number {
                Recognized::Type(FileType::Json)
            } else {
                Recognized::Other
            }
        }
        Some(Err(error)) if error.is_eof() => {
            if is_cut {
                Recognized::NeedsMore
            } else {
                Recognized::Type(FileType::Json)
            }
        }
        _ => Recognized::Other,
    }
}

/// Whether this is the header of a dBase table: a version, a date, the length of the header.
fn is_dbase(start: &[u8]) -> bool {
    let [version, _, month, day, _, _, _, _, low, high, ..] = start else { return false };
    let header_len = u16::from_le_bytes([*low, *high]);
    matches!(version, 0x03 | 0x30 | 0x31 | 0x83 | 0x8B | 0xF5)
        && (1..=12).contains(month)
        && (1..=31).contains(day)
        // A field takes 32 bytes; Visual FoxPro adds 263.
        && matches!(header_len % 32, 1 | 8)
        && start.get(12..16).is_some_and(|reserved| reserved[0] == 0 && reserved[1] == 0)
}

/// Whether this is the file that Excel keeps beside an open workbook: the user's name, once with its
/// length before it and padded by spaces, and once more in UTF-16.
fn is_lock_file(file: &[u8]) -> bool {
    file.len() == 165
        && matches!(file.first(), Some(1..=54))
        && file.get(120..).is_some_and(|end| end.iter().all(|byte| matches!(byte, 0 | b' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_of(bytes: &[u8]) -> Option<FileType> {
        match recognize(bytes, true) {
            Recognized::Type(file_type) => Some(file_type),
            Recognized::Other => None,
            Recognized::NeedsMore => panic!("nothing follows"),
        }
    }

    #[test]
    fn markup_is_recognized_in_every_encoding_and_after_what_may_stand_before_it() {
        let long_comment = format!("<!-- {} -->\n<html>", "导出".repeat(2000));
        for (text, expected) in [
            ("<!DOCTYPE html><html><title>登录</title>", FileType::WebPage),
            ("<!doctype HTML PUBLIC \"-//W3C//DTD\">", FileType::WebPage),
            (
                "<HTML xmlns:x=\"urn:schemas-microsoft-com:office:excel\">\n<HEAD>",
                FileType::WebPage,
            ),
            ("\n\r\n  <html>\n<table>", FileType::WebPage),
            (&long_comment, FileType::WebPage),
            ("<table border=1>\n<tr><td>手机号</td></tr></table>", FileType::WebPage),
            ("<p>会话已过期</p>", FileType::WebPage),
            ("<style>td{mso-number-format:\"\\@\"}</style><table>", FileType::WebPage),
            ("<script>location.href='/login'</script>", FileType::WebPage),
            ("<meta charset=gbk><table>", FileType::WebPage),
            ("<?xml version=\"1.0\"?>\n<!DOCTYPE html>\n<html>", FileType::WebPage),
            (
                "<?xml version=\"1.0\"?>\n<?mso-application progid=\"Excel.Sheet\"?>\n<Workbook>",
                FileType::SpreadsheetXml,
            ),
            (
                "<ss:Workbook xmlns:ss=\"urn:schemas-microsoft-com:office:spreadsheet\">\n\
                 <ss:Worksheet></ss:Worksheet>",
                FileType::SpreadsheetXml,
            ),
            (
                "<?xml version='1.0'?><office:document \
                 xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\">",
                FileType::FlatOpenDocument,
            ),
            ("<?xml version='1.0' encoding='GBK'?>\n<错误>没有</错误>", FileType::Xml),
            ("<rows>\n<row><phone>1</phone></row></rows>", FileType::Xml),
            ("<!DOCTYPE rows SYSTEM 'r.dtd'><rows/>", FileType::Xml),
            ("MIME-Version: 1.0\nContent-Type: multipart/related", FileType::WebArchive),
        ] {
            for encoding in
                [Encoding::Utf8, Encoding::Gb18030, Encoding::Utf16Le, Encoding::Utf16Be]
            {
                for bom in [&b""[..], encoding.bom()] {
                    let mut bytes = bom.to_vec();
                    encoding.encode(text, &mut bytes);
                    assert_eq!(type_of(&bytes), Some(expected), "{encoding} {bom:?} {text}");
                }
            }
        }
    }

    #[test]
    fn json_and_documents_are_recognized() {
        for (text, expected) in [
            ("{\"errcode\": 40014, \"errmsg\": \"不合法的access_token\"}", FileType::Json),
            ("\u{feff}[\n  {\"mobile\": \"13800138000\"}\n]\n", FileType::Json),
            ("[\"13800138000\",\"13800138001\"]", FileType::Json),
            ("[13800138000, 13800138001]", FileType::Json),
            ("{\"mobile\":1}\n{\"mobile\":2}\n", FileType::Json),
            ("{\"mobile\": \"138", FileType::Json),
            ("[]", FileType::Json),
            ("%PDF-1.7\n%\u{e2}", FileType::Pdf),
            ("{\\rtf1\\ansi", FileType::Rtf),
            ("ID;PWXL;N;E\r\nP;PGeneral", FileType::Sylk),
            ("BEGIN:VCARD\r\nVERSION:3.0", FileType::Contacts),
        ] {
            assert_eq!(type_of(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn binary_files_are_recognized() {
        let padded = |start: &[u8]| [start, &[0; 300]].concat();
        let tar = [b"staff.csv".to_vec(), vec![0; 248], b"ustar\x0000".to_vec()].concat();
        let mut lock = b"\x03HR ".to_vec();
        lock.resize(55, b' ');
        lock.extend(b"\x03\0H\0R\0 \0");
        while lock.len() < 165 {
            lock.extend(b" \0");
        }
        lock.truncate(165);
        for (bytes, expected) in [
            (padded(b"7z\xBC\xAF\x27\x1C"), FileType::Archive("7z")),
            (padded(b"Rar!\x1A\x07\x01"), FileType::Archive("RAR")),
            (padded(b"BZh91AY&SY"), FileType::Archive("bzip2")),
            (tar, FileType::Archive("tar")),
            (padded(b"SQLite format 3\0"), FileType::Database("SQLite")),
            (padded(b"\0\x01\0\0Standard ACE DB\0"), FileType::Database("Access")),
            (padded(b"\x03\x7E\x0B\x1E\x02\0\0\0\x61\0\x20\0"), FileType::Database("dBase")),
            (padded(b"\x09\x08\x10\0\0\x06\x05\0"), FileType::LegacyWorkbook),
            (padded(b"\x89PNG\r\n\x1A\n"), FileType::Image("PNG")),
            (padded(b"\x7FELF\x02"), FileType::Program),
            (padded(b"MZ\x90\0\x03"), FileType::Program),
            (lock, FileType::LockFile),
        ] {
            assert_eq!(type_of(&bytes), Some(expected), "{expected}");
        }
    }

    #[test]
    fn a_table_that_begins_like_another_type_is_a_table() {
        for text in [
            "<name>,mobile\n张三,13800138000\n",
            "<title>;<p>\n张三;13800138000\n",
            "<table>\t<mobile>\n1\t13800138000\n",
            "<手机号>\n13800138000\n",
            "<13800138000>\n<13800138001>\n",
            "< 5,mobile\n",
            "<<mobile>>\n13800138000\n",
            "<mobile>\n13800138000\n",
            "<title>\n13800138000\n",
            "{name},mobile\n张三,13800138000\n",
            "{\"name\"},mobile\n",
            "[mobile]\n13800138000\n",
            "[1],mobile\n",
            "[13800138000]\n[13800138001]\n",
            "[\"a\"],mobile\n",
            "ID;Phone\n1;13800138000\n",
            "ID;P\n1;13800138000\n",
            "BM,mobile\nMZ,13800138000\n",
            "PK,mobile\n",
            "\tmobile\n1\t13800138000\n",
            "mobile\n13800138000\n",
            "",
        ] {
            assert_eq!(type_of(text.as_bytes()), None, "{text}");
            let mut utf16 = Vec::new();
            Encoding::Utf16Le.encode(text, &mut utf16);
            assert_eq!(type_of(&utf16), None, "{text}");
        }
    }

    #[test]
    fn more_bytes_are_requested_only_while_they_decide() {
        for text in ["<!-- title", "<!-- title -->\n", "{\n", "[\n  {\"mobile\":", "<?xml version="]
        {
            assert_eq!(recognize(text.as_bytes(), false), Recognized::NeedsMore, "{text}");
        }
        for text in ["mobile\n", "<name>,mobile\n", "{name},mobile\n", "<", ""] {
            assert_eq!(recognize(text.as_bytes(), false), Recognized::Other, "{text}");
        }
        let endless = [b"<!--".to_vec(), b"x".repeat(SAMPLE_BYTES)].concat();
        assert_eq!(recognize(&endless, false), Recognized::Type(FileType::WebPage));
    }
}
