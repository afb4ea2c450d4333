//! dingmap turns a CSV of mobile numbers into the same CSV with DingTalk user ids.
//!
//! This file is the map. The rooms stand bottom floor first, and **a file imports only what stands above it here**,
//! so the crate is a graph without cycles by construction; `tests/it/tidy.rs` keeps it so.
//!
//! ```text
//! input ─▶ source ─batches▶ mobile ─▶ known? ─▶ flight ─▶ [ pace ▶ client ▶ reply ▶ verdict ▶ back off ] ─▶ reorder ─▶ sink ─▶ output
//!                                        └────────────── events ─▶ board ─▶ terminal ──────────────┘
//! ```
//!
//! Words for people pass through `tr!` wherever they stand, and the English ones are what they are known by. Which language
//! is spoken is said once, by `app::language`, before anything else runs.

pub mod domain {
    //! Floor 1, the rules. Pure: no clock, no randomness, no I/O, no async.

    pub mod refusal;
    pub mod quantity;
    pub mod spelling;
    pub mod mobile;
    pub mod masking;
    pub mod outcome;
    pub mod expect;
    pub mod findings;
    pub mod entry;
    pub mod reply;
    pub mod verdict;
    pub mod latency;
    pub mod report;
    pub mod share;
    pub mod shard;
    pub mod change;
}

pub mod table {
    //! Floor 2, the CSV edge: the input's own bytes pass through, five cells are appended to each row; packed files and
    //! workbooks become CSV on the way in. Blocking standard I/O; knows nothing of HTTP, of statuses or of what a
    //! mobile number is.

    pub mod record;
    pub mod encoding;
    pub mod heading;
    pub mod usual;
    pub mod guess;
    pub mod near;
    pub mod dialect;
    pub mod lead;
    pub mod columns;
    pub mod listing;
    pub mod evidence;
    pub mod beside;
    pub mod layout;
    pub mod window;
    pub mod text;
    pub mod head;
    pub mod batch;
    pub mod cell;
    pub mod sheet;
    pub mod container;
    pub mod refusal;
    pub mod look;
    pub mod source;
    pub mod survey;
    pub mod draft;
    pub mod target;
    pub mod splice;
    pub mod quoting;
    pub mod sink;
    #[cfg(test)]
    mod round_trip;
    #[cfg(test)]
    mod encoded_trip;
}

pub mod store {
    //! Floor 2, what is already known: in memory for the length of a run, or in an embedded database that outlives it.
    //! Blocking; a lookup is short, and commits are made on a thread of their own.

    pub mod memory;
    pub mod kept;
    pub mod rule;
    pub mod scope;
    pub mod lock;
    mod overlay;
    pub mod state;
    pub mod runs;
    pub mod usable;
    pub mod journal;
    pub mod ahead;
    pub mod disk;
    pub mod known;
    pub mod upkeep;
}

pub mod api {
    //! Floor 2, the HTTP edge: one request, one reply. When to call, and what an answer means for the run, is the
    //! engine's.

    pub mod rate;
    pub mod turns;
    pub mod pace;
    pub mod fault;
    mod plain;
    pub mod http;
    pub mod veil;
    pub mod token;
    pub mod client;
}

pub mod shared {
    //! Floor 2, what runs on several hosts have in common: one app's quota, its holds, answers and token, on a Redis or
    //! Valkey server. To the engine it is one more giver of turns.

    pub mod seal;
    pub mod clock;
    pub mod link;
    pub mod talk;
    mod vault;
    mod book;
    pub mod desk;
    pub mod purse;
    pub mod membership;
    pub mod tenants;
    #[cfg(test)]
    mod course;
}

pub mod engine {
    //! Floor 3, the run: the only place where tasks and queues are made.

    pub mod event;
    pub mod flight;
    pub mod backoff;
    pub mod settings;
    pub mod inlet;
    mod gathering;
    pub mod reorder;
    pub mod choice;
    pub mod hold;
    pub mod tokens;
    pub mod lookup;
    pub mod under_way;
    pub mod later;
    pub mod omen;
    pub mod ending;
    pub mod remote;
    pub mod dispatcher;
    mod starting;
    pub mod pipeline;
    pub mod manner;
    pub mod misses;
    pub mod feed;
}

pub mod reconcile {
    //! Floor 3, several resolved tables together: two against each other, or the shards of one. In memory that does not grow
    //! with them. Blocking.

    pub mod sorting;
    pub mod watch;
    pub mod reading;
    pub mod comparing;
    pub mod merging;
}

pub mod sandbox {
    //! At the side: an emulated DingTalk API over real HTTP on loopback: people by rule, faults by script, and a
    //! ledger of what arrived. It imports nothing of the rest of the crate and writes its JSON by hand, so that a
    //! mistake in reading replies cannot agree with the same mistake in writing them.

    pub mod directory;
    pub mod script;
    pub mod ledger;
    pub mod wire;
    pub mod gate;
    pub mod platform;
    pub mod server;
}

pub mod app {
    //! Floor 4, the command line: flags as typed become each floor's own options; `terminal` alone writes to
    //! standard error.

    pub mod language;
    pub mod wording;
    pub mod refusal;
    pub mod help;
    pub mod origin;
    pub mod flags;
    pub mod input;
    pub mod cli;
    pub mod exit;
    pub mod variables;
    pub mod signals;
    pub mod network;
    pub mod secret;
    pub mod config;
    pub mod glance;
    pub mod board;
    pub mod chronicle;
    pub mod bar;
    pub mod terminal;
    pub mod answer;
    pub mod kind;
    pub mod preset;
    pub mod printed;
    pub mod typed;
    pub mod files;
    pub mod log;
    pub mod advice;
    pub mod advising;
    pub mod setup;
    pub mod story;
    pub mod account;
    pub mod summary;
    pub mod outlook;
    pub mod chart;
    pub mod panels;
    pub mod departure;
    pub mod page;
    pub mod papers;
    pub mod in_place;
    pub mod retry;
    pub mod opening;
    pub mod recall;
    pub mod outlet;
    pub mod quota;
    pub mod far_side;
    pub mod driving;
    pub mod resolve;
    pub mod working;
    pub mod diff;
    pub mod merge;
    pub mod rehearsal;
    pub mod tally;
    pub mod forecast;
    pub mod effort;
    pub mod outline;
    pub mod plan;
    pub mod tenants;
    pub mod state;
    pub mod completion;
    pub mod manual;
    pub mod start;
}
