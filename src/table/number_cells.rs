//! Parses the numbers of the rows of a table, each with the country that another column names.

use crate::domain::number::cell::NumberCell;
use crate::domain::number::invalid::Invalid;
use crate::domain::number::mobile::NumberRules;
use crate::domain::shard::ShardKey;
use crate::table::detect::country_reading::NumberCountries;
use crate::table::detect::country_words::match_country_header;
use crate::table::detect::header_words::{HeaderMatch, match_header};
use crate::table::raw::batch::Batch;

/// Where the cells of a batch hold numbers and their countries. The number cells come first.
#[derive(Clone, Debug, Default)]
pub(crate) struct NumberCells {
    /// The countries of each number cell, and the index of their first cell in a row.
    countries: Vec<(NumberCountries, usize)>,
    /// How many cells of a row come before the country cells.
    first_country: usize,
}

impl NumberCells {
    /// `countries` has an item for each number cell. The country cells begin at `first_country`.
    pub(crate) fn new(
        countries: impl IntoIterator<Item = NumberCountries>,
        first_country: usize,
    ) -> Self {
        let mut next = first_country;
        let cells = |countries: NumberCountries| {
            let first = next;
            next += countries.columns().count();
            (countries, first)
        };
        Self { countries: countries.into_iter().map(cells).collect(), first_country }
    }

    /// The number cells of a row.
    #[must_use]
    pub(crate) fn count(&self) -> usize {
        self.countries.len()
    }

    /// Whether all cells that were read are blank. A country alone is no content.
    #[must_use]
    pub(crate) fn is_blank_row(&self, batch: &Batch, row: usize) -> bool {
        batch.cells(row).take(self.first_country).all(|cell| cell.trim().is_empty())
    }

    /// The numbers of a row, or why they are not sent.
    pub(crate) fn parse<'a>(
        &'a self,
        batch: &'a Batch,
        row: usize,
        rules: NumberRules,
    ) -> impl Iterator<Item = Result<NumberCell, Invalid>> + 'a {
        let non_person = batch.non_person(row).map(Invalid::NonPerson);
        let cells = self.countries.iter().zip(batch.cells(row));
        cells.map(move |((countries, first), cell)| match &non_person {
            Some(non_person) => Err(non_person.clone()),
            None => match countries.parse_number(cell, batch.cells(row).skip(*first), rules) {
                Err(Invalid::Empty) if batch.has_number_elsewhere(row) => {
                    Err(Invalid::NumberElsewhere)
                }
                number => number,
            },
        })
    }

    /// Whether the row names the columns of numbers and countries, as a second header does. Without
    /// it, the other rows may be read in another way.
    #[must_use]
    pub(crate) fn is_header_row(&self, batch: &Batch, row: usize) -> bool {
        let mut numbers = batch.cells(row).take(self.count());
        let mut countries = batch.cells(row).skip(self.first_country);
        numbers.any(|cell| match_header(cell) >= HeaderMatch::ExactPhone)
            && countries.any(|cell| match_country_header(cell).is_some())
    }

    #[must_use]
    pub(crate) fn shard_key(&self, batch: &Batch, row: usize, rules: NumberRules) -> ShardKey {
        let first_cell = batch.cells(row).next().unwrap_or_default();
        ShardKey::from_row(self.parse(batch, row, rules), first_cell)
    }
}
