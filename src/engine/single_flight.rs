//! Single flight: which rows wait for which number (DESIGN 3). Owns nothing but that; who calls, and when, is
//! `dispatcher`'s business.

use std::collections::HashMap;

use crate::domain::number::mobile::Mobile;

/// The numbers that are being asked, each with the rows that wait for it. Bounded by the window, since every row
/// in it is a row of the window.
#[derive(Debug, Default)]
pub struct SingleFlight(HashMap<Mobile, Vec<WaitingRow>>);

/// A row that waits for the answer to one of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingRow {
    /// The row.
    pub row: u64,
    /// Which of its numbers it is, from 0.
    pub nth: usize,
}

impl SingleFlight {
    /// A row wants a number. True when it is the first to, and so has to have it asked.
    pub fn join(&mut self, mobile: Mobile, row: WaitingRow) -> bool {
        let rows = self.0.entry(mobile).or_default();
        rows.push(row);
        rows.len() == 1
    }

    /// The number has its answer: the rows that waited for it, first come first.
    pub fn complete(&mut self, mobile: Mobile) -> Vec<WaitingRow> {
        self.0.remove(&mobile).unwrap_or_default()
    }

    /// Gives up: every row that still waits.
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
        /// However rows and answers interleave, each number has one leader at a time and each row lands once.
        #[test]
        fn each_number_has_one_leader_and_no_row_is_lost(steps in proptest::collection::vec((0..6u8, any::<bool>()), 1..200)) {
            let number = |n: u8| Mobile::parse(&format!("1380013800{n}"), DefaultRegion::CHINA).unwrap();
            let (mut flight, mut open, mut landed) = (SingleFlight::default(), BTreeSet::new(), BTreeSet::new());
            for (row, (n, lands)) in (0..).zip(&steps) {
                if *lands {
                    open.remove(n);
                    for row in flight.complete(number(*n)) {
                        prop_assert!(landed.insert(row.row));
                    }
                } else {
                    prop_assert_eq!(flight.join(number(*n), WaitingRow { row, nth: 0 }), open.insert(n));
                }
            }
            for row in flight.drain() {
                prop_assert!(landed.insert(row.row));
            }
            prop_assert_eq!(landed.len(), steps.iter().filter(|(_, lands)| !lands).count());
        }
    }
}
