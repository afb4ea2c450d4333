//! Counts the rows and numbers of an input without any call. Memory grows only with the distinct
//! numbers, by a few bytes each.

use roaring::RoaringTreemap;

use crate::domain::number::mobile::{Mobile, NumberRules};
use crate::domain::row_location::RowLocation;
use crate::domain::shard::Shard;
use crate::engine::candidates::{Next, choose_next};
use crate::table::source::{Source, SourceError};

/// How many invalid rows are listed.
const MAX_EXAMPLES: usize = 10;

#[derive(Debug, Default)]
pub(crate) struct InputCounts {
    /// Without the header.
    pub rows: u64,
    /// Rows with at least one number.
    pub with_number: u64,
    /// The first rows without a number.
    pub invalid_examples: Vec<InvalidExample>,
    /// The first number of each row.
    first: RoaringTreemap,
    /// The other numbers, asked only if the ones before them are not found.
    further: RoaringTreemap,
}

/// A row that would not be sent.
#[derive(Debug)]
pub(crate) struct InvalidExample {
    pub location: RowLocation,
    /// The cell with the number, in a workbook.
    pub cell: Option<String>,
    /// The text for `errmsg`. It may quote the cell.
    pub reason: String,
}

impl InputCounts {
    /// Reads the whole input and counts the rows of `shard`, or all rows.
    pub(crate) fn from_source(
        source: &mut Source,
        rules: NumberRules,
        shard: Option<Shard>,
    ) -> Result<Self, SourceError> {
        let (mut counts, mut numbers) = (Self::default(), Vec::new());
        let number_cells = source.number_cells();
        while let Some(batch) = source.next_batch(usize::MAX)? {
            for row in 0..batch.len() {
                if shard.is_some_and(|shard| {
                    !shard.contains(number_cells.shard_key(&batch, row, rules))
                }) {
                    continue;
                }
                numbers.clear();
                let parsed = number_cells.parse(&batch, row, rules);
                numbers.extend(parsed.map(|number| Ok(number?.mobile)));
                counts.rows += 1;
                match choose_next(&numbers, 0, None, |_, _| None) {
                    Some(Next::Ask { nth, mobile }) => {
                        counts.with_number += 1;
                        counts.first.insert(mobile.to_bits());
                        counts.further.extend(
                            numbers.iter().skip(nth + 1).flatten().map(|mobile| mobile.to_bits()),
                        );
                    }
                    Some(Next::Settle(candidate))
                        if counts.invalid_examples.len() < MAX_EXAMPLES =>
                    {
                        let (numbers, line) = (source.row_numbers(), batch.line(row));
                        let column = source.columns().get(candidate.answer.nth);
                        counts.invalid_examples.push(InvalidExample {
                            location: numbers.locate(line),
                            cell: column.and_then(|column| numbers.cell(line, column.index)),
                            reason: candidate.answer.outcome.message.to_string(),
                        });
                    }
                    _ => {}
                }
            }
        }
        // A number that is first in some row is asked anyway.
        counts.further -= &counts.first;
        Ok(counts)
    }

    /// Rows without a number that can be sent.
    #[must_use]
    pub(crate) fn invalid(&self) -> u64 {
        self.rows - self.with_number
    }

    /// Distinct first numbers.
    #[must_use]
    pub(crate) fn distinct_first(&self) -> u64 {
        self.first.len()
    }

    /// Rows whose first number an earlier row has.
    #[must_use]
    pub(crate) fn duplicates(&self) -> u64 {
        self.with_number - self.distinct_first()
    }

    /// Distinct numbers that are not the first one of any row.
    #[must_use]
    pub(crate) fn distinct_further(&self) -> u64 {
        self.further.len()
    }

    /// In the order of the state file.
    pub(crate) fn first_numbers(&self) -> impl Iterator<Item = Mobile> {
        self.first.iter().map(Mobile::from_bits)
    }

    /// In the order of the state file.
    pub(crate) fn further_numbers(&self) -> impl Iterator<Item = Mobile> {
        self.further.iter().map(Mobile::from_bits)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::domain::number::mobile::DefaultRegion;
    use crate::table::detect::columns::ColumnChoice;
    use crate::table::detect::layout::SourceOptions;

    fn counts(text: &str, columns: &[usize]) -> InputCounts {
        let columns = columns.iter().map(|column| ColumnChoice::Position(*column)).collect();
        let options = SourceOptions { columns, ..SourceOptions::default() };
        let reader = Box::new(Cursor::new(text.as_bytes().to_vec()));
        let mut source = Source::open(reader, &options, &|cell| cell.starts_with('1')).unwrap();
        InputCounts::from_source(
            &mut source,
            NumberRules { default_region: DefaultRegion::CHINA, strict: true },
            None,
        )
        .unwrap()
    }

    #[test]
    fn a_number_counts_once_however_it_is_spelt() {
        let counts =
            counts("mobile\n13800138000\n+86 138-0013-8000\n\"x\ny\"\n+852 51234567\n", &[]);
        assert_eq!((counts.rows, counts.with_number, counts.invalid()), (4, 3, 1));
        assert_eq!(
            (counts.distinct_first(), counts.duplicates(), counts.distinct_further()),
            (2, 1, 0)
        );
        assert_eq!(counts.invalid_examples[0].location, RowLocation::Line(4));
    }

    #[test]
    fn with_several_columns_first_numbers_and_fallback_numbers_are_counted_separately() {
        let text = "a,b\n13800138000,13900139000\n,13900139000\n13800138000,13700137000\nx,\n";
        let counts = counts(text, &[1, 2]);
        assert_eq!((counts.with_number, counts.invalid()), (3, 1));
        assert_eq!(
            (counts.distinct_first(), counts.duplicates(), counts.distinct_further()),
            (2, 1, 1)
        );
        assert!(counts.further_numbers().all(|mobile| mobile.to_masked_string() == "137****7000"));
        assert!(
            counts.invalid_examples[0].reason.starts_with("not a phone number"),
            "{:?}",
            counts.invalid_examples
        );
    }

    #[test]
    fn at_most_ten_invalid_rows_are_listed() {
        let counts = counts(&("mobile\n".to_owned() + &"n/a\n".repeat(12)), &[]);
        assert_eq!((counts.invalid(), counts.invalid_examples.len()), (12, 10));
        assert_eq!(counts.invalid_examples[9].location, RowLocation::Line(11));
    }
}
