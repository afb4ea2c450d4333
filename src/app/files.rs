//! The files that a run writes, by name: which they are, and that no two of them are one. Leaves opening them to `outlet` and
//! `papers`.

use std::path::Path;

use tr::tr;

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
    /// The run's account as JSON.
    pub summary: Option<Target>,
    /// The same as metrics.
    pub metrics: Option<Target>,
    /// The same as a page.
    pub report: Option<Target>,
}

/// Where the outputs go.
///
/// # Errors
/// Usage (2) where two files would be one.
pub fn targets(args: &Resolve) -> Result<Targets, Failure> {
    let output = config::output(args);
    let asked = [
        ("--failed", args.failed.as_deref()),
        ("--summary", args.tell.summary.as_deref()),
        ("--metrics", args.tell.metrics.as_deref()),
        ("--report", args.tell.report.as_deref()),
    ];
    let mut taken = vec![(tr!("the input"), &*args.input), (tr!("the output"), &*output)];
    for (flag, path) in asked.into_iter().filter_map(|(flag, path)| Some((flag, path?))) {
        let stdout = |other: &Path| path == Path::new("-") && other == Path::new("-");
        // What comes from standard input takes nothing from standard output.
        let meets = |(place, (_, other)): (usize, &(String, &Path))| {
            same(path, other) || (place > 0 && stdout(other))
        };
        if let Some((_, (what, _))) = taken.iter().enumerate().find(|taken| meets(*taken)) {
            let path = path.display();
            let text = tr!("{flag}: {path} is {what} already; name another file", flag, path, what);
            return Err(Failure::new(Exit::Usage, text));
        }
        taken.push((flag.to_owned(), path));
    }
    let [failed, summary, metrics, report] = asked.map(|(_, path)| path.map(target));
    Ok(Targets { all: target(&output), failed, summary, metrics, report })
}

/// Where a path leads; `-` is standard output.
#[must_use]
pub fn target(path: &Path) -> Target {
    if path == Path::new("-") { Target::Stdout } else { Target::File(path.to_owned()) }
}

/// The name of the file that a target is, for another run to read: none for standard output, a device, a pipe, and what means
/// something to this process alone.
#[must_use]
pub fn lasting(target: &Target) -> Option<String> {
    let Target::File(path) = target else { return None };
    let name = path.to_str()?;
    let own = std::path::absolute(path).ok()?;
    let passing = ["/dev", "/proc"].iter().any(|place| own.starts_with(place));
    (!passing && path.is_file()).then(|| name.to_owned())
}

/// Whether two paths lead to one file.
#[must_use]
pub fn same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    one != Path::new("-") && whole(one).is_some_and(|one| Some(one) == whole(other))
}
