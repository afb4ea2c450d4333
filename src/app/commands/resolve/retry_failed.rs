//! `resolve --retry-failed`: what a table that has answers already leaves to be asked, before anything is done. Leaves which
//! rows those are to `engine::manner`, and asking to `resolve`.

use std::path::Path;

use tr::tr;

use crate::app::cli::args::ResolveArgs;
use crate::app::exit::{Exit, Failure};
use crate::domain::number::mobile::DefaultRegion;
use crate::domain::outcome::Status;
use crate::domain::row_stats::RowStats;
use crate::domain::totals::Totals;
use crate::engine::io::reader::{self, ReaderError};
use crate::engine::io::row_format::{MissingColumn, RowFormat, RowOptions};
use crate::engine::io::unresolved::{SharedUnresolved, UnresolvedRows};
use crate::engine::io::writer;
use crate::table::detect::columns::EXPECTED_COLUMN;
use crate::table::prescan::Prescan;
use crate::table::source::Source;

/// What a table that has answers already comes to before anything is asked.
#[derive(Debug, Default)]
pub(crate) struct ResolvedScan {
    /// Its rows; those that are to be asked count as failed.
    pub totals: Totals,
    /// What the rows that keep their answers have in common.
    pub row_stats: RowStats,
    /// Those of them that have no user id.
    pub unresolved: UnresolvedRows,
}

impl ResolvedScan {
    /// How many rows are to be asked.
    #[must_use]
    pub(crate) fn rows_to_retry(&self) -> u64 {
        self.totals.rows_in - self.totals.rows_kept
    }
}

/// Reads a table to its end: what it holds, and what became of its rows so far. `home` is the region of numbers without
/// a country code.
///
/// # Errors
/// [`FeedError`] for the first row that cannot be read or has no status.
pub(crate) fn scan_resolved(
    mut source: Source,
    home: DefaultRegion,
    manner: &RowFormat,
) -> Result<(Prescan, ResolvedScan), ReaderError> {
    let (mut survey, mut settled, misses) =
        (Prescan { rows: 0, bytes: 0 }, ResolvedScan::default(), SharedUnresolved::default());
    while let Some(batch) = source.next_batch(usize::MAX)? {
        survey.rows += batch.len() as u64;
        survey.bytes += batch.byte_len() as u64;
        for row in 0..batch.len() {
            let kept = reader::earlier_status(manner, &batch, row)?
                .filter(|status| !status.is_retryable());
            settled.totals.rows_in += 1;
            settled.totals.count_row(kept.unwrap_or(Status::Failed));
            if let Some(status) = kept {
                settled.totals.rows_kept += 1;
                writer::count_kept_row(
                    manner,
                    home,
                    &batch,
                    row,
                    status,
                    &mut settled.row_stats,
                    &misses,
                );
            }
        }
    }
    settled.unresolved = misses.take();
    Ok((survey, settled))
}

/// What to say where the answers have a column `expected` behind them and `--expect` was not given again.
#[must_use]
pub(crate) fn uncompared_warning(wanted: &RowOptions, source: &Source) -> Option<String> {
    let there = wanted.has_answers
        && wanted.expected_column.is_none()
        && source.appended_column(EXPECTED_COLUMN).is_some();
    there.then(|| {
        tr!(
            "the column {column} stays as it is, also in the rows that are asked now: give --expect COLUMN to compare them too",
            column = EXPECTED_COLUMN
        )
    })
}

/// What to say of a file that is to be rewritten in place and has nothing to ask: it stays as it is.
#[must_use]
pub(crate) fn nothing_to_retry(report: &Totals, input: &Path) -> String {
    let (input, rows) = (input.display(), report.rows_in);
    tr!(
        "{input}: nothing to retry: its only row has a definitive answer; the file stays as it is"
            | "{input}: nothing to retry: all {n} rows have definitive answers; the file stays as it is"
                % rows,
        input
    )
}

/// Whether the same flags read what they had written: what is advised for rows that failed is the same command, with its output
/// for its input.
#[must_use]
pub(crate) fn can_reread_output(args: &ResolveArgs) -> bool {
    let reading = &args.reader;
    // It takes no --shard, its input is no workbook, has the encoding that was chosen for it, and its rows have to be as long as the header.
    let named_anew = reading.encoding.is_some() && args.output_encoding.is_some();
    args.sharding.shard.is_none() && reading.sheet.is_none() && !reading.flexible && !named_anew
}

/// What to tell where a column is wanted that the answers have not.
#[must_use]
pub(crate) fn missing_column_failure(input: &str, MissingColumn(column): MissingColumn) -> Failure {
    let text = tr!(
        "{input} has no column {column} behind its answers, and --retry-failed adds none: leave --show-sent out",
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
                    138,u1,u1,,found,0,ok,match\n139,u2,,,not_found,60121,none,missing\n\
                    137,u3,,,failed,-1,busy,\n136,u4,,,pending,,a limit,\n";
        let wanted = RowOptions {
            has_answers: true,
            expected_column: Some("id".parse().unwrap()),
            ..RowOptions::default()
        };
        let options = SourceOptions {
            has_answers: true,
            extra_columns: wanted.extra_columns(),
            ..SourceOptions::default()
        };
        let source =
            Source::open(Box::new(Cursor::new(text)), &options, &|cell| cell.len() == 3).unwrap();
        let manner = RowFormat::new(&wanted, &source).unwrap();
        let (survey, settled) = scan_resolved(source, DefaultRegion::CHINA, &manner).unwrap();
        assert_eq!((survey.rows, settled.totals.rows_in, settled.totals.rows_kept), (4, 4, 2));
        // What is called is what is open: the crowd at the full hour is told by that.
        assert_eq!(settled.rows_to_retry(), 2);
        assert_eq!(Expected::ALL.map(|word| settled.row_stats.expected(word)), [1, 0, 1]);
        let misses = settled.unresolved.with_status(Status::NotFound);
        assert_eq!((misses.count, misses.rows[0].line, &*misses.rows[0].code), (1, 3, "60121"));
        assert_eq!(settled.unresolved.with_status(Status::Failed).count, 0);
    }
}
