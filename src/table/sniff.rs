//! Owns the look at an input's beginning, by which everything about the table is settled or found to need more of the
//! input. What each sign means is for others.

use crate::table::detect::dialect::{SAMPLE_BYTES, Sample};
use crate::table::detect::encoding::DetectedEncoding;
use crate::table::detect::layout::{Layout, LayoutDetector, SourceOptions};
use crate::table::detect::preamble::{Preamble, detect_title_lines};
use crate::table::error::SourceError;
use crate::table::raw::decoder::TextDecoder;
use crate::table::raw::framer::{FrameError, FrameResult, Framer, count_line_ends};

/// What the beginning tells.
pub(crate) struct Sniffed {
    /// The lines above the table.
    pub preamble: Preamble,
    /// How the table is laid out.
    pub layout: Layout,
    /// How many lines of it look like a title above the header, if any do.
    pub title_lines: Option<u64>,
}

/// Looks at a text, of which nothing is used up yet, or says that more of it is needed. `looks_like_mobile` says
/// whether a cell looks like a mobile number.
///
/// # Errors
/// [`SourceError`] when the text is empty or no CSV, or leaves open which column is meant.
pub(crate) fn sniff(
    text: &TextDecoder,
    guess: &DetectedEncoding,
    options: &SourceOptions,
    looks_like_mobile: &dyn Fn(&str) -> bool,
) -> Result<Option<Sniffed>, SourceError> {
    let (all, complete) = (text.decoded(), text.is_complete());
    let Some(lead) = Preamble::parse(all, complete, options.skip_lines) else {
        let line = 1 + count_line_ends(all);
        return if text.is_overlong() {
            Err(FrameError::RowTooLong { line }.into())
        } else {
            Ok(None)
        };
    };
    let bytes = all.get(lead.byte_len..).unwrap_or_default();
    let delimiter = options.delimiter.or(lead.delimiter);
    let sample = match delimiter {
        Some(delimiter) => Sample::read(bytes, delimiter, complete),
        None => Sample::detect(bytes, complete, looks_like_mobile),
    };
    let mut framer = Framer::new(sample.delimiter).with_line(lead.lines + 1);
    let line = match framer.frame(bytes, complete)? {
        FrameResult::Row(row) => {
            if options.lossy {
                text.check_row_end(lead.byte_len, &row, sample.delimiter)?;
            } else {
                text.check_row(lead.byte_len, &row)?;
            }
            row.line
        }
        FrameResult::NeedMore if text.is_overlong() => {
            return Err(FrameError::RowTooLong { line: framer.line() }.into());
        }
        FrameResult::NeedMore => return Ok(None),
        FrameResult::End => return Err(SourceError::Empty { skipped: options.skip_lines }),
    };
    let beginning = LayoutDetector { sample: &sample, line, encoding: guess, looks_like_mobile };
    let (layout, seen) = beginning.detect(options);
    if (layout.is_err() || !seen) && !complete && all.len() < SAMPLE_BYTES && !text.is_overlong() {
        // Further rows may give the answer.
        return Ok(None);
    }
    let title = detect_title_lines(bytes, complete, delimiter, looks_like_mobile)
        .map(|lines| lines + lead.lines);
    let layout = layout.map_err(|error| SourceError::Column { error, title_lines: title })?;
    Ok(Some(Sniffed { preamble: lead, layout, title_lines: title }))
}
