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

mod api;
mod app;
mod domain;
mod engine;
mod quota;
mod reconcile;
mod sandbox;
mod store;
mod table;

pub use app::start::start;

/// What the integration tests, the benches and the fuzz targets use; no interface for anybody else.
#[doc(hidden)]
pub mod testing {
    pub mod domain {
        pub use crate::domain::number::cell::Entry;
        pub use crate::domain::number::invalid::Refusal;
        pub use crate::domain::number::mobile::{Home, Mainland, Mobile, Rules};
        pub use crate::domain::outcome::{Code, Outcome, Status};
        pub use crate::domain::reply::{Garbled, decode};
        pub use crate::domain::totals::{Repeat, Report};
        pub use crate::domain::verdict::{Hold, Limit, Pause, Verdict, banned, verdict};
    }
    pub mod table {
        pub use crate::table::detect::columns::ColumnChoice;
        pub use crate::table::detect::layout::Options;
        pub use crate::table::detect::preamble::Lead;
        pub use crate::table::prescan::survey;
        pub use crate::table::raw::batch::Batch;
        pub use crate::table::raw::encoding::Encoding;
        pub use crate::table::raw::framer::line_ends;
        pub use crate::table::source::{Source, SourceError};
        pub mod workbook {
            pub use crate::table::unpack::workbook::open;
        }
        pub use crate::table::unpack::workbook::SheetError;
        pub use crate::table::write::output::Target;
        pub use crate::table::write::sink::{Sink, Style};
    }
    pub mod store {
        pub use crate::store::answers::Known;
        pub use crate::store::disk::database::State;
        pub use crate::store::disk::disk_store::Disk;
        pub use crate::store::disk::prefetch::Foreseen;
        pub use crate::store::disk::sessions::{Wish, begin, foreseen};
        pub use crate::store::disk::usable::Usable;
        pub use crate::store::freshness::{Ages, Rule};
        pub use crate::store::scope::Scope;
    }
    pub mod api {
        pub use crate::api::error::Fault;
        pub use crate::api::http::Reply;
        pub use crate::api::lookup_api::Remote;
        pub use crate::api::rate::Rate;
        pub use crate::api::rate_limiter::Pace;
        pub use crate::api::token::{Grant, NoToken, TokenCall};
    }
    pub mod quota {
        pub use crate::quota::connection::Link;
        pub use crate::quota::protocol::{How, Reply, Request, Talk, Told};
    }
    pub mod engine {
        pub use crate::engine::backoff::Retries;
        pub use crate::engine::end::{End, Halt};
        pub use crate::engine::event::Event;
        pub use crate::engine::io::batch_receiver::Inlet;
        pub use crate::engine::limits::{SHEET, Settings, Sheet};
        pub use crate::engine::lookup::Stop;
        pub use crate::engine::reorder::{Answer, Chunk, Reorder};
        pub mod run {
            pub use crate::engine::run::run;
        }
        pub use crate::engine::run::Ends;
        pub use crate::engine::single_flight::{Flight, Waiting};
    }
    pub mod sandbox {
        pub use crate::sandbox::call_log::{Call, Ledger, TokenKind};
        pub use crate::sandbox::directory::{Rule, exclusive_ids_of, userid_of};
        pub use crate::sandbox::script::{Answer, Script};
        pub use crate::sandbox::server::Server;
    }
    pub mod app {
        pub use crate::app::cli::args::{Cli, Command, Resolve};
        pub mod options {
            pub use crate::app::cli::options::{mainland, rules};
        }
        pub use crate::app::i18n::language::Language;
    }
}
