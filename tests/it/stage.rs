//! What whole runs on a paused clock stand on: the usual bounds, a far side that answers by rule, and a run over some numbers from its first row to its last.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use dingmap::testing::api::Fault;
use dingmap::testing::api::Pace;
use dingmap::testing::api::Rate;
use dingmap::testing::api::Remote;
use dingmap::testing::api::Reply;
use dingmap::testing::api::{Grant, NoToken, TokenCall};
use dingmap::testing::domain::Report;
use dingmap::testing::domain::{Home, Mainland, Mobile};
use dingmap::testing::engine::Event;
use dingmap::testing::engine::Retries;
use dingmap::testing::engine::{End, Halt};
use dingmap::testing::engine::{Ends, run};
use dingmap::testing::engine::{Settings, Sheet};
use dingmap::testing::store::Foreseen;
use dingmap::testing::store::Known;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// A far side that answers by the last two digits of a number, after a time.
pub(crate) struct Digits(pub(crate) fn(u8) -> (Duration, &'static str));

impl Remote for Digits {
    async fn lookup(&self, mobile: Mobile, _: &SecretString) -> Result<Reply, Fault> {
        let number = mobile.sent(Mainland::Plain);
        let (latency, body) = (self.0)(number[9..].parse().unwrap());
        tokio::time::sleep(latency).await;
        Ok(Reply { status: 200, retry_after: None, leads_to: None, body: body.into() })
    }

    async fn token(&self, _: TokenCall) -> Result<Grant, NoToken> {
        Ok(Grant { token: "t".into(), fresh_for: None })
    }

    fn token_calls(&self) -> u64 {
        0
    }

    fn renews(&self) -> bool {
        false
    }

    fn hide(&self, text: String) -> String {
        text
    }
}

/// What it says of somebody who is found, and of too many calls.
pub(crate) const FOUND: &str = r#"{"errcode":0,"errmsg":"ok","result":{"userid":"u"}}"#;
pub(crate) const SLOW_DOWN: &str = r#"{"errcode":88,"sub_code":"90018","sub_msg":"slow down"}"#;

/// The bounds of DESIGN 1, and chance that is the same each time.
pub(crate) fn settings() -> Settings {
    Settings {
        workers: 16,
        window: 1024,
        retries: Retries { most: 5, min: Duration::from_millis(500), max: Duration::from_secs(30) },
        patience: Duration::from_mins(15),
        most_calls: None,
        partial: false,
        reads_on: true,
        seed: 0,
        wall: || Timestamp::UNIX_EPOCH,
    }
}

/// A runtime whose clock stands still unless everybody waits.
pub(crate) fn paused() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// A run over so many distinct numbers: its totals and its end.
pub(crate) async fn perform<R: Remote>(
    remote: Arc<R>,
    settings: Settings,
    rate: Rate,
    count: usize,
    announce: impl FnMut(&Event),
) -> (Report, End) {
    let (sender, sheets) = mpsc::channel::<Result<Option<Sheet<()>>, String>>(1);
    tokio::spawn(async move {
        let numbers: Vec<_> =
            (0..count).map(|n| Mobile::parse(&format!("139{n:08}"), Home::CHINA)).collect();
        for numbers in numbers.chunks(500) {
            let sheet = Sheet {
                load: (),
                numbers: numbers.to_vec(),
                per_row: NonZeroUsize::MIN,
                earlier: Vec::new(),
                foreseen: Foreseen::default(),
            };
            let _ = sender.send(Ok(Some(sheet))).await;
        }
        let _ = sender.send(Ok(None)).await;
    });
    let (chunks, mut out) = mpsc::channel(16);
    tokio::spawn(async move { while out.recv().await.is_some() {} });
    let (_stop, stopped) = watch::channel(Halt::No);
    let (mut known, ends) = (Known::default(), Ends { sheets: &mut sheets.into(), chunks });
    let run =
        run::run(settings, remote, Box::new(Pace::new(rate)), &mut known, ends, stopped, announce);
    let (report, end) = run.await;
    (report, end.unwrap())
}
