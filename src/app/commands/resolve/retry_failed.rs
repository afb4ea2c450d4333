//! `resolve --retry-failed`: what a table that has answers already leaves to be asked, before anything is done. Leaves which
//! rows those are to `engine::manner`, and asking to `resolve`.

use std::path::Path;

use tr::tr;

use crate::app::cli::args::Resolve;
use crate::app::exit::{Exit, Failure};
use crate::domain::number::mobile::Home;
use crate::domain::outcome::Status;
use crate::domain::row_stats::Findings;
use crate::domain::totals::Report;
use crate::engine::io::feed::{self, FeedError};
use crate::engine::io::row_format::{Lacking, Manner, Wanted};
use crate::engine::io::unresolved::{Basket, Misses};
use crate::table::detect::columns::EXPECTED;
use crate::table::prescan::Survey;
use crate::table::source::Source;

/// What a table that has answers already comes to before anything is asked.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Its rows; those that are to be asked count as failed.
    pub report: Report,
    /// What the rows that keep their answers have in common.
    pub findings: Findings,
    /// Those of them that have no user id.
    pub misses: Misses,
}

impl Settled {
    /// How many rows are to be asked.
    #[must_use]
    pub(crate) fn open(&self) -> u64 {
        self.report.rows_in - self.report.kept
    }
}

/// Reads a table to its end: what it holds, and what became of its rows so far. `home` is the region of numbers without
/// a country code.
///
/// # Errors
/// [`FeedError`] for the first row that cannot be read or has no status.
pub(crate) fn count(
    mut source: Source,
    home: Home,
    manner: &Manner,
) -> Result<(Survey, Settled), FeedError> {
    let (mut survey, mut settled, misses) =
        (Survey { rows: 0, bytes: 0 }, Settled::default(), Basket::default());
    while let Some(batch) = source.next_batch(usize::MAX)? {
        survey.rows += batch.len() as u64;
        survey.bytes += batch.size() as u64;
        for row in 0..batch.len() {
            let kept =
                feed::came_with(manner, &batch, row)?.filter(|status| !status.may_yet_succeed());
            settled.report.rows_in += 1;
            settled.report.count(kept.unwrap_or(Status::Failed));
            if let Some(status) = kept {
                settled.report.kept += 1;
                feed::note_earlier(
                    manner,
                    home,
                    &batch,
                    row,
                    status,
                    &mut settled.findings,
                    &misses,
                );
            }
        }
    }
    settled.misses = misses.take();
    Ok((survey, settled))
}

/// What to say where the answers have a column `expected` behind them and `--expect` was not given again.
#[must_use]
pub(crate) fn uncompared(wanted: &Wanted, source: &Source) -> Option<String> {
    let there = wanted.again && wanted.expect.is_none() && source.appended(EXPECTED).is_some();
    there.then(|| {
        tr!(
            "the column {column} stays as it is, also in the rows that are asked now: give --expect COLUMN to compare them too",
            column = EXPECTED
        )
    })
}

/// What to say of a file that is to be rewritten in place and has nothing to ask: it stays as it is.
#[must_use]
pub(crate) fn nothing(report: &Report, input: &Path) -> String {
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
pub(crate) fn reads_alike(args: &Resolve) -> bool {
    let reading = &args.reading;
    // It takes no --shard, its input is no workbook, has the encoding that was chosen for it, and its rows have to be as long as the header.
    let named_anew = reading.encoding.is_some() && args.output_encoding.is_some();
    args.part.shard.is_none() && reading.sheet.is_none() && !reading.flexible && !named_anew
}

/// What to tell where a column is wanted that the answers have not.
#[must_use]
pub(crate) fn lacking(input: &str, Lacking(column): Lacking) -> Failure {
    let text = tr!(
        "{input} has no column {column} behind its answers, and --retry-failed adds none: leave --show-sent out",
        input,
        column
    );
    Failure::new(Exit::Usage, text)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::domain::expected::Expected;
    use crate::table::detect::layout::Options;

    #[test]
    fn rows_that_keep_their_answers_are_counted_as_a_run_counts_them() {
        let text = "tel,id,userid,exclusive_userids,status,errcode,errmsg,expected\n\
                    138,u1,u1,,found,0,ok,match\n139,u2,,,not_found,60121,none,missing\n\
                    137,u3,,,failed,-1,busy,\n136,u4,,,pending,,a limit,\n";
        let wanted =
            Wanted { again: true, expect: Some("id".parse().unwrap()), ..Wanted::default() };
        let options = Options { resolved: true, beside: wanted.beside(), ..Options::default() };
        let source =
            Source::open(Box::new(Cursor::new(text)), &options, &|cell| cell.len() == 3).unwrap();
        let manner = Manner::of(&wanted, &source).unwrap();
        let (survey, settled) = count(source, Home::CHINA, &manner).unwrap();
        assert_eq!((survey.rows, settled.report.rows_in, settled.report.kept), (4, 4, 2));
        // What is called is what is open: the crowd at the full hour is told by that.
        assert_eq!(settled.open(), 2);
        assert_eq!(Expected::ALL.map(|word| settled.findings.expected(word)), [1, 0, 1]);
        let misses = settled.misses.of(Status::NotFound);
        assert_eq!((misses.count, misses.rows[0].line, &*misses.rows[0].code), (1, 3, "60121"));
        assert_eq!(settled.misses.of(Status::Failed).count, 0);
    }
}
