//! Where a run that shares its quota asks for its turns: what the engine asks is answered from the book at once, and a clerk
//! beside it speaks with the server. Owns when there is a word, and what people are told of silences. Leaves what the words
//! mean to `book`.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::api::limiter::{Stand, Turns};
use crate::api::rate::Rate;
use crate::domain::number::mobile::Mobile;
use crate::domain::outcome::Outcome;
use crate::domain::verdict::Limit;
use crate::quota::connection::{Link, Silence};
use crate::quota::protocol::Talk;
use crate::quota::run_state::Book;
use crate::store::disk::record::definitive;

/// A run with slots, or in want of them, is heard of so often, which is how soon it knows of a rest that others met; one with
/// neither so often.
const BUSY: Duration = Duration::from_millis(150);
const IDLE: Duration = Duration::from_millis(500);
/// After a word that was not answered the next one is tried this much later, and after the third one that.
const SOON: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_millis(400);
/// Words that nobody has read yet; more than that are dropped.
const WORDS: usize = 16;
/// How long a run that has ended waits for its last answers to be taken.
const LAST: Duration = Duration::from_secs(2);

/// What people are told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Word {
    /// The server is silent, so that nothing is called.
    Lost(Silence),
    /// It is, and the run goes on at a rate of its own, as one of so many.
    Alone(Silence, Rate, u32),
    /// It is there again, after so long.
    Back(Duration),
}

/// What the clerk and the engine's side have in common.
struct Common {
    book: Mutex<Book>,
    /// There may be something to say.
    work: Notify,
    closing: Notify,
    wake: Mutex<Option<Box<dyn Fn() + Send + Sync>>>,
}

impl Common {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        if let Some(wake) = &*self.wake.lock().unwrap_or_else(PoisonError::into_inner) {
            wake();
        }
    }

    /// Has the clerk look, where there is something to say.
    fn urge(&self, book: &Book) {
        if book.is_eager() {
            self.work.notify_one();
        }
    }
}

/// The giver of turns of a run that shares its quota.
pub(crate) struct Desk(Arc<Common>);

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Desk(..)")
    }
}

/// A run's part in what is shared, for as long as it lasts.
pub(crate) struct Part {
    common: Arc<Common>,
    clerk: JoinHandle<()>,
    words: Receiver<Word>,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Part(..)")
    }
}

/// Says to the server for the first time that a run is there.
///
/// # Errors
/// [`Silence`]; the run may take part all the same, and rests until it is heard.
pub(crate) async fn greet(book: &mut Book, talk: &Talk, link: &Link) -> Result<(), Silence> {
    let (said, sent) = (book.request(true), Instant::now());
    let reply = talk.say(link, &said.request).await?;
    book.fold(&said, &reply, sent, Instant::now());
    Ok(())
}

/// Begins to take part.
pub(crate) fn open(mut book: Book, talk: Talk, link: Arc<Link>) -> (Desk, Part) {
    book.begin();
    let common = Arc::new(Common {
        book: Mutex::new(book),
        work: Notify::new(),
        closing: Notify::new(),
        wake: Mutex::default(),
    });
    let (told, words) = channel(WORDS);
    let clerk = Clerk { common: Arc::clone(&common), talk, link, told, since: None, failures: 0 };
    (Desk(Arc::clone(&common)), Part { common, clerk: tokio::spawn(clerk.work()), words })
}

impl Part {
    /// Waits for what people are to be told. Giving the wait up loses nothing.
    pub(crate) async fn word(&mut self) -> Option<Word> {
        self.words.recv().await
    }

    /// Ends it: the last answers are handed over, within two seconds, and what was claimed is free.
    pub(crate) async fn leave(self) {
        self.common.closing.notify_one();
        // Without it what was claimed is free five seconds later.
        let _ = timeout(LAST, self.clerk).await;
    }
}

struct Clerk {
    common: Arc<Common>,
    talk: Talk,
    link: Arc<Link>,
    told: Sender<Word>,
    /// Since when people know that the server is silent.
    since: Option<Instant>,
    failures: u32,
}

impl Clerk {
    async fn work(mut self) {
        let mut closing = false;
        let mut pause = Duration::ZERO;
        while !(closing && self.common.book().is_told()) {
            closing = self.wait(pause, closing).await;
            pause = self.speak(closing).await;
        }
        // Where the server is silent, what was claimed is free a little later.
        let _ = self.talk.leave(&self.link).await;
    }

    /// Waits until there is something to say, or for this pause; whether it is to be the last.
    async fn wait(&self, pause: Duration, closing: bool) -> bool {
        if closing || !pause.is_zero() {
            sleep(pause).await;
            return closing;
        }
        let begun = Instant::now();
        loop {
            let until = {
                let book = self.common.book();
                if book.is_eager() {
                    return false;
                }
                begun + if book.is_busy() { BUSY } else { IDLE }
            };
            tokio::select! {
                biased;
                () = self.common.closing.notified() => return true,
                () = self.common.work.notified() => {}
                () = sleep_until(until) => return false,
            }
        }
    }

    /// One word, and what follows: how long to wait where there was no answer.
    async fn speak(&mut self, closing: bool) -> Duration {
        let said = self.common.book().request(closing);
        let sent = Instant::now();
        let pause = match self.talk.say(&self.link, &said.request).await {
            Ok(reply) => {
                self.common.book().fold(&said, &reply, sent, Instant::now());
                self.failures = 0;
                if let Some(since) = self.since.take() {
                    let _ = self.told.try_send(Word::Back(since.elapsed()));
                }
                Duration::ZERO
            }
            Err(silence) => {
                self.failures += 1;
                let pause = if self.failures < 3 { SOON } else { LATER };
                let (lost, word) = {
                    let mut book = self.common.book();
                    book.silent(silence.clone(), pause);
                    let alone =
                        book.alone().map(|rate| Word::Alone(silence.clone(), rate, book.runs()));
                    (book.is_lost(), alone.unwrap_or(Word::Lost(silence)))
                };
                if lost && self.since.is_none() {
                    self.since = Some(Instant::now());
                    let _ = self.told.try_send(word);
                }
                pause
            }
        };
        self.common.tell();
        pause
    }
}

impl Turns for Desk {
    fn expect(&mut self, numbers: &mut dyn Iterator<Item = Mobile>, room: usize) -> usize {
        let mut book = self.0.book();
        book.expect(numbers, room);
        self.0.urge(&book);
        book.looked_at()
    }

    fn stand(&mut self, mobile: Mobile) -> Stand {
        self.0.book().stand(mobile)
    }

    fn take(&mut self) -> Result<(), Option<Instant>> {
        let mut book = self.0.book();
        let taken = book.take();
        self.0.urge(&book);
        taken
    }

    fn rest(&mut self) -> Option<(Instant, Limit)> {
        self.0.book().rest()
    }

    fn held(&mut self, until: Instant, cause: Limit, begins: bool) {
        let mut book = self.0.book();
        book.held(until, cause, begins);
        self.0.urge(&book);
    }

    fn answered(&mut self, mobile: Mobile, outcome: &Arc<Outcome>) {
        let mut book = self.0.book();
        let now = || book.now().unwrap_or_else(wall);
        let answer = definitive(outcome.status).then(|| (Arc::clone(outcome), now()));
        book.answered(mobile, answer);
        self.0.urge(&book);
    }

    fn let_go(&mut self, mobile: Mobile) {
        let mut book = self.0.book();
        book.let_go(mobile);
    }

    fn current(&self) -> Rate {
        self.0.book().current()
    }

    fn on_news(&mut self, wake: Box<dyn Fn() + Send + Sync>) {
        *self.0.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(wake);
    }
}

/// The wall clock, in milliseconds since 1970.
fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
