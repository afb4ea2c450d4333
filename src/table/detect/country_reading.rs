//! Reads the cells of a country column: what each says about the country of the number beside it.

use crate::domain::number::cell::{MISSING_VALUE, NumberCell, quote};
use crate::domain::number::country::{AreaCode, Country, CountryForm, is_no_country};
use crate::domain::number::invalid::Invalid;
use crate::domain::number::mobile::{DefaultRegion, NumberRules};
use crate::table::detect::column::ColumnDetector;

/// The column with the country of the numbers in another column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CountryColumn {
    /// Its position, counted from 0.
    pub index: usize,
    /// Its name, if the table has a header row.
    pub name: Option<String>,
    pub reading: CountryReading,
    /// Whether a cell of the sample names another country than the mainland.
    pub names_others: bool,
}

/// How the cells of a country column are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CountryReading {
    pub evidence: Evidence,
    /// Whether area codes name the mainland. Otherwise they are no country.
    pub has_area_codes: bool,
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
    /// Nothing, but its cells may be countries.
    Nothing,
}

/// Codes and names of countries, and no area codes.
pub(crate) const COUNTRIES: CountryReading =
    CountryReading { evidence: Evidence::Header, has_area_codes: false };
pub(crate) const AREA_CODES: CountryReading = CountryReading { has_area_codes: true, ..COUNTRIES };

/// What a cell says about the country of the number beside it.
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

impl CountryColumn {
    /// Whether the cells are known to be the countries of the numbers.
    #[must_use]
    pub(crate) fn is_certain(&self) -> bool {
        matches!(self.reading.evidence, Evidence::Header | Evidence::Cells)
    }

    /// Whether the user should say what the cells are.
    #[must_use]
    pub(crate) fn is_suspected(&self) -> bool {
        !self.is_certain() && self.names_others
    }

    /// Parses a number with the country that `country_cell` names. If it is blank, the number is of
    /// the default region.
    ///
    /// # Errors
    /// [`Invalid`] also if the country cannot be determined: the number may be anybody's.
    pub(crate) fn parse_number(
        &self,
        cell: &str,
        country_cell: &str,
        rules: NumberRules,
    ) -> Result<NumberCell, Invalid> {
        if country_cell.trim().is_empty() {
            return NumberCell::parse(cell, rules);
        }
        // A number that only has a possible length proves nothing.
        let strict = NumberRules { strict: true, ..rules };
        let parse =
            |country, rules| NumberCell::parse_in_country(cell, country, country_cell, rules);
        let (first, second) = match self.reading.read(country_cell, rules.default_region) {
            Meaning::Nothing => return NumberCell::parse(cell, rules),
            Meaning::Country(country) => return parse(country, rules),
            Meaning::Either(one, other) => {
                let second = parse(other, strict);
                (parse(one, rules).or_else(|reason| second.clone().map_err(|_| reason)), second)
            }
            Meaning::Perhaps(country) => (NumberCell::parse(cell, rules), parse(country, strict)),
            Meaning::Unknown if country_cell == MISSING_VALUE => return Err(Invalid::MissingValue),
            // A row without a number has that as its reason.
            Meaning::Unknown => {
                return match NumberCell::parse(cell, rules) {
                    Err(blank) if blank.is_blank() => Err(blank),
                    _ => Err(Invalid::UnknownCountry(quote(country_cell))),
                };
            }
        };
        match (first, second) {
            (Ok(first), Ok(second)) if first.mobile != second.mobile => {
                let column = self.index + 1;
                Err(Invalid::DoubtfulCountry { column, cell: quote(country_cell) })
            }
            (first, _) => first,
        }
    }
}

impl CountryReading {
    fn read(self, cell: &str, default_region: DefaultRegion) -> Meaning {
        let is_area_code = self.has_area_codes && AreaCode::parse(cell).is_some();
        let is_certain = matches!(self.evidence, Evidence::Header | Evidence::Cells);
        let Some(Country { region, form }) = Country::parse(cell) else {
            return if is_area_code {
                Meaning::Country(DefaultRegion::CHINA)
            } else if is_certain && !is_no_country(cell) {
                Meaning::Unknown
            } else {
                Meaning::Nothing
            };
        };
        let is_digit = is_single_digit(cell, form);
        match self.evidence {
            // `20` of Guangzhou, whose zero a spreadsheet removed, or of Egypt.
            Evidence::Header if is_area_code => Meaning::Either(DefaultRegion::CHINA, region),
            Evidence::Cells if is_digit => Meaning::Either(default_region, region),
            Evidence::Header | Evidence::Cells => Meaning::Country(region),
            Evidence::Nothing if is_digit => Meaning::Nothing,
            Evidence::OtherNumbers | Evidence::Nothing => Meaning::Perhaps(region),
        }
    }
}

fn is_single_digit(cell: &str, form: CountryForm) -> bool {
    form == CountryForm::Digits && cell.trim().chars().count() == 1
}

/// What the cells of a column say in the sample.
#[derive(Debug, Default)]
pub(crate) struct CountrySample {
    /// The cells that are not blank.
    pub cells: usize,
    pub countries: usize,
    /// Of them, those that name the mainland.
    pub mainland: usize,
    /// Of them, those of [`CountryForm::CallingCode`].
    pub calling_codes: usize,
    /// Of them, single digits.
    single_digits: usize,
    /// Cells that can be nothing but a mainland area code.
    area_codes: usize,
}

impl CountrySample {
    pub(crate) fn read(detector: ColumnDetector<'_>, index: usize) -> Self {
        let mut sample = Self::default();
        for cell in detector.sample_rows.iter().filter_map(|row| row.get(index)) {
            match (Country::parse(cell), AreaCode::parse(cell)) {
                (Some(country), _) => {
                    sample.countries += 1;
                    sample.mainland += usize::from(country.region.is_mainland());
                    sample.calling_codes += usize::from(country.form == CountryForm::CallingCode);
                    sample.single_digits += usize::from(is_single_digit(cell, country.form));
                }
                (None, Some(_)) => sample.area_codes += 1,
                (None, None) if is_no_country(cell) => continue,
                (None, None) => {}
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
        let column = CountryColumn { index: 1, name: None, reading, names_others: false };
        let rules = NumberRules { default_region: DefaultRegion::CHINA, strict: true };
        column
            .parse_number(number, country, rules)
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
            ("49", "+86 13800138000", "the number is of +86, but the country column says 49 (+49)"),
            ("49", "8613800138000", "the number is of +86, but the country column says 49 (+49)"),
            ("86", "4915123456789", "the number is of +49, but the country column says 86 (+86)"),
            ("86", "+49 15123456789", "the number is of +49, but the country column says 86 (+86)"),
            ("1", "011 86 13800138000", "the number is of +86, but the country column says 1 (+1)"),
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
        let nothing = CountryReading { evidence: Evidence::Nothing, ..COUNTRIES };
        for (reading, country, number) in [
            (nothing, "49", "15123456789"),
            (nothing, "德国", "15123456789"),
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
            (nothing, MISSING_VALUE, "15123456789", "15123456789"),
            (other, "852", "13800138000", "13800138000"),
        ] {
            assert_eq!(
                sent(reading, country, number).as_deref(),
                Ok(expected),
                "{reading:?} {country} {number}"
            );
        }
        // An age of 20, and a number that lacks a digit.
        assert!(sent(nothing, "20", "1512345678").unwrap_err().contains("too short"));
    }
}
