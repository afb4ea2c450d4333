//! The files that tell of a run: opened before anything is done, so that a place that cannot be written to is told then, and
//! written whatever the run came to. Leaves what they say to `account` and `page`.

use std::io::{self, Write};

use crate::app::cli::paths::{OutputTargets, write_failure};
use crate::app::exit::Failure;
use crate::app::report::html;
use crate::app::report::run_summary::RunSummary;
use crate::table::write::output::{Output, Target};

const METRICS_FLAG: &str = "--metrics";

/// One of them.
struct ReportFile {
    flag: &'static str,
    target: Target,
    output: Output,
    render: fn(&RunSummary) -> Result<String, serde_json::Error>,
}

/// All that are asked for.
pub(crate) struct ReportFiles(Vec<ReportFile>);

impl ReportFiles {
    /// Opens them; a file keeps its old content until [`Papers::write`].
    ///
    /// # Errors
    /// Output (7) for a place that cannot be written to.
    pub(crate) fn open(targets: &OutputTargets) -> Result<Self, Failure> {
        let asked: [(_, _, fn(&RunSummary) -> _); 3] = [
            ("--summary", &targets.summary, RunSummary::to_json),
            (METRICS_FLAG, &targets.metrics, |account| Ok(account.to_prometheus())),
            ("--report", &targets.report, |account| Ok(html::render_page(account))),
        ];
        let mut papers = Vec::new();
        let mut asked: Vec<_> = asked
            .into_iter()
            .filter_map(|(flag, target, text)| Some((flag, target.clone()?, text)))
            .collect();
        // Where a pipe makes us wait for ever, no temporary file must wait with it.
        asked.sort_by_key(|(_, target, _)| target.is_atomic());
        for (flag, target, text) in asked {
            let opened = Output::open(&target, 0).and_then(|output| {
                // The collector reads them with an account of its own, and nobody is named in them.
                if flag == METRICS_FLAG {
                    output.make_world_readable()?;
                }
                Ok(output)
            });
            let output = opened.map_err(|error| write_failure(flag, &target, &error))?;
            papers.push(ReportFile { flag, target, output, render: text });
        }
        Ok(Self(papers))
    }

    /// Writes them, each complete or not at all: the files first, for a pipe may make the rest wait for ever.
    ///
    /// # Errors
    /// Output (7) for the first that cannot be written; the others are.
    pub(crate) fn write(mut self, account: &RunSummary) -> Result<(), Failure> {
        let mut written = Ok(());
        self.0.sort_by_key(|paper| !matches!(paper.output, Output::File(_)));
        for ReportFile { flag, target, mut output, render: text } in self.0 {
            let told = text(account).map_err(io::Error::other);
            let done = told.and_then(|told| {
                output.write_all(told.as_bytes())?;
                output.finish()
            });
            written = written.and(done.map_err(|error| write_failure(flag, &target, &error)));
        }
        written
    }
}
