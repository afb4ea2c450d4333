//! The files that a run writes, by name: which they are, and that no two of them are one. Leaves opening them to `outlet`.

use std::path::Path;

use crate::app::cli::Resolve;
use crate::app::config;
use crate::app::exit::{Exit, Failure};
use crate::table::target::Target;

/// Where the outputs go.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Every row, with its answer.
    pub all: Target,
    /// The rows that may succeed on another try, where they are asked for.
    pub failed: Option<Target>,
}

/// Where the outputs go.
///
/// # Errors
/// Usage (2) where two files would be one.
pub fn targets(args: &Resolve) -> Result<Targets, Failure> {
    let output = config::output(args);
    let at = |path: &Path| {
        if path == Path::new("-") { Target::Stdout } else { Target::File(path.to_owned()) }
    };
    if let Some(failed) = &args.failed {
        let both_stdout = failed == Path::new("-") && output == Path::new("-");
        for (other, what) in [(&output, "output"), (&args.input, "input")] {
            if same(failed, other) || (both_stdout && what == "output") {
                let text = format!("--failed: {} is the {what}; name another file", failed.display());
                return Err(Failure::new(Exit::Usage, text));
            }
        }
    }
    Ok(Targets { all: at(&output), failed: args.failed.as_deref().map(at) })
}

/// Whether two paths lead to one file.
#[must_use]
pub fn same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    one != Path::new("-") && whole(one).is_some_and(|one| Some(one) == whole(other))
}
