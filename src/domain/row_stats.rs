//! What the rows of a run have in common: why cells were not sent, of which countries the numbers are that nobody has, how ids
//! on file compare. Counted as rows are written, at no cost worth naming. What follows from the counts is for others.

use std::collections::BTreeMap;

use crate::domain::expected::Expected;
use crate::domain::number::invalid::InvalidKind;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Status;

/// The counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowStats {
    /// Rows by status in the order of [`Status::ALL`].
    by_status: [u64; Status::ALL.len()],
    by_invalid_kind: [u64; InvalidKind::ALL.len()],
    /// Rows whose number the directory gave a definitive answer to, by country code: all, and those that nobody has.
    by_country: BTreeMap<u16, [u64; 2]>,
    /// The country code of the last row, whose counts are here, since most rows have the one before's.
    last_country: (u16, [u64; 2]),
    by_expected: [u64; Expected::ALL.len()],
}

impl RowStats {
    /// Counts a row that was answered by this run, with the number that the answer is to, or why its cell was not sent.
    pub(crate) fn count_row(&mut self, status: Status, number: Result<Mobile, InvalidKind>) {
        self.by_status[status as usize] += 1;
        match number {
            Ok(_) if status.is_retryable() => {}
            Ok(mobile) => {
                if self.last_country.0 != mobile.country_code() {
                    self.flush_last_country();
                    self.last_country.0 = mobile.country_code();
                }
                let [all, nobody] = &mut self.last_country.1;
                *all += 1;
                *nobody += u64::from(status == Status::NotFound);
            }
            Err(flaw) if status == Status::Invalid => self.by_invalid_kind[flaw as usize] += 1,
            Err(_) => {}
        }
    }

    fn flush_last_country(&mut self) {
        let (country, counts) = std::mem::take(&mut self.last_country);
        let sums = self.by_country.entry(country).or_default();
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }

    /// Counts how a row's id on file compares.
    pub(crate) fn count_expected(&mut self, word: Expected) {
        self.by_expected[word as usize] += 1;
    }

    /// Rows whose id on file compares so.
    #[must_use]
    pub(crate) fn expected(&self, word: Expected) -> u64 {
        self.by_expected[word as usize]
    }

    /// Rows that this run answered with this status; those that keep an earlier answer are not among them.
    #[must_use]
    pub(crate) fn rows(&self, status: Status) -> u64 {
        self.by_status[status as usize]
    }

    /// Rows that were invalid for this reason.
    #[must_use]
    pub(crate) fn invalid(&self, flaw: InvalidKind) -> u64 {
        self.by_invalid_kind[flaw as usize]
    }

    /// Of the rows with numbers of one country how many were answered, and how many of those nobody has: for the country of
    /// which nobody has the most.
    #[must_use]
    pub(crate) fn most_not_found(&self) -> Option<(u16, [u64; 2])> {
        let mut whole = self.clone();
        whole.flush_last_country();
        let missed = whole.by_country.into_iter().filter(|(_, [_, nobody])| *nobody > 0);
        missed.max_by_key(|(_, [_, nobody])| *nobody)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::DefaultRegion;

    #[test]
    fn rows_are_counted_by_reason_and_country() {
        let number = |text: &str| Ok(Mobile::parse(text, DefaultRegion::CHINA).unwrap());
        let mut findings = RowStats::default();
        assert_eq!(findings.most_not_found(), None);
        for (status, number) in [
            (Status::Found, number("13800138000")),
            (Status::NotFound, number("+852 5123 4567")),
            (Status::NotFound, number("13800138000")),
            (Status::Failed, number("+852 5123 4567")),
            (Status::NotFound, number("+852 5123 4567")),
            (Status::OutOfScope, number("+852 5123 4567")),
            (Status::Invalid, Err(InvalidKind::Rounded)),
            (Status::Invalid, Err(InvalidKind::Rounded)),
            (Status::Pending, Err(InvalidKind::Empty)),
        ] {
            findings.count_row(status, number);
        }
        assert_eq!(findings.most_not_found(), Some((852, [3, 2])));
        assert_eq!(
            (findings.invalid(InvalidKind::Rounded), findings.invalid(InvalidKind::Empty)),
            (2, 0)
        );
        findings.count_expected(Expected::Missing);
        assert_eq!(Expected::ALL.map(|word| findings.expected(word)), [0, 0, 1]);
    }
}
