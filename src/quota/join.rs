//! A run becomes one of those that share an app's quota: which app that is on the server, under which name the run is known
//! there, and what it finds. Leaves what follows to `desk` and `purse`.

use std::sync::Arc;

use redis::Client;
use secrecy::SecretString;

use crate::api::rate::Rate;
use crate::quota::answer_cache::Vault;
use crate::quota::connection::{Link, Silence};
use crate::quota::crypto::Seal;
use crate::quota::limiter::{self, Desk, Part};
use crate::quota::protocol::Talk;
use crate::quota::run_state::Book;
use crate::quota::token_cache::Purse;
use crate::store::freshness::Ages;
use crate::store::scope::{Fingerprint, Scope};

/// How much of a digest stands for an app.
const PLACE: usize = 16;

/// What a run brings.
#[derive(Debug)]
pub(crate) struct Application {
    /// The server, and how to be let in.
    pub client: Client,
    /// Whose answers, and how they are asked.
    pub scope: Scope,
    /// What only those have who may share: the app's secret, or the token where there is no other.
    pub secret: SecretString,
    /// The rate that the run was given.
    pub rate: Rate,
    /// How old the answers of earlier runs may be.
    pub ages: Ages,
    /// Whether the run goes on by itself where the server is silent.
    pub optional: bool,
}

/// A run that shares.
#[derive(Debug)]
pub(crate) struct Membership {
    book: Book,
    talk: Talk,
    link: Arc<Link>,
    seal: Arc<Seal>,
    place: String,
    run: String,
    optional: bool,
    silence: Option<Silence>,
}

/// What an app's keys begin with behind the prefix: short, of plain letters, and another one for another host or app.
#[must_use]
pub(crate) fn place(scope: &Scope) -> String {
    let print = Fingerprint::of("dingmap shared")
        .and("endpoint", scope.endpoint.as_bytes())
        .and("app", scope.app.as_bytes())
        .to_string();
    // In a cluster all keys with the same word in braces lie on one node, which a script needs.
    format!("{{{}}}", print.get(..PLACE).unwrap_or_default())
}

impl Membership {
    /// Joins, or stands at the door where the server is silent. None only where no keys can be made of the secret.
    pub(crate) async fn join(application: Application) -> Option<Self> {
        let Application { client, scope, secret, rate, ages, optional } = application;
        let (link, seal) = (Arc::new(Link::to(client)), Arc::new(Seal::of(&secret)?));
        let question = vec![u8::from(scope.exclusive), u8::from(scope.prefixed)];
        let (place, run) = (place(&scope), format!("{:016x}", fastrand::u64(..)));
        let mut book = Book::new(Vault::of(Arc::clone(&seal), question, ages), rate, optional);
        let talk = Talk::of(place.clone(), [scope.endpoint, scope.app], run.clone());
        let silence = limiter::greet(&mut book, &talk, &link).await.err();
        Some(Self { book, talk, link, seal, place, run, optional, silence })
    }

    /// Why the server was not heard yet.
    #[must_use]
    pub(crate) fn silence(&self) -> Option<&Silence> {
        self.silence.as_ref()
    }

    /// The lowest rate that any of the runs was given, and how many other runs there are; none before the server was heard.
    #[must_use]
    pub(crate) fn found(&self) -> Option<(Rate, u32)> {
        self.book.least().map(|least| (least, self.book.runs() - 1))
    }

    /// Where the token is kept.
    #[must_use]
    pub(crate) fn purse(&self) -> Purse {
        let (link, seal) = (Arc::clone(&self.link), Arc::clone(&self.seal));
        Purse::of(link, seal, &self.place, self.run.clone(), self.optional)
    }

    /// Takes part from now on.
    #[must_use]
    pub(crate) fn open(self) -> (Desk, Part) {
        limiter::open(self.book, self.talk, self.link)
    }
}
