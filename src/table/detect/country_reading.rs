//! Reads the cells of a country column: what each says about the country of the number beside it.

use crate::domain::number::cell::{MISSING_VALUE, NumberCell, quote};
use crate::domain::number::country::{
    AreaCode, Country, CountryForm, is_no_country, may_be_country, may_be_places,
    may_begin_with_country,
};
use crate::domain::number::invalid::Invalid;
use crate::domain::number::mobile::{DefaultRegion, NumberRules};

/// The columns with the countries of the numbers in one column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NumberCountries {
    /// The column whose cells decide.
    pub certain: Option<CountryColumn>,
    /// Columns whose cells may be the countries. They count where no cell of `certain` names one.
    pub doubtful: Vec<CountryColumn>,
}

/// A column that has, or may have, the countries of the numbers in another column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CountryColumn {
    /// Its position, counted from 0.
    pub index: usize,
    /// Its name, if the table has a header row.
    pub name: Option<String>,
    pub reading: CountryReading,
    /// Whether its cells in the sample look so much like the countries that the user should say
    /// what they are.
    pub is_suspected: bool,
}

/// How the cells of a country column are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CountryReading {
    pub evidence: Evidence,
    pub content: CellContent,
}

/// What says that the column has the countries of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// Its header, or the user.
    Header,
    /// Its cells. A single digit may be a mark all the same.
    Cells,
    /// Its header, but they may be the countries of another number column.
    OtherNumbers,
    /// Its header, but another column with the same countries is nearer to the numbers.
    Rival,
    /// A part of its header, or only that it is beside the numbers.
    Weak,
}

/// What the cells of a country column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CellContent {
    /// Codes and names of countries.
    Countries,
    /// Area codes of the mainland as well.
    AreaCodes,
    /// Calling codes; two letters may be a state (`IN`: Indiana, or India).
    StateCodes,
    /// By its header or its cells something else, such as ages and departments, but perhaps names
    /// of countries. Digits and two or three letters are no countries.
    Others,
    /// Anything, but a cell like `+49` is a calling code.
    CallingCodes,
    /// By its header places. Digits are rather a building; a Chinese place may begin with its
    /// country (`德国柏林`).
    Places,
}

pub(crate) const COUNTRIES: CountryReading =
    CountryReading { evidence: Evidence::Header, content: CellContent::Countries };
pub(crate) const AREA_CODES: CountryReading =
    CountryReading { content: CellContent::AreaCodes, ..COUNTRIES };
pub(crate) const STATE_CODES: CountryReading =
    CountryReading { content: CellContent::StateCodes, ..COUNTRIES };

/// What a cell says about the country of the number beside it.
#[derive(Clone, Copy)]
enum Meaning {
    /// Nothing: the number is of the default region.
    Nothing,
    Country(DefaultRegion),
    /// One of two countries. The number decides.
    Either(DefaultRegion, DefaultRegion),
    /// This country, or nothing.
    Perhaps(DefaultRegion),
    Unknown,
}

impl NumberCountries {
    pub(crate) fn columns(&self) -> impl Iterator<Item = &CountryColumn> {
        self.certain.iter().chain(&self.doubtful)
    }

    /// The column that the user should name, or exclude.
    #[must_use]
    pub(crate) fn suspected(&self) -> Option<&CountryColumn> {
        self.doubtful.iter().find(|column| self.certain.is_none() && column.is_suspected)
    }

    /// Parses a number with the countries that the cells of [`NumberCountries::columns`] name. If
    /// they are blank, the number is of the default region.
    ///
    /// # Errors
    /// [`Invalid`] also if the country cannot be determined: the number may be anybody's.
    pub(crate) fn parse_number<'a>(
        &self,
        cell: &str,
        mut country_cells: impl Iterator<Item = &'a str>,
        rules: NumberRules,
    ) -> Result<NumberCell, Invalid> {
        let (number, is_stated) = match &self.certain {
            None => match NumberCell::parse(cell, rules) {
                Ok(number) => (number, false),
                Err(reason) => return Err(self.explain(reason, cell, country_cells, rules)),
            },
            Some(column) => {
                column.parse_number(cell, country_cells.next().unwrap_or_default(), rules)?
            }
        };
        for (column, country_cell) in self.doubtful.iter().zip(country_cells) {
            if !is_stated || column.reading.evidence == Evidence::Rival {
                let meaning = column.reading.interpret(country_cell, rules.default_region);
                column.check_doubt(Some(number), meaning, [cell, country_cell], rules)?;
            }
        }
        Ok(number)
    }

    /// The reason for a cell that is no number of the default region: it may be one of a country
    /// that another cell names.
    fn explain<'a>(
        &self,
        reason: Invalid,
        cell: &str,
        country_cells: impl Iterator<Item = &'a str>,
        rules: NumberRules,
    ) -> Invalid {
        let may_lack_digits = rules.default_region.is_mainland() && cell.trim().starts_with('1');
        if !reason.is_readable() || may_lack_digits {
            return reason;
        }
        let doubt = self.doubtful.iter().zip(country_cells).find_map(|(column, country_cell)| {
            let meaning = column.reading.interpret(country_cell, rules.default_region);
            column.check_doubt(None, meaning, [cell, country_cell], rules).err()
        });
        doubt.unwrap_or(reason)
    }
}

impl CountryColumn {
    /// Parses a number with the country that its cell of a certain column names. Also returns
    /// whether it names one.
    fn parse_number(
        &self,
        cell: &str,
        country_cell: &str,
        rules: NumberRules,
    ) -> Result<(NumberCell, bool), Invalid> {
        let parse =
            |country, rules| NumberCell::parse_in_country(cell, country, country_cell, rules);
        let meaning = self.reading.interpret(country_cell, rules.default_region);
        let (number, is_stated) = match meaning {
            Meaning::Country(country) => (parse(country, rules)?, true),
            Meaning::Either(one, other) => {
                let strict = NumberRules { strict: true, ..rules };
                let number =
                    parse(one, rules).or_else(|reason| parse(other, strict).map_err(|_| reason))?;
                (number, true)
            }
            // A row without a number has that as its reason.
            Meaning::Unknown => match NumberCell::parse(cell, rules) {
                Err(blank) if blank.is_blank() => return Err(blank),
                _ => return Err(unknown_country(country_cell)),
            },
            Meaning::Nothing | Meaning::Perhaps(_) => (NumberCell::parse(cell, rules)?, false),
        };
        self.check_doubt(Some(number), meaning, [cell, country_cell], rules)?;
        Ok((number, is_stated))
    }

    /// Refuses a number that is possible in another country, which its cell may name. Without it,
    /// `number` is `None` if the cell has none.
    fn check_doubt(
        &self,
        number: Option<NumberCell>,
        meaning: Meaning,
        [cell, country_cell]: [&str; 2],
        rules: NumberRules,
    ) -> Result<(), Invalid> {
        let other = match meaning {
            Meaning::Perhaps(country) | Meaning::Either(_, country) => country,
            Meaning::Unknown => return Err(unknown_country(country_cell)),
            Meaning::Nothing | Meaning::Country(_) => return Ok(()),
        };
        // A number that only has a possible length proves nothing.
        let strict = NumberRules { strict: true, ..rules };
        match NumberCell::parse_in_country(cell, other, country_cell, strict) {
            Ok(other) if number.is_none_or(|number| number.mobile != other.mobile) => {
                Err(Invalid::DoubtfulCountry { column: self.index + 1, cell: quote(country_cell) })
            }
            _ => Ok(()),
        }
    }
}

fn unknown_country(country_cell: &str) -> Invalid {
    if country_cell == MISSING_VALUE {
        return Invalid::MissingValue;
    }
    Invalid::UnknownCountry(quote(country_cell))
}

impl CountryReading {
    fn interpret(self, cell: &str, default_region: DefaultRegion) -> Meaning {
        let Self { evidence, content } = self;
        let is_certain = matches!(evidence, Evidence::Header | Evidence::Cells);
        let is_excluded = || match content {
            CellContent::CallingCodes => !cell.contains(['+', '＋']),
            CellContent::Places => !may_be_places(cell) && !may_begin_with_country(cell),
            CellContent::Others => !may_be_country(cell) || are_digits(cell) || is_code(cell),
            _ => evidence == Evidence::Weak && !may_be_country(cell),
        };
        if cell.trim().is_empty() || is_excluded() {
            return Meaning::Nothing;
        }
        let is_area_code = content == CellContent::AreaCodes && AreaCode::parse(cell).is_some();
        let Some(Country { region, form }) = self.parse_country(cell) else {
            return match evidence {
                _ if is_area_code && is_certain => Meaning::Country(DefaultRegion::CHINA),
                _ if is_area_code => Meaning::Perhaps(DefaultRegion::CHINA),
                Evidence::Weak | Evidence::Rival => Meaning::Nothing,
                _ if is_no_country(cell) => Meaning::Nothing,
                _ => Meaning::Unknown,
            };
        };
        let is_digit = is_single_digit(cell, form);
        let may_be_digits = matches!(
            content,
            CellContent::Countries | CellContent::AreaCodes | CellContent::StateCodes
        );
        let is_state = content == CellContent::StateCodes
            && matches!(cell.trim().as_bytes(), [one, two]
                if one.is_ascii_alphabetic() && two.is_ascii_alphabetic());
        match evidence {
            Evidence::Weak if is_digit => Meaning::Nothing,
            // An identifier like `0049` has the form of a calling code.
            Evidence::Weak
                if !may_be_digits && (form == CountryForm::Digits || are_digits(cell)) =>
            {
                Meaning::Nothing
            }
            Evidence::Weak if is_state_of(default_region, cell) => Meaning::Nothing,
            Evidence::Weak | Evidence::OtherNumbers | Evidence::Rival => Meaning::Perhaps(region),
            _ if is_state => Meaning::Perhaps(region),
            // `20` of Guangzhou, whose zero a spreadsheet removed, or of Egypt.
            Evidence::Header if is_area_code => Meaning::Either(DefaultRegion::CHINA, region),
            Evidence::Cells if is_digit => Meaning::Either(default_region, region),
            Evidence::Header | Evidence::Cells => Meaning::Country(region),
        }
    }

    fn parse_country(self, cell: &str) -> Option<Country> {
        let in_places = || match self.content {
            CellContent::Others | CellContent::CallingCodes => None,
            CellContent::Places => {
                Country::parse_in_places(cell).or_else(|| Country::parse_address(cell))
            }
            _ => Country::parse_in_places(cell).or_else(|| {
                let is_certain = matches!(self.evidence, Evidence::Header | Evidence::Cells);
                is_certain.then(|| Country::parse_address(cell)).flatten()
            }),
        };
        Country::parse(cell).or_else(in_places)
    }

    /// Whether a cell names, or may name, a country other than the mainland.
    #[must_use]
    pub(crate) fn names_foreign_country(self, cell: &str) -> bool {
        matches!(
            self.interpret(cell, DefaultRegion::CHINA),
            Meaning::Country(region) | Meaning::Perhaps(region) if !region.is_mainland()
        )
    }
}

/// States and provinces with the code of another country.
const STATES: [&str; 31] = [
    "AL", "AR", "AZ", "CA", "CO", "DE", "GA", "ID", "IL", "IN", "KY", "LA", "MA", "MD", "ME", "MN",
    "MO", "MS", "MT", "NC", "NE", "PA", "SC", "SD", "TN", "VA", "NL", "NU", "PE", "SK", "YT",
];

/// Whether a cell is rather a state of the default region, the United States or Canada.
fn is_state_of(default_region: DefaultRegion, cell: &str) -> bool {
    default_region.calling_code() == 1
        && STATES.iter().any(|state| state.eq_ignore_ascii_case(cell.trim()))
}

/// Whether a cell has the form of a code of ISO 3166.
fn is_code(cell: &str) -> bool {
    let cell = cell.trim();
    cell.len() <= 3 && cell.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn are_digits(cell: &str) -> bool {
    cell.trim().bytes().all(|byte| byte.is_ascii_digit())
}

fn is_single_digit(cell: &str, form: CountryForm) -> bool {
    form == CountryForm::Digits && cell.trim().chars().count() == 1
}

/// What the cells of a column say in the sample.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CountrySample {
    /// The cells that are not blank.
    pub cells: usize,
    pub countries: usize,
    /// Of the countries, those that name the mainland.
    pub mainland: usize,
    /// Of the countries, those of [`CountryForm::CallingCode`].
    pub calling_codes: usize,
    /// Of these, those that are not only digits (`0049`).
    pub signed_codes: usize,
    /// Of the countries, those of [`CountryForm::Name`].
    pub names: usize,
    /// The country, if all cells that name one name the same.
    pub only_region: Option<DefaultRegion>,
    /// Of the countries, single digits.
    single_digits: usize,
    /// Cells that can be nothing but a mainland area code.
    pub area_codes: usize,
    /// Other cells of digits.
    pub other_digits: usize,
}

impl CountrySample {
    pub(crate) fn read<'a>(cells: impl Iterator<Item = &'a String>) -> Self {
        let mut sample = Self::default();
        for cell in cells {
            match (Country::parse(cell), AreaCode::parse(cell)) {
                (Some(country), _) => {
                    let is_same = sample.only_region == Some(country.region);
                    let is_only = sample.countries == 0 || is_same;
                    sample.only_region = is_only.then_some(country.region);
                    sample.countries += 1;
                    sample.mainland += usize::from(country.region.is_mainland());
                    let is_code = country.form == CountryForm::CallingCode;
                    sample.calling_codes += usize::from(is_code);
                    sample.signed_codes += usize::from(is_code && !are_digits(cell));
                    sample.names += usize::from(country.form == CountryForm::Name);
                    sample.single_digits += usize::from(is_single_digit(cell, country.form));
                }
                (None, Some(_)) => sample.area_codes += 1,
                (None, None) if is_no_country(cell) => continue,
                (None, None) => {
                    sample.other_digits += usize::from(are_digits(cell));
                }
            }
            sample.cells += 1;
        }
        sample
    }

    pub(crate) fn has_any(&self) -> bool {
        self.countries + self.area_codes > 0
    }

    pub(crate) fn are_countries(&self) -> bool {
        self.countries == self.cells
    }

    /// Whether the cells are countries, and not numbers of regions (1, 2, 7).
    pub(crate) fn is_certain(&self) -> bool {
        self.are_countries() && self.countries > self.single_digits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::MainlandFormat;

    /// What is sent for a number beside a cell of a column, or the reason.
    fn sent(reading: CountryReading, country: &str, number: &str) -> Result<String, String> {
        sent_in(DefaultRegion::CHINA, &[(reading, country)], number)
    }

    /// What is sent for a number beside cells of several columns, which begin with the second one.
    fn sent_in(
        default_region: DefaultRegion,
        cells: &[(CountryReading, &str)],
        number: &str,
    ) -> Result<String, String> {
        let columns = (1..).zip(cells).map(|(index, (reading, _))| CountryColumn {
            index,
            name: None,
            reading: *reading,
            is_suspected: false,
        });
        let is_certain = |column: &CountryColumn| {
            matches!(column.reading.evidence, Evidence::Header | Evidence::Cells)
        };
        let (certain, doubtful): (Vec<_>, Vec<_>) = columns.partition(is_certain);
        let countries = NumberCountries { certain: certain.into_iter().next(), doubtful };
        let rules = NumberRules { default_region, strict: true };
        countries
            .parse_number(number, cells.iter().map(|(_, cell)| *cell), rules)
            .map(|number| number.mobile.to_api_string(MainlandFormat::Plain))
            .map_err(|reason| reason.to_string())
    }

    #[test]
    fn area_codes_are_of_the_mainland() {
        let mainland = Ok("15123456789".to_owned());
        for code in ["010", "0755", "86", "+86", "0086", "", " ", "-", "无", "0", "N/A", "/"] {
            assert_eq!(sent(AREA_CODES, code, "15123456789"), mainland, "{code}");
        }
        // A spreadsheet removed the zeros; some are calling codes as well.
        for code in ["10", "755", "20", "27", "371", "591"] {
            assert_eq!(sent(AREA_CODES, code, "15123456789"), mainland, "{code}");
        }
        let german = Ok("+49-15123456789".to_owned());
        assert_eq!(sent(AREA_CODES, "49", "15123456789"), german);
        assert_eq!(sent(AREA_CODES, "+49", "15123456789"), german);
        assert_eq!(sent(AREA_CODES, "852", "51234567").unwrap(), "+852-51234567");
        assert_eq!(sent(AREA_CODES, "371", "21234567").unwrap(), "+371-21234567");
        assert!(sent(AREA_CODES, "852", "13800138000").unwrap_err().contains("number of +852"));
        assert!(sent(AREA_CODES, "A1", "13800138000").unwrap_err().contains("says \"A1\""));
        assert!(sent(COUNTRIES, "010", "13800138000").unwrap_err().contains("says \"010\""));
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
            ("🇩🇪", "15123456789", "+49-15123456789"),
            ("1", "2015550123", "+1-2015550123"),
            ("1", "12015550123", "+1-2015550123"),
            ("+1-242", "2423591234", "+1-2423591234"),
            ("1242", "3591234", "+1-2423591234"),
            ("44-1534", "7797712345", "+44-7797712345"),
            ("Korea, Republic of", "01012345678", "+82-1012345678"),
            ("852", "51234567", "+852-51234567"),
            ("(852)", "5123 4567", "+852-51234567"),
            ("香港", "85251234567", "+852-51234567"),
            ("86", "13800138000", "13800138000"),
            ("86", "+86 138 0013 8000", "13800138000"),
            ("86", "8613800138000", "13800138000"),
            ("", "13800138000", "13800138000"),
            ("无", "13800138000", "13800138000"),
            ("", "+49 15123456789", "+49-15123456789"),
            ("39", "347 123 4567", "+39-3471234567"),
        ] {
            assert_eq!(
                sent(COUNTRIES, country, number).as_deref(),
                Ok(expected),
                "{country} {number}"
            );
        }
        for (country, number, reason) in [
            (MISSING_VALUE, "13800138000", "a formula without a stored value"),
            (
                "49",
                "+86 13800138000",
                "the number has the country code +86, but the country column says 49 (+49)",
            ),
            (
                "49",
                "8613800138000",
                "the number has the country code +86, but the country column says 49 (+49)",
            ),
            (
                "86",
                "4915123456789",
                "the number has the country code +49, but the country column says 86 (+86)",
            ),
            (
                "86",
                "+49 15123456789",
                "the number has the country code +49, but the country column says 86 (+86)",
            ),
            (
                "1",
                "011 86 13800138000",
                "the number has the country code +86, but the country column says 1 (+1)",
            ),
            ("德国", "0086 13800138000", "the country column says 德国 (+49)"),
            ("852", "15123456789", "not a mobile number of +852; a mainland"),
            ("49", "13800138000", "not a mobile number of +49; a mainland"),
            ("86", "51234567", "too short: 8 digits; a mainland"),
            ("86", "138001380001", "too long: 12 digits; a mainland"),
            ("XX", "13800138000", "the country column says \"XX\""),
            ("Atlantis", "+8613800138000", "the country column says \"Atlantis\""),
            ("XX", "", "the cell is empty"),
            ("49", "-", "no number"),
        ] {
            let error = sent(COUNTRIES, country, number).unwrap_err();
            assert!(error.contains(reason), "{country} {number}: {error}");
        }
    }

    #[test]
    fn a_number_that_is_possible_in_two_countries_is_doubtful() {
        let cells = CountryReading { evidence: Evidence::Cells, ..COUNTRIES };
        let other = CountryReading { evidence: Evidence::OtherNumbers, ..COUNTRIES };
        let nothing = CountryReading { evidence: Evidence::Weak, ..COUNTRIES };
        let ages = CountryReading { content: CellContent::Others, ..nothing };
        let places = CountryReading { content: CellContent::Places, ..nothing };
        let codes = CountryReading { content: CellContent::CallingCodes, ..nothing };
        for (reading, country, number) in [
            (nothing, "49", "15123456789"),
            (nothing, "德国", "15123456789"),
            (ages, "+49", "15123456789"),
            (ages, "德国", "15123456789"),
            (places, "DE", "15123456789"),
            (places, "+49", "15123456789"),
            (places, "德国柏林", "15123456789"),
            (places, "Berlin, Germany", "15123456789"),
            (nothing, "Berlin, Germany", "15123456789"),
            (codes, "+49", "15123456789"),
            (codes, "德国＋49", "15123456789"),
            (STATE_CODES, "DE", "15123456789"),
            (other, "49", "15123456789"),
            (other, "1", "15162345678"),
            (cells, "1", "15162345678"),
        ] {
            let error = sent(reading, country, number).unwrap_err();
            let expected = format!("column 2 says \"{country}\", which may be");
            assert!(error.starts_with(&expected), "{reading:?} {country} {number}: {error}");
        }
        for (reading, country, number, expected) in [
            (cells, "49", "15123456789", "+49-15123456789"),
            (cells, "1", "5162345678", "+1-5162345678"),
            (nothing, "49", "13800138000", "13800138000"),
            (nothing, "86", "15123456789", "15123456789"),
            (nothing, "49", "+8615123456789", "15123456789"),
            (nothing, "49", "+4915123456789", "+49-15123456789"),
            (nothing, "1", "15162345678", "15162345678"),
            (nothing, "北京", "15123456789", "15123456789"),
            (ages, "49", "15123456789", "15123456789"),
            (ages, "DE", "15123456789", "15123456789"),
            (ages, "0049", "15123456789", "15123456789"),
            (ages, "x/德国", "15123456789", "15123456789"),
            (places, "49", "15123456789", "15123456789"),
            (places, "北京市德国中心", "15123456789", "15123456789"),
            (nothing, "德国项目", "15123456789", "15123456789"),
            (codes, "49", "15123456789", "15123456789"),
            (codes, "德国", "15123456789", "15123456789"),
            (STATE_CODES, "49", "15123456789", "+49-15123456789"),
            (STATE_CODES, "德国", "15123456789", "+49-15123456789"),
            (other, "无", "15123456789", "15123456789"),
            (nothing, MISSING_VALUE, "15123456789", "15123456789"),
            (other, "852", "13800138000", "13800138000"),
        ] {
            assert_eq!(
                sent(reading, country, number).as_deref(),
                Ok(expected),
                "{reading:?} {country} {number}"
            );
        }
        for (cell, reason) in [("Deutschlnd", "says \"Deutschlnd\""), (MISSING_VALUE, "a formula")]
        {
            let error = sent(other, cell, "15123456789").unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let shared = CountryReading { evidence: Evidence::OtherNumbers, ..AREA_CODES };
        assert_eq!(sent(shared, "010", "13800138000").unwrap(), "13800138000");
        // Indiana or India.
        let india = sent_in("US".parse().unwrap(), &[(STATE_CODES, "IN")], "8125550123");
        assert!(india.unwrap_err().starts_with("column 2 says \"IN\""));
        // An age of 20, and a number that lacks a digit.
        assert!(sent(nothing, "20", "1512345678").unwrap_err().contains("too short"));
    }

    #[test]
    fn each_doubtful_column_counts_where_no_cell_states_the_country() {
        let weak = CountryReading { evidence: Evidence::Weak, ..COUNTRIES };
        let rival = CountryReading { evidence: Evidence::Rival, ..COUNTRIES };
        let sent =
            |cells: &[(CountryReading, &str)]| sent_in(DefaultRegion::CHINA, cells, "15123456789");
        for cells in [
            &[(weak, "x"), (weak, "DE")][..],
            &[(weak, "DE"), (weak, "IT")],
            &[(COUNTRIES, ""), (weak, "x"), (weak, "49")],
            &[(COUNTRIES, "-"), (rival, "DE")],
            &[(COUNTRIES, "86"), (rival, "DE")],
        ] {
            assert!(sent(cells).unwrap_err().contains("which may be"), "{cells:?}");
        }
        assert_eq!(sent(&[(COUNTRIES, "86"), (weak, "DE")]).unwrap(), "15123456789");
        assert_eq!(sent(&[(COUNTRIES, "DE"), (rival, "49")]).unwrap(), "+49-15123456789");
        assert_eq!(sent(&[(COUNTRIES, "DE"), (rival, "X")]).unwrap(), "+49-15123456789");
        assert_eq!(sent(&[(weak, "华东"), (weak, "甲")]).unwrap(), "15123456789");
    }
}
