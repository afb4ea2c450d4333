//! The files of `--summary`, `--metrics` and `--report`. They are opened before the run, so that a
//! path that cannot be written fails early, and written whatever the result, unless the run did not
//! start and they are those of another run.

use std::io::{self, Write};

use crate::app::cli::paths::{OutputTargets, write_failure};
use crate::app::exit::Failure;
use crate::app::report::html;
use crate::app::report::run_summary::RunSummary;
use crate::table::write::output::{Output, Target};

const METRICS_FLAG: &str = "--metrics";

struct ReportFile {
    flag: &'static str,
    target: Target,
    output: Output,
    render: fn(&RunSummary) -> Result<String, serde_json::Error>,
}

pub(crate) struct ReportFiles(Vec<ReportFile>);

impl ReportFiles {
    /// Opens the files. A file keeps its old content until [`ReportFiles::write`].
    ///
    /// # Errors
    /// Output (7) for a path that cannot be written.
    pub(crate) fn open(targets: &OutputTargets) -> Result<Self, Failure> {
        let requested: [(_, _, fn(&RunSummary) -> _); 3] = [
            ("--summary", &targets.summary, RunSummary::to_json),
            (METRICS_FLAG, &targets.metrics, |summary| Ok(summary.to_prometheus())),
            ("--report", &targets.report, html::render_page),
        ];
        let mut files = Vec::new();
        let mut requested: Vec<_> = requested
            .into_iter()
            .filter_map(|(flag, target, render)| Some((flag, target.clone()?, render)))
            .collect();
        // Opening a pipe may block for ever: open the pipes first, so that no temporary file is
        // left.
        requested.sort_by_key(|(_, target, _)| target.is_atomic());
        for (flag, target, render) in requested {
            let opened = Output::open(&target, 0).and_then(|output| {
                // The collector runs as another user, and the metrics name no person.
                if flag == METRICS_FLAG {
                    output.make_world_readable()?;
                }
                Ok(output)
            });
            let output = opened.map_err(|error| write_failure(flag, &target, &error))?;
            files.push(ReportFile { flag, target, output, render });
        }
        Ok(Self(files))
    }

    /// Drops the files that another run opened earlier and will write.
    pub(crate) fn without_those_of_earlier_runs(mut self) -> Self {
        self.0.retain(|file| !file.output.is_open_in_earlier_run());
        self
    }

    /// Writes the files, each complete or not at all. Pipes come last, because writing to one may
    /// block for ever.
    ///
    /// # Errors
    /// Output (7) for the first that cannot be written; the others are written.
    pub(crate) fn write(mut self, summary: &RunSummary) -> Result<(), Failure> {
        let mut result = Ok(());
        self.0.sort_by_key(|file| !matches!(file.output, Output::File(_)));
        for ReportFile { flag, target, mut output, render } in self.0 {
            let rendered = render(summary).map_err(io::Error::other);
            let done = rendered.and_then(|rendered| {
                output.write_all(rendered.as_bytes())?;
                output.finish()
            });
            result = result.and(done.map_err(|error| write_failure(flag, &target, &error)));
        }
        result
    }
}
