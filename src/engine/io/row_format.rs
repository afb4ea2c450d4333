//! Which cells of a row are read besides its numbers, and which columns its answer is written to:
//! appended ones, or those of an earlier answer.

use std::collections::BTreeSet;

use crate::domain::excel;
use crate::domain::expected::Expected;
use crate::domain::number::mobile::{MainlandFormat, NumberRules};
use crate::domain::outcome::{InvalidStatus, Outcome, Status};
use crate::domain::rounded_id::{IdSurvey, may_be_rounded};
use crate::domain::shard::Shard;
use crate::engine::io::unresolved::RowOrigin;
use crate::table::detect::columns::{
    ANSWER_COLUMNS, ColumnChoice, EXPECTED_COLUMN, MATCHED_COLUMN, SENT_COLUMN,
};
use crate::table::detect::extra_columns::ExtraColumn;
use crate::table::number_cells::NumberCells;
use crate::table::person_cells::PersonCells;
use crate::table::raw::batch::Batch;
use crate::table::raw::encoding::Encoding;
use crate::table::raw::row_numbers::RowNumbers;
use crate::table::source::Source;
use crate::table::write::cell_edit::Splitter;

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
    /// The input is a resolved table: only rows that are asked again are called.
    pub has_answers: bool,
    /// The statuses of a resolved table that are asked again; the default ones if empty.
    pub retry_statuses: Vec<Status>,
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
            .map(ExtraColumn::Appended)
            .chain([ExtraColumn::Optional(SENT_COLUMN)])
            .filter(|_| self.has_answers);
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
    /// The index, after the numbers, of the cell with the number as an earlier run sent it.
    earlier_sent_cell: Option<usize>,
    /// The columns, from 0, of the cells of an answer; empty if they are appended.
    target_columns: Vec<usize>,
    /// Whether the rows have answers already.
    has_answers: bool,
    /// What the user ids of these answers are like.
    user_ids: IdSurvey,
    shard: Option<Shard>,
    /// How the rows are numbered.
    pub row_numbers: RowNumbers,
    /// The columns, from 0, of the numbers.
    number_columns: Vec<usize>,
    person_cells: PersonCells,
    delimiter: char,
    encoding: Encoding,
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
        // As in `RowOptions::extra_columns`.
        let earlier_sent_cell = ANSWER_COLUMNS.len() + usize::from(has_expected);
        let expected_cell = if has_answers { earlier_sent_cell + 1 } else { 0 };
        Ok(Self {
            number_cells: source.number_cells(),
            has_matched,
            sent_as: has_sent.then_some(mainland),
            expected_cell: has_expected.then_some(expected_cell),
            earlier_sent_cell: has_answers.then_some(earlier_sent_cell),
            target_columns,
            has_answers,
            user_ids: IdSurvey::default(),
            shard,
            row_numbers: source.row_numbers().clone(),
            number_columns: source.columns().iter().map(|column| column.index).collect(),
            person_cells: source.person_cells(),
            delimiter: source.dialect().delimiter,
            encoding: source.dialect().encoding,
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

    /// The status that a row of a resolved table has; `None` if its cell is empty. A row without
    /// any cell, as spreadsheets add them at the end, counts as invalid.
    ///
    /// # Errors
    /// If the row's cell holds no status.
    pub(crate) fn earlier_status(
        &self,
        batch: &Batch,
        row: usize,
    ) -> Result<Option<Status>, InvalidStatus> {
        if self.is_blank_row(batch, row) {
            return Ok(Some(Status::Invalid));
        }
        let cell = self.extra_cell(batch, row, STATUS);
        if cell.trim().is_empty() {
            return Ok(None);
        }
        Status::parse(cell, self.target_columns[STATUS]).map(Some)
    }

    fn is_blank_row(&self, batch: &Batch, row: usize) -> bool {
        let is_blank = |cell: &String| cell.trim().is_empty();
        self.number_cells.is_blank_row(batch, row)
            && Splitter::new(self.delimiter, self.encoding)
                .cells(batch.content(row))
                .iter()
                .all(is_blank)
    }

    /// Whether the output has the numbers that were sent.
    #[must_use]
    pub(crate) fn has_sent_numbers(&self) -> bool {
        self.sent_as.is_some()
    }

    /// Whether a spreadsheet rounded a user id of the row.
    #[must_use]
    pub(crate) fn has_rounded_id(&self, batch: &Batch, row: usize) -> bool {
        self.user_ids(batch, row).any(|id| self.user_ids.is_rounded(id))
    }

    fn user_ids<'a>(&self, batch: &'a Batch, row: usize) -> impl Iterator<Item = &'a str> {
        let cells = USER_IDS.map(|index| self.extra_cell(batch, row, index));
        cells.into_iter().flat_map(|cell| cell.split(';')).map(str::trim)
    }

    /// Whether a row has the user ids of `outcome`, rounded or not.
    #[must_use]
    pub(crate) fn has_user_ids(&self, batch: &Batch, row: usize, outcome: &Outcome) -> bool {
        let of_row = USER_IDS.map(|index| self.extra_cell(batch, row, index));
        of_row.into_iter().zip([&outcome.userid, &outcome.exclusive_ids]).all(|(cell, ids)| {
            let ids: BTreeSet<_> = split_ids(ids).collect();
            let cell: BTreeSet<_> = split_ids(excel::unprotect(cell.trim())).collect();
            let is_rounded_id = |id: &&str| {
                self.user_ids.is_rounded(id) && ids.iter().any(|of| may_be_rounded(id, of))
            };
            cell == ids
                || (cell.len() == ids.len()
                    && cell.iter().all(|id| ids.contains(id) || is_rounded_id(id)))
        })
    }

    /// The user ids that a row has, as they were written.
    pub(crate) fn written_user_ids<'a>(
        &self,
        batch: &'a Batch,
        row: usize,
    ) -> impl Iterator<Item = &'a str> {
        let cells = USER_IDS.map(|index| self.extra_cell(batch, row, index));
        cells.into_iter().flat_map(|cell| split_ids(excel::unprotect(cell.trim())))
    }

    /// The number of a row as an earlier run sent it, if the table has that column.
    #[must_use]
    pub(crate) fn sent_number<'a>(&self, batch: &'a Batch, row: usize) -> Option<&'a str> {
        let cell = self.extra_cell(batch, row, self.earlier_sent_cell?);
        (!cell.trim().is_empty()).then_some(cell)
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

    /// Where a row is and who it is about. `nth` is the number cell that its answer is about.
    #[must_use]
    pub(crate) fn origin(&self, batch: &Batch, row: usize, nth: usize) -> RowOrigin {
        let line = batch.line(row);
        let column = self.number_columns.get(nth);
        RowOrigin {
            location: self.row_numbers.locate(line),
            cell: column.and_then(|&column| self.row_numbers.cell(line, column)),
            person: self.person_cells.read(batch.content(row)),
        }
    }

    /// The columns of the cells of an answer, in order; `None` if they are appended.
    #[must_use]
    pub(crate) fn target_columns(&self) -> Option<&[usize]> {
        self.has_answers.then_some(&*self.target_columns)
    }

    /// A cell after the numbers. Every row of a batch has all cells that the source was opened
    /// with.
    fn extra_cell<'a>(&self, batch: &'a Batch, row: usize, index: usize) -> &'a str {
        let cell = batch.cells(row).nth(self.number_cells.count() + index);
        cell.unwrap_or_else(|| unreachable!("row {row} has no cell {index} after its numbers"))
    }
}

/// The ids of a cell, which are joined by `;`.
pub(crate) fn split_ids(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(';').map(str::trim).filter(|id| !id.is_empty())
}
