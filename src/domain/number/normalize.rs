//! How people spell a number: from a cell to the texts in it that are numbers, and from each to digits and the signs
//! between them, without what spreadsheets, address books and switchboards put around. Leaves quantities to
//! `quantity` and which numbers are mobile ones to `mobile`.

use crate::domain::number::invalid::Invalid;
use crate::domain::number::spreadsheet;

/// From this many digits on, a part of a cell counts as a number of its own.
const MIN_NUMBER_DIGITS: usize = 5;
/// Two numbers with a mere space between them have this many digits each: together more than any one number has.
const MIN_SPACED_NUMBER_DIGITS: usize = 8;
/// The longest extension; a switchboard's are shorter than a subscriber's number.
const MAX_EXTENSION_DIGITS: usize = 7;
/// What stands between two numbers. Full-width signs are plain ones by then.
const SEPARATORS: [char; 13] =
    ['/', '\\', ',', ';', '、', '､', '|', '&', '\n', '或', '和', '及', '与'];
/// What stands before an extension, longer words first.
const EXTENSION_WORDS: [&str; 14] = [
    ";ext",
    "extension",
    "extn",
    "ext",
    "x",
    "#",
    "转接",
    "轉接",
    "转",
    "轉",
    "分机号",
    "分机",
    "分機",
    "内线",
];
/// Quotation marks that a cell may have around it.
const QUOTES: [char; 8] = ['\'', '"', '`', '´', '‘', '’', '“', '”'];

/// A text that could be a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalizedNumber {
    /// Digits and `+ - ( ) .` and spaces, nothing else.
    pub text: String,
    /// The digits alone, at least one.
    pub digits: String,
}

/// Full-width forms become ASCII, invisible characters go, every dash, dot, bracket and space becomes the plain
/// one: what is left differs from a number only in ways that a person can see.
#[must_use]
pub(crate) fn normalize_chars(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    text.extend(cell.chars().filter_map(|c| match c {
        '0'..='9' | '+' | '-' | '(' | ')' | '.' | ' ' => Some(c),
        '[' | '【' | '〔' | '［' => Some('('),
        ']' | '】' | '〕' | '］' => Some(')'),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        // Arabic and Persian digits, as systems in the Gulf export them.
        '\u{660}'..='\u{669}' => char::from_u32(u32::from(c) - 0x660 + 0x30),
        '\u{6f0}'..='\u{6f9}' => char::from_u32(u32::from(c) - 0x6f0 + 0x30),
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' => None,
        '\u{2010}'..='\u{2015}'
        | '\u{2043}'
        | '\u{2212}'
        | '\u{30fc}'
        | '\u{fe58}'
        | '\u{fe63}'
        | '\u{ff70}' => Some('-'),
        '\u{b7}' | '\u{2022}' | '\u{2024}' | '\u{3002}' | '\u{30fb}' | '\u{ff61}' => Some('.'),
        '\u{fe62}' => Some('+'),
        // A line end stays one, since it may stand between two numbers.
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
        c if c.is_whitespace() || c.is_control() => Some(' '),
        c => Some(c),
    }));
    text
}

/// The texts in a plain cell that are numbers of their own: `138…/139…` is two, `n/a` is one, which is none.
#[must_use]
pub(crate) fn split_numbers(text: &str) -> Vec<&str> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || SEPARATORS.contains(&c));
    let numbers = |part: &&str| count_digits(part) >= MIN_NUMBER_DIGITS;
    if text.contains(SEPARATORS) {
        let mut parts = Vec::new();
        let mut rest = text;
        let mut from = 0;
        while let Some(at) =
            rest.get(from..).and_then(|tail| tail.find(SEPARATORS)).map(|at| from + at)
        {
            let (before, after) = rest.split_at(at);
            from = 0;
            if after.starts_with(";ext") {
                // RFC 3966 writes an extension so; it belongs to the number before.
                from = at + 1;
                continue;
            }
            parts.push(before);
            rest = after.trim_start_matches(|c: char| SEPARATORS.contains(&c));
        }
        parts.push(rest);
        parts.retain(numbers);
        if parts.len() > 1 {
            return parts;
        }
    }
    let words: Vec<_> = text.split_whitespace().collect();
    let separate =
        words.len() > 1 && words.iter().all(|word| count_digits(word) >= MIN_SPACED_NUMBER_DIGITS);
    if separate { words } else { vec![text] }
}

fn count_digits(part: &str) -> usize {
    part.bytes().filter(u8::is_ascii_digit).count()
}

/// Reads one of a cell's parts.
///
/// # Errors
/// The [`Refusal`] that needs no numbering plan: empty, rounded, a fraction, no number.
pub(crate) fn normalize_number(part: &str) -> Result<NormalizedNumber, Invalid> {
    let text = strip_wrapping(part);
    if text.is_empty() {
        return Err(Invalid::Empty);
    }
    let text = spreadsheet::undo_number_format(strip_extension(text).unwrap_or(text))?;
    let text: String = text.chars().map(|c| if c == '\n' { ' ' } else { c }).collect();
    if !text.chars().all(|c| c.is_ascii_digit() || "+-(). ".contains(c)) {
        return Err(Invalid::NotANumber);
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    // A plus behind the first digit is that of a sum.
    let sum = text.rfind('+') > text.find(|c: char| c.is_ascii_digit());
    if digits.is_empty() || sum {
        Err(Invalid::NotANumber)
    } else {
        Ok(NormalizedNumber { text, digits })
    }
}

/// Takes off what spreadsheets and address books put around a number: `="138…"`, a leading apostrophe, `tel:`.
fn strip_wrapping(text: &str) -> &str {
    let text = text.trim();
    // An equals sign without quotation marks is a sum, and the cell not what it shows.
    let text = text.strip_prefix('=').filter(|rest| rest.starts_with('"')).unwrap_or(text);
    let text = text.trim_matches(QUOTES).trim();
    let scheme = text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("tel:"));
    if scheme { text.get(4..).unwrap_or_default().trim() } else { text }
}

/// The number in front of an extension: an extension is a switchboard's, and the API knows none.
fn strip_extension(text: &str) -> Option<&str> {
    let open = text.strip_suffix(')').map_or(text, str::trim_end);
    let rest = open.trim_end_matches(|c: char| c.is_ascii_digit());
    if !(1..=MAX_EXTENSION_DIGITS).contains(&(open.len() - rest.len())) {
        return None;
    }
    let rest = rest.trim_end_matches([' ', '.', ':', '=', '-']);
    let word = EXTENSION_WORDS.iter().find(|word| {
        let start = rest.len().checked_sub(word.len());
        start.and_then(|start| rest.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(word))
    })?;
    let number = rest.get(..rest.len() - word.len())?.trim_end_matches([' ', '-', ',', ';', '(']);
    (count_digits(number) >= MIN_NUMBER_DIGITS).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digits(cell: &str) -> Result<String, Invalid> {
        normalize_number(&normalize_chars(cell)).map(|spelt| spelt.digits)
    }

    #[test]
    fn extensions_are_removed() {
        for cell in [
            "13800138000;ext=12",
            "13800138000;ext=12345",
            "tel:13800138000;ext=1",
            "13800138000转12",
            "13800138000 转 8001",
            "13800138000-转-12",
            "13800138000(转8001)",
            "13800138000（转8001）",
            "13800138000轉12",
            "13800138000分机12",
            "13800138000 分机号：12",
            "13800138000 内线12",
            "13800138000 ext. 12",
            "13800138000 Ext:12",
            "13800138000, ext 12",
            "13800138000extn12",
            "13800138000 extension 12",
            "13800138000x12",
            "13800138000 X 12",
            "13800138000ｘ１２",
            "13800138000#12",
        ] {
            assert_eq!(digits(cell).as_deref(), Ok("13800138000"), "{cell}");
            assert_eq!(split_numbers(&normalize_chars(cell)).len(), 1, "{cell}");
        }
        for cell in [
            "13800138000转",
            "13800138000 ext",
            "13800138000x13900139000",
            "1380013xxxx",
            "1x3800138000",
            "x12",
        ] {
            assert_eq!(digits(cell), Err(Invalid::NotANumber), "{cell}");
        }
    }

    #[test]
    fn several_numbers_in_a_cell_are_split() {
        for cell in [
            "13800138000/13900139000",
            "13800138000／13900139000",
            "13800138000 \\ 13900139000",
            "13800138000、13900139000",
            "13800138000､13900139000",
            "13800138000,13900139000",
            "13800138000，13900139000",
            "13800138000;13900139000;",
            "13800138000；13900139000",
            "13800138000|13900139000",
            "13800138000 & 13900139000",
            "13800138000 或 13900139000",
            "13800138000或13900139000",
            "13800138000和13900139000",
            "13800138000\n13900139000",
            "13800138000\r\n13900139000\r\n",
            "13800138000\u{2028}13900139000",
            "13800138000 13900139000",
            "13800138000\u{3000}13900139000",
            "13800138000/13900139000/无",
        ] {
            let text = normalize_chars(cell);
            let parts: Vec<_> = split_numbers(&text).into_iter().map(str::trim).collect();
            assert_eq!(parts, ["13800138000", "13900139000"], "{cell:?}");
        }
        let text = "13800138000;ext=12345/010-62345678;ext=1;13900139000";
        assert_eq!(
            split_numbers(text),
            ["13800138000;ext=12345", "010-62345678;ext=1", "13900139000"]
        );
        for cell in [
            "n/a",
            "a,b",
            "138001/x",
            "",
            "138 0013 8000",
            "0086 13800138000",
            "13,800,138,000",
            "13800138000,0",
            "138\n00138000",
            "13800138000/1",
        ] {
            assert_eq!(split_numbers(cell), [cell], "{cell:?}");
        }
    }

    #[test]
    fn text_around_a_number_is_stripped() {
        for cell in [
            "'13800138000",
            "’13800138000",
            "`13800138000",
            "=\"13800138000\"",
            "＝\"13800138000\"",
            "\"13800138000\"",
            "“13800138000”",
            "tel:13800138000",
            "TEL: 13800138000",
            "=\"tel:13800138000\"",
            "[138]00138000",
            "【138】00138000",
            "١٣٨٠٠١٣٨٠٠٠",
            "۱۳۸۰۰۱۳۸۰۰۰",
            "138\n0013\n8000",
        ] {
            assert_eq!(digits(cell).as_deref(), Ok("13800138000"), "{cell}");
        }
        for cell in ["", " ", "\u{feff}\u{3000}", "'", "=\"\"", "\"\"", "tel:"] {
            assert_eq!(digits(cell), Err(Invalid::Empty), "{cell:?}");
        }
        for cell in
            ["=13800138000", "=1380013+8000", "1380013+8000", "138****8000", "无", "---", "+"]
        {
            assert_eq!(digits(cell), Err(Invalid::NotANumber), "{cell:?}");
        }
    }

    proptest! {
        #[test]
        fn normalized_text_has_only_digits_and_signs(cell in "\\PC{0,30}|[0-9+eEx转. ()'=\"/;-]{0,24}") {
            let text = normalize_chars(&cell);
            for part in split_numbers(&text) {
                if let Ok(spelt) = normalize_number(part) {
                    prop_assert!(spelt.text.chars().all(|c| c.is_ascii_digit() || "+-(). ".contains(c)));
                    prop_assert!(!spelt.digits.is_empty() && spelt.digits.bytes().all(|b| b.is_ascii_digit()));
                }
            }
        }
    }
}
