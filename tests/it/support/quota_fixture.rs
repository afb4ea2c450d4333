//! Runs that share one quota over a server, black-box: several real processes, one API whose call
//! log tells what arrived there from all of them together, and a Redis server to which everything
//! may happen.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use dingmap::testing::sandbox::Script;
use dingmap::testing::sandbox::{Call, CallLog};

use crate::support::process::{Process, wait_until};
use crate::support::redis::RedisServer;
use crate::support::rows::read_rows;
use crate::support::sandbox::Sandbox;
use crate::support::stall_monitor::StallMonitor;
use crate::support::workdir::Workdir;

/// Calls a second, of all runs together.
pub(crate) const CALLS_PER_SECOND: u32 = 20;
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// Where runs meet: an API, a server, and a place for their files.
pub(crate) struct QuotaFixture {
    pub(crate) sandbox: Sandbox,
    pub(crate) redis: RedisServer,
    pub(crate) workdir: Workdir,
    pub(crate) stall_monitor: StallMonitor,
}

impl QuotaFixture {
    pub(crate) fn new(script: Script) -> Self {
        Self::with_redis(RedisServer::start(), script)
    }

    pub(crate) fn with_redis(redis: RedisServer, script: Script) -> Self {
        Self {
            // Calls are timed where they arrive. The handshake of TLS would delay the first call of
            // a connection, and not those after it.
            sandbox: Sandbox::with_plain_http(script),
            redis,
            workdir: Workdir::new(),
            stall_monitor: StallMonitor::start(),
        }
    }

    /// `dingmap resolve` of a table with this fixture's server; the run has a state and an output
    /// of its own, by its name.
    pub(crate) fn command(&self, name: &str, table: &str) -> Command {
        self.command_at_url(&self.redis.url(), name, table)
    }

    /// The same over another address.
    pub(crate) fn command_at_url(&self, url: &str, name: &str, table: &str) -> Command {
        let mut command = self.command_without_shared(name, table);
        command.args(["--shared", url]);
        command
    }

    /// The same without a word about a server.
    pub(crate) fn command_without_shared(&self, name: &str, table: &str) -> Command {
        let input = self.workdir.write_file(&format!("{name}.csv"), table);
        let mut command = self.sandbox.resolve(&input, &self.output_path(name));
        command.arg("--state").arg(self.workdir.path(format!("{name}.redb")));
        command.env("DINGMAP_RATE", CALLS_PER_SECOND.to_string()).args(["--progress", "none"]);
        command
    }

    pub(crate) fn output_path(&self, name: &str) -> PathBuf {
        self.workdir.path(format!("{name}.out.csv"))
    }

    /// How many rows of a run's output have this status.
    pub(crate) fn count_rows(&self, name: &str, status: &str) -> usize {
        read_rows(&self.output_path(name)).iter().filter(|row| row["status"] == status).count()
    }

    /// Waits until a run has made so many calls.
    pub(crate) fn wait_for_calls_of(&self, run: u32, count: usize) {
        wait_until("calls", || {
            (calls_of(&self.sandbox.call_log(), run).count() >= count).then_some(())
        });
    }

    /// Waits until each of the first two runs has made so many.
    pub(crate) fn wait_for_calls_of_both(&self, count: usize) {
        (0..2).for_each(|run| self.wait_for_calls_of(run, count));
    }

    /// How late a call may arrive on this machine: twice the worst delay of a thread so far, at the
    /// sender and at the server.
    pub(crate) fn lateness(&self) -> Duration {
        2 * self.stall_monitor.worst_lateness()
    }

    /// A second, less that lateness. Calls are timed where they arrive, so a late call comes closer
    /// to the next ones.
    pub(crate) fn safe_window(&self) -> Duration {
        SECOND.saturating_sub(self.lateness())
    }

    /// Asserts that no window of a second, as above, had more calls than the rate allows, over all
    /// runs and from the first call to the last.
    #[track_caller]
    pub(crate) fn assert_never_over_rate(&self) {
        let window = self.safe_window();
        let most = self.sandbox.call_log().max_in_window(window);
        assert!(most <= CALLS_PER_SECOND as usize, "{most} calls in {window:?}");
    }
}

/// A number of a run, which tells by whom it was asked for; the sandbox finds each.
pub(crate) fn number_of_run(run: u32, at: u32) -> String {
    format!("13{run}{:06}{:02}", at / 80, at % 80)
}

/// A table of so many numbers of a run.
pub(crate) fn table_of_run(run: u32, count: u32) -> String {
    let rows: Vec<_> = (0..count).map(|at| number_of_run(run, at) + "\n").collect();
    "mobile\n".to_owned() + &rows.concat()
}

/// The calls for a run's numbers.
pub(crate) fn calls_of(call_log: &CallLog, run: u32) -> impl Iterator<Item = &Call> {
    call_log.calls().iter().filter(move |call| call.number.starts_with(&format!("13{run}")))
}

/// The calls that arrived from one moment to another.
pub(crate) fn calls_between<'a>(
    calls: impl Iterator<Item = &'a Call>,
    from: Instant,
    to: Instant,
) -> impl Iterator<Item = &'a Call> {
    calls.filter(move |call| call.at >= from && call.at < to)
}

/// The first line of a run's standard error.
pub(crate) fn first_line(run: &Process) -> String {
    wait_until("a first line", || run.stderr().lines().next().map(str::to_owned))
}

pub(crate) fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}
