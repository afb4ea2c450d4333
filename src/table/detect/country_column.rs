//! Finds the columns with the countries of numbers: the requested one, or those that header names
//! and cells indicate.

use std::str::FromStr;

use crate::table::detect::column::ColumnDetector;
use crate::table::detect::column_error::ColumnError;
use crate::table::detect::columns::{Column, ColumnChoice, PatternError};
use crate::table::detect::country_reading::{
    AREA_CODES, COUNTRIES, CountryColumn, CountryReading, CountrySample, Evidence,
};
use crate::table::detect::country_words::{
    CountryHeader, CountryWord, is_other_content, match_country_header, strip_phone_words,
};
use crate::table::detect::header_words::{HeaderMatch, match_header};

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
    /// That of each number column.
    pub columns: Vec<Option<CountryColumn>>,
    /// Whether more rows may show other columns.
    pub needs_more_rows: bool,
}

/// Returns the country column of each of `numbers`.
///
/// # Errors
/// [`ColumnError`] if the requested column is missing or has the numbers, or if several columns may
/// have the countries.
pub(crate) fn find_country_columns(
    detector: ColumnDetector<'_>,
    choice: &CountryChoice,
    numbers: &[Column],
) -> Result<CountryColumns, ColumnError> {
    let all = |column: Option<CountryColumn>| CountryColumns {
        columns: vec![column; numbers.len()],
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
            let columns = columns.collect::<Result<_, _>>()?;
            let needs_more_rows = numbers.iter().any(|number| finder.is_open(number));
            Ok(CountryColumns { columns, needs_more_rows })
        }
    }
}

/// Finds the country columns of the number columns.
struct Finder<'a> {
    detector: ColumnDetector<'a>,
    /// What the name of each column says about countries.
    headers: Vec<Option<CountryHeader>>,
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

impl<'a> Finder<'a> {
    fn new(detector: ColumnDetector<'a>, numbers: &[Column]) -> Self {
        let indices = 0..detector.first_row.len();
        let is_phone_name = |cell: &String| match_header(cell) >= HeaderMatch::ExactPhone;
        let names_numbers = |row: &&Vec<String>| {
            numbers.iter().any(|number| row.get(number.index).is_some_and(is_phone_name))
        };
        // If the first row is a title, the header is a row of data.
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
        Self { detector, headers, phones: indices.filter_map(phone).collect() }
    }

    fn header(&self, index: usize) -> Option<&CountryHeader> {
        self.headers.get(index)?.as_ref()
    }

    fn sample(&self, index: usize) -> CountrySample {
        CountrySample::read(self.detector, index)
    }

    fn column(&self, index: usize, reading: CountryReading) -> CountryColumn {
        let sample = self.sample(index);
        let names_others = sample.countries > sample.mainland;
        CountryColumn { index, name: self.detector.name(index), reading, names_others }
    }

    /// Whether the column may have countries: it has neither numbers nor answers.
    fn is_free(&self, index: usize) -> bool {
        index < self.headers.len()
            && !self.detector.answer_columns.contains(&index)
            && !self.phones.iter().any(|phone| phone.is_used && phone.index == index)
    }

    fn find(&self, number: &Column) -> Result<Option<CountryColumn>, ColumnError> {
        let stem = strip_phone_words(number.name.as_deref().unwrap_or_default());
        let (own, shared): (Vec<_>, Vec<_>) = self
            .candidates(&stem)
            .into_iter()
            .partition(|candidate| !stem.is_empty() && candidate.stem == stem);
        let found = match (own.as_slice(), shared.as_slice()) {
            ([], []) => self.find_doubtful(number.index, &stem),
            ([], shared) => self.assign(shared, number, &stem)?,
            (own, _) => self.choose(own, number)?.map(|own| (own.index, own.reading)),
        };
        Ok(found.map(|(index, reading)| self.column(index, reading)))
    }

    /// The columns that have countries by their names, otherwise those beside telephone numbers
    /// that have them by their cells.
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
        let beside = self.phones.iter().flat_map(|phone| beside(phone.index));
        let mut beside: Vec<_> = beside.filter(|index| self.has_countries(*index)).collect();
        beside.sort_unstable();
        beside.dedup();
        let reading = CountryReading { evidence: Evidence::Cells, ..COUNTRIES };
        let shown = |index| Candidate { index, word: None, stem: String::new(), reading };
        beside.into_iter().map(shown).collect()
    }

    /// How the column is read, if its header says that it has the countries of the numbers of a
    /// column with this stem, or of no particular column.
    fn accept(&self, index: usize, header: &CountryHeader, stem: &str) -> Option<CountryReading> {
        let is_same_stem = header.stem.is_empty() || header.stem == stem;
        match header.word {
            CountryWord::CallingCode => {
                let is_anothers = header.is_other_phone
                    || self.phones.iter().any(|phone| phone.stem == header.stem);
                (is_same_stem || !is_anothers).then_some(COUNTRIES)
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
    ) -> Result<Option<(usize, CountryReading)>, ColumnError> {
        let has_own = |phone: &Phone| {
            !phone.stem.is_empty()
                && self.headers.iter().flatten().any(|header| header.stem == phone.stem)
        };
        let phones: Vec<_> = self
            .phones
            .iter()
            .filter(|&phone| phone.index == number.index || !has_own(phone))
            .collect();
        let at = |index: Option<usize>| shared.iter().find(|one| Some(one.index) == index);
        let before = |index: usize| at(index.checked_sub(1));
        let after = |index: usize| at(index.checked_add(1));
        let are_before = phones.iter().all(|phone| before(phone.index).is_some());
        let are_after = phones.iter().all(|phone| after(phone.index).is_some());
        if phones.len() > 1 && are_before != are_after {
            let own = if are_before { before(number.index) } else { after(number.index) };
            return Ok(own.map(|own| (own.index, own.reading)));
        }
        let Some(chosen) = self.choose(shared, number)? else { return Ok(None) };
        let is_beside = |index: usize| index.abs_diff(chosen.index) == 1;
        let other =
            phones.iter().find(|phone| phone.index != number.index && is_beside(phone.index));
        let is_own = match (other, is_beside(number.index)) {
            (None, _) => true,
            (Some(other), true) => stem.is_empty() && !other.stem.is_empty(),
            // The person's country, or the calling code of the person's main number.
            (Some(other), false) => {
                chosen.word == Some(CountryWord::Country)
                    || (chosen.word.is_some() && other.stem.is_empty())
            }
        };
        let doubtful = CountryReading { evidence: Evidence::OtherNumbers, ..COUNTRIES };
        Ok(Some((chosen.index, if is_own { chosen.reading } else { doubtful })))
    }

    /// The candidate with the strongest name.
    fn choose<'c>(
        &self,
        candidates: &'c [Candidate],
        number: &Column,
    ) -> Result<Option<&'c Candidate>, ColumnError> {
        let strongest = candidates.iter().map(|candidate| candidate.word).max();
        let mut best = candidates.iter().filter(|candidate| Some(candidate.word) == strongest);
        match (best.next(), best.next()) {
            (Some(_), Some(_)) => {
                let indices: Vec<_> = candidates.iter().map(|candidate| candidate.index).collect();
                Err(ColumnError::AmbiguousCountry {
                    number: number.index + 1,
                    columns: self.detector.list(&indices),
                })
            }
            (only, _) => Ok(only),
        }
    }

    /// Whether the cells of a column can be nothing but countries.
    fn has_countries(&self, index: usize) -> bool {
        let sample = self.sample(index);
        let is_named = self.detector.name(index).is_some_and(|name| !name.trim().is_empty());
        let has_form = if is_named {
            sample.calling_codes == sample.cells
        } else {
            // Ages and marks are digits as well, but then the mainland is hardly among them.
            sample.calling_codes + sample.mainland > 0
        };
        self.is_unknown(index) && sample.are_countries() && sample.cells > 0 && has_form
    }

    /// Whether the name of a column does not say what it has.
    fn is_unknown(&self, index: usize) -> bool {
        let is_known =
            |name: &str| match_header(name) > HeaderMatch::NoMatch || is_other_content(name);
        self.is_free(index)
            && self.header(index).is_none()
            && !self.detector.name(index).is_some_and(|name| is_known(&name))
    }

    /// A column that may have the countries: one for regions whose cells name other things as well,
    /// or one beside the numbers whose cells may all be countries. So a part of a list, in which
    /// fewer cells are left as evidence, sends no number that the whole list sends with a country.
    fn find_doubtful(&self, number: usize, stem: &str) -> Option<(usize, CountryReading)> {
        let is_region = |index: &usize| {
            self.header(*index).is_some_and(|header| {
                let is_weak = matches!(header.word, CountryWord::Region | CountryWord::AreaCode);
                is_weak && (header.stem.is_empty() || header.stem == stem)
            })
        };
        let may_have_countries = |index: &usize| {
            let sample = self.sample(*index);
            self.is_unknown(*index) && (sample.cells == 0 || sample.is_certain())
        };
        let indices = (0..self.headers.len()).filter(|index| self.is_free(*index));
        let region = indices.filter(is_region).min_by_key(|index| index.abs_diff(number));
        let index = region.or_else(|| {
            let found = beside(number).filter(may_have_countries);
            found.max_by_key(|index| self.sample(*index).cells > 0)
        })?;
        Some((index, CountryReading { evidence: Evidence::Nothing, ..COUNTRIES }))
    }

    /// Whether more rows may show another country column of the number column.
    fn is_open(&self, number: &Column) -> bool {
        let stem = strip_phone_words(number.name.as_deref().unwrap_or_default());
        let is_open = |index: usize| {
            let header = self.header(index).filter(|_| self.is_free(index));
            match header.filter(|header| header.stem.is_empty() || header.stem == stem)?.word {
                CountryWord::AreaCode => Some(!self.sample(index).has_any()),
                CountryWord::Region => Some(self.sample(index).are_countries()),
                CountryWord::Country | CountryWord::CallingCode => None,
            }
        };
        let is_shown = || self.candidates(&stem).iter().all(|candidate| candidate.word.is_none());
        let is_beside_open = |index| self.is_unknown(index) && self.sample(index).are_countries();
        (0..self.headers.len()).any(|index| is_open(index) == Some(true))
            || (is_shown() && beside(number.index).any(is_beside_open))
    }
}

/// The columns beside a column. The one to the right may not exist.
fn beside(index: usize) -> impl Iterator<Item = usize> {
    index.checked_sub(1).into_iter().chain(index.checked_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The certain country columns, from 1, of the number columns (from 1) of a table.
    fn found(text: &str, headers: bool, numbers: &[usize]) -> Vec<Option<usize>> {
        let found = find(text, headers, numbers, &CountryChoice::Detect).unwrap().columns;
        let certain = |column: Option<CountryColumn>| column.filter(CountryColumn::is_certain);
        found.into_iter().map(|column| certain(column).map(|column| column.index + 1)).collect()
    }

    /// The column that only raises doubts about the numbers of a column, both from 1.
    fn doubtful(text: &str, headers: bool, number: usize) -> Option<usize> {
        let found = find(text, headers, &[number], &CountryChoice::Detect).unwrap().columns;
        let doubtful = |column: &CountryColumn| !column.is_certain();
        found.into_iter().flatten().find(doubtful).map(|column| column.index + 1)
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
            line: 1,
            sample_rows: &rows[usize::from(headers)..],
            answer_columns: &[],
            looks_like_mobile: &|cell| matches!(cell, "138" | "151"),
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
            "CC,手机号\n+86,138\n49,151",
            "phone_code,手机号\n49,151",
            "nationCode,手机号\n49,151",
            "国别,手机号\n德国,151",
            "区域,手机号\n德国,151",
            "籍贯国,手机号\n德国,151",
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
            assert_eq!(doubtful(header, true, number), Some(country), "{header} {number}");
        }
        for (header, number) in [
            ("国家码,手机号,国家码", 2),
            ("国家码,手机号,国家码,紧急联系人手机,国家码", 2),
            ("国家,手机号,姓名,国家/地区", 2),
        ] {
            let error = find(header, true, &[number], &CountryChoice::Detect).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("with --country-column, or use --country-column none: 1 国家"));
        }
        // Without headers, only the order tells.
        let pairs = "151,+49,138,+86\n151,+49,138,+86";
        assert_eq!(found(pairs, false, &[1]), [Some(2)]);
        assert_eq!(found(pairs, false, &[3]), [Some(4)]);
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
    fn a_column_that_may_have_countries_raises_doubts() {
        for (text, headers, country) in [
            ("49,151", false, 1),
            ("德国,151", false, 1),
            ("30,138\n49,139", false, 1),
            (",138", false, 1),
            ("XX,mobile\n49,151", true, 1),
            ("Land,mobile\nDE,151\n,138", true, 1),
            (",mobile\n49,151", true, 1),
            ("x,地区,mobile\n1,德国,151\n2,北京,138", true, 2),
            ("CC,mobile\n德国,151\n北京,138", true, 1),
            ("区号,mobile\nA1,151", true, 1),
        ] {
            let number = text.lines().next().unwrap().split(',').count();
            assert_eq!(doubtful(text, headers, number), Some(country), "{text}");
        }
        for text in [
            "年龄,mobile\n49,151\n33,138",
            "部门编号,mobile\n49,151",
            "工龄,mobile\n49,151",
            "数量,mobile\n49,151",
            "序号,mobile\n49,151",
            "国籍,mobile\n德国,151",
            "country of birth,mobile\n德国,151",
            "XX,mobile\n1,151\n1,138",
            "XX,mobile\n49,151\n销售,138",
            "49,Hans,151",
            "1,151\n1,138",
        ] {
            let number = text.lines().next().unwrap().split(',').count();
            assert_eq!(doubtful(text, text.contains("mobile"), number), None, "{text}");
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
        assert_eq!(none, CountryColumns { columns: vec![None], needs_more_rows: false });
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
        assert_eq!(choose("none").unwrap().columns, [None]);
        for choice in ["a", "1", "/^A$/"] {
            assert_eq!(choose(choice).unwrap().columns[0].as_ref().unwrap().index, 0, "{choice}");
        }
        let missing = choose("c").unwrap_err().to_string();
        assert!(missing.contains("with --country-column: 1 a, 2 b"), "{missing}");
        let same = choose("mobile").unwrap_err();
        assert_eq!(same, ColumnError::CountryInNumberColumn { position: 3 });
    }
}
