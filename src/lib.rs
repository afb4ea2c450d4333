//! dingmap reads a table of mobile numbers and writes the same table with DingTalk user ids.
//!
//! A top-level module imports only modules below it in this list; the `mod` lines have the same
//! order, lowest first. `tests/it/layout.rs` checks it.
//!
//! | module | content |
//! |---|---|
//! | `app` | the command line: arguments, commands, progress, reports |
//! | `engine`, `reconcile` | the run; comparing and merging resolved tables |
//! | `quota` | a quota shared by runs on several machines |
//! | `api`, `store`, `table` | HTTP client, rate limiter; known answers; reading, writing tables |
//! | `domain` | rules of numbers, replies and statuses, without I/O |
//! | `clock` | the wall clock |
//! | `sandbox` | an emulated API; imports none of the others |
//!
//! The path of a row:
//!
//! ```text
//! input
//!   table::source           decode, split into rows, in batches
//!   engine::io (reader)     find the numbers of each row (domain::number)
//!   engine::dispatcher      answer from the store, or join the call of the same number
//!     api::rate_limiter     wait until the call may leave
//!     api::client           one request, one reply
//!     engine::lookup        classify the reply (domain::reply, domain::verdict); retry or answer
//!   engine::reorder         put the answered rows back into input order
//!   engine::io (writer)     append the answer columns (table::write)
//! output
//! ```
//!
//! The engine reports what it does as events; `app::progress` and `app::report` show them. Texts
//! for people are written in English in `tr!`, which translates them into the language of the run.

mod clock;
mod domain;
mod table;
mod store;
mod api;
mod quota;
mod engine;
mod reconcile;
mod sandbox;
mod guide;
mod app;

pub use app::start::start;

/// For the integration tests, the benches and the fuzz targets. Not a public interface.
#[doc(hidden)]
pub mod testing {
    pub mod domain {
        pub use crate::domain::number::cell::NumberCell;
        pub use crate::domain::number::invalid::Invalid;
        pub use crate::domain::number::mobile::{
            DefaultRegion, MainlandFormat, Mobile, NumberRules,
        };
        pub use crate::domain::outcome::{Code, Outcome, Status};
        pub use crate::domain::reply::{DecodeError, decode};
        pub use crate::domain::totals::{RetryCause, Totals};
        pub use crate::domain::verdict::{
            Limit, Pause, PauseLength, Verdict, by_code, ip_ban_pause,
        };
    }
    pub mod table {
        pub use crate::table::detect::columns::ColumnChoice;
        pub use crate::table::detect::country_column::CountryChoice;
        pub use crate::table::detect::file_type::FileType;
        pub use crate::table::detect::layout::SourceOptions;
        pub use crate::table::detect::preamble::Preamble;
        pub use crate::table::prescan::prescan;
        pub use crate::table::raw::batch::Batch;
        pub use crate::table::raw::encoding::Encoding;
        pub use crate::table::raw::framer::count_line_ends;
        pub use crate::table::source::{Source, SourceError};
        pub mod workbook {
            pub use crate::table::unpack::workbook::{SheetFit, open};
        }
        pub use crate::table::unpack::workbook::error::WorkbookError;
        pub use crate::table::write::output::Target;
        pub use crate::table::write::sink::{Sink, SinkOptions};
    }
    pub mod store {
        pub use crate::store::answers::Answers;
        pub use crate::store::disk::database::State;
        pub use crate::store::disk::disk_store::DiskStore;
        pub use crate::store::disk::prefetch::CommittedAnswers;
        pub use crate::store::disk::prefetch::Prefetched;
        pub use crate::store::disk::sessions::{SessionRequest, begin_session, preview_session};
        pub use crate::store::freshness::{Freshness, MaxAges};
        pub use crate::store::scope::Scope;
    }
    pub mod api {
        pub use crate::api::error::{CallError, Shortage};
        pub use crate::api::http::Reply;
        pub use crate::api::lookup_api::LookupApi;
        pub use crate::api::rate::Rate;
        pub use crate::api::rate_limiter::LocalLimiter;
        pub use crate::api::token::{AccessToken, TokenEndpoint, TokenError};
    }
    pub mod quota {
        pub use crate::quota::connection::Connection;
        pub use crate::quota::protocol::{
            ExchangeReply, ExchangeRequest, Protocol, QueryMode, QueryResult,
        };
    }
    pub mod engine {
        pub use crate::engine::backoff::RetryPolicy;
        pub use crate::engine::end::{RunEnd, Stop};
        pub use crate::engine::event::Event;
        pub use crate::engine::io::batch_receiver::RoundRobinReceiver;
        pub use crate::engine::limits::{BATCH_ROWS, RowBatch, RunLimits};
        pub use crate::engine::lookup::Abort;
        pub use crate::engine::reorder::{Answer, Chunk, ReorderBuffer};
        pub mod run {
            pub use crate::engine::run::run;
        }
        pub use crate::engine::run::RunIo;
        pub use crate::engine::single_flight::{SingleFlight, WaitingRow};
    }
    pub mod sandbox {
        pub use crate::sandbox::call_log::{Call, CallLog, TokenEndpoint};
        pub use crate::sandbox::directory::{
            DirectoryEntry, IdForm, exclusive_ids_for, userid_for,
        };
        pub use crate::sandbox::script::{Script, ScriptedAnswer};
        pub use crate::sandbox::server::Server;
    }
    pub mod app {
        pub use crate::app::cli::args::{Cli, Command, ResolveArgs};
        pub mod options {
            pub use crate::app::cli::options::{mainland_format, number_rules};
        }
        pub use crate::app::i18n::language::Language;
    }
}
