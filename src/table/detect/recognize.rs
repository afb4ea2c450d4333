//! Recognizes by content a file that is not a table: a web page, a document, an archive and so on.

use encoding_rs::{GB18030, UTF_8, UTF_16BE, UTF_16LE};

use crate::table::detect::file_type::{FileType, Recognized};
use crate::table::detect::json::{recognize_json, recognize_script};
use crate::table::detect::markup::{has_markup_lines, recognize_markup};
use crate::table::raw::encoding::Encoding;

/// How many bytes are looked at, from the first that is not blank.
const SAMPLE_BYTES: usize = 64 << 10;
/// So many blank bytes are no beginning of a table.
const MAX_BLANK_BYTES: usize = 1 << 20;
/// What other programs write before the first byte of a file is not longer.
const MAX_PREFIX_BYTES: usize = 1 << 10;

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
    ("{\\rtf", FileType::Rtf),
    ("version https://git-lfs.github.com/spec/", FileType::LfsPointer),
    // Not `ID;P` alone: a header may begin so.
    ("id;pwxl", FileType::Sylk),
    ("id;pcalc", FileType::Sylk),
    ("id;pscalc", FileType::Sylk),
    // Before JSON that is not meant for scripts.
    (")]}'", FileType::Json),
];

/// Recognizes the type of a file by its first bytes. `complete` means that nothing follows them.
pub(crate) fn recognize(start: &[u8], complete: bool) -> Recognized {
    if let Some(file_type) = recognize_binary(start, complete) {
        return Recognized::Type(file_type);
    }
    let (encoding, blank_len) = skip_blanks(start);
    let rest = &start[blank_len..];
    if rest.is_empty() {
        let is_zeros = !start.is_empty() && start.iter().all(|byte| *byte == 0);
        return if !complete && blank_len < MAX_BLANK_BYTES {
            Recognized::NeedsMore
        } else if is_zeros {
            Recognized::Type(FileType::Zeros)
        } else {
            Recognized::Other
        };
    }
    let is_cut = !complete && rest.len() < SAMPLE_BYTES;
    let text = encoding.decode_without_bom_handling(rest.get(..SAMPLE_BYTES).unwrap_or(rest)).0;
    recognize_text(text.trim_start_matches(is_invisible), is_cut)
}

fn recognize_binary(start: &[u8], complete: bool) -> Option<FileType> {
    let has = |offset: usize, signature: &[u8]| {
        start.get(offset..).is_some_and(|rest| rest.starts_with(signature))
    };
    let signature = BINARY_SIGNATURES.iter().find(|(offset, bytes, _)| has(*offset, bytes));
    if let Some((_, _, file_type)) = signature {
        return Some(*file_type);
    }
    let prefix = start.get(..MAX_PREFIX_BYTES).unwrap_or(start);
    let is_zip = |bytes: &[u8]| bytes == b"PK\x03\x04";
    if is_dbase(start) {
        Some(FileType::Database("dBase"))
    } else if (has(0, b"GIF87a") || has(0, b"GIF89a")) && prefix.contains(&0) {
        Some(FileType::Image("GIF"))
    } else if !has(0, b"PK\x03\x04") && prefix.windows(4).any(is_zip) {
        Some(FileType::PrefixedZip)
    } else if complete && is_lock_file(start) {
        Some(FileType::LockFile)
    } else {
        None
    }
}

/// The encoding of the text, and the length of the byte order mark and the blanks at its beginning.
/// What is not UTF-16 or UTF-8 is read as GB18030: signatures are ASCII, and in other encodings of
/// two bytes too, the second byte of a character may be a `\` or `{`.
fn skip_blanks(start: &[u8]) -> (&'static encoding_rs::Encoding, usize) {
    let marked = [
        (Encoding::Utf8, UTF_8),
        (Encoding::Utf16Le, UTF_16LE),
        (Encoding::Utf16Be, UTF_16BE),
        (Encoding::Gb18030, GB18030),
    ];
    let marked = marked.into_iter().find(|(encoding, _)| start.starts_with(encoding.bom()));
    let bom_len = marked.map_or(0, |(encoding, _)| encoding.bom().len());
    let text = &start[bom_len..];
    let encoding = marked.map(|(_, encoding)| encoding).or(match text {
        [1..=255, 0, 1..=255, 0, ..] => Some(UTF_16LE),
        [0, 1..=255, 0, 1..=255, ..] => Some(UTF_16BE),
        _ => None,
    });
    let unit_len = if encoding.is_some_and(|it| it == UTF_16LE || it == UTF_16BE) { 2 } else { 1 };
    let is_blank = |byte: &u8| matches!(byte, 0 | b' ' | b'\t' | b'\r' | b'\n');
    let units = text.chunks(unit_len);
    let blank_len = bom_len
        + units.take_while(|unit| unit.iter().all(is_blank)).map(<[u8]>::len).sum::<usize>();
    let sample = start.get(blank_len..blank_len + SAMPLE_BYTES).unwrap_or(&start[blank_len..]);
    let encoding = encoding.unwrap_or_else(|| if is_utf8(sample) { UTF_8 } else { GB18030 });
    (encoding, blank_len)
}

/// Whether the sample is UTF-8, of which the last character may be cut off.
fn is_utf8(sample: &[u8]) -> bool {
    std::str::from_utf8(sample).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// Whether a character before the first tag is not seen.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

fn recognize_text(text: &str, is_cut: bool) -> Recognized {
    let begins_with = |signature: &str| {
        text.get(..signature.len()).is_some_and(|head| head.eq_ignore_ascii_case(signature))
    };
    let signature = TEXT_SIGNATURES.iter().find(|(head, _)| begins_with(head));
    let first_line = text.lines().next().unwrap_or_default().trim_end();
    if let Some((_, file_type)) = signature {
        return Recognized::Type(*file_type);
    } else if first_line.eq_ignore_ascii_case("begin:vcard") {
        return Recognized::Type(FileType::Contacts);
    } else if is_http_status(first_line) {
        return Recognized::Type(FileType::HttpReply);
    } else if is_pdf(text) {
        return Recognized::Type(FileType::Pdf);
    } else if let Some(file_type) = recognize_message(text) {
        return Recognized::Type(file_type);
    }
    let found = match text.as_bytes().first() {
        Some(b'<') => recognize_markup(&text.to_ascii_lowercase(), is_cut),
        Some(b'{' | b'[') => recognize_json(text, is_cut),
        _ => recognize_script(text, is_cut),
    };
    match found {
        Recognized::Other if has_markup_lines(text) && is_cut => Recognized::NeedsMore,
        Recognized::Other if has_markup_lines(text) => Recognized::Type(FileType::WebPage),
        found => found,
    }
}

/// Whether the first line is that of an HTTP reply, such as `HTTP/1.1 200 OK`.
fn is_http_status(first_line: &str) -> bool {
    let mut words = first_line.split_ascii_whitespace();
    let (version, code) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    version.get(..5).is_some_and(|protocol| protocol.eq_ignore_ascii_case("http/"))
        && code.len() == 3
        && code.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether this is a PDF, before which other bytes may be.
fn is_pdf(text: &str) -> bool {
    const HEAD: &str = "%PDF-";
    text.match_indices(HEAD).take_while(|(at, _)| *at < MAX_PREFIX_BYTES).any(|(at, _)| {
        let version = &text[at + HEAD.len()..];
        let rest = version.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let has_version = rest.len() < version.len();
        has_version
            && (rest.is_empty() || rest.starts_with(char::is_whitespace))
            && (at == 0 || rest.contains(" obj"))
    })
}

/// Recognizes the header of a message: lines `Name: value` up to a blank one. Web pages in one file
/// have it, and replies of web servers without their first line.
fn recognize_message(text: &str) -> Option<FileType> {
    let mut found = None;
    for line in text.lines() {
        if line.trim().is_empty() {
            break;
        } else if line.starts_with([' ', '\t']) {
            continue;
        }
        let (name, _) = line.split_once(':')?;
        if name.is_empty() || !name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') {
            return None;
        } else if name.eq_ignore_ascii_case("mime-version") {
            return Some(FileType::WebArchive);
        } else if name.eq_ignore_ascii_case("content-type") {
            found = Some(FileType::HttpReply);
        }
    }
    found
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

/// Whether this is the file that Excel or WPS keeps beside an open workbook: the user's name, with
/// its length before it and padded by spaces or zeros, and the same once more in UTF-16.
fn is_lock_file(file: &[u8]) -> bool {
    // Byte 55 or, by some versions, byte 54 is the second length.
    let (Some((&len, name)), Some([one, other, end @ ..])) = (file.split_first(), file.get(54..))
    else {
        return false;
    };
    let second = if *other == 0 { *one } else { *other };
    let padding = [name.get(usize::from(len)..53), end.get(2 + 2 * usize::from(second)..)];
    (160..=170).contains(&file.len())
        && file.contains(&0)
        && (1..=53).contains(&len)
        && (1..=len).contains(&second)
        && padding.iter().all(|bytes| {
            bytes.is_some_and(|bytes| bytes.iter().all(|byte| matches!(byte, 0 | b' ')))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn type_of(bytes: &[u8]) -> Option<FileType> {
        match recognize(bytes, true) {
            Recognized::Type(file_type) => Some(file_type),
            Recognized::Other => None,
            other => panic!("{other:?} {}", String::from_utf8_lossy(bytes)),
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
            ("callback({\"mobile\":\"13800138000\"})", FileType::Json),
            ("/**/cb({mobile: '13800138000'})", FileType::Json),
            ("({mobile: '13800138000'})", FileType::Json),
            ("var staff = [{\"mobile\": 1}];\n", FileType::Json),
            ("staff={mobile:'1'}", FileType::Json),
            (")]}',\n{\"mobile\": 1}", FileType::Json),
            ("{mobile:'13800138000'}", FileType::Json),
            ("[{ $mobile_1 : '13800138000' }]", FileType::Json),
            ("{\n  mobile: '13800138000',\n}\n", FileType::Json),
            ("{'name': 'a', 'mobile': '138'}\n{'name': 'b', 'mobile': '139'}\n", FileType::Json),
            ("[{'name': 'a'}, {'name': None}]", FileType::Json),
            ("['13800138000', '13900004011']", FileType::Json),
            ("[('a', '13800138000'), ('b', '13900004011')]", FileType::Json),
            ("[\n  ('a', '13800138000'),\n]\n", FileType::Json),
            ("HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n\r\nmobile\n", FileType::HttpReply),
            ("HTTP/2 302 \r\n", FileType::HttpReply),
            ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>", FileType::HttpReply),
            ("Content-Type: text/html\r\nStatus: 200\r\n\r\n<html>", FileType::HttpReply),
            (
                "From: <由 WPS 保存>\r\nSubject: x\r\n y\r\nMIME-Version: 1.0\r\n\r\n--x",
                FileType::WebArchive,
            ),
            (
                "version https://git-lfs.github.com/spec/v1\nsize 13800138000\n",
                FileType::LfsPointer,
            ),
            ("%PDF-1.7\n%\u{e2}", FileType::Pdf),
            ("%PDF-1.4", FileType::Pdf),
            ("\r\n\r\nxx%PDF-1.4\n1 0 obj\n", FileType::Pdf),
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
        let deep = format!("{}13800138000{}\n", "[".repeat(130), "]".repeat(130));
        assert_eq!(type_of(deep.as_bytes()), Some(FileType::Json));
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
    fn lock_files_of_excel_and_wps_are_recognized() {
        let utf16 = |name: &str| name.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let file = |first: &[u8], second: &str, at: usize, size: usize, padding: &[u8]| {
            let mut file = vec![u8::try_from(first.len()).unwrap()];
            file.extend(first);
            file.resize(at, padding[0]);
            file.extend(u16::try_from(second.encode_utf16().count()).unwrap().to_le_bytes());
            file.extend(utf16(second));
            while file.len() < size {
                file.extend(padding);
            }
            file.truncate(size);
            file
        };
        let long = "J".repeat(34);
        for bytes in [
            file(b"HR", "HR", 55, 165, b" \0"),
            file(long.as_bytes(), &long, 55, 165, b" \0"),
            file(b"\xD5\xC5\xC8\xFD", "张三", 55, 165, b" \0"),
            file(b"user", "user", 54, 164, b"\0"),
        ] {
            assert_eq!(type_of(&bytes), Some(FileType::LockFile), "{bytes:?}");
        }
        let table = format!("{}\n{}", " ".repeat(60), "1".repeat(104));
        assert_eq!(type_of(table.as_bytes()), None);
    }

    #[test]
    fn what_stands_before_the_first_character_does_not_matter() {
        let page = "<html><table>\n<tr><td>13800138000</td></tr>\n</table>";
        for before in ["\0", "\u{200b}", "\u{feff}\u{2060}\n", "\u{1a}\0\0", "\r\n \u{3000}"] {
            let text = format!("{before}{page}");
            assert_eq!(type_of(text.as_bytes()), Some(FileType::WebPage), "{before:?}");
        }
        for encoding in [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be] {
            for bom in [&b""[..], encoding.bom()] {
                let mut bytes = bom.to_vec();
                encoding.encode(&format!("{}{page}", " ".repeat(70_000)), &mut bytes);
                assert_eq!(type_of(&bytes), Some(FileType::WebPage), "{encoding} {bom:?}");
            }
        }
        assert_eq!(type_of(&[0; 5000]), Some(FileType::Zeros));
        assert_eq!(recognize(&vec![0; MAX_BLANK_BYTES], false), Recognized::Type(FileType::Zeros));
        let zip = b"\xEF\xBB\xBF\r\nPK\x03\x04\x14\0\x06\0";
        assert_eq!(type_of(zip), Some(FileType::PrefixedZip));
        assert_eq!(type_of(b"PK\x03\x04\x14\0\x06\0"), None, "it is read as a workbook");
    }

    #[test]
    fn a_text_of_lines_with_numbers_may_be_a_table_all_the_same() {
        for (text, expected) in [
            ("<script>x</script>,13800138000\n<b>李四</b>,13900004011\n", FileType::WebPage),
            ("<b>手机号</b>\n13800138000\n13900004011\n", FileType::WebPage),
            ("<员工>张三</员工>\n138-0013-8000\n13900004011\n", FileType::Xml),
            ("{部门:研发},13800138000\n{部门:人事},13900004011\n", FileType::Json),
        ] {
            let found = recognize(text.as_bytes(), true);
            assert_eq!(found, Recognized::TypeOrTable(expected), "{text}");
        }
        // Complete JSON and a whole page are no tables, however many numbers they have.
        for text in [
            "[\n13800138000,\n13900004011\n]",
            "<!doctype html>\n<p>\n13800138000",
            "<html><body><pre>姓名,手机号\n张三,13800138000\n李四,13900004011\n</pre></body></html>",
        ] {
            assert!(matches!(recognize(text.as_bytes(), true), Recognized::Type(_)), "{text}");
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
            "<b>张三</b>,13800138000\n<b>李四</b>,13900004011\n",
            "<a href=http://x>姓名</a>,手机号\n<a href=http://y>李四</a>,13900004011\n",
            "<%name%>,mobile\n张三,13800138000\n",
            "%PDF-Name,mobile\na,13800138000\n",
            "姓名,文件\n张三,%PDF-1.4\n",
            "BEGIN:VCARD,mobile\na,13800138000\n",
            "BEGIN,mobile\na,13800138000\n",
            "GIF89a,mobile\na,13800138000\n",
            "MIME-Version,mobile\na,13800138000\n",
            "Content-Type: x,mobile\na,13800138000\n",
            "HTTP/1.1,mobile\na,13800138000\n",
            "version,mobile\nhttps://git-lfs.github.com/spec/v1,13800138000\n",
            "[name],[mobile]\na,13800138000\n",
            "a = {b},mobile\nx,13800138000\n",
            "var ,mobile\nx,13800138000\n",
            "姓名,简介,手机号\n张三,\"\n<table>\n<tr>\",13800138000\n李四,,13900004011\n",
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
        // With more lines, these may be tables for -c.
        for text in ["<b>手机号</b>\n", "<员工>张三</员工>\n", "{a: 1}\n", "<table>\n<tr>\n"]
        {
            assert_eq!(recognize(text.as_bytes(), false), Recognized::NeedsMore, "{text}");
        }
        for text in ["", "\n \0\n", "员工<br>\n<table>\n"] {
            assert_eq!(recognize(text.as_bytes(), false), Recognized::NeedsMore, "{text}");
        }
        assert_eq!(recognize(&b" ".repeat(MAX_BLANK_BYTES), false), Recognized::Other);
        for text in ["mobile\n", "<name>,mobile\n", "{name},mobile\n", "<"] {
            assert_eq!(recognize(text.as_bytes(), false), Recognized::Other, "{text}");
        }
        let endless = [b"<!--".to_vec(), b"x".repeat(SAMPLE_BYTES)].concat();
        assert_eq!(recognize(&endless, false), Recognized::Type(FileType::WebPage));
    }
}
