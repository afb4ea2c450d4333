//! Reads the country of a number from a cell beside it: a calling code, an ISO 3166 code or a name.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::domain::number::labels::is_none;
use crate::domain::number::mobile::DefaultRegion;
use crate::domain::number::normalize::{normalize_chars, strip_wrapping};

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

/// How Chinese names begin.
static FIRST_CHARS: LazyLock<HashSet<(char, char)>> = LazyLock::new(|| {
    let names = REGIONS.keys().map(|name| name.chars());
    names.filter_map(|mut chars| Some((chars.next()?, chars.next()?))).collect()
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
    /// A name in a list of places: `Berlin, Germany`.
    Place,
}

impl Country {
    /// `None` if the cell is no known country.
    #[must_use]
    pub(crate) fn parse(cell: &str) -> Option<Self> {
        let text = normalize_chars(cell);
        let text = text.trim();
        // A spreadsheet shows a number with decimals.
        let text = text.trim_end_matches(".00").trim_end_matches(".0");
        if let Some(country) = parse_area_prefix(text) {
            return Some(country);
        }
        let start = text.find(|c: char| c.is_ascii_digit());
        let (before, from_digits) = text.split_at(start.unwrap_or(text.len()));
        let end = from_digits.find(|c: char| !c.is_ascii_digit());
        let (digits, after) = from_digits.split_at(end.unwrap_or(from_digits.len()));
        let name = [before, after].concat();
        let name = if fold(&name).is_empty() { flag_letters(text) } else { name };
        if name.contains(char::is_numeric) || text.matches('+').count() > 1 {
            return None;
        }
        let named = find_region(&name);
        let has_plus = before.trim_end().ends_with('+');
        match (digits.is_empty(), name.is_empty()) {
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

    /// The country in a list of places: `Berlin, Germany`, `柏林（德国）`, `Shanghai - China`. `None`
    /// if it names several: `美国/加拿大`.
    #[must_use]
    pub(crate) fn parse_in_places(cell: &str) -> Option<Self> {
        let text = normalize_chars(cell);
        if !may_be_places(&text) {
            return None;
        }
        let regions = text.split(PLACE_SEPARATORS).filter_map(find_place_region);
        // In an address, the country is last: `Atlanta, Georgia, USA`.
        let is_address = text.contains(',');
        let region = regions.map(Some).reduce(|one, other| match (one?, other?) {
            (one, other) if one == other || (other.is_mainland() && is_part_of_china(one)) => {
                Some(one)
            }
            (_, other) => is_address.then_some(other),
        })??;
        Some(Self { region, form: CountryForm::Place })
    }

    /// The country with which a Chinese address begins: `德国柏林市…`.
    #[must_use]
    pub(crate) fn parse_address(cell: &str) -> Option<Self> {
        let text = normalize_chars(cell);
        let text = text.trim();
        let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
        let prefixes = ends.take(MAX_PREFIX_CHARS).filter_map(|end| text.get(..end));
        let is_chinese = |prefix: &&str| prefix.chars().all(is_chinese);
        let regions = prefixes.take_while(is_chinese).filter_map(|prefix| REGIONS.get(prefix));
        regions.last().map(|region| Self { region: *region, form: CountryForm::Place })
    }
}

const PLACE_SEPARATORS: [char; 12] =
    [',', '、', '/', '\\', '|', ';', '-', '(', ')', '.', '>', '\n'];
/// The longest Chinese name of a country with other words than its own.
const MAX_PREFIX_CHARS: usize = 10;
/// Abbreviations that follow a city. Two letters are rather a state: `Wilmington, DE`.
const PLACE_ABBREVIATIONS: [&str; 4] = ["usa", "uk", "uae", "prc"];

fn find_place_region(place: &str) -> Option<DefaultRegion> {
    let place = place.trim();
    let find = |name: &str| {
        let key = fold(name);
        let is_code = key.is_ascii() && key.len() <= 3 && !PLACE_ABBREVIATIONS.contains(&&*key);
        if is_code { None } else { REGIONS.get(&key).copied() }
    };
    // Chinese places may be separated by spaces, which names do not contain.
    find(place).or_else(|| {
        place.split_whitespace().filter(|word| word.chars().all(is_chinese)).find_map(find)
    })
}

/// Whether `China` may follow the name of the region: `Kowloon, Hong Kong, China`.
fn is_part_of_china(region: DefaultRegion) -> bool {
    matches!(region.calling_code(), 852 | 853 | 886)
}

fn is_chinese(c: char) -> bool {
    ('\u{4e00}'..='\u{9fff}').contains(&c)
}

/// Whether a cell may name a country: a quick look at a cell that may hold anything.
#[must_use]
pub(crate) fn may_be_country(cell: &str) -> bool {
    let text = cell.trim();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    if text.len() > MAX_NAME_BYTES || digits > MAX_CODE_DIGITS {
        return false;
    }
    may_begin_with_country(text) || may_be_places(text)
}

/// Whether a cell may begin with the name of a country.
#[must_use]
pub(crate) fn may_begin_with_country(cell: &str) -> bool {
    let mut chars = cell.trim_start().chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if is_chinese(first) && is_chinese(second) => {
            FIRST_CHARS.contains(&(first, second))
        }
        (first, _) => first.is_some(),
    }
}

/// Whether a cell may be a list of places.
#[must_use]
pub(crate) fn may_be_places(cell: &str) -> bool {
    cell.contains(|c| c == ' ' || PLACE_SEPARATORS.contains(&c) || "，／（－・·".contains(c))
}

/// No name is longer, with its calling code.
const MAX_NAME_BYTES: usize = 100;
/// `001242`, with decimals.
const MAX_CODE_DIGITS: usize = 8;

/// Whether a cell says that there is no country: blank, `-`, `/`, `0`, `无`, `N/A`.
#[must_use]
pub(crate) fn is_no_country(cell: &str) -> bool {
    let text = normalize_chars(cell);
    let text = strip_wrapping(&text);
    text.is_empty() || is_none(text)
}

/// The region of a calling code that several share, with the first digits of its numbers:
/// `+1-242`, `1 (242)`, `1242`, `44-1534`.
fn parse_area_prefix(text: &str) -> Option<Country> {
    if !text.chars().all(|c| c.is_ascii_digit() || "+-() ".contains(c)) {
        return None;
    }
    let unsigned = text.trim_start_matches('(').trim_start_matches('+');
    let has_plus = text.contains('+') || unsigned.starts_with("00");
    let unsigned = unsigned.strip_prefix("00").unwrap_or(unsigned);
    let mut groups = unsigned.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
    let (code, area) = match (groups.next()?, groups.next(), groups.next()) {
        (code, Some(area), None) => (code, area),
        // Without a separator only of calling code 1, as many lists write it.
        (digits, None, None) if digits.len() == 4 && digits.starts_with('1') => digits.split_at(1),
        _ => return None,
    };
    let has_length = if code == "1" { area.len() == 3 } else { (3..=4).contains(&area.len()) };
    if !has_length {
        return None;
    }
    let region = DefaultRegion::from_number_prefix(code.parse().ok()?, area)?;
    let form = if has_plus { CountryForm::CallingCode } else { CountryForm::Digits };
    Some(Country { region, form })
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
    /// As a spreadsheet shows it: `10`. Some are calling codes as well (`371`).
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
        // Hong Kong, Macao and Taiwan. The first two were area codes of Guizhou until 2014.
        let is_country = matches!(text, "852" | "853" | "886");
        let has_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        (has_form && has_digits && !is_country).then_some(form)
    }
}

/// ISO 3166 puts qualifying words last: `Korea, Republic of`, `Korea (the Republic of)`. Forms in
/// two languages name a country twice: `China/中国`. `N/A` says that there is none, `NA` is Namibia.
fn find_region(name: &str) -> Option<DefaultRegion> {
    let find = |key: String| REGIONS.get(&key).copied();
    if name.contains('/') {
        let mut names = name.split('/').map(|name| find(fold(name)));
        let first = names.next()??;
        return names.all(|other| other == Some(first)).then_some(first);
    }
    find(fold(name)).or_else(|| {
        let (noun, words) = name.split_once([',', '('])?;
        let words = fold(words);
        find(words.strip_prefix("the").unwrap_or(&words).to_owned() + &fold(noun))
    })
}

/// The code of ISO 3166 in a flag, which is two letters of their own block of Unicode.
fn flag_letters(text: &str) -> String {
    let letter = |c: char| u32::from(c).checked_sub(0x1f1e6).filter(|nth| *nth < 26);
    text.chars().filter_map(letter).filter_map(|nth| char::from_u32(nth + 0x61)).collect()
}

/// A key of [`REGIONS`]: letters in lower case, without accents, spaces and punctuation.
fn fold(name: &str) -> String {
    let name = name.to_lowercase().replace('&', " and ").replace("st. ", "saint ");
    name.nfkd().filter(|c| !is_combining_mark(*c) && c.is_alphanumeric()).collect()
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
            "🇩🇪",
            "🇩🇪 +49",
            "🇩🇪 德国",
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
            ("中国大陆地区", 86),
            ("国内", 86),
            ("境内", 86),
            ("CN/中国", 86),
            ("中国/CN", 86),
            ("China / 中国", 86),
            ("德国/Germany (+49)", 49),
            ("加纳利群岛", 34),
            ("Diego Garcia", 246),
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
            ("Korea, Republic of", 82),
            ("Korea (the Republic of)", 82),
            ("Korea (the Democratic People's Republic of)", 850),
            ("Iran (Islamic Republic of)", 98),
            ("Taiwan (Province of China)", 886),
            ("Bahamas (the)", 1),
            ("Trinidad and Tobago", 1),
            ("Saint Lucia", 1),
            ("Bosnia and Herzegovina", 387),
            ("Cabo Verde", 238),
        ] {
            assert_eq!(code(cell), Some(expected), "{cell}");
        }
    }

    #[test]
    fn the_first_digits_of_a_shared_calling_code_name_the_region() {
        for (cell, region) in [
            ("+1-242", "BS"),
            ("1242", "BS"),
            ("1 (242)", "BS"),
            ("001 242", "BS"),
            ("(+1) 876", "JM"),
            ("1-684", "AS"),
            ("44-1534", "JE"),
            ("1 204", "CA"),
        ] {
            let parsed = Country::parse(cell).map(|country| country.region.to_string());
            assert_eq!(parsed.as_deref(), Some(region), "{cell}");
        }
        for cell in ["1 201", "1-2", "1-2423", "49 86", "49-151", "4915", "2421", "1-242-359"] {
            assert_eq!(code(cell), None, "{cell}");
        }
    }

    #[test]
    fn a_cell_may_say_that_there_is_no_country() {
        for cell in ["", " ", "-", "--", "/", "0", "无", "N/A", "n/a", "'-", "＼Ｎ", "null"] {
            assert!(is_no_country(cell), "{cell}");
        }
        for cell in ["49", "XX", "外籍", "010", "德国"] {
            assert!(!is_no_country(cell), "{cell}");
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
            "NA/",
            "美国/加拿大",
            "DE/",
            "/",
            "无",
            "010",
            "0755",
            "021",
            "8/6",
            "🇫🇷 +49",
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
    fn a_list_of_places_names_its_country() {
        for (cell, expected) in [
            ("Berlin, Germany", Some(49)),
            ("Berlin，Germany", Some(49)),
            ("Berlin (Germany)", Some(49)),
            ("Germany - Berlin", Some(49)),
            ("Germany / Berlin", Some(49)),
            ("柏林（德国）", Some(49)),
            ("德国 柏林", Some(49)),
            ("德国·柏林", Some(49)),
            ("欧洲-德国 柏林", Some(49)),
            ("Hauptstr. 5, 10115 Berlin, Germany", Some(49)),
            ("Atlanta, Georgia, USA", Some(1)),
            ("London, UK", Some(44)),
            ("Shanghai, China", Some(86)),
            ("Kowloon, Hong Kong, China", Some(852)),
            ("美国/加拿大", None),
            ("Wilmington, DE", None),
            ("IT, HR", None),
            ("Germany", None),
            ("Beijing, Haidian", None),
        ] {
            let place = Country::parse_in_places(cell);
            assert_eq!(place.map(|place| place.region.calling_code()), expected, "{cell}");
        }
        for (cell, expected) in [
            ("德国柏林市1号", Some(49)),
            ("美国", Some(1)),
            ("中国香港九龙", Some(852)),
            ("北京市德国中心", None),
            ("Germany", None),
            ("", None),
        ] {
            let address = Country::parse_address(cell);
            assert_eq!(address.map(|place| place.region.calling_code()), expected, "{cell}");
        }
    }

    #[test]
    fn a_quick_look_excludes_most_cells() {
        for cell in ["49", "+49", " ＋４９", "001 242", "德国 +49", "🇩🇪", "DE", "'49", "（852）"]
        {
            assert!(may_be_country(cell), "{cell}");
        }
        for cell in ["", " ", "张三", "北京市", "15123456789", "2026-11-30 08:00"] {
            assert!(!may_be_country(cell), "{cell}");
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
            ("371", AreaCode::WithoutZero),
        ] {
            assert_eq!(AreaCode::parse(cell), Some(form), "{cell}");
        }
        for cell in
            ["86", "+86", "0086", "49", "1", "", "德国", "00755", "07555", "+10", "3a3", "852"]
        {
            assert_eq!(AreaCode::parse(cell), None, "{cell}");
        }
    }

    #[test]
    fn each_region_has_names_and_no_name_has_two_regions() {
        let mut seen = BTreeMap::new();
        for line in NAMES.lines() {
            let fields: Vec<_> = line.splitn(3, ' ').collect();
            assert!(fields.len() == 3 && fields[1].len() == 3, "{line}");
            assert!(fields[0].parse::<DefaultRegion>().is_ok(), "{line}");
            for key in [fields[0], fields[1]].into_iter().chain(fields[2].split(';')) {
                assert!(may_be_country(key), "{key}");
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
