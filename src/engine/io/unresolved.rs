//! The rows without a user id: the first of each status, the others counted. What is kept may have full numbers in it, so it
//! prints as counts alone. Leaves how people see it to `app`.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Status;

/// How many rows of each status are kept.
const MAX_LISTED: usize = 100;
/// How many characters of a message are kept; the API's have no bound worth naming.
const MAX_MESSAGE_CHARS: usize = 600;

/// Those of a run, by status in the order of [`Status::ALL`].
#[derive(Clone, Default)]
pub(crate) struct UnresolvedRows([StatusGroup; Status::ALL.len()]);

/// Those of one status.
#[derive(Clone, Default)]
pub(crate) struct StatusGroup {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub rows: Vec<UnresolvedRow>,
}

/// One row.
#[derive(Clone)]
pub(crate) struct UnresolvedRow {
    /// The line of the input on which it starts, from 1.
    pub line: u64,
    /// The number that its answer is about; none where no cell has one that can be sent, and where it is not known which one
    /// that was.
    pub mobile: Option<Mobile>,
    /// Its `errcode`.
    pub code: String,
    /// Its `errmsg`, without the row's own numbers.
    pub message: String,
}

impl UnresolvedRows {
    /// Those with this status.
    #[must_use]
    pub(crate) fn with_status(&self, status: Status) -> &StatusGroup {
        &self.0[status as usize]
    }
}

impl fmt::Debug for UnresolvedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|group| group.count)).finish()
    }
}

/// Where the thread that writes the rows leaves them: they are there whatever becomes of that thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedUnresolved(Arc<Mutex<UnresolvedRows>>);

impl SharedUnresolved {
    /// Takes a row in, with its status, `errcode` and `errmsg`; one that was found is passed over. Its answer is about its
    /// number, where it has but one, and what is said has none of them.
    pub(crate) fn record(
        &self,
        line: u64,
        numbers: impl IntoIterator<Item = Mobile>,
        status: Status,
        [code, message]: [&str; 2],
    ) {
        if status == Status::Found {
            return;
        }
        let mut misses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let group = &mut misses.0[status as usize];
        group.count += 1;
        if group.rows.len() < MAX_LISTED {
            let numbers: Vec<_> = numbers.into_iter().collect();
            let told = |text: &str| {
                let hidden = |text: String, number: &Mobile| number.mask_in(&text);
                truncate_message(&numbers.iter().fold(text.to_owned(), hidden)).to_owned()
            };
            let mobile = numbers.first().copied().filter(|_| numbers.len() == 1);
            group.rows.push(UnresolvedRow {
                line,
                mobile,
                code: told(code),
                message: told(message),
            });
        }
    }

    /// What there is.
    #[must_use]
    pub(crate) fn take(&self) -> UnresolvedRows {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The first [`LONGEST`] characters, and no part of a number that goes on behind them: it could not be told for one any more.
fn truncate_message(text: &str) -> &str {
    let Some((end, _)) = text.char_indices().nth(MAX_MESSAGE_CHARS) else { return text };
    let (kept, rest) = text.split_at(end);
    let of_a_number = |c: char| c.is_numeric() || matches!(c, '-' | ' ' | '+');
    if rest.starts_with(of_a_number) { kept.trim_end_matches(of_a_number) } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::DefaultRegion;

    #[test]
    fn messages_of_unresolved_rows_contain_no_number_or_fragment() {
        let basket = SharedUnresolved::default();
        let [own, second] = ["+852 5123 4567", "13800138000"]
            .map(|spelt| Mobile::parse(spelt, DefaultRegion::CHINA).unwrap());
        let long = format!("{} 13800138000", "x".repeat(589));
        for message in
            ["no 85251234567 nor 51234567 nor 138-0013-8000", &long, &long.replace(' ', "１")]
        {
            basket.record(2, [own, second], Status::Failed, ["51234567", message]);
        }
        basket.record(2, None, Status::Failed, ["", &long]);
        for UnresolvedRow { mobile, code, message, .. } in
            &basket.take().with_status(Status::Failed).rows
        {
            let told = format!("{code} {message}");
            assert!(
                !told.contains("1234567") && !told.contains("1380") && !told.contains("138-"),
                "{told}"
            );
            assert_eq!(*mobile, None, "which of them it was is not known");
        }
    }

    #[test]
    fn the_first_hundred_are_kept_and_the_others_counted() {
        let basket = SharedUnresolved::default();
        for line in 2..502 {
            basket.record(line, None, Status::Failed, ["-1", &"busy".repeat(1000)]);
            basket.record(line, None, Status::Found, ["0", "ok"]);
        }
        basket.record(502, None, Status::Invalid, ["", "the cell is empty"]);
        let misses = basket.take();
        let StatusGroup { count, rows } = misses.with_status(Status::Failed);
        assert_eq!((*count, rows.len(), rows[0].line, rows[99].line), (500, MAX_LISTED, 2, 101));
        assert_eq!((&*rows[0].code, rows[0].message.len()), ("-1", MAX_MESSAGE_CHARS));
        assert_eq!(
            (misses.with_status(Status::Invalid).count, misses.with_status(Status::Found).count),
            (1, 0)
        );
        assert_eq!(format!("{misses:?}"), "[0, 0, 0, 1, 0, 500, 0]");
        assert_eq!(basket.take().with_status(Status::Failed).count, 0);
    }
}
