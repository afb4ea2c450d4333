//! Opening the input of a run: a file, packed or not, a workbook or a pipe. Leaves reading it to `table`.

use std::io;
use std::path::Path;

use tr::tr;

use crate::app::cli::args::ResolveArgs;
use crate::app::cli::input_args::ReaderArgs;
use crate::app::cli::options;
use crate::app::commands::resolve::retry_failed::{self, ResolvedScan};
use crate::app::exit::{Exit, Failure};
use crate::app::report::text;
use crate::app::signals::Signals;
use crate::domain::number::cell::looks_like_mobile;
use crate::domain::number::mobile::{DefaultRegion, NumberRules};
use crate::engine::io::row_format::{RowFormat, RowOptions};
use crate::table::detect::layout::SourceOptions;
use crate::table::prescan::{Prescan, prescan};
use crate::table::source::Source;
use crate::table::unpack::container::{self, ContainerError, UnpackOptions};

/// An input that was opened.
pub(crate) struct OpenedInput {
    /// Its rows.
    pub source: Source,
    /// What to call it.
    pub title: String,
    /// What looking through it gave, for a regular file.
    pub prescan: Option<Prescan>,
    /// What became of its rows so far, for a regular file that has answers already.
    pub resolved_scan: Option<ResolvedScan>,
    /// Whether the table was packed, or a workbook's.
    pub is_packed: bool,
}

/// An input that is to be opened, and how.
pub(crate) struct InputSpec<'a> {
    /// Where it is; `-` is standard input.
    pub path: &'a Path,
    /// The sheet of a workbook.
    pub sheet: Option<&'a str>,
    /// How it is read.
    pub options: SourceOptions,
    /// The region of numbers without a country code.
    pub region: DefaultRegion,
}

/// Opens the input of a run, and says what to call it. A regular file is read through once before, so that a bad row is told
/// before the first call and the number of rows is known. `rules` say what a number is, and `wanted`
/// what is wanted of the rows beside the usual five cells.
///
/// # Errors
/// As [`Input::open`].
fn open_with_prescan(
    path: &Path,
    reading: &ReaderArgs,
    rules: NumberRules,
    wanted: &RowOptions,
) -> Result<OpenedInput, Failure> {
    let input = InputSpec::from_args(path, reading, rules.default_region, wanted);
    if !is_regular_file(path) {
        return input.open();
    }
    if wanted.shard.is_some() {
        return Ok(OpenedInput {
            prescan: Some(input.prescan_shard(rules, wanted)?),
            ..input.open()?
        });
    }
    if wanted.has_answers {
        let (survey, settled) = input.scan_resolved(wanted)?;
        return Ok(OpenedInput {
            prescan: Some(survey),
            resolved_scan: Some(settled),
            ..input.open()?
        });
    }
    Ok(OpenedInput { prescan: Some(input.prescan()?), ..input.open()? })
}

/// Opens the input of a run as [`open`] does, while signals are heard: a large one takes its time, and a pipe may be silent.
///
/// # Errors
/// As [`Input::open`]; interrupted, by a signal.
pub(crate) async fn open_interruptible(
    args: &ResolveArgs,
    wanted: &RowOptions,
    signals: &mut Signals,
) -> Result<OpenedInput, Failure> {
    let (path, reading, rules) =
        (args.input.clone(), args.reader.clone(), options::number_rules(&args.numbers));
    let wanted = wanted.clone();
    let opening = move || open_with_prescan(&path, &reading, rules, &wanted);
    signals.run_blocking(opening, tr!("interrupted before the first call")).await?
}

/// Opens the input as [`open`] does, for who reads it to its end anyway: it is not read through before.
///
/// # Errors
/// As [`Input::open`].
pub(crate) fn open_single_pass(
    path: &Path,
    reading: &ReaderArgs,
    region: DefaultRegion,
) -> Result<OpenedInput, Failure> {
    InputSpec::from_args(path, reading, region, &RowOptions::default()).open()
}

/// Whether an input is a file whose content can be read more than once.
#[must_use]
pub(crate) fn is_regular_file(input: &Path) -> bool {
    input != Path::new("-") && std::fs::metadata(input).is_ok_and(|metadata| metadata.is_file())
}

/// What to tell of an input that cannot be read.
#[must_use]
pub(crate) fn unreadable_input(input: &Path, error: impl Into<anyhow::Error>) -> Failure {
    Failure { exit: Exit::Input, error: error.into().context(text::input_name(input)) }
}

/// How the rows of an opened input are read and answered.
///
/// # Errors
/// Usage (2) where a column is wanted that earlier answers have not.
pub(crate) fn row_format(
    wanted: &RowOptions,
    source: &Source,
    input: &Path,
) -> Result<RowFormat, Failure> {
    RowFormat::new(wanted, source)
        .map_err(|lacking| retry_failed::missing_column_failure(&text::input_name(input), lacking))
}

impl<'a> InputSpec<'a> {
    fn from_args(
        path: &'a Path,
        reading: &'a ReaderArgs,
        region: DefaultRegion,
        wanted: &RowOptions,
    ) -> Self {
        Self {
            path,
            sheet: reading.sheet.as_deref(),
            options: options::reader_options(reading, wanted),
            region,
        }
    }

    /// Opens it, and says what to call it.
    ///
    /// # Errors
    /// Unreadable (3), or usage (2) for a workbook without sheets and for flags that do not fit the input.
    pub(crate) fn open(&self) -> Result<OpenedInput, Failure> {
        let (opened, options) = self.unpack()?;
        let looks = |cell: &str| looks_like_mobile(cell, self.region);
        let source = Source::open(opened.reader, &options, &looks)
            .map_err(|error| unreadable_input(self.path, error))?;
        let name = text::input_name(self.path);
        let packed = opened.description.is_some();
        let title = opened
            .description
            .map_or_else(|| name.clone(), |remark| tr!("{name} ({remark})", name, remark));
        Ok(OpenedInput { source, title, prescan: None, resolved_scan: None, is_packed: packed })
    }

    fn prescan(&self) -> Result<Prescan, Failure> {
        let (opened, options) = self.unpack()?;
        let looks = |cell: &str| looks_like_mobile(cell, self.region);
        prescan(opened.reader, &options, &looks).map_err(|error| unreadable_input(self.path, error))
    }

    /// What the rows come to that the run takes, all of which are read.
    fn prescan_shard(&self, rules: NumberRules, wanted: &RowOptions) -> Result<Prescan, Failure> {
        let mut source = self.open()?.source;
        let (manner, mut prescan) =
            (row_format(wanted, &source, self.path)?, Prescan { rows: 0, bytes: 0 });
        while let Some(batch) =
            source.next_batch(usize::MAX).map_err(|error| unreadable_input(self.path, error))?
        {
            let own = manner.retain_shard(batch, rules);
            prescan.rows += own.len() as u64;
            prescan.bytes += own.byte_len() as u64;
        }
        Ok(prescan)
    }

    fn scan_resolved(&self, wanted: &RowOptions) -> Result<(Prescan, ResolvedScan), Failure> {
        let source = self.open()?.source;
        let manner = row_format(wanted, &source, self.path)?;
        retry_failed::scan_resolved(source, self.region, &manner)
            .map_err(|error| unreadable_input(self.path, error))
    }

    /// What the input is packed in taken off, and how what is inside is read.
    fn unpack(&self) -> Result<(container::UnpackedInput, SourceOptions), Failure> {
        let mut options = self.options.clone();
        let wishes = UnpackOptions { sheet: self.sheet, delimiter: options.delimiter };
        let name = text::input_name(self.path);
        let opened = if self.path == Path::new("-") {
            container::open_stream(Box::new(io::stdin()), wishes)
        } else {
            container::open(self.path, wishes)
        };
        let opened = opened.map_err(|error| {
            let exit = if matches!(error, ContainerError::SheetWithoutWorkbook) {
                Exit::Usage
            } else {
                Exit::Input
            };
            Failure { exit, error: anyhow::Error::new(error).context(name.clone()) }
        })?;
        if opened.delimiter.is_some() && options.encoding.is_some() {
            let text =
                tr!("{name} is a workbook, whose text needs no --encoding: leave it out", name);
            return Err(Failure::with_message(Exit::Usage, text));
        }
        options.delimiter = opened.delimiter.or(options.delimiter);
        options.read_sample_first = is_regular_file(self.path);
        Ok((opened, options))
    }
}
