//! What a run was set to, flag by flag, as its account tells it. Owns the fields' names, which are those of the flags; no secret
//! is among them. Leaves the rest of the account to `account`.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::app::cli::args::ResolveArgs;
use crate::app::cli::input_args::{MainlandChoice, OnOff};
use crate::app::cli::network;
use crate::app::exit::sanitize;
use crate::table::detect::columns::ColumnChoice;

/// What was set.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct RunSettings {
    /// The API's address; none before it is known.
    pub endpoint: Option<String>,
    sandbox: bool,
    /// Calls a second; none where there is no limit.
    rate: Option<f64>,
    workers: u16,
    max_retries: u32,
    retry_min_seconds: f64,
    retry_max_seconds: f64,
    patience_seconds: f64,
    timeout_seconds: f64,
    connect_timeout_seconds: f64,
    max_calls: Option<u64>,
    max_age_seconds: f64,
    max_age_not_found_seconds: f64,
    region: String,
    strict_numbers: bool,
    mainland: &'static str,
    exclusive_accounts: bool,
    partial: bool,
    retry_failed: bool,
    /// The shard whose rows were taken, as one types it.
    shard: Option<String>,
    /// The column of user ids on file, as it was named.
    expect: Option<String>,
    /// The file of rows to try again.
    failed: Option<String>,
    output_encoding: Option<String>,
    fail_on: Option<String>,
    /// The server of a quota that runs share, without user and password.
    shared: Option<String>,
    shared_optional: bool,
}

impl RunSettings {
    /// That of a run with these flags.
    #[must_use]
    pub(crate) fn from_args(args: &ResolveArgs) -> Self {
        let seconds = |duration: Duration| duration.as_secs_f64();
        Self {
            endpoint: None,
            sandbox: args.sandbox,
            rate: args.rate_limit.rate.per_second(),
            workers: args.workers,
            max_retries: args.max_retries,
            retry_min_seconds: seconds(args.retry_min),
            retry_max_seconds: seconds(args.retry_max),
            patience_seconds: seconds(args.patience),
            timeout_seconds: seconds(args.timeout),
            connect_timeout_seconds: seconds(args.connect_timeout),
            max_calls: args.max_calls,
            max_age_seconds: seconds(args.state.max_age),
            max_age_not_found_seconds: seconds(args.state.max_age_not_found),
            region: args.numbers.region.to_string(),
            strict_numbers: args.numbers.strict_numbers == OnOff::On,
            mainland: match args.api.mainland {
                MainlandChoice::Plain => "plain",
                MainlandChoice::Prefixed => "prefixed",
            },
            exclusive_accounts: args.api.exclusive_accounts,
            partial: args.partial,
            retry_failed: args.retry_failed,
            shard: args.sharding.shard.map(|shard| shard.to_string()),
            expect: args.expect.as_ref().map(|choice| sanitize(&column_text(choice))),
            failed: args.failed.as_ref().map(|file| file.display().to_string()),
            output_encoding: args.output_encoding.map(|encoding| encoding.to_string()),
            fail_on: args.fail_on.as_ref().map(flag_value),
            shared: args.quota.shared.as_ref().and_then(network::describe_shared_server),
            shared_optional: args.quota.shared_optional,
        }
    }
}

/// A column, as one names it.
fn column_text(choice: &ColumnChoice) -> String {
    match choice {
        ColumnChoice::Name(name) => name.clone(),
        ColumnChoice::Position(position) => position.to_string(),
        ColumnChoice::Pattern(pattern) => format!("/{pattern}/"),
    }
}

/// A value of a flag, as one types it.
fn flag_value(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
