//! What is read of a row beside its numbers, and where its answer goes: behind it as a rule, or in the place of an earlier
//! answer. Owns the order of an answer's cells; what they say is `feed`'s.

use crate::domain::expected::Expected;
use crate::domain::number::mobile::{MainlandFormat, NumberRules};
use crate::domain::outcome::{InvalidStatus, Status};
use crate::domain::shard::{Shard, ShardKey};
use crate::table::detect::columns::{
    ANSWER_COLUMNS, ColumnChoice, EXPECTED_COLUMN, MATCHED_COLUMN, SENT_COLUMN,
};
use crate::table::detect::extra_columns::ExtraColumn;
use crate::table::raw::batch::Batch;
use crate::table::source::Source;

/// Where the status is among an answer's usual cells, and what is said beside it.
const STATUS: usize = 2;
const CODE: usize = 3;
const MESSAGE: usize = 4;

/// What is wanted of a run beside the usual five cells.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowOptions {
    /// Whether rows say in which of several columns the number that was found stood.
    pub has_matched: bool,
    /// Whether they say what was sent.
    pub has_sent: bool,
    /// How mainland numbers are sent.
    pub mainland: MainlandFormat,
    /// The column with a user id on file, where rows say how it compares.
    pub expected_column: Option<ColumnChoice>,
    /// Whether rows have answers already, and only those are asked that may succeed on another try.
    pub has_answers: bool,
    /// The shard whose rows the run takes; all of them where there is none.
    pub shard: Option<Shard>,
}

impl RowOptions {
    /// The names of the columns that are appended behind the usual ones, in the order of the cells.
    #[must_use]
    pub(crate) fn optional_columns(&self) -> Vec<&'static str> {
        let names = [
            (MATCHED_COLUMN, self.has_matched),
            (SENT_COLUMN, self.has_sent),
            (EXPECTED_COLUMN, self.expected_column.is_some()),
        ];
        names.into_iter().filter(|(_, wanted)| *wanted).map(|(name, _)| name).collect()
    }

    /// The columns that are read along with the numbers.
    #[must_use]
    pub(crate) fn extra_columns(&self) -> Vec<ExtraColumn> {
        let expect = self.expected_column.as_ref();
        let earlier = expect.map(|_| EXPECTED_COLUMN);
        let appended = ANSWER_COLUMNS
            .into_iter()
            .chain(earlier)
            .filter(|_| self.has_answers)
            .map(ExtraColumn::Appended);
        let on_file = expect
            .map(|choice| ExtraColumn::Requested { choice: choice.clone(), flag: "--expect" });
        appended.chain(on_file).collect()
    }
}

/// How the rows of one table are read and answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowFormat {
    /// How many cells of a row hold numbers; they come first.
    pub numbers_per_row: usize,
    /// Whether an answer has a cell for the column that its number stood in.
    pub has_matched: bool,
    /// How mainland numbers are sent, where an answer has a cell for what was sent.
    pub sent_as: Option<MainlandFormat>,
    /// Which of the cells behind the numbers has the user id on file.
    expected_cell: Option<usize>,
    /// Where the cells go, each to its column from 0; behind the row where there is nothing here.
    target_columns: Vec<usize>,
    /// Whether rows have answers already.
    has_answers: bool,
    /// The shard whose rows the run takes.
    shard: Option<Shard>,
}

/// A column is wanted that the earlier answers have not: its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MissingColumn(pub &'static str);

impl RowFormat {
    /// How the rows of `source`, which was opened with the columns of [`Wanted::beside`], are read and answered.
    ///
    /// # Errors
    /// [`Lacking`], since no column is added where there are answers already.
    pub(crate) fn new(wanted: &RowOptions, source: &Source) -> Result<Self, MissingColumn> {
        let RowOptions {
            has_matched: mut matched,
            has_sent: mut sent,
            mainland,
            expected_column: ref expect,
            has_answers: again,
            shard,
        } = *wanted;
        let (numbers, mut places) = (source.columns().len(), Vec::new());
        if again {
            let there = |name| source.appended_column(name).ok_or(MissingColumn(name));
            for name in ANSWER_COLUMNS {
                places.push(there(name)?);
            }
            let of_sent =
                if sent { Some(there(SENT_COLUMN)?) } else { source.appended_column(SENT_COLUMN) };
            let of_match = source.appended_column(MATCHED_COLUMN);
            let of_expected = expect.as_ref().map(|_| there(EXPECTED_COLUMN)).transpose()?;
            (matched, sent) = (of_match.is_some(), of_sent.is_some());
            places.extend([of_match, of_sent, of_expected].into_iter().flatten());
        }
        // Behind what is read of the answers, which is `expected` too.
        let on_file = expect.as_ref().map(|_| if again { ANSWER_COLUMNS.len() + 1 } else { 0 });
        Ok(Self {
            numbers_per_row: numbers,
            has_matched: matched,
            sent_as: sent.then_some(mainland),
            expected_cell: on_file,
            target_columns: places,
            has_answers: again,
            shard,
        })
    }

    /// The status that a row came with; nothing where rows have none yet.
    ///
    /// # Errors
    /// [`NoStatus`] where its answer has none.
    pub(crate) fn earlier_status(
        &self,
        batch: &Batch,
        row: usize,
    ) -> Result<Option<Status>, InvalidStatus> {
        self.has_answers.then(|| self.read_status(batch, row)).transpose()
    }

    /// The `errcode` and the `errmsg` of a row that keeps its answer.
    #[must_use]
    pub(crate) fn earlier_code_and_message<'a>(
        &self,
        batch: &'a Batch,
        row: usize,
    ) -> [&'a str; 2] {
        [CODE, MESSAGE].map(|place| self.extra_cell(batch, row, place))
    }

    /// The user id that a row has on file, where that is wanted.
    #[must_use]
    pub(crate) fn expected_user_id<'a>(&self, batch: &'a Batch, row: usize) -> Option<&'a str> {
        self.expected_cell.map(|place| self.extra_cell(batch, row, place))
    }

    /// How the user id on file of a row that keeps its answer was found to compare.
    #[must_use]
    pub(crate) fn earlier_comparison(&self, batch: &Batch, row: usize) -> Option<Expected> {
        self.expected_cell
            .and_then(|_| Expected::parse(self.extra_cell(batch, row, ANSWER_COLUMNS.len())))
    }

    /// Those of these rows that the run takes.
    #[must_use]
    pub(crate) fn retain_shard(&self, batch: Batch, rules: NumberRules) -> Batch {
        let Some(shard) = self.shard else { return batch };
        let takes = |row: &usize| {
            shard
                .contains(ShardKey::from_cells(batch.cells(*row).take(self.numbers_per_row), rules))
        };
        batch.select(&(0..batch.len()).filter(takes).collect::<Vec<_>>())
    }

    /// The columns that an answer's cells go to, in their order; nothing where they are appended.
    #[must_use]
    pub(crate) fn target_columns(&self) -> Option<&[usize]> {
        self.has_answers.then_some(&*self.target_columns)
    }

    /// A row without any number and answer, as spreadsheets leave them at the end, has nothing to ask: that is invalid.
    fn read_status(&self, batch: &Batch, row: usize) -> Result<Status, InvalidStatus> {
        if batch.cells(row).all(|cell| cell.trim().is_empty()) {
            return Ok(Status::Invalid);
        }
        let column = self.target_columns.get(STATUS).copied().unwrap_or_default();
        Status::parse(self.extra_cell(batch, row, STATUS), column)
    }

    fn extra_cell<'a>(&self, batch: &'a Batch, row: usize, place: usize) -> &'a str {
        batch.cells(row).nth(self.numbers_per_row + place).unwrap_or_default()
    }
}
