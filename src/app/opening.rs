//! Opening the input of a run: a file, packed or not, a workbook or a pipe. Leaves reading it to `table`.

use std::io;
use std::path::Path;

use crate::app::cli::Resolve;
use crate::app::config;
use crate::app::exit::{Exit, Failure};
use crate::app::summary;
use crate::domain::entry::looks_like_mobile;
use crate::domain::mobile::Home;
use crate::table::container::{self, ContainerError, Wishes};
use crate::table::layout::Options;
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

/// An input that is to be opened, and how.
pub struct Input<'a> {
    /// Where it is; `-` is standard input.
    pub path: &'a Path,
    /// The sheet of a workbook.
    pub sheet: Option<&'a str>,
    /// How it is read.
    pub options: Options,
    /// The region of numbers without a country code.
    pub region: Home,
    /// Whether a regular file is read through once before.
    pub surveyed: bool,
}

/// Opens the input of a run, and says what to call it. A regular file is read through once before, so that a bad row is told
/// before the first call and the number of rows is known.
///
/// # Errors
/// As [`open_as`].
pub fn open(args: &Resolve) -> Result<Opened, Failure> {
    open_as(Input {
        path: &args.input,
        sheet: args.sheet.as_deref(),
        options: config::reading(args),
        region: args.region,
        surveyed: true,
    })
}

/// Opens an input, and says what to call it.
///
/// # Errors
/// Unreadable (3), or usage (2) for a workbook without sheets and for flags that do not fit the input.
pub fn open_as(input: Input<'_>) -> Result<Opened, Failure> {
    let Input { path, sheet, mut options, region, surveyed } = input;
    let wishes = Wishes { sheet, delimiter: options.delimiter };
    let looks = |cell: &str| looks_like_mobile(cell, region);
    let name = summary::name(path);
    let unreadable =
        |error| Failure { exit: Exit::Input, error: anyhow::Error::new(error).context(name.clone()) };
    let unopened = |error| {
        let exit = if matches!(error, ContainerError::NoSheets) { Exit::Usage } else { Exit::Input };
        Failure { exit, error: anyhow::Error::new(error).context(name.clone()) }
    };
    let piped = path == Path::new("-");
    let regular = !piped && std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let open = || {
        if piped { container::stream(Box::new(io::stdin()), wishes) } else { container::open(path, wishes) }
    };
    let mut opened = open().map_err(unopened)?;
    if opened.delimiter.is_some() && options.encoding.is_some() {
        let text = format!("{name} is a workbook, whose text needs no --encoding: leave it out");
        return Err(Failure::new(Exit::Usage, text));
    }
    options.delimiter = opened.delimiter.or(options.delimiter);
    options.eager = regular;
    let mut found = None;
    if regular && surveyed {
        found = Some(survey(opened.reader, &options, &looks).map_err(unreadable)?);
        opened = open().map_err(unopened)?;
    }
    let source = Source::open(opened.reader, &options, &looks).map_err(unreadable)?;
    let title = opened.remark.map_or_else(|| name.clone(), |remark| format!("{name} ({remark})"));
    Ok(Opened { source, title, survey: found })
}
