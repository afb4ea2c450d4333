//! `resolve --retry-failed`: scans a resolved table for the rows that are called again.

use std::path::Path;

use tr::tr;

use crate::app::cli::args::ResolveArgs;
use crate::app::exit::{Exit, Failure};
use crate::domain::number::mobile::DefaultRegion;
use crate::domain::outcome::Status;
use crate::domain::rounded_id::IdSurvey;
use crate::domain::row_stats::RowStats;
use crate::domain::totals::Totals;
use crate::engine::io::reader::{self, ReaderError};
use crate::engine::io::row_format::{MissingColumn, RowFormat, RowOptions};
use crate::engine::io::unresolved::{SharedUnresolved, UnresolvedRows};
use crate::engine::io::writer;
use crate::table::detect::columns::EXPECTED_COLUMN;
use crate::table::prescan::Prescan;
use crate::table::source::{Source, SourceError};

/// The answers of a resolved table.
#[derive(Debug, Default)]
pub(crate) struct ResolvedScan {
    /// Rows that are called again count as failed.
    pub totals: Totals,
    /// Of the rows that keep their answers.
    pub row_stats: RowStats,
    /// What the user ids of the table are like.
    pub user_ids: IdSurvey,
    /// Rows that are asked again because a spreadsheet rounded their user id.
    pub rounded_rows: u64,
    /// The rows that keep their answers and have no user id.
    pub unresolved: UnresolvedRows,
}

impl ResolvedScan {
    #[must_use]
    pub(crate) fn rows_to_retry(&self) -> u64 {
        self.totals.rows_in - self.totals.rows_kept
    }
}

/// Reads the user ids of a resolved table. Only all of them say whether a spreadsheet rounded them.
///
/// # Errors
/// [`SourceError`] for the first row that cannot be read.
pub(crate) fn survey_user_ids(
    mut source: Source,
    format: &RowFormat,
) -> Result<IdSurvey, SourceError> {
    let mut survey = IdSurvey::default();
    while let Some(batch) = source.next_batch(usize::MAX)? {
        (0..batch.len()).for_each(|row| format.survey_user_ids(&batch, row, &mut survey));
    }
    Ok(survey)
}

/// Reads a resolved table to its end. `region` is that of numbers without a country code.
///
/// # Errors
/// [`ReaderError`] for the first row that cannot be read or has no status.
pub(crate) fn scan_resolved(
    mut source: Source,
    region: DefaultRegion,
    format: &RowFormat,
) -> Result<(Prescan, ResolvedScan), ReaderError> {
    let (mut prescan, mut scan, unresolved) =
        (Prescan { rows: 0, bytes: 0 }, ResolvedScan::default(), SharedUnresolved::default());
    while let Some(batch) = source.next_batch(usize::MAX)? {
        prescan.rows += batch.len() as u64;
        prescan.bytes += batch.byte_len() as u64;
        for row in 0..batch.len() {
            let kept = reader::earlier_status(format, &batch, row)?
                .filter(|status| !status.is_retryable());
            scan.totals.rows_in += 1;
            scan.rounded_rows += u64::from(format.is_asked_for_rounded_id(&batch, row));
            scan.totals.count_row(kept.unwrap_or(Status::Failed));
            if let Some(status) = kept {
                scan.totals.rows_kept += 1;
                writer::count_kept_row(
                    format,
                    region,
                    &batch,
                    row,
                    status,
                    &mut scan.row_stats,
                    &unresolved,
                );
            }
        }
    }
    scan.unresolved = unresolved.take();
    Ok((prescan, scan))
}

/// The warning if the table has a column `expected` and `--expect` is not given.
#[must_use]
pub(crate) fn uncompared_warning(options: &RowOptions, source: &Source) -> Option<String> {
    let is_uncompared = options.has_answers
        && options.expected_column.is_none()
        && source.appended_column(EXPECTED_COLUMN).is_some();
    is_uncompared.then(|| {
        tr!(
            "the column {column} stays as it is, even in rows that are asked again: use --expect \
             COLUMN to compare them too",
            column = EXPECTED_COLUMN
        )
    })
}

/// The warning if a spreadsheet rounded user ids of the table.
#[must_use]
pub(crate) fn rounded_ids_warning(scan: &ResolvedScan) -> Option<String> {
    (scan.rounded_rows > 0).then(|| {
        tr!("in {n} row, a spreadsheet rounded the user id when it saved the file; the row is \
             asked again"
            | "in {n} rows, a spreadsheet rounded the user id when it saved the file; the rows \
                   are asked again"
                % scan.rounded_rows)
    })
}

#[must_use]
pub(crate) fn nothing_to_retry(totals: &Totals, input: &Path) -> String {
    let (input, rows) = (input.display(), totals.rows_in);
    tr!(
        "{input}: nothing to retry: its only row has a definitive answer; the file stays as it is"
            | "{input}: nothing to retry: all {n} rows have definitive answers; the file stays as \
               it is"
                % rows,
        input
    )
}

/// Whether the same flags can read the output: the hint for failed rows is the same command with
/// its output as the input.
#[must_use]
pub(crate) fn can_reread_output(args: &ResolveArgs) -> bool {
    let reader = &args.reader;
    // --retry-failed takes no --shard, no workbook, and no row longer than the header; --encoding
    // names the encoding of the input, and the output may have another.
    let is_recoded = reader.encoding.is_some() && args.output_encoding.is_some();
    args.sharding.shard.is_none() && reader.sheet.is_none() && !reader.flexible && !is_recoded
}

#[must_use]
pub(crate) fn missing_column_failure(input: &str, MissingColumn(column): MissingColumn) -> Failure {
    let text = tr!(
        "{input} has no column {column} after its answers, and --retry-failed adds none: omit \
         --show-sent",
        input,
        column
    );
    Failure::with_message(Exit::Usage, text)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::domain::expected::Expected;
    use crate::table::detect::layout::SourceOptions;

    #[test]
    fn kept_rows_are_counted_like_resolved_rows() {
        let text = "tel,id,userid,exclusive_userids,status,errcode,errmsg,expected\n\
                    138,u1,u1,,found,0,ok,match\n139,u2,4.7E+15,,not_found,60121,none,missing\n\
                    137,u3,,,failed,-1,busy,\n136,u4,,,pending,,a limit,\n\
                    135,u5,4.68626E+15,,found,0,ok,\n134,u6,u6,u7;1E+15,found,0,ok,\n";
        let options = RowOptions {
            has_answers: true,
            expected_column: Some("id".parse().unwrap()),
            ..RowOptions::default()
        };
        let source_options = SourceOptions {
            has_answers: true,
            extra_columns: options.extra_columns(),
            ..SourceOptions::default()
        };
        let source =
            Source::open(Box::new(Cursor::new(text)), &source_options, &|cell| cell.len() == 3)
                .unwrap();
        let format = RowFormat::new(&options, &source).unwrap();
        let (prescan, scan) = scan_resolved(source, DefaultRegion::CHINA, &format).unwrap();
        assert_eq!((prescan.rows, scan.totals.rows_in, scan.totals.rows_kept), (6, 6, 2));
        assert_eq!((scan.rows_to_retry(), scan.rounded_rows), (4, 2));
        assert_eq!(Expected::ALL.map(|result| scan.row_stats.expected(result)), [1, 0, 0, 1]);
        let not_found = scan.unresolved.with_status(Status::NotFound);
        let first = &not_found.rows[0];
        assert_eq!((not_found.count, first.line, &*first.code), (1, 3, "60121"));
        assert_eq!(scan.unresolved.with_status(Status::Failed).count, 0);
    }
}
