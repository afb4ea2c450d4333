//! User ids of digits that a spreadsheet took for numbers when it saved a table: it rounds them to
//! 15 digits, writes them in exponent form, and drops leading zeros.

use std::ops::RangeInclusive;

use crate::domain::decimal::{Scientific, is_digits};

/// The significant digits that a spreadsheet keeps.
const KEPT_DIGITS: u8 = 15;
/// An id of so many digits, those that are lost all zeros, is hardly a correct one.
const CERTAIN_DIGITS: usize = 18;
/// Every tenth id of 16 digits ends with a zero, but not so many of a table and no other one.
const MIN_CUT_OFF: usize = 3;

/// Whether the cell is an id in exponent form, as in `4.68626E+15`. Its other digits are lost, so
/// that it does not say whose id it was. No user id has a `+`; without one, only a form with
/// decimals counts, because an id such as `4E15` is possible.
#[must_use]
pub(crate) fn is_exponent_form(cell: &str) -> bool {
    exponent_form(cell).is_some()
}

fn exponent_form(cell: &str) -> Option<Scientific<'_>> {
    Scientific::parse(cell).filter(|form| match form.exponent_sign {
        Some(sign) => sign == '+',
        None => form.units.len() == 1 && !form.decimals.is_empty(),
    })
}

/// What the user ids of a table say about whether a spreadsheet rounded them. It rounds every long
/// id, so if one kept its last digits, none is rounded: the others end with zeros of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct IdSurvey {
    /// The first different ones without their last digits.
    cut_off: [Option<u128>; MIN_CUT_OFF],
    has_whole: bool,
}

impl IdSurvey {
    pub(crate) fn add(&mut self, id: &str) {
        if !is_digits(id) || id.len() <= usize::from(KEPT_DIGITS) {
            return;
        }
        if !is_cut_off(id) {
            self.has_whole = true;
        } else if let value @ Some(_) = parse_digits(id)
            && !self.cut_off.contains(&value)
            && let Some(free) = self.cut_off.iter_mut().find(|value| value.is_none())
        {
            *free = value;
        }
    }

    /// Whether a spreadsheet rounded an id of the table.
    #[must_use]
    pub(crate) fn is_rounded(self, id: &str) -> bool {
        let [first, .., last] = self.cut_off;
        let is_likely = if id.len() < CERTAIN_DIGITS { last.is_some() } else { first.is_some() };
        is_exponent_form(id) || (is_likely && !self.has_whole && is_cut_off(id))
    }
}

/// Whether the id has nothing but zeros after the digits that a spreadsheet keeps.
fn is_cut_off(id: &str) -> bool {
    let are_lost_zeros = |(_, lost): (&str, &str)| lost.bytes().all(|digit| digit == b'0');
    is_digits(id)
        && id.len() > usize::from(KEPT_DIGITS)
        && !id.starts_with('0')
        && id.split_at_checked(usize::from(KEPT_DIGITS)).is_some_and(are_lost_zeros)
}

/// Whether two ids may be the same, except that a spreadsheet rounded at least one of them. An id
/// that has other characters than digits is never rounded.
#[must_use]
pub(crate) fn may_be_rounded(one: &str, other: &str) -> bool {
    match (exponent_form(one), exponent_form(other)) {
        (None, None) => is_number_form(one, other) || is_number_form(other, one),
        (Some(form), None) => is_form_of(form, other),
        (None, Some(form)) => is_form_of(form, one),
        (Some(form), Some(other_form)) => {
            // Different ids have the same form.
            one == other
                || ids_of_form(form).zip(ids_of_form(other_form)).is_some_and(|(ids, others)| {
                    ids == others || (ids.start() < others.end() && others.start() < ids.end())
                })
        }
    }
}

/// The number that stands for an id when ids are sorted, if it is one. Rounding keeps the order.
#[must_use]
pub(crate) fn numeric_value(id: &str) -> Option<u128> {
    match exponent_form(id) {
        Some(form) => form_value(form).map(|(value, _)| value),
        None => parse_digits(id),
    }
}

fn is_form_of(form: Scientific<'_>, id: &str) -> bool {
    let ids = ids_of_form(form);
    ids.zip(parse_digits(id)).is_some_and(|(ids, id)| ids.contains(&id))
}

/// The ids, without leading zeros, that a spreadsheet shows in this form. `None` for a fraction and
/// for a number that is too long for an id.
fn ids_of_form(form: Scientific<'_>) -> Option<RangeInclusive<u128>> {
    let (value, unit) = form_value(form)?;
    let mantissa = value / unit;
    let digits = mantissa.checked_ilog10()? + 1;
    // Below a power of ten, the form has one more decimal.
    let unit_below = if mantissa == 10_u128.pow(digits - 1) { unit / 10 } else { unit };
    // Of a longer id, Excel cuts off the digits before it rounds.
    let above = if digits == u32::from(KEPT_DIGITS) { unit - 1 } else { unit / 2 };
    Some(value - unit_below / 2..=value.checked_add(above)?)
}

/// The number, and the value of one in its last digit.
fn form_value(form: Scientific<'_>) -> Option<(u128, u128)> {
    let mantissa = parse_digits(&[form.units, form.decimals].concat())?;
    let power = form.exponent.parse::<u32>().ok()?;
    let unit = 10_u128.checked_pow(power.checked_sub(u32::try_from(form.decimals.len()).ok()?)?)?;
    Some((mantissa.checked_mul(unit)?, unit))
}

/// Whether `cell` is the number that a spreadsheet makes of the id: without leading zeros, and
/// with zeros after the 15th digit. Excel cuts off the other digits, and other programs round.
fn is_number_form(cell: &str, id: &str) -> bool {
    let (Some(number), Some(value)) = (parse_digits(cell), parse_digits(id)) else { return false };
    if cell == id || cell.starts_with('0') {
        return false;
    }
    let digits = value.checked_ilog10().map_or(1, |log| log + 1);
    let unit = 10_u128.pow(digits.saturating_sub(u32::from(KEPT_DIGITS)));
    let lost = value % unit;
    let cut = value - lost;
    number == cut || (lost * 2 >= unit && number == cut + unit)
}

/// `None` too for more digits than an id has.
fn parse_digits(text: &str) -> Option<u128> {
    text.parse().ok().filter(|_| is_digits(text))
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
        // As programs in Java write it; engineering notation; a format without decimals.
        for cell in ["4.68626E15", "12.5E+15", "4.E+15"] {
            assert!(is_exponent_form(cell), "{cell}");
        }
        for cell in ["", "E+", "E+15", "4.68626E+", ".5E+15", "12E15", "12.5E15", "4E5", "4.6E-15"]
        {
            assert!(!is_exponent_form(cell), "{cell}");
        }
        for cell in ["manager7721", "a@b.E+15", "4.68626E+15x", "1152663019775521", "4.6E+1.5"] {
            assert!(!is_exponent_form(cell), "{cell}");
        }
    }

    fn survey(ids: &[&str]) -> IdSurvey {
        let mut survey = IdSurvey::default();
        for id in ids {
            survey.add(id);
        }
        survey
    }

    #[test]
    fn long_ids_of_a_table_are_rounded_unless_one_is_whole() {
        let cut_off = "123456789012345000";
        for ids in [&[cut_off][..], &[cut_off, "123450", "manager7721", "4.68626E+15"]] {
            assert!(survey(ids).is_rounded(cut_off), "{ids:?}");
        }
        for whole in ["123456789012345678", "0468625835106437", "1152663019775521"] {
            assert!(!survey(&[cut_off, whole]).is_rounded(cut_off), "{whole}");
            assert!(survey(&[cut_off, whole]).is_rounded("4.68626E+15"), "{whole}");
        }
        for id in ["", "123450", "123456789012340", "1152663019775521", "0123456789012340", "u0"] {
            assert!(!survey(&[cut_off]).is_rounded(id), "{id}");
        }
        assert!(!IdSurvey::default().is_rounded(cut_off));
    }

    #[test]
    fn an_id_that_lost_one_or_two_digits_needs_two_others() {
        let (one, other, third) = ("1152663019775520", "2152663019775520", "31526630197755200");
        for ids in [&[one][..], &[one, one, one], &[one, other, one, "123450"]] {
            assert!(!survey(ids).is_rounded(one), "{ids:?}");
        }
        assert!(survey(&[one, other, one, third]).is_rounded(one));
        assert!(survey(&[one, other, third]).is_rounded(third));
        assert!(!survey(&[one, other, third, "1152663019775521"]).is_rounded(one));
        // A longer one says nothing about the others.
        let long = "123456789012345000";
        assert!(survey(&[one, long]).is_rounded(long));
        assert!(!survey(&[one, long]).is_rounded(one));
    }

    #[track_caller]
    fn assert_each(pairs: &[(&str, &str)], expected: bool) {
        for (one, other) in pairs {
            assert_eq!(may_be_rounded(one, other), expected, "{one} {other}");
            assert_eq!(may_be_rounded(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn an_id_and_what_a_spreadsheet_makes_of_it_may_be_the_same() {
        assert_each(
            &[
                ("1152663019775521", "1152663019775520"),
                ("1152663019775529", "1152663019775530"),
                ("04686258351064375", "4686258351064370"),
                ("04686258351064375", "4686258351064380"),
                ("115266301977552123", "115266301977552000"),
                ("9999999999999996", "10000000000000000"),
                ("00123", "123"),
            ],
            true,
        );
        assert_each(
            &[
                ("1152663019775521", "1152663019775521"),
                ("1152663019775521", "1152663019775529"),
                ("1152663019775521", "1152663019775530"),
                ("1152663019775521", "1152663019775510"),
                ("1152663019775521", "115266301977552"),
                ("1152663019775521", "11526630197755200"),
                ("0123", "00123"),
                ("123", "120"),
                ("000", ""),
                ("000", "0000"),
                ("+123", "00123"),
                ("manager7721", "manager7720"),
            ],
            false,
        );
    }

    #[test]
    fn an_exponent_form_agrees_with_the_digits_of_the_id_and_their_number() {
        assert_each(
            &[
                ("04686258351064375", "4.68626E+15"),
                ("04686258351064375", "4.68626E15"),
                ("4686258351064370", "4.69E+15"),
                ("4686258351064370", "5E+15"),
                ("4600001234567890", "4.6E+15"),
                ("468625835106437", "468.6E+12"),
                ("1152663019775521", "1.152663019775521e+15"),
                // Excel cuts off, and other programs round.
                ("4686258351064379", "4.68625835106437E+15"),
                ("4686258351064379", "4.68625835106438E+15"),
                ("9999995000000000", "1.00000E+16"),
                ("123456", "1.23456E+5"),
            ],
            true,
        );
        assert_each(
            &[
                // Another person, not a rounded id.
                ("manager7721", "4.68626E+15"),
                ("u1", "4.68626E+15"),
                ("", "4.68626E+15"),
                ("4686258351064375a", "4.68626E+15"),
                ("1152663019775521", "4.68626E+15"),
                ("4686248351064375", "4.68626E+15"),
                ("4686265000000001", "4.68626E+15"),
                ("468625835106437", "4.68626E+15"),
                ("46862583510643750", "4.68626E+15"),
                ("9999951000000000", "1.00000E+16"),
                ("1152663019775529", "1.152663019775521e+15"),
                ("123457", "1.23456E+5"),
                ("12", "1.25E+1"),
                ("1", "0E+15"),
                ("1", "1E+99"),
            ],
            false,
        );
    }

    #[test]
    fn two_exponent_forms_agree_as_far_as_both_show_digits() {
        assert_each(
            &[
                ("4.68626E+15", "4.68626E+15"),
                ("4.68626E+15", "4.69E+15"),
                ("4.68626E+15", "4,68626e+15"),
                ("4.685E+15", "4.68E+15"),
                ("1E+99", "1E+99"),
            ],
            true,
        );
        assert_each(
            &[
                ("4.68626E+15", "1.15266E+15"),
                ("4.68626E+15", "4.68626E+16"),
                ("4.68626E+15", "4.68627E+14"),
                ("4.68626E+15", "4.68627E+15"),
                ("1E+99", "1.0E+99"),
            ],
            false,
        );
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

        /// As Excel shows it in the format General: at most 5 decimals, without zeros at the end.
        #[test]
        fn an_id_agrees_with_its_own_form_and_with_no_distant_one(
            id in 10_u64.pow(11)..10_u64.pow(17), shift in 1..10_u64,
        ) {
            let form = format!("{id:.5E}").replace('E', "E+");
            let (mantissa, exponent) = form.split_once("E+").unwrap();
            let short = mantissa.trim_end_matches('0').trim_end_matches('.');
            for form in [form.clone(), format!("{short}E+{exponent}")] {
                prop_assert!(may_be_rounded(&id.to_string(), &form), "{} {}", id, form);
            }
            let unit = 10_u64.pow(exponent.parse::<u32>().unwrap() - 5);
            let distant = id + shift * (unit * 3 / 2);
            prop_assert!(!may_be_rounded(&distant.to_string(), &form), "{} {}", distant, form);
        }
    }
}
