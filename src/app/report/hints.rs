//! What people can do after a run so that the next one goes better: the kinds of advice, their words, and their form for
//! programs. Which of it a run gives reason for is `advising`'s; where it is shown, that of `summary`, `account` and whoever
//! wants it.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use tr::tr;

use crate::app::exit::sanitize;
use crate::domain::number::mobile::MAINLAND_COUNTRY_CODE;
use crate::domain::totals::limit_name;
use crate::domain::verdict::Limit;

/// One thing to do, or to look at. Its JSON has a `kind`, and the numbers that speak for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Hint {
    /// A spreadsheet rounded numbers.
    Rounded {
        /// In so many rows.
        rows: u64,
    },
    /// The directory has hardly anybody of those who were asked.
    Organisation {
        /// So many rows were not found.
        rows: u64,
        /// Of so many that were asked.
        of: u64,
        /// The host of the other edition, where the endpoint is that of one.
        other: Option<&'static str>,
    },
    /// Those who were not found are of one country, hardly anybody of which was found.
    Country {
        /// So many rows were not found.
        rows: u64,
        /// So many percent of them are of the country.
        percent: u64,
        /// Its country code.
        code: u16,
        /// Whether mainland numbers were sent as `+86-…`.
        prefixed: bool,
    },
    /// Most cells hold something else than mobile numbers.
    Column {
        /// So many rows.
        rows: u64,
        /// Of so many.
        of: u64,
    },
    /// Numbers lack digits.
    Short {
        /// In so many rows.
        rows: u64,
    },
    /// Numbers have eight digits, as those of Hong Kong and Macau.
    Eight {
        /// In so many rows.
        rows: u64,
    },
    /// Numbers are those of landlines or services.
    Landlines {
        /// In so many rows.
        rows: u64,
    },
    /// The app may not see people.
    OutOfScope {
        /// In so many rows.
        rows: u64,
    },
    /// The way to the API is bad.
    Line {
        /// So many calls had to be repeated for that.
        calls: u64,
        /// Of so many.
        of: u64,
    },
    /// What came was no answer of the API.
    Foreign {
        /// So many calls had to be repeated for that.
        calls: u64,
        /// Of so many.
        of: u64,
    },
    /// Throttling held the run.
    Throttled {
        /// The limit so often.
        holds: u64,
        /// And for so many seconds.
        seconds: f64,
        /// What held it longest.
        #[serde(serialize_with = "serialize_limit")]
        limit: Limit,
        /// Whether the rate alone does not explain it.
        others: bool,
    },
    /// Rows may succeed on another try.
    Retry {
        /// So many.
        rows: u64,
        /// The file that has them, for the same command to read; none where no file is fit for that.
        file: Option<String>,
    },
    /// Replies took so long that the calls in flight kept the run from its rate.
    Workers {
        /// So many calls might be in flight.
        workers: u16,
        /// So many would do.
        enough: u16,
        /// Calls a second that were made.
        speed: f64,
        /// Calls a second that might have been made.
        rate: f64,
    },
    /// Rows have the numbers of others.
    Duplicates {
        /// So many.
        rows: u64,
        /// Of so many.
        of: u64,
    },
    /// Answers are kept for a token alone.
    Token,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it like this")]
fn serialize_limit<S: Serializer>(cause: &Limit, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(limit_name(*cause))
}

fn foreign_reply_message(calls: u64, of: u64) -> String {
    tr!(
        "{calls} of {of} calls got a reply that was no answer of the API: does a proxy or a login page stand in between?",
        calls,
        of
    )
}

/// A file's name as a shell takes it for one word.
fn shell_quote(file: &str) -> Cow<'_, str> {
    // No name of a file has a zero byte, which alone cannot be quoted.
    shlex::try_quote(file).unwrap_or(Cow::Borrowed(file))
}

/// Throttling: whose limit it was, and what avoids it.
fn throttled_message(holds: u64, limit: Limit, others: bool) -> String {
    match limit {
        Limit::App if others => {
            tr!(
                "held once by 90018: another program uses this app's quota; give --rate what it leaves"
                    | "held {n} times by 90018: another program uses this app's quota; give --rate what it leaves"
                        % holds
            )
        }
        Limit::App => tr!(
            "held once by 90018: --rate is more than this app may have, or another program uses its quota"
                | "held {n} times by 90018: --rate is more than this app may have, or another program uses its quota"
                    % holds
        ),
        Limit::Shared => tr!(
            "held once while the shared server was silent; --shared-optional goes on without it, at this run's part of the rate"
                | "held {n} times while the shared server was silent; --shared-optional goes on without it, at this run's part of the rate"
                    % holds
        ),
        limit => tr!(
            "held once by {limit}: a lower --rate or another hour may avoid that"
                | "held {n} times by {limit}: a lower --rate or another hour may avoid that"
                    % holds,
            limit
        ),
    }
}

impl Hint {
    /// What it says to people, in one line.
    #[must_use]
    pub(crate) fn message(&self) -> String {
        match *self {
            Self::Rounded { rows } => {
                tr!(
                    "one number was rounded by Excel: export the column as text, or give the .xlsx itself"
                        | "{n} numbers were rounded by Excel: export the column as text, or give the .xlsx itself"
                            % rows
                )
            }
            Self::Organisation { rows, of, other } => {
                let other = other.map_or_else(String::new, |other| {
                    tr!("; the other edition's --endpoint is {other}", other)
                });
                tr!(
                    "{rows} of {of} were not found: is this the app of the right organisation?",
                    rows,
                    of
                ) + &other
            }
            Self::Country { rows, percent, code: MAINLAND_COUNTRY_CODE, prefixed } => {
                let way = if prefixed { "plain" } else { "prefixed" };
                tr!(
                    "{rows} not found: {percent} % are mainland numbers; organisations registered abroad have them in the \
                     other form: try --mainland {way}",
                    rows,
                    percent,
                    way
                )
            }
            Self::Country { rows, percent, code, .. } => tr!(
                "{rows} not found: {percent} % start with +{code}; is this the right organisation?",
                rows,
                percent,
                code
            ),
            Self::Column { rows, of } => tr!(
                "{rows} of {of} cells are no mobile numbers: is this the right column? -c names another one",
                rows,
                of
            ),
            Self::Short { rows } => tr!(
                "{rows} numbers are too short: where digits were lost on the way, export the column as text, or give the .xlsx itself",
                rows
            ),
            Self::Eight { rows } => tr!(
                "{rows} numbers have eight digits, as in Hong Kong and Macau: write +852 or +853 before them, or give --region HK or MO",
                rows
            ),
            Self::Landlines { rows } => tr!(
                "{rows} numbers are landlines or services: where another column has the mobile numbers, name both with -c, and it is tried next",
                rows
            ),
            Self::OutOfScope { .. } => tr!(
                "out_of_scope: the app does not see these people; widen its contact scope in the developer console"
            ),
            Self::Line { calls, of } => tr!(
                "{calls} of {of} calls met a connection that broke or fell silent: look at the network or the proxy, or give --timeout more",
                calls,
                of
            ),
            Self::Foreign { calls, of } => foreign_reply_message(calls, of),
            Self::Throttled { holds, limit, others, .. } => throttled_message(holds, limit, others),
            Self::Retry { rows, file: Some(ref file) } => tr!(
                "one row failed; to ask it alone once more, run the same command with {file} as its input and --retry-failed, without --output"
                    | "{n} rows failed; to ask them alone once more, run the same command with {file} as its input and --retry-failed, without --output"
                        % rows,
                file = shell_quote(file)
            ),
            Self::Retry { rows, file: None } => tr!(
                "one row failed; to ask it once more and nothing else twice, add --max-age 1d --max-age-not-found 1d"
                    | "{n} rows failed; to ask them once more and nothing else twice, add --max-age 1d --max-age-not-found 1d"
                        % rows
            ),
            Self::Workers { workers, enough, speed, rate } => tr!(
                "replies took so long that {workers} calls in flight made {speed} of {rate} calls a second: --workers {enough} uses them all",
                workers,
                speed,
                rate,
                enough
            ),
            Self::Duplicates { rows, of } => tr!(
                "{rows} of {of} rows have the number of another row: does one number stand for several people?",
                rows,
                of
            ),
            Self::Token => tr!(
                "answers are kept for this token alone: set DINGTALK_APP_KEY beside it, and the next token goes on from there"
            ),
        }
    }
}

/// Advice with its words, as programs get it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HintMessage {
    #[serde(flatten)]
    hint: Hint,
    /// In the language of the run.
    pub text: String,
}

impl HintMessage {
    /// The same with its words. What is left for others to read has no full numbers, which a file's name may have.
    #[must_use]
    pub(crate) fn from_hint(advice: &Hint) -> Self {
        let mut advice = advice.clone();
        if let Hint::Retry { file: Some(file), .. } = &mut advice {
            *file = sanitize(file);
        }
        Self { text: advice.message(), hint: advice }
    }
}
