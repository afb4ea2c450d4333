//! Masks everything that could be a mobile number in a text.

use core::net::Ipv4Addr;
use std::ops::{Range, RangeInclusive};

use crate::domain::redact::spelling::{
    Unit, is_invisible, is_separator, read_lookalikes, read_units,
};

const MAINLAND_DIGITS: usize = 11;
/// Maximum digits of a mainland number with the prefixes that may be dialed before it.
const MAX_DIGITS_WITH_PREFIX: usize = 20;
/// Digits after a plus sign, including the calling code.
const INTERNATIONAL_DIGITS: RangeInclusive<usize> = 7..=15;
/// What is dialed instead of a plus sign.
const INTERNATIONAL_PREFIX: &str = "00";
/// Most characters between two groups of digits of one number, as in `(138) - 0013`.
const MAX_SEPARATORS: usize = 4;
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
/// numbers of 11 digits, and 7 to 15 digits after a plus sign or `00`. Digits may be of any script,
/// and characters may be escaped as in a URL or in JSON. Circled digits, Chinese numerals and
/// letters that look like digits are digits too, and 7 digits with one of them are a number. Which
/// groups of digits form one number is ambiguous, so this tries every sequence of adjacent groups
/// and rather masks too much.
///
/// One limit: if a number is written in groups and further digits follow without a separator
/// (`138-0013-80004000`), the last group is not split. Otherwise every date beside a code would be
/// masked.
#[must_use]
pub(crate) fn mask_numbers(text: &str) -> String {
    let units = read_units(text);
    let actions = find_numbers(&units);
    let Some((read, is_lookalike)) = read_lookalikes(&units) else {
        return apply(&units, &actions);
    };
    let mut all_actions = find_numbers(&read);
    let chars: Vec<char> = read.iter().map(|unit| unit.c).collect();
    for group in find_digit_groups(&chars) {
        if group.len() >= *INTERNATIONAL_DIGITS.start()
            && is_hidden_number(&is_lookalike[group.clone()])
        {
            mask_digits(&group.collect::<Vec<_>>(), &mut all_actions);
        }
    }
    // Next to other digits, such a character may hide a number, or make one of what is none. A
    // character that is read as several digits has its text at the first of them.
    let mut plain = actions.iter();
    let mut action = MaskAction::Keep;
    for (unit, both) in read.iter().zip(&mut all_actions) {
        if !unit.source.is_empty() {
            action = *plain.next().unwrap_or(&MaskAction::Keep);
        }
        if *both != MaskAction::Mask && action != MaskAction::Keep {
            *both = action;
        }
    }
    apply(&read, &all_actions)
}

/// Whether adjacent digits, some of which look like others, are a number: all of them, or one
/// between others. A code may begin with such letters (`ISO9001`).
fn is_hidden_number(is_lookalike: &[bool]) -> bool {
    let first = is_lookalike.iter().position(|other| !other);
    let last = is_lookalike.iter().rposition(|other| !other);
    first.zip(last).is_none_or(|(first, last)| is_lookalike[first..last].contains(&true))
}

/// What to do with each character, so that no number is left.
fn find_numbers(units: &[Unit<'_>]) -> Vec<MaskAction> {
    let chars: Vec<char> = units.iter().map(|unit| unit.c).collect();
    let groups = find_digit_groups(&chars);
    let joined: Vec<bool> =
        groups.windows(2).map(|two| can_join(&chars, &two[0], &two[1])).collect();
    let joined = without_ip_addresses(&chars, &groups, joined);
    let text = NumberText { chars: &chars, groups: &groups, joined: &joined };
    let mut actions = vec![MaskAction::Keep; chars.len()];
    for first in 0..groups.len() {
        let is_mainland = text.mask_mainland(first, &mut actions);
        // `0013` in `138 0013 8000` is no prefix.
        let is_free = actions[groups[first].start] == MaskAction::Keep;
        if !is_mainland
            && (text.has_plus_before(first) || is_free && text.has_international_prefix(first))
        {
            text.mask_international(first, &mut actions);
        }
        text.mask_within_digits(first, &mut actions);
    }
    actions
}

/// Masks the number with these `digits`, in any format and within longer runs of digits.
#[must_use]
pub(crate) fn mask_known_number(text: &str, digits: &str) -> String {
    let units = read_units(text);
    let mut actions = vec![MaskAction::Keep; units.len()];
    let joins = |unit: &Unit<'_>| unit.c.is_ascii_digit() || unit.c == '+' || is_separator(unit.c);
    let mut start = 0;
    for run in units.chunk_by(|one, other| joins(one) == joins(other)) {
        let digits_in_run: String =
            run.iter().map(|unit| unit.c).filter(char::is_ascii_digit).collect();
        let first = run.iter().position(|unit| unit.c.is_ascii_digit());
        let last = run.iter().rposition(|unit| unit.c.is_ascii_digit() || unit.c.is_whitespace());
        if let (Some(first), Some(last), true) = (first, last, digits_in_run.contains(digits)) {
            actions[start + first..=start + last].fill(MaskAction::Mask);
        }
        start += run.len();
    }
    apply(&units, &actions)
}

fn apply(units: &[Unit<'_>], actions: &[MaskAction]) -> String {
    let (mut masked, mut previous) = (String::new(), MaskAction::Keep);
    for (unit, action) in units.iter().zip(actions) {
        match action {
            MaskAction::Keep => masked.push_str(unit.source),
            MaskAction::Mask if previous != MaskAction::Mask => masked.push_str(MASK),
            MaskAction::Mask | MaskAction::Remove => {}
        }
        previous = *action;
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
    match &text[one.end..other.start] {
        [',' | ';' | '，' | '；' | '、'] => true,
        // Each part of a time has at most 2 digits.
        [':' | '：'] => one.len().max(other.len()) > 2,
        // Between the digits that a mask leaves visible.
        ['*', '*', '*', ..] => false,
        between => between.len() <= MAX_SEPARATORS && between.iter().all(|c| is_separator(*c)),
    }
}

/// `joined` without the groups of IPv4 addresses.
fn without_ip_addresses(
    text: &[char],
    groups: &[Range<usize>],
    mut joined: Vec<bool>,
) -> Vec<bool> {
    for (first, four) in groups.windows(4).enumerate() {
        let range = four[0].start..four[3].end;
        let address: String = text[range.clone()].iter().collect();
        let touches_dot = [range.start.checked_sub(1), Some(range.end)]
            .into_iter()
            .flatten()
            .any(|at| text.get(at) == Some(&'.') && is_beside_digit(text, at));
        if !touches_dot && address.parse::<Ipv4Addr>().is_ok() {
            joined[first..first + 3].fill(false);
        }
    }
    joined
}

/// Whether there are digits on both sides of the character at `at`.
fn is_beside_digit(text: &[char], at: usize) -> bool {
    let is_digit =
        |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(char::is_ascii_digit);
    is_digit(at.checked_sub(1)) && is_digit(Some(at + 1))
}

/// A text with its groups of digits.
struct NumberText<'a> {
    chars: &'a [char],
    groups: &'a [Range<usize>],
    /// Whether each group may be of one number with the next one.
    joined: &'a [bool],
}

impl NumberText<'_> {
    /// The sequences of groups that start with group `first` and may form one number of at most
    /// `max_digits`, shortest first. Each item has the positions of its digits.
    fn candidates(&self, first: usize, max_digits: usize) -> impl Iterator<Item = Vec<usize>> {
        let more = (first + 1..self.groups.len()).take_while(|at| self.joined[at - 1]);
        let candidates = std::iter::once(first).chain(more).scan(Vec::new(), |positions, at| {
            positions.extend(self.groups[at].clone());
            Some(positions.clone())
        });
        candidates.take_while(move |positions| positions.len() <= max_digits)
    }

    fn digits(&self, positions: impl IntoIterator<Item = usize>) -> String {
        positions.into_iter().map(|position| self.chars[position]).collect()
    }

    /// Masks the mainland numbers that start with group `first`. Returns whether there are any.
    fn mask_mainland(&self, first: usize, actions: &mut [MaskAction]) -> bool {
        // A group of zeros is more likely a code than a prefix. A number after it is found without
        // it.
        if self.digits(self.groups[first].clone()).bytes().all(|digit| digit == b'0') {
            return false;
        }
        let mut any = false;
        for positions in self.candidates(first, MAX_DIGITS_WITH_PREFIX) {
            let digits = self.digits(positions.iter().copied());
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
    fn mask_within_digits(&self, first: usize, actions: &mut [MaskAction]) {
        let group = &self.groups[first];
        for start in group.start..(group.end + 1).saturating_sub(MAINLAND_DIGITS) {
            let number = start..start + MAINLAND_DIGITS;
            if group.len() > MAINLAND_DIGITS && is_mainland_number(&self.digits(number.clone())) {
                mask_digits(&number.collect::<Vec<_>>(), actions);
            }
        }
    }

    /// Masks everything that may follow a plus sign, also a single group that is too long for a
    /// number.
    fn mask_international(&self, first: usize, actions: &mut [MaskAction]) {
        let max_digits = INTERNATIONAL_PREFIX.len() + INTERNATIONAL_DIGITS.end();
        let group = self.groups[first].clone();
        let too_long = (group.len() > max_digits).then(|| group.collect::<Vec<_>>());
        for positions in self.candidates(first, max_digits).chain(too_long) {
            if positions.len() >= *INTERNATIONAL_DIGITS.start() {
                mask_digits(&positions, actions);
            }
        }
    }

    /// Whether a plus sign precedes group `first`, with at most 3 spaces, brackets or invisible
    /// characters between.
    fn has_plus_before(&self, first: usize) -> bool {
        let is_skipped = |c: &char| c.is_whitespace() || *c == '(' || is_invisible(*c);
        let mut before = self.chars[..self.groups[first].start].iter().rev().take(4);
        before.find(|c| !is_skipped(c)) == Some(&'+')
    }

    /// Whether group `first` begins with `00` and a calling code.
    fn has_international_prefix(&self, first: usize) -> bool {
        let digits = self.digits(self.groups[first].clone());
        let code = digits.strip_prefix(INTERNATIONAL_PREFIX);
        code.is_some_and(|code| code.len() > 1 && !code.starts_with('0'))
    }
}

fn mask_digits(positions: &[usize], actions: &mut [MaskAction]) {
    let first_masked = positions[VISIBLE_HEAD - 1] + 1;
    actions[first_masked..positions[positions.len() - VISIBLE_TAIL]].fill(MaskAction::Mask);
}

fn is_mainland_number(digits: &str) -> bool {
    digits.len() == MAINLAND_DIGITS && matches!(digits.as_bytes(), [b'1', b'3'..=b'9', ..])
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
            ("138/0013/8777 138\\0013|8777", "138****77 138****77"),
            ("138.00.13.87.77 and 138 · 0013 · 8777", "138****77 and 138****77"),
            ("138:0013:8777, 138;0013;8777", "138****77, 138****77"),
            ("(138) - 0013*8777", "(138****77"),
            ("138\u{202e}0013\u{2028}8777\u{fffd}", "138****77\u{fffd}"),
            ("١٣٨٠٠١٣٨٠٠٠ ۱۳۸ ۰۰۱۳ ۸۰۰۰", "١٣٨****٠٠ ۱۳۸****۰۰"),
            ("/%2B852-51234567/%2b86%20138", "/%2B852****67/%2b86%20138"),
            ("%252B852%2D5123%204567", "%252B852****67"),
            ("%31%33%38%30%30%31%33%38%37%37%37", "%31%33%38****%37%37"),
            (r"\u002b85251234567", r"\u002b852****67"),
            ("00852 51234567 or 0085251234567", "008****67 or 008****67"),
            ("50%13800138777", "50%138****77"),
            ("138O0138777, I38OO138777", "138****77, I38****77"),
            ("138o0l38777 and +852 5l234567", "138****77 and +852****67"),
            ("⑬⑧⓪⓪①③⑧⑦⑦⑦", "⑬⑧****⑦⑦"),
            ("❶❸❽⓿⓿❶❸❽❼❼❼", "❶❸❽****❼❼"),
            ("一三八零零一三八七七七 一三八〇〇一三", "一三八****七七 一三八****一三"),
            ("138零零138777，第一138 0013 8777", "138****77，第一138****77"),
            ("①138 0013 8777一139 0013 8777", "①138****77"),
            ("壹叁捌零零壹叁捌", "壹叁捌****叁捌"),
            ("l3800138777 i3800138777", "l38****77 i38****77"),
            ("1380013877O, 用户Ⅰ3800138777", "138****7O, 用户Ⅰ38****77"),
            ("138-O013-8777 138 OO13 8777", "138****77 138****77"),
            ("138o o138777 and 138S0138777", "138****77 and 138****77"),
            ("138 零零一三 8777 一三八-0013-8777", "138****77 一三八****77"),
            ("一三八 零零一三 八七七七", "一三八****七七"),
            ("l/一三八 零零一三 八七七七", "l/一三八****七七"),
            ("138\u{41e}\u{39f}138777, 138\u{43e}0138777", "138****77, 138****77"),
            ("+852 SI234567", "+852****67"),
            ("(I38)- OO13,8777", "(I38****77"),
        ] {
            assert_eq!(mask_numbers(text), masked, "{text}");
        }
    }

    #[test]
    fn the_digits_that_a_mask_leaves_are_not_joined_to_a_number() {
        let masked = mask_numbers("139 1234 5678, 13712340103 2026-11-25 20:14, +852 51234567");
        assert_eq!(masked, "139****78, 137****03 2026-11-25 20:14, +852****67");
        assert_eq!(mask_numbers(&masked), masked);
    }

    #[test]
    fn text_that_is_not_a_number_is_not_masked() {
        for text in [
            "errcode 60011 at 2026-11-25 20:14:09, 1500 ms, 60020 from 192.168.100.20:8080",
            "request 20240101123456789, app 3204871942",
            "https://open-dev.dingtalk.com/apply?content=dingq8h4%23qyapi_get_member_by_mobile",
            "1 2 3, line 100000 of 1 000 000 rows",
            "138.100.138.10 and 138.100.138.10:8080/17",
            "17/11/2026 13:45:12.123, 15:09:33",
            "/var/lib/%E4%BD%A0%E5%A5%BD/2026%2D11%2D25.csv",
            "第一中学三年二班, 2024年一月二十日, ① ② ③, 100Ol, O1l",
            "SOLO 2026, Office 365, BOOKING1234, portal20261130.csv, demo-20261130.csv",
            "ISO9001 ISO 27001:2022 ISO8601, I 2026-11-25 20:14:09, 1 l 2 l 3 4 5",
            "request 15oxq3l8b0o1, 0bSOl0-1a2l3o4e5 and 16ogrIl34Sk1l",
            "一、二、三、四、五、六、七、八、九 2026-11-25",
        ] {
            assert_eq!(mask_numbers(text), text);
        }
    }

    /// The number with every usual prefix and separator.
    fn formats(number: &str) -> Vec<String> {
        let (head, middle, tail) = (&number[..3], &number[3..7], &number[7..]);
        let separators = [
            " ", "-", ".", "/", "\\", "|", "_", ":", ";", "、", "·", "。", "～", ") ", " - ",
            " / ", "\u{a0}", "\u{200b}", "\u{202e}", "\u{2028}", "\u{fffd}", "%20", "%2D", "%2F",
        ];
        let mut grouped: Vec<_> =
            separators.map(|separator| [head, middle, tail].join(separator)).into();
        grouped.push(number.chars().map(String::from).collect::<Vec<_>>().join(" "));
        grouped.push(number.chars().flat_map(|digit| ['%', '3', digit]).collect());
        for zero in ['\u{660}', '\u{6f0}', '\u{966}', '\u{ff10}', '\u{1d7ce}'] {
            let digit = |c: char| char::from_u32(u32::from(zero) + c.to_digit(10)?);
            grouped.push(number.chars().filter_map(digit).collect());
        }
        grouped.push(number.to_owned());
        let prefixes = ["", "86", "86 ", "+86-", "%2B86-", "0086", "0", "+86 0", "+"];
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
                let units = read_units(part);
                let digits: String =
                    units.iter().map(|unit| unit.c).filter(char::is_ascii_digit).collect();
                prop_assert!(!digits.contains(&number), "{before}{formatted}{after}: {masked}");
            }
        }
    }
}
