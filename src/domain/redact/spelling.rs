//! Reads a text character by character as a person or a program understands it: escapes decoded,
//! digits of every script as ASCII.

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
    fn other_text_is_read_as_it_is() {
        for text in ["50%13800138000", "%", "%2", "%zz", "%E4%BD%A0", "\\u00", "é\\ué"] {
            let units = read_units(text);
            let (chars, sources): (String, String) =
                units.iter().map(|unit| (unit.c.to_string(), unit.source)).unzip();
            assert_eq!((&*chars, &*sources), (text, text));
        }
    }
}
