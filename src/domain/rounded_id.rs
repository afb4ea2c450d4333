//! User ids of digits that a spreadsheet took for numbers when it saved a table: it rounds them to
//! 15 digits, writes them in exponent form, and drops leading zeros.

/// The significant digits that a spreadsheet keeps.
const KEPT_DIGITS: usize = 15;

/// Whether the cell is in exponent form, as in `4.68626E+15`. No user id is, since none has a `+`.
/// The digits are lost, so that such a cell does not say whose id it was.
#[must_use]
pub(crate) fn is_exponent_form(cell: &str) -> bool {
    let Some((mantissa, exponent)) = cell.split_once("E+").or_else(|| cell.split_once("e+")) else {
        return false;
    };
    let (units, decimals) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
    units.len() == 1 && [units, decimals, exponent].into_iter().all(is_digits)
}

/// Whether two ids may be the same, except that a spreadsheet rounded at least one of them.
#[must_use]
pub(crate) fn may_be_rounded(one: &str, other: &str) -> bool {
    if one.is_empty() || other.is_empty() {
        return false;
    }
    is_exponent_form(one)
        || is_exponent_form(other)
        || is_number_form(one, other)
        || is_number_form(other, one)
}

/// Whether `cell` is the number that a spreadsheet makes of the id: without leading zeros, and
/// with zeros after the 15th digit. Excel cuts off the other digits, and other programs round.
fn is_number_form(cell: &str, id: &str) -> bool {
    let digits = id.trim_start_matches('0');
    if cell == id || !is_digits(cell) || !is_digits(id) || cell.len() != digits.len() {
        return false;
    }
    let (Some((kept, zeros)), Some((head, lost))) =
        (cell.split_at_checked(KEPT_DIGITS), digits.split_at_checked(KEPT_DIGITS))
    else {
        return cell == digits;
    };
    let (kept, head) = (kept.parse::<u64>().ok(), head.parse::<u64>().ok());
    let rounded_up = head.filter(|_| lost >= "5").map(|head| head + 1);
    zeros.bytes().all(|digit| digit == b'0') && (kept == head || kept == rounded_up)
}

/// False for an empty text.
fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_exponent_form_is_no_user_id() {
        for cell in ["4.68626E+15", "4,68626E+15", "1E+15", "1.152663019775521e+15", "9.9E+9"] {
            assert!(is_exponent_form(cell), "{cell}");
        }
        for cell in ["", "E+", "E+15", "4.68626E+", "4.E+15", ".5E+15", "12.5E+15", "12E15", "4E5"]
        {
            assert!(!is_exponent_form(cell), "{cell}");
        }
        for cell in ["manager7721", "a@b.E+15", "4.68626E+15x", "1152663019775521", "4.6E+1.5"] {
            assert!(!is_exponent_form(cell), "{cell}");
        }
    }

    #[test]
    fn an_id_and_what_a_spreadsheet_makes_of_it_may_be_the_same() {
        for (one, other) in [
            ("1152663019775521", "1152663019775520"),
            ("1152663019775529", "1152663019775530"),
            ("04686258351064375", "4686258351064370"),
            ("04686258351064375", "4686258351064380"),
            ("115266301977552123", "115266301977552000"),
            ("00123", "123"),
            ("04686258351064375", "4.68626E+15"),
            // The digits are lost: whose id it was is unknown.
            ("manager7721", "4.68626E+15"),
            ("4.68626E+15", "4.68626E+15"),
        ] {
            assert!(may_be_rounded(one, other) && may_be_rounded(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("1152663019775521", "1152663019775521"),
            ("1152663019775521", "1152663019775529"),
            ("1152663019775521", "1152663019775530"),
            ("1152663019775521", "1152663019775510"),
            ("1152663019775521", "115266301977552"),
            ("1152663019775521", "11526630197755200"),
            ("0123", "00123"),
            ("123", "120"),
            ("000", ""),
            ("", "4.68626E+15"),
            ("manager7721", "manager7720"),
        ] {
            assert!(!may_be_rounded(one, other) && !may_be_rounded(other, one), "{one} {other}");
        }
    }

    proptest! {
        /// As Excel writes a number with the format 0.
        #[test]
        fn an_id_cut_off_after_15_digits_may_be_the_same(
            zeros in 0..3usize, head in "[1-9][0-9]{14}", lost in "[0-9]{0,4}[1-9]",
        ) {
            let id = format!("{:0<zeros$}{head}{lost}", "");
            let cell = format!("{head}{:0<1$}", "", lost.len());
            prop_assert!(may_be_rounded(&id, &cell));
            prop_assert!(!may_be_rounded(&id, &id));
        }
    }
}
