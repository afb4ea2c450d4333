//! Parses the numbers of the rows of a table, each with the country that a column beside it names.

use crate::domain::number::cell::NumberCell;
use crate::domain::number::invalid::Invalid;
use crate::domain::number::mobile::NumberRules;
use crate::domain::shard::ShardKey;
use crate::table::detect::country_reading::CountryColumn;
use crate::table::raw::batch::Batch;

/// Where the cells of a batch hold numbers and their countries. The number cells come first.
#[derive(Clone, Debug, Default)]
pub(crate) struct NumberCells {
    /// The country cell of each number cell.
    countries: Vec<Option<CountryCell>>,
    /// How many cells of a row come before the country cells.
    first_country: usize,
}

#[derive(Clone, Debug)]
struct CountryCell {
    /// Its index among the cells of a row.
    index: usize,
    column: CountryColumn,
}

impl NumberCells {
    /// `countries` has an item for each number cell. The country cells begin at `first_country`.
    pub(crate) fn new(
        countries: impl IntoIterator<Item = Option<CountryColumn>>,
        first_country: usize,
    ) -> Self {
        let mut indices = first_country..;
        let cell = |column: Option<CountryColumn>| {
            column.and_then(|column| Some(CountryCell { index: indices.next()?, column }))
        };
        Self { countries: countries.into_iter().map(cell).collect(), first_country }
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
        cells.map(move |(country, cell)| match (&non_person, country) {
            (Some(non_person), _) => Err(non_person.clone()),
            (None, None) => NumberCell::parse(cell, rules),
            (None, Some(country)) => {
                let country_cell = batch.cells(row).nth(country.index).unwrap_or_default();
                country.column.parse_number(cell, country_cell, rules)
            }
        })
    }

    #[must_use]
    pub(crate) fn shard_key(&self, batch: &Batch, row: usize, rules: NumberRules) -> ShardKey {
        let first_cell = batch.cells(row).next().unwrap_or_default();
        ShardKey::from_row(self.parse(batch, row, rules), first_cell)
    }
}
