//! What the rows of a run have in common: why cells were not sent, of which countries the numbers are that nobody has, how ids
//! on file compare. Counted as rows are written, at no cost worth naming. What follows from the counts is for others.

use std::collections::BTreeMap;

use crate::domain::expected::Expected;
use crate::domain::number::invalid::Flaw;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Status;

/// The counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Rows by status in the order of [`Status::ALL`].
    by_status: [u64; Status::ALL.len()],
    flaws: [u64; Flaw::ALL.len()],
    /// Rows whose number the directory gave a definitive answer to, by country code: all, and those that nobody has.
    answered: BTreeMap<u16, [u64; 2]>,
    /// The country code of the last row, whose counts are here, since most rows have the one before's.
    last: (u16, [u64; 2]),
    expected: [u64; Expected::ALL.len()],
}

impl Findings {
    /// Counts a row that was answered by this run, with the number that the answer is to, or why its cell was not sent.
    pub(crate) fn row(&mut self, status: Status, number: Result<Mobile, Flaw>) {
        self.by_status[status as usize] += 1;
        match number {
            Ok(_) if status.may_yet_succeed() => {}
            Ok(mobile) => {
                if self.last.0 != mobile.country() {
                    self.settle();
                    self.last.0 = mobile.country();
                }
                let [all, nobody] = &mut self.last.1;
                *all += 1;
                *nobody += u64::from(status == Status::NotFound);
            }
            Err(flaw) if status == Status::Invalid => self.flaws[flaw as usize] += 1,
            Err(_) => {}
        }
    }

    fn settle(&mut self) {
        let (country, counts) = std::mem::take(&mut self.last);
        let sums = self.answered.entry(country).or_default();
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }

    /// Counts how a row's id on file compares.
    pub(crate) fn expect(&mut self, word: Expected) {
        self.expected[word as usize] += 1;
    }

    /// Rows whose id on file compares so.
    #[must_use]
    pub(crate) fn expected(&self, word: Expected) -> u64 {
        self.expected[word as usize]
    }

    /// Rows that this run answered with this status; those that keep an earlier answer are not among them.
    #[must_use]
    pub(crate) fn rows(&self, status: Status) -> u64 {
        self.by_status[status as usize]
    }

    /// Rows that were invalid for this reason.
    #[must_use]
    pub(crate) fn flaw(&self, flaw: Flaw) -> u64 {
        self.flaws[flaw as usize]
    }

    /// Of the rows with numbers of one country how many were answered, and how many of those nobody has: for the country of
    /// which nobody has the most.
    #[must_use]
    pub(crate) fn most_missed(&self) -> Option<(u16, [u64; 2])> {
        let mut whole = self.clone();
        whole.settle();
        let missed = whole.answered.into_iter().filter(|(_, [_, nobody])| *nobody > 0);
        missed.max_by_key(|(_, [_, nobody])| *nobody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::Home;

    #[test]
    fn rows_are_counted_by_flaw_and_country() {
        let number = |text: &str| Ok(Mobile::parse(text, Home::CHINA).unwrap());
        let mut findings = Findings::default();
        assert_eq!(findings.most_missed(), None);
        for (status, number) in [
            (Status::Found, number("13800138000")),
            (Status::NotFound, number("+852 5123 4567")),
            (Status::NotFound, number("13800138000")),
            (Status::Failed, number("+852 5123 4567")),
            (Status::NotFound, number("+852 5123 4567")),
            (Status::OutOfScope, number("+852 5123 4567")),
            (Status::Invalid, Err(Flaw::Rounded)),
            (Status::Invalid, Err(Flaw::Rounded)),
            (Status::Pending, Err(Flaw::Empty)),
        ] {
            findings.row(status, number);
        }
        assert_eq!(findings.most_missed(), Some((852, [3, 2])));
        assert_eq!((findings.flaw(Flaw::Rounded), findings.flaw(Flaw::Empty)), (2, 0));
        findings.expect(Expected::Missing);
        assert_eq!(Expected::ALL.map(|word| findings.expected(word)), [0, 0, 1]);
    }
}
