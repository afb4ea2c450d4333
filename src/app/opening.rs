//! Opening the input of a run: a file, packed or not, a workbook or a pipe. Leaves reading it to `table`.

use std::io;
use std::path::Path;

use crate::app::config;
use crate::app::exit::{Exit, Failure};
use crate::app::input::Reading;
use crate::app::summary;
use crate::domain::entry::looks_like_mobile;
use crate::domain::mobile::Home;
use crate::engine::feed::Further;
use crate::table::container::{self, ContainerError, Wishes};
use crate::table::layout::Options;
use crate::table::source::{Source, SourceError};
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
/// the first call and the number of rows is known. `region` is that of numbers without a country code, and `further` what
/// rows get behind the usual five cells.
///
/// # Errors
/// Unreadable (3), or usage (2) for a workbook without sheets and for flags that do not fit the input.
pub fn open(input: &Path, reading: &Reading, region: Home, further: Further) -> Result<Opened, Failure> {
    let way = Way { input, reading, region, further };
    if !regular(input) {
        return way.open();
    }
    let (opened, options) = way.opened()?;
    let looks = |cell: &str| looks_like_mobile(cell, region);
    let survey = survey(opened.reader, &options, &looks).map_err(|error| unreadable(input, error))?;
    Ok(Opened { survey: Some(survey), ..way.open()? })
}

/// Opens the input as [`open`] does, for who reads it to its end anyway: it is not read through before.
///
/// # Errors
/// As [`open`], but for what stands wrong in a row.
pub fn open_once(input: &Path, reading: &Reading, region: Home) -> Result<Opened, Failure> {
    Way { input, reading, region, further: Further { matched: false, sent: None } }.open()
}

/// Whether an input is a file whose content can be read more than once.
#[must_use]
pub fn regular(input: &Path) -> bool {
    input != Path::new("-") && std::fs::metadata(input).is_ok_and(|metadata| metadata.is_file())
}

/// What to tell of an input that cannot be read.
#[must_use]
pub fn unreadable(input: &Path, error: SourceError) -> Failure {
    Failure { exit: Exit::Input, error: anyhow::Error::new(error).context(summary::name(input)) }
}

/// What it takes to open an input, once or twice.
struct Way<'a> {
    input: &'a Path,
    reading: &'a Reading,
    region: Home,
    further: Further,
}

impl Way<'_> {
    fn open(&self) -> Result<Opened, Failure> {
        let (opened, options) = self.opened()?;
        let looks = |cell: &str| looks_like_mobile(cell, self.region);
        let source =
            Source::open(opened.reader, &options, &looks).map_err(|error| unreadable(self.input, error))?;
        let name = summary::name(self.input);
        let title = opened.remark.map_or_else(|| name.clone(), |remark| format!("{name} ({remark})"));
        Ok(Opened { source, title, survey: None })
    }

    /// What the input is packed in taken off, and how what is inside is read.
    fn opened(&self) -> Result<(container::Opened, Options), Failure> {
        let mut options = config::reading(self.reading, self.further.names());
        let wishes = Wishes { sheet: self.reading.sheet.as_deref(), delimiter: self.reading.delimiter };
        let name = summary::name(self.input);
        let opened = if self.input == Path::new("-") {
            container::stream(Box::new(io::stdin()), wishes)
        } else {
            container::open(self.input, wishes)
        };
        let opened = opened.map_err(|error| {
            let exit = if matches!(error, ContainerError::NoSheets) { Exit::Usage } else { Exit::Input };
            Failure { exit, error: anyhow::Error::new(error).context(name.clone()) }
        })?;
        if opened.delimiter.is_some() && options.encoding.is_some() {
            let text = format!("{name} is a workbook, whose text needs no --encoding: leave it out");
            return Err(Failure::new(Exit::Usage, text));
        }
        options.delimiter = opened.delimiter.or(options.delimiter);
        options.eager = regular(self.input);
        Ok((opened, options))
    }
}
