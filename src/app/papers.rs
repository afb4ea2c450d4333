//! The files that tell of a run: opened before anything is done, so that a place that cannot be written to is told then, and
//! written whatever the run came to. Leaves what they say to `account` and `page`.

use std::io::{self, Write};

use tr::tr;

use crate::app::account::Account;
use crate::app::exit::{Exit, Failure};
use crate::app::files::Targets;
use crate::app::page;
use crate::table::target::{Output, Target};

const METRICS: &str = "--metrics";

/// One of them.
struct Paper {
    flag: &'static str,
    target: Target,
    output: Output,
    text: fn(&Account) -> Result<String, serde_json::Error>,
}

/// All that are asked for.
pub struct Papers(Vec<Paper>);

impl Papers {
    /// Opens them; a file keeps its old content until [`Papers::write`].
    ///
    /// # Errors
    /// Output (7) for a place that cannot be written to.
    pub fn open(targets: &Targets) -> Result<Self, Failure> {
        let mut papers = Vec::new();
        let mut open = |flag, target: Option<&Target>, text| {
            let Some(target) = target.cloned() else { return Ok(()) };
            let opened = Output::open(&target, 0).and_then(|output| {
                // The collector reads them with an account of its own, and nobody is named in them.
                if flag == METRICS {
                    output.publish()?;
                }
                Ok(output)
            });
            let output = opened.map_err(|error| unwritable(flag, &target, &error))?;
            papers.push(Paper { flag, target, output, text });
            Ok::<_, Failure>(())
        };
        open("--summary", targets.summary.as_ref(), Account::json)?;
        open(METRICS, targets.metrics.as_ref(), |account| Ok(account.metrics()))?;
        open("--report", targets.report.as_ref(), |account| Ok(page::html(account)))?;
        Ok(Self(papers))
    }

    /// Writes them, each complete or not at all.
    ///
    /// # Errors
    /// Output (7) for the first that cannot be written; the others are.
    pub fn write(self, account: &Account) -> Result<(), Failure> {
        let mut written = Ok(());
        for Paper { flag, target, mut output, text } in self.0 {
            let told = text(account).map_err(io::Error::other);
            let done = told.and_then(|told| {
                output.write_all(told.as_bytes())?;
                output.finish()
            });
            written = written.and(done.map_err(|error| unwritable(flag, &target, &error)));
        }
        written
    }
}

fn unwritable(flag: &str, target: &Target, error: &io::Error) -> Failure {
    let text = tr!(
        "{flag}: cannot write {target}: {cause}; choose another place, or put this right",
        flag,
        target,
        cause = error
    );
    Failure::new(Exit::Output, text)
}
