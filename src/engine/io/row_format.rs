//! Which cells of a row are read besides its numbers, and which columns its answer is written to:
//! appended ones, or those of an earlier answer.

use crate::domain::excel;
use crate::domain::expected::Expected;
use crate::domain::number::mobile::{MainlandFormat, NumberRules};
use crate::domain::outcome::{InvalidStatus, Status};
use crate::domain::rounded_id::IdSurvey;
use crate::domain::shard::Shard;
use crate::table::detect::columns::{
    ANSWER_COLUMNS, ColumnChoice, EXPECTED_COLUMN, MATCHED_COLUMN, SENT_COLUMN,
};
use crate::table::detect::extra_columns::ExtraColumn;
use crate::table::number_cells::NumberCells;
use crate::table::raw::batch::Batch;
use crate::table::source::Source;

/// Indexes in [`ANSWER_COLUMNS`].
const USER_IDS: [usize; 2] = [0, 1];
const STATUS: usize = 2;
const CODE: usize = 3;
const MESSAGE: usize = 4;

/// What the user asks for besides the five usual columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowOptions {
    /// Write which of several number columns had the number that was found.
    pub has_matched: bool,
    /// Write the number as it was sent.
    pub has_sent: bool,
    /// How mainland numbers are sent.
    pub mainland: MainlandFormat,
    /// The column with the user id that is expected, to compare it with the answer.
    pub expected_column: Option<ColumnChoice>,
    /// The input is a resolved table: only rows that may succeed on another try are called.
    pub has_answers: bool,
    /// Take only the rows of this shard.
    pub shard: Option<Shard>,
}

impl RowOptions {
    /// The columns that are appended after the five usual ones, in order.
    #[must_use]
    pub(crate) fn optional_columns(&self) -> Vec<&'static str> {
        let columns = [
            (MATCHED_COLUMN, self.has_matched),
            (SENT_COLUMN, self.has_sent),
            (EXPECTED_COLUMN, self.expected_column.is_some()),
        ];
        columns.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(name, _)| name).collect()
    }

    /// The columns that are read besides the numbers.
    #[must_use]
    pub(crate) fn extra_columns(&self) -> Vec<ExtraColumn> {
        let expected_column = self.expected_column.as_ref();
        let comparison = expected_column.map(|_| EXPECTED_COLUMN);
        let appended = ANSWER_COLUMNS
            .into_iter()
            .chain(comparison)
            .filter(|_| self.has_answers)
            .map(ExtraColumn::Appended);
        let requested = expected_column
            .map(|choice| ExtraColumn::Requested { choice: choice.clone(), flag: "--expect" });
        appended.chain(requested).collect()
    }
}

/// How the rows of one table are read and answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowFormat {
    /// Which cells of a row hold its numbers; they come first.
    pub number_cells: NumberCells,
    /// Whether an answer has a cell for the column of the number that was found.
    pub has_matched: bool,
    /// How mainland numbers are sent, if an answer has a cell for the number as it was sent.
    pub sent_as: Option<MainlandFormat>,
    /// The index, after the numbers, of the cell with the expected user id.
    expected_cell: Option<usize>,
    /// The columns, from 0, of the cells of an answer; empty if they are appended.
    target_columns: Vec<usize>,
    /// Whether the rows have answers already.
    has_answers: bool,
    /// What the user ids of these answers are like.
    user_ids: IdSurvey,
    shard: Option<Shard>,
}

/// The name of a column that is wanted and that the earlier answers do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MissingColumn(pub &'static str);

impl RowFormat {
    /// The format for `source`, which was opened with [`RowOptions::extra_columns`].
    ///
    /// # Errors
    /// [`MissingColumn`], because no column is added to a table that has answers already.
    pub(crate) fn new(options: &RowOptions, source: &Source) -> Result<Self, MissingColumn> {
        let RowOptions { has_answers, shard, mainland, .. } = *options;
        let has_expected = options.expected_column.is_some();
        let (mut has_matched, mut has_sent) = (options.has_matched, options.has_sent);
        let mut target_columns = Vec::new();
        // An input that is completely empty has no columns.
        if has_answers && source.width() > 0 {
            let find = |name| source.appended_column(name).ok_or(MissingColumn(name));
            for name in ANSWER_COLUMNS {
                target_columns.push(find(name)?);
            }
            let matched = source.appended_column(MATCHED_COLUMN);
            let sent = if has_sent {
                Some(find(SENT_COLUMN)?)
            } else {
                source.appended_column(SENT_COLUMN)
            };
            let comparison = has_expected.then(|| find(EXPECTED_COLUMN)).transpose()?;
            (has_matched, has_sent) = (matched.is_some(), sent.is_some());
            target_columns.extend([matched, sent, comparison].into_iter().flatten());
        }
        // After the cells of the earlier answer, which include the comparison.
        let expected_cell = if has_answers { ANSWER_COLUMNS.len() + 1 } else { 0 };
        Ok(Self {
            number_cells: source.number_cells(),
            has_matched,
            sent_as: has_sent.then_some(mainland),
            expected_cell: has_expected.then_some(expected_cell),
            target_columns,
            has_answers,
            user_ids: IdSurvey::default(),
            shard,
        })
    }

    /// Sets what the user ids of the whole table are like.
    #[must_use]
    pub(crate) fn with_user_ids(self, user_ids: IdSurvey) -> Self {
        Self { user_ids, ..self }
    }

    /// Adds the user ids that a row already has.
    pub(crate) fn survey_user_ids(&self, batch: &Batch, row: usize, survey: &mut IdSurvey) {
        self.user_ids(batch, row).for_each(|id| survey.add(id));
    }

    /// The status that a row already has; `None` if the table has no answers yet. Without its user
    /// id, which a spreadsheet rounded, a row is `pending`: it is asked again.
    ///
    /// # Errors
    /// If the row's cell holds no status.
    pub(crate) fn earlier_status(
        &self,
        batch: &Batch,
        row: usize,
    ) -> Result<Option<Status>, InvalidStatus> {
        let status = self.has_answers.then(|| self.read_status(batch, row)).transpose()?;
        let is_rounded = self.has_answers && self.is_asked_for_rounded_id(batch, row);
        Ok(if is_rounded { Some(Status::Pending) } else { status })
    }

    /// Whether a row is asked again because a spreadsheet rounded a user id that was found.
    #[must_use]
    pub(crate) fn is_asked_for_rounded_id(&self, batch: &Batch, row: usize) -> bool {
        self.has_rounded_id(batch, row) && matches!(self.read_status(batch, row), Ok(Status::Found))
    }

    fn has_rounded_id(&self, batch: &Batch, row: usize) -> bool {
        self.user_ids(batch, row).any(|id| self.user_ids.is_rounded(id))
    }

    fn user_ids<'a>(&self, batch: &'a Batch, row: usize) -> impl Iterator<Item = &'a str> {
        let cells = USER_IDS.map(|index| self.extra_cell(batch, row, index));
        cells.into_iter().flat_map(|cell| cell.split(';')).map(str::trim)
    }

    /// The `errcode` and the `errmsg` of a row that keeps its answer.
    #[must_use]
    pub(crate) fn earlier_code_and_message<'a>(
        &self,
        batch: &'a Batch,
        row: usize,
    ) -> [&'a str; 2] {
        [CODE, MESSAGE].map(|index| excel::unprotect(self.extra_cell(batch, row, index)))
    }

    /// The expected user id of a row, if `--expect` is given.
    #[must_use]
    pub(crate) fn expected_user_id<'a>(&self, batch: &'a Batch, row: usize) -> Option<&'a str> {
        self.expected_cell.map(|index| self.extra_cell(batch, row, index))
    }

    /// The result of the earlier comparison with the expected user id, for a row that keeps its
    /// answer.
    #[must_use]
    pub(crate) fn earlier_comparison(&self, batch: &Batch, row: usize) -> Option<Expected> {
        self.expected_cell
            .and_then(|_| Expected::parse(self.extra_cell(batch, row, ANSWER_COLUMNS.len())))
    }

    /// The rows of the shard.
    #[must_use]
    pub(crate) fn retain_shard(&self, batch: Batch, rules: NumberRules) -> Batch {
        let Some(shard) = self.shard else { return batch };
        batch.filter(|row| shard.contains(self.number_cells.shard_key(&batch, row, rules)))
    }

    /// The columns of the cells of an answer, in order; `None` if they are appended.
    #[must_use]
    pub(crate) fn target_columns(&self) -> Option<&[usize]> {
        self.has_answers.then_some(&*self.target_columns)
    }

    /// A row without any cell, as spreadsheets add them at the end, counts as invalid.
    fn read_status(&self, batch: &Batch, row: usize) -> Result<Status, InvalidStatus> {
        if self.number_cells.is_blank_row(batch, row) {
            return Ok(Status::Invalid);
        }
        let column = self.target_columns[STATUS];
        Status::parse(self.extra_cell(batch, row, STATUS), column)
    }

    /// A cell after the numbers. Every row of a batch has all cells that the source was opened
    /// with.
    fn extra_cell<'a>(&self, batch: &'a Batch, row: usize, index: usize) -> &'a str {
        let cell = batch.cells(row).nth(self.number_cells.count() + index);
        cell.unwrap_or_else(|| unreachable!("row {row} has no cell {index} after its numbers"))
    }
}
