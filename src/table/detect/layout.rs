//! Owns what the beginning of an input tells about the whole: dialect, width and the column with the number. Gets a
//! sample that others have read, and the user's wishes.

use crate::table::detect::column::Evidence;
use crate::table::detect::column_error::ColumnError;
use crate::table::detect::columns::{Column, ColumnChoice, names_a_header};
use crate::table::detect::dialect::{Dialect, Sample, are_headers};
use crate::table::detect::encoding::Guess;
use crate::table::detect::extra_columns::{Beside, answers, places};
use crate::table::raw::encoding::Encoding;

/// What the user settled; everything else is detected.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a wish by itself")]
pub struct Options {
    /// The text's encoding.
    pub encoding: Option<Encoding>,
    /// Whether a good part of the input is read before anything is settled: where more of it need not be waited for.
    pub eager: bool,
    /// Whether bytes that are no text in the encoding pass through, instead of ending the reading.
    pub lossy: bool,
    /// How many lines stand above the header, or above the first row where there is none.
    pub skip_lines: u64,
    /// Whether a row may have more cells than the first one.
    pub flexible: bool,
    /// Whether the table is one to which answers were appended: it has a header, and no row may have more cells than that.
    pub resolved: bool,
    /// The byte between two cells.
    pub delimiter: Option<u8>,
    /// Whether the first row is a header.
    pub headers: Option<bool>,
    /// The columns that hold numbers, the one to begin with first; none where it has to be found out.
    pub columns: Vec<ColumnChoice>,
    /// The columns whose cells are read along with the numbers.
    pub beside: Vec<Beside>,
    /// The names of columns that are appended behind the usual ones.
    pub further: Vec<&'static str>,
}

/// How a table is laid out.
pub struct Layout {
    /// How the table is written.
    pub dialect: Dialect,
    /// The columns that hold numbers, at least one.
    pub columns: Vec<Column>,
    /// Where the columns stand that are read along with them, counted from 0.
    pub beside: Vec<usize>,
    /// The first row's cells: the columns' names, where the dialect has headers.
    pub first: Vec<String>,
}

impl Layout {
    /// How many cells each row has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.first.len()
    }
}

/// What is known when the layout is settled.
#[derive(Clone, Copy)]
pub(crate) struct Beginning<'a> {
    /// The first rows.
    pub sample: &'a Sample,
    /// The line on which the first row starts, counted from 1.
    pub line: u64,
    /// The input's encoding.
    pub guess: &'a Guess,
    /// Whether a cell looks like a mobile number.
    pub looks_like_mobile: &'a dyn Fn(&str) -> bool,
}

impl Beginning<'_> {
    /// The layout, and whether a row of data had a say in it.
    ///
    /// # Errors
    /// [`ColumnError`] where it stays open which column is meant.
    pub(crate) fn layout(&self, options: &Options) -> (Result<Layout, ColumnError>, bool) {
        let Self { sample, line, guess, looks_like_mobile } = *self;
        let first = sample.rows.first().cloned().unwrap_or_default();
        let choices = &options.columns;
        let detected =
            || names_a_header(choices, &first) || are_headers(&sample.rows, looks_like_mobile);
        let headers = options.resolved || options.headers.unwrap_or_else(detected);
        let rows = sample.rows.get(usize::from(headers)..).unwrap_or_default();
        let evidence =
            Evidence { first: &first, headers, line, rows, answers: &[], looks_like_mobile };
        let columns = places(evidence, &options.beside).and_then(|beside| {
            let answers = if options.resolved { answers(evidence)? } else { Vec::new() };
            Ok((Evidence { answers: &answers, ..evidence }.choose(choices)?, beside))
        });
        let &Guess { encoding, mark, why } = guess;
        let dialect =
            Dialect { encoding, why, bom: mark > 0, delimiter: sample.delimiter, headers };
        let seen = !rows.is_empty();
        (columns.map(|(columns, beside)| Layout { dialect, columns, beside, first }), seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::detect::encoding::Sign;

    fn layout(text: &str, options: &Options) -> (Result<Layout, ColumnError>, bool) {
        let sample = Sample::take(text.as_bytes(), b',', true);
        let guess = Guess { encoding: Encoding::Utf8, mark: 0, why: Sign::Ascii };
        Beginning {
            sample: &sample,
            line: 1,
            guess: &guess,
            looks_like_mobile: &|cell: &str| cell.starts_with('1'),
        }
        .layout(options)
    }

    #[test]
    fn headers_are_detected_unless_they_are_settled() {
        let headers =
            |text: &str, options: &Options| layout(text, options).0.unwrap().dialect.headers;
        let detect = Options::default();
        assert!(headers("name,phone\n", &detect));
        assert!(!headers("A,138\n", &detect));
        assert!(headers("A,138\nB,139\n", &Options { headers: Some(true), ..Options::default() }));
        assert!(!headers(
            "name,phone\nA,138\n",
            &Options { headers: Some(false), ..Options::default() }
        ));
        let named = Options { columns: vec!["1ST".parse().unwrap()], ..Options::default() };
        assert!(headers("1st,2nd\nA,138\n", &named));
    }

    #[test]
    fn a_row_of_data_is_told_from_a_header_alone() {
        let (found, seen) = layout("name,phone\n", &Options::default());
        assert_eq!((found.unwrap().width(), seen), (2, false));
        assert!(layout("name,phone\nA,138", &Options::default()).1);
        assert!(layout("A,138", &Options::default()).1);
        let (found, seen) = layout("a,b\nc,d\n", &Options::default());
        assert!(matches!(found, Err(ColumnError::NotFound { .. })) && seen);
    }
}
