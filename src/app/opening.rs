//! Opening the input of a run: a file, packed or not, a workbook or a pipe. Leaves reading it to `table`.

use std::io;
use std::path::Path;

use crate::app::cli::Resolve;
use crate::app::config;
use crate::app::exit::{Exit, Failure};
use crate::app::summary;
use crate::domain::entry::looks_like_mobile;
use crate::table::container::{self, ContainerError, Wishes};
use crate::table::source::Source;
use crate::table::survey::{Survey, survey};

/// An input that was opened.
pub struct Opened {
    /// Its rows.
    pub source: Source,
    /// What to call it.
    pub title: String,
    /// What looking through it gave, for a regular file.
    pub survey: Option<Survey>,
}

/// Opens the input, and says what to call it. A regular file is read through once before, so that a bad row is told before
/// the first call and the number of rows is known.
///
/// # Errors
/// Unreadable (3), or usage (2) for a workbook without sheets and for flags that do not fit the input.
pub fn open(args: &Resolve) -> Result<Opened, Failure> {
    let mut options = config::reading(args);
    let wishes = Wishes { sheet: args.sheet.as_deref(), delimiter: args.delimiter };
    let looks = |cell: &str| looks_like_mobile(cell, args.region);
    let name = summary::name(&args.input);
    let unreadable =
        |error| Failure { exit: Exit::Input, error: anyhow::Error::new(error).context(name.clone()) };
    let unopened = |error| {
        let exit = if matches!(error, ContainerError::NoSheets) { Exit::Usage } else { Exit::Input };
        Failure { exit, error: anyhow::Error::new(error).context(name.clone()) }
    };
    let piped = args.input == Path::new("-");
    let regular = !piped && std::fs::metadata(&args.input).is_ok_and(|metadata| metadata.is_file());
    let open = || {
        if piped {
            container::stream(Box::new(io::stdin()), wishes)
        } else {
            container::open(&args.input, wishes)
        }
    };
    let mut opened = open().map_err(unopened)?;
    if opened.delimiter.is_some() && options.encoding.is_some() {
        let text = format!("{name} is a workbook, whose text needs no --encoding: leave it out");
        return Err(Failure::new(Exit::Usage, text));
    }
    options.delimiter = opened.delimiter.or(options.delimiter);
    options.eager = regular;
    let mut found = None;
    if regular {
        found = Some(survey(opened.reader, &options, &looks).map_err(unreadable)?);
        opened = open().map_err(unopened)?;
    }
    let source = Source::open(opened.reader, &options, &looks).map_err(unreadable)?;
    let title = opened.remark.map_or_else(|| name.clone(), |remark| format!("{name} ({remark})"));
    Ok(Opened { source, title, survey: found })
}
