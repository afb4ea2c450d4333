//! Finds the columns with the countries of numbers: the requested one, or those that header names
//! and cells indicate.

use std::cmp::Reverse;
use std::str::FromStr;

use crate::domain::number::cell::{MISSING_VALUE, NumberCell, quote};
use crate::domain::number::country::{AreaCode, Country, CountryForm};
use crate::domain::number::invalid::Invalid;
use crate::domain::number::mobile::{DefaultRegion, NumberRules};
use crate::table::detect::column::ColumnDetector;
use crate::table::detect::column_error::ColumnError;
use crate::table::detect::columns::{Column, ColumnChoice, PatternError};
use crate::table::detect::country_words::{
    CountryHeader, CountryWord, match_country_header, strip_phone_words,
};

/// What the user says about the country column.
#[derive(Debug, Clone, Default)]
pub enum CountryChoice {
    #[default]
    Detect,
    /// Numbers without a country code are of the default region.
    None,
    Column(ColumnChoice),
}

impl FromStr for CountryChoice {
    type Err = PatternError;

    /// Parses `none` or a column. A column of that name is requested by its position.
    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::None);
        }
        text.parse().map(Self::Column)
    }
}

/// The column with the country of the numbers in another column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CountryColumn {
    /// Its position, counted from 0.
    pub index: usize,
    /// Its name, if the table has a header row.
    pub name: Option<String>,
    pub reading: CountryReading,
}

/// How the cells of a country column are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CountryReading {
    area_codes: AreaCodes,
}

/// Which mainland area codes name the mainland. Others are no country.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AreaCodes {
    None,
    /// Those that are no calling code.
    Unambiguous,
    All,
}

/// Without area codes.
const CODES_AND_NAMES: CountryReading = CountryReading { area_codes: AreaCodes::None };

impl CountryReading {
    /// Parses a number with the country that `country_cell` names. If it is blank, the number is of
    /// the default region.
    ///
    /// # Errors
    /// [`Invalid`] also if the cell names no country: the number may be anybody's.
    pub(crate) fn parse_number(
        self,
        cell: &str,
        country_cell: &str,
        rules: NumberRules,
    ) -> Result<NumberCell, Invalid> {
        if country_cell.trim().is_empty() {
            return NumberCell::parse(cell, rules);
        }
        match self.read(country_cell) {
            Some(country) => NumberCell::parse_in_country(cell, country, country_cell, rules),
            None if country_cell == MISSING_VALUE => Err(Invalid::MissingValue),
            // A row without a number has that as its reason.
            None => match NumberCell::parse(cell, rules) {
                Err(blank) if blank.is_blank() => Err(blank),
                _ => Err(Invalid::UnknownCountry(quote(country_cell))),
            },
        }
    }

    fn read(self, cell: &str) -> Option<DefaultRegion> {
        let country = Country::parse(cell).map(|country| country.region);
        let is_accepted = match self.area_codes {
            AreaCodes::None => false,
            AreaCodes::Unambiguous => country.is_none(),
            AreaCodes::All => true,
        };
        let is_area_code = is_accepted && AreaCode::parse(cell).is_some();
        if is_area_code { Some(DefaultRegion::CHINA) } else { country }
    }
}

/// Returns the country column of each of `numbers`.
///
/// # Errors
/// [`ColumnError`] if the requested column is missing or has the numbers.
pub(crate) fn find_country_columns(
    detector: ColumnDetector<'_>,
    choice: &CountryChoice,
    numbers: &[Column],
) -> Result<Vec<Option<CountryColumn>>, ColumnError> {
    let column = |index, reading| CountryColumn { index, name: detector.name(index), reading };
    match choice {
        CountryChoice::None => Ok(vec![None; numbers.len()]),
        CountryChoice::Column(requested) => {
            let flag = "--country-column";
            let index = detector.find_requested(requested, flag)?;
            if numbers.iter().any(|number| number.index == index) {
                return Err(ColumnError::CountryInNumberColumn { position: index + 1 });
            }
            let reading = CountrySample::read(detector, index).reading();
            Ok(vec![Some(column(index, reading)); numbers.len()])
        }
        CountryChoice::Detect => {
            let finder = Finder { detector, numbers };
            let find = |number| finder.find(number).map(|(index, reading)| column(index, reading));
            Ok(numbers.iter().map(find).collect())
        }
    }
}

/// The country column of one of several number columns.
#[derive(Clone, Copy)]
struct Finder<'a> {
    detector: ColumnDetector<'a>,
    numbers: &'a [Column],
}

impl Finder<'_> {
    /// Prefers a column whose header has the same other words (`Phone 1 - Country` to
    /// `Phone 1 - Value`), then the stronger header, then the nearest column, then the left one.
    fn find(self, number: &Column) -> Option<(usize, CountryReading)> {
        let headers = |index: usize| {
            let name = self.detector.name(index)?;
            match_country_header(&name).map(|header| (index, header))
        };
        let stem = strip_phone_words(number.name.as_deref().unwrap_or_default());
        let named = self.candidates().filter_map(headers).filter_map(|(index, header)| {
            let reading = self.accept(index, &header, &stem)?;
            let is_left = index < number.index;
            let rank =
                (header.stem == stem, header.word, Reverse(index.abs_diff(number.index)), is_left);
            Some((rank, index, reading))
        });
        named
            .max_by(|(one, ..), (other, ..)| one.cmp(other))
            .map(|(_, index, reading)| (index, reading))
            .or_else(|| self.find_by_cells(number.index))
    }

    fn candidates(self) -> impl Iterator<Item = usize> {
        (0..self.detector.first_row.len()).filter(move |index| {
            !self.detector.answer_columns.contains(index)
                && self.numbers.iter().all(|number| number.index != *index)
        })
    }

    /// How the column is read, if it is a country column of the number column with this stem.
    fn accept(self, index: usize, header: &CountryHeader, stem: &str) -> Option<CountryReading> {
        let is_same_stem = header.stem.is_empty() || header.stem == stem;
        let sample = CountrySample::read(self.detector, index);
        let is_country = match header.word {
            // With other words it may be the country of something else (`country of birth`).
            CountryWord::Country => is_same_stem,
            CountryWord::CallingCode => {
                is_same_stem || (!header.is_other_phone && !self.belongs_to_another(header))
            }
            CountryWord::AreaCode => is_same_stem && (sample.cells == 0 || sample.has_any()),
            CountryWord::Region => is_same_stem && sample.is_certain(),
        };
        // Only a column called "area code" has them.
        let has_area_codes = header.word == CountryWord::AreaCode;
        is_country.then(|| if has_area_codes { sample.reading() } else { CODES_AND_NAMES })
    }

    fn belongs_to_another(self, header: &CountryHeader) -> bool {
        self.numbers.iter().any(|number| {
            number.name.as_deref().is_some_and(|name| strip_phone_words(name) == header.stem)
        })
    }

    /// Finds a column beside the numbers whose cells can be nothing but countries, under whatever
    /// header.
    fn find_by_cells(self, number: usize) -> Option<(usize, CountryReading)> {
        let beside = [number.checked_sub(1), number.checked_add(1)];
        beside.into_iter().flatten().find_map(|index| {
            let is_candidate = self.candidates().any(|candidate| candidate == index);
            let sample = CountrySample::read(self.detector, index);
            let has_name = self.detector.name(index).is_some_and(|name| !name.trim().is_empty());
            let is_country = if has_name {
                sample.calling_codes == sample.cells
            } else {
                // Ages and marks are digits as well, but then the mainland is hardly among them.
                sample.countries == sample.cells && sample.calling_codes + sample.mainland > 0
            };
            let is_accepted = is_candidate && sample.cells > 0 && is_country;
            is_accepted.then_some((index, CODES_AND_NAMES))
        })
    }
}

/// What the cells of a column say in the sample.
#[derive(Debug, Default)]
struct CountrySample {
    /// The cells that are not blank.
    cells: usize,
    countries: usize,
    /// Of them, those that name the mainland.
    mainland: usize,
    /// Of them, those of [`CountryForm::CallingCode`].
    calling_codes: usize,
    /// Of them, single digits.
    single_digits: usize,
    /// Cells that can be nothing but a mainland area code.
    area_codes: usize,
    /// Of them, those without their zero.
    bare_area_codes: usize,
    /// Cells that may be a mainland area code and another country's calling code.
    ambiguous: usize,
}

impl CountrySample {
    fn read(detector: ColumnDetector<'_>, index: usize) -> Self {
        let mut sample = Self::default();
        let cells = detector.sample_rows.iter().filter_map(|row| row.get(index));
        for cell in cells.filter(|cell| !cell.trim().is_empty()) {
            sample.cells += 1;
            let area_code = AreaCode::parse(cell);
            let Some(country) = Country::parse(cell) else {
                sample.area_codes += usize::from(area_code.is_some());
                sample.bare_area_codes += usize::from(area_code == Some(AreaCode::WithoutZero));
                continue;
            };
            sample.countries += 1;
            sample.mainland += usize::from(country.region.is_mainland());
            sample.calling_codes += usize::from(country.form == CountryForm::CallingCode);
            sample.ambiguous += usize::from(area_code.is_some());
            sample.single_digits +=
                usize::from(country.form == CountryForm::Digits && cell.trim().len() == 1);
        }
        sample
    }

    fn has_any(&self) -> bool {
        self.countries + self.area_codes > 0
    }

    /// Whether the cells are countries, and not numbers of regions (1, 2, 7).
    fn is_certain(&self) -> bool {
        self.countries == self.cells && self.countries > self.single_digits
    }

    /// Area codes name the mainland, unless a cell certainly names another country: then `030` may
    /// be Berlin. A cell that is both is an area code only beside others without their zeros.
    fn reading(&self) -> CountryReading {
        let has_lost_zeros = self.bare_area_codes > 0;
        let ambiguous = if has_lost_zeros { self.ambiguous } else { 0 };
        let area_codes = if self.countries > self.mainland + ambiguous {
            AreaCodes::None
        } else if has_lost_zeros {
            AreaCodes::All
        } else {
            AreaCodes::Unambiguous
        };
        CountryReading { area_codes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::MainlandFormat;

    /// The country columns, from 1, of the number columns (from 1) of a table.
    fn found(text: &str, headers: bool, numbers: &[usize]) -> Vec<Option<usize>> {
        let found = find(text, headers, numbers, &CountryChoice::Detect).unwrap();
        found.into_iter().map(|column| column.map(|column| column.index + 1)).collect()
    }

    fn find(
        text: &str,
        headers: bool,
        numbers: &[usize],
        choice: &CountryChoice,
    ) -> Result<Vec<Option<CountryColumn>>, ColumnError> {
        let rows: Vec<Vec<String>> =
            text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect();
        let detector = ColumnDetector {
            first_row: &rows[0],
            has_headers: headers,
            line: 1,
            sample_rows: &rows[usize::from(headers)..],
            answer_columns: &[],
            looks_like_mobile: &|_| false,
        };
        let choices: Vec<_> = numbers.iter().map(|at| ColumnChoice::Position(*at)).collect();
        find_country_columns(detector, choice, &detector.choose(&choices).unwrap())
    }

    #[test]
    fn a_country_column_is_found_by_its_header() {
        for text in [
            "name,stateCode,mobile\nA,86,138\nB,49,151",
            "手机号,国家码\n138,",
            "国家/地区,姓名,部门,手机号\n德国,A,B,151",
            "country,手机号\nAtlantis,151",
            "国际区号,手机号\nXX,151",
            "区号,手机号\n010,138",
            "区号,手机号\n49,151",
            "地区,手机号\n香港,5123",
            "region,mobile\n86,138\n49,151",
        ] {
            let country = 1 + text
                .lines()
                .next()
                .unwrap()
                .split(',')
                .position(|name| match_country_header(name).is_some())
                .unwrap();
            let number = 1 + text
                .lines()
                .next()
                .unwrap()
                .split(',')
                .position(|name| name.contains("手机号") || name.contains("mobile"))
                .unwrap();
            assert_eq!(found(text, true, &[number]), [Some(country)], "{text}");
        }
        for text in [
            "地区,手机号\n华东,138",
            "地区,手机号\n香港,138\n华东,138",
            "region,手机号\n1,138\n2,138",
            "region,手机号\n1,138\n7,138",
            "区号,手机号\nA1,138",
            "country of birth,手机号\n德国,138",
            "国籍,手机号\n德国,138",
            "紧急联系人国家码,手机号\n49,138",
            "年龄,手机号\n49,138\n86,138",
            "部门,手机号\nIT,138",
        ] {
            assert_eq!(found(text, true, &[2]), [None], "{text}");
        }
    }

    #[test]
    fn each_number_column_has_its_own_country_column() {
        let text = "国家码,手机号,紧急联系人国家码,紧急联系人手机号\n86,138,49,151";
        assert_eq!(found(text, true, &[2, 4]), [Some(1), Some(3)]);
        let text = "Phone 1 - Value,Phone 1 - Country Code,Phone 2 - Value,Phone 2 - Country Code\n\
                    138,86,151,49";
        assert_eq!(found(text, true, &[1, 3]), [Some(2), Some(4)]);
        let text = "区号,电话1,区号,电话2\n86,138,49,151";
        assert_eq!(found(text, true, &[2, 4]), [Some(1), Some(3)]);
        let text = "stateCode,mobile,备用手机\n49,151,152";
        assert_eq!(found(text, true, &[2, 3]), [Some(1), Some(1)]);
        let text = "country,country code,mobile\nGermany,49,151";
        assert_eq!(found(text, true, &[3]), [Some(2)]);
        let text = "user country code,mobile\n49,151";
        assert_eq!(found(text, true, &[2]), [Some(1)]);
    }

    #[test]
    fn a_column_beside_the_numbers_is_found_by_its_cells() {
        assert_eq!(found("Vorwahl,mobile\n+49,151\n+86,138", true, &[2]), [Some(1)]);
        assert_eq!(found("mobile,Vorwahl\n151,0049", true, &[1]), [Some(2)]);
        assert_eq!(found("甲,86,138\nHans,49,151", false, &[3]), [Some(2)]);
        assert_eq!(found("CN,138\nDE,151", false, &[2]), [Some(1)]);
        for (text, headers) in [
            ("Vorwahl,mobile\n49,151", true),
            ("Vorwahl,mobile\n+49,151\nx,138", true),
            ("+49,Hans,151", false),
            ("30,138\n49,139", false),
            ("IT,138\nHR,139", false),
            (",138", false),
        ] {
            let number = text.lines().next().unwrap().split(',').count();
            assert_eq!(found(text, headers, &[number]), [None], "{text}");
        }
    }

    #[test]
    fn a_requested_country_column_is_used() {
        let text = "a,b,mobile\n49,x,151";
        let choose = |choice: &str| find(text, true, &[3], &choice.parse().unwrap());
        assert_eq!(choose("none"), Ok(vec![None]));
        for choice in ["a", "1", "/^A$/"] {
            assert_eq!(choose(choice).unwrap()[0].as_ref().unwrap().index, 0, "{choice}");
        }
        let missing = choose("c").unwrap_err().to_string();
        assert!(missing.contains("with --country-column: 1 a, 2 b"), "{missing}");
        let same = choose("mobile").unwrap_err();
        assert_eq!(same, ColumnError::CountryInNumberColumn { position: 3 });
    }

    /// What is sent for a number, or the reason; `codes` are the cells of a column called 区号.
    fn sent(codes: &str, country: &str, number: &str) -> Result<String, String> {
        let text = format!("区号,手机号\n{},138", codes.replace(' ', ",138\n"));
        let column = find(&text, true, &[2], &CountryChoice::Detect).unwrap().remove(0).unwrap();
        let rules = NumberRules { default_region: DefaultRegion::CHINA, strict: true };
        column
            .reading
            .parse_number(number, country, rules)
            .map(|number| number.mobile.to_api_string(MainlandFormat::Plain))
            .map_err(|reason| reason.to_string())
    }

    #[test]
    fn area_codes_change_nothing_unless_the_column_has_other_countries() {
        let mainland = Ok("15123456789".to_owned());
        for code in ["010", "0755", "86", "+86", "0086", "", " "] {
            assert_eq!(sent("010 86 +86 0086", code, "15123456789"), mainland, "{code}");
        }
        // Excel removed the zeros.
        for code in ["10", "755", "20", "591"] {
            assert_eq!(sent("10 755 20", code, "15123456789"), mainland, "{code}");
        }
        let german = Ok("+49-15123456789".to_owned());
        for codes in ["010 86", "86 49", "10 755"] {
            assert_eq!(sent(codes, "49", "15123456789"), german, "{codes}");
        }
        assert_eq!(sent("86", "852", "51234567").unwrap(), "+852-51234567");
        assert_eq!(sent("010", "852", "51234567").unwrap(), "+852-51234567");
        assert!(sent("010 49", "010", "15123456789").unwrap_err().contains("says \"010\""));
        assert_eq!(sent("86 49", "852", "51234567").unwrap(), "+852-51234567");
    }

    #[test]
    fn the_country_is_part_of_the_number() {
        for (country, number, expected) in [
            ("49", "15123456789", "+49-15123456789"),
            ("+49", "015123456789", "+49-15123456789"),
            ("49", "0151 2345 6789", "+49-15123456789"),
            ("49", "4915123456789", "+49-15123456789"),
            ("49", "+49 1512 3456789", "+49-15123456789"),
            ("+49", "004915123456789", "+49-15123456789"),
            ("德国", "15123456789", "+49-15123456789"),
            ("1", "2015550123", "+1-2015550123"),
            ("1", "12015550123", "+1-2015550123"),
            ("852", "51234567", "+852-51234567"),
            ("(852)", "5123 4567", "+852-51234567"),
            ("香港", "85251234567", "+852-51234567"),
            ("86", "13800138000", "13800138000"),
            ("86", "+86 138 0013 8000", "13800138000"),
            ("86", "8613800138000", "13800138000"),
            ("", "13800138000", "13800138000"),
            ("", "+49 15123456789", "+49-15123456789"),
            ("39", "347 123 4567", "+39-3471234567"),
        ] {
            assert_eq!(sent("49", country, number).as_deref(), Ok(expected), "{country} {number}");
        }
        for (country, number, reason) in [
            (MISSING_VALUE, "13800138000", "a formula without a stored value"),
            ("49", "+86 13800138000", "the number is of +86, but the country column says 49 (+49)"),
            ("86", "+49 15123456789", "the number is of +49, but the country column says 86 (+86)"),
            ("1", "011 86 13800138000", "the number is of +86, but the country column says 1 (+1)"),
            ("德国", "0086 13800138000", "the country column says 德国 (+49)"),
            ("852", "15123456789", "not a mobile number of +852; a mainland"),
            ("49", "13800138000", "not a mobile number of +49; a mainland"),
            ("86", "51234567", "too short: 8 digits; a mainland"),
            ("XX", "13800138000", "the country column says \"XX\""),
            ("Atlantis", "+8613800138000", "the country column says \"Atlantis\""),
            ("XX", "", "the cell is empty"),
            ("49", "-", "no number"),
        ] {
            let error = sent("49", country, number).unwrap_err();
            assert!(error.contains(reason), "{country} {number}: {error}");
        }
    }
}
