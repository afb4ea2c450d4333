//! The rules at work, each on inputs as they come in a run. Owns the inputs; leaves what is measured to its neighbours.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dingmap::testing::domain::Entry;
use dingmap::testing::domain::decode;
use dingmap::testing::domain::verdict;
use dingmap::testing::domain::{Code, Outcome, Status};
use dingmap::testing::domain::{Home, Mobile, Rules};
use dingmap::testing::engine::{Answer, Reorder};
use dingmap::testing::engine::{Flight, Waiting};
use dingmap::testing::engine::{SHEET, Sheet};
use dingmap::testing::store::Disk;
use dingmap::testing::store::Foreseen;
use dingmap::testing::store::Scope;
use dingmap::testing::store::State;
use dingmap::testing::store::Usable;
use dingmap::testing::store::{Ages, Rule};
use dingmap::testing::store::{Wish, begin, foreseen};

/// Rows of the smallest window.
const WINDOW: u32 = 1024;
/// Cells, replies and lookups of a round.
const MANY: u32 = 1000;
/// The moment at which all answers were given.
const NOW: i64 = 1_790_000_000;

/// A rule, and what it is to do.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// How many items a round has.
    pub(crate) items: u32,
    /// Prepares a round that can be repeated, with files in a room that other cases use, too.
    pub(crate) make: fn(&Path) -> Box<dyn FnMut()>,
}

/// Every case.
pub(crate) fn all() -> Vec<Case> {
    let case = |name, items, make| Case { name, items, make };
    vec![
        case("number plain", MANY, |_| numbers(|n| format!("139{n:08}"))),
        case("number spelt", MANY, |_| {
            numbers(|n| format!("+86 139 {:04} {:04}", n / 10_000, n % 10_000))
        }),
        case("number foreign", MANY, |_| {
            numbers(|n| format!("+852 6{:03} {:04}", n % 1000, n % 10_000))
        }),
        case("number refused", MANY, |_| {
            numbers(|n| format!("010-{:04} {:04}", n % 10_000, n / 10_000))
        }),
        case("reply found", MANY, |_| replies(include_bytes!("../../samples/replies/found.json"))),
        case("reply not found", MANY, |_| {
            replies(include_bytes!("../../samples/replies/not-found.json"))
        }),
        case("reply wrapped", MANY, |_| {
            replies(include_bytes!("../../samples/replies/wrapped-throttled-until.json"))
        }),
        case("reply page", MANY, |_| {
            replies(include_bytes!("../../samples/replies/proxy-page.html"))
        }),
        case("verdict answer", MANY, |_| verdicts(&[0, 60121], "ok")),
        case("verdict any", MANY, |_| {
            verdicts(
                &[0, 60121, 40104, 50002, -1, 90018, 40014, 60011, 43009, 34567],
                "system busy",
            )
        }),
        case("verdict penalty", MANY, |_| verdicts(&[90002], "处罚将在 2026-09-03 00:01:03 结束")),
        case("reorder in order", WINDOW, |_| reorder((0..WINDOW.into()).collect())),
        case("reorder reversed", WINDOW, |_| reorder((0..WINDOW.into()).rev().collect())),
        case("reorder shuffled", WINDOW, |_| {
            let mut order = (0..WINDOW.into()).collect::<Vec<_>>();
            fastrand::Rng::with_seed(1).shuffle(&mut order);
            reorder(order)
        }),
        case("flight distinct", WINDOW, |_| flight(WINDOW)),
        case("flight repeated", WINDOW, |_| flight(WINDOW / 16)),
        case("state 10k hit", MANY, |room| lookups(room, 10_000, 0)),
        case("state 10k miss", MANY, |room| lookups(room, 10_000, 1)),
        case("state 100k hit", MANY, |room| lookups(room, 100_000, 0)),
        case("state 100k miss", MANY, |room| lookups(room, 100_000, 1)),
    ]
}

fn numbers(spell: fn(u32) -> String) -> Box<dyn FnMut()> {
    // Far apart, so that every digit changes.
    let cells: Vec<_> = (0..MANY).map(|n| spell(n * 31_415 % 79_999_987)).collect();
    let rules = Rules { home: Home::CHINA, strict: true };
    Box::new(move || {
        for cell in &cells {
            let _ = black_box(Entry::read(black_box(cell), rules));
        }
    })
}

fn replies(body: &'static [u8]) -> Box<dyn FnMut()> {
    Box::new(move || {
        for _ in 0..MANY {
            let _ = black_box(decode(black_box(body), |text| text));
        }
    })
}

fn verdicts(codes: &'static [i64], message: &'static str) -> Box<dyn FnMut()> {
    let codes: Vec<_> = codes.iter().map(|code| Code::Number(*code)).collect();
    Box::new(move || {
        for code in codes.iter().cycle().take(MANY as usize) {
            black_box(verdict(black_box(code), black_box(message)));
        }
    })
}

fn number(n: u32) -> Mobile {
    Mobile::mainland(format!("139{n:08}").as_bytes()).unwrap()
}

/// A window that fills, gets its answers in this order, and hands on rows as soon as they can leave.
fn reorder(order: Vec<u64>) -> Box<dyn FnMut()> {
    let numbers: Vec<_> = (0..WINDOW).map(|n| Ok(number(n))).collect();
    let answer =
        Answer::new(0, Arc::new(Outcome::bare(Status::Found, Some(Code::Number(0)), "ok")));
    Box::new(move || {
        let mut reorder = Reorder::default();
        for numbers in numbers.chunks(SHEET) {
            let (numbers, per_row) = (numbers.to_vec(), NonZeroUsize::MIN);
            let (earlier, foreseen) = (Vec::new(), Foreseen::default());
            reorder.push(Sheet { load: (), numbers, per_row, earlier, foreseen });
        }
        for row in &order {
            reorder.settle(*row, answer.clone());
            while reorder.settled() > 0 {
                black_box(reorder.take());
            }
        }
        assert!(reorder.is_through());
    })
}

/// Every row of a window joins, then every number lands.
fn flight(distinct: u32) -> Box<dyn FnMut()> {
    let numbers: Vec<_> = (0..distinct).map(number).collect();
    Box::new(move || {
        let mut flight = Flight::default();
        for (row, mobile) in (0..WINDOW.into()).zip(numbers.iter().cycle()) {
            black_box(flight.join(*mobile, Waiting { row, nth: 0 }));
        }
        for mobile in &numbers {
            black_box(flight.land(*mobile));
        }
    })
}

/// Looks up numbers of a state in no order: those that it has (`beside` is 0), or those between them (1).
fn lookups(room: &Path, size: u32, beside: u32) -> Box<dyn FnMut()> {
    let path = room.join(format!("{size}.redb"));
    if !path.exists() {
        fill(&path, size);
    }
    let state = State::untouched(&path, false).unwrap();
    let begun = foreseen(&state, wish(&scope())).unwrap().unwrap();
    let usable =
        Usable::of(&state, begun.scope, Rule { since: begun.since, ages: ages() }).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    let wanted: Vec<_> = (0..MANY).map(|_| number(random.u32(..size) * 2 + beside)).collect();
    assert_eq!(usable.get(wanted[0], NOW).unwrap().is_some(), beside == 0);
    Box::new(move || {
        // What is looked at is in the state.
        let _open = &state;
        for mobile in &wanted {
            let _ = black_box(usable.get(*mobile, NOW));
        }
    })
}

/// Makes a state with this many answers, as a run would.
fn fill(path: &Path, size: u32) {
    let (state, _) = State::open(path, false, false).unwrap();
    let begun = begin(&state, wish(&scope())).unwrap();
    let mut disk = Disk::start(state, begun, ages(), || NOW).unwrap();
    for n in 0..size {
        while !disk.has_room(1) {
            std::thread::yield_now();
            disk.refresh();
        }
        let found = Outcome::bare(Status::Found, Some(Code::Number(0)), "ok");
        let outcome =
            Outcome { userid: format!("u{n:08}").into(), request: "4gk3xw2p7q1b".into(), ..found };
        disk.keep(number(n * 2), &Arc::new(outcome));
    }
    disk.close().unwrap().finish().unwrap();
}

fn scope() -> Scope {
    Scope {
        endpoint: "https://oapi.dingtalk.com".into(),
        app: "app".into(),
        exclusive: true,
        prefixed: false,
    }
}

fn wish(scope: &Scope) -> Wish<'_> {
    Wish { scope, fingerprint: "f", restart: false, rows: None, now: NOW }
}

fn ages() -> Ages {
    Ages { any: Duration::from_hours(1), nobody: Duration::from_hours(1) }
}
