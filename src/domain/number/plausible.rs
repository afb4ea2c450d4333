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

    proptest! {
        #[test]
        fn every_number_that_is_sent_could_be_one(cell in "\\PC{0,20}|[0-9+eE. ()-]{0,24}") {
            if Mobile::parse(&cell, DefaultRegion::CHINA).is_ok() {
                prop_assert!(could_be_number(&cell));
            }
        }
    }
}
