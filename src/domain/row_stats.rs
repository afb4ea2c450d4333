//! Counts of rows by reason, country and expected id, from which hints are made.

use std::collections::BTreeMap;

use crate::domain::expected::Expected;
use crate::domain::number::invalid::InvalidKind;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Status;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowStats {
    /// Rows by status in the order of [`Status::ALL`].
    by_status: [u64; Status::ALL.len()],
    by_invalid_kind: [u64; InvalidKind::ALL.len()],
    /// Rows with a definitive answer by country code: all, and `not_found`.
    by_country: BTreeMap<u16, [u64; 2]>,
    /// The country code of the last row and its counts that are not in `by_country` yet. Most rows
    /// have the same country as the row before, so this saves a lookup per row.
    last_country: (u16, [u64; 2]),
    by_expected: [u64; Expected::ALL.len()],
    /// Rows with a user id that a spreadsheet changes when it opens the output.
    pub ids_changed_by_excel: u64,
}

impl RowStats {
    /// Counts a row that this run answered, with its number, or the reason why it was not sent.
    pub(crate) fn count_row(&mut self, status: Status, number: Result<Mobile, InvalidKind>) {
        self.by_status[status as usize] += 1;
        match number {
            Ok(_) if status.is_retryable() => {}
            Ok(mobile) => {
                if self.last_country.0 != mobile.country_code() {
                    self.flush_last_country();
                    self.last_country.0 = mobile.country_code();
                }
                let [all, not_found] = &mut self.last_country.1;
                *all += 1;
                *not_found += u64::from(status == Status::NotFound);
            }
            Err(kind) if status == Status::Invalid => self.by_invalid_kind[kind as usize] += 1,
            Err(_) => {}
        }
    }

    /// Counts a row that keeps its earlier answer and is not about a person: nobody has to correct
    /// its number.
    pub(crate) fn count_kept_non_person(&mut self) {
        self.by_invalid_kind[InvalidKind::NonPerson as usize] += 1;
    }

    fn flush_last_country(&mut self) {
        let (country, counts) = std::mem::take(&mut self.last_country);
        let sums = self.by_country.entry(country).or_default();
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
    }

    pub(crate) fn count_expected(&mut self, expected: Expected) {
        self.by_expected[expected as usize] += 1;
    }

    #[must_use]
    pub(crate) fn expected(&self, expected: Expected) -> u64 {
        self.by_expected[expected as usize]
    }

    /// Without the rows that keep an earlier answer.
    #[must_use]
    pub(crate) fn rows(&self, status: Status) -> u64 {
        self.by_status[status as usize]
    }

    #[must_use]
    pub(crate) fn invalid(&self, kind: InvalidKind) -> u64 {
        self.by_invalid_kind[kind as usize]
    }

    /// The country code with the most `not_found` rows, and its rows: all, and `not_found`.
    #[must_use]
    pub(crate) fn most_not_found(&self) -> Option<(u16, [u64; 2])> {
        let mut stats = self.clone();
        stats.flush_last_country();
        let countries = stats.by_country.into_iter().filter(|(_, [_, not_found])| *not_found > 0);
        countries.max_by_key(|(_, [_, not_found])| *not_found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::DefaultRegion;

    #[test]
    fn rows_are_counted_by_reason_and_country() {
        let number = |text: &str| Ok(Mobile::parse(text, DefaultRegion::CHINA).unwrap());
        let mut stats = RowStats::default();
        assert_eq!(stats.most_not_found(), None);
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
            stats.count_row(status, number);
        }
        assert_eq!(stats.most_not_found(), Some((852, [3, 2])));
        assert_eq!(
            (stats.invalid(InvalidKind::Rounded), stats.invalid(InvalidKind::Empty)),
            (2, 0)
        );
        stats.count_expected(Expected::Missing);
        assert_eq!(Expected::ALL.map(|expected| stats.expected(expected)), [0, 0, 0, 1]);
    }
}
