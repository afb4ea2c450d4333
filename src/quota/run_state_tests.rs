//! The book word by word on a paused clock, in one process: what follows from each reply of a server, which is played here.
//! The real server's part is for the tests of the executable.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, advance};

use crate::api::limiter::Stand;
use crate::api::rate::Rate;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::{Code, Outcome, Status};
use crate::domain::verdict::Limit;
use crate::quota::answer_cache::Vault;
use crate::quota::connection::{Kind, Silence};
use crate::quota::crypto::Seal;
use crate::quota::protocol::{Reply, Told};
use crate::quota::run_state::{Book, Said};
use crate::store::disk::disk_store::wall;
use crate::store::freshness::Ages;

const MS: Duration = Duration::from_millis(1);

fn number(n: u32) -> Mobile {
    Mobile::mainland(format!("139{n:08}").as_bytes()).unwrap()
}

fn seal() -> Arc<Seal> {
    Arc::new(Seal::of(&"a secret of an app".into()).unwrap())
}

/// A run, and the server's clock, which shows the wall's time as it began.
struct Course {
    book: Book,
    begun: Instant,
    wall: u64,
    open: u64,
    others: u32,
}

impl Course {
    fn new(rate: &str, ages: Ages, optional: bool) -> Self {
        let rate: Rate = rate.parse().unwrap();
        let book = Book::new(Vault::of(seal(), vec![1, 0], ages), rate, optional);
        let wall = u64::try_from(wall()).unwrap() * 1_000_000;
        let mut course = Self { book, begun: Instant::now(), wall, open: 7, others: 0 };
        course.reply(&[], vec![]);
        course
    }

    /// The server's clock after so long.
    fn clock(&self, at: Instant) -> u64 {
        self.wall + u64::try_from((at - self.begun).as_micros()).unwrap()
    }

    fn answer(
        &mut self,
        said: &Said,
        rest: Option<(Duration, Limit)>,
        slots: &[Duration],
        told: Vec<Told>,
    ) {
        let now = Instant::now();
        let slots = slots.iter().map(|ahead| self.clock(now + *ahead)).collect();
        let (now_there, open, others) = (self.clock(now), self.open, self.others);
        let reply =
            Reply { now: now_there, open, rest, others, least: 20.0, share: 1.0, slots, told };
        self.book.fold(said, &reply, now, now);
    }

    fn reply(&mut self, slots: &[Duration], told: Vec<Told>) {
        let said = self.book.request(false);
        self.answer(&said, None, slots, told);
    }

    /// What is asked of these numbers with so many calls to start.
    fn expect(&mut self, numbers: std::ops::Range<u32>, room: usize) -> Said {
        self.book.expect(&mut numbers.map(number), room);
        self.book.request(false)
    }
}

fn ask_anew() -> Ages {
    Ages::default()
}

fn silence() -> Silence {
    Silence { what: "refused".into(), kind: Kind::Passing }
}

#[tokio::test(start_paused = true)]
async fn a_number_is_called_once_it_is_claimed_and_its_slot_has_come() {
    let mut course = Course::new("20", ask_anew(), false);
    let said = course.expect(0..3, 16);
    let claims: Vec<_> = said.request.looks.iter().map(|(_, how)| how.claims).collect();
    assert_eq!(
        claims,
        [true, true, true],
        "five slots in a quarter of a second, and no more numbers"
    );
    assert_eq!(said.request.due, (0, 5));
    assert_eq!(course.book.stand(number(0)), Stand::Unclear);
    let told = vec![Told::Claimed, Told::Elsewhere, Told::Nothing];
    course.answer(&said, None, &[50 * MS, 100 * MS], told);
    assert_eq!(
        [0, 1, 2].map(|n| course.book.stand(number(n))),
        [Stand::Open, Stand::Elsewhere, Stand::Unclear]
    );
    assert_eq!(
        course.book.stand(number(1)),
        Stand::Unclear,
        "it is looked at anew once it comes again"
    );
    assert_eq!(course.book.take(), Err(Some(Instant::now() + 50 * MS)));
    advance(53 * MS).await;
    assert_eq!(course.book.take(), Ok(()));
    assert_eq!(course.book.take(), Err(Some(Instant::now() + 47 * MS)));
}

#[tokio::test(start_paused = true)]
async fn slots_that_went_by_are_given_back_and_none_is_relied_on_that_was_not_confirmed() {
    let mut course = Course::new("20", ask_anew(), false);
    let said = course.expect(0..5, 16);
    course.answer(&said, None, &[50 * MS, 100 * MS, 990 * MS, 1100 * MS], vec![Told::Claimed; 5]);
    advance(103 * MS).await;
    assert_eq!(course.book.take(), Ok(()), "the first one is too old, and the second is not");
    let said = course.book.request(false);
    assert_eq!(said.request.unused, [course.clock(course.begun + 50 * MS)]);
    assert_eq!(said.request.due, (5 - 2, 5 - 2), "claimed numbers without a slot");
    advance(888 * MS).await;
    assert_eq!(course.book.take(), Ok(()), "heard of 991 ms ago");
    advance(111 * MS).await;
    assert_eq!(course.book.take(), Err(None), "heard of 1102 ms ago");
    course.reply(&[], vec![]);
    assert_eq!(course.book.take(), Ok(()), "heard of just now");
    assert!(course.book.request(false).request.unused.is_empty(), "told once");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_remembers_nothing_and_a_rest_take_the_slots_back() {
    let mut course = Course::new("20", ask_anew(), false);
    let said = course.expect(0..5, 16);
    course.answer(&said, None, &[50 * MS, 100 * MS], vec![Told::Claimed; 5]);
    course.open = 8;
    course.reply(&[], vec![]);
    advance(50 * MS).await;
    assert_eq!(course.book.take(), Err(None));
    let said = course.book.request(false);
    let rest = Some((Duration::from_secs(3), Limit::Platform));
    course.answer(&said, rest, &[50 * MS], vec![]);
    assert_eq!(
        course.book.rest(),
        Some((Instant::now() + Duration::from_secs(3), Limit::Platform))
    );
    assert_eq!(
        (course.book.take(), course.book.request(false).request.unused.len()),
        (Err(None), 1)
    );
    assert!(course.book.is_eager(), "the slot goes back at once");
    course.answer(&course.book.request(false), rest, &[], vec![]);
    assert!(!course.book.is_eager(), "nothing is asked for during a rest");
    advance(Duration::from_secs(3)).await;
    assert!(course.book.rest().is_none() && course.book.is_eager());
}

#[tokio::test(start_paused = true)]
async fn a_rest_that_this_run_met_is_told_until_it_is_heard() {
    let mut course = Course::new("20", ask_anew(), false);
    let until = Instant::now() + Duration::from_mins(1);
    course.book.held(until, Limit::App, true);
    let said = course.book.request(false);
    assert_eq!(said.request.rest, Some((Duration::from_mins(1), Limit::App, true)));
    // A longer one is met while the first is on its way.
    let later = until + Duration::from_mins(1);
    course.book.held(later, Limit::Suspended, false);
    course.answer(&said, Some((Duration::from_mins(1), Limit::App)), &[], vec![]);
    let said = course.book.request(false);
    assert_eq!(said.request.rest.map(|(rest, ..)| rest), Some(Duration::from_mins(2)));
    course.answer(&said, Some((Duration::from_mins(2), Limit::Suspended)), &[], vec![]);
    assert_eq!(course.book.request(false).request.rest, None);
}

#[tokio::test(start_paused = true)]
async fn answers_of_others_are_used_as_their_age_allows() {
    let hour = Duration::from_hours(1);
    let vault = Vault::of(seal(), vec![1, 0], ask_anew());
    let found = Arc::new(Outcome {
        userid: "u".into(),
        ..Outcome::bare(Status::Found, Some(Code::Number(0)), "ok")
    });
    let nobody = Arc::new(Outcome::bare(Status::NotFound, Some(Code::Number(60121)), "nobody"));
    let known = |outcome: &Arc<Outcome>, at: u64| {
        Stand::Known(Arc::clone(outcome), i64::try_from(at / 1000).unwrap())
    };
    for (ages, minutes, usable) in [
        (ask_anew(), 0, [true, true]),
        (ask_anew(), 30, [false, false]),
        (Ages { any: hour, nobody: Duration::ZERO }, 30, [true, false]),
        (Ages { any: hour, nobody: hour / 4 }, 30, [true, false]),
        (Ages { any: hour, nobody: hour }, 30, [true, true]),
        (Ages { any: hour, nobody: hour }, 90, [false, false]),
    ] {
        let mut course = Course::new("20", ages, false);
        let at = course.wall / 1000 - minutes * 60_000;
        let sealed = [(0, &found), (1, &nobody)]
            .map(|(n, outcome)| vault.close(number(n), Some(&(Arc::clone(outcome), at))).1);
        let said = course.expect(0..2, 16);
        let old = sealed.clone().map(Told::Answer);
        course.answer(&said, None, &[], old.to_vec());
        let stands = [0, 1].map(|n| course.book.stand(number(n)));
        assert_eq!(
            stands,
            [(0, &found), (1, &nobody)].map(|(n, outcome)| {
                if usable[n] { known(outcome, at) } else { Stand::Unclear }
            }),
            "{ages:?}, {minutes} minutes"
        );
        // The server leaves out what is too old for anybody; what is too old for nobody alone is claimed the next time.
        let said = course.book.request(false);
        let looks: Vec<_> = said.request.looks.iter().map(|(_, how)| how.nobody).collect();
        assert_eq!(looks, usable.map(|usable| !usable), "{ages:?}, {minutes} minutes");
    }
    let foreign = Vault::of(Arc::new(Seal::of(&"another".into()).unwrap()), vec![1, 0], ask_anew());
    let mut course = Course::new("20", ask_anew(), false);
    let said = course.expect(0..1, 16);
    let sealed = foreign.close(number(0), Some(&(found, course.wall / 1000))).1;
    course.answer(&said, None, &[], vec![Told::Answer(sealed.clone())]);
    assert_eq!(course.book.stand(number(0)), Stand::Unclear);
    let said = course.book.request(false);
    course.answer(&said, None, &[], vec![Told::Answer(sealed)]);
    assert_eq!(
        course.book.stand(number(0)),
        Stand::Open,
        "what cannot be read does not keep it from being asked"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_holds_the_run_and_one_that_may_goes_on_at_its_part() {
    let mut course = Course::new("20", ask_anew(), false);
    course.book.silent(silence(), 50 * MS);
    assert_eq!(course.book.rest(), None, "it was heard a moment ago");
    advance(1001 * MS).await;
    course.book.silent(silence(), 50 * MS);
    assert!(matches!(course.book.rest(), Some((until, Limit::Shared)) if until > Instant::now()));
    course.reply(&[], vec![]);
    assert_eq!(course.book.rest(), None);

    let mut course = Course::new("20", ask_anew(), true);
    course.others = 3;
    course.reply(&[], vec![]);
    advance(1001 * MS).await;
    course.book.silent(silence(), 50 * MS);
    assert_eq!((course.book.rest(), course.book.alone()), (None, Some(Rate::of(5.0))));
    assert_eq!((course.book.stand(number(0)), course.book.take()), (Stand::Open, Ok(())));
    assert!(course.book.take().is_err(), "one call in a fifth of a second");
    course.reply(&[], vec![]);
    assert_eq!((course.book.alone(), course.book.stand(number(0))), (None, Stand::Unclear));
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_is_told_until_it_is_heard_and_nothing_but_answers_is_kept() {
    let mut course = Course::new("20", ask_anew(), false);
    let found = Arc::new(Outcome::bare(Status::Found, Some(Code::Number(0)), "ok"));
    course.book.answered(number(0), Some((found, course.wall / 1000)));
    course.book.answered(number(1), None);
    let said = course.book.request(false);
    let kept: Vec<_> = said.request.settled.iter().map(|(_, value)| !value.is_empty()).collect();
    assert_eq!(kept, [true, false]);
    course.book.silent(silence(), 50 * MS);
    course.book.answered(number(2), None);
    assert_eq!(course.book.request(false).request.settled.len(), 3, "nobody heard the first word");
    course.answer(&said, None, &[], vec![]);
    assert_eq!(course.book.request(false).request.settled.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_remembers_nothing_is_told_of_the_rest_and_asked_for_the_claims_anew() {
    let mut course = Course::new("20", ask_anew(), false);
    let said = course.expect(0..2, 16);
    let rest = Duration::from_mins(5);
    course.answer(&said, Some((rest, Limit::Address)), &[], vec![Told::Claimed; 2]);
    assert_eq!(course.book.stand(number(0)), Stand::Open);
    assert_eq!(
        course.book.request(false).request.rest,
        None,
        "others met it, and it is known there"
    );
    course.open = 8;
    let said = course.book.request(false);
    course.answer(&said, None, &[], vec![]);
    assert_eq!(course.book.stand(number(0)), Stand::Unclear);
    assert_eq!(course.book.request(false).request.rest, Some((rest, Limit::Address, false)));
    assert_eq!(course.book.rest(), Some((Instant::now() + rest, Limit::Address)));
}

#[tokio::test(start_paused = true)]
async fn a_number_that_is_not_called_after_all_is_free_for_others() {
    let mut course = Course::new("20", ask_anew(), false);
    let said = course.expect(0..2, 16);
    course.answer(&said, None, &[], vec![Told::Claimed; 2]);
    course.book.answered(number(0), None);
    let claimed = course.book.request(false).request;
    assert!(claimed.looks.is_empty(), "one that has its answer is not claimed once more");
    course.expect(0..0, 0);
    course.book.let_go(number(1));
    course.book.let_go(number(1));
    assert_eq!(course.book.request(false).request.settled.len(), 2);
}
