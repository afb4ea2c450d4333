//! Masks everything that could be a mobile number in a text.

use std::ops::{Range, RangeInclusive};

const MAINLAND_DIGITS: usize = 11;
/// Maximum digits of a mainland number with the prefixes that may be dialed before it.
const MAX_DIGITS_WITH_PREFIX: usize = 20;
/// Digits after a plus sign, including the calling code.
const INTERNATIONAL_DIGITS: RangeInclusive<usize> = 7..=15;
/// Digits that stay visible at the start of a number.
const VISIBLE_HEAD: usize = 3;
/// Digits that stay visible at the end of a number.
const VISIBLE_TAIL: usize = 2;
const MASK: &str = "****";

/// The action for one character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MaskAction {
    Keep,
    /// Part of a dialing prefix.
    Remove,
    /// Replaced, together with the masked characters beside it, by [`MASK`].
    Mask,
}

/// Masks everything that could be a mobile number, in any format and beside any digits: mainland
/// numbers of 11 digits, and 7 to 15 digits after a plus sign. Which groups of digits form one
/// number is ambiguous, so this tries every sequence of adjacent groups and rather masks too much.
///
/// One limit: if a number is written in groups and further digits follow without a separator
/// (`138-0013-80004000`), the last group is not split. Otherwise every date beside a code would be
/// masked.
#[must_use]
pub(crate) fn mask_numbers(text: &str) -> String {
    let to_ascii = |c: char| match c {
        '０'..='９' | '＋' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    let text: Vec<char> = text.chars().map(to_ascii).collect();
    let groups = find_digit_groups(&text);
    let mut actions = vec![MaskAction::Keep; text.len()];
    for first in 0..groups.len() {
        let mainland = mask_mainland(&text, &groups[first..], &mut actions);
        if !mainland && has_plus_before(&text, groups[first].start) {
            mask_international(&text, &groups[first..], &mut actions);
        }
        mask_within_digits(&text, &groups[first], &mut actions);
    }
    let (mut masked, mut previous) = (String::with_capacity(text.len()), MaskAction::Keep);
    for (c, action) in text.into_iter().zip(actions) {
        match action {
            MaskAction::Keep => masked.push(c),
            MaskAction::Mask if previous != MaskAction::Mask => masked.push_str(MASK),
            MaskAction::Mask | MaskAction::Remove => {}
        }
        previous = action;
    }
    masked
}

/// The ranges of adjacent digits.
fn find_digit_groups(text: &[char]) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for at in (0..text.len()).filter(|at| text[*at].is_ascii_digit()) {
        match groups.last_mut() {
            Some(group) if group.end == at => group.end = at + 1,
            _ => groups.push(at..at + 1),
        }
    }
    groups
}

/// Whether two adjacent groups of digits may be of one number, by the characters between them.
fn can_join(text: &[char], one: &Range<usize>, other: &Range<usize>) -> bool {
    let is_separator = |c: &char| {
        c.is_whitespace()
            || matches!(c, '-' | '_' | '(' | ')' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '－')
            || is_invisible(*c)
    };
    match &text[one.end..other.start] {
        [','] => true,
        // Each part of an IP address has at most 3 digits.
        ['.' | '·'] => one.len().max(other.len()) > 3,
        between => between.len() <= 3 && between.iter().all(is_separator),
    }
}

/// The sequences of groups that start with the first group and may form one number of at most
/// `max_digits`, shortest first. Each item has the positions of its digits.
fn number_candidates(
    text: &[char],
    groups: &[Range<usize>],
    max_digits: usize,
) -> impl Iterator<Item = Vec<usize>> {
    let joined =
        groups.windows(2).take_while(|two| can_join(text, &two[0], &two[1])).map(|two| &two[1]);
    let candidates = groups.iter().take(1).chain(joined).scan(Vec::new(), |positions, group| {
        positions.extend(group.clone());
        Some(positions.clone())
    });
    candidates.take_while(move |positions| positions.len() <= max_digits)
}

/// Masks the mainland numbers that start with the first group. Returns whether there are any.
fn mask_mainland(text: &[char], groups: &[Range<usize>], actions: &mut [MaskAction]) -> bool {
    // A group of zeros is more likely a code than a prefix. A number after it is found without it.
    if groups.first().is_none_or(|group| text[group.clone()].iter().all(|digit| *digit == '0')) {
        return false;
    }
    let mut any = false;
    for positions in number_candidates(text, groups, MAX_DIGITS_WITH_PREFIX) {
        let digits: String = positions.iter().map(|position| text[*position]).collect();
        let national = digits.trim_start_matches('0');
        let national = national.strip_prefix("86").unwrap_or(national).trim_start_matches('0');
        if is_mainland_number(national) {
            let number = &positions[positions.len() - MAINLAND_DIGITS..];
            for action in &mut actions[positions[0]..number[0]] {
                if *action == MaskAction::Keep {
                    *action = MaskAction::Remove;
                }
            }
            mask_digits(number, actions);
            any = true;
        }
    }
    any
}

/// Masks mainland numbers within a longer group of digits.
fn mask_within_digits(text: &[char], group: &Range<usize>, actions: &mut [MaskAction]) {
    for start in group.start..(group.end + 1).saturating_sub(MAINLAND_DIGITS) {
        let digits: String = text[start..start + MAINLAND_DIGITS].iter().collect();
        if group.len() > MAINLAND_DIGITS && is_mainland_number(&digits) {
            mask_digits(&(start..start + MAINLAND_DIGITS).collect::<Vec<_>>(), actions);
        }
    }
}

/// Masks everything that may follow a plus sign, also a single group that is too long for a number.
fn mask_international(text: &[char], groups: &[Range<usize>], actions: &mut [MaskAction]) {
    let too_long = groups.first().filter(|group| group.len() > *INTERNATIONAL_DIGITS.end());
    let too_long = too_long.map(|group| group.clone().collect::<Vec<_>>());
    for positions in number_candidates(text, groups, *INTERNATIONAL_DIGITS.end()).chain(too_long) {
        if positions.len() >= *INTERNATIONAL_DIGITS.start() {
            mask_digits(&positions, actions);
        }
    }
}

fn mask_digits(positions: &[usize], actions: &mut [MaskAction]) {
    let first_masked = positions[VISIBLE_HEAD - 1] + 1;
    actions[first_masked..positions[positions.len() - VISIBLE_TAIL]].fill(MaskAction::Mask);
}

fn is_mainland_number(digits: &str) -> bool {
    digits.len() == MAINLAND_DIGITS && matches!(digits.as_bytes(), [b'1', b'3'..=b'9', ..])
}

/// Whether a plus sign precedes, with at most 3 spaces, brackets or invisible characters between.
fn has_plus_before(text: &[char], start: usize) -> bool {
    let is_skipped = |c: &char| c.is_whitespace() || *c == '(' || is_invisible(*c);
    text[..start].iter().rev().take(4).find(|c| !is_skipped(c)) == Some(&'+')
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_masked_next_to_any_characters() {
        for (text, masked) in [
            ("mobile 13712340101 400001", "mobile 137****01 400001"),
            ("号码 13712340102 13912345678", "号码 137****02 139****78"),
            ("13712340103 2026-11-25 20:14", "137****03 2026-11-25 20:14"),
            ("1 13712340107", "1 137****07"),
            ("0 137 1234 0107 0", "0 137****07 0"),
            ("１３７１２３４０１０１ 60011", "137****01 60011"),
            ("13712340101400001", "137****01400001"),
            ("137.1234.0107, 13,712,340,107 (137)1234-0107", "137****07, 13,7****07 (137****07"),
            ("+86 13712340107 400001", "+137****07 400001"),
            ("+44 7911 123456", "+44 7****56"),
            ("+ 852 51234567", "+ 852****67"),
            ("＋852 51234567", "+852****67"),
            ("+ (\u{200b}852) 5123 4567", "+ (\u{200b}852****67"),
        ] {
            assert_eq!(mask_numbers(text), masked, "{text}");
        }
    }

    #[test]
    fn text_that_is_not_a_number_is_not_masked() {
        for text in [
            "errcode 60011 at 2026-11-25 20:14:09, 1500 ms, 60020 from 192.168.100.20:8080",
            "request 20240101123456789, app 3204871942",
            "https://open-dev.dingtalk.com/apply?content=dingq8h4%23qyapi_get_member_by_mobile",
            "1 2 3, line 100000 of 100 000 rows",
        ] {
            assert_eq!(mask_numbers(text), text);
        }
    }

    /// The number with every usual prefix and separator.
    fn formats(number: &str) -> Vec<String> {
        let (head, middle, tail) = (&number[..3], &number[3..7], &number[7..]);
        let mut grouped: Vec<_> = [" ", "-", ".", ") ", " - ", "\u{a0}", "\u{200b}"]
            .map(|separator| [head, middle, tail].join(separator))
            .into();
        grouped.push(number.chars().map(String::from).collect::<Vec<_>>().join(" "));
        grouped.push(number.to_owned());
        let prefixes = ["", "86", "86 ", "+86-", "0086", "0", "+86 0", "+"];
        prefixes
            .into_iter()
            .flat_map(|prefix| grouped.iter().map(move |number| format!("{prefix}{number}")))
            .collect()
    }

    proptest! {
        #[test]
        fn no_number_is_left_unmasked(
            number in "1[3-9][0-9]{9}",
            format in any::<prop::sample::Index>(),
            before in "([0-9]{1,14}( |-|\\.|,|, |: |/|\\)|\\+){1,2}){0,4}",
            after in "(( |-|\\.|,|, |: |/|\\(|\\+){1,2}[0-9]{1,14}){0,4}",
        ) {
            let formatted = format.get(&formats(&number)).clone();
            let masked = mask_numbers(&format!("{before}{formatted}{after}"));
            for part in masked.split('*') {
                let digits: String = part.chars().filter(char::is_ascii_digit).collect();
                prop_assert!(!digits.contains(&number), "{before}{formatted}{after}: {masked}");
            }
        }
    }
}
