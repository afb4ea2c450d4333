//! The first and the last message of a run: what was detected in the input, and the summary.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use tr::tr;

use crate::app::cli::paths::OutputTargets;
use crate::app::exit::format_duration;
use crate::app::report::hints::Hint;
use crate::app::report::unresolved_list::list_unresolved;
use crate::domain::expected::Expected;
use crate::domain::number::invalid::InvalidKind;
use crate::domain::outcome::Status;
use crate::domain::redact::{self, sanitize};
use crate::domain::row_stats::RowStats;
use crate::domain::shard::Shard;
use crate::domain::status_text::meaning;
use crate::domain::totals::{RetryCause, Totals};
use crate::domain::verdict::Limit;
use crate::engine::io::unresolved::UnresolvedRows;
use crate::store::disk::writer::WriteError;
use crate::table::detect::columns::Column;
use crate::table::detect::country_reading::NumberCountries;
use crate::table::detect::dialect::Dialect;
use crate::table::detect::encoding::EncodingReason;
use crate::table::detect::header_row::FirstRow;
use crate::table::detect::preamble::{self, TitleLines};
use crate::table::source::Source;
use crate::table::write::output::Target;

#[must_use]
pub(crate) fn input_name(input: &Path) -> String {
    if input == Path::new("-") { tr!("standard input") } else { input.display().to_string() }
}

/// The first message of a run. `title` names the input and its container; `total` is the number of
/// rows that the run takes.
#[must_use]
pub(crate) fn describe_input(
    title: &str,
    source: &Source,
    shard: Option<Shard>,
    total: Option<u64>,
) -> String {
    let dialect = source.dialect();
    // A sheet is read as CSV, but nobody sees that text.
    let is_text = source.row_numbers().sheet().is_none();
    let encoding = is_text.then(|| describe_encoding(*dialect));
    let delimiter = is_text.then(|| describe_delimiter(dialect.delimiter));
    let read = [
        shard.map(|shard| tr!("shard {shard}", shard)),
        total.map(|total| {
            if total == 0 && shard.is_none() {
                tr!("no rows below the header")
            } else {
                tr!("{n} row" | "{n} rows" % total)
            }
        }),
        encoding,
        delimiter,
        Some(if dialect.has_headers { tr!("a header") } else { tr!("no header") }),
        match source.titles() {
            TitleLines::Skipped(lines) => Some(tr!("{n} title line above the header skipped"
                | "{n} title lines above the header skipped" % lines)),
            _ => None,
        },
    ];
    let read: Vec<_> = read.into_iter().flatten().collect();
    let column = |(column, countries): (&Column, &NumberCountries)| {
        let (position, reason) = (column.index + 1, &column.reason);
        let text = match column.name.as_deref().map(sanitize) {
            Some(name) => tr!("column {position} ({name}): {reason}", position, name, reason),
            None => tr!("column {position}: {reason}", position, reason),
        };
        let suspected = countries.suspected();
        let Some(country) = countries.certain.as_ref().or(suspected) else { return text };
        let position = country.index + 1;
        match country.name.as_deref().map(sanitize) {
            Some(name) if suspected.is_some() => tr!(
                "{text}; column {position} ({name}) may hold the countries of these numbers; if it \
                 does, add --country-column {position}, otherwise --country-column none",
                text,
                position,
                name
            ),
            None if suspected.is_some() => tr!(
                "{text}; column {position} may hold the countries of these numbers; if it does, \
                 add --country-column {position}, otherwise --country-column none",
                text,
                position
            ),
            Some(name) => {
                tr!("{text}; their countries in column {position} ({name})", text, position, name)
            }
            None => tr!("{text}; their countries in column {position}", text, position),
        }
    };
    let columns: Vec<String> =
        source.columns().iter().zip(source.country_columns()).map(column).collect();
    let suspected_header = source.titles().suspected_header(source.row_numbers());
    tr!(
        "{title}: {read}; numbers in {columns}{hint}",
        title,
        read = read.join(&tr!(", ")),
        columns = columns.join(&tr!(", then ")),
        hint = first_row_hint(source) + &preamble::title_hint(suspected_header.as_ref())
    )
}

fn describe_encoding(dialect: Dialect) -> String {
    let (encoding, why) = (dialect.encoding, &dialect.encoding_reason);
    match (dialect.has_bom, why) {
        (true, EncodingReason::Bom) => tr!("{encoding} with byte order mark", encoding),
        (true, _) => tr!("{encoding} with byte order mark ({why})", encoding, why),
        (false, _) => tr!("{encoding} ({why})", encoding, why),
    }
}

fn describe_delimiter(delimiter: char) -> String {
    match delimiter {
        ',' => tr!("commas"),
        ';' => tr!("semicolons"),
        '\t' => tr!("tabs"),
        '，' => tr!("full-width commas"),
        '；' => tr!("full-width semicolons"),
        other => format!("{other:?}"),
    }
}

/// The maximum number of column names in a message.
const MAX_NAMES: usize = 5;

/// What to do if the first row was taken for the wrong thing; otherwise empty.
fn first_row_hint(source: &Source) -> String {
    match source.first_row_kind() {
        FirstRow::Header | FirstRow::Row => String::new(),
        FirstRow::LikelyHeader => {
            let names = source.header().first_row.iter();
            let names: Vec<_> =
                names.filter_map(|name| redact::column_name(name)).take(MAX_NAMES).collect();
            tr!(
                "; the first row ({names}) was read as the header: if it is about a person, add \
                 --no-headers",
                names = names.join(&tr!("list" => ", "))
            )
        }
        FirstRow::LikelyRow => tr!(
            "; the first row has no number and was not read as the header: if it has the names of \
             the columns, name the one of the numbers with --column"
        ),
    }
}

/// The last message of a run: counts, calls, the result of `--expect`, hints, and where the output
/// is.
#[must_use]
pub(crate) fn describe_run(
    totals: &Totals,
    elapsed: Duration,
    targets: &OutputTargets,
    (row_stats, unresolved): (&RowStats, &UnresolvedRows),
    is_compared: bool,
    hints: &[Hint],
) -> String {
    let numbers = tr!("{n} distinct number" | "{n} distinct numbers" % totals.numbers_asked);
    let calls = format_calls(totals);
    let asked = if totals.retries() > 0 {
        tr!(
            "{numbers} asked with {calls} ({n} retry)"
                | "{numbers} asked with {calls} ({n} retries)" % totals.retries(),
            numbers,
            calls
        )
    } else {
        tr!("{numbers} asked with {calls}", numbers, calls)
    };
    let mut done = vec![asked];
    if totals.rows_shared > 0 {
        done.push(tr!(
            "{n} row shared an answer" | "{n} rows shared an answer" % totals.rows_shared
        ));
    }
    if totals.rows_known > 0 {
        done.push(tr!("{n} row already known" | "{n} rows already known" % totals.rows_known));
    }
    if totals.rows_kept > 0 {
        done.push(tr!("{n} row kept as it was" | "{n} rows kept as they were" % totals.rows_kept));
    }
    let rows = tr!("{n} row" | "{n} rows" % totals.rows_in);
    let mut text = tr!(
        "{rows} in {time}: {done}",
        rows,
        time = format_elapsed(elapsed),
        done = done.join(&tr!(", "))
    );
    for status in Status::ALL {
        let rows = totals.rows(status);
        if rows > 0 {
            // The name of this status says everything.
            let meaning = if status == Status::Found { String::new() } else { meaning(status) };
            let line = format!("  {:<13}{rows:>9}  {meaning}", status.name());
            // Writing to a string cannot fail.
            let _ = write!(text, "\n{}", line.trim_end());
        }
    }
    let non_persons = row_stats.invalid(InvalidKind::NonPerson);
    if non_persons > 0 {
        let line = tr!(
            "{n} invalid row is not about a person: a total, a signature, a page number or a header"
                | "{n} invalid rows are not about a person: totals, signatures, page numbers or \
                   headers"
                    % non_persons
        );
        let _ = write!(text, "\n  {line}");
    }
    text.push_str(&list_unresolved(unresolved));
    if is_compared {
        text.push('\n');
        text.push_str(&describe_expected(row_stats, totals.rows_out));
    }
    text.push_str(&describe_calls(totals));
    append_hints(&mut text, hints);
    let _ = write!(text, "\n{}", tr!("written to {place}", place = targets.output));
    if let Some(failed) = &targets.failed {
        let rows: u64 = Status::ALL
            .into_iter()
            .filter(|status| status.is_retryable())
            .map(|status| totals.rows(status))
            .sum();
        let retry = tr!(
            "{n} row to retry written to {place}" | "{n} rows to retry written to {place}" % rows,
            place = failed
        );
        let _ = write!(text, "\n{retry}");
    }
    text
}

/// The warning if the state has no record of the output, by which the next run would know it.
#[must_use]
pub(crate) fn unrecorded_output_warning(output: &Path, cause: &WriteError) -> String {
    tr!(
        "{output} is written, but the state file could not record that: {cause}. The next run \
         without --output will keep it as an edited file beside its own",
        output = output.display(),
        cause
    )
}

/// Says where an edited file is kept that an output replaced.
#[must_use]
pub(crate) fn kept_file_message(output: &Target, kept_as: &Path) -> String {
    tr!(
        "the earlier {output} may have been edited, so it is kept as {kept_as}; to replace a file \
         without a copy, name it with --output",
        output,
        kept_as = kept_as.display()
    )
}

/// Rows without an id on file or without a definitive answer are not compared.
#[must_use]
pub(crate) fn describe_expected(row_stats: &RowStats, rows: u64) -> String {
    let [alike, other, rounded, missing] = Expected::ALL.map(|word| row_stats.expected(word));
    let rest = rows.saturating_sub(alike + other + rounded + missing);
    let mut text = tr!(
        "expected: match {alike}, mismatch {other}, rounded {rounded}, missing {missing}; not \
         compared {rest}",
        alike,
        other,
        rounded,
        missing,
        rest
    );
    if rounded > 0 {
        text.push('\n');
        text.push_str(&tr!(
            "rounded: a spreadsheet took the expected ids for numbers when it saved the file; take \
             the file as it was before, and compare again"
        ));
    }
    text
}

/// Calls by kind, retries by cause, latency and pauses: lines that each start with a line end.
/// Empty if there was no call.
fn describe_calls(totals: &Totals) -> String {
    if totals.calls == 0 && totals.token_calls == 0 {
        return String::new();
    }
    let causes = RetryCause::ALL.map(|cause| (totals.retries_for(cause), cause));
    let causes: Vec<_> = causes
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, cause)| describe_retries(cause, count))
        .collect();
    let lookups = tr!("{n} lookup" | "{n} lookups" % totals.calls);
    let tokens = tr!("{n} token call" | "{n} token calls" % totals.token_calls);
    let mut text = "\n".to_owned();
    text.push_str(&if causes.is_empty() {
        tr!("calls: {lookups}, {tokens}", lookups, tokens)
    } else {
        let causes = causes.join(&tr!(", "));
        tr!("calls: {lookups} (retried: {causes}), {tokens}", lookups, causes, tokens)
    });
    let quantile = |share| totals.latency.quantile(share).map(format_latency);
    if let (Some(p50), Some(p95), Some(p99)) = (quantile(0.5), quantile(0.95), quantile(0.99)) {
        text.push('\n');
        text.push_str(&tr!("replies: p50 {p50}, p95 {p95}, p99 {p99}", p50, p95, p99));
    }
    if totals.pauses() > 0 {
        let time = format_elapsed(totals.pause_time());
        let is_throttling = |limit: Limit| !matches!(limit, Limit::Shared | Limit::Machine);
        let all = if Limit::ALL
            .into_iter()
            .any(|limit| !is_throttling(limit) && totals.pauses_by_limit[limit as usize] > 0)
        {
            tr!(
                "paused: {n} time, {time} in total"
                    | "paused: {n} times, {time} in total" % totals.pauses(),
                time
            )
        } else {
            tr!(
                "paused by throttling: {n} time, {time} in total"
                    | "paused by throttling: {n} times, {time} in total" % totals.pauses(),
                time
            )
        };
        let by_cause = describe_pauses(totals);
        text.push('\n');
        text.push_str(&if by_cause.is_empty() {
            all
        } else {
            tr!("{all}: {causes}", all, causes = by_cause)
        });
    }
    text
}

fn format_calls(totals: &Totals) -> String {
    tr!("{n} call" | "{n} calls" % totals.calls)
}

fn describe_retries(cause: RetryCause, count: u64) -> String {
    match cause {
        RetryCause::Transient => tr!("{count} after a transient error", count),
        RetryCause::Connection => tr!("{count} after a connection error", count),
        RetryCause::Machine => tr!("{count} after a failure of this machine", count),
        RetryCause::UnexpectedReply => {
            tr!("{count} after an unexpected reply", count)
        }
        RetryCause::Throttled => tr!("{count} after throttling", count),
        RetryCause::TokenRejected => tr!("{count} with a new token", count),
        RetryCause::UnknownCode => tr!("{count} after an unknown code", count),
    }
}

/// The pauses by limit.
fn describe_pauses(totals: &Totals) -> String {
    let by_cause = Limit::ALL
        .into_iter()
        .zip(totals.pause_time_by_limit)
        .filter(|(_, paused)| !paused.is_zero());
    let parts: Vec<_> =
        by_cause.map(|(limit, paused)| format!("{limit} {}", format_elapsed(paused))).collect();
    parts.join(&tr!(", "))
}

/// In milliseconds, from 1 s on in seconds.
#[must_use]
pub(crate) fn format_latency(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    match millis {
        ..10.0 => tr!("{millis} ms", millis = format_args!("{millis:.1}")),
        ..1000.0 => tr!("{millis} ms", millis = format_args!("{millis:.0}")),
        _ => tr!("{seconds} s", seconds = format_args!("{:.1}", time.as_secs_f64())),
    }
}

#[must_use]
pub(crate) fn unencodable_warning(characters: u64) -> Option<String> {
    (characters > 0).then(|| {
        tr!("{n} character of the input could not be written in the output's encoding and \
             became ?; choose another --output-encoding, such as UTF-8, to keep them"
            | "{n} characters of the input could not be written in the output's encoding and \
               became ?; choose another --output-encoding, such as UTF-8, to keep them"
                % characters)
    })
}

#[must_use]
pub(crate) fn cut_cells_warning(cells: u64) -> Option<String> {
    (cells > 0).then(|| {
        tr!(
            "the text of {n} new cell is longer than the 32767 characters of a workbook's cell and \
             was cut; write CSV with --output NAME.csv to have all of it"
                | "the texts of {n} new cells are longer than the 32767 characters of a workbook's \
               cell and were cut; write CSV with --output NAME.csv to have all of them"
                    % cells
        )
    })
}

#[must_use]
pub(crate) fn unread_input_warning(rows: u64) -> String {
    tr!("the input was not read to its end: only its first row is in the output; run again with \
         the whole input for the others"
        | "the input was not read to its end: only its first {n} rows are in the output; run \
           again with the whole input for the others"
            % rows)
}

/// The last message of a run that wrote no output. Its calls count against the quota all the same.
#[must_use]
pub(crate) fn describe_aborted_run(totals: &Totals, elapsed: Duration, hints: &[Hint]) -> String {
    let mut text = tr!(
        "stopped after {time} and {calls}",
        time = format_elapsed(elapsed),
        calls = format_calls(totals)
    );
    text.push_str(&describe_calls(totals));
    append_hints(&mut text, hints);
    text
}

fn append_hints(text: &mut String, hints: &[Hint]) {
    for hints in hints {
        text.push('\n');
        text.push_str(&hints.message());
    }
}

/// In seconds, with one decimal.
fn format_seconds(duration: Duration) -> String {
    format!("{:.1}{}", duration.as_secs_f64(), tr!("duration" => "s"))
}

/// With one decimal below a minute, in whole seconds above.
#[must_use]
pub(crate) fn format_elapsed(duration: Duration) -> String {
    if duration < Duration::from_mins(1) {
        format_seconds(duration)
    } else {
        format_duration(Duration::from_secs(duration.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::write::format::TableFormat;
    use crate::table::write::output::Target;

    fn targets() -> OutputTargets {
        OutputTargets {
            output: Target::Stdout,
            output_format: TableFormat::Text,
            failed: Some(Target::File("failed.csv".into())),
            failed_format: TableFormat::Text,
            summary: None,
            metrics: None,
            report: None,
        }
    }

    #[test]
    fn the_summary_has_only_lines_that_apply() {
        let mut totals = Totals::default();
        (
            totals.rows_in,
            totals.numbers_asked,
            totals.rows_shared,
            totals.calls,
            totals.token_calls,
        ) = (3, 2, 1, 4, 1);
        totals.count_retry(RetryCause::Transient);
        totals.count_retry(RetryCause::TokenRejected);
        for millis in [1, 2, 3, 1500] {
            totals.latency.record(Duration::from_millis(millis));
        }
        totals.count_row(Status::Found);
        totals.count_row(Status::Found);
        totals.count_row(Status::OutOfScope);
        let hints = [Hint::OutOfScope { rows: 1 }];
        let mut row_stats = RowStats::default();
        row_stats.count_expected(Expected::Mismatch);
        totals.rows_out = 3;
        let text = describe_run(
            &totals,
            Duration::from_millis(1234),
            &targets(),
            (&row_stats, &UnresolvedRows::default()),
            true,
            &hints,
        );
        assert!(
            text.starts_with(
                "3 rows in 1.2s: 2 distinct numbers asked with 4 calls (2 retries), 1 row shared \
                 an answer\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("\n  found                2") && text.contains("contact scope"),
            "{text}"
        );
        assert!(
            text.contains(
                "\nexpected: match 0, mismatch 1, rounded 0, missing 0; not compared 2\n"
            ),
            "{text}"
        );
        assert!(
            text.ends_with("written to standard output\n0 rows to retry written to failed.csv")
                && !text.contains("paused")
                && !text.contains("invalid")
        );
        totals.pauses_by_limit[Limit::App as usize] = 1;
        totals.pause_time_by_limit[Limit::App as usize] = Duration::from_secs(1);
        totals.pause_time_by_limit[Limit::Address as usize] = Duration::from_mins(1);
        totals.rows_kept = 2;
        let stats = (&row_stats, &UnresolvedRows::default());
        let text = describe_run(&totals, Duration::ZERO, &targets(), stats, false, &hints);
        assert!(
            text.contains(", 2 rows kept as they were\n") && !text.contains("expected"),
            "{text}"
        );
        let spent = "\ncalls: 4 lookups (retried: 1 after a transient error, 1 with a new token), \
                     1 token call\
                     \nreplies: p50 2.0 ms, p95 1.5 s, p99 1.5 s\
                     \npaused by throttling: 1 time, 1m 1s in total: the app's calls per second \
                     1.0s, a ban of this IP address 1m";
        assert!(text.contains(&format!("{spent}\nout_of_scope: ")), "{text}");
        // A run that wrote nothing has made its calls too.
        let text = describe_aborted_run(&totals, Duration::from_secs(2), &[]);
        assert_eq!(text, format!("stopped after 2.0s and 4 calls{spent}"));
        let mut totals = Totals::default();
        totals.token_calls = 2;
        let text = describe_aborted_run(&totals, Duration::ZERO, &[]);
        assert_eq!(text, "stopped after 0.0s and 0 calls\ncalls: 0 lookups, 2 token calls");
        assert_eq!(
            describe_aborted_run(&Totals::default(), Duration::ZERO, &[]),
            "stopped after 0.0s and 0 calls"
        );
    }
}
