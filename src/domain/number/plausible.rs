//! Whether a cell could be meant as a phone number, valid or not.

use crate::domain::number::invalid::Invalid;
use crate::domain::number::labels::count_digits;
use crate::domain::number::mobile::{DefaultRegion, Mobile};
use crate::domain::number::normalize::{normalize_chars, normalize_number};

/// The numbers of most countries have no fewer digits, also if a person mistyped them or a
/// spreadsheet damaged them.
const MIN_DIGITS: usize = 7;

/// What separates the cells of a row in the usual tables.
const DELIMITERS: [char; 4] = [',', ';', '|', '、'];

/// Whether a cell could be meant as a phone number: it has seven digits or more, or is in exponent
/// form. Mistyped and rounded numbers count; a whole row in one cell does not. The shorter numbers
/// of small countries are numbers only if they can be parsed.
#[must_use]
pub(crate) fn could_be_number(cell: &str) -> bool {
    // Fast path without allocation: most cells are plain digits.
    if cell.len() >= MIN_DIGITS && cell.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    // Normalizing makes a space of a tab, which separates cells as the other delimiters do.
    let text = normalize_chars(&cell.replace('\t', ";"));
    if matches!(normalize_number(&text), Err(Invalid::Rounded(_))) {
        return true;
    }
    count_digits(&text) >= MIN_DIGITS && !is_row(&text)
}

/// Whether the text is a row that was read with the wrong delimiter: next to a number it has
/// another cell, and no rule for cells with several numbers accepts it.
fn is_row(text: &str) -> bool {
    let cells = text.split(DELIMITERS).filter(|cell| !cell.trim().is_empty());
    let (numbers, others): (Vec<_>, Vec<_>) =
        cells.partition(|cell| count_digits(cell) >= MIN_DIGITS);
    !numbers.is_empty() && !others.is_empty() && Mobile::parse(text, DefaultRegion::CHINA).is_err()
}

/// Whether a cell begins with a date, such as `2025-10-13 08:30` or `2024年10月3日`.
#[must_use]
pub(crate) fn is_date(cell: &str) -> bool {
    let text = normalize_chars(cell);
    let text = text.trim();
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut parts = text.split_inclusive(['-', '/', '.', '年', '月']).map(|part| {
        let (number, separator) = part.split_at(digits(part));
        (number.len(), number.parse().unwrap_or(0), separator)
    });
    matches!(parts.next(), Some((4, 1900..=2100, "-" | "/" | "." | "年")))
        && matches!(parts.next(), Some((1 | 2, 1..=12, "-" | "/" | "." | "月")))
        && matches!(parts.next(), Some((1 | 2, 1..=31, end))
            if !end.starts_with(['-', '/', '.']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mistyped_and_rounded_numbers_count() {
        for cell in [
            "13800138000",
            "1380013",
            "1380013800x",
            "１３８００１３８０００",
            "+852 5123-4567",
            "010-62345678",
            "1.38E+10",
            "1E10",
            "=\"1.38E+10\"",
            " 1，38e10 ",
            "张三 138 0013 8000",
            "13,800,138,000",
            "010-62345678、13800138000",
            "13800138000;ext=12",
        ] {
            assert!(could_be_number(cell), "{cell}");
        }
        for cell in ["", " ", "-", "0", "无", "n/a", "姓名，手机号", "138001", "e", "E10", "1e-3"]
            .into_iter()
            .chain(["A,13800138000", "张三;13800138000;", "12，13800138000", "张三\t13800138000"])
        {
            assert!(!could_be_number(cell), "{cell}");
        }
    }

    #[test]
    fn dates_are_distinguished_from_numbers() {
        for cell in
            ["2025-10-13", "2025/1/3", "2024年10月13日", "2025-10-13 12:00:00", "1999.12.31"]
        {
            assert!(is_date(cell), "{cell}");
        }
        for cell in [
            "138-0013-8000",
            "2025",
            "20251013",
            "13800138000",
            "2123-45-67",
            "2012-12-12345",
            "2025-10-13-01",
            "",
        ] {
            assert!(!is_date(cell), "{cell}");
        }
    }

    proptest! {
        #[test]
        fn every_number_that_is_sent_could_be_one(cell in "\\PC{0,20}|[0-9+eE. ()-]{0,24}") {
            if Mobile::parse(&cell, DefaultRegion::CHINA).is_ok() {
                prop_assert!(could_be_number(&cell));
            }
        }
    }
}
