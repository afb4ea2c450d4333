//! Which characters and words are common in text of each legacy encoding.

use std::iter;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};

use crate::table::detect::header_words::{HeaderMatch, match_header};
use crate::table::raw::encoding::Encoding;

/// Words of staff lists for each encoding.
const KNOWN_WORDS: [(Encoding, &[&str]); 4] = [
    (Encoding::Gb18030, &["手机", "电话", "姓名", "工号", "部门", "号码", "联系方式"]),
    (Encoding::Big5, &["手機", "電話", "姓名", "號碼", "工號", "部門", "聯絡方式"]),
    (
        Encoding::ShiftJis,
        &["携帯", "電話", "氏名", "番号", "社員", "部署", "フリガナ", "ﾌﾘｶﾞﾅ", "メール"],
    ),
    (Encoding::Windows1252, &["Straße", "Téléphone", "Prénom", "Müller"]),
];

/// The number of lines in which a header is searched for. A title may be above it.
const HEADER_LINES: usize = 5;

/// Whether the text is UTF-8 with a few invalid bytes. Text in other encodings is hardly ever valid
/// UTF-8.
#[must_use]
pub(crate) fn is_mostly_utf8(bytes: &[u8]) -> bool {
    let (valid, wrong) = bytes.utf8_chunks().fold((0, 0), |(valid, wrong), chunk| {
        let more = chunk.valid().chars().filter(|letter| !letter.is_ascii()).count();
        (valid + more, wrong + usize::from(!chunk.invalid().is_empty()))
    });
    valid > 0 && valid >= wrong * 2
}

/// Whether nearly all characters are valid in this encoding and three quarters of them are common.
#[must_use]
pub(crate) fn is_plausible(encoding: Encoding, bytes: &[u8]) -> bool {
    let (all, usual) = if encoding == Encoding::Windows1252 {
        count_common_western(bytes)
    } else {
        count_common_cjk(encoding, bytes)
    };
    let text = encoding.decode(bytes);
    let wrong = text.chars().filter(|letter| *letter == char::REPLACEMENT_CHARACTER).count();
    usual * 4 >= all * 3 && wrong * 20 <= all
}

/// Whether the text has a word of a staff list, which proves the encoding.
#[must_use]
pub(crate) fn has_known_words(encoding: Encoding, bytes: &[u8]) -> bool {
    let text = encoding.decode(bytes);
    let words = KNOWN_WORDS.iter().filter(|(of, _)| *of == encoding).flat_map(|(_, words)| *words);
    words.into_iter().any(|word| text.contains(word))
}

/// Whether a complete cell of the first lines is a column name of a staff list outside ASCII. A
/// complete name is stronger evidence than a word: it proves the encoding even if other cells have
/// rare characters.
#[must_use]
pub(crate) fn has_known_header(encoding: Encoding, bytes: &[u8]) -> bool {
    let (words, wrong) =
        (KNOWN_WORDS.iter().find(|(of, _)| *of == encoding), char::REPLACEMENT_CHARACTER);
    let words = words.map_or(&[][..], |(_, words)| words);
    let named = |cell: &[u8]| {
        let name = encoding.decode(cell);
        let name = name.trim().trim_matches('"');
        !name.is_ascii()
            && !name.contains(wrong)
            && (words.contains(&name)
                || words.iter().any(|word| name.contains(word))
                    && match_header(name) >= HeaderMatch::ExactPhone)
    };
    let lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty());
    let mut cells =
        lines.take(HEADER_LINES).flat_map(|line| line.split(|byte| b",;\t".contains(byte)));
    let text = encoding.decode(bytes);
    let (foreign, invalid) = text
        .chars()
        .filter(|letter| !letter.is_ascii())
        .fold((0, 0), |(all, none), letter| (all + 1, none + usize::from(letter == wrong)));
    invalid * 20 <= foreign && cells.any(named)
}

/// Counts the characters of one or two bytes outside ASCII, and those among them that the
/// encoding's standard considers common.
fn count_common_cjk(encoding: Encoding, bytes: &[u8]) -> (usize, usize) {
    let mut rest = bytes.iter().copied();
    let pairs = iter::from_fn(|| {
        let lead = rest.find(|byte| !byte.is_ascii())?;
        // Half-width katakana have one byte.
        if encoding == Encoding::ShiftJis && matches!(lead, 0xA1..=0xDF) {
            return Some((lead, 0));
        }
        Some((lead, rest.next().unwrap_or_default()))
    });
    pairs.fold((0, 0), |(all, usual), pair| {
        let is_usual = match encoding {
            // Symbols, and both levels of GB2312: many given names are of the second level.
            Encoding::Gb18030 => matches!(pair, (0xA1..=0xA3 | 0xB0..=0xF7, 0xA1..=0xFE)),
            // Symbols, and the characters of the first level.
            Encoding::Big5 => matches!(pair, (0xA1..=0xC6, 0x40..=0x7E | 0xA1..=0xFE)),
            // The same, and full-width kana.
            _ => matches!(
                pair,
                (0x81..=0x83 | 0x88..=0x97, 0x40..=0x7E | 0x80..=0xFC) | (0xA1..=0xDF, 0)
            ),
        };
        (all + 1, usual + usize::from(is_usual))
    })
}

/// The same for Western text. Common are letters of its languages beside an ASCII letter, except a
/// capital after a lower-case letter, and symbols that are not beside such a letter. Control
/// characters are not.
fn count_common_western(bytes: &[u8]) -> (usize, usize) {
    let text = Encoding::Windows1252.decode(bytes);
    let letters: Vec<char> = text.chars().collect();
    let at = |at: Option<usize>| at.and_then(|at| letters.get(at)).copied().unwrap_or(' ');
    let foreign = letters.iter().enumerate().filter(|(_, letter)| !letter.is_ascii());
    foreign.fold((0, 0), |(all, usual), (place, letter)| {
        let (before, after) = (at(place.checked_sub(1)), at(place.checked_add(1)));
        let plain = before.is_ascii_alphabetic() || after.is_ascii_alphabetic();
        let is_usual = match letter {
            'ÿ' | '÷' | '×' | 'ð' | 'þ' | 'Ð' | 'Þ' | 'ý' | 'Ý' => false,
            'À'..='Þ' | 'Œ' | 'Š' | 'Ž' => plain && !before.is_lowercase(),
            'ß'..='ü' | 'œ' | 'š' | 'ž' => plain && !after.is_uppercase(),
            '’' | '´' | '·' | '\u{a0}' => true,
            _ => {
                "‘“”„–—…•€£§°«»¿¡ºª®™©".contains(*letter) && (before.is_ascii() && after.is_ascii())
            }
        };
        (all + 1, usual + usize::from(is_usual))
    })
}

/// Whether chardetng detects this encoding for the lines that are valid in it. It also knows
/// encodings that are not supported here, so text in one of those is not misread.
#[must_use]
pub(crate) fn detector_agrees(encoding: Encoding, bytes: &[u8]) -> bool {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if encoding.first_invalid(line).is_none() {
            detector.feed(line, false);
        }
    }
    detector.feed(b"", true);
    let name = detector.guess(None, Utf8Detection::Deny).name();
    name.parse() == Ok(encoding)
}
