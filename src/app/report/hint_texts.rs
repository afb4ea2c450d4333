//! The texts of the hints, for people and, with the numbers that led to them, for programs.

use serde::Serialize;
use tr::tr;

use crate::app::report::hints::Hint;
use crate::domain::number::invalid::MAINLAND_COUNTRY_CODE;
use crate::domain::redact::sanitize;
use crate::domain::verdict::Limit;

/// A hint with its message, for programs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HintMessage {
    #[serde(flatten)]
    hint: Hint,
    /// In the language of the run.
    pub text: String,
}

impl HintMessage {
    /// Masks a number in the file name: this text is stored.
    #[must_use]
    pub(crate) fn from_hint(hint: &Hint) -> Self {
        let mut hint = hint.clone();
        match &mut hint {
            Hint::Retry { file, command, .. } => {
                for text in file.iter_mut().chain(command) {
                    *text = sanitize(text);
                }
            }
            Hint::Correct { file: place, command, .. }
            | Hint::CorrectSource { input: place, command, .. } => {
                for text in [place, command] {
                    *text = sanitize(text);
                }
            }
            _ => {}
        }
        Self { text: hint.message(), hint }
    }
}

fn correct_message(rows: u64, file: &str, command: &str, asks_all: bool) -> String {
    if asks_all {
        return tr!(
            "one row has no user id because of its number: correct the number in {file}, save the \
             file, and run this, which asks every row again, because this run keeps no record of \
             the numbers (--show-sent writes them into the file): {command}"
                | "{n} rows have no user id because of their numbers: correct the numbers in \
                   {file}, save the file, and run this, which asks every row again, because this \
                   run keeps no record of the numbers (--show-sent writes them into the file): \
                   {command}"
                    % rows,
            file,
            command
        );
    }
    tr!(
        "one row has no user id because of its number: correct the number in {file}, save the \
         file, and run: {command}"
            | "{n} rows have no user id because of their numbers: correct the numbers in {file}, \
               save the file, and run: {command}"
                % rows,
        file,
        command
    )
}

fn rerun(calls: u64, input: &str, command: &str) -> String {
    tr!(
        "if you correct {input} instead, run this, which makes one call at most, not counting \
         retries: {command}"
            | "if you correct {input} instead, run this, which makes {n} calls at most, not \
               counting retries: {command}"
                % calls,
        input,
        command
    )
}

impl Hint {
    /// One line for people.
    #[must_use]
    pub(crate) fn message(&self) -> String {
        match *self {
            Self::Rounded { rows } => {
                tr!("one number was rounded by Excel: export the column as text, or use the .xlsx \
                     itself"
                    | "{n} numbers were rounded by Excel: export the column as text, or use \
                       the .xlsx itself"
                        % rows)
            }
            Self::MissingValues { rows } => {
                tr!("one row has a formula without a stored value: open the workbook in Excel, \
                     save it, and run again"
                    | "{n} rows have a formula without a stored value: open the workbook in Excel, \
                       save it, and run again"
                        % rows)
            }
            Self::Organisation { rows, of, other } => {
                let other = other.map_or_else(String::new, |other| {
                    tr!("; the other edition's --endpoint is {other}", other)
                });
                tr!(
                    "{rows} of {of} were not found: is this the app of the right organization?",
                    rows,
                    of
                ) + &other
            }
            Self::Country { rows, percent, code: MAINLAND_COUNTRY_CODE, prefixed } => {
                let form = if prefixed { "plain" } else { "prefixed" };
                tr!(
                    "{rows} not found: {percent} % are mainland numbers; organizations registered \
                     abroad have them in the other form: try --mainland {form}",
                    rows,
                    percent,
                    form
                )
            }
            Self::Country { rows, percent, code, .. } => tr!(
                "{rows} not found: {percent} % start with +{code}; is this the right organization?",
                rows,
                percent,
                code
            ),
            Self::Column { rows, of } => tr!(
                "{rows} of {of} cells are not mobile numbers: is this the right column? Name \
                 another one with -c",
                rows,
                of
            ),
            Self::CountryColumn { rows } => country_column_message(rows),
            Self::Short { rows } => tr!(
                "{rows} numbers are too short: if digits were lost in the export, export the \
                 column as text, or use the .xlsx itself",
                rows
            ),
            Self::Eight { rows } => tr!(
                "{rows} numbers have eight digits, as in Hong Kong and Macau: write +852 or +853 \
                 before them, or give --region HK or MO",
                rows
            ),
            Self::Landlines { rows } => tr!(
                "{rows} numbers are landlines or service numbers: if another column has mobile \
                 numbers, name both columns with -c",
                rows
            ),
            Self::OutOfScope { .. } => tr!(
                "out_of_scope: the app cannot see these people; widen its contact scope in the \
                 developer console"
            ),
            Self::Line { calls, of } => tr!(
                "{calls} of {of} calls lost their connection or timed out: check the network and \
                 the proxy, or raise --timeout",
                calls,
                of
            ),
            Self::Foreign { calls, of } => foreign_reply_message(calls, of),
            Self::Throttled { holds, limit, others, .. } => throttled_message(holds, limit, others),
            Self::Retry { rows, command: Some(ref command), .. } => tr!(
                "one row failed; to ask it again, run: {command}"
                    | "{n} rows failed; to ask them again, run: {command}" % rows,
                command
            ),
            Self::Correct { rows, ref file, ref command, asks_all } => {
                correct_message(rows, file, command, asks_all)
            }
            Self::CorrectSource { calls, ref input, ref command } => rerun(calls, input, command),
            Self::Retry { rows, command: None, .. } => tr!(
                "one row failed; to retry only this row, add --max-age 1d --max-age-not-found 1d"
                    | "{n} rows failed; to retry only these rows, add --max-age 1d \
                       --max-age-not-found 1d"
                        % rows
            ),
            Self::Workers { workers, enough, speed, rate } => tr!(
                "replies are slow: {workers} calls in flight reach {speed} of {rate} calls/s; \
                 --workers {enough} uses the full rate",
                workers,
                speed,
                rate,
                enough
            ),
            Self::Duplicates { rows, of } => tr!(
                "{rows} of {of} rows have the number of another row: do several people share one \
                 number?",
                rows,
                of
            ),
            Self::ExcelIds { rows } => tr!(
                "Excel changes one user id when it opens the output (a leading zero, or 12 or more \
                 digits): write a workbook (--output NAME.xlsx), or use --excel-safe"
                    | "Excel changes {n} user ids when it opens the output (leading zeros, or 12 \
                       or more digits): write a workbook (--output NAME.xlsx), or use \
                       --excel-safe"
                        % rows
            ),
            Self::Token => tr!(
                "answers are kept for this token only: also set DINGTALK_APP_KEY, so that the next \
                 token can use them"
            ),
        }
    }
}

fn country_column_message(rows: u64) -> String {
    tr!("one row is invalid because of the cell for the country: correct that cell, name the \
         right column with --country-column, or use --country-column none"
        | "{n} rows are invalid because of the cell for the country: correct these cells, \
               name the right column with --country-column, or use --country-column none"
            % rows)
}

fn foreign_reply_message(calls: u64, of: u64) -> String {
    tr!(
        "{calls} of {of} replies did not come from the API: is there a proxy or a login page in \
         between?",
        calls,
        of
    )
}

fn throttled_message(holds: u64, limit: Limit, others: bool) -> String {
    match limit {
        Limit::App if others => {
            tr!("paused once by 90018: another program uses this app's quota; set --rate to what \
                 it leaves"
                | "paused {n} times by 90018: another program uses this app's quota; set \
                   --rate to what it leaves"
                    % holds)
        }
        Limit::App => tr!(
            "paused once by 90018: --rate exceeds this app's limit, or another program uses its \
             quota"
                | "paused {n} times by 90018: --rate exceeds this app's limit, or another program \
                   uses its quota"
                    % holds
        ),
        Limit::Shared => tr!(
            "paused once while the shared server was unreachable; with --shared-optional the run \
             continues without it at its share of the rate"
                | "paused {n} times while the shared server was unreachable; with \
                   --shared-optional the run continues without it at its share of the rate"
                    % holds
        ),
        Limit::Machine => tr!(
            "paused once because this machine could not open a connection: see the warnings above"
                | "paused {n} times because this machine could not open a connection: see the \
                   warnings above"
                    % holds
        ),
        limit => tr!(
            "paused once by {limit}: a lower --rate or another time of day may avoid that"
                | "paused {n} times by {limit}: a lower --rate or another time of day may avoid \
                   that"
                    % holds,
            limit
        ),
    }
}
