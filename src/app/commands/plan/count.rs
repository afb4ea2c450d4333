//! Counts what an input holds before anybody is asked: rows, the numbers in them, those that cannot be sent. Memory grows
//! with the distinct numbers alone, by some bytes each. Leaves what a number is to `domain`, which of a row's numbers
//! comes first to `engine::choice`, and what of it is known to `forecast`.

use roaring::RoaringTreemap;

use crate::domain::number::cell::NumberCell;
use crate::domain::number::mobile::{Mobile, NumberRules};
use crate::domain::shard::{Shard, ShardKey};
use crate::engine::candidates::{Next, choose_next};
use crate::table::source::{Source, SourceError};

/// How many rows without a number are told about.
const MAX_EXAMPLES: usize = 10;

/// What an input holds.
#[derive(Debug, Default)]
pub(crate) struct InputCounts {
    /// How many rows there are, the header not counted.
    pub rows: u64,
    /// How many of them have a number.
    pub with_number: u64,
    /// The first rows that have none.
    pub invalid_examples: Vec<InvalidExample>,
    /// Each row's first number.
    first: RoaringTreemap,
    /// The numbers behind it, which are asked only where nobody has that one.
    further: RoaringTreemap,
}

/// A row that is not sent.
#[derive(Debug)]
pub(crate) struct InvalidExample {
    /// The line on which it starts, from 1.
    pub line: u64,
    /// Why, in the words of its `errmsg`; they may quote the cell.
    pub reason: String,
}

impl InputCounts {
    /// Reads the input to its end, of which the rows of `shard` count, or all of them.
    ///
    /// # Errors
    /// [`SourceError`] for the first thing in it that cannot be read.
    pub(crate) fn from_source(
        source: &mut Source,
        rules: NumberRules,
        shard: Option<Shard>,
    ) -> Result<Self, SourceError> {
        let (mut tally, mut numbers) = (Self::default(), Vec::new());
        while let Some(batch) = source.next_batch(usize::MAX)? {
            for row in 0..batch.len() {
                if shard.is_some_and(|shard| {
                    !shard.contains(ShardKey::from_cells(batch.cells(row), rules))
                }) {
                    continue;
                }
                numbers.clear();
                numbers.extend(
                    batch.cells(row).map(|cell| Ok(NumberCell::parse(cell, rules)?.mobile)),
                );
                tally.rows += 1;
                match choose_next(&numbers, 0, None, |_, _| None) {
                    Some(Next::Ask { nth, mobile }) => {
                        tally.with_number += 1;
                        tally.first.insert(mobile.to_bits());
                        tally.further.extend(
                            numbers.iter().skip(nth + 1).flatten().map(|mobile| mobile.to_bits()),
                        );
                    }
                    Some(Next::Settle(told)) if tally.invalid_examples.len() < MAX_EXAMPLES => {
                        let reason = told.answer.outcome.message.to_string();
                        tally
                            .invalid_examples
                            .push(InvalidExample { line: batch.line(row), reason });
                    }
                    _ => {}
                }
            }
        }
        // What is a row's first number somewhere is asked anyway.
        tally.further -= &tally.first;
        Ok(tally)
    }

    /// How many rows have no number that can be sent.
    #[must_use]
    pub(crate) fn invalid(&self) -> u64 {
        self.rows - self.with_number
    }

    /// How many distinct numbers are the first ones of their rows.
    #[must_use]
    pub(crate) fn distinct_first(&self) -> u64 {
        self.first.len()
    }

    /// How many rows have a first number that another row before them has.
    #[must_use]
    pub(crate) fn duplicates(&self) -> u64 {
        self.with_number - self.distinct_first()
    }

    /// How many distinct numbers stand behind first ones alone.
    #[must_use]
    pub(crate) fn distinct_further(&self) -> u64 {
        self.further.len()
    }

    /// The distinct first numbers, in the order in which the state keeps answers.
    pub(crate) fn first_numbers(&self) -> impl Iterator<Item = Mobile> {
        self.first.iter().map(Mobile::from_bits)
    }

    /// The distinct numbers that stand behind first ones alone, in the same order.
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

    fn tally(text: &str, columns: &[usize]) -> InputCounts {
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
        let tally = tally("mobile\n13800138000\n+86 138-0013-8000\n\"x\ny\"\n+852 51234567\n", &[]);
        assert_eq!((tally.rows, tally.with_number, tally.invalid()), (4, 3, 1));
        assert_eq!(
            (tally.distinct_first(), tally.duplicates(), tally.distinct_further()),
            (2, 1, 0)
        );
        assert_eq!(tally.invalid_examples[0].line, 4);
    }

    #[test]
    fn with_several_columns_first_numbers_and_fallback_numbers_are_counted_separately() {
        let text = "a,b\n13800138000,13900139000\n,13900139000\n13800138000,13700137000\nx,\n";
        let tally = tally(text, &[1, 2]);
        assert_eq!((tally.with_number, tally.invalid()), (3, 1));
        assert_eq!(
            (tally.distinct_first(), tally.duplicates(), tally.distinct_further()),
            (2, 1, 1)
        );
        assert!(tally.further_numbers().all(|mobile| mobile.to_masked_string() == "137****7000"));
        assert!(
            tally.invalid_examples[0].reason.starts_with("not a phone number"),
            "{:?}",
            tally.invalid_examples
        );
    }

    #[test]
    fn at_most_ten_invalid_rows_are_listed() {
        let tally = tally(&("mobile\n".to_owned() + &"n/a\n".repeat(12)), &[]);
        assert_eq!(
            (tally.invalid(), tally.invalid_examples.len(), tally.invalid_examples[9].line),
            (12, 10, 11)
        );
    }
}
