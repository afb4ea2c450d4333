//! Cells of a text file that a spreadsheet changes when it opens the file, and the apostrophe that
//! prevents it (`--excel-safe`).

use crate::domain::decimal::{Scientific, is_digits};

/// From this length on, a spreadsheet shows a number with an exponent; from 16 digits on, it also
/// loses digits.
const MIN_ROUNDED_DIGITS: usize = 12;
/// Digits of a part of a date or a time.
const MAX_DATE_DIGITS: usize = 4;
const APOSTROPHE: char = '\'';

/// Whether a spreadsheet would evaluate the cell as a formula, or show another number or a date in
/// its place.
#[must_use]
pub(crate) fn is_changed(cell: &str) -> bool {
    // Most cells begin with a letter.
    let is_suspicious = |c: char| !c.is_ascii_alphabetic();
    cell.starts_with(is_suspicious) && (is_formula(cell) || is_changed_number(cell))
}

/// Whether the cell needs an apostrophe in front, so that a spreadsheet keeps it as text. An
/// apostrophe that a cell has by itself gets another one, so that [`unprotect`] keeps it.
#[must_use]
pub(crate) fn needs_protection(cell: &str) -> bool {
    is_changed(cell.trim_start_matches(APOSTROPHE))
}

/// The cell without the apostrophe of `--excel-safe`.
#[must_use]
pub(crate) fn unprotect(cell: &str) -> &str {
    cell.strip_prefix(APOSTROPHE).filter(|cell| needs_protection(cell)).unwrap_or(cell)
}

fn is_formula(cell: &str) -> bool {
    // Before a formula, spreadsheets skip blanks, and some take full-width signs for the others.
    let text =
        cell.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}');
    cell.starts_with(['\t', '\r', '\n'])
        || text
            .chars()
            .next()
            .map(to_half_width)
            .is_some_and(|c| matches!(c, '=' | '+' | '-' | '@'))
}

fn to_half_width(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{fe62}' => '+',
        '\u{fe63}' | '\u{2212}' => '-',
        '\u{fe66}' => '=',
        '\u{fe6b}' => '@',
        c => c,
    }
}

/// Whether the cell is a number that a spreadsheet rounds or shortens, or a date.
fn is_changed_number(cell: &str) -> bool {
    let text: String = cell.trim().chars().map(to_half_width).collect();
    if is_digits(&text) {
        return text.len() >= MIN_ROUNDED_DIGITS || (text.len() > 1 && text.starts_with('0'));
    }
    if Scientific::parse(&text).is_some() {
        return true;
    }
    // A decimal number loses its last zeros, and digits if it is long.
    let decimal = text.split_once('.').filter(|(units, _)| is_digits(units));
    if decimal.is_some_and(|(_, decimals)| is_digits(decimals)) {
        return true;
    }
    // 1-2, 2026/11/25, 13:45
    let parts: Vec<&str> = text.split(['-', '/', ':']).collect();
    (2..=3).contains(&parts.len())
        && parts.iter().all(|part| is_digits(part) && part.len() <= MAX_DATE_DIGITS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn formulas_and_damaged_numbers_are_protected() {
        for cell in [
            "=1+1",
            "+852-51234567",
            "-1",
            "@x",
            "\t=1",
            "\r\n=1",
            "\n=1",
            " =1",
            "\u{a0}+1",
            "\ntext",
            "＝1",
            "＋1",
            "－1",
            "＠x",
            "﹢1",
            "\u{feff}=1",
            "\u{0}=1",
            "04686258351064375",
            "123456789012",
            "007",
            "00",
            " 007",
            "０１２",
            "1e5",
            "4.68626E+15",
            "4,68626E15",
            "1.50",
            "1-2",
            "2026/11/25",
            "13:45",
            "'=1",
            "''-1",
            "'007",
        ] {
            assert!(needs_protection(cell), "{cell:?}");
        }
        for cell in [
            "",
            "ok",
            "u00138000",
            "0",
            "7",
            "60121",
            "13800138000",
            "12345678901",
            "manager7721",
            "e5",
            "015215061526-1029384756",
            "1-2-3-4",
            "系统繁忙",
            "'ok",
            "'",
            "1e",
            "a=1",
            "123456789012;123456789013",
        ] {
            assert!(!needs_protection(cell), "{cell:?}");
        }
    }

    proptest! {
        #[test]
        fn a_protected_cell_is_read_back(cell in "'{0,3}([=+@0-9e.-]|[a-z\n\t ＝]){0,20}") {
            let written =
                if needs_protection(&cell) { format!("'{cell}") } else { cell.clone() };
            prop_assert_eq!(unprotect(&written), &*cell);
            prop_assert!(!is_changed(&written), "{}", written);
        }
    }
}
