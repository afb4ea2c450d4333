//! Whether a cell could be meant as a phone number, valid or not.

use crate::domain::number::invalid::Invalid;
use crate::domain::number::normalize::{normalize_chars, normalize_number};

/// No phone number that a person types or a spreadsheet damages has fewer digits.
const MIN_DIGITS: usize = 7;

/// Whether a cell could be meant as a phone number: it has seven digits or more, or is in exponent
/// form. Mistyped and rounded numbers count.
#[must_use]
pub(crate) fn could_be_number(cell: &str) -> bool {
    // Fast path without allocation: most cells are plain digits.
    if cell.bytes().filter(u8::is_ascii_digit).count() >= MIN_DIGITS {
        return true;
    }
    let text = normalize_chars(cell);
    text.bytes().filter(u8::is_ascii_digit).count() >= MIN_DIGITS
        || matches!(normalize_number(&text), Err(Invalid::Rounded(_)))
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
    use crate::domain::number::mobile::{DefaultRegion, Mobile};

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
        ] {
            assert!(could_be_number(cell), "{cell}");
        }
        for cell in ["", " ", "-", "0", "无", "n/a", "姓名，手机号", "138001", "e", "E10", "1e-3"]
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
