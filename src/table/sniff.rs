//! Detects preamble, layout and title from the beginning of an input, or finds that more input is
//! needed.

use crate::table::detect::dialect::{SAMPLE_BYTES, Sample};
use crate::table::detect::encoding::DetectedEncoding;
use crate::table::detect::layout::{Detected, Layout, LayoutDetector, SourceOptions};
use crate::table::detect::preamble::{Preamble, detect_title_lines};
use crate::table::error::SourceError;
use crate::table::raw::decoder::TextDecoder;
use crate::table::raw::framer::{FrameError, FrameResult, Framer, count_line_ends};

/// What the beginning of an input says about the table.
pub(crate) struct Sniffed {
    /// The lines above the table.
    pub preamble: Preamble,
    /// How the table is laid out.
    pub layout: Layout,
    /// The number of lines above the header that look like a title, if any do.
    pub title_lines: Option<u64>,
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
    let Some(preamble) = Preamble::parse(all, complete, options.skip_lines) else {
        let line = 1 + count_line_ends(all);
        return if text.is_overlong() {
            Err(FrameError::RowTooLong { line }.into())
        } else {
            Ok(None)
        };
    };
    let bytes = &all[preamble.byte_len..];
    let delimiter = options.delimiter.or(preamble.delimiter);
    let sample = match delimiter {
        Some(delimiter) => Sample::read(bytes, delimiter, complete),
        None => Sample::detect(bytes, complete, looks_like_mobile),
    };
    let mut framer = Framer::new(sample.delimiter).with_line(preamble.lines + 1);
    let line = match framer.frame(bytes, complete)? {
        FrameResult::Row(row) => {
            if options.lossy {
                text.check_row_end(preamble.byte_len, &row, sample.delimiter)?;
            } else {
                text.check_row(preamble.byte_len, &row)?;
            }
            row.line
        }
        FrameResult::NeedMore if text.is_overlong() => {
            return Err(FrameError::RowTooLong { line: framer.line() }.into());
        }
        FrameResult::NeedMore => return Ok(None),
        FrameResult::End => return Err(SourceError::Empty { skipped: options.skip_lines }),
    };
    let detector = LayoutDetector { sample: &sample, line, encoding, looks_like_mobile };
    let can_grow = !complete && all.len() < SAMPLE_BYTES && !text.is_overlong();
    let title_lines = || {
        detect_title_lines(bytes, complete, delimiter, looks_like_mobile)
            .map(|lines| lines + preamble.lines)
    };
    match detector.detect(options) {
        Detected::NeedsMoreRows(_) | Detected::Unknown(_) if can_grow => Ok(None),
        Detected::Layout(layout) | Detected::NeedsMoreRows(layout) => {
            Ok(Some(Sniffed { preamble, layout, title_lines: title_lines() }))
        }
        Detected::Unknown(error) => Err(SourceError::Column { error, title_lines: title_lines() }),
    }
}
