//! Decides which stored answers a run may use. Pure: the time is an argument.

use std::time::Duration;

use crate::domain::outcome::Status;

/// Which stored answers a run may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The first session of this run or of a run that it inherits from. Answers of this session and
    /// later ones may be used at any age. Session numbers do not depend on a clock.
    pub first_session: u64,
    /// Answers of earlier sessions may be used up to this age; zero means never.
    pub max_ages: MaxAges,
}

/// The maximum age of answers of finished runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxAges {
    /// For any answer.
    pub any: Duration,
    /// For `not_found` and `out_of_scope`, since a later change in the directory can turn these
    /// into a user id. `any` applies as well.
    pub without_user: Duration,
}

impl Freshness {
    /// Whether an answer may be used. `asked_at` and `now` are in seconds since 1970.
    ///
    /// The age is the absolute difference of the two. After the clock was set back by an hour, a
    /// new answer counts as an hour old; it does not stay new, and its age is not negative.
    #[must_use]
    pub fn allows(&self, status: Status, session: u64, asked_at: i64, now: i64) -> bool {
        let max_age = match status {
            Status::NotFound | Status::OutOfScope => {
                self.max_ages.without_user.min(self.max_ages.any)
            }
            _ => self.max_ages.any,
        };
        session >= self.first_session
            || (!max_age.is_zero() && now.abs_diff(asked_at) <= max_age.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn freshness(any: u64, without_user: u64) -> Freshness {
        Freshness {
            first_session: 5,
            max_ages: MaxAges {
                any: Duration::from_secs(any),
                without_user: Duration::from_secs(without_user),
            },
        }
    }

    #[test]
    fn answers_of_the_session_are_used_at_any_age_and_clock() {
        for now in [0, 1_000_000, 1_000_000 - HOUR, i64::MAX, i64::MIN] {
            for session in [5, 6, u64::MAX] {
                assert!(
                    freshness(0, 0).allows(Status::NotFound, session, 1_000_000, now),
                    "{now} {session}"
                );
            }
        }
    }

    #[test]
    fn answers_of_earlier_runs_are_used_up_to_max_age() {
        let allows = |any, without_user, status, age: i64| {
            freshness(any, without_user).allows(status, 4, 1_000_000, 1_000_000 + age)
        };
        for status in [Status::Found, Status::NotFound, Status::BadNumber, Status::OutOfScope] {
            assert!(!allows(0, 0, status, 0), "without a maximum age each run looks up again");
        }
        assert!(allows(60, 0, Status::Found, 60) && !allows(60, 0, Status::Found, 61));
        assert!(allows(60, 0, Status::BadNumber, 60));
        assert!(!allows(60, 0, Status::NotFound, 1) && !allows(60, 0, Status::OutOfScope, 1));
        assert!(allows(60, 30, Status::NotFound, 30) && !allows(60, 30, Status::NotFound, 31));
        assert!(!allows(60, 90, Status::NotFound, 61), "the maximum age of any answer applies too");
    }

    #[test]
    fn an_answer_from_an_hour_in_the_future_counts_as_an_hour_old() {
        assert!(freshness(2 * 3600, 0).allows(Status::Found, 4, 1_000_000, 1_000_000 - HOUR));
        assert!(!freshness(3599, 0).allows(Status::Found, 4, 1_000_000, 1_000_000 - HOUR));
        assert!(!freshness(3600, 3600).allows(Status::Found, 4, i64::MIN, i64::MAX));
    }
}
