//! Runs against a server: rate, throttling, tokens, connection faults, signals.

pub(crate) mod exit_status;
pub(crate) mod faults;
pub(crate) mod faults_end_to_end;
pub(crate) mod machine_failures;
pub(crate) mod network;
pub(crate) mod rate_limit;
pub(crate) mod recorded_clients;
pub(crate) mod run_end;
pub(crate) mod sandbox_server;
pub(crate) mod signals;
pub(crate) mod simulation;
pub(crate) mod stream_output;
pub(crate) mod throttling;
pub(crate) mod tokens;
pub(crate) mod unsolicited_replies;
