//! Detects the layout of a table from a sample and the user's options: dialect, width and columns.

use std::sync::Arc;

use tr::tr;

use crate::domain::number::mobile::NumberRules;
use crate::domain::row_location::RowLocation;
use crate::table::detect::column::ColumnDetector;
use crate::table::detect::column_error::ColumnError;
use crate::table::detect::columns::{Column, ColumnChoice, has_named_column};
use crate::table::detect::country_column::{CountryChoice, CountryColumns, find_country_columns};
use crate::table::detect::country_reading::NumberCountries;
use crate::table::detect::dialect::{Dialect, SAMPLE_ROWS, Sample};
use crate::table::detect::encoding::DetectedEncoding;
use crate::table::detect::extra_columns::{ExtraColumn, find_answer_columns, find_extra_columns};
use crate::table::detect::header_row::{FirstRow, judge_first_row};
use crate::table::detect::person_columns::find_person_columns;
use crate::table::raw::encoding::Encoding;
use crate::table::raw::missing_values::MissingValues;
use crate::table::raw::row_numbers::RowNumbers;

/// What the user specified. Everything else is detected.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the options are independent")]
pub struct SourceOptions {
    pub encoding: Option<Encoding>,
    /// Whether 64 KiB are read before anything is detected. For inputs that never have to be waited
    /// for.
    pub read_sample_first: bool,
    /// Whether invalid bytes pass through instead of being an error.
    pub lossy: bool,
    /// The number of lines before the header, or before the first row if there is none; detected
    /// if `None`. In a sheet, the number of its rows.
    pub skip_lines: Option<u64>,
    /// Whether a row may have more cells than the first one.
    pub flexible: bool,
    /// Whether the table is the output of an earlier run. It must have a header.
    pub has_answers: bool,
    /// The character between two cells.
    pub delimiter: Option<char>,
    /// Whether the first row is a header; detected if `None`.
    pub has_headers: Option<bool>,
    /// The number columns in the order in which they are tried; detected if empty.
    pub columns: Vec<ColumnChoice>,
    /// The column with the countries of the numbers.
    pub country_column: CountryChoice,
    /// The columns that are read beside the numbers.
    pub extra_columns: Vec<ExtraColumn>,
    /// The names of the optional answer columns to append.
    pub optional_columns: Vec<&'static str>,
    /// The formulas of a workbook's sheet without a stored value.
    pub missing_values: Arc<MissingValues>,
    /// How the rows are numbered.
    pub row_numbers: RowNumbers,
    /// Whether every quote is right, as in the text that is made of a workbook.
    pub trusts_quotes: bool,
    /// The rules of numbers, if a table without a cell that could be meant as one is an error.
    pub required_numbers: Option<NumberRules>,
    /// Whether a table without rows is accepted all the same.
    pub allow_empty: bool,
}

impl SourceOptions {
    /// Whether the user said what the table looks like, and so that it is one.
    pub(crate) fn describes_table(&self) -> bool {
        self.delimiter.is_some() || !self.columns.is_empty()
    }

    /// Whether the user requests a column by a name that is in `row`, which then must be the
    /// header.
    #[must_use]
    pub(crate) fn has_name_in(&self, row: &[String]) -> bool {
        let beside = self.extra_columns.iter().filter_map(|column| match column {
            ExtraColumn::Requested { choice, .. } => Some(choice),
            ExtraColumn::Appended(_) | ExtraColumn::Optional(_) => None,
        });
        let country = match &self.country_column {
            CountryChoice::Column(choice) => Some(choice),
            CountryChoice::Detect | CountryChoice::None => None,
        };
        has_named_column(self.columns.iter().chain(beside).chain(country), row)
    }
}

/// The layout of a table.
pub(crate) struct Layout {
    pub dialect: Dialect,
    /// What the first row was taken for.
    pub first_row_kind: FirstRow,
    /// The number columns, at least one.
    pub columns: Vec<Column>,
    /// The country columns of each number column.
    pub country_columns: Vec<NumberCountries>,
    /// The positions, from 0, of the columns that are read beside them.
    pub extra_columns: Vec<usize>,
    /// The columns, from 0, that show to a person who a row is about.
    pub person_columns: Vec<usize>,
    /// The cells of the first row: the column names, if the table has a header. The columns without
    /// a name that the other rows have are included.
    pub first_row: Vec<String>,
    /// The number of these columns.
    pub unnamed_columns: usize,
}

impl Layout {
    /// The number of cells of the first row, with the columns without a name.
    #[must_use]
    pub(crate) fn width(&self) -> usize {
        self.first_row.len()
    }

    /// The number of cells of the first row itself.
    #[must_use]
    pub(crate) fn named_columns(&self) -> usize {
        self.width() - self.unnamed_columns
    }

    /// The layout of an empty input.
    #[must_use]
    pub(crate) fn empty(encoding: &DetectedEncoding, delimiter: char) -> Self {
        let column = Column { index: 0, name: None, reason: tr!("the input has no rows") };
        Self {
            dialect: Dialect::new(encoding, delimiter, false),
            first_row_kind: FirstRow::Row,
            columns: vec![column],
            country_columns: vec![NumberCountries::default()],
            extra_columns: Vec::new(),
            person_columns: Vec::new(),
            first_row: Vec::new(),
            unnamed_columns: 0,
        }
    }
}

/// What a sample says about the layout.
pub(crate) enum Detected {
    /// At least one row of data confirms the layout.
    Layout(Layout),
    /// This layout, which more rows of data could contradict.
    NeedsMoreRows(Layout),
    /// The header alone does not say which column is meant. Without rows, this layout will do.
    HeaderOnly(Layout, ColumnError),
    /// The sample does not say which column is meant. More rows may do so.
    Unknown(ColumnError),
}

/// What the layout is detected from.
#[derive(Clone, Copy)]
pub(crate) struct LayoutDetector<'a> {
    pub sample: &'a Sample,
    /// Where the first row is.
    pub row: &'a RowLocation,
    pub encoding: &'a DetectedEncoding,
    /// Whether a cell looks like a mobile number.
    pub looks_like_mobile: &'a dyn Fn(&str) -> bool,
}

impl LayoutDetector<'_> {
    /// Detects the layout from the sample.
    pub(crate) fn detect(&self, options: &SourceOptions) -> Detected {
        let Self { sample, row, encoding: detected_encoding, looks_like_mobile } = *self;
        let first_row: &[String] = sample.rows.first().map_or(&[], Vec::as_slice);
        let choices = &options.columns;
        let first_row_kind = match options.has_headers {
            Some(false) if !options.has_answers => FirstRow::Row,
            None if !options.has_answers && !options.has_name_in(first_row) => {
                judge_first_row(&sample.rows, looks_like_mobile)
            }
            _ => FirstRow::Header,
        };
        let has_headers = first_row_kind.is_header();
        let sample_rows = match sample.rows.as_slice() {
            [_, data @ ..] if has_headers => data,
            rows => rows,
        };
        let detector = ColumnDetector {
            first_row,
            has_headers,
            row,
            sample_rows,
            answer_columns: &[],
            looks_like_mobile,
        };
        let other_columns = || {
            let extra_columns = find_extra_columns(detector, &options.extra_columns)?;
            let answer_columns =
                if options.has_answers { find_answer_columns(detector)? } else { Vec::new() };
            Ok((extra_columns, answer_columns))
        };
        let (extra_columns, answer_columns) = match other_columns() {
            Ok(columns) => columns,
            Err(error) => return Detected::Unknown(error),
        };
        let detector = ColumnDetector { answer_columns: &answer_columns, ..detector };
        let (columns, error) = match detector.choose(choices) {
            Ok(columns) => (columns, None),
            Err(error) if sample_rows.is_empty() && error.is_undetected() => {
                (vec![detector.first_column()], Some(error))
            }
            Err(error) => return Detected::Unknown(error),
        };
        let countries = find_country_columns(detector, &options.country_column, &columns);
        let CountryColumns { columns: country_columns, needs_more_rows } = match countries {
            Ok(countries) => countries,
            Err(error) => return Detected::Unknown(error),
        };
        let has_more_room = sample.rows.len() < SAMPLE_ROWS;
        let dialect = Dialect::new(detected_encoding, sample.delimiter, has_headers);
        // The answers that a table has already are in its columns.
        let unnamed_columns = if options.has_answers { 0 } else { sample.unnamed_columns() };
        let mut first_row = first_row.to_vec();
        first_row.resize(first_row.len() + unnamed_columns, String::new());
        let numbers = columns.iter().map(|column| column.index);
        let countries = country_columns.iter().filter_map(|countries| countries.certain.as_ref());
        let countries = countries.map(|column| column.index);
        let others: Vec<usize> =
            numbers.chain(countries).chain(answer_columns.iter().copied()).collect();
        let person_columns = find_person_columns(&first_row, has_headers, sample_rows, &others);
        let layout = Layout {
            dialect,
            first_row_kind,
            columns,
            country_columns,
            extra_columns,
            person_columns,
            first_row,
            unnamed_columns,
        };
        match error {
            Some(error) => Detected::HeaderOnly(layout, error),
            None if sample_rows.is_empty() => Detected::NeedsMoreRows(layout),
            // A pipe must give the same header and country columns as a file.
            None if (needs_more_rows || first_row_kind.is_likely()) && has_more_room => {
                Detected::NeedsMoreRows(layout)
            }
            None => Detected::Layout(layout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::detect::encoding::EncodingReason;

    fn detect(text: &str, options: &SourceOptions) -> Detected {
        let sample = Sample::read(text.as_bytes(), ',', true);
        let encoding = DetectedEncoding {
            encoding: Encoding::Utf8,
            bom_len: 0,
            reason: EncodingReason::Ascii,
        };
        LayoutDetector {
            sample: &sample,
            row: &RowLocation::Line(1),
            encoding: &encoding,
            looks_like_mobile: &|cell: &str| cell.starts_with('1'),
        }
        .detect(options)
    }

    #[test]
    fn headers_are_detected_unless_a_flag_decides() {
        let has_headers = |text: &str, options: &SourceOptions| match detect(text, options) {
            Detected::Layout(layout) | Detected::NeedsMoreRows(layout) => {
                layout.dialect.has_headers
            }
            Detected::HeaderOnly(_, error) | Detected::Unknown(error) => panic!("{error}"),
        };
        let default = SourceOptions::default();
        assert!(has_headers("name,phone\n", &default));
        assert!(!has_headers("A,138\n", &default));
        assert!(has_headers(
            "A,138\nB,139\n",
            &SourceOptions { has_headers: Some(true), ..SourceOptions::default() }
        ));
        assert!(!has_headers(
            "name,phone\nA,138\n",
            &SourceOptions { has_headers: Some(false), ..SourceOptions::default() }
        ));
        assert!(!has_headers("von,bis\nA,138\n", &default));
        let choice: ColumnChoice = "VON".parse().unwrap();
        let flag = "--expect";
        for named in [
            SourceOptions { columns: vec![choice.clone()], ..SourceOptions::default() },
            SourceOptions {
                country_column: CountryChoice::Column(choice.clone()),
                ..SourceOptions::default()
            },
            SourceOptions {
                extra_columns: vec![ExtraColumn::Requested { choice, flag }],
                ..SourceOptions::default()
            },
        ] {
            assert!(has_headers("von,bis\nA,138\n", &named));
        }
        let country =
            SourceOptions { country_column: "国家".parse().unwrap(), ..SourceOptions::default() };
        assert!(has_headers("国家,13800138000\n德国,138\n", &country));
    }

    #[test]
    fn a_data_row_is_distinguished_from_a_header() {
        let detect = |text| detect(text, &SourceOptions::default());
        assert!(
            matches!(detect("name,phone\n"), Detected::NeedsMoreRows(layout) if layout.width() == 2)
        );
        assert!(matches!(detect("name,phone\nA,138"), Detected::Layout(_)));
        assert!(matches!(detect("A,138"), Detected::Layout(_)));
        assert!(matches!(
            detect("a,b\nc,d\n"),
            Detected::Unknown(ColumnError::NoMobileColumn { .. })
        ));
    }
}
