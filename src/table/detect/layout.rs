//! Owns what the beginning of an input tells about the whole: dialect, width and the column with the number. Gets a
//! sample that others have read, and the user's wishes.

use crate::table::detect::column::ColumnDetector;
use crate::table::detect::column_error::ColumnError;
use crate::table::detect::columns::{Column, ColumnChoice, has_named_column};
use crate::table::detect::dialect::{Dialect, Sample, has_header_row};
use crate::table::detect::encoding::DetectedEncoding;
use crate::table::detect::extra_columns::{ExtraColumn, find_answer_columns, find_extra_columns};
use crate::table::raw::encoding::Encoding;

/// What the user settled; everything else is detected.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a wish by itself")]
pub struct SourceOptions {
    /// The text's encoding.
    pub encoding: Option<Encoding>,
    /// Whether a good part of the input is read before anything is settled: where more of it need not be waited for.
    pub read_sample_first: bool,
    /// Whether bytes that are no text in the encoding pass through, instead of ending the reading.
    pub lossy: bool,
    /// How many lines stand above the header, or above the first row where there is none.
    pub skip_lines: u64,
    /// Whether a row may have more cells than the first one.
    pub flexible: bool,
    /// Whether the table is one to which answers were appended: it has a header, and no row may have more cells than that.
    pub has_answers: bool,
    /// The byte between two cells.
    pub delimiter: Option<u8>,
    /// Whether the first row is a header.
    pub has_headers: Option<bool>,
    /// The columns that hold numbers, the one to begin with first; none where it has to be found out.
    pub columns: Vec<ColumnChoice>,
    /// The columns whose cells are read along with the numbers.
    pub extra_columns: Vec<ExtraColumn>,
    /// The names of columns that are appended behind the usual ones.
    pub optional_columns: Vec<&'static str>,
}

/// How a table is laid out.
pub struct Layout {
    /// How the table is written.
    pub dialect: Dialect,
    /// The columns that hold numbers, at least one.
    pub columns: Vec<Column>,
    /// Where the columns stand that are read along with them, counted from 0.
    pub extra_columns: Vec<usize>,
    /// The first row's cells: the columns' names, where the dialect has headers.
    pub first_row: Vec<String>,
}

impl Layout {
    /// How many cells each row has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.first_row.len()
    }
}

/// What is known when the layout is settled.
#[derive(Clone, Copy)]
pub(crate) struct LayoutDetector<'a> {
    /// The first rows.
    pub sample: &'a Sample,
    /// The line on which the first row starts, counted from 1.
    pub line: u64,
    /// The input's encoding.
    pub encoding: &'a DetectedEncoding,
    /// Whether a cell looks like a mobile number.
    pub looks_like_mobile: &'a dyn Fn(&str) -> bool,
}

impl LayoutDetector<'_> {
    /// The layout, and whether a row of data had a say in it.
    ///
    /// # Errors
    /// [`ColumnError`] where it stays open which column is meant.
    pub(crate) fn detect(&self, options: &SourceOptions) -> (Result<Layout, ColumnError>, bool) {
        let Self { sample, line, encoding: guess, looks_like_mobile } = *self;
        let first = sample.rows.first().cloned().unwrap_or_default();
        let choices = &options.columns;
        let detected =
            || has_named_column(choices, &first) || has_header_row(&sample.rows, looks_like_mobile);
        let headers = options.has_answers || options.has_headers.unwrap_or_else(detected);
        let rows = sample.rows.get(usize::from(headers)..).unwrap_or_default();
        let evidence = ColumnDetector {
            first_row: &first,
            has_headers: headers,
            line,
            sample_rows: rows,
            answer_columns: &[],
            looks_like_mobile,
        };
        let columns = find_extra_columns(evidence, &options.extra_columns).and_then(|beside| {
            let answers =
                if options.has_answers { find_answer_columns(evidence)? } else { Vec::new() };
            Ok((ColumnDetector { answer_columns: &answers, ..evidence }.choose(choices)?, beside))
        });
        let &DetectedEncoding { encoding, bom_len: mark, reason: why } = guess;
        let dialect = Dialect {
            encoding,
            encoding_reason: why,
            has_bom: mark > 0,
            delimiter: sample.delimiter,
            has_headers: headers,
        };
        let seen = !rows.is_empty();
        (
            columns.map(|(columns, beside)| Layout {
                dialect,
                columns,
                extra_columns: beside,
                first_row: first,
            }),
            seen,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::detect::encoding::EncodingReason;

    fn layout(text: &str, options: &SourceOptions) -> (Result<Layout, ColumnError>, bool) {
        let sample = Sample::read(text.as_bytes(), b',', true);
        let guess = DetectedEncoding {
            encoding: Encoding::Utf8,
            bom_len: 0,
            reason: EncodingReason::Ascii,
        };
        LayoutDetector {
            sample: &sample,
            line: 1,
            encoding: &guess,
            looks_like_mobile: &|cell: &str| cell.starts_with('1'),
        }
        .detect(options)
    }

    #[test]
    fn headers_are_detected_unless_a_flag_decides() {
        let headers = |text: &str, options: &SourceOptions| {
            layout(text, options).0.unwrap().dialect.has_headers
        };
        let detect = SourceOptions::default();
        assert!(headers("name,phone\n", &detect));
        assert!(!headers("A,138\n", &detect));
        assert!(headers(
            "A,138\nB,139\n",
            &SourceOptions { has_headers: Some(true), ..SourceOptions::default() }
        ));
        assert!(!headers(
            "name,phone\nA,138\n",
            &SourceOptions { has_headers: Some(false), ..SourceOptions::default() }
        ));
        let named =
            SourceOptions { columns: vec!["1ST".parse().unwrap()], ..SourceOptions::default() };
        assert!(headers("1st,2nd\nA,138\n", &named));
    }

    #[test]
    fn a_data_row_is_distinguished_from_a_header() {
        let (found, seen) = layout("name,phone\n", &SourceOptions::default());
        assert_eq!((found.unwrap().width(), seen), (2, false));
        assert!(layout("name,phone\nA,138", &SourceOptions::default()).1);
        assert!(layout("A,138", &SourceOptions::default()).1);
        let (found, seen) = layout("a,b\nc,d\n", &SourceOptions::default());
        assert!(matches!(found, Err(ColumnError::NoMobileColumn { .. })) && seen);
    }
}
