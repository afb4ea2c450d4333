//! The thread that writes answered rows and counts what the report needs of them.

use std::fmt::Write as _;
use std::io;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc;

use crate::domain::excel;
use crate::domain::expected::Expected;
use crate::domain::number::mobile::{DefaultRegion, NumberRules};
use crate::domain::outcome::Status;
use crate::domain::row_stats::RowStats;
use crate::engine::io::reader::ParsedBatch;
use crate::engine::io::row_format::RowFormat;
use crate::engine::io::unresolved::SharedUnresolved;
use crate::engine::reorder::{Answer, Chunk};
use crate::table::raw::batch::Batch;
use crate::table::write::completion::Completion;
use crate::table::write::edited_file::ReplaceRule;
use crate::table::write::sink::{Sink, SinkError};

/// The outputs of a run, and what is counted of the rows written to them.
#[derive(Debug)]
pub(crate) struct Outputs {
    /// Every row, with its answer.
    pub all: Sink,
    /// The rows that may succeed on another try, unchanged (`--failed`).
    pub failed: Option<Sink>,
    /// The last header among the rows, while no row below it is in `failed`.
    pub held_header: Option<Batch>,
    pub row_stats: RowStats,
    pub unresolved: SharedUnresolved,
}

impl Outputs {
    /// Completes both outputs; `tail` is written after the last row. The rule is about the file
    /// that the main output replaces.
    ///
    /// # Errors
    /// [`SinkError`] if a file cannot be written or renamed.
    pub(crate) fn finish(self, tail: &[u8], rule: &ReplaceRule) -> Result<Completion, SinkError> {
        let finished = self.all.finish_with(tail, rule)?;
        // After the main output, because a loss of this file matters less.
        self.failed.map(|failed| failed.finish(&[])).transpose()?;
        Ok(finished)
    }

    /// How many bytes of the input's rows the main output has, or has replaced on purpose.
    #[must_use]
    pub(crate) fn row_bytes(&self) -> u64 {
        self.all.row_bytes()
    }

    /// Writes a row that keeps its earlier answer, unchanged.
    fn write_kept_row(
        &mut self,
        batch: &Batch,
        row: usize,
        status: Status,
        format: &RowFormat,
        region: DefaultRegion,
    ) -> Result<(), SinkError> {
        let (row_stats, unresolved) = (&mut self.row_stats, &self.unresolved);
        count_kept_row(format, region, batch, row, status, row_stats, unresolved);
        self.all.copy_row(batch, row)?;
        self.write_failed_row(batch, row, status, format)
    }

    /// Writes a row with its answer. `code_buffer` is reused for the text of the code.
    fn write_answered_row(
        &mut self,
        parsed: &ParsedBatch,
        row: usize,
        Answer { nth, outcome, .. }: &Answer,
        format: &RowFormat,
        labels: &[String],
        code_buffer: &mut String,
    ) -> Result<(), SinkError> {
        code_buffer.clear();
        if let Some(code) = &outcome.code {
            // Writing to a string does not fail.
            let _ = write!(code_buffer, "{code}");
        }
        let (number, status) = (parsed.number_cell(row, *nth), outcome.status);
        self.row_stats.count_row(status, number.map(|number| number.mobile));
        if excel::is_changed(&outcome.userid) || excel::is_changed(&outcome.exclusive_ids) {
            self.row_stats.ids_changed_by_excel += 1;
        }
        let number = number.ok();
        // Rows with the same number share the outcome; a remark on the cell of this row is added
        // here.
        let annotated = number.and_then(|number| number.annotate_message(&outcome.message));
        let message = annotated.as_deref().unwrap_or(&outcome.message);
        let mobile = number.map(|number| number.mobile);
        let origin = || format.origin(&parsed.batch, row, *nth);
        self.unresolved.record(origin, mobile, status, [&*code_buffer, message]);
        let mut cells =
            vec![&*outcome.userid, &*outcome.exclusive_ids, status.name(), &*code_buffer, message];
        if format.has_matched {
            cells.push(if status == Status::Found { &labels[*nth] } else { "" });
        }
        let sent = format.sent_as.map(|mainland| {
            let sent_number = number.filter(|_| status != Status::Pending);
            sent_number.map_or_else(String::new, |number| number.mobile.to_api_string(mainland))
        });
        cells.extend(sent.as_deref());
        if let Some(expected_id) = format.expected_user_id(&parsed.batch, row) {
            let comparison = Expected::compare(expected_id, outcome);
            if let Some(comparison) = comparison {
                self.row_stats.count_expected(comparison);
            }
            cells.push(comparison.map_or("", Expected::name));
        }
        match format.target_columns() {
            Some(columns) => {
                let mut cells: Vec<_> = columns.iter().copied().zip(cells).collect();
                self.all.edit_row(&parsed.batch, row, &mut cells)?;
            }
            None => self.all.write_row(&parsed.batch, row, &cells)?,
        }
        self.write_failed_row(&parsed.batch, row, status, format)
    }

    /// A second header is written above the first of its rows: without it, the next run may read
    /// another column as the countries of the numbers, or none.
    fn write_failed_row(
        &mut self,
        batch: &Batch,
        row: usize,
        status: Status,
        format: &RowFormat,
    ) -> Result<(), SinkError> {
        let Some(failed) = &mut self.failed else { return Ok(()) };
        if status.is_retryable() {
            if let Some(header) = self.held_header.take() {
                failed.copy_row_without_blanks(&header, 0)?;
            }
            failed.copy_row_without_blanks(batch, row)?;
        } else if status == Status::Invalid && format.number_cells.is_header_row(batch, row) {
            self.held_header = Some(batch.filter(|other| other == row));
        }
        Ok(())
    }
}

/// Counts a row that keeps its earlier answer. Its numbers are parsed only to mask them in reports,
/// by the lenient rules, because an earlier run may have used those.
pub(crate) fn count_kept_row(
    format: &RowFormat,
    region: DefaultRegion,
    batch: &Batch,
    row: usize,
    status: Status,
    row_stats: &mut RowStats,
    unresolved: &SharedUnresolved,
) {
    if status != Status::Found {
        let rules = NumberRules { default_region: region, strict: false };
        let numbers = format.number_cells.parse(batch, row, rules);
        let mobiles = numbers.flatten().map(|number| number.mobile);
        let code_and_message = format.earlier_code_and_message(batch, row);
        let origin = || format.origin(batch, row, 0);
        unresolved.record(origin, mobiles, status, code_and_message);
    }
    if status == Status::Invalid && batch.non_person(row).is_some() {
        row_stats.count_kept_non_person();
    }
    if let Some(comparison) = format.earlier_comparison(batch, row) {
        row_stats.count_expected(comparison);
    }
}

/// The writer of a run.
#[derive(Debug)]
pub(crate) struct WriterHandle {
    /// Takes the rows, in order.
    pub chunks: mpsc::Sender<Chunk<ParsedBatch>>,
    /// The outputs, once the sender is dropped; they are not finished yet.
    pub outputs: JoinHandle<Result<Outputs, SinkError>>,
}

/// Starts to write. `labels` name the columns of numbers, for the column `matched`; `region` is
/// that of numbers without a country code.
///
/// # Errors
/// If the system cannot start a thread.
pub(crate) fn spawn_writer(
    mut outputs: Outputs,
    region: DefaultRegion,
    format: RowFormat,
    labels: Vec<String>,
) -> io::Result<WriterHandle> {
    let (chunks, mut receiver) = mpsc::channel::<Chunk<ParsedBatch>>(2);
    let outputs = thread::Builder::new().name("writer".into()).spawn(move || {
        let mut code_buffer = String::new();
        while let Some(chunk) = receiver.blocking_recv() {
            let parsed = &*chunk.payload;
            for (row, answer) in chunk.rows.zip(&chunk.answers) {
                if answer.is_kept {
                    let status = answer.outcome.status;
                    outputs.write_kept_row(&parsed.batch, row, status, &format, region)?;
                } else {
                    let buffer = &mut code_buffer;
                    outputs.write_answered_row(parsed, row, answer, &format, &labels, buffer)?;
                }
            }
            if receiver.is_empty() {
                outputs.all.flush()?;
            }
        }
        Ok(outputs)
    })?;
    Ok(WriterHandle { chunks, outputs })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::io::Cursor;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::outcome::Outcome;
    use crate::domain::shard::Shard;
    use crate::domain::totals::Totals;
    use crate::engine::io::reader::{ReaderError, parse_batch};
    use crate::engine::io::retry::RetryRules;
    use crate::engine::io::row_format::RowOptions;
    use crate::table::detect::columns::ColumnChoice;
    use crate::table::detect::layout::SourceOptions;
    use crate::table::raw::encoding::Encoding;
    use crate::table::source::Source;
    use crate::table::write::output::Target;
    use crate::table::write::sink::SinkOptions;

    /// How a table is passed through the reader and the writer.
    #[derive(Clone, Debug)]
    struct Case {
        encoding: Encoding,
        output_encoding: Option<Encoding>,
        has_answers: bool,
        shard: Option<Shard>,
    }

    /// Reads `text` and writes it with answers. One byte of row `lossy_row` is dropped in between.
    /// Returns the totals, and whether a byte was dropped.
    fn pass_through(text: &str, case: &Case, lossy_row: Option<usize>) -> (Totals, bool) {
        let mut bytes = case.encoding.bom().to_vec();
        case.encoding.encode(text, &mut bytes);
        let (shard, has_answers) = (case.shard, case.has_answers);
        let wanted = RowOptions { has_answers, shard, ..RowOptions::default() };
        let options = SourceOptions {
            columns: vec![ColumnChoice::Name("phone".to_owned())],
            encoding: Some(case.encoding),
            delimiter: Some(','),
            extra_columns: wanted.extra_columns(),
            has_answers,
            flexible: true,
            ..SourceOptions::default()
        };
        let mut source = Source::open(Box::new(Cursor::new(bytes)), &options, &|_| false).unwrap();
        let format = RowFormat::new(&wanted, &source).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let target = Target::File(directory.path().join("out.csv"));
        let style = SinkOptions { encoding: case.output_encoding, ..SinkOptions::default() };
        let outputs = Outputs {
            all: Sink::create(target, source.header(), style).unwrap(),
            failed: None,
            held_header: None,
            row_stats: RowStats::default(),
            unresolved: SharedUnresolved::default(),
        };
        let region = DefaultRegion::CHINA;
        let rules = NumberRules { default_region: region, strict: false };
        let writer = spawn_writer(outputs, region, format.clone(), vec![String::new()]).unwrap();
        let (mut totals, mut dropped) = (Totals::default(), false);
        loop {
            let batch = source.next_batch(3).map_err(ReaderError::from);
            let retry_rules = RetryRules::default();
            let retry_rules = has_answers.then_some(&retry_rules);
            let parsed = parse_batch(batch, rules, &format, retry_rules, None);
            let Some(mut rows) = parsed.unwrap() else { break };
            let first = usize::try_from(totals.rows_in).unwrap();
            let count = rows.payload.batch.len();
            totals.bytes_in += rows.source_bytes;
            totals.rows_in += count as u64;
            if let Some(row) = lossy_row.and_then(|row| row.checked_sub(first))
                && row < count
                && !rows.payload.batch.content(row).is_empty()
            {
                rows.payload.batch.drop_content_byte(row);
                dropped = true;
            }
            let answer = |row: usize| {
                if has_answers && (first + row).is_multiple_of(2) {
                    Answer::for_kept_row(Status::Failed)
                } else {
                    Answer::new(0, Arc::new(Outcome::without_user(Status::NotFound, None, "gone")))
                }
            };
            let answers: Vec<_> = (0..count).map(answer).collect();
            for answer in &answers {
                totals.count_row(answer.outcome.status);
            }
            let chunk = Chunk { payload: Arc::new(rows.payload), rows: 0..count, answers };
            if writer.chunks.blocking_send(chunk).is_err() {
                break;
            }
        }
        drop(writer.chunks);
        match writer.outputs.join().unwrap() {
            Ok(outputs) => totals.bytes_out = outputs.row_bytes(),
            // The writer itself noticed: cells and bytes of an edited row do not fit.
            Err(error) => assert!(dropped && matches!(error, SinkError::Bug { .. }), "{error}"),
        }
        (totals, dropped)
    }

    fn any_case() -> impl Strategy<Value = Case> {
        let encoding = || proptest::sample::select(Encoding::ALL.to_vec());
        let shard = proptest::sample::select(vec![None, Some(Shard::parse("1/2", None).unwrap())]);
        (encoding(), proptest::option::of(encoding()), any::<bool>(), shard).prop_map(
            |(encoding, output_encoding, has_answers, shard)| Case {
                encoding,
                output_encoding,
                has_answers,
                shard: shard.filter(|_| !has_answers),
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Quotes, blank lines, short and long rows, edited and kept rows, shards, any encoding.
        #[test]
        fn a_lost_byte_of_a_row_makes_the_totals_differ(
            rows in proptest::collection::vec(
                ("(\"a,\"\"\n\"|x|é手)?", 0..9usize, "\r\n|\n|\n\n"),
                1..12,
            ),
            case in any_case(),
            lossy_row in 0..12usize,
        ) {
            let mut text = "name,phone".to_owned();
            if case.has_answers {
                text.push_str(",userid,exclusive_userids,status,errcode,errmsg");
            }
            text.push('\n');
            for (name, number, end) in &rows {
                text.push_str(name);
                if case.has_answers {
                    write!(text, ",1380013800{number},,,failed,,{name}").unwrap();
                } else {
                    // A row without the number, a complete row, and a longer one.
                    text.push_str(&format!(",1380013800{number}").repeat(number % 3));
                }
                text.push_str(end);
            }
            let (totals, _) = pass_through(&text, &case, None);
            prop_assert_eq!(totals.check(), Ok(()));
            let (totals, dropped) = pass_through(&text, &case, Some(lossy_row));
            prop_assert_eq!(totals.check().is_err(), dropped);
        }
    }
}
