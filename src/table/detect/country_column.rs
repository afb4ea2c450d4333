//! Finds the columns with the countries of numbers: the requested one, or those that header names
//! and cells indicate.

use std::str::FromStr;

use crate::domain::number::country::Country;
use crate::table::detect::column::ColumnDetector;
use crate::table::detect::column_error::ColumnError;
use crate::table::detect::columns::{Column, ColumnChoice, PatternError};
use crate::table::detect::country_reading::{
    AREA_CODES, COUNTRIES, CellContent, CountryColumn, CountryReading, CountrySample, Evidence,
    NumberCountries, STATE_CODES,
};
use crate::table::detect::country_words::{
    CountryHeader, CountryWord, is_origin, is_other_content, match_country_header,
    strip_phone_words,
};
use crate::table::detect::header_words::{HeaderMatch, is_other_phone, match_header};

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

/// The country columns of a table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CountryColumns {
    /// Those of each number column.
    pub columns: Vec<NumberCountries>,
    /// Whether more rows may show other columns.
    pub needs_more_rows: bool,
}

/// Returns the country columns of each of `numbers`.
///
/// # Errors
/// [`ColumnError`] if the requested column is missing or has the numbers, or if several columns may
/// have the countries.
pub(crate) fn find_country_columns(
    detector: ColumnDetector<'_>,
    choice: &CountryChoice,
    numbers: &[Column],
) -> Result<CountryColumns, ColumnError> {
    let all = |certain: Option<CountryColumn>| CountryColumns {
        columns: vec![NumberCountries { certain, doubtful: Vec::new() }; numbers.len()],
        needs_more_rows: false,
    };
    match choice {
        CountryChoice::None => Ok(all(None)),
        CountryChoice::Column(requested) => {
            let flag = "--country-column";
            let index = detector.find_requested(requested, flag)?;
            if numbers.iter().any(|number| number.index == index) {
                return Err(ColumnError::CountryInNumberColumn { position: index + 1 });
            }
            let finder = Finder::new(detector, numbers);
            let reading = match finder.header(index).map(|header| header.word) {
                Some(CountryWord::CallingCode | CountryWord::Country) => COUNTRIES,
                _ => AREA_CODES,
            };
            Ok(all(Some(finder.column(index, reading))))
        }
        CountryChoice::Detect => {
            let finder = Finder::new(detector, numbers);
            let columns = numbers.iter().map(|number| finder.find(number));
            let columns: Vec<_> = columns.collect::<Result<_, _>>()?;
            let has_rival = |column: &CountryColumn| column.reading.evidence == Evidence::Rival;
            let needs_more_rows = numbers.iter().any(|number| finder.is_open(number))
                || columns.iter().any(|column| column.doubtful.iter().any(has_rival));
            Ok(CountryColumns { columns, needs_more_rows })
        }
    }
}

/// How far from the numbers a calling code (`+49`) may stand under any header.
const NEAR_COLUMNS: usize = 2;

/// Finds the country columns of the number columns.
struct Finder<'a> {
    detector: ColumnDetector<'a>,
    /// What the name of each column says about countries.
    headers: Vec<Option<CountryHeader>>,
    samples: Vec<CountrySample>,
    /// The columns with telephone numbers, and the other words in their names.
    phones: Vec<Phone>,
}

struct Phone {
    index: usize,
    stem: String,
    /// Whether it is one of the number columns of the run.
    is_used: bool,
}

/// A column that has the countries of numbers, perhaps of another number column.
struct Candidate {
    index: usize,
    /// `None` if its cells show it.
    word: Option<CountryWord>,
    stem: String,
    reading: CountryReading,
}

/// The column that has the countries of a number column.
struct Assignment {
    index: usize,
    reading: CountryReading,
    /// Columns that have the same countries.
    rivals: Vec<usize>,
    /// Columns that have those of other number columns.
    others: Vec<usize>,
}

impl<'a> Finder<'a> {
    fn new(detector: ColumnDetector<'a>, numbers: &[Column]) -> Self {
        let indices = 0..detector.first_row.len();
        let is_phone_name = |cell: &String| match_header(cell) >= HeaderMatch::ExactPhone;
        let names_numbers = |row: &&Vec<String>| {
            numbers.iter().any(|number| row.get(number.index).is_some_and(is_phone_name))
        };
        // If the first row is a title, or is in another language, there is one more header.
        let is_header: Vec<bool> =
            detector.sample_rows.iter().map(|row| names_numbers(&row)).collect();
        let lower_header = detector.sample_rows.iter().find(names_numbers);
        let header = |index| {
            let header = detector.name(index).and_then(|name| match_country_header(&name));
            header.or_else(|| match_country_header(lower_header?.get(index)?))
        };
        let phone = |index: usize| {
            let is_used = numbers.iter().any(|number| number.index == index);
            let name = detector.name(index);
            let is_phone = || match &name {
                Some(name) => match_header(name) > HeaderMatch::NoMatch,
                None => detector.is_mostly_mobile(index),
            };
            let is_answer = detector.answer_columns.contains(&index);
            let stem = strip_phone_words(name.as_deref().unwrap_or_default());
            (is_used || (!is_answer && is_phone())).then_some(Phone { index, stem, is_used })
        };
        let headers = indices.clone().map(header).collect();
        let rows = || detector.sample_rows.iter().zip(&is_header).filter(|(_, is)| !**is);
        let cells = |index: usize| rows().filter_map(move |(row, _)| row.get(index));
        let samples = indices.clone().map(|index| CountrySample::read(cells(index))).collect();
        Self { detector, headers, samples, phones: indices.filter_map(phone).collect() }
    }

    fn header(&self, index: usize) -> Option<&CountryHeader> {
        self.headers.get(index)?.as_ref()
    }

    fn sample(&self, index: usize) -> CountrySample {
        self.samples.get(index).copied().unwrap_or_default()
    }

    fn column(&self, index: usize, reading: CountryReading) -> CountryColumn {
        let sample = self.sample(index);
        let is_named = || self.header(index).is_some_and(|header| header.word > CountryWord::Part);
        let has_foreign_cells = || {
            let mut cells = self.detector.sample_rows.iter().filter_map(|row| row.get(index));
            cells.any(|cell| reading.names_foreign_country(cell))
        };
        let is_suspected = match reading.evidence {
            Evidence::Header | Evidence::Cells | Evidence::Rival => false,
            Evidence::OtherNumbers => sample.cells > sample.mainland + sample.area_codes,
            Evidence::Weak => {
                reading.content != CellContent::Others
                    && (is_named() || sample.is_certain())
                    && has_foreign_cells()
            }
        };
        CountryColumn { index, name: self.detector.name(index), reading, is_suspected }
    }

    /// Whether the column may have countries: it has neither numbers nor answers.
    fn is_free(&self, index: usize) -> bool {
        index < self.headers.len()
            && !self.detector.answer_columns.contains(&index)
            && !self.phones.iter().any(|phone| phone.is_used && phone.index == index)
    }

    fn find(&self, number: &Column) -> Result<NumberCountries, ColumnError> {
        let stem = strip_phone_words(number.name.as_deref().unwrap_or_default());
        let (same, shared): (Vec<_>, Vec<_>) = self
            .candidates(&stem)
            .into_iter()
            .partition(|candidate| !stem.is_empty() && candidate.stem == stem);
        let found = match (same.as_slice(), shared.as_slice()) {
            ([], shared) => self.assign(shared, number, &stem)?,
            (same, _) => self.choose(same, number)?,
        };
        let (mut countries, mut others) = (NumberCountries::default(), Vec::new());
        if let Some(found) = found {
            let column = self.column(found.index, found.reading);
            if found.reading.evidence == Evidence::OtherNumbers {
                countries.doubtful.push(column);
            } else {
                countries.certain = Some(column);
            }
            let rivals = found.rivals.into_iter().map(|index| {
                let is_area_code =
                    self.header(index).is_some_and(|header| header.word == CountryWord::AreaCode);
                let reading = if is_area_code { AREA_CODES } else { COUNTRIES };
                self.column(index, CountryReading { evidence: Evidence::Rival, ..reading })
            });
            countries.doubtful.extend(rivals);
            others = found.others;
        }
        for index in self.doubtful(number.index, &stem) {
            let is_found = countries.columns().any(|column| column.index == index);
            if !is_found && !others.contains(&index) {
                countries.doubtful.push(self.column(index, self.weak_reading(index, number.index)));
            }
        }
        Ok(countries)
    }

    /// The columns that have countries by their names, otherwise those that have them by their
    /// cells: beside telephone numbers, or anywhere if all are unmistakable.
    fn candidates(&self, stem: &str) -> Vec<Candidate> {
        let named = (0..self.headers.len()).filter_map(|index| {
            let header = self.header(index).filter(|_| self.is_free(index))?;
            let reading = self.accept(index, header, stem)?;
            Some(Candidate { index, word: Some(header.word), stem: header.stem.clone(), reading })
        });
        let named: Vec<_> = named.collect();
        if !named.is_empty() {
            return named;
        }
        let is_beside = |index| self.phones.iter().any(|phone| phone.index.abs_diff(index) == 1);
        let shown = (0..self.headers.len()).filter(|&index| {
            self.has_calling_codes(index) || (is_beside(index) && self.has_countries(index))
        });
        let reading = CountryReading { evidence: Evidence::Cells, ..COUNTRIES };
        shown.map(|index| Candidate { index, word: None, stem: String::new(), reading }).collect()
    }

    /// How the column is read, if its header says that it has the countries of the numbers of a
    /// column with this stem, or of no particular column.
    fn accept(&self, index: usize, header: &CountryHeader, stem: &str) -> Option<CountryReading> {
        let is_same_stem = header.stem.is_empty() || header.stem == stem;
        match header.word {
            CountryWord::Part | CountryWord::Place => None,
            CountryWord::CallingCode => {
                let is_of_other_number = header.is_other_phone
                    || self.phones.iter().any(|phone| phone.stem == header.stem);
                let reading = if header.is_state_code { STATE_CODES } else { COUNTRIES };
                (is_same_stem || !is_of_other_number).then_some(reading)
            }
            // With other words it may be the country of something else (`country of birth`).
            _ if !is_same_stem => None,
            CountryWord::Country => Some(COUNTRIES),
            CountryWord::AreaCode => {
                let sample = self.sample(index);
                (sample.cells == 0 || sample.has_any()).then_some(AREA_CODES)
            }
            CountryWord::Region => self
                .sample(index)
                .is_certain()
                .then_some(CountryReading { evidence: Evidence::Cells, ..COUNTRIES }),
        }
    }

    /// Assigns one of the columns whose names belong to no number column. If the table has other
    /// telephone numbers, and neither the order nor the names tell whose country it is, the column
    /// only raises doubts.
    fn assign(
        &self,
        shared: &[Candidate],
        number: &Column,
        stem: &str,
    ) -> Result<Option<Assignment>, ColumnError> {
        let has_own_country = |phone: &Phone| {
            !phone.stem.is_empty()
                && self.headers.iter().flatten().any(|header| header.stem == phone.stem)
        };
        let phones: Vec<_> = self
            .phones
            .iter()
            .filter(|&phone| phone.index == number.index || !has_own_country(phone))
            .collect();
        let candidate_at =
            |index: Option<usize>| shared.iter().find(|candidate| Some(candidate.index) == index);
        let before = |index: usize| candidate_at(index.checked_sub(1));
        let after = |index: usize| candidate_at(index.checked_add(1));
        let are_before = phones.iter().all(|phone| before(phone.index).is_some());
        let are_after = phones.iter().all(|phone| after(phone.index).is_some());
        if phones.len() > 1 && are_before != are_after {
            let found = if are_before { before(number.index) } else { after(number.index) };
            return Ok(found.map(|found| Assignment {
                index: found.index,
                reading: found.reading,
                rivals: Vec::new(),
                others: shared.iter().map(|candidate| candidate.index).collect(),
            }));
        }
        let Some(chosen) = self.choose(shared, number)? else { return Ok(None) };
        let word = self.header(chosen.index).map(|header| header.word);
        let is_beside = |index: usize| index.abs_diff(chosen.index) == 1;
        let other =
            phones.iter().find(|phone| phone.index != number.index && is_beside(phone.index));
        let is_contacts = number.name.as_deref().is_some_and(is_other_phone) && phones.len() > 1;
        let is_certain = match (other, is_beside(number.index)) {
            // It is rather the country of the person than of the contact.
            _ if is_contacts => false,
            (None, _) => true,
            (Some(other), true) => stem.is_empty() && !other.stem.is_empty(),
            // The person's country, or the calling code of the person's main number.
            (Some(other), false) => {
                word == Some(CountryWord::Country) || (word.is_some() && other.stem.is_empty())
            }
        };
        let evidence = Evidence::OtherNumbers;
        let doubtful = CountryReading { evidence, ..chosen.reading };
        let reading = if is_certain { chosen.reading } else { doubtful };
        Ok(Some(Assignment { reading, ..chosen }))
    }

    /// The candidate with the strongest name. Of several that say the same, the one nearest to the
    /// numbers.
    fn choose(
        &self,
        candidates: &[Candidate],
        number: &Column,
    ) -> Result<Option<Assignment>, ColumnError> {
        let strongest = candidates.iter().map(|candidate| candidate.word).max();
        let best: Vec<_> =
            candidates.iter().filter(|candidate| Some(candidate.word) == strongest).collect();
        let nearest = best.iter().min_by_key(|best| best.index.abs_diff(number.index));
        let Some(nearest) = nearest else { return Ok(None) };
        let rivals: Vec<_> = best
            .iter()
            .map(|candidate| candidate.index)
            .filter(|index| *index != nearest.index)
            .collect();
        if !rivals.iter().all(|rival| self.agree(nearest.index, *rival)) {
            let indices: Vec<_> = candidates.iter().map(|candidate| candidate.index).collect();
            return Err(ColumnError::AmbiguousCountry {
                number: number.index + 1,
                columns: self.detector.list(&indices),
            });
        }
        // A column with another kind of name (`国家` beside `国家码`) decides nothing, but a row in
        // which it says something else is in doubt.
        let weaker = candidates
            .iter()
            .filter(|candidate| candidate.word.is_some() && Some(candidate.word) != strongest)
            .map(|candidate| candidate.index);
        let rivals = rivals.into_iter().chain(weaker).collect();
        let (index, reading) = (nearest.index, nearest.reading);
        Ok(Some(Assignment { index, reading, rivals, others: Vec::new() }))
    }

    /// Whether two columns name the same calling code in a row of the sample, and never different
    /// ones.
    fn agree(&self, one: usize, other: usize) -> bool {
        let code = |row: &[String], index: usize| {
            row.get(index)
                .and_then(|cell| Country::parse(cell))
                .map(|country| country.region.calling_code())
        };
        let codes = self
            .detector
            .sample_rows
            .iter()
            .filter_map(|row| Some((code(row, one)?, code(row, other)?)));
        let mut codes = codes.peekable();
        codes.peek().is_some() && codes.all(|(one, other)| one == other)
    }

    /// Whether the column has no header that decides how it is read, and the cells can be nothing
    /// but calling codes. Of digits alone, some must be the mainland's: `0049` may be an
    /// identifier.
    fn has_calling_codes(&self, index: usize) -> bool {
        let sample = self.sample(index);
        self.is_free(index)
            && self.header(index).is_none_or(|header| header.word <= CountryWord::Place)
            && !self.has_other_name(index)
            && sample.cells > 0
            && sample.calling_codes == sample.cells
            && (sample.signed_codes > 0 || sample.mainland > 0)
    }

    /// Whether the cells of a column beside numbers can be nothing but countries.
    fn has_countries(&self, index: usize) -> bool {
        let sample = self.sample(index);
        let is_named = self.detector.name(index).is_some_and(|name| !name.trim().is_empty());
        // Ages and marks are digits as well, but then the mainland is hardly among them.
        let has_form = !is_named && sample.calling_codes + sample.mainland > 0;
        self.is_unknown(index) && sample.are_countries() && sample.cells > 0 && has_form
    }

    /// Whether the name of a column does not say what it has.
    fn is_unknown(&self, index: usize) -> bool {
        let is_phone = |name: &str| match_header(name) > HeaderMatch::NoMatch;
        self.is_free(index)
            && self.header(index).is_none()
            && !self.detector.name(index).is_some_and(|name| is_phone(&name))
            && !self.has_other_name(index)
    }

    /// The columns that may have the countries of the numbers: all whose names have a word for
    /// countries or places, those near the numbers, and those with a cell that can be nothing but a
    /// calling code. So a part of a list, in which fewer cells are left as evidence, sends no
    /// number that the whole list sends with a country.
    fn doubtful(&self, number: usize, stem: &str) -> impl Iterator<Item = usize> {
        let is_of_other_number = move |index: usize| {
            self.header(index).is_some_and(|header| {
                header.stem != stem
                    && !header.stem.is_empty()
                    && self.phones.iter().any(|phone| phone.stem == header.stem)
            })
        };
        let may_have_countries = move |index: &usize| {
            self.header(*index).is_some()
                || index.abs_diff(number) <= NEAR_COLUMNS
                || self.sample(*index).calling_codes > 0
                || (self.looks_like_countries(*index) && !self.has_origin_name(*index))
        };
        (0..self.headers.len())
            .filter(may_have_countries)
            .filter(move |index| self.is_free(*index) && !is_of_other_number(*index))
    }

    /// Whether all cells of a column name countries, under a name that says nothing else. Digits
    /// alone must be the mainland's in some cells, or the same in all.
    fn looks_like_countries(&self, index: usize) -> bool {
        let sample = self.sample(index);
        sample.is_certain()
            && (sample.mainland + sample.signed_codes + sample.names > 0
                || sample.only_region.is_some())
            && !self.has_other_name(index)
    }

    fn has_origin_name(&self, index: usize) -> bool {
        self.detector.name(index).is_some_and(|name| is_origin(&name))
    }

    fn has_other_name(&self, index: usize) -> bool {
        self.detector.name(index).is_some_and(|name| is_other_content(&name))
    }

    fn weak_reading(&self, index: usize, number: usize) -> CountryReading {
        let sample = self.sample(index);
        let is_distant = index.abs_diff(number) > 1 && sample.calling_codes == 0;
        let is_named = self.detector.name(index).is_some_and(|name| !name.trim().is_empty());
        // A column that counts rows has numbers that are no calling codes among those that are.
        let may_be_countries = || {
            (!is_named || sample.calling_codes > 0)
                && sample.other_digits == 0
                && !self.has_other_name(index)
        };
        let content = match self.header(index) {
            Some(header) if header.word == CountryWord::Place => CellContent::Places,
            Some(_) => CellContent::Countries,
            None if is_distant && self.has_origin_name(index) => CellContent::CallingCodes,
            None if self.looks_like_countries(index) => CellContent::Countries,
            None if is_distant => CellContent::CallingCodes,
            None if may_be_countries() => CellContent::Countries,
            None => CellContent::Others,
        };
        CountryReading { evidence: Evidence::Weak, content }
    }

    /// Whether more rows may show another country column of the number column.
    fn is_open(&self, number: &Column) -> bool {
        let stem = strip_phone_words(number.name.as_deref().unwrap_or_default());
        let is_open = |index: usize| {
            let header = self.header(index).filter(|_| self.is_free(index));
            match header.filter(|header| header.stem.is_empty() || header.stem == stem)?.word {
                CountryWord::AreaCode => Some(!self.sample(index).has_any()),
                CountryWord::Region => Some(self.sample(index).are_countries()),
                CountryWord::Part
                | CountryWord::Place
                | CountryWord::Country
                | CountryWord::CallingCode => None,
            }
        };
        let is_shown = || self.candidates(&stem).iter().all(|candidate| candidate.word.is_none());
        let is_cell_open = |index: usize| {
            let is_beside = index.abs_diff(number.index) == 1;
            self.has_calling_codes(index)
                || (is_beside && self.is_unknown(index) && self.sample(index).are_countries())
        };
        (0..self.headers.len()).any(|index| is_open(index) == Some(true))
            || (is_shown() && (0..self.headers.len()).any(is_cell_open))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::row_location::RowLocation;

    /// The certain country columns, from 1, of the number columns (from 1) of a table.
    fn found(text: &str, headers: bool, numbers: &[usize]) -> Vec<Option<usize>> {
        let found = find(text, headers, numbers, &CountryChoice::Detect).unwrap().columns;
        let certain = |countries: NumberCountries| Some(countries.certain?.index + 1);
        found.into_iter().map(certain).collect()
    }

    /// The columns that only raise doubts about the numbers of a column, all from 1.
    fn doubtful(text: &str, headers: bool, number: usize) -> Vec<usize> {
        let found = find(text, headers, &[number], &CountryChoice::Detect).unwrap().columns;
        let doubtful = found[0].doubtful.iter();
        let doubtful =
            doubtful.filter(|column| column.reading.content != CellContent::CallingCodes);
        doubtful.map(|column| column.index + 1).collect()
    }

    /// The column that the user should name, from 1.
    fn suspected(text: &str, headers: bool, number: usize) -> Option<usize> {
        let found = find(text, headers, &[number], &CountryChoice::Detect).unwrap().columns;
        found[0].suspected().map(|column| column.index + 1)
    }

    fn find(
        text: &str,
        headers: bool,
        numbers: &[usize],
        choice: &CountryChoice,
    ) -> Result<CountryColumns, ColumnError> {
        let rows: Vec<Vec<String>> =
            text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect();
        let detector = ColumnDetector {
            first_row: &rows[0],
            has_headers: headers,
            row: &RowLocation::Line(1),
            sample_rows: &rows[usize::from(headers)..],
            answer_columns: &[],
            looks_like_mobile: &|cell| matches!(cell, "138" | "151"),
        };
        let choices: Vec<_> = numbers.iter().map(|at| ColumnChoice::Position(*at)).collect();
        find_country_columns(detector, choice, &detector.choose(&choices).unwrap())
    }

    #[test]
    fn a_country_column_is_found_by_its_header() {
        for (text, number, country) in [
            ("name,stateCode,mobile\nA,86,138\nB,49,151", 3, 2),
            ("手机号,国家码\n138,", 1, 2),
            ("国家/地区,姓名,部门,手机号\n德国,A,B,151", 4, 1),
            ("所在国家/地区,姓名,部门,手机号\n德国,A,B,151", 4, 1),
            ("姓名,部门,国家(必填),备注,手机号(必填)\nA,B,德国,C,151", 5, 3),
            ("country,手机号\nAtlantis,151", 2, 1),
            ("国际区号,手机号\nXX,151", 2, 1),
            ("区号,手机号\n010,138", 2, 1),
            ("区号,手机号\n49,151", 2, 1),
            ("地区,手机号\n香港,5123", 2, 1),
            ("region,mobile\n86,138\n49,151", 2, 1),
            ("CC,手机号\n+86,138\n49,151", 2, 1),
            ("phone_code,手机号\n49,151", 2, 1),
            ("nationCode,手机号\n49,151", 2, 1),
            ("国别,手机号\n德国,151", 2, 1),
            ("区域,手机号\n德国,151", 2, 1),
            ("籍贯国,手机号\n德国,151", 2, 1),
            // Both say the same.
            ("country,country_name,mobile\nDE,Germany,151\nCN,,138", 3, 2),
            ("手机号,国家代码,国际区号\n151,DE,49", 1, 2),
        ] {
            assert_eq!(found(text, true, &[number]), [Some(country)], "{text}");
        }
        for text in [
            "地区,手机号\n华东,138",
            "地区,手机号\n香港,138\n华东,138",
            "region,手机号\n1,138\n2,138",
            "region,手机号\n1,138\n7,138",
            "区号,手机号\nA1,138",
            "country of birth,手机号\n德国,138",
            "国家编号,手机号\n49,138",
            "estate_code,手机号\nA12,138",
            "中国码头,手机号\nA12,138",
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
        // The contact may be of another country.
        for (text, numbers) in [
            ("stateCode,mobile,备用手机\n49,151,152", [2, 3]),
            ("国家,姓名,mobile,紧急联系人手机\n德国,A,151,152", [3, 4]),
        ] {
            assert_eq!(found(text, true, &numbers), [Some(1), None]);
            assert_eq!(doubtful(text, true, numbers[1])[0], 1);
        }
        let text = "country,country code,mobile\nGermany,49,151";
        assert_eq!(found(text, true, &[3]), [Some(2)]);
        let text = "user country code,mobile\n49,151";
        assert_eq!(found(text, true, &[2]), [Some(1)]);
    }

    #[test]
    fn order_and_names_tell_to_which_numbers_a_country_column_belongs() {
        for (header, number, country) in [
            ("电话,国家码,手机号,国家", 3, 4),
            ("电话,国家码,手机号,国家", 1, 2),
            ("紧急电话,国家码,手机号,国家码", 3, 4),
            ("国家码,电话,国家码,手机号", 4, 3),
            ("本人手机,国家码,紧急联系人手机,国家码", 1, 2),
            ("国家码,本人手机,国家码,紧急联系人手机", 2, 1),
            ("国家,姓名,手机号,国家码,紧急联系人手机,国家码", 3, 4),
            ("手机号,国家码,备用手机", 1, 2),
            ("办公电话,国家码,手机号", 3, 2),
            ("手机号,办公电话,国家", 1, 3),
            ("国家,国家码,手机号,办公电话", 3, 2),
            ("手机号,国家码,家庭电话,家庭国家码", 1, 2),
        ] {
            let text = format!("{header}\n");
            assert_eq!(found(&text, true, &[number]), [Some(country)], "{header} {number}");
        }
        for (header, number, country) in [
            ("电话,国家码,手机号", 3, 2),
            ("手机号,国家码,备用手机", 3, 2),
            ("手机号,紧急联系人手机,国家码", 1, 3),
            ("国家码,紧急联系人手机,手机号", 3, 1),
        ] {
            assert_eq!(found(header, true, &[number]), [None], "{header} {number}");
            assert_eq!(doubtful(header, true, number)[0], country, "{header} {number}");
        }
        for (header, number) in [
            ("国家码,手机号,国家码", 2),
            ("国家码,手机号,国家码,紧急联系人手机,国家码", 2),
            ("国家,手机号,姓名,国家/地区", 2),
        ] {
            let error = find(header, true, &[number], &CountryChoice::Detect).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("or use --country-column none: 1 国家"), "{error}");
        }
        // Without headers, only the order tells.
        let pairs = "151,+49,138,+86\n151,+49,138,+86";
        assert_eq!(found(pairs, false, &[1]), [Some(2)]);
        assert_eq!(found(pairs, false, &[3]), [Some(4)]);
        assert!(doubtful(pairs, false, 3).is_empty());
        assert!(find("+49,151,+86", false, &[2], &CountryChoice::Detect).is_err());
    }

    #[test]
    fn a_header_below_a_title_names_the_country_column() {
        let rows = "姓名,国家码,手机号\nA,49,151\nB,86,138";
        for (title, headers) in
            [("部门：,,日期", true), ("基本信息,联系方式,", true), ("销售部,,2026-11-30", false)]
        {
            let text = format!("{title}\n{rows}");
            assert_eq!(found(&text, headers, &[3]), [Some(2)], "{title}");
        }
    }

    #[test]
    fn all_columns_that_may_have_countries_raise_doubts() {
        for (text, headers, number, columns, suspect) in [
            ("49,151", false, 2, &[1][..], Some(1)),
            ("德国,151", false, 2, &[1], Some(1)),
            ("30,138\n49,139", false, 2, &[1], Some(1)),
            (",138", false, 2, &[1], None),
            ("DE,151,IT\nDE,151,HR", false, 2, &[1, 3], Some(1)),
            ("49,Hans,151", false, 3, &[1, 2], Some(1)),
            ("1,151\n1,138", false, 2, &[1], None),
            ("XX,mobile\n49,151", true, 2, &[1], Some(1)),
            ("XX,mobile\nDE,151\n,138", true, 2, &[1], Some(1)),
            (",mobile\n49,151", true, 2, &[1], Some(1)),
            ("x,地区,mobile\n1,德国,151\n2,北京,138", true, 3, &[2], Some(2)),
            ("地区,x,代码,mobile\n华东,1,49,151", true, 4, &[1, 3], Some(3)),
            ("CC,mobile\n德国,151\n北京,138", true, 2, &[1], Some(1)),
            ("区号,mobile\nA1,151", true, 2, &[1], None),
            ("代码,mobile\nCode,Mobile\n49,151", true, 2, &[1], Some(1)),
            ("拨号,x,mobile\n本地,1,138\n+49,1,151", true, 3, &[1, 2], None),
            ("国家编号,x,mobile\n49,1,151", true, 3, &[1, 2], Some(1)),
            ("usercountry,x,mobile\n德国,1,151", true, 3, &[1, 2], Some(1)),
            ("country of birth,mobile\n德国,151", true, 2, &[1], Some(1)),
            ("国籍,mobile\n德国,151", true, 2, &[1], Some(1)),
            ("国籍,x,mobile\n德国,1,151", true, 3, &[2], None),
            ("年龄,mobile\n49,151\n33,138", true, 2, &[1], None),
            ("x,mobile\n49,151\n33,138", true, 2, &[1], None),
            ("x,y,z,mobile\n49,1,1,151\n86,1,1,138", true, 4, &[1, 3], Some(1)),
            ("x,y,z,mobile\n德国,1,1,151", true, 4, &[1, 3], Some(1)),
            ("49,151\n50,139\n51,138", false, 2, &[1], None),
            ("部门编号,mobile\n49,151", true, 2, &[1], None),
            ("工龄,mobile\n49,151", true, 2, &[1], None),
            ("数量,mobile\n49,151", true, 2, &[1], None),
            ("序号,mobile\n49,151", true, 2, &[1], None),
            ("country,x,stateCode,mobile\nGermany,1,,151", true, 4, &[1], None),
        ] {
            assert_eq!(doubtful(text, headers, number), columns, "{text}");
            assert_eq!(suspected(text, headers, number), suspect, "{text}");
        }
    }

    #[test]
    fn more_rows_are_needed_while_the_cells_may_be_countries() {
        let is_open = |text: &str| {
            let number = text.lines().next().unwrap().split(',').count();
            let headers = text.contains("mobile");
            let found = find(text, headers, &[number], &CountryChoice::Detect);
            found.unwrap().needs_more_rows
        };
        for text in [
            "49,151",
            ",151",
            "XX,mobile\n,151",
            "地区,mobile\n德国,151",
            "区号,mobile\n,151",
            "CC,姓名,mobile\n,A,151",
            "+49,Hans,151",
            "国家代码,国际区号,mobile\nDE,49,151",
        ] {
            assert!(is_open(text), "{text}");
        }
        for text in [
            "A,151",
            "151",
            "国家码,mobile\n,151",
            "地区,mobile\n华东,151",
            "区号,mobile\n010,151",
            "年龄,mobile\n49,151",
            "XX,国家码,mobile\n,,151",
        ] {
            assert!(!is_open(text), "{text}");
        }
        let none = find(",151", false, &[2], &CountryChoice::None).unwrap();
        let columns = vec![NumberCountries::default()];
        assert_eq!(none, CountryColumns { columns, needs_more_rows: false });
    }

    #[test]
    fn a_column_is_found_by_its_cells() {
        assert_eq!(found("+49,Hans,151", false, &[3]), [Some(1)]);
        assert_eq!(found("XX,姓名,mobile\n+49,Hans,151\n,A,138", true, &[3]), [Some(1)]);
        assert_eq!(found("Vorwahl,mobile\n+49,151\n+86,138", true, &[2]), [Some(1)]);
        assert_eq!(found("mobile,Vorwahl\n151,0049\n138,0086", true, &[1]), [Some(2)]);
        assert_eq!(found("甲,86,138\nHans,49,151", false, &[3]), [Some(2)]);
        assert_eq!(found("CN,138\nDE,151", false, &[2]), [Some(1)]);
        for (text, headers) in [
            ("Vorwahl,mobile\n49,151", true),
            ("Vorwahl,mobile\n+49,151\nx,138", true),
            ("Vorwahl,mobile\n0049,151", true),
            ("编号,mobile\n0049,151\n0086,138", true),
            ("积分,mobile\n+49,151\n+86,138", true),
            ("XX,Hans,mobile\n+49,Hans,151\n49,A,138", true),
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
        assert_eq!(choose("none").unwrap().columns, [NumberCountries::default()]);
        for choice in ["a", "1", "/^A$/"] {
            assert_eq!(choose(choice).unwrap().columns[0].certain.as_ref().unwrap().index, 0);
        }
        let missing = choose("c").unwrap_err().to_string();
        assert!(missing.contains("with --country-column: 1 a, 2 b"), "{missing}");
        let same = choose("mobile").unwrap_err();
        assert_eq!(same, ColumnError::CountryInNumberColumn { position: 3 });
    }
}
