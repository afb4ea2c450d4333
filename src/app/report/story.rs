//! What of a run only people are told, beside the numbers that programs get too: its course, the rows without a user id, what was
//! remarked on the way. Leaves how it is shown to `page`.

use crate::app::report::timeline::Timeline;
use crate::domain::totals::Totals;
use crate::engine::io::unresolved::UnresolvedRows;

/// That of one run.
#[derive(Debug, Default)]
pub(crate) struct ReportDetails {
    /// What was detected in the input, and why; empty where it could not be opened.
    pub detected: String,
    /// Where the output goes.
    pub output: String,
    /// What people were warned of on the way.
    pub warnings: Vec<String>,
    /// The totals.
    pub totals: Totals,
    /// What happened when.
    pub timeline: Timeline,
    /// The rows without a user id.
    pub unresolved: UnresolvedRows,
}
