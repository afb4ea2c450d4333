//! Recognizes by content a file that is not a table: a web page, a document, an archive and so on.

use std::borrow::Cow;

use encoding_rs::{GB18030, UTF_8, UTF_16BE, UTF_16LE};
use serde::de::IgnoredAny;

use crate::table::detect::file_type::{FileType, Recognized};
use crate::table::detect::markup::recognize_markup;
use crate::table::raw::encoding::Encoding;

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
    ("http/1.", FileType::HttpReply),
    ("http/2 ", FileType::HttpReply),
    ("http/3 ", FileType::HttpReply),
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
        _ => recognize_json_call(text, is_cut),
    }
}

/// The text of the sample. What is not UTF-16 or UTF-8 is read as GB18030: signatures are ASCII,
/// and in other encodings of two bytes too, the second byte of a character may be a `\` or `{`.
fn decode(start: &[u8]) -> Cow<'_, str> {
    let encoding = match start {
        [0xFF, 0xFE, ..] => UTF_16LE,
        [0xFE, 0xFF, ..] => UTF_16BE,
        [first, 0, ..] if *first != 0 => UTF_16LE,
        [0, second, ..] if *second != 0 => UTF_16BE,
        _ if is_utf8(start) => UTF_8,
        _ => GB18030,
    };
    let start = start.strip_prefix(Encoding::Gb18030.bom()).unwrap_or(start);
    encoding.decode_with_bom_removal(start).0
}

/// Whether the sample is UTF-8, of which the last character may be cut off.
fn is_utf8(sample: &[u8]) -> bool {
    std::str::from_utf8(sample).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// Recognizes JSON and lines of JSON. A cell may begin with a bracket too, but what follows it is
/// then not the rest of a JSON value.
fn recognize_json(text: &str, is_cut: bool) -> Recognized {
    // Unlike other types of values, this one has no limit of depth.
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(IgnoredAny)) => {
            let (value, rest) = text.split_at(values.byte_offset());
            let continues = rest.trim_start().starts_with(['{', '[']) || rest.trim().is_empty();
            // `[13800138000]` is a number in brackets.
            let inner = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
            let is_number = inner.is_some_and(|inner| inner.trim().parse::<f64>().is_ok());
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

/// Recognizes JSON as the argument of a function, `name({…})`, which web servers send to scripts.
fn recognize_json_call(text: &str, is_cut: bool) -> Recognized {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.');
    let argument = text.trim_start_matches(is_name).strip_prefix('(');
    let Some(argument) = argument.filter(|argument| argument.starts_with(['{', '['])) else {
        return Recognized::Other;
    };
    let mut values = serde_json::Deserializer::from_str(argument).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(IgnoredAny)) => {
            let rest = argument.get(values.byte_offset()..).unwrap_or_default().trim_start();
            let end = rest.strip_prefix(')').map(|end| end.trim_matches([';', ' ', '\r', '\n']));
            if end == Some("") { Recognized::Type(FileType::Json) } else { Recognized::Other }
        }
        Some(Err(error)) if error.is_eof() && is_cut => Recognized::NeedsMore,
        Some(Err(error)) if error.is_eof() => Recognized::Type(FileType::Json),
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

/// Whether this is the file that Excel keeps beside an open workbook: the user's name, once with
/// its length before it and padded by spaces, and once more in UTF-16.
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
            ("cb({\"mobile\": \"13800138000\"});\n", FileType::Json),
            ("jQuery.cb_1([1, 2])", FileType::Json),
            ("HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n\r\nmobile\n", FileType::HttpReply),
            ("HTTP/2 302 \r\n", FileType::HttpReply),
            ("%PDF-1.7\n%\u{e2}", FileType::Pdf),
            ("{\\rtf1\\ansi", FileType::Rtf),
            ("ID;PWXL;N;E\r\nP;PGeneral", FileType::Sylk),
            ("BEGIN:VCARD\r\nVERSION:3.0", FileType::Contacts),
        ] {
            assert_eq!(type_of(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn deep_json_is_recognized() {
        let deep = format!("{}1{}\n", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        assert_eq!(type_of(deep.as_bytes()), Some(FileType::Json));
        let lines = format!("{}\n13800138000\n13800138001\n", "{\"a\":".repeat(130));
        assert_eq!(type_of(lines.as_bytes()), None, "it is neither");
    }

    #[test]
    fn json_is_recognized_in_encodings_with_ascii_as_second_byte() {
        // 0xB5 0x5C and 0xC5 0x7D: the second byte is `\` and `}`.
        for text in
            [&b"{\"name\": \"\xB5\x5C\", \"mobile\": 1}\n"[..], b"{\"\xC5\x7D\": \"\xA5\x5C\"}"]
        {
            assert_eq!(type_of(text), Some(FileType::Json), "{text:?}");
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
            "[13800138000 ]\n",
            "phone([86]),mobile\n",
            "mobile({home})\n13800138000\n",
            "http/mobile\n13800138000\n",
            "<b>姓名</b>,<b>手机号</b>\n张三,13800138000\n",
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
