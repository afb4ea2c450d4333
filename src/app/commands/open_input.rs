//! Opening the input of a run: a file, packed or not, a workbook or a pipe. Leaves reading it to `table`.

use std::io;
use std::path::Path;

use tr::tr;

use crate::app::cli::args::Resolve;
use crate::app::cli::input_args::Reading;
use crate::app::cli::options;
use crate::app::commands::resolve::retry_failed::{self, Settled};
use crate::app::exit::{Exit, Failure};
use crate::app::report::text;
use crate::app::signals::Signals;
use crate::domain::number::cell::looks_like_mobile;
use crate::domain::number::mobile::{Home, Rules};
use crate::engine::io::row_format::{Manner, Wanted};
use crate::table::detect::layout::Options;
use crate::table::prescan::{Survey, survey};
use crate::table::source::Source;
use crate::table::unpack::container::{self, ContainerError, Wishes};

/// An input that was opened.
pub(crate) struct Opened {
    /// Its rows.
    pub source: Source,
    /// What to call it.
    pub title: String,
    /// What looking through it gave, for a regular file.
    pub survey: Option<Survey>,
    /// What became of its rows so far, for a regular file that has answers already.
    pub settled: Option<Settled>,
    /// Whether the table was packed, or a workbook's.
    pub packed: bool,
}

/// An input that is to be opened, and how.
pub(crate) struct Input<'a> {
    /// Where it is; `-` is standard input.
    pub path: &'a Path,
    /// The sheet of a workbook.
    pub sheet: Option<&'a str>,
    /// How it is read.
    pub options: Options,
    /// The region of numbers without a country code.
    pub region: Home,
}

/// Opens the input of a run, and says what to call it. A regular file is read through once before, so that a bad row is told
/// before the first call and the number of rows is known. `rules` say what a number is, and `wanted`
/// what is wanted of the rows beside the usual five cells.
///
/// # Errors
/// As [`Input::open`].
fn open(path: &Path, reading: &Reading, rules: Rules, wanted: &Wanted) -> Result<Opened, Failure> {
    let input = Input::as_flags_say(path, reading, rules.home, wanted);
    if !regular(path) {
        return input.open();
    }
    if wanted.shard.is_some() {
        return Ok(Opened { survey: Some(input.sharded(rules, wanted)?), ..input.open()? });
    }
    if wanted.again {
        let (survey, settled) = input.counted(wanted)?;
        return Ok(Opened { survey: Some(survey), settled: Some(settled), ..input.open()? });
    }
    Ok(Opened { survey: Some(input.looked_through()?), ..input.open()? })
}

/// Opens the input of a run as [`open`] does, while signals are heard: a large one takes its time, and a pipe may be silent.
///
/// # Errors
/// As [`Input::open`]; interrupted, by a signal.
pub(crate) async fn open_heard(
    args: &Resolve,
    wanted: &Wanted,
    signals: &mut Signals,
) -> Result<Opened, Failure> {
    let (path, reading, rules) =
        (args.input.clone(), args.reading.clone(), options::rules(&args.numbers));
    let wanted = wanted.clone();
    let opening = move || open(&path, &reading, rules, &wanted);
    signals.during(opening, tr!("interrupted before the first call")).await?
}

/// Opens the input as [`open`] does, for who reads it to its end anyway: it is not read through before.
///
/// # Errors
/// As [`Input::open`].
pub(crate) fn open_once(path: &Path, reading: &Reading, region: Home) -> Result<Opened, Failure> {
    Input::as_flags_say(path, reading, region, &Wanted::default()).open()
}

/// Whether an input is a file whose content can be read more than once.
#[must_use]
pub(crate) fn regular(input: &Path) -> bool {
    input != Path::new("-") && std::fs::metadata(input).is_ok_and(|metadata| metadata.is_file())
}

/// What to tell of an input that cannot be read.
#[must_use]
pub(crate) fn unreadable(input: &Path, error: impl Into<anyhow::Error>) -> Failure {
    Failure { exit: Exit::Input, error: error.into().context(text::name(input)) }
}

/// How the rows of an opened input are read and answered.
///
/// # Errors
/// Usage (2) where a column is wanted that earlier answers have not.
pub(crate) fn manner(wanted: &Wanted, source: &Source, input: &Path) -> Result<Manner, Failure> {
    Manner::of(wanted, source).map_err(|lacking| retry_failed::lacking(&text::name(input), lacking))
}

impl<'a> Input<'a> {
    fn as_flags_say(path: &'a Path, reading: &'a Reading, region: Home, wanted: &Wanted) -> Self {
        Self {
            path,
            sheet: reading.sheet.as_deref(),
            options: options::reading(reading, wanted),
            region,
        }
    }

    /// Opens it, and says what to call it.
    ///
    /// # Errors
    /// Unreadable (3), or usage (2) for a workbook without sheets and for flags that do not fit the input.
    pub(crate) fn open(&self) -> Result<Opened, Failure> {
        let (opened, options) = self.unpacked()?;
        let looks = |cell: &str| looks_like_mobile(cell, self.region);
        let source = Source::open(opened.reader, &options, &looks)
            .map_err(|error| unreadable(self.path, error))?;
        let name = text::name(self.path);
        let packed = opened.remark.is_some();
        let title = opened
            .remark
            .map_or_else(|| name.clone(), |remark| tr!("{name} ({remark})", name, remark));
        Ok(Opened { source, title, survey: None, settled: None, packed })
    }

    fn looked_through(&self) -> Result<Survey, Failure> {
        let (opened, options) = self.unpacked()?;
        let looks = |cell: &str| looks_like_mobile(cell, self.region);
        survey(opened.reader, &options, &looks).map_err(|error| unreadable(self.path, error))
    }

    /// What the rows come to that the run takes, all of which are read.
    fn sharded(&self, rules: Rules, wanted: &Wanted) -> Result<Survey, Failure> {
        let mut source = self.open()?.source;
        let (manner, mut survey) =
            (manner(wanted, &source, self.path)?, Survey { rows: 0, bytes: 0 });
        while let Some(batch) =
            source.next_batch(usize::MAX).map_err(|error| unreadable(self.path, error))?
        {
            let own = manner.own(batch, rules);
            survey.rows += own.len() as u64;
            survey.bytes += own.size() as u64;
        }
        Ok(survey)
    }

    fn counted(&self, wanted: &Wanted) -> Result<(Survey, Settled), Failure> {
        let source = self.open()?.source;
        let manner = manner(wanted, &source, self.path)?;
        retry_failed::count(source, self.region, &manner)
            .map_err(|error| unreadable(self.path, error))
    }

    /// What the input is packed in taken off, and how what is inside is read.
    fn unpacked(&self) -> Result<(container::Opened, Options), Failure> {
        let mut options = self.options.clone();
        let wishes = Wishes { sheet: self.sheet, delimiter: options.delimiter };
        let name = text::name(self.path);
        let opened = if self.path == Path::new("-") {
            container::stream(Box::new(io::stdin()), wishes)
        } else {
            container::open(self.path, wishes)
        };
        let opened = opened.map_err(|error| {
            let exit =
                if matches!(error, ContainerError::NoSheets) { Exit::Usage } else { Exit::Input };
            Failure { exit, error: anyhow::Error::new(error).context(name.clone()) }
        })?;
        if opened.delimiter.is_some() && options.encoding.is_some() {
            let text =
                tr!("{name} is a workbook, whose text needs no --encoding: leave it out", name);
            return Err(Failure::new(Exit::Usage, text));
        }
        options.delimiter = opened.delimiter.or(options.delimiter);
        options.eager = regular(self.path);
        Ok((opened, options))
    }
}
