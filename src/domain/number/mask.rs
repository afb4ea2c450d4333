//! Hides what could be a mobile number in a text of somebody else's: the API's words, a file's name, a header. Owns where in a text
//! a number may stand and what is left of it. Leaves numbers that are known as such to `mobile`.

use std::ops::Range;

/// How many digits a mainland number has.
const MAINLAND_DIGITS: usize = 11;
/// The most digits of a mainland number with what may be dialled before it.
const MAX_DIGITS_WITH_PREFIX: usize = 20;
/// How many digits a number behind a plus sign has, its country's among them.
const INTERNATIONAL_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// How many digits are left at a number's beginning and at its end.
const VISIBLE_HEAD: usize = 3;
const VISIBLE_TAIL: usize = 2;
/// What is written for the rest.
const MASK: &str = "****";

/// What becomes of a character.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MaskAction {
    Keep,
    /// It is dialled before a number, and says nothing.
    Remove,
    Mask,
}

/// The text with everything masked that could be a mobile number, however it is spelt and whatever digits stand beside it:
/// eleven digits of the mainland, and seven to fifteen behind a plus sign. Which digits belong together cannot be told, so
/// every way to group them counts, and rather too much is masked than too little.
/// One limit is left: where a number is spelt in groups and further digits are glued to it (`138-0013-80004000`), the groups are
/// not cut open, since every date and code beside another would then look like a number.
#[must_use]
pub(crate) fn mask_numbers(text: &str) -> String {
    let plain = |c: char| match c {
        '０'..='９' | '＋' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        c => c,
    };
    let text: Vec<char> = text.chars().map(plain).collect();
    let groups = find_digit_groups(&text);
    let mut fates = vec![MaskAction::Keep; text.len()];
    for first in 0..groups.len() {
        let mainland = mask_mainland(&text, &groups[first..], &mut fates);
        if !mainland && has_plus_before(&text, groups[first].start) {
            mask_international(&text, &groups[first..], &mut fates);
        }
        mask_within_digits(&text, &groups[first], &mut fates);
    }
    let (mut told, mut before) = (String::with_capacity(text.len()), MaskAction::Keep);
    for (c, fate) in text.into_iter().zip(fates) {
        match fate {
            MaskAction::Keep => told.push(c),
            MaskAction::Mask if before != MaskAction::Mask => told.push_str(MASK),
            MaskAction::Mask | MaskAction::Remove => {}
        }
        before = fate;
    }
    told
}

/// Where digits stand together.
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

/// Whether what stands between two groups of digits may stand within a number.
fn can_join(text: &[char], one: &Range<usize>, other: &Range<usize>) -> bool {
    let space = |c: &char| {
        c.is_whitespace()
            || matches!(c, '-' | '_' | '(' | ')' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '－')
            || is_invisible(*c)
    };
    match &text[one.end..other.start] {
        [','] => true,
        // The parts of a network address are shorter.
        ['.' | '·'] => one.len().max(other.len()) > 3,
        between => between.len() <= 3 && between.iter().all(space),
    }
}

/// The places of the digits of the groups from the first one on, one group more each time, as long as they may be one number
/// of at most so many digits.
fn number_candidates(
    text: &[char],
    groups: &[Range<usize>],
    most: usize,
) -> impl Iterator<Item = Vec<usize>> {
    let further =
        groups.windows(2).take_while(|two| can_join(text, &two[0], &two[1])).map(|two| &two[1]);
    let places = groups.iter().take(1).chain(further).scan(Vec::new(), |places, group| {
        places.extend(group.clone());
        Some(places.clone())
    });
    places.take_while(move |places| places.len() <= most)
}

/// Hides the mainland numbers that begin with the first of these groups: whether there is any.
fn mask_mainland(text: &[char], groups: &[Range<usize>], fates: &mut [MaskAction]) -> bool {
    // Zeros alone are more likely a code than the beginning of a number, which is found without them too.
    if groups.first().is_none_or(|group| text[group.clone()].iter().all(|digit| *digit == '0')) {
        return false;
    }
    let mut any = false;
    for places in number_candidates(text, groups, MAX_DIGITS_WITH_PREFIX) {
        let digits: String = places.iter().map(|place| text[*place]).collect();
        let national = digits.trim_start_matches('0');
        let national = national.strip_prefix("86").unwrap_or(national).trim_start_matches('0');
        if is_mainland_number(national) {
            let number = &places[places.len() - MAINLAND_DIGITS..];
            for fate in &mut fates[places[0]..number[0]] {
                if *fate == MaskAction::Keep {
                    *fate = MaskAction::Remove;
                }
            }
            mask_digits(number, fates);
            any = true;
        }
    }
    any
}

/// Hides mainland numbers within a longer row of digits.
fn mask_within_digits(text: &[char], group: &Range<usize>, fates: &mut [MaskAction]) {
    for start in group.start..(group.end + 1).saturating_sub(MAINLAND_DIGITS) {
        let digits: String = text[start..start + MAINLAND_DIGITS].iter().collect();
        if group.len() > MAINLAND_DIGITS && is_mainland_number(&digits) {
            mask_digits(&(start..start + MAINLAND_DIGITS).collect::<Vec<_>>(), fates);
        }
    }
}

fn mask_international(text: &[char], groups: &[Range<usize>], fates: &mut [MaskAction]) {
    let alone = groups.first().filter(|group| group.len() > *INTERNATIONAL_DIGITS.end());
    let alone = alone.map(|group| group.clone().collect::<Vec<_>>());
    for places in number_candidates(text, groups, *INTERNATIONAL_DIGITS.end()).chain(alone) {
        if places.len() >= *INTERNATIONAL_DIGITS.start() {
            mask_digits(&places, fates);
        }
    }
}

fn mask_digits(places: &[usize], fates: &mut [MaskAction]) {
    fates[places[VISIBLE_HEAD - 1] + 1..places[places.len() - VISIBLE_TAIL]].fill(MaskAction::Mask);
}

fn is_mainland_number(digits: &str) -> bool {
    digits.len() == MAINLAND_DIGITS && matches!(digits.as_bytes(), [b'1', b'3'..=b'9', ..])
}

/// Whether a plus sign stands before this place, be it with spaces, a bracket or what cannot be seen between.
fn has_plus_before(text: &[char], start: usize) -> bool {
    let between = |c: &char| c.is_whitespace() || *c == '(' || is_invisible(*c);
    text[..start].iter().rev().take(4).find(|c| !between(c)) == Some(&'+')
}

/// What cannot be seen separates nothing.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_masked_next_to_any_characters() {
        for (text, told) in [
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
            assert_eq!(mask_numbers(text), told, "{text}");
        }
    }

    #[test]
    fn text_that_is_not_a_number_is_not_masked() {
        for text in [
            "errcode 60011 at 2026-11-25 20:14:09, 1500 ms, 60020 from 192.168.100.20:8080",
            "request 20240101123456789, app 3204871942",
            "https://open-dev.dingtalk.com/appscope/apply?content=dingq8h4%23qyapi_get_member_by_mobile",
            "1 2 3, line 100000 of 100 000 rows",
        ] {
            assert_eq!(mask_numbers(text), text);
        }
    }

    /// A number as people spell it.
    fn spellings(number: &str) -> Vec<String> {
        let (head, middle, tail) = (&number[..3], &number[3..7], &number[7..]);
        let mut all: Vec<_> = [" ", "-", ".", ") ", " - ", "\u{a0}", "\u{200b}"]
            .map(|between| [head, middle, tail].join(between))
            .into();
        all.push(number.chars().map(String::from).collect::<Vec<_>>().join(" "));
        all.push(number.to_owned());
        let before = ["", "86", "86 ", "+86-", "0086", "0", "+86 0", "+"];
        before
            .into_iter()
            .flat_map(|before| all.iter().map(move |rest| format!("{before}{rest}")))
            .collect()
    }

    proptest! {
        #[test]
        fn no_number_is_left_unmasked(
            number in "1[3-9][0-9]{9}",
            spelling in any::<prop::sample::Index>(),
            before in "([0-9]{1,14}( |-|\\.|,|, |: |/|\\)|\\+){1,2}){0,4}",
            after in "(( |-|\\.|,|, |: |/|\\(|\\+){1,2}[0-9]{1,14}){0,4}",
        ) {
            let spelt = spelling.get(&spellings(&number)).clone();
            let told = mask_numbers(&format!("{before}{spelt}{after}"));
            for part in told.split('*') {
                let digits: String = part.chars().filter(char::is_ascii_digit).collect();
                prop_assert!(!digits.contains(&number), "{before}{spelt}{after}: {told}");
            }
        }
    }
}
