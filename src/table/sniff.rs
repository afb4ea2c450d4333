//! Owns the look at an input's beginning, by which everything about the table is settled or found to need more of the
//! input. What each sign means is for others.

use crate::table::detect::dialect::{SAMPLE_BYTES, Sample};
use crate::table::detect::encoding::Guess;
use crate::table::detect::layout::{Beginning, Layout, Options};
use crate::table::detect::preamble::{Lead, title};
use crate::table::error::SourceError;
use crate::table::raw::decoder::Text;
use crate::table::raw::framer::{Framed, Framer, RecordError, line_ends};

/// What the beginning tells.
pub(crate) struct Look {
    /// The lines above the table.
    pub lead: Lead,
    /// How the table is laid out.
    pub layout: Layout,
    /// How many lines of it look like a title above the header, if any do.
    pub title: Option<u64>,
}

/// Looks at a text, of which nothing is used up yet, or says that more of it is needed. `looks_like_mobile` says
/// whether a cell looks like a mobile number.
///
/// # Errors
/// [`SourceError`] when the text is empty or no CSV, or leaves open which column is meant.
pub(crate) fn look(
    text: &Text,
    guess: &Guess,
    options: &Options,
    looks_like_mobile: &dyn Fn(&str) -> bool,
) -> Result<Option<Look>, SourceError> {
    let (all, complete) = (text.bytes(), text.complete());
    let Some(lead) = Lead::take(all, complete, options.skip_lines) else {
        let line = 1 + line_ends(all);
        return if text.is_overlong() {
            Err(RecordError::TooLong { line }.into())
        } else {
            Ok(None)
        };
    };
    let bytes = all.get(lead.length..).unwrap_or_default();
    let delimiter = options.delimiter.or(lead.delimiter);
    let sample = match delimiter {
        Some(delimiter) => Sample::take(bytes, delimiter, complete),
        None => Sample::detect(bytes, complete, looks_like_mobile),
    };
    let mut framer = Framer::new(sample.delimiter).at_line(lead.lines + 1);
    let line = match framer.frame(bytes, complete)? {
        Framed::Row(row) => {
            if options.lossy {
                text.check_end(lead.length, &row, sample.delimiter)?;
            } else {
                text.check(lead.length, &row)?;
            }
            row.line
        }
        Framed::More if text.is_overlong() => {
            return Err(RecordError::TooLong { line: framer.line() }.into());
        }
        Framed::More => return Ok(None),
        Framed::End => return Err(SourceError::Empty { skipped: options.skip_lines }),
    };
    let beginning = Beginning { sample: &sample, line, guess, looks_like_mobile };
    let (layout, seen) = beginning.layout(options);
    if (layout.is_err() || !seen) && !complete && all.len() < SAMPLE_BYTES && !text.is_overlong() {
        // Further rows may give the answer.
        return Ok(None);
    }
    let title =
        title(bytes, complete, delimiter, looks_like_mobile).map(|lines| lines + lead.lines);
    let layout = layout.map_err(|error| SourceError::Column { error, title })?;
    Ok(Some(Look { lead, layout, title }))
}
