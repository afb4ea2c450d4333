//! The files that tell of a run: opened before anything is done, so that a place that cannot be written to is told then, and
//! written whatever the run came to. Leaves what they say to `account` and `page`.

use std::io::{self, Write};

use crate::app::cli::paths::{Targets, unwritable};
use crate::app::exit::Failure;
use crate::app::report::html;
use crate::app::report::run_summary::Account;
use crate::table::write::output::{Output, Target};

const METRICS: &str = "--metrics";

/// One of them.
struct Paper {
    flag: &'static str,
    target: Target,
    output: Output,
    text: fn(&Account) -> Result<String, serde_json::Error>,
}

/// All that are asked for.
pub(crate) struct Papers(Vec<Paper>);

impl Papers {
    /// Opens them; a file keeps its old content until [`Papers::write`].
    ///
    /// # Errors
    /// Output (7) for a place that cannot be written to.
    pub(crate) fn open(targets: &Targets) -> Result<Self, Failure> {
        let asked: [(_, _, fn(&Account) -> _); 3] = [
            ("--summary", &targets.summary, Account::json),
            (METRICS, &targets.metrics, |account| Ok(account.metrics())),
            ("--report", &targets.report, |account| Ok(html::html(account))),
        ];
        let mut papers = Vec::new();
        let mut asked: Vec<_> = asked
            .into_iter()
            .filter_map(|(flag, target, text)| Some((flag, target.clone()?, text)))
            .collect();
        // Where a pipe makes us wait for ever, no temporary file must wait with it.
        asked.sort_by_key(|(_, target, _)| target.is_drafted());
        for (flag, target, text) in asked {
            let opened = Output::open(&target, 0).and_then(|output| {
                // The collector reads them with an account of its own, and nobody is named in them.
                if flag == METRICS {
                    output.publish()?;
                }
                Ok(output)
            });
            let output = opened.map_err(|error| unwritable(flag, &target, &error))?;
            papers.push(Paper { flag, target, output, text });
        }
        Ok(Self(papers))
    }

    /// Writes them, each complete or not at all: the files first, for a pipe may make the rest wait for ever.
    ///
    /// # Errors
    /// Output (7) for the first that cannot be written; the others are.
    pub(crate) fn write(mut self, account: &Account) -> Result<(), Failure> {
        let mut written = Ok(());
        self.0.sort_by_key(|paper| !matches!(paper.output, Output::Draft(_)));
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
