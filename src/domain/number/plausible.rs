//! Whether a cell could be meant as a phone number, valid or not.

use core::net::{IpAddr, SocketAddr};

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
/// form. Mistyped and rounded numbers count, also beside other text; the digits of dates and of
/// e-mail and IP addresses do not. The shorter numbers of small countries are numbers only if they
/// can be parsed.
#[must_use]
pub(crate) fn could_be_number(cell: &str) -> bool {
    // Fast path without allocation: most cells are plain digits.
    if cell.len() >= MIN_DIGITS && cell.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    let text = normalize_chars(cell);
    if matches!(normalize_number(&text), Err(Invalid::Rounded(_))) {
        return true;
    }
    count_digits(&text) >= MIN_DIGITS
        && (count_digits(&without_addresses(&without_dates(&text))) >= MIN_DIGITS
            || Mobile::parse(cell, DefaultRegion::CHINA).is_ok())
}

/// Whether a cell holds a number or, beside other text, a mistyped one. Other digits alone are
/// those of an id.
#[must_use]
pub(crate) fn holds_number(cell: &str, region: DefaultRegion) -> bool {
    if !could_be_number(cell) {
        return false;
    }
    let text = normalize_chars(cell);
    let number = text.trim_matches(|c: char| !c.is_ascii_digit() && c != '+');
    let mut parts = text
        .split(|c: char| c.is_whitespace() || DELIMITERS.contains(&c))
        .filter(|part| !part.is_empty());
    Mobile::parse(number, region).is_ok()
        || (parts.clone().count() > 1 && parts.any(could_be_number))
}

/// The normalized text without dates and the times that follow them.
fn without_dates(text: &str) -> String {
    let (mut kept, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let is_within_digits = kept.ends_with(|c: char| c.is_ascii_digit() || "-/.".contains(c));
        if let Some(length) = date_length(rest).filter(|_| !is_within_digits) {
            kept.push(' ');
            rest = &rest[length + time_length(&rest[length..])..];
        } else {
            kept.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    kept
}

/// The length of the date that a text begins with, such as `2025-10-13`, `2024年10月3日` or
/// `13/10/2025`.
fn date_length(text: &str) -> Option<usize> {
    let (first, after_first) = split_digits(text);
    let separator = after_first.chars().next()?;
    let (second, after_second) = split_digits(after_first.strip_prefix(separator)?);
    let end = match separator {
        '-' | '/' | '.' => separator,
        '年' => '月',
        _ => return None,
    };
    let (third, rest) = split_digits(after_second.strip_prefix(end)?);
    let is_year = |text: &str| text.len() == 4 && matches!(text.parse(), Ok(1900..=2100));
    let is_day = |text: &str| text.len() < 3 && matches!(text.parse(), Ok(1..=31));
    let goes_on =
        rest.strip_prefix(['-', '/', '.']).is_some_and(|rest| !split_digits(rest).0.is_empty());
    let is_date = is_day(second)
        && ((is_year(first) && is_day(third)) || (is_day(first) && is_year(third)))
        && !goes_on;
    is_date.then(|| text.len() - rest.len())
}

/// The length of the time that follows a date, with what separates them: ` 08:30`, `T12:00:00.123`.
fn time_length(text: &str) -> usize {
    let start = text.trim_start_matches(['日', '号', ' ', 'T']);
    let end = start.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':' || c == '.');
    let time = &start[..start.len() - end.len()];
    let (hour, after) = split_digits(time);
    let is_time = matches!(hour.len(), 1 | 2) && after.starts_with(':');
    if is_time { text.len() - end.len() } else { 0 }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// The text without e-mail and IP addresses.
fn without_addresses(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ".@_%+-:".contains(c);
    let is_address = |word: &str| {
        let word = word.trim_matches(['.', ':']);
        let mail = word.split_once('@');
        mail.is_some_and(|(name, domain)| !name.is_empty() && domain.contains('.'))
            || word.parse::<IpAddr>().is_ok()
            || word.parse::<SocketAddr>().is_ok()
    };
    text.split(|c| !is_part(c)).filter(|word| !is_address(word)).collect::<Vec<_>>().join(" ")
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
            "A,13800138000",
            "张三\t13800138000",
            "00001,张三,13800138000",
            "13800138000（本人）",
            "微信同号13800138000",
            "2026-11-30 13800138000",
            "138-0013-8000",
            "2123-45-67890",
            "2012-12-12345",
            "a@b.com 13800138000",
            "192.168.100.20",
        ] {
            assert!(could_be_number(cell), "{cell}");
        }
        for cell in ["", " ", "-", "0", "无", "n/a", "姓名，手机号", "138001", "e", "E10", "1e-3"]
        {
            assert!(!could_be_number(cell), "{cell}");
        }
    }

    #[test]
    fn dates_and_addresses_are_no_numbers() {
        for cell in [
            "2026-11-30",
            "2021/2/12",
            "2026年1月1日",
            "2025-10-13 12:00:00",
            "2025-10-13T12:00:00.123",
            "1999.12.31",
            "２０２６－１１－３０　０８：３０",
            "13/10/2025 8:30",
            "No data found for 2026-11-30",
            "2024-01-01 至 2024-12-31",
            "12345678@qq.com",
            "联系 zhang.san1234567@example.com。",
            "10.100.100.20:8080",
            "2001:db8:1234::567",
        ] {
            assert!(!could_be_number(cell), "{cell}");
        }
    }

    #[test]
    fn a_number_is_told_from_an_id() {
        let holds = |cell: &str| holds_number(cell, DefaultRegion::CHINA);
        for cell in [
            "13900139000",
            "李四，13900139000",
            "2，李四，13900139000",
            "李四 13900139000",
            "李四 139 0013 9000",
            "李四\t1390013900",
            "李四:13900139000",
        ] {
            assert!(holds(cell), "{cell}");
        }
        for cell in ["", "李四", "20240001", "E1234567", "110101199001011234", "2024-01-01 张三"]
        {
            assert!(!holds(cell), "{cell}");
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
