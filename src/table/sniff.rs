//! Detects preamble, layout and title from the beginning of an input, or finds that more input is
//! needed.

use crate::table::detect::dialect::{SAMPLE_BYTES, Sample};
use crate::table::detect::encoding::DetectedEncoding;
use crate::table::detect::layout::{Detected, Layout, LayoutDetector, SourceOptions};
use crate::table::detect::preamble::{Preamble, TitleDetector, TitleLines};
use crate::table::error::SourceError;
use crate::table::raw::decoder::TextDecoder;
use crate::table::raw::framer::{
    FrameError, FrameResult, Framer, Row, count_line_ends, has_escaped_quote,
};
use crate::table::raw::row_numbers::RowNumbers;
use crate::table::swallowed::find_swallowed_rows;

/// What the beginning of an input says about the table.
pub(crate) struct Sniffed {
    /// The lines above the table.
    pub preamble: Preamble,
    /// How the table is laid out.
    pub layout: Layout,
    /// The lines above the header that look like a title.
    pub titles: TitleLines,
}

/// Detects how a text is read, of which nothing is consumed yet. Returns `None` if more of it is
/// needed.
///
/// # Errors
/// [`SourceError`] if the text is empty, is not CSV, or does not show which column is meant.
pub(crate) fn sniff(
    text: &TextDecoder,
    encoding: &DetectedEncoding,
    options: &SourceOptions,
    looks_like_mobile: &dyn Fn(&str) -> bool,
) -> Result<Option<Sniffed>, SourceError> {
    let (all, complete) = (text.decoded(), text.is_complete());
    let numbers = &options.row_numbers;
    let skip_lines = options.skip_lines.unwrap_or(0).saturating_sub(numbers.lines_above());
    let Some(preamble) = parse_preamble(text, skip_lines, numbers)? else { return Ok(None) };
    let delimiter = options.delimiter.or(preamble.delimiter);
    let (rest, can_grow) = (&all[preamble.byte_len..], can_grow(text));
    let detector = TitleDetector { text: rest, complete, can_grow, options, looks_like_mobile };
    let titles = match detector.detect(delimiter) {
        TitleLines::Unknown if can_grow => return Ok(None),
        // The user decided how many lines to skip, or that there is no header.
        TitleLines::Skipped(lines)
            if options.skip_lines.is_some() || options.has_headers == Some(false) =>
        {
            TitleLines::Suspected(preamble.lines + lines)
        }
        TitleLines::Suspected(lines) => TitleLines::Suspected(preamble.lines + lines),
        TitleLines::Unknown => TitleLines::None,
        titles => titles,
    };
    let preamble = match titles {
        TitleLines::Skipped(lines) => {
            match parse_preamble(text, preamble.lines + lines, numbers)? {
                Some(preamble) => preamble,
                None => return Ok(None),
            }
        }
        _ => preamble,
    };
    sniff_table(text, encoding, options, looks_like_mobile, preamble, titles)
}

fn parse_preamble(
    text: &TextDecoder,
    lines: u64,
    numbers: &RowNumbers,
) -> Result<Option<Preamble>, FrameError> {
    let (all, complete) = (text.decoded(), text.is_complete());
    let preamble = if numbers.counts_rows() {
        Preamble::parse_sheet(all, complete, lines)
    } else {
        Preamble::parse(all, complete, lines)
    };
    if preamble.is_none() && text.is_overlong() {
        // A sheet has no such row, because a text in it is shorter.
        let row = numbers.locate(1 + count_line_ends(all));
        return Err(FrameError::RowTooLong { row });
    }
    Ok(preamble)
}

/// Whether more of the text may be read in order to detect its layout.
fn can_grow(text: &TextDecoder) -> bool {
    !text.is_complete() && text.decoded().len() < SAMPLE_BYTES && !text.is_overlong()
}

/// Detects the layout of the table below `preamble`.
fn sniff_table(
    text: &TextDecoder,
    encoding: &DetectedEncoding,
    options: &SourceOptions,
    looks_like_mobile: &dyn Fn(&str) -> bool,
    preamble: Preamble,
    titles: TitleLines,
) -> Result<Option<Sniffed>, SourceError> {
    let (all, complete) = (text.decoded(), text.is_complete());
    let bytes = &all[preamble.byte_len..];
    let sample = match options.delimiter.or(preamble.delimiter) {
        Some(delimiter) => Sample::read(bytes, delimiter, complete),
        None => Sample::detect(bytes, complete, looks_like_mobile),
    };
    let mut framer =
        Framer::new(sample.delimiter).with_numbers(&options.row_numbers, preamble.lines);
    let first_row = match framer.frame(bytes, complete)? {
        FrameResult::Row(row) => {
            if options.lossy {
                text.check_row_end(preamble.byte_len, &row, sample.delimiter)?;
            } else {
                text.check_row(preamble.byte_len, &row)?;
            }
            row
        }
        FrameResult::NeedMore if text.is_overlong() => {
            return Err(FrameError::RowTooLong { row: framer.location() }.into());
        }
        FrameResult::NeedMore => return Ok(None),
        FrameResult::End if options.allow_empty && !skips_content(text, &preamble, options) => {
            let layout = Layout::empty(encoding, sample.delimiter);
            return Ok(Some(Sniffed { preamble, layout, titles }));
        }
        FrameResult::End => return Err(empty_error(options)),
    };
    let location = options.row_numbers.locate(first_row.line);
    let detector = LayoutDetector { sample: &sample, row: &location, encoding, looks_like_mobile };
    match detector.detect(options) {
        Detected::NeedsMoreRows(_) | Detected::HeaderOnly(..) | Detected::Unknown(_)
            if can_grow(text) =>
        {
            Ok(None)
        }
        Detected::Layout(layout) | Detected::NeedsMoreRows(layout) => {
            check_header_quotes(&framer, &layout, &first_row, options)?;
            Ok(Some(Sniffed { preamble, layout, titles }))
        }
        Detected::HeaderOnly(layout, _) if complete && options.allow_empty => {
            Ok(Some(Sniffed { preamble, layout, titles }))
        }
        Detected::HeaderOnly(..) if complete && options.required_numbers.is_some() => {
            Err(SourceError::NoRows { has_header: true })
        }
        Detected::HeaderOnly(_, error) | Detected::Unknown(error) => {
            let suspected_header = titles.suspected_header(&options.row_numbers);
            Err(SourceError::Column { error: Box::new(error), suspected_header })
        }
    }
}

/// Whether the text has content, but fewer lines than are to be skipped: then the table may be
/// among them.
fn skips_content(text: &TextDecoder, preamble: &Preamble, options: &SourceOptions) -> bool {
    options.skip_lines.is_some_and(|lines| preamble.lines < lines)
        && !text.decoded().trim_ascii().is_empty()
}

/// Refuses a header with a quoted cell that holds rows of the table.
fn check_header_quotes(
    framer: &Framer,
    layout: &Layout,
    header: &Row<'_>,
    options: &SourceOptions,
) -> Result<(), SourceError> {
    if !layout.dialect.has_headers || options.flexible || options.trusts_quotes {
        return Ok(());
    }
    match find_swallowed_rows(framer, layout, header) {
        None => Ok(()),
        Some(last) => Err(SourceError::SwallowedRows {
            first: header.line,
            last,
            can_be_flexible: !options.has_answers,
            has_escaped_quote: has_escaped_quote(header.content),
        }),
    }
}

/// The error for an input with neither a header nor a row.
fn empty_error(options: &SourceOptions) -> SourceError {
    let skipped = options.skip_lines.unwrap_or(0);
    if options.required_numbers.is_some() && skipped == 0 {
        SourceError::NoRows { has_header: false }
    } else {
        SourceError::Empty { skipped }
    }
}
