//! Removes what no text for people or programs may show: numbers, secrets, control characters.
//!
//! [`sanitize`] prepares text from outside (API, files, names) that becomes part of another text.
//! [`message`] is applied again to every message where it leaves the program, so that a forgotten
//! [`sanitize`] leaks nothing. JSON, metrics and log lines contain plain numbers that look like
//! mobile numbers; there, the writer sanitizes each text field.

use std::borrow::Cow;

mod numbers;
mod secrets;
mod spelling;
mod urls;

pub(crate) use numbers::{mask_known_number, mask_numbers};
pub(crate) use secrets::Redactor;
pub(crate) use urls::mask_url;

use spelling::{is_separator, may_be_digit};

/// The maximum length of sanitized text, in characters.
const MAX_CHARS: usize = 600;
/// The maximum length of a column name or a cell in a message, in characters.
const MAX_CELL_CHARS: usize = 40;
/// A column name with this many digits may be a number.
const MIN_NUMBER_DIGITS: usize = 7;

/// Whether a character changes how the text around it is shown: a control character, the end of a
/// line or a paragraph, or a change of the writing direction, with which a name ends
/// in `.csv` only on the screen.
#[must_use]
pub(crate) fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// Text from outside on one line of at most 600 characters, without control characters, and with
/// everything masked that could be a mobile number.
#[must_use]
pub(crate) fn sanitize(text: &str) -> String {
    let one_line: String = text.chars().map(|c| if is_control(c) { ' ' } else { c }).collect();
    // Mask before the cut: the start of a number that was cut off would not be masked.
    mask_numbers(&one_line).chars().take(MAX_CHARS).collect()
}

/// The first `max_chars` characters of a text, without a number at the cut: its first digits alone
/// would not be recognized, and so not be masked.
#[must_use]
pub(crate) fn truncate(text: &str, max_chars: usize) -> &str {
    let Some((end, _)) = text.char_indices().nth(max_chars) else { return text };
    let (kept, cut) = text.split_at(end);
    let may_be_in_number = |c: char| {
        may_be_digit(c)
            || is_separator(c)
            || matches!(c, '+' | '＋' | ',' | ';' | '，' | '；' | '、')
    };
    if cut.starts_with(may_be_in_number) { kept.trim_end_matches(may_be_in_number) } else { kept }
}

/// As [`sanitize`], line by line. A number that is broken over two lines is masked, too.
#[must_use]
pub(crate) fn sanitize_lines(text: &str) -> String {
    mask_numbers(text).lines().map(sanitize).collect::<Vec<_>>().join("\n")
}

/// A message as it leaves the program.
#[must_use]
pub(crate) fn message(text: &str) -> String {
    mask_numbers(&strip_control(text))
}

/// Replaces control characters, which would control the terminal. Line ends are kept.
#[must_use]
pub(crate) fn strip_control(text: &str) -> String {
    text.chars().map(|c| if is_control(c) && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// Escapes control characters above ASCII in JSON or in a log line, whose formats escape only those
/// of ASCII.
#[must_use]
pub(crate) fn escape_control(text: &str) -> Cow<'_, str> {
    let must_escape = |c: char| !c.is_ascii() && is_control(c);
    if !text.contains(must_escape) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| {
        if must_escape(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }
    };
    Cow::Owned(text.chars().map(escape).collect())
}

/// The name of a column; `None` if it is empty or may be a number.
#[must_use]
pub(crate) fn column_name(name: &str) -> Option<String> {
    let name = name.trim();
    let digits = name.chars().filter(|c| may_be_digit(*c)).count();
    (!name.is_empty() && digits < MIN_NUMBER_DIGITS)
        .then(|| name.chars().filter(|c| !is_control(*c)).take(MAX_CELL_CHARS).collect())
}

/// A sample cell that shows its kind but not its content: of 11 or more letters and digits, the
/// first three and the last four are shown, of fewer none.
#[must_use]
pub(crate) fn mask_cell(cell: &str) -> String {
    let count = cell.chars().filter(|c| c.is_alphanumeric()).count();
    let masked = if count < 11 { 0..count } else { 3..count - 4 };
    let mut index = 0;
    let mask = |c: char| {
        if !c.is_alphanumeric() {
            return c;
        }
        index += 1;
        if masked.contains(&(index - 1)) { '*' } else { c }
    };
    cell.trim().chars().filter(|c| !is_control(*c)).map(mask).take(MAX_CELL_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sanitized_text_has_no_numbers_and_no_control_characters() {
        for (text, expected) in [
            ("用户13800138000不存在\u{1b}[31m", "用户138****00不存在 [31m"),
            ("no +852-51234567, no +6581234567", "no +852****67, no +658****67"),
            ("+86 138-0013-8000 or 008613800138000", "+138****00 or 138****00"),
            ("１３８００１３８０００", "138****00"),
            ("013800138000", "138****00"),
            ("until 2026-09-03 00:01:03 by 10.0.0.1", "until 2026-09-03 00:01:03 by 10.0.0.1"),
            (
                "request 20240101123456789, app 3204871942",
                "request 20240101123456789, app 3204871942",
            ),
        ] {
            assert_eq!(sanitize(text), expected);
        }
        let long = sanitize(&format!("{} 13800138000", "x".repeat(589)));
        assert!(long.ends_with("x 138****00") && !long.contains("1380"), "{long}");
        assert_eq!(sanitize_lines("a\u{7}b\n138\n00138000"), "a b\n138****00");
        assert_eq!(message("a\u{1b}b\n13800138000"), "a\u{fffd}b\n138****00");
    }

    #[test]
    fn truncated_text_ends_before_a_number_at_the_cut() {
        for (text, expected) in [
            ("abcdefghij", "abcdefghij"),
            ("abcdefghijk", "abcdefghij"),
            ("ab 13800138000", "ab"),
            ("ab:138-0013-8000", "ab:"),
            ("ab(138)0013.8000", "ab"),
            ("ab13,800,138,000", "ab"),
            ("１３８００１３８０００", ""),
            ("1380013800 0", ""),
            ("姓名一三八零零一三八七七七", "姓名"),
            ("1380013abc13800138000", "1380013abc"),
            ("1380013800x", "1380013800"),
        ] {
            assert_eq!(truncate(text, 10), expected, "{text}");
        }
    }

    #[test]
    fn characters_that_change_the_direction_or_the_line_are_removed() {
        let signs =
            "\u{202a}\u{202e}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}\u{2028}\u{2029}\u{85}\r\u{b}";
        for sign in signs.chars() {
            let text = format!("a{sign}138{sign}0013{sign}8777");
            assert_eq!(sanitize(&text), "a 138****77", "{sign:?}");
            assert_eq!(message(&text), "a\u{fffd}138****77", "{sign:?}");
            assert_eq!(column_name(&format!("a{sign}b")).unwrap(), "ab");
            assert_eq!(mask_cell(&format!("x{sign}y")), "**");
            let escaped = escape_control(&format!("x{sign}y")).into_owned();
            assert_eq!(escaped.contains(sign), sign.is_ascii(), "{sign:?}");
            let json = format!("\"{escaped}\"");
            let read = serde_json::from_str::<String>(&json).ok();
            assert!(sign.is_ascii() || read == Some(format!("x{sign}y")), "{json}");
        }
        // Joiners are part of words and of emoji.
        assert_eq!(message("می\u{200c}خواهم 👨\u{200d}👩"), "می\u{200c}خواهم 👨\u{200d}👩");
    }

    #[test]
    fn sample_cells_are_masked() {
        for (cell, expected) in [
            ("13800138000", "138****8000"),
            ("'+86 138-0013-8000", "'+86 1**-****-8000"),
            ("张三", "**"),
            ("no", "**"),
            ("1.38E+10", "*.***+**"),
            ("110101199001011234", "110***********1234"),
            ("１３８００１３８０００", "１３８****８０００"),
            ("a\u{1b}[31m", "*[***"),
        ] {
            assert_eq!(mask_cell(cell), expected);
        }
    }
}
