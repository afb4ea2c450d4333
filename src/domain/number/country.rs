//! Reads the country of a number from a cell beside it: a calling code, an ISO 3166 code or a name.

use std::collections::HashMap;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::domain::number::mobile::DefaultRegion;
use crate::domain::number::normalize::normalize_chars;

/// For each region the codes of ISO 3166 with two and three letters, and names in English and in
/// simplified and traditional Chinese: those of Unicode CLDR, and other usual ones. No small crate
/// has Chinese names.
const NAMES: &str = include_str!("country_names.txt");

static REGIONS: LazyLock<HashMap<String, DefaultRegion>> = LazyLock::new(|| {
    let mut regions = HashMap::new();
    for line in NAMES.lines() {
        let mut fields = line.splitn(3, ' ');
        let (Some(two), Some(three), Some(names)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if let Ok(region) = two.parse::<DefaultRegion>() {
            let keys = [two, three].into_iter().chain(names.split(';'));
            regions.extend(keys.map(|key| (fold(key), region)));
        }
    }
    regions
});

/// The country that a cell names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Country {
    pub region: DefaultRegion,
    pub form: CountryForm,
}

/// How a cell names its country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CountryForm {
    /// Only digits, which may be something else: `49`.
    Digits,
    /// A code that can be nothing but a calling code: `+49`, `0049`, `德国 +49`.
    CallingCode,
    /// A name, or letters of ISO 3166.
    Name,
}

impl Country {
    /// `None` if the cell is no known country.
    #[must_use]
    pub(crate) fn parse(cell: &str) -> Option<Self> {
        let text = normalize_chars(cell);
        let text = text.trim();
        // A spreadsheet shows a number with decimals.
        let text = text.trim_end_matches(".00").trim_end_matches(".0");
        let start = text.find(|c: char| c.is_ascii_digit());
        let (before, from_digits) = text.split_at(start.unwrap_or(text.len()));
        let end = from_digits.find(|c: char| !c.is_ascii_digit());
        let (digits, after) = from_digits.split_at(end.unwrap_or(from_digits.len()));
        let name = fold(&[before, after].concat());
        if name.contains(char::is_numeric) || text.matches('+').count() > 1 {
            return None;
        }
        let named = REGIONS.get(&name).copied();
        let has_plus = before.trim_end().ends_with('+');
        match (digits.is_empty(), name.is_empty()) {
            // `N/A` says that there is none, `NA` is Namibia.
            (true, _) if text.contains('/') => None,
            (true, _) => named.map(|region| Self { region, form: CountryForm::Name }),
            (false, true) => parse_calling_code(has_plus, digits),
            (false, false) => {
                let coded = parse_calling_code(has_plus, digits)?;
                named
                    .filter(|region| region.calling_code() == coded.region.calling_code())
                    .map(|region| Self { region, form: CountryForm::CallingCode })
            }
        }
    }
}

/// `00` means +, as in numbers. Some lists have calling codes of three digits with leading zeros
/// (`086`); only the codes of Beijing and the other places with two digits look the same.
fn parse_calling_code(has_plus: bool, digits: &str) -> Option<Country> {
    let (form, code) = match digits.strip_prefix("00") {
        Some(code) => (CountryForm::CallingCode, code),
        None if has_plus => (CountryForm::CallingCode, digits),
        None => (CountryForm::Digits, digits),
    };
    let code = match code.strip_prefix('0') {
        Some(code) if code.len() == 2 && AreaCode::parse(digits).is_none() => code,
        Some(_) => return None,
        None => code,
    };
    let region = DefaultRegion::from_calling_code(code.parse().ok()?)?;
    Some(Country { region, form })
}

/// How a cell writes a mainland area code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AreaCode {
    /// With its trunk zero: `010`.
    WithZero,
    /// As a spreadsheet shows it: `10`. Some are calling codes as well (`852`).
    WithoutZero,
}

impl AreaCode {
    /// `None` if the cell has not the form of a mainland area code.
    #[must_use]
    pub(crate) fn parse(cell: &str) -> Option<Self> {
        let text = normalize_chars(cell);
        let text = text.trim().trim_end_matches(".0");
        let (form, digits) = match text.strip_prefix('0') {
            Some(digits) => (Self::WithZero, digits),
            None => (Self::WithoutZero, text),
        };
        let has_form = matches!(digits.as_bytes(), [b'1', b'0'] | [b'2', _] | [b'3'..=b'9', _, _]);
        (has_form && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(form)
    }
}

/// A key of [`REGIONS`]: letters in lower case, without accents, spaces and punctuation.
fn fold(name: &str) -> String {
    let letters = name.nfkd().filter(|c| !is_combining_mark(*c) && c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn code(cell: &str) -> Option<u16> {
        Country::parse(cell).map(|country| country.region.calling_code())
    }

    #[test]
    fn calling_codes_iso_codes_and_names_are_read() {
        for cell in [
            "49",
            "+49",
            "0049",
            "＋４９",
            "'49",
            "'+49",
            "=+49",
            "=\"+49\"",
            "49.0",
            "(+49)",
            " 49 ",
            "049",
            "+0049",
            "DE",
            "de",
            "DEU",
            "Germany",
            "GERMANY",
            "德国",
            "德國",
            "德国 +49",
            "Germany (+49)",
            "+49 德国",
            "DE-49",
            "\u{feff}49",
        ] {
            assert_eq!(code(cell), Some(49), "{cell:?}");
        }
        for (cell, expected) in [
            ("86", 86),
            ("+86", 86),
            ("0086", 86),
            ("086", 86),
            ("中国", 86),
            ("中国大陆", 86),
            ("CHN", 86),
            ("1", 1),
            ("USA", 1),
            ("U.S.A.", 1),
            ("CA", 1),
            ("(852)", 852),
            ("香港", 852),
            ("中国香港", 852),
            ("Hong Kong SAR", 852),
            ("台湾", 886),
            ("UK", 44),
            ("Côte d'Ivoire", 225),
            ("Cote d’Ivoire", 225),
            ("刚果（金）", 243),
            ("阿联酋", 971),
            ("Kosovo", 383),
            ("7", 7),
        ] {
            assert_eq!(code(cell), Some(expected), "{cell}");
        }
    }

    #[test]
    fn other_cells_name_no_country() {
        for cell in [
            "",
            "XX",
            "Atlantis",
            "999",
            "0",
            "-",
            "N/A",
            "n/a",
            "无",
            "010",
            "0755",
            "021",
            "1-684",
            "8/6",
            "49 86",
            "德国 +86",
            "+49+86",
            "4.9",
            "881",
            "15123456789",
            "4",
            "外籍",
        ] {
            assert_eq!(code(cell), None, "{cell:?}");
        }
    }

    #[test]
    fn mainland_area_codes_are_recognized() {
        for (cell, form) in [
            ("010", AreaCode::WithZero),
            ("021", AreaCode::WithZero),
            ("0755", AreaCode::WithZero),
            ("０１０", AreaCode::WithZero),
            ("10", AreaCode::WithoutZero),
            ("20", AreaCode::WithoutZero),
            ("755.0", AreaCode::WithoutZero),
            ("852", AreaCode::WithoutZero),
        ] {
            assert_eq!(AreaCode::parse(cell), Some(form), "{cell}");
        }
        for cell in ["86", "+86", "0086", "49", "1", "", "德国", "00755", "07555", "+10", "3a3"] {
            assert_eq!(AreaCode::parse(cell), None, "{cell}");
        }
    }

    #[test]
    fn each_region_has_names_and_no_name_has_two_regions() {
        let mut seen = BTreeMap::new();
        for line in NAMES.lines() {
            let fields: Vec<_> = line.splitn(3, ' ').collect();
            assert!(fields.len() == 3 && fields[1].len() == 3, "{line}");
            for key in [fields[0], fields[1]].into_iter().chain(fields[2].split(';')) {
                let earlier = seen.insert(fold(key), fields[0]);
                assert!(earlier.is_none_or(|earlier| earlier == fields[0]), "{key}: {line}");
            }
        }
        for region in DefaultRegion::all() {
            let parsed = Country::parse(&region).map(|country| country.region.to_string());
            assert!(parsed.is_some() || ["AC", "TA"].contains(&&*region), "{region}");
        }
    }
}
