//! Hints: what the user can do so that the next run goes better. The rules are pure; what is rare,
//! or may be chance, gives no hint. `hint_texts` has the texts.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::api::edition::other_edition;
use crate::domain::float::{round_to_tenth, to_f64};
use crate::domain::number::invalid::InvalidKind;
use crate::domain::outcome::Status;
use crate::domain::row_stats::RowStats;
use crate::domain::totals::{RetryCause, Totals, limit_name};
use crate::domain::verdict::Limit;

/// More hints than this would not be followed.
const MAX_HINTS: usize = 5;
/// Calls per second of the standard edition. Whoever asks no faster and is throttled all the same
/// shares the app's quota with another program.
const STANDARD_RATE: f64 = 20.0;
/// The upper bound of `--workers`.
const MAX_WORKERS: f64 = 1024.0;

/// Its JSON has a `kind` and the numbers that led to the hint.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Hint {
    /// A spreadsheet rounded numbers.
    Rounded { rows: u64 },
    /// The workbook does not keep the values of formulas.
    MissingValues { rows: u64 },
    /// The directory has almost none of the numbers.
    Organisation {
        /// Rows that were not found.
        rows: u64,
        /// Rows that were asked.
        of: u64,
        /// The host of the other edition, if the endpoint is one of the two.
        other: Option<&'static str>,
    },
    /// Most of the missing numbers are of one country, and most numbers of that country are
    /// missing.
    Country {
        /// Rows that were not found.
        rows: u64,
        /// Their share of this country.
        percent: u64,
        code: u16,
        /// Whether mainland numbers were sent as `+86-…`.
        prefixed: bool,
    },
    /// Most cells are not mobile numbers.
    Column {
        rows: u64,
        /// Rows that were read.
        of: u64,
    },
    /// Cells of country columns contradict the numbers, are no countries, or may be countries.
    CountryColumn { rows: u64 },
    /// Numbers have too few digits.
    Short { rows: u64 },
    /// Numbers have eight digits, like those of Hong Kong and Macau.
    Eight { rows: u64 },
    /// Numbers are landlines or services.
    Landlines { rows: u64 },
    /// People are outside the app's contact scope.
    OutOfScope { rows: u64 },
    /// Connections to the API were lost or timed out.
    Line {
        /// Calls that were retried for that reason.
        calls: u64,
        /// Calls in total.
        of: u64,
    },
    /// Replies did not come from the API.
    Foreign {
        /// Calls that were retried for that reason.
        calls: u64,
        /// Calls in total.
        of: u64,
    },
    /// Throttling paused the run.
    Throttled {
        /// Pauses by this limit.
        holds: u64,
        /// Their total.
        seconds: f64,
        /// The limit that paused the run longest.
        #[serde(serialize_with = "serialize_limit")]
        limit: Limit,
        /// Whether the rate alone does not explain it.
        others: bool,
    },
    /// Rows failed and may succeed on another try.
    Retry {
        rows: u64,
        /// The resolved file, as input of `--retry-failed`; `None` if no file is fit for that.
        file: Option<String>,
        /// The command that asks them again.
        command: Option<String>,
    },
    /// Rows have numbers that a person can correct in the output.
    Correct {
        rows: u64,
        file: String,
        /// The command that asks them again.
        command: String,
        /// Whether it asks all rows: nothing shows later which numbers were corrected.
        asks_all: bool,
    },
    /// The numbers can be corrected in the input instead.
    CorrectSource {
        /// Calls that the command makes at most, not counting retries.
        calls: u64,
        input: String,
        /// The command of the run, with the answers that it keeps.
        command: String,
    },
    /// Replies were so slow that `--workers` limited the rate.
    Workers {
        /// Calls that may be in flight.
        workers: u16,
        /// Workers that would reach the rate.
        enough: u16,
        /// Calls per second made.
        speed: f64,
        /// Calls per second allowed.
        rate: f64,
    },
    /// Rows share the number of another row.
    Duplicates {
        rows: u64,
        /// Rows that were read.
        of: u64,
    },
    /// A spreadsheet would change user ids when it opens the output.
    ExcelIds { rows: u64 },
    /// Answers are kept for the current access token only.
    Token,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it like this")]
fn serialize_limit<S: Serializer>(cause: &Limit, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(limit_name(*cause))
}

/// The input of the rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunFacts<'a> {
    pub totals: &'a Totals,
    pub row_stats: &'a RowStats,
    /// From the first call on.
    pub elapsed: Duration,
    /// Calls per second that the run may make; `None` without a limit.
    pub rate: Option<f64>,
    /// Calls that may be in flight.
    pub workers: u16,
    pub endpoint: &'a str,
    /// Whether mainland numbers were sent as `+86-…`.
    pub mainland_prefixed: bool,
    /// The file that has every row with its answer; `None` if the output went elsewhere.
    pub output_file: Option<&'a str>,
    /// The command that asks the rows of that file again that failed or were corrected.
    pub retry_command: Option<&'a str>,
    /// The command that asks the corrected rows, whatever their status, if no record shows which
    /// rows these are.
    pub unrecorded_command: Option<&'a str>,
    /// The input, and the command that reads it again and keeps the answers.
    pub source_command: Option<(&'a str, &'a str)>,
    /// Whether a person may open the output in a spreadsheet, and its cells are not protected.
    pub excel_may_change: bool,
    /// Whether the answers outlive the run.
    pub answers_kept: bool,
    /// Whether they are kept for the access token only.
    pub token_only: bool,
}

/// Applies the rules, the most important first: what makes answers wrong or missing comes before
/// what costs time.
#[must_use]
pub(crate) fn collect_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let rules = [
        cell_hints,
        not_found_hints,
        scope_hints,
        connection_hints,
        throttling_hints,
        retry_hints,
        correction_hints,
        worker_hints,
        duplicate_hints,
        excel_hints,
        token_hints,
    ];
    rules.iter().flat_map(|rule| rule(facts)).take(MAX_HINTS).collect()
}

fn excel_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let rows = facts.row_stats.ids_changed_by_excel;
    if facts.excel_may_change && rows > 0 { vec![Hint::ExcelIds { rows }] } else { Vec::new() }
}

/// Whether `part` is at least `percent` of `whole` and at least `few`: small numbers show patterns
/// by chance.
fn is_significant(part: u64, whole: u64, percent: u64, few: u64) -> bool {
    part >= few && u128::from(part) * 100 >= u128::from(whole) * u128::from(percent)
}

fn cell_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let rows = facts.totals.rows_in - facts.totals.rows_kept;
    let [_, rounded, short, eight, landlines, missing_values, country, _, other] =
        InvalidKind::ALL.map(|kind| facts.row_stats.invalid(kind));
    let mut hints = Vec::new();
    // One is proof: nobody types 1.38E+10.
    if rounded > 0 {
        hints.push(Hint::Rounded { rows: rounded });
    }
    // The program that wrote the workbook did not calculate.
    if missing_values > 0 {
        hints.push(Hint::MissingValues { rows: missing_values });
    }
    // A cell beside the number kept it from being sent, which the number alone does not show.
    if country > 0 {
        hints.push(Hint::CountryColumn { rows: country });
    }
    // Half of the column is no typing error. The kind of the cells does not matter then.
    let wrong = short + eight + landlines + other;
    if is_significant(wrong, rows, 50, 10) {
        hints.push(Hint::Column { rows: wrong, of: rows });
        return hints;
    }
    // Single ones are typing errors. 1 % of the rows, and at least five, come from a program.
    if is_significant(short, rows, 1, 5) {
        hints.push(Hint::Short { rows: short });
    }
    if is_significant(eight, rows, 1, 5) {
        hints.push(Hint::Eight { rows: eight });
    }
    // Some people have no mobile. 10 % of the rows means that the mobile is in another column.
    if is_significant(landlines, rows, 10, 5) {
        hints.push(Hint::Landlines { rows: landlines });
    }
    hints
}

fn not_found_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    // These rows were answered by this run; rows that keep an earlier answer are not counted.
    let rows = |status| facts.row_stats.rows(status);
    let (nobody, found) = (rows(Status::NotFound), rows(Status::Found) + rows(Status::OutOfScope));
    let Some((code, [answered, missed])) = facts.row_stats.most_not_found() else {
        return Vec::new();
    };
    // In a list of people who left, half may be missing, but not 90 %.
    if facts.totals.rows_kept == 0 && is_significant(nobody, nobody + found, 90, 20) {
        let other = other_edition(facts.endpoint);
        return vec![Hint::Organisation { rows: nobody, of: nobody + found, other }];
    }
    // Most of the missing numbers are of one country: that proves something only if most numbers of
    // that country are missing.
    if is_significant(missed, nobody, 50, 10) && is_significant(missed, answered, 80, 10) {
        let percent = missed * 100 / nobody.max(1);
        return vec![Hint::Country {
            rows: nobody,
            percent,
            code,
            prefixed: facts.mainland_prefixed,
        }];
    }
    Vec::new()
}

fn scope_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let rows = facts.row_stats.rows(Status::OutOfScope);
    // The API itself says so; one row is enough.
    if rows > 0 { vec![Hint::OutOfScope { rows }] } else { Vec::new() }
}

fn connection_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let of = facts.totals.calls;
    let [broken, foreign] = [RetryCause::Connection, RetryCause::UnexpectedReply]
        .map(|cause| facts.totals.retries_for(cause));
    // A lost connection now and then is normal and costs one retry.
    let hints = [
        (broken, Hint::Line { calls: broken, of }),
        (foreign, Hint::Foreign { calls: foreign, of }),
    ];
    hints
        .into_iter()
        .filter(|(calls, _)| is_significant(*calls, of, 5, 10))
        .map(|(_, hint)| hint)
        .collect()
}

fn throttling_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let totals = facts.totals;
    let of = |limit: Limit| {
        (totals.pauses_by_limit[limit as usize], totals.pause_time_by_limit[limit as usize])
    };
    // One pause is chance (another program that just ended), unless it lasted 10 s and 10 % of the
    // run.
    let is_significant_pause = |limit: &Limit| {
        let (holds, paused) = of(*limit);
        holds >= 2 || (paused >= Duration::from_secs(10) && paused * 10 >= facts.elapsed)
    };
    let longest =
        Limit::ALL.into_iter().filter(is_significant_pause).max_by_key(|limit| of(*limit).1);
    let Some(limit) = longest else { return Vec::new() };
    let (holds, paused) = of(limit);
    let others = limit == Limit::App && facts.rate.is_some_and(|rate| rate <= STANDARD_RATE);
    vec![Hint::Throttled { holds, seconds: paused.as_secs_f64(), limit, others }]
}

fn retry_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let rows = facts.row_stats.rows(Status::Failed);
    if rows == 0 || (facts.output_file.is_none() && !facts.answers_kept) {
        return Vec::new();
    }
    let owned = |text: Option<&str>| text.map(str::to_owned);
    vec![Hint::Retry { rows, file: owned(facts.output_file), command: owned(facts.retry_command) }]
}

/// What a person can do about numbers: correct them in the output or in the input.
fn correction_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let rows = |status| facts.totals.rows(status);
    let others = facts.row_stats.invalid(InvalidKind::NonPerson);
    let people = rows(Status::Invalid).saturating_sub(others);
    let wrong = people + rows(Status::BadNumber) + rows(Status::NotFound);
    if wrong == 0 {
        return Vec::new();
    }
    let command = facts.unrecorded_command.or(facts.retry_command);
    let in_output = facts.output_file.zip(command).map(|(file, command)| Hint::Correct {
        rows: wrong,
        file: file.to_owned(),
        command: command.to_owned(),
        asks_all: facts.unrecorded_command.is_some(),
    });
    let in_source = facts.source_command.filter(|_| facts.answers_kept);
    let in_source = in_source.map(|(input, command)| Hint::CorrectSource {
        calls: wrong + rows(Status::Failed) + rows(Status::Pending),
        input: input.to_owned(),
        command: command.to_owned(),
    });
    in_output.into_iter().chain(in_source).collect()
}

fn worker_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let (totals, elapsed_secs) = (facts.totals, facts.elapsed.as_secs_f64());
    let typical = totals.latency.quantile(0.5).map(|time| time.as_secs_f64());
    let slow = totals.latency.quantile(0.95).map(|time| time.as_secs_f64());
    let (Some(rate), Some(typical), Some(slow)) = (facts.rate, typical, slow) else {
        return Vec::new();
    };
    let speed = to_f64(totals.calls) / elapsed_secs.max(0.001);
    // Below 100 calls the start and the end of the run weigh too much.
    if totals.calls < 100 || totals.pauses() > 0 || speed >= 0.8 * rate {
        return Vec::new();
    }
    // Little's law: calls in flight = calls per second × latency. If that is close to the number of
    // workers, the workers limit the rate.
    let busy = speed * typical / f64::from(facts.workers);
    let enough = (rate * slow).ceil().min(MAX_WORKERS);
    if busy < 0.7 || enough <= f64::from(facts.workers) {
        return Vec::new();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 1024")]
    let enough = enough as u16;
    vec![Hint::Workers { workers: facts.workers, enough, speed: round_to_tenth(speed), rate }]
}

fn duplicate_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let (rows, of) = (facts.totals.rows_shared, facts.totals.rows_in - facts.totals.rows_kept);
    // A few rows that share a number are normal: couples, people with two jobs.
    if is_significant(rows, of, 20, 20) { vec![Hint::Duplicates { rows, of }] } else { Vec::new() }
}

fn token_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    // It matters only if rows are still open.
    let open = facts.totals.rows(Status::Failed) + facts.totals.rows(Status::Pending);
    if facts.token_only && open > 0 { vec![Hint::Token] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::{DefaultRegion, Mobile};
    use proptest::prelude::*;

    struct Run {
        totals: Totals,
        row_stats: RowStats,
        elapsed_secs: u64,
        workers: u16,
        file: bool,
        /// Whether the commands for the next run are known.
        commands: bool,
        token_only: bool,
    }

    impl Run {
        fn new() -> Self {
            let (mut totals, row_stats) = (Totals::default(), RowStats::default());
            totals.rows_in = 1000;
            Self {
                totals,
                row_stats,
                elapsed_secs: 60,
                workers: 16,
                file: true,
                commands: false,
                token_only: false,
            }
        }

        fn rows(mut self, count: u64, status: Status, number: &str) -> Self {
            let mobile = Mobile::parse(number, DefaultRegion::CHINA).unwrap();
            for _ in 0..count {
                self.totals.count_row(status);
                self.row_stats.count_row(status, Ok(mobile));
            }
            self
        }

        fn invalid(mut self, count: u64, kind: InvalidKind) -> Self {
            for _ in 0..count {
                self.totals.count_row(Status::Invalid);
                self.row_stats.count_row(Status::Invalid, Err(kind));
            }
            self
        }

        fn with(mut self, change: impl FnOnce(&mut Totals)) -> Self {
            change(&mut self.totals);
            self
        }

        fn hints(&self) -> Vec<Hint> {
            collect_hints(&RunFacts {
                totals: &self.totals,
                row_stats: &self.row_stats,
                elapsed: Duration::from_secs(self.elapsed_secs),
                rate: Some(20.0),
                workers: self.workers,
                endpoint: "https://oapi.dingtalk.io",
                mainland_prefixed: false,
                output_file: self.file.then_some("an $x.csv"),
                retry_command: self.commands.then_some("dingmap resolve 'an $x.csv' -v"),
                unrecorded_command: None,
                source_command: self
                    .commands
                    .then_some(("a.xlsx", "dingmap resolve a.xlsx --max-age 1d")),
                excel_may_change: true,
                answers_kept: true,
                token_only: self.token_only,
            })
        }

        fn kinds(&self) -> String {
            let hints: Vec<_> =
                self.hints().iter().map(|one| serde_json::to_value(one).unwrap()).collect();
            hints.iter().map(|one| one["kind"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
        }
    }

    const MAINLAND: &str = "13800138000";
    const HONG_KONG: &str = "+852 5123 4567";

    #[test]
    fn a_clean_run_produces_no_hints() {
        let run =
            Run::new().rows(900, Status::Found, MAINLAND).rows(80, Status::NotFound, MAINLAND);
        assert_eq!(run.invalid(20, InvalidKind::Empty).kinds(), "");
    }

    #[test]
    fn cell_problems_produce_a_hint_when_frequent_enough() {
        for (kind, count, kinds) in [
            (InvalidKind::Rounded, 1, "rounded"),
            (InvalidKind::MissingValue, 1, "missing_values"),
            (InvalidKind::TooShort, 9, ""),
            (InvalidKind::TooShort, 10, "short"),
            (InvalidKind::EightDigits, 10, "eight"),
            (InvalidKind::Landline, 99, ""),
            (InvalidKind::Landline, 100, "landlines"),
            (InvalidKind::Country, 1, "country_column"),
            (InvalidKind::Country, 1000, "country_column"),
            (InvalidKind::Other, 499, ""),
            (InvalidKind::Other, 500, "column"),
            (InvalidKind::Landline, 500, "column"),
            (InvalidKind::Empty, 900, ""),
        ] {
            assert_eq!(Run::new().invalid(count, kind).kinds(), kinds, "{kind:?} {count}");
        }
        let few = Run::new().with(|totals| totals.rows_in = 10).invalid(4, InvalidKind::TooShort);
        assert_eq!(few.kinds(), "", "a few of a few");
    }

    #[test]
    fn not_found_numbers_produce_a_hint_by_country() {
        let run =
            Run::new().rows(500, Status::Found, MAINLAND).rows(82, Status::NotFound, MAINLAND);
        let hints = run.rows(330, Status::NotFound, HONG_KONG).hints();
        assert_eq!(hints, [Hint::Country { rows: 412, percent: 80, code: 852, prefixed: false }]);
        let message = "412 not found: 80 % start with +852; is this the right organization?";
        assert_eq!(hints[0].message(), message);
        // No hint if most numbers of the country are found.
        let run =
            Run::new().rows(500, Status::Found, HONG_KONG).rows(99, Status::NotFound, HONG_KONG);
        assert_eq!(run.kinds(), "");
        let run =
            Run::new().rows(100, Status::Found, HONG_KONG).rows(99, Status::NotFound, MAINLAND);
        assert!(run.hints()[0].message().ends_with("--mainland prefixed"));
        let run = Run::new().rows(90, Status::NotFound, MAINLAND).rows(10, Status::Found, MAINLAND);
        let other = Some("https://oapi.dingtalk.com");
        assert_eq!(run.hints(), [Hint::Organisation { rows: 90, of: 100, other }]);
        assert_eq!(Run::new().rows(19, Status::NotFound, MAINLAND).kinds(), "country");
        assert_eq!(Run::new().rows(9, Status::NotFound, MAINLAND).kinds(), "");
        // A retry of a few rows says nothing about the whole list.
        let again =
            Run::new().with(|totals| totals.rows_kept = 900).rows(9, Status::NotFound, MAINLAND);
        assert_eq!(again.kinds(), "");
        // Rows that keep an answer do not dilute those that were asked.
        let again = Run::new().rows(30, Status::NotFound, MAINLAND).with(|totals| {
            totals.rows_kept = 900;
            (0..900).for_each(|_| totals.count_row(Status::NotFound));
        });
        assert_eq!(again.kinds(), "country");
        let hints = again.rows(90, Status::Found, HONG_KONG).hints();
        assert!(
            matches!(hints[..], [Hint::Country { rows: 30, percent: 100, code: 86, .. }]),
            "{hints:?}"
        );
    }

    #[test]
    fn throttling_produces_a_hint_with_its_limit() {
        let paused = |holds, seconds, limit: Limit| {
            let run = Run::new().with(|totals| {
                totals.pauses_by_limit[limit as usize] = holds;
                totals.pause_time_by_limit[limit as usize] = Duration::from_secs(seconds);
            });
            run.hints().first().map(Hint::message).unwrap_or_default()
        };
        assert_eq!(paused(1, 1, Limit::App), "");
        assert!(paused(3, 3, Limit::App).starts_with("paused 3 times by 90018: another program"));
        assert!(
            paused(1, 30, Limit::Address).starts_with("paused once by a ban of this IP address")
        );
        // Each limit is judged by itself: a single 90018 among other pauses is chance.
        let mixed = |of_app: u64| {
            Run::new().with(|totals| {
                let [app, platform] = [Limit::App, Limit::Platform].map(|limit| limit as usize);
                (totals.pauses_by_limit[app], totals.pause_time_by_limit[app]) =
                    (of_app, Duration::from_secs(5));
                (totals.pauses_by_limit[platform], totals.pause_time_by_limit[platform]) =
                    (3, Duration::from_secs(4));
            })
        };
        assert!(
            mixed(1).hints()[0]
                .message()
                .starts_with("paused 3 times by the platform's capacity: ")
        );
        let hints = mixed(2).hints();
        assert!(
            matches!(hints[..], [Hint::Throttled { holds: 2, limit: Limit::App, .. }]),
            "{hints:?}"
        );
        for (cause, kind) in
            [(RetryCause::Connection, "line"), (RetryCause::UnexpectedReply, "foreign")]
        {
            let lost = Run::new().with(|totals| {
                totals.calls = 1000;
                (0..50).for_each(|_| totals.count_retry(cause));
            });
            assert_eq!(lost.kinds(), kind);
        }
    }

    #[test]
    fn slow_replies_suggest_more_workers() {
        let slow = |workers, millis: u64, elapsed_secs| {
            let mut run = Run::new().with(|totals| {
                totals.calls = 600;
                (0..600).for_each(|_| totals.latency.record(Duration::from_millis(millis)));
            });
            (run.workers, run.elapsed_secs) = (workers, elapsed_secs);
            run.hints()
        };
        // Two calls in flight of 1 s each: 2 calls per second, where 20 are allowed.
        let hints = slow(2, 1000, 300);
        let [Hint::Workers { workers: 2, enough, speed, .. }] = hints[..] else {
            panic!("{hints:?}")
        };
        assert!((20..=22).contains(&enough) && (1.9..2.1).contains(&speed), "{hints:?}");
        assert_eq!(slow(16, 10, 300), [], "something else was slow");
        assert_eq!(slow(16, 700, 31), [], "the rate was used");
    }

    #[test]
    fn ids_that_excel_changes_produce_a_hint() {
        let mut run = Run::new().rows(9, Status::Found, MAINLAND);
        assert_eq!(run.kinds(), "");
        run.row_stats.ids_changed_by_excel = 2;
        assert_eq!(run.hints(), [Hint::ExcelIds { rows: 2 }]);
        assert!(run.hints()[0].message().contains("--excel-safe"));
    }

    #[test]
    fn unresolved_rows_are_the_last_hint() {
        let mut run =
            Run::new().rows(2, Status::Failed, MAINLAND).with(|totals| totals.rows_shared = 200);
        run.token_only = true;
        assert_eq!(run.kinds(), "retry duplicates token");
        run.file = false;
        assert!(run.hints()[0].message().contains("--max-age 1d"));
        (run.file, run.commands) = (true, true);
        let message = "2 rows failed; to ask them again, run: dingmap resolve 'an $x.csv' -v";
        assert_eq!(run.hints()[0].message(), message);
    }

    #[test]
    fn wrong_numbers_can_be_corrected_in_the_output_or_in_the_input() {
        let mut run = Run::new()
            .rows(2, Status::NotFound, MAINLAND)
            .rows(1, Status::BadNumber, MAINLAND)
            .rows(4, Status::Failed, MAINLAND)
            .rows(8, Status::OutOfScope, MAINLAND)
            .invalid(3, InvalidKind::Empty)
            .invalid(5, InvalidKind::NonPerson);
        assert_eq!(run.kinds(), "out_of_scope retry");
        run.commands = true;
        assert_eq!(run.kinds(), "out_of_scope retry correct correct_source");
        let texts: Vec<_> = run.hints().iter().map(Hint::message).collect();
        assert_eq!(
            texts[2],
            "6 rows have no user id because of their numbers: correct the numbers in an $x.csv, \
             save the file, and run: dingmap resolve 'an $x.csv' -v"
        );
        assert_eq!(
            texts[3],
            "if you correct a.xlsx instead, run this, which makes 10 calls at most, not counting \
             retries: dingmap resolve a.xlsx --max-age 1d"
        );
    }

    proptest! {
        #[test]
        fn hints_never_exceed_a_handful_of_lines(
            counts in proptest::collection::vec(0..3000u64, 20),
        ) {
            let statuses = Status::ALL.into_iter().zip(&counts);
            let mut run = Run::new().with(|totals| {
                (totals.rows_in, totals.rows_kept) = (counts[10] + counts[11], counts[11]);
                (totals.calls, totals.rows_shared) = (counts[12], counts[13]);
                totals.pauses_by_limit[1] = counts[14];
                totals.pause_time_by_limit[1] = Duration::from_secs(counts[15]);
                (0..counts[16]).for_each(|_| totals.count_retry(RetryCause::Connection));
                totals.latency.record(Duration::from_millis(counts[17]));
            });
            for (status, count) in statuses {
                run = run.rows(*count, status, if count % 2 == 0 { MAINLAND } else { HONG_KONG });
            }
            for (kind, count) in InvalidKind::ALL.into_iter().zip(&counts[7..]) {
                run = run.invalid(*count, kind);
            }
            (run.elapsed_secs, run.token_only) = (counts[18], true);
            let hints = run.hints();
            prop_assert!(hints.len() <= MAX_HINTS);
            for hint in hints {
                let message = hint.message();
                prop_assert!(!message.is_empty() && !message.contains(['\n', '{']), "{}", message);
            }
        }
    }
}
