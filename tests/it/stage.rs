//! What whole runs on a paused clock stand on: the usual bounds, and a run over some numbers from its first row to its last.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use dingmap::api::pace::Pace;
use dingmap::api::rate::Rate;
use dingmap::domain::mobile::{Home, Mobile};
use dingmap::domain::report::Report;
use dingmap::engine::backoff::Retries;
use dingmap::engine::ending::{End, Halt};
use dingmap::engine::event::Event;
use dingmap::engine::pipeline::{self, Ends};
use dingmap::engine::remote::Remote;
use dingmap::engine::settings::{Settings, Sheet};
use dingmap::store::ahead::Foreseen;
use dingmap::store::known::Known;
use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

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
        let numbers: Vec<_> = (0..count).map(|n| Mobile::parse(&format!("139{n:08}"), Home::CHINA)).collect();
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
    let run = pipeline::run(settings, remote, Pace::new(rate), &mut known, ends, stopped, announce);
    let (report, end) = run.await;
    (report, end.unwrap())
}
