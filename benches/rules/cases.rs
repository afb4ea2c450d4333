//! The benchmark cases, each with the inputs of a typical run.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dingmap::testing::domain::NumberCell;
use dingmap::testing::domain::by_code;
use dingmap::testing::domain::decode;
use dingmap::testing::domain::{Code, Outcome, Status};
use dingmap::testing::domain::{DefaultRegion, Mobile, NumberRules};
use dingmap::testing::engine::{Answer, ReorderBuffer};
use dingmap::testing::engine::{BATCH_ROWS, RowBatch};
use dingmap::testing::engine::{SingleFlight, WaitingRow};
use dingmap::testing::store::CommittedAnswers;
use dingmap::testing::store::DiskStore;
use dingmap::testing::store::Prefetched;
use dingmap::testing::store::Scope;
use dingmap::testing::store::State;
use dingmap::testing::store::{Freshness, MaxAges};
use dingmap::testing::store::{SessionRequest, begin_session, preview_session};

/// Rows of the smallest window.
const WINDOW: u32 = 1024;
/// Cells, replies or lookups of a round.
const ITEMS: u32 = 1000;
/// The time of all answers.
const NOW_SECS: i64 = 1_790_000_000;

pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Items per round.
    pub(crate) items: u32,
    /// Prepares a round that can be repeated. The directory is shared by all cases.
    pub(crate) setup: fn(&Path) -> Box<dyn FnMut()>,
}

pub(crate) fn all_cases() -> Vec<Case> {
    let case = |name, items, make| Case { name, items, setup: make };
    vec![
        case("number plain", ITEMS, |_| parse_numbers(|n| format!("139{n:08}"))),
        case("number spelt", ITEMS, |_| {
            parse_numbers(|n| format!("+86 139 {:04} {:04}", n / 10_000, n % 10_000))
        }),
        case("number foreign", ITEMS, |_| {
            parse_numbers(|n| format!("+852 6{:03} {:04}", n % 1000, n % 10_000))
        }),
        case("number refused", ITEMS, |_| {
            parse_numbers(|n| format!("010-{:04} {:04}", n % 10_000, n / 10_000))
        }),
        case("reply found", ITEMS, |_| {
            decode_replies(include_bytes!("../../samples/replies/found.json"))
        }),
        case("reply not found", ITEMS, |_| {
            decode_replies(include_bytes!("../../samples/replies/not-found.json"))
        }),
        case("reply wrapped", ITEMS, |_| {
            decode_replies(include_bytes!("../../samples/replies/wrapped-throttled-until.json"))
        }),
        case("reply page", ITEMS, |_| {
            decode_replies(include_bytes!("../../samples/replies/proxy-page.html"))
        }),
        case("verdict answer", ITEMS, |_| classify_replies(&[0, 60121], "ok")),
        case("verdict any", ITEMS, |_| {
            classify_replies(
                &[0, 60121, 40104, 50002, -1, 90018, 40014, 60011, 43009, 34567],
                "system busy",
            )
        }),
        case("verdict penalty", ITEMS, |_| {
            classify_replies(&[90002], "处罚将在 2026-09-03 00:01:03 结束")
        }),
        case("reorder in order", WINDOW, |_| reorder_rows((0..WINDOW.into()).collect())),
        case("reorder reversed", WINDOW, |_| reorder_rows((0..WINDOW.into()).rev().collect())),
        case("reorder shuffled", WINDOW, |_| {
            let mut order = (0..WINDOW.into()).collect::<Vec<_>>();
            fastrand::Rng::with_seed(1).shuffle(&mut order);
            reorder_rows(order)
        }),
        case("flight distinct", WINDOW, |_| single_flight(WINDOW)),
        case("flight repeated", WINDOW, |_| single_flight(WINDOW / 16)),
        case("state 10k hit", ITEMS, |dir| look_up_answers(dir, 10_000, true)),
        case("state 10k miss", ITEMS, |dir| look_up_answers(dir, 10_000, false)),
        case("state 100k hit", ITEMS, |dir| look_up_answers(dir, 100_000, true)),
        case("state 100k miss", ITEMS, |dir| look_up_answers(dir, 100_000, false)),
    ]
}

fn parse_numbers(format: fn(u32) -> String) -> Box<dyn FnMut()> {
    // Far apart, so that every digit changes.
    let cells: Vec<_> = (0..ITEMS).map(|n| format(n * 31_415 % 79_999_987)).collect();
    let rules = NumberRules { default_region: DefaultRegion::CHINA, strict: true };
    Box::new(move || {
        for cell in &cells {
            let _ = black_box(NumberCell::parse(black_box(cell), rules));
        }
    })
}

fn decode_replies(body: &'static [u8]) -> Box<dyn FnMut()> {
    Box::new(move || {
        for _ in 0..ITEMS {
            let _ = black_box(decode(black_box(body), |text| text));
        }
    })
}

fn classify_replies(codes: &'static [i64], message: &'static str) -> Box<dyn FnMut()> {
    let codes: Vec<_> = codes.iter().map(|code| Code::Number(*code)).collect();
    Box::new(move || {
        for code in codes.iter().cycle().take(ITEMS as usize) {
            black_box(by_code(black_box(code), black_box(message)));
        }
    })
}

fn nth_mobile(n: u32) -> Mobile {
    Mobile::from_mainland_digits(format!("139{n:08}").as_bytes()).unwrap()
}

/// Fills a window, settles its rows in this order, and pops chunks as soon as they are complete.
fn reorder_rows(order: Vec<u64>) -> Box<dyn FnMut()> {
    let numbers: Vec<_> = (0..WINDOW).map(|n| Ok(nth_mobile(n))).collect();
    let answer =
        Answer::new(0, Arc::new(Outcome::without_user(Status::Found, Some(Code::Number(0)), "ok")));
    Box::new(move || {
        let mut reorder = ReorderBuffer::default();
        for numbers in numbers.chunks(BATCH_ROWS) {
            reorder.push(RowBatch {
                source_bytes: 0,
                payload: (),
                mobiles: numbers.to_vec(),
                numbers_per_row: NonZeroUsize::MIN,
                judgements: Vec::new(),
                prefetched: Prefetched::default(),
            });
        }
        for row in &order {
            reorder.settle(*row, answer.clone());
            while reorder.settled_rows() > 0 {
                black_box(reorder.pop_chunk());
            }
        }
        assert!(reorder.is_complete());
    })
}

/// Every row of a window joins, then every number completes.
fn single_flight(distinct: u32) -> Box<dyn FnMut()> {
    let numbers: Vec<_> = (0..distinct).map(nth_mobile).collect();
    Box::new(move || {
        let mut flight = SingleFlight::default();
        for (row, mobile) in (0..WINDOW.into()).zip(numbers.iter().cycle()) {
            black_box(flight.join(*mobile, WaitingRow { row, nth: 0 }));
        }
        for mobile in &numbers {
            black_box(flight.complete(*mobile));
        }
    })
}

/// Looks up numbers in random order: those of the state, or those between them.
fn look_up_answers(dir: &Path, size: u32, hit: bool) -> Box<dyn FnMut()> {
    let path = dir.join(format!("{size}.redb"));
    if !path.exists() {
        fill_state(&path, size);
    }
    let state = State::open_read_only(&path, false).unwrap();
    let session = preview_session(&state, session_request(&test_scope())).unwrap().unwrap();
    let answers = CommittedAnswers::open(
        &state,
        session.scope,
        Freshness { first_session: session.first_session, max_ages: max_ages() },
    )
    .unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    // The state has the even numbers.
    let numbers: Vec<_> =
        (0..ITEMS).map(|_| nth_mobile(random.u32(..size) * 2 + u32::from(!hit))).collect();
    assert_eq!(answers.get(numbers[0], NOW_SECS).unwrap().is_some(), hit);
    Box::new(move || {
        // The answers borrow from the open state.
        let _open = &state;
        for mobile in &numbers {
            let _ = black_box(answers.get(*mobile, NOW_SECS));
        }
    })
}

/// Creates a state with this many answers, as a run does.
fn fill_state(path: &Path, size: u32) {
    let (state, _) = State::open(path, false, false).unwrap();
    let session = begin_session(&state, session_request(&test_scope())).unwrap();
    let mut disk = DiskStore::start(state, session, max_ages(), || NOW_SECS).unwrap();
    for n in 0..size {
        while !disk.has_room(1) {
            std::thread::yield_now();
            disk.refresh();
        }
        let found = Outcome::without_user(Status::Found, Some(Code::Number(0)), "ok");
        let outcome = Outcome {
            userid: format!("u{n:08}").into(),
            request_id: "4gk3xw2p7q1b".into(),
            ..found
        };
        disk.keep(nth_mobile(n * 2), &Arc::new(outcome));
    }
    disk.close().unwrap().finish().unwrap();
}

fn test_scope() -> Scope {
    Scope {
        endpoint: "https://oapi.dingtalk.com".into(),
        app: "app".into(),
        exclusive: true,
        prefixed: false,
    }
}

fn session_request(scope: &Scope) -> SessionRequest<'_> {
    SessionRequest { scope, fingerprint: "f", restart: false, rows: None, now: NOW_SECS }
}

fn max_ages() -> MaxAges {
    MaxAges { any: Duration::from_hours(1), without_user: Duration::from_hours(1) }
}
