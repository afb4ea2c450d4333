//! Splits the text of a cell into numbers, and reduces each to digits and separators.

use crate::domain::number::invalid::Invalid;
use crate::domain::number::labels::{LabelKind, count_digits, is_none, split_label};
use crate::domain::number::spreadsheet;

/// A part of a cell with fewer digits is not a separate number.
const MIN_NUMBER_DIGITS: usize = 5;
/// A space separates two numbers only if both have this many digits, which together are more than
/// any single number has.
const MIN_SPACED_NUMBER_DIGITS: usize = 8;
/// Extensions are shorter than subscriber numbers.
const MAX_EXTENSION_DIGITS: usize = 7;
/// Separators of two numbers, after [`normalize_chars`].
const SEPARATORS: [char; 13] =
    ['/', '\\', ',', ';', '、', '､', '|', '&', '\n', '或', '和', '及', '与'];
/// The words before an extension. A word precedes the words that it ends with.
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
/// Quotation marks around a cell.
const QUOTES: [char; 8] = ['\'', '"', '`', '´', '‘', '’', '“', '”'];

/// A text that could be a phone number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalizedNumber {
    /// Only digits, `+ - ( ) .` and spaces.
    pub text: String,
    /// Only the digits, at least one.
    pub digits: String,
}

/// Replaces full-width characters, dashes, dots, brackets and spaces by their ASCII forms and
/// removes invisible characters. What then still makes a cell invalid is visible to a person.
#[must_use]
pub(crate) fn normalize_chars(cell: &str) -> String {
    let mut text = String::with_capacity(cell.len());
    text.extend(cell.chars().filter_map(|c| match c {
        '0'..='9' | '+' | '-' | '(' | ')' | '.' | ' ' => Some(c),
        '[' | '【' | '〔' | '［' => Some('('),
        ']' | '】' | '〕' | '］' => Some(')'),
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        // Arabic and Persian digits.
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
        // A line end may separate two numbers, so it is kept.
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
        c if c.is_whitespace() || c.is_control() => Some(' '),
        c => Some(c),
    }));
    // Google Contacts joins the numbers of a person with ` ::: `.
    if text.contains(":::") { text.replace(":::", "\n") } else { text }
}

/// Splits a normalized cell at separators: `138…/139…` gives two parts. If there are not at least
/// two numbers, the whole text is the only part (`x/y`).
///
/// # Errors
/// [`Invalid::MoreThanNumbers`] if there are other texts between the numbers: such a cell is rather
/// a whole row (`00001,张三,138…`).
pub(crate) fn split_numbers(text: &str) -> Result<Vec<&str>, Invalid> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || SEPARATORS.contains(&c));
    if text.contains(SEPARATORS) {
        let mut parts = Vec::new();
        let mut remaining = text;
        // The separator of an RFC 3966 extension (`;ext=`) belongs to the number before it.
        let find_separator = |text: &str| {
            text.match_indices(SEPARATORS)
                .map(|(at, _)| at)
                .find(|at| !text[*at..].starts_with(";ext"))
        };
        while let Some(at) = find_separator(remaining) {
            let (part, after) = remaining.split_at(at);
            parts.push(part);
            remaining = after.trim_start_matches(|c: char| SEPARATORS.contains(&c));
        }
        parts.push(remaining);
        let (numbers, others): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|part| count_digits(part) >= MIN_NUMBER_DIGITS);
        if numbers.len() > 1 {
            let is_text = |part: &&str| part.contains(char::is_alphabetic) && !is_none(part);
            let has_text = others.iter().any(is_text);
            return if has_text { Err(Invalid::MoreThanNumbers) } else { Ok(numbers) };
        }
    }
    let words: Vec<_> = text.split_whitespace().collect();
    let are_numbers =
        words.len() > 1 && words.iter().all(|word| count_digits(word) >= MIN_SPACED_NUMBER_DIGITS);
    Ok(if are_numbers { words } else { vec![text] })
}

/// The texts between the separators of a normalized cell with at most one number.
pub(crate) fn split_texts(text: &str) -> impl Iterator<Item = &str> {
    text.split(SEPARATORS).filter(move |part| part.len() < text.len())
}

/// Reduces a part of a cell to digits and separators. Checks everything for which no numbering plan
/// is needed: empty, rounded, with a fraction, not a number.
pub(crate) fn normalize_number(part: &str) -> Result<NormalizedNumber, Invalid> {
    let text = strip_wrapping(part);
    let (label, text) = split_label(text).map_or((None, text), |(kind, text)| (Some(kind), text));
    if text.is_empty() {
        return Err(Invalid::Empty);
    }
    if label == Some(LabelKind::Landline) && count_digits(text) >= MIN_NUMBER_DIGITS {
        return Err(Invalid::Landline);
    }
    let text = spreadsheet::undo_number_format(strip_extension(text).unwrap_or(text))?;
    let text: String = text.chars().map(|c| if c == '\n' { ' ' } else { c }).collect();
    if !text.chars().all(|c| c.is_ascii_digit() || "+-(). ".contains(c)) {
        return Err(Invalid::NotANumber);
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    // A plus after the first digit is an addition.
    let is_sum = text.rfind('+') > text.find(|c: char| c.is_ascii_digit());
    if digits.is_empty() || is_sum {
        Err(Invalid::NotANumber)
    } else {
        Ok(NormalizedNumber { text, digits })
    }
}

/// The text behind a label, if a part has one.
pub(crate) fn strip_label(part: &str) -> Option<&str> {
    split_label(strip_wrapping(part)).map(|(_, number)| number)
}

/// Removes what spreadsheets put around a number: `="138…"`, a leading apostrophe.
pub(crate) fn strip_wrapping(text: &str) -> &str {
    let text = text.trim();
    // An equals sign without quotation marks begins a formula, so the cell is not what it shows.
    let text = text.strip_prefix('=').filter(|value| value.starts_with('"')).unwrap_or(text);
    text.trim_matches(QUOTES).trim()
}

/// Returns the number before an extension. The API does not know extensions.
fn strip_extension(text: &str) -> Option<&str> {
    let text = text.strip_suffix(')').map_or(text, str::trim_end);
    let before_digits = text.trim_end_matches(|c: char| c.is_ascii_digit());
    if !(1..=MAX_EXTENSION_DIGITS).contains(&(text.len() - before_digits.len())) {
        return None;
    }
    let with_word = before_digits.trim_end_matches([' ', '.', ':', '=', '-']);
    let number = EXTENSION_WORDS.iter().find_map(|word| {
        let at = with_word.len().checked_sub(word.len())?;
        let (number, end) = with_word.split_at_checked(at)?;
        end.eq_ignore_ascii_case(word).then_some(number)
    })?;
    let number = number.trim_end_matches([' ', '-', ',', ';', '(']);
    (count_digits(number) >= MIN_NUMBER_DIGITS).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digits(cell: &str) -> Result<String, Invalid> {
        normalize_number(&normalize_chars(cell)).map(|number| number.digits)
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
            assert_eq!(split_numbers(&normalize_chars(cell)).unwrap().len(), 1, "{cell}");
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
            "13800138000 ::: 13900139000",
            "13800138000\r\n13900139000\r\n",
            "13800138000\u{2028}13900139000",
            "13800138000 13900139000",
            "13800138000\u{3000}13900139000",
            "13800138000/13900139000/无",
        ] {
            let text = normalize_chars(cell);
            let parts: Vec<_> = split_numbers(&text).unwrap().into_iter().map(str::trim).collect();
            assert_eq!(parts, ["13800138000", "13900139000"], "{cell:?}");
        }
        let text = "13800138000;ext=12345/010-62345678;ext=1;13900139000";
        assert_eq!(
            split_numbers(text).unwrap(),
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
            assert_eq!(split_numbers(cell).unwrap(), [cell], "{cell:?}");
        }
        for cell in ["00001,张三,13800138000", "13800138000;张三;13900139000"] {
            assert_eq!(split_numbers(cell), Err(Invalid::MoreThanNumbers), "{cell}");
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
            "手机：13800138000",
            "'电话: 13800138000",
            "手机13800138000",
            "M: 13800138000",
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
        fn normalized_text_has_only_digits_and_signs(
            cell in "\\PC{0,30}|[0-9+eEx转. ()'=\"/;-]{0,24}",
        ) {
            let text = normalize_chars(&cell);
            for part in split_numbers(&text).unwrap_or_default() {
                if let Ok(NormalizedNumber { text, digits }) = normalize_number(part) {
                    let is_allowed = |c: char| c.is_ascii_digit() || "+-(). ".contains(c);
                    prop_assert!(text.chars().all(is_allowed));
                    prop_assert!(!digits.is_empty());
                    prop_assert!(digits.bytes().all(|byte| byte.is_ascii_digit()));
                }
            }
        }
    }
}
