//! Decides which stored answers a run may use. Pure: the time is an argument.

use std::time::Duration;

use crate::domain::outcome::Status;

/// What a run may use of what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// Every answer that was asked for in this session or a later one may be used, however old it
    /// is: the session in which the run, or one that it inherits from, began. Sessions are counted,
    /// so no clock can confuse them.
    pub first_session: u64,
    /// Answers of earlier sessions may be used up to this age; zero for never.
    pub max_ages: MaxAges,
}

/// How old the answers of finished runs may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxAges {
    /// Any answer.
    pub any: Duration,
    /// Those that a change in the directory turns into a user id: nobody found, or out of scope.
    /// Never longer than `any`.
    pub without_user: Duration,
}

impl Freshness {
    /// Whether an answer of that session and time may be used at `now`; both in seconds since 1970.
    ///
    /// The age is the difference, whichever is later: where the clock was set back an hour, an
    /// answer of just now is an hour old, and neither new for ever nor younger than nothing.
    #[must_use]
    pub fn allows(&self, status: Status, session: u64, asked: i64, now: i64) -> bool {
        let most = match status {
            Status::NotFound | Status::OutOfScope => {
                self.max_ages.without_user.min(self.max_ages.any)
            }
            _ => self.max_ages.any,
        };
        session >= self.first_session || (!most.is_zero() && now.abs_diff(asked) <= most.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn rule(any: u64, nobody: u64) -> Freshness {
        Freshness {
            first_session: 5,
            max_ages: MaxAges {
                any: Duration::from_secs(any),
                without_user: Duration::from_secs(nobody),
            },
        }
    }

    #[test]
    fn answers_of_the_session_are_used_at_any_age_and_clock() {
        for now in [0, 1_000_000, 1_000_000 - HOUR, i64::MAX, i64::MIN] {
            for session in [5, 6, u64::MAX] {
                assert!(
                    rule(0, 0).allows(Status::NotFound, session, 1_000_000, now),
                    "{now} {session}"
                );
            }
        }
    }

    #[test]
    fn answers_of_earlier_runs_are_used_up_to_max_age() {
        let allows = |any, nobody, status, age: i64| {
            rule(any, nobody).allows(status, 4, 1_000_000, 1_000_000 + age)
        };
        for status in [Status::Found, Status::NotFound, Status::BadNumber, Status::OutOfScope] {
            assert!(!allows(0, 0, status, 0), "no age is given: each run asks anew");
        }
        assert!(allows(60, 0, Status::Found, 60) && !allows(60, 0, Status::Found, 61));
        assert!(allows(60, 0, Status::BadNumber, 60));
        assert!(!allows(60, 0, Status::NotFound, 1) && !allows(60, 0, Status::OutOfScope, 1));
        assert!(allows(60, 30, Status::NotFound, 30) && !allows(60, 30, Status::NotFound, 31));
        assert!(!allows(60, 90, Status::NotFound, 61), "never longer than the other age");
    }

    #[test]
    fn an_answer_from_an_hour_in_the_future_counts_as_an_hour_old() {
        assert!(rule(2 * 3600, 0).allows(Status::Found, 4, 1_000_000, 1_000_000 - HOUR));
        assert!(!rule(3599, 0).allows(Status::Found, 4, 1_000_000, 1_000_000 - HOUR));
        assert!(!rule(3600, 3600).allows(Status::Found, 4, i64::MIN, i64::MAX));
    }
}
