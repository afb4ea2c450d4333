//! What of a run only people are told, beside the numbers that programs get too: its course, the rows without a user id, what was
//! remarked on the way. Leaves how it is shown to `page`.

use crate::app::report::timeline::Course;
use crate::domain::totals::Report;
use crate::engine::io::unresolved::Misses;

/// That of one run.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// What was detected in the input, and why; empty where it could not be opened.
    pub detected: String,
    /// Where the output goes.
    pub output: String,
    /// What people were warned of on the way.
    pub remarks: Vec<String>,
    /// The totals.
    pub report: Report,
    /// What happened when.
    pub course: Course,
    /// The rows without a user id.
    pub misses: Misses,
}
