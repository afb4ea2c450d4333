//! Opens the input of a run: a file, compressed or not, a workbook or a pipe.

use std::io::{self, Cursor};
use std::mem;
use std::path::Path;
use std::sync::Arc;

use tr::tr;

use crate::app::cli::args::ResolveArgs;
use crate::app::cli::input_args::{ContentArgs, ReaderArgs};
use crate::app::cli::options;
use crate::app::commands::resolve::retry_failed::{self, ResolvedScan};
use crate::app::exit::{Exit, Failure};
use crate::app::report::text;
use crate::app::signals::Signals;
use crate::domain::number::cell::looks_like_mobile;
use crate::domain::number::mobile::{DefaultRegion, NumberRules};
use crate::domain::number::plausible::could_be_number;
use crate::domain::redact;
use crate::engine::io::retry::RetryRules;
use crate::engine::io::row_format::{RowFormat, RowOptions};
use crate::store::disk::resolved_files::FileRecords;
use crate::table::detect::column_error::ColumnError;
use crate::table::detect::columns::ColumnChoice;
use crate::table::detect::header_words::{HeaderMatch, is_other_phone, match_header};
use crate::table::detect::layout::SourceOptions;
use crate::table::prescan::{Prescan, prescan};
use crate::table::raw::encoding::Encoding;
use crate::table::source::{Source, SourceError};
use crate::table::unpack::container::{self, ContainerError, UnpackOptions};
use crate::table::unpack::workbook::{SheetFit, SheetOrigin};

pub(crate) struct OpenedInput {
    pub source: Source,
    /// The name of the input, with its container or sheet.
    pub title: String,
    /// The result of reading a regular file before the run.
    pub prescan: Option<Prescan>,
    /// The answers that a regular file already has.
    pub resolved_scan: Option<ResolvedScan>,
    /// The sheet of a workbook that the rows come from.
    pub origin: Option<SheetOrigin>,
}

pub(crate) struct InputSpec<'a> {
    /// `-` is standard input.
    pub path: &'a Path,
    /// The sheet of a workbook.
    pub sheet: Option<&'a str>,
    pub options: SourceOptions,
    /// The region of numbers without a country code.
    pub region: DefaultRegion,
}

/// Opens the input of a run. A regular file is read completely first, so that a bad row fails
/// before the first call and the number of rows is known.
fn open_with_prescan(
    path: &Path,
    reader: &ReaderArgs,
    content: &ContentArgs,
    rules: NumberRules,
    row_options: &RowOptions,
) -> Result<OpenedInput, Failure> {
    let input = InputSpec::from_args(path, reader, content, rules, row_options);
    if !is_regular_file(path) {
        return input.open();
    }
    if row_options.shard.is_some() {
        return Ok(OpenedInput {
            prescan: Some(input.prescan_shard(rules, row_options)?),
            ..input.open()?
        });
    }
    if row_options.has_answers {
        let (scanned, resolved) = input.scan_resolved(row_options, rules)?;
        return Ok(OpenedInput {
            prescan: Some(scanned),
            resolved_scan: Some(resolved),
            ..input.open()?
        });
    }
    Ok(OpenedInput { prescan: Some(input.prescan()?), ..input.open()? })
}

/// As [`open_with_prescan`], but a signal interrupts it: a large file takes time, and a pipe may
/// block.
pub(crate) async fn open_interruptible(
    args: &ResolveArgs,
    row_options: &RowOptions,
    signals: &mut Signals,
) -> Result<OpenedInput, Failure> {
    let (path, reader, content) = (args.input.clone(), args.reader.clone(), args.content.clone());
    let (rules, row_options) = (options::number_rules(&args.numbers), row_options.clone());
    let open = move || open_with_prescan(&path, &reader, &content, rules, &row_options);
    signals.run_blocking(open, tr!("interrupted before the first call")).await?
}

/// Compares the answers of a resolved table with those in the state, and scans the table again.
/// Reads the whole input twice.
pub(crate) async fn compare_with_state(
    args: &ResolveArgs,
    row_options: &RowOptions,
    (scan, retry_rules): (&ResolvedScan, &RetryRules),
    records: FileRecords,
    signals: &mut Signals,
) -> Result<(ResolvedScan, RetryRules), Failure> {
    let (path, reader, content) = (args.input.clone(), args.reader.clone(), args.content.clone());
    let (rules, row_options) = (options::number_rules(&args.numbers), row_options.clone());
    let (user_ids, is_misread) = (scan.user_ids, scan.is_misread());
    let retry_rules = retry_rules.clone();
    let compare = move || {
        let input = InputSpec::from_args(&path, &reader, &content, rules, &row_options);
        let source = input.open()?.source;
        let format = row_format(&row_options, &source, &path)?.with_user_ids(user_ids);
        let row_records = match records.earlier_row_records() {
            Ok(Some(row_records)) => Ok(row_records),
            Ok(None) => retry_failed::compare_with_state(
                source,
                &path,
                rules,
                &format,
                &retry_rules,
                &records,
            ),
            Err(error) => Err(error.into()),
        };
        let row_records = row_records.map_err(|error| error.into_failure(&path))?;
        let retry_rules = retry_rules.with_table(is_misread, Some(Arc::new(row_records)));
        let source = input.open()?.source;
        let (_, mut scan) = retry_failed::scan_resolved(source, rules, &format, &retry_rules)
            .map_err(|error| unreadable_input(&path, error))?;
        scan.user_ids = user_ids;
        Ok((scan, retry_rules))
    };
    signals.run_blocking(compare, tr!("interrupted before the first call")).await?
}

/// Opens the input for a command that reads it only once: without prescan.
pub(crate) fn open_single_pass(
    path: &Path,
    reader: &ReaderArgs,
    content: &ContentArgs,
    rules: NumberRules,
) -> Result<OpenedInput, Failure> {
    InputSpec::from_args(path, reader, content, rules, &RowOptions::default()).open()
}

/// Whether the input is a file that can be read more than once.
#[must_use]
pub(crate) fn is_regular_file(input: &Path) -> bool {
    input != Path::new("-") && std::fs::metadata(input).is_ok_and(|metadata| metadata.is_file())
}

#[must_use]
pub(crate) fn unreadable_input(input: &Path, error: impl Into<anyhow::Error>) -> Failure {
    Failure::from_error(Exit::Input, error.into().context(text::input_name(input)))
}

/// # Errors
/// Usage (2) for a column that earlier answers do not have.
pub(crate) fn row_format(
    row_options: &RowOptions,
    source: &Source,
    input: &Path,
) -> Result<RowFormat, Failure> {
    RowFormat::new(row_options, source)
        .map_err(|missing| retry_failed::missing_column_failure(&text::input_name(input), missing))
}

/// How well the columns of a sheet fit, from its first rows. `are_named` says whether the user
/// named them.
fn rate_columns(
    source: &mut Source,
    are_named: bool,
    is_mobile: &dyn Fn(&str) -> bool,
) -> SheetFit {
    let count = source.columns().len();
    let names = || source.columns().iter().filter_map(|column| column.name.as_deref());
    let header = names().map(match_header).max().unwrap_or(HeaderMatch::NoMatch);
    let has_column_name = names().any(|name| is_column_name(name, source.width()));
    let (mut filled, mut mobiles, mut has_number) = (0, 0, false);
    while let Ok(Some(rows)) = source.next_batch(usize::MAX) {
        for cell in (0..rows.len()).flat_map(|row| rows.cells(row).take(count)) {
            filled += usize::from(!cell.trim().is_empty());
            mobiles += usize::from(is_mobile(cell));
            has_number |= could_be_number(cell);
        }
    }
    if mobiles > 0 && (are_named || header >= HeaderMatch::ContainsMobile) {
        SheetFit::NamedNumbers
    } else if mobiles > 0 && (header > HeaderMatch::NoMatch || is_list(mobiles, filled)) {
        SheetFit::Numbers
    } else if are_named || has_column_name {
        SheetFit::EmptyColumn
    } else if mobiles > 0 || has_number {
        SheetFit::StrayNumbers
    } else {
        SheetFit::NoNumbers
    }
}

/// Whether this is the name of a column of people's numbers, in a sheet of so many columns. The
/// only column of a sheet of instructions may begin with a sentence about numbers.
fn is_column_name(name: &str, width: usize) -> bool {
    match match_header(name) {
        HeaderMatch::ExactMobile | HeaderMatch::ExactPhone => true,
        HeaderMatch::ContainsMobile | HeaderMatch::ContainsPhone => {
            width > 1 && !is_other_phone(name)
        }
        HeaderMatch::NoMatch => false,
    }
}

/// Whether cells without a header that names them are a list of numbers. One number alone may be a
/// hotline.
fn is_list(mobiles: usize, filled: usize) -> bool {
    mobiles > 1 && mobiles * 2 >= filled
}

impl<'a> InputSpec<'a> {
    fn from_args(
        path: &'a Path,
        reader: &'a ReaderArgs,
        content: &ContentArgs,
        rules: NumberRules,
        row_options: &RowOptions,
    ) -> Self {
        let options = SourceOptions {
            required_numbers: Some(rules),
            allow_empty: content.allow_empty,
            ..options::reader_options(reader, row_options)
        };
        Self { path, sheet: reader.sheet.as_deref(), options, region: rules.default_region }
    }

    /// # Errors
    /// Unreadable (3); usage (2) for a workbook without sheets, and for flags that do not fit the
    /// input.
    pub(crate) fn open(&self) -> Result<OpenedInput, Failure> {
        let (mut opened, options) = self.unpack()?;
        let origin = opened.origin.take();
        let is_mobile = |cell: &str| looks_like_mobile(cell, self.region);
        let source = Source::open(opened.reader, &options, &is_mobile)
            .map_err(|error| unreadable_input(self.path, error))?;
        let name = text::input_name(self.path);
        let title = opened
            .description
            .map_or_else(|| name.clone(), |remark| tr!("{name} ({remark})", name, remark));
        Ok(OpenedInput { source, title, prescan: None, resolved_scan: None, origin })
    }

    /// How well a sheet fits as the table of numbers, by the CSV of its first rows.
    fn rate_sheet(&self, csv: Vec<u8>) -> SheetFit {
        let delimiter = self.options.delimiter.unwrap_or(',');
        let options = SourceOptions {
            encoding: Some(Encoding::Utf8),
            delimiter: Some(delimiter),
            trusts_quotes: true,
            required_numbers: None,
            ..self.options.clone()
        };
        let is_mobile = |cell: &str| looks_like_mobile(cell, self.region);
        let csv: Arc<[u8]> = csv.into();
        match Source::open(Box::new(Cursor::new(Arc::clone(&csv))), &options, &is_mobile) {
            Ok(mut source) => {
                let is_position = |column: &_| matches!(column, ColumnChoice::Position(_));
                let are_named =
                    !options.columns.is_empty() && !options.columns.iter().any(is_position);
                rate_columns(&mut source, are_named, &is_mobile)
            }
            // The user has to choose among columns.
            Err(SourceError::Column { error, .. })
                if matches!(
                    *error,
                    ColumnError::Ambiguous { .. }
                        | ColumnError::AmbiguousCountry { .. }
                        | ColumnError::OtherPersons { .. }
                ) =>
            {
                SheetFit::NamedNumbers
            }
            Err(_) => {
                let text = String::from_utf8_lossy(&csv);
                let is_end = |letter: char| letter == delimiter || "\"\r\n".contains(letter);
                if text.split(is_end).any(is_mobile) {
                    SheetFit::UnknownColumn
                } else {
                    SheetFit::NoNumbers
                }
            }
        }
    }

    fn prescan(&self) -> Result<Prescan, Failure> {
        let (opened, options) = self.unpack()?;
        let is_mobile = |cell: &str| looks_like_mobile(cell, self.region);
        prescan(opened.reader, &options, &is_mobile)
            .map_err(|error| unreadable_input(self.path, error))
    }

    /// Reads the whole input and counts the rows of the shard.
    fn prescan_shard(
        &self,
        rules: NumberRules,
        row_options: &RowOptions,
    ) -> Result<Prescan, Failure> {
        let mut source = self.open()?.source;
        let (format, mut prescan) = (
            row_format(row_options, &source, self.path)?,
            Prescan { rows: 0, bytes: 0, widest_row: None },
        );
        while let Some(batch) =
            source.next_batch(usize::MAX).map_err(|error| unreadable_input(self.path, error))?
        {
            let rows = format.retain_shard(batch, rules);
            prescan.rows += rows.len() as u64;
            prescan.bytes += rows.byte_len() as u64;
        }
        Ok(prescan)
    }

    fn scan_resolved(
        &self,
        row_options: &RowOptions,
        rules: NumberRules,
    ) -> Result<(Prescan, ResolvedScan), Failure> {
        let unreadable = |error: anyhow::Error| unreadable_input(self.path, error);
        let source = self.open()?.source;
        let format = row_format(row_options, &source, self.path)?;
        let user_ids = retry_failed::survey_user_ids(source, &format)
            .map_err(|error| unreadable(error.into()))?;
        let format = format.with_user_ids(user_ids);
        let retry_rules = RetryRules::new(&row_options.retry_statuses);
        let source = self.open()?.source;
        let (prescan, mut scan) = retry_failed::scan_resolved(source, rules, &format, &retry_rules)
            .map_err(|error| unreadable(error.into()))?;
        scan.user_ids = user_ids;
        Ok((prescan, scan))
    }

    /// # Errors
    /// Unreadable (3) for a directory and for a URL.
    fn check_is_file(&self) -> Result<(), Failure> {
        let failure = |text| Err(Failure::with_message(Exit::Input, text));
        if self.path.is_dir() {
            let name = text::input_name(self.path);
            return failure(tr!("{name} is a directory: name a file in it", name));
        }
        match self.path.to_str() {
            Some(url) if url.contains("://") && !self.path.exists() => {
                let url = redact::mask_url(url);
                failure(tr!("{url} is a URL: download the file, and name the downloaded file", url))
            }
            _ => Ok(()),
        }
    }

    /// Unpacks the input, and adapts the options to its content.
    fn unpack(&self) -> Result<(container::UnpackedInput, SourceOptions), Failure> {
        self.check_is_file()?;
        let mut options = self.options.clone();
        let unpack_options = UnpackOptions {
            sheet: self.sheet,
            delimiter: options.delimiter,
            allow_empty: options.allow_empty,
            rate_sheet: &|csv| self.rate_sheet(csv),
        };
        let name = text::input_name(self.path);
        let opened = if self.path == Path::new("-") {
            container::open_stream(Box::new(io::stdin()), unpack_options)
        } else {
            container::open(self.path, unpack_options)
        };
        let mut opened = opened.map_err(|error| {
            let exit = if matches!(error, ContainerError::SheetWithoutWorkbook) {
                Exit::Usage
            } else {
                Exit::Input
            };
            Failure::from_error(exit, anyhow::Error::new(error).context(name.clone()))
        })?;
        if opened.delimiter.is_some() && options.encoding.is_some() {
            let text = tr!("{name} is a workbook, which needs no --encoding: leave it out", name);
            return Err(Failure::with_message(Exit::Usage, text));
        }
        options.trusts_quotes = opened.delimiter.is_some();
        options.delimiter = opened.delimiter.or(options.delimiter);
        options.missing_values = Arc::new(mem::take(&mut opened.missing_values));
        options.row_numbers = mem::take(&mut opened.row_numbers);
        options.read_sample_first = is_regular_file(self.path);
        Ok((opened, options))
    }
}
