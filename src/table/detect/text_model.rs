//! Owns what is usual in a text of each encoding that only content tells apart, so that one can be told from the others.
//! What follows from it is `guess`'s.

use std::iter;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};

use crate::table::detect::header_words::{HeaderMatch, match_header};
use crate::table::raw::encoding::Encoding;

/// Words of a staff list by the encodings that they are written in: in another one the same bytes may make them too.
const KNOWN_WORDS: [(Encoding, &[&str]); 4] = [
    (Encoding::Gb18030, &["手机", "电话", "姓名", "工号", "部门", "号码", "联系方式"]),
    (Encoding::Big5, &["手機", "電話", "姓名", "號碼", "工號", "部門", "聯絡方式"]),
    (
        Encoding::ShiftJis,
        &["携帯", "電話", "氏名", "番号", "社員", "部署", "フリガナ", "ﾌﾘｶﾞﾅ", "メール"],
    ),
    (Encoding::Windows1252, &["Straße", "Téléphone", "Prénom", "Müller"]),
];

/// In so many lines a table's header is looked for; titles may stand above it.
const HEADER_LINES: usize = 5;

/// Whether the text is UTF-8 with a few bytes that are none: other encodings' characters are hardly ever valid in it.
#[must_use]
pub(crate) fn is_mostly_utf8(bytes: &[u8]) -> bool {
    let (valid, wrong) = bytes.utf8_chunks().fold((0, 0), |(valid, wrong), chunk| {
        let more = chunk.valid().chars().filter(|letter| !letter.is_ascii()).count();
        (valid + more, wrong + usize::from(!chunk.invalid().is_empty()))
    });
    valid > 0 && valid >= wrong * 2
}

/// Whether nearly everything in the text is valid and three quarters of it are usual in this encoding.
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

/// Whether the text has a word of a staff list, which is proof of the encoding in which it can be read.
#[must_use]
pub(crate) fn has_known_words(encoding: Encoding, bytes: &[u8]) -> bool {
    let text = encoding.decode(bytes);
    let words = KNOWN_WORDS.iter().filter(|(of, _)| *of == encoding).flat_map(|(_, words)| *words);
    words.into_iter().any(|word| text.contains(word))
}

/// Whether a cell in the first lines is, as a whole, the name of a column of a staff list, written in letters beyond ASCII. A
/// whole name is more than a word in some text: it is proof too where the other cells have rare or traditional characters.
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

/// How many characters beyond ASCII there are in a text of one and two bytes each, and how many of them are among those
/// that its standard holds for the usual ones.
fn count_common_cjk(encoding: Encoding, bytes: &[u8]) -> (usize, usize) {
    let mut rest = bytes.iter().copied();
    let pairs = iter::from_fn(|| {
        let lead = rest.find(|byte| !byte.is_ascii())?;
        // Katakana of half width, which take one byte each.
        if encoding == Encoding::ShiftJis && matches!(lead, 0xA1..=0xDF) {
            return Some((lead, 0));
        }
        Some((lead, rest.next().unwrap_or_default()))
    });
    pairs.fold((0, 0), |(all, usual), pair| {
        let is_usual = match encoding {
            // Signs, and all that GB2312 has: many given names are of its second level.
            Encoding::Gb18030 => matches!(pair, (0xA1..=0xA3 | 0xB0..=0xF7, 0xA1..=0xFE)),
            // Signs, and the characters of the first level.
            Encoding::Big5 => matches!(pair, (0xA1..=0xC6, 0x40..=0x7E | 0xA1..=0xFE)),
            // The same, and kana of full width.
            _ => matches!(pair, (0x81..=0x83 | 0x88..=0x97, 0x40..=0x7E | 0x80..=0xFC) | (0xA1..=0xDF, 0)),
        };
        (all + 1, usual + usize::from(is_usual))
    })
}

/// The same for Western text: letters as its languages have them, beside a letter of ASCII and no capital behind a small
/// one; signs that are not beside such a letter; no controls.
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

/// Whether the detector takes those lines for this encoding that are valid in it. It knows a good many other encodings,
/// and a text in one of those is not ours to guess.
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
