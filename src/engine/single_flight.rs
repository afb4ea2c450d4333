//! [Single flight](crate::guide::architecture#single-flight): one call for a number, however many
//! rows wait for it.

use std::collections::HashMap;

use crate::domain::number::mobile::Mobile;

/// The numbers that wait for an answer, each with its rows. Bounded by the window, because every
/// waiting row is in it.
#[derive(Debug, Default)]
pub struct SingleFlight(HashMap<Mobile, Vec<WaitingRow>>);

/// A row that waits for the answer to one of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingRow {
    pub row: u64,
    /// Which of its numbers it is, from 0.
    pub nth: usize,
}

impl SingleFlight {
    /// Adds a row that waits for a number. True for the first one: the number has to be called.
    pub fn join(&mut self, mobile: Mobile, row: WaitingRow) -> bool {
        let rows = self.0.entry(mobile).or_default();
        rows.push(row);
        rows.len() == 1
    }

    /// Removes a number that has its answer and returns its rows, in the order in which they
    /// joined.
    pub fn complete(&mut self, mobile: Mobile) -> Vec<WaitingRow> {
        self.0.remove(&mobile).unwrap_or_default()
    }

    /// Removes every waiting row.
    pub fn drain(&mut self) -> impl Iterator<Item = WaitingRow> {
        std::mem::take(&mut self.0).into_values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::number::mobile::DefaultRegion;

    proptest! {
        /// In any order of rows and answers, each number has one leader at a time and each row is
        /// completed once.
        #[test]
        fn each_number_has_one_leader_and_no_row_is_lost(
            steps in proptest::collection::vec((0..6u8, any::<bool>()), 1..200),
        ) {
            let number =
                |n: u8| Mobile::parse(&format!("1380013800{n}"), DefaultRegion::CHINA).unwrap();
            let mut flights = SingleFlight::default();
            let (mut open, mut completed) = (BTreeSet::new(), BTreeSet::new());
            for (row, (n, is_answer)) in (0..).zip(&steps) {
                if *is_answer {
                    open.remove(n);
                    for row in flights.complete(number(*n)) {
                        prop_assert!(completed.insert(row.row));
                    }
                } else {
                    let is_first = flights.join(number(*n), WaitingRow { row, nth: 0 });
                    prop_assert_eq!(is_first, open.insert(n));
                }
            }
            for row in flights.drain() {
                prop_assert!(completed.insert(row.row));
            }
            let rows = steps.iter().filter(|(_, is_answer)| !is_answer).count();
            prop_assert_eq!(completed.len(), rows);
        }
    }
}
