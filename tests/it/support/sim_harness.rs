//! Simulated runs on a paused clock: the default limits, an API that answers by rule, and a run
//! over some numbers from its first row to its last.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use dingmap::testing::api::CallError;
use dingmap::testing::api::LocalLimiter;
use dingmap::testing::api::LookupApi;
use dingmap::testing::api::Rate;
use dingmap::testing::api::Reply;
use dingmap::testing::api::{AccessToken, TokenEndpoint, TokenError};
use dingmap::testing::domain::Totals;
use dingmap::testing::domain::{DefaultRegion, MainlandFormat, Mobile};
use dingmap::testing::engine::Event;
use dingmap::testing::engine::RetryPolicy;
use dingmap::testing::engine::{RowBatch, RunLimits};
use dingmap::testing::engine::{RunEnd, Stop};
use dingmap::testing::engine::{RunIo, run};
use dingmap::testing::store::Answers;
use dingmap::testing::store::Prefetched;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// A reply without headers, on a connection of its own.
pub(crate) fn http_reply(status: u16, body: impl Into<String>) -> Reply {
    let body = body.into().into();
    Reply { status, retry_after: None, redirects_to: None, connection: None, body }
}

/// An API that answers by the last two digits of a number, after a latency.
pub(crate) struct FakeLookupApi(pub(crate) fn(u8) -> (Duration, &'static str));

impl LookupApi for FakeLookupApi {
    async fn lookup(&self, mobile: Mobile, _: &SecretString) -> Result<Reply, CallError> {
        let number = mobile.to_api_string(MainlandFormat::Plain);
        let (latency, body) = (self.0)(number[9..].parse().unwrap());
        tokio::time::sleep(latency).await;
        Ok(http_reply(200, body))
    }

    async fn fetch_token(&self, _: TokenEndpoint) -> Result<AccessToken, TokenError> {
        Ok(AccessToken { token: "t".into(), renew_after: None })
    }

    fn token_call_count(&self) -> u64 {
        0
    }

    fn can_renew_token(&self) -> bool {
        false
    }

    fn redact(&self, text: String) -> String {
        text
    }
}

/// The replies for a number that is found and for too many calls.
pub(crate) const FOUND_REPLY: &str = r#"{"errcode":0,"errmsg":"ok","result":{"userid":"u"}}"#;
pub(crate) const THROTTLED_REPLY: &str =
    r#"{"errcode":88,"sub_code":"90018","sub_msg":"slow down"}"#;

/// The defaults of the flags, and chance that is the same each time.
pub(crate) fn default_limits() -> RunLimits {
    RunLimits {
        workers: 16,
        window: 1024,
        retry_policy: RetryPolicy {
            max_retries: 5,
            min_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(30),
        },
        patience: Duration::from_mins(15),
        max_calls: None,
        partial: false,
        read_to_end: true,
        seed: 0,
        wall_clock: || Timestamp::UNIX_EPOCH,
    }
}

/// A runtime whose clock is paused, and advances only while every task waits.
pub(crate) fn paused_runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

/// A run over so many distinct numbers: its totals and its end.
pub(crate) async fn run_numbers<R: LookupApi>(
    remote: Arc<R>,
    settings: RunLimits,
    rate: Rate,
    count: usize,
    announce: impl FnMut(&Event),
) -> (Totals, RunEnd) {
    let (sender, batches) = mpsc::channel::<Result<Option<RowBatch<()>>, String>>(1);
    tokio::spawn(async move {
        let numbers: Vec<_> = (0..count)
            .map(|n| Mobile::parse(&format!("139{n:08}"), DefaultRegion::CHINA))
            .collect();
        for numbers in numbers.chunks(500) {
            let batch = RowBatch {
                source_bytes: 0,
                payload: (),
                mobiles: numbers.to_vec(),
                numbers_per_row: NonZeroUsize::MIN,
                judgements: Vec::new(),
                prefetched: Prefetched::default(),
            };
            let _ = sender.send(Ok(Some(batch))).await;
        }
        let _ = sender.send(Ok(None)).await;
    });
    let (chunks, mut out) = mpsc::channel(16);
    tokio::spawn(async move { while out.recv().await.is_some() {} });
    let (_stop, stopped) = watch::channel(Stop::Running);
    let (mut known, ends) = (Answers::default(), RunIo { batches: &mut batches.into(), chunks });
    let run = run::run(
        settings,
        remote,
        Box::new(LocalLimiter::new(rate)),
        &mut known,
        ends,
        stopped,
        announce,
    );
    let (report, end) = run.await;
    (report, end.unwrap())
}
