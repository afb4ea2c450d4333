//! Counts what an input holds before anybody is asked: rows, the numbers in them, those that cannot be sent. Memory grows
//! with the distinct numbers alone, by some bytes each. Leaves what a number is to `domain`, which of a row's numbers
//! comes first to `engine::choice`, and what of it is known to `forecast`.

use roaring::RoaringTreemap;

use crate::domain::number::cell::Entry;
use crate::domain::number::mobile::{Mobile, Rules};
use crate::domain::shard::{Lot, Shard};
use crate::engine::candidates::{Next, next};
use crate::table::source::{Source, SourceError};

/// How many rows without a number are told about.
const EXAMPLES: usize = 10;

/// What an input holds.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How many rows there are, the header not counted.
    pub rows: u64,
    /// How many of them have a number.
    pub with_number: u64,
    /// The first rows that have none.
    pub examples: Vec<Example>,
    /// Each row's first number.
    first: RoaringTreemap,
    /// The numbers behind it, which are asked only where nobody has that one.
    behind: RoaringTreemap,
}

/// A row that is not sent.
#[derive(Debug)]
pub(crate) struct Example {
    /// The line on which it starts, from 1.
    pub line: u64,
    /// Why, in the words of its `errmsg`; they may quote the cell.
    pub reason: String,
}

impl Tally {
    /// Reads the input to its end, of which the rows of `shard` count, or all of them.
    ///
    /// # Errors
    /// [`SourceError`] for the first thing in it that cannot be read.
    pub(crate) fn of(
        source: &mut Source,
        rules: Rules,
        shard: Option<Shard>,
    ) -> Result<Self, SourceError> {
        let (mut tally, mut numbers) = (Self::default(), Vec::new());
        while let Some(batch) = source.next_batch(usize::MAX)? {
            for row in 0..batch.len() {
                if shard.is_some_and(|shard| !shard.has(Lot::of(batch.cells(row), rules))) {
                    continue;
                }
                numbers.clear();
                numbers.extend(batch.cells(row).map(|cell| Ok(Entry::read(cell, rules)?.mobile)));
                tally.rows += 1;
                match next(&numbers, 0, None, |_, _| None) {
                    Some(Next::Ask { nth, mobile }) => {
                        tally.with_number += 1;
                        tally.first.insert(mobile.bits());
                        tally.behind.extend(
                            numbers.iter().skip(nth + 1).flatten().map(|mobile| mobile.bits()),
                        );
                    }
                    Some(Next::Settle(told)) if tally.examples.len() < EXAMPLES => {
                        let reason = told.answer.outcome.message.to_string();
                        tally.examples.push(Example { line: batch.line(row), reason });
                    }
                    _ => {}
                }
            }
        }
        // What is a row's first number somewhere is asked anyway.
        tally.behind -= &tally.first;
        Ok(tally)
    }

    /// How many rows have no number that can be sent.
    #[must_use]
    pub(crate) fn invalid(&self) -> u64 {
        self.rows - self.with_number
    }

    /// How many distinct numbers are the first ones of their rows.
    #[must_use]
    pub(crate) fn distinct(&self) -> u64 {
        self.first.len()
    }

    /// How many rows have a first number that another row before them has.
    #[must_use]
    pub(crate) fn repeated(&self) -> u64 {
        self.with_number - self.distinct()
    }

    /// How many distinct numbers stand behind first ones alone.
    #[must_use]
    pub(crate) fn behind(&self) -> u64 {
        self.behind.len()
    }

    /// The distinct first numbers, in the order in which the state keeps answers.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = Mobile> {
        self.first.iter().map(Mobile::of_bits)
    }

    /// The distinct numbers that stand behind first ones alone, in the same order.
    pub(crate) fn numbers_behind(&self) -> impl Iterator<Item = Mobile> {
        self.behind.iter().map(Mobile::of_bits)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::domain::number::mobile::Home;
    use crate::table::detect::columns::ColumnChoice;
    use crate::table::detect::layout::Options;

    fn tally(text: &str, columns: &[usize]) -> Tally {
        let columns = columns.iter().map(|column| ColumnChoice::Position(*column)).collect();
        let options = Options { columns, ..Options::default() };
        let reader = Box::new(Cursor::new(text.as_bytes().to_vec()));
        let mut source = Source::open(reader, &options, &|cell| cell.starts_with('1')).unwrap();
        Tally::of(&mut source, Rules { home: Home::CHINA, strict: true }, None).unwrap()
    }

    #[test]
    fn a_number_counts_once_however_it_is_spelt() {
        let tally = tally("mobile\n13800138000\n+86 138-0013-8000\n\"x\ny\"\n+852 51234567\n", &[]);
        assert_eq!((tally.rows, tally.with_number, tally.invalid()), (4, 3, 1));
        assert_eq!((tally.distinct(), tally.repeated(), tally.behind()), (2, 1, 0));
        assert_eq!(tally.examples[0].line, 4);
    }

    #[test]
    fn of_several_columns_the_first_number_counts_and_those_behind_are_apart() {
        let text = "a,b\n13800138000,13900139000\n,13900139000\n13800138000,13700137000\nx,\n";
        let tally = tally(text, &[1, 2]);
        assert_eq!((tally.with_number, tally.invalid()), (3, 1));
        assert_eq!((tally.distinct(), tally.repeated(), tally.behind()), (2, 1, 1));
        assert!(tally.numbers_behind().all(|mobile| mobile.masked() == "137****7000"));
        assert!(tally.examples[0].reason.starts_with("not a phone number"), "{:?}", tally.examples);
    }

    #[test]
    fn ten_examples_are_enough() {
        let tally = tally(&("mobile\n".to_owned() + &"n/a\n".repeat(12)), &[]);
        assert_eq!((tally.invalid(), tally.examples.len(), tally.examples[9].line), (12, 10, 11));
    }
}
