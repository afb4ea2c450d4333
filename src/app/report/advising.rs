//! Which advice a run gives reason for. Owns the rules, which are pure, and their thresholds: what is rare, or may be chance, is
//! not worth a line. What the advice says is `advice`'s.

use std::time::Duration;

use crate::app::report::hints::Hint;
use crate::domain::number::invalid::InvalidKind;
use crate::domain::outcome::Status;
use crate::domain::row_stats::RowStats;
use crate::domain::totals::{RetryCause, Totals};
use crate::domain::verdict::Limit;

/// The most pieces of advice after one run: who is told ten things does none of them.
const MAX_HINTS: usize = 5;
/// The standard edition's calls a second: who asks no faster and is held all the same is not alone.
const STANDARD_RATE: f64 = 20.0;
/// The most calls in flight that can be asked for.
const MAX_WORKERS: f64 = 1024.0;

/// What a run was and came to, as far as advice follows from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunFacts<'a> {
    /// Its totals.
    pub totals: &'a Totals,
    /// What its rows have in common.
    pub row_stats: &'a RowStats,
    /// How long it took, from its first call on.
    pub elapsed: Duration,
    /// Calls a second that it might make; none where there is no limit.
    pub rate: Option<f64>,
    /// Calls in flight that it might have.
    pub workers: u16,
    /// The API's address.
    pub endpoint: &'a str,
    /// Whether mainland numbers were sent as `+86-…`.
    pub mainland_prefixed: bool,
    /// The file that has every row with its answer now; none where it went elsewhere.
    pub output_file: Option<&'a str>,
    /// Whether answers outlive the run.
    pub answers_kept: bool,
    /// Whether they do so for the token alone that it was given.
    pub token_only: bool,
}

/// What follows from the facts, the most important first: what makes answers wrong or missing, then what costs time.
#[must_use]
pub(crate) fn collect_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let rules = [
        cell_hints,
        not_found_hints,
        scope_hints,
        connection_hints,
        throttling_hints,
        retry_hints,
        worker_hints,
        duplicate_hints,
        token_hints,
    ];
    rules.iter().flat_map(|rule| rule(facts)).take(MAX_HINTS).collect()
}

/// Whether a part is so many percent of a whole, and not just a few by itself: chance looks like a rule in small numbers.
fn is_significant(part: u64, whole: u64, percent: u64, few: u64) -> bool {
    part >= few && u128::from(part) * 100 >= u128::from(whole) * u128::from(percent)
}

fn cell_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let rows = facts.totals.rows_in - facts.totals.rows_kept;
    let [_, rounded, short, eight, landlines, other] =
        InvalidKind::ALL.map(|flaw| facts.row_stats.invalid(flaw));
    let mut advice = Vec::new();
    // One is proof: nobody types 1.38E+10.
    if rounded > 0 {
        advice.push(Hint::Rounded { rows: rounded });
    }
    // Half of the column is no slip of somebody's hand. What kinds of cells they are does not matter then.
    let wrong = short + eight + landlines + other;
    if is_significant(wrong, rows, 50, 10) {
        advice.push(Hint::Column { rows: wrong, of: rows });
        return advice;
    }
    // Single ones are typing errors; a hundredth of the rows, and five at least, come of a program.
    if is_significant(short, rows, 1, 5) {
        advice.push(Hint::Short { rows: short });
    }
    if is_significant(eight, rows, 1, 5) {
        advice.push(Hint::Eight { rows: eight });
    }
    // Some people have no mobile; a tenth of the rows means that it stands in another column.
    if is_significant(landlines, rows, 10, 5) {
        advice.push(Hint::Landlines { rows: landlines });
    }
    advice
}

fn not_found_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    // Those whose numbers are counted by country: what this run answered, and not what earlier answers say.
    let rows = |status| facts.row_stats.rows(status);
    let (nobody, found) = (rows(Status::NotFound), rows(Status::Found) + rows(Status::OutOfScope));
    let Some((code, [answered, missed])) = facts.row_stats.most_not_found() else {
        return Vec::new();
    };
    // A list of leavers may well have every second one missing, and not nine of ten.
    if facts.totals.rows_kept == 0 && is_significant(nobody, nobody + found, 90, 20) {
        let other = match facts.endpoint.trim_end_matches('/') {
            "https://oapi.dingtalk.io" => Some("https://oapi.dingtalk.com"),
            "https://oapi.dingtalk.com" => Some("https://oapi.dingtalk.io"),
            _ => None,
        };
        return vec![Hint::Organisation { rows: nobody, of: nobody + found, other }];
    }
    // That most of the missing are of a country says something only where it is not the one that most people are of: those of
    // the country have to be missing in the main, too.
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
    // The API says so itself, and one person is reason enough.
    if rows > 0 { vec![Hint::OutOfScope { rows }] } else { Vec::new() }
}

fn connection_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let of = facts.totals.calls;
    let [broken, foreign] = [RetryCause::Connection, RetryCause::UnexpectedReply]
        .map(|cause| facts.totals.retries_for(cause));
    // A connection that breaks now and then is everyday life, and costs a retry.
    let told = [
        (broken, Hint::Line { calls: broken, of }),
        (foreign, Hint::Foreign { calls: foreign, of }),
    ];
    told.into_iter()
        .filter(|(calls, _)| is_significant(*calls, of, 5, 10))
        .map(|(_, advice)| advice)
        .collect()
}

fn throttling_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let report = facts.totals;
    let of = |limit: Limit| {
        (report.pauses_by_limit[limit as usize], report.pause_time_by_limit[limit as usize])
    };
    // Once is chance (a program that has just ended), unless it took a tenth of the run and a good while.
    let telling = |limit: &Limit| {
        let (holds, held) = of(*limit);
        holds >= 2 || (held >= Duration::from_secs(10) && held * 10 >= facts.elapsed)
    };
    let longest = Limit::ALL.into_iter().filter(telling).max_by_key(|limit| of(*limit).1);
    let Some(limit) = longest else { return Vec::new() };
    let (holds, held) = of(limit);
    let others = limit == Limit::App && facts.rate.is_some_and(|rate| rate <= STANDARD_RATE);
    vec![Hint::Throttled { holds, seconds: held.as_secs_f64(), limit, others }]
}

fn retry_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let rows = facts.row_stats.rows(Status::Failed);
    if rows == 0 || (facts.output_file.is_none() && !facts.answers_kept) {
        return Vec::new();
    }
    vec![Hint::Retry { rows, file: facts.output_file.map(str::to_owned) }]
}

fn worker_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let (report, took) = (facts.totals, facts.elapsed.as_secs_f64());
    let typical = report.latency.quantile(0.5).map(|time| time.as_secs_f64());
    let slow = report.latency.quantile(0.95).map(|time| time.as_secs_f64());
    let (Some(rate), Some(typical), Some(slow)) = (facts.rate, typical, slow) else {
        return Vec::new();
    };
    let speed = to_f64(report.calls) / took.max(0.001);
    // Below a hundred calls the beginning and the end of the run weigh too much.
    if report.calls < 100 || report.pauses() > 0 || speed >= 0.8 * rate {
        return Vec::new();
    }
    // Calls in flight = calls a second × how long each takes: where that is nearly all that may be, it is what bounds them.
    let busy = speed * typical / f64::from(facts.workers);
    let enough = (rate * slow).ceil().min(MAX_WORKERS);
    if busy < 0.7 || enough <= f64::from(facts.workers) {
        return Vec::new();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 1024")]
    let enough = enough as u16;
    vec![Hint::Workers { workers: facts.workers, enough, speed: round_to_tenths(speed), rate }]
}

fn duplicate_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    let (rows, of) = (facts.totals.rows_shared, facts.totals.rows_in - facts.totals.rows_kept);
    // Couples and people who work in two places share a number, and are few.
    if is_significant(rows, of, 20, 20) { vec![Hint::Duplicates { rows, of }] } else { Vec::new() }
}

fn token_hints(facts: &RunFacts<'_>) -> Vec<Hint> {
    // It matters to who has something left to ask.
    let open = facts.totals.rows(Status::Failed) + facts.totals.rows(Status::Pending);
    if facts.token_only && open > 0 { vec![Hint::Token] } else { Vec::new() }
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2⁵³")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

fn round_to_tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::number::mobile::{DefaultRegion, Mobile};
    use proptest::prelude::*;

    /// A run, of which each test says what is particular.
    struct Run {
        report: Totals,
        findings: RowStats,
        took: u64,
        workers: u16,
        file: bool,
        token_alone: bool,
    }

    impl Run {
        fn new() -> Self {
            let (mut report, findings) = (Totals::default(), RowStats::default());
            report.rows_in = 1000;
            Self { report, findings, took: 60, workers: 16, file: true, token_alone: false }
        }

        fn rows(mut self, count: u64, status: Status, number: &str) -> Self {
            let mobile = Mobile::parse(number, DefaultRegion::CHINA).unwrap();
            for _ in 0..count {
                self.report.count_row(status);
                self.findings.count_row(status, Ok(mobile));
            }
            self
        }

        fn flawed(mut self, count: u64, flaw: InvalidKind) -> Self {
            for _ in 0..count {
                self.report.count_row(Status::Invalid);
                self.findings.count_row(Status::Invalid, Err(flaw));
            }
            self
        }

        fn with(mut self, change: impl FnOnce(&mut Totals)) -> Self {
            change(&mut self.report);
            self
        }

        fn advice(&self) -> Vec<Hint> {
            collect_hints(&RunFacts {
                totals: &self.report,
                row_stats: &self.findings,
                elapsed: Duration::from_secs(self.took),
                rate: Some(20.0),
                workers: self.workers,
                endpoint: "https://oapi.dingtalk.io",
                mainland_prefixed: false,
                output_file: self.file.then_some("an $x.csv"),
                answers_kept: true,
                token_only: self.token_alone,
            })
        }

        fn kinds(&self) -> String {
            let told: Vec<_> =
                self.advice().iter().map(|one| serde_json::to_value(one).unwrap()).collect();
            told.iter().map(|one| one["kind"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
        }
    }

    const MAINLAND: &str = "13800138000";
    const HONG_KONG: &str = "+852 5123 4567";

    #[test]
    fn a_clean_run_produces_no_hints() {
        let run =
            Run::new().rows(900, Status::Found, MAINLAND).rows(80, Status::NotFound, MAINLAND);
        assert_eq!(run.flawed(20, InvalidKind::Empty).kinds(), "");
    }

    #[test]
    fn cell_problems_produce_a_hint_when_frequent_enough() {
        for (flaw, count, kinds) in [
            (InvalidKind::Rounded, 1, "rounded"),
            (InvalidKind::TooShort, 9, ""),
            (InvalidKind::TooShort, 10, "short"),
            (InvalidKind::EightDigits, 10, "eight"),
            (InvalidKind::Landline, 99, ""),
            (InvalidKind::Landline, 100, "landlines"),
            (InvalidKind::Other, 499, ""),
            (InvalidKind::Other, 500, "column"),
            (InvalidKind::Landline, 500, "column"),
            (InvalidKind::Empty, 900, ""),
        ] {
            assert_eq!(Run::new().flawed(count, flaw).kinds(), kinds, "{flaw:?} {count}");
        }
        let few = Run::new().with(|report| report.rows_in = 10).flawed(4, InvalidKind::TooShort);
        assert_eq!(few.kinds(), "", "a few of a few");
    }

    #[test]
    fn not_found_numbers_produce_a_hint_by_country() {
        let run =
            Run::new().rows(500, Status::Found, MAINLAND).rows(82, Status::NotFound, MAINLAND);
        let told = run.rows(330, Status::NotFound, HONG_KONG).advice();
        assert_eq!(told, [Hint::Country { rows: 412, percent: 80, code: 852, prefixed: false }]);
        let words = "412 not found: 80 % start with +852; is this the right organisation?";
        assert_eq!(told[0].message(), words);
        // They are no rule where most of the country are found.
        let run =
            Run::new().rows(500, Status::Found, HONG_KONG).rows(99, Status::NotFound, HONG_KONG);
        assert_eq!(run.kinds(), "");
        let run =
            Run::new().rows(100, Status::Found, HONG_KONG).rows(99, Status::NotFound, MAINLAND);
        assert!(run.advice()[0].message().ends_with("--mainland prefixed"));
        let run = Run::new().rows(90, Status::NotFound, MAINLAND).rows(10, Status::Found, MAINLAND);
        let other = Some("https://oapi.dingtalk.com");
        assert_eq!(run.advice(), [Hint::Organisation { rows: 90, of: 100, other }]);
        assert_eq!(Run::new().rows(19, Status::NotFound, MAINLAND).kinds(), "country");
        assert_eq!(Run::new().rows(9, Status::NotFound, MAINLAND).kinds(), "");
        // A second try of a few rows says nothing of all.
        let again =
            Run::new().with(|report| report.rows_kept = 900).rows(9, Status::NotFound, MAINLAND);
        assert_eq!(again.kinds(), "");
        // Nor do the rows that keep an answer make up for those that were asked.
        let again = Run::new().rows(30, Status::NotFound, MAINLAND).with(|report| {
            report.rows_kept = 900;
            (0..900).for_each(|_| report.count_row(Status::NotFound));
        });
        assert_eq!(again.kinds(), "country");
        let told = again.rows(90, Status::Found, HONG_KONG).advice();
        assert!(
            matches!(told[..], [Hint::Country { rows: 30, percent: 100, code: 86, .. }]),
            "{told:?}"
        );
    }

    #[test]
    fn throttling_produces_a_hint_with_its_limit() {
        let held = |holds, seconds, limit: Limit| {
            let run = Run::new().with(|report| {
                report.pauses_by_limit[limit as usize] = holds;
                report.pause_time_by_limit[limit as usize] = Duration::from_secs(seconds);
            });
            run.advice().first().map(Hint::message).unwrap_or_default()
        };
        assert_eq!(held(1, 1, Limit::App), "");
        assert!(held(3, 3, Limit::App).starts_with("held 3 times by 90018: another program"));
        assert!(
            held(1, 30, Limit::Address).starts_with("held once by a ban of this network address")
        );
        // Each limit speaks for itself: one 90018 among others is chance as any other.
        let mixed = |of_app: u64| {
            Run::new().with(|report| {
                let [app, platform] = [Limit::App, Limit::Platform].map(|limit| limit as usize);
                (report.pauses_by_limit[app], report.pause_time_by_limit[app]) =
                    (of_app, Duration::from_secs(5));
                (report.pauses_by_limit[platform], report.pause_time_by_limit[platform]) =
                    (3, Duration::from_secs(4));
            })
        };
        assert!(
            mixed(1).advice()[0].message().starts_with("held 3 times by the platform's capacity: ")
        );
        let told = mixed(2).advice();
        assert!(
            matches!(told[..], [Hint::Throttled { holds: 2, limit: Limit::App, .. }]),
            "{told:?}"
        );
        for (cause, kind) in
            [(RetryCause::Connection, "line"), (RetryCause::UnexpectedReply, "foreign")]
        {
            let lost = Run::new().with(|report| {
                report.calls = 1000;
                (0..50).for_each(|_| report.count_retry(cause));
            });
            assert_eq!(lost.kinds(), kind);
        }
    }

    #[test]
    fn slow_replies_suggest_more_workers() {
        let slow = |workers, millis: u64, took| {
            let mut run = Run::new().with(|report| {
                report.calls = 600;
                (0..600).for_each(|_| report.latency.record(Duration::from_millis(millis)));
            });
            (run.workers, run.took) = (workers, took);
            run.advice()
        };
        // Two calls in flight of a second each: two a second, where twenty might be made.
        let told = slow(2, 1000, 300);
        let [Hint::Workers { workers: 2, enough, speed, .. }] = told[..] else {
            panic!("{told:?}")
        };
        assert!((20..=22).contains(&enough) && (1.9..2.1).contains(&speed), "{told:?}");
        assert_eq!(slow(16, 10, 300), [], "something else was slow");
        assert_eq!(slow(16, 700, 31), [], "the rate was used");
    }

    #[test]
    fn unresolved_rows_are_the_last_hint() {
        let mut run =
            Run::new().rows(2, Status::Failed, MAINLAND).with(|report| report.rows_shared = 200);
        run.token_alone = true;
        assert_eq!(run.kinds(), "retry duplicates token");
        let words = "the same command with 'an $x.csv' as its input and --retry-failed";
        assert!(run.advice()[0].message().contains(words));
        run.file = false;
        assert!(run.advice()[0].message().contains("--max-age 1d"));
    }

    proptest! {
        #[test]
        fn hints_never_exceed_a_handful_of_lines(counts in proptest::collection::vec(0..3000u64, 20)) {
            let statuses = Status::ALL.into_iter().zip(&counts);
            let mut run = Run::new().with(|report| {
                (report.rows_in, report.rows_kept) = (counts[10] + counts[11], counts[11]);
                (report.calls, report.rows_shared, report.pauses_by_limit[1]) = (counts[12], counts[13], counts[14]);
                report.pause_time_by_limit[1] = Duration::from_secs(counts[15]);
                (0..counts[16]).for_each(|_| report.count_retry(RetryCause::Connection));
                report.latency.record(Duration::from_millis(counts[17]));
            });
            for (status, count) in statuses {
                run = run.rows(*count, status, if count % 2 == 0 { MAINLAND } else { HONG_KONG });
            }
            for (flaw, count) in InvalidKind::ALL.into_iter().zip(&counts[7..]) {
                run = run.flawed(*count, flaw);
            }
            (run.took, run.token_alone) = (counts[18], true);
            let told = run.advice();
            prop_assert!(told.len() <= MAX_HINTS);
            for advice in told {
                let words = advice.message();
                prop_assert!(!words.is_empty() && !words.contains('\n') && !words.contains('{'), "{}", words);
            }
        }
    }
}
