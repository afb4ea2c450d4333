//! What is read of a row beside its numbers, and where its answer goes: behind it as a rule, or in the place of an earlier
//! answer. Owns the order of an answer's cells; what they say is `feed`'s.

use crate::domain::expected::Expected;
use crate::domain::number::mobile::{Mainland, Rules};
use crate::domain::outcome::{NoStatus, Status};
use crate::domain::shard::{Lot, Shard};
use crate::table::detect::columns::{ColumnChoice, EXPECTED, MATCHED, SENT, USUAL};
use crate::table::detect::extra_columns::Beside;
use crate::table::raw::batch::Batch;
use crate::table::source::Source;

/// Where the status is among an answer's usual cells, and what is said beside it.
const STATUS: usize = 2;
const CODE: usize = 3;
const MESSAGE: usize = 4;

/// What is wanted of a run beside the usual five cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Whether rows say in which of several columns the number that was found stood.
    pub matched: bool,
    /// Whether they say what was sent.
    pub sent: bool,
    /// How mainland numbers are sent.
    pub mainland: Mainland,
    /// The column with a user id on file, where rows say how it compares.
    pub expect: Option<ColumnChoice>,
    /// Whether rows have answers already, and only those are asked that may succeed on another try.
    pub again: bool,
    /// The shard whose rows the run takes; all of them where there is none.
    pub shard: Option<Shard>,
}

impl Wanted {
    /// The names of the columns that are appended behind the usual ones, in the order of the cells.
    #[must_use]
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let names = [(MATCHED, self.matched), (SENT, self.sent), (EXPECTED, self.expect.is_some())];
        names.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name).collect()
    }

    /// The columns that are read along with the numbers.
    #[must_use]
    pub(crate) fn beside(&self) -> Vec<Beside> {
        let expect = self.expect.as_ref();
        let earlier = expect.map(|_| EXPECTED);
        let appended =
            USUAL.into_iter().chain(earlier).filter(|_| self.again).map(Beside::Appended);
        let on_file =
            expect.map(|choice| Beside::Asked { choice: choice.clone(), flag: "--expect" });
        appended.chain(on_file).collect()
    }
}

/// How the rows of one table are read and answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manner {
    /// How many cells of a row hold numbers; they come first.
    pub numbers: usize,
    /// Whether an answer has a cell for the column that its number stood in.
    pub matched: bool,
    /// How mainland numbers are sent, where an answer has a cell for what was sent.
    pub sent: Option<Mainland>,
    /// Which of the cells behind the numbers has the user id on file.
    on_file: Option<usize>,
    /// Where the cells go, each to its column from 0; behind the row where there is nothing here.
    places: Vec<usize>,
    /// Whether rows have answers already.
    again: bool,
    /// The shard whose rows the run takes.
    shard: Option<Shard>,
}

/// A column is wanted that the earlier answers have not: its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lacking(pub &'static str);

impl Manner {
    /// How the rows of `source`, which was opened with the columns of [`Wanted::beside`], are read and answered.
    ///
    /// # Errors
    /// [`Lacking`], since no column is added where there are answers already.
    pub(crate) fn of(wanted: &Wanted, source: &Source) -> Result<Self, Lacking> {
        let Wanted { mut matched, mut sent, mainland, ref expect, again, shard } = *wanted;
        let (numbers, mut places) = (source.columns().len(), Vec::new());
        if again {
            let there = |name| source.appended(name).ok_or(Lacking(name));
            for name in USUAL {
                places.push(there(name)?);
            }
            let of_sent = if sent { Some(there(SENT)?) } else { source.appended(SENT) };
            let of_match = source.appended(MATCHED);
            let of_expected = expect.as_ref().map(|_| there(EXPECTED)).transpose()?;
            (matched, sent) = (of_match.is_some(), of_sent.is_some());
            places.extend([of_match, of_sent, of_expected].into_iter().flatten());
        }
        // Behind what is read of the answers, which is `expected` too.
        let on_file = expect.as_ref().map(|_| if again { USUAL.len() + 1 } else { 0 });
        Ok(Self { numbers, matched, sent: sent.then_some(mainland), on_file, places, again, shard })
    }

    /// The status that a row came with; nothing where rows have none yet.
    ///
    /// # Errors
    /// [`NoStatus`] where its answer has none.
    pub(crate) fn earlier(&self, batch: &Batch, row: usize) -> Result<Option<Status>, NoStatus> {
        self.again.then(|| self.status(batch, row)).transpose()
    }

    /// The `errcode` and the `errmsg` of a row that keeps its answer.
    #[must_use]
    pub(crate) fn said<'a>(&self, batch: &'a Batch, row: usize) -> [&'a str; 2] {
        [CODE, MESSAGE].map(|place| self.beside(batch, row, place))
    }

    /// The user id that a row has on file, where that is wanted.
    #[must_use]
    pub(crate) fn on_file<'a>(&self, batch: &'a Batch, row: usize) -> Option<&'a str> {
        self.on_file.map(|place| self.beside(batch, row, place))
    }

    /// How the user id on file of a row that keeps its answer was found to compare.
    #[must_use]
    pub(crate) fn expected(&self, batch: &Batch, row: usize) -> Option<Expected> {
        self.on_file.and_then(|_| Expected::read(self.beside(batch, row, USUAL.len())))
    }

    /// Those of these rows that the run takes.
    #[must_use]
    pub(crate) fn own(&self, batch: Batch, rules: Rules) -> Batch {
        let Some(shard) = self.shard else { return batch };
        let takes = |row: &usize| shard.has(Lot::of(batch.cells(*row).take(self.numbers), rules));
        batch.only(&(0..batch.len()).filter(takes).collect::<Vec<_>>())
    }

    /// The columns that an answer's cells go to, in their order; nothing where they are appended.
    #[must_use]
    pub(crate) fn places(&self) -> Option<&[usize]> {
        self.again.then_some(&*self.places)
    }

    /// A row without any number and answer, as spreadsheets leave them at the end, has nothing to ask: that is invalid.
    fn status(&self, batch: &Batch, row: usize) -> Result<Status, NoStatus> {
        if batch.cells(row).all(|cell| cell.trim().is_empty()) {
            return Ok(Status::Invalid);
        }
        let column = self.places.get(STATUS).copied().unwrap_or_default();
        Status::read(self.beside(batch, row, STATUS), column)
    }

    fn beside<'a>(&self, batch: &'a Batch, row: usize, place: usize) -> &'a str {
        batch.cells(row).nth(self.numbers + place).unwrap_or_default()
    }
}
