//! Reads a text character by character as a person or a program understands it: escapes decoded,
//! digits of every script as ASCII.

use unicode_normalization::UnicodeNormalization;

/// A character, and how the text has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit<'a> {
    pub c: char,
    pub source: &'a str,
}

/// The zeros of the scripts whose digits are in use (the others follow each zero in order).
const ZEROS: [char; 21] = [
    '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}',
    '\u{be6}', '\u{c66}', '\u{ce6}', '\u{d66}', '\u{e50}', '\u{ed0}', '\u{f20}', '\u{1040}',
    '\u{17e0}', '\u{1810}', '\u{1946}', '\u{19d0}', '\u{ff10}',
];
/// The mathematical digits: bold, double-struck and so on, each from 0 to 9.
const MATHEMATICAL_DIGITS: std::ops::RangeInclusive<u32> = 0x1d7ce..=0x1d7ff;

/// The digits in Chinese numerals, as they are read one by one, from 0 to 9.
const CHINESE_DIGITS: [&str; 10] =
    ["〇零○", "一壹壱幺", "二贰貳两兩", "三叁參", "四肆", "五伍", "六陆陸", "七柒", "八捌", "九玖"];
/// In a run of so many digits and characters that look like digits, these are digits,
const MIN_RUN_DIGITS: usize = 7;
/// if so many are digits of some script, or so many as the run needs are Chinese numerals.
const MIN_TRUE_DIGITS: usize = 4;
/// Most characters between two digits of a run. A mask has more.
const MAX_RUN_GAP: usize = 3;
/// Circled digits without a decomposition in Unicode, each with the number of the first.
const CIRCLED_DIGITS: [(std::ops::RangeInclusive<u32>, u32); 6] = [
    (0x2776..=0x277f, 1),
    (0x2780..=0x2789, 1),
    (0x278a..=0x2793, 1),
    (0x24eb..=0x24f4, 11),
    (0x24f5..=0x24fe, 1),
    (0x24ff..=0x24ff, 0),
];

/// Splits `text` into its characters.
#[must_use]
pub(super) fn read_units(text: &str) -> Vec<Unit<'_>> {
    let (mut units, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let (c, length) = decode_escape(rest).unwrap_or((to_ascii(first), first.len_utf8()));
        let (source, after) = rest.split_at(length);
        // Full-width characters are shown as people type them.
        let is_full_width = ('\u{ff0b}'..='\u{ff19}').contains(&first) && c != first;
        units.push(Unit { c, source: if is_full_width { ascii_text(c) } else { source } });
        rest = after;
    }
    units
}

/// Reads the characters that look like digits as digits: circled and raised ones, and in a run of
/// digits also letters such as `O` and Chinese numerals. Returns as well which of the characters
/// these are. `None` if there are none.
#[must_use]
pub(super) fn read_lookalikes<'a>(units: &[Unit<'a>]) -> Option<(Vec<Unit<'a>>, Vec<bool>)> {
    let (mut read, mut is_lookalike) = (Vec::with_capacity(units.len()), Vec::new());
    for unit in units {
        match circled_digits(unit.c) {
            Some(digits) => {
                let sources = std::iter::once(unit.source).chain(std::iter::repeat(""));
                read.extend(digits.chars().zip(sources).map(|(c, source)| Unit { c, source }));
            }
            None => read.push(*unit),
        }
        is_lookalike.resize(read.len(), circled_digits(unit.c).is_some());
    }
    let digits = find_digits(&read);
    let mut start = 0;
    while start < read.len() {
        let end = run_end(&read, &digits, start);
        let in_run = || (start..end).filter(|at| digits[*at].is_some());
        let true_digits = in_run().filter(|at| read[*at].c.is_ascii_digit()).count();
        let numerals = in_run().filter(|at| chinese_digit(read[*at].c).is_some()).count();
        let is_number = numerals >= MIN_RUN_DIGITS
            || (in_run().count() >= MIN_RUN_DIGITS && true_digits >= MIN_TRUE_DIGITS);
        for at in in_run().filter(|_| is_number).collect::<Vec<_>>() {
            is_lookalike[at] |= !read[at].c.is_ascii_digit();
            read[at].c = digits[at].unwrap_or(read[at].c);
        }
        start = end.max(start + 1);
    }
    is_lookalike.contains(&true).then_some((read, is_lookalike))
}

/// The digit that each character is or may stand for. In a word with other letters, a letter is
/// none.
fn find_digits(units: &[Unit<'_>]) -> Vec<Option<char>> {
    let mut digits = Vec::with_capacity(units.len());
    for word in units.chunk_by(|one, other| is_letter(one.c) && is_letter(other.c)) {
        let read = |unit: &Unit<'_>| {
            if unit.c.is_ascii_digit() { Some(unit.c) } else { digit_of_lookalike(unit.c) }
        };
        let is_word = word.iter().any(|unit| read(unit).is_none());
        digits.extend(word.iter().map(|unit| read(unit).filter(|_| !is_word)));
    }
    digits
}

/// Where a run of digits ends, with few characters between them that may separate the groups of one
/// number.
fn run_end(units: &[Unit<'_>], digits: &[Option<char>], start: usize) -> usize {
    let mut end = start;
    while let Some(length) = digits[end..].iter().position(Option::is_some) {
        let between = &units[end..end + length];
        let joins = end > start || length == 0;
        if !joins || length > MAX_RUN_GAP || !between.iter().all(|unit| joins_groups(unit.c)) {
            break;
        }
        end += length + 1;
    }
    end
}

/// Whether the character may stand between the groups of a number or of a list of digits.
fn joins_groups(c: char) -> bool {
    is_separator(c) || matches!(c, ',' | ';' | ':' | '，' | '；' | '：' | '、')
}

/// Whether the character is a letter of a script with small letters or of a similar one.
fn is_letter(c: char) -> bool {
    c.is_lowercase() || c.is_uppercase()
}

/// The digits of a circled or raised number.
fn circled_digits(c: char) -> Option<String> {
    if c.is_ascii() || c.is_alphabetic() {
        return None;
    }
    let code = u32::from(c);
    let circled = CIRCLED_DIGITS.iter().find(|(range, _)| range.contains(&code));
    if let Some((range, first)) = circled {
        return Some((code - range.start() + first).to_string());
    }
    let text: String = std::iter::once(c).nfkc().collect();
    let digits = text.trim_matches(['(', ')', '.']);
    (text != c.to_string() && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.to_owned())
}

/// The digit that a letter of any width or a Chinese numeral stands for.
fn digit_of_lookalike(c: char) -> Option<char> {
    let mut folded = std::iter::once(c).nfkc();
    match folded.next().filter(|_| folded.next().is_none()) {
        Some('O' | 'o' | 'О' | 'о' | 'Ο' | 'ο') => Some('0'),
        Some('I' | 'i' | 'l' | 'І' | 'і' | 'Ι' | 'ι') => Some('1'),
        Some('S' | 'Ѕ') => Some('5'),
        _ => chinese_digit(c),
    }
}

fn chinese_digit(c: char) -> Option<char> {
    let digit = (0..10).zip(CHINESE_DIGITS).find(|(_, same)| same.contains(c))?.0;
    char::from_digit(digit, 10)
}

/// Whether the character may be a digit of a number.
#[must_use]
pub(super) fn may_be_digit(c: char) -> bool {
    c.is_numeric() || chinese_digit(c).is_some()
}

/// The text of an ASCII digit or a plus sign.
fn ascii_text(c: char) -> &'static str {
    const DIGITS: &str = "0123456789";
    let at = c.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
    at.map_or("+", |at| &DIGITS[at..=at])
}

/// A digit of any script or a plus sign of any width as ASCII; other characters as they are.
fn to_ascii(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let digit = |code: u32| char::from_digit(code, 10).unwrap_or(c);
    match u32::from(c) {
        code if MATHEMATICAL_DIGITS.contains(&code) => {
            digit((code - MATHEMATICAL_DIGITS.start()) % 10)
        }
        0xff0b | 0xfe62 => '+',
        code => {
            let value = ZEROS
                .iter()
                .find_map(|zero| code.checked_sub(u32::from(*zero)).filter(|value| *value < 10));
            value.map_or(c, digit)
        }
    }
}

/// The character that is escaped at the beginning of `text`, and the length of the escape: `%2B`,
/// `%252B` and `\u002b`. `None` for characters that no number has: they could be the plain text
/// `%` before a number (`50%13800138000`).
fn decode_escape(text: &str) -> Option<(char, usize)> {
    let (c, length) = match text.as_bytes() {
        [b'%', ..] => decode_percent(text)?,
        [b'\\', b'u', ..] => {
            let code = u32::from_str_radix(text.get(2..6)?, 16).ok()?;
            (char::from_u32(code)?, 6)
        }
        _ => return None,
    };
    let c = to_ascii(c);
    (c.is_ascii_digit() || c == '+' || (is_separator(c) && !c.is_control())).then_some((c, length))
}

/// Decodes the UTF-8 bytes of one character.
fn decode_percent(text: &str) -> Option<(char, usize)> {
    let (mut bytes, mut length) = (Vec::new(), 0);
    loop {
        // A percent sign may itself be escaped, any number of times.
        let escape = text[length..].strip_prefix('%')?;
        let hex = escape.trim_start_matches("25");
        // `%25` alone is a percent sign.
        let hex = if hex.get(..2).is_some_and(is_hex) { hex } else { escape };
        bytes.push(u8::from_str_radix(hex.get(..2).filter(|hex| is_hex(hex))?, 16).ok()?);
        length = text.len() - hex.len() + 2;
        let expected = match bytes[0] {
            0..=0x7f => 1,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            _ => 4,
        };
        if bytes.len() == expected {
            let c = std::str::from_utf8(&bytes).ok()?.chars().next()?;
            return Some((c, length));
        }
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether the character may stand between the digits of one number. Signs that separate values
/// in lists, times and queries may not.
#[must_use]
pub(super) fn is_separator(c: char) -> bool {
    let separates_values = matches!(
        c,
        ',' | ':'
            | ';'
            | '='
            | '&'
            | '?'
            | '<'
            | '>'
            | '"'
            | '+'
            | '@'
            | '，'
            | '：'
            | '；'
            | '＝'
            | '＆'
            | '？'
            | '＋'
            | '、'
    );
    !c.is_alphanumeric() && !separates_values
}

/// Whether a terminal or a browser shows nothing for the character.
#[must_use]
pub(super) fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_digits_of_all_scripts_are_read() {
        for (text, read) in [
            ("%2B852%2d5", "+852-5"),
            ("%252B%31%20", "+1 "),
            (r"\u002b\u0031", "+1"),
            ("%D9%A1%ef%bc%91", "11"),
            ("١۲३１𝟏", "12311"),
            ("＋﹢", "++"),
        ] {
            let chars: String = read_units(text).iter().map(|unit| unit.c).collect();
            assert_eq!(chars, read, "{text}");
        }
    }

    #[test]
    fn characters_that_look_like_digits_are_read() {
        for (text, expected) in [
            ("138O0l3", "1380013"),
            ("⑬⑧⓪❸⒉²", "1380322"),
            ("一三八零零一三", "1380013"),
            ("138零零一3", "1380013"),
            ("壹叁捌〇○幺两", "1380012"),
            ("I38O0l38777,", "13800138777,"),
            ("i38OO13S777 ЅО", "13800135777 50"),
            ("\u{41e}\u{43e}\u{39f}\u{3bf} 1380", "0000 1380"),
            ("Ⅰ3800Ｏ1", "1380001"),
        ] {
            let (read, _) = read_lookalikes(&read_units(text)).unwrap();
            assert_eq!(read.iter().map(|unit| unit.c).collect::<String>(), expected, "{text}");
            assert_eq!(read.iter().map(|unit| unit.source).collect::<String>(), text);
        }
        for text in [
            "第一2 Il O0",
            "一二三四五六",
            "2024年一月",
            "Oo1",
            "m½",
            "SOLO 2026",
            "Office 365",
            "BOOKING1234",
            "portal20261130",
            "info-2026-11-30.csv",
            "15oxq3l8b0o1 1a2l3o4e5",
        ] {
            assert_eq!(read_lookalikes(&read_units(text)), None, "{text}");
        }
    }

    #[test]
    fn other_text_is_read_as_it_is() {
        for text in ["50%13800138000", "%", "%2", "%zz", "%E4%BD%A0", "\\u00", "é\\ué"] {
            let units = read_units(text);
            let (chars, sources): (String, String) =
                units.iter().map(|unit| (unit.c.to_string(), unit.source)).unzip();
            assert_eq!((&*chars, &*sources), (text, text));
        }
    }
}
