//! Writes a table as text: the bytes of the input, with cells appended to each row or replaced in
//! it.

use std::io::Write;
use std::iter;

use crate::domain::excel;
use crate::table::header::Header;
use crate::table::raw::batch::Batch;
use crate::table::raw::encoding::Encoding;
use crate::table::write::cell_edit::Splitter;
use crate::table::write::completion::Completion;
use crate::table::write::edited_file::ReplaceRule;
use crate::table::write::error::SinkError;
use crate::table::write::options::SinkOptions;
use crate::table::write::output::Target;
use crate::table::write::packed_output::PackedOutput;

/// The number of bytes that are buffered before a write.
const BUFFER_BYTES: usize = 64 << 10;

/// A text file that is being written.
pub(crate) struct CsvSink {
    output: PackedOutput,
    target: Target,
    flag: &'static str,
    delimiter: char,
    splitter: Splitter,
    input_encoding: Encoding,
    output_encoding: Encoding,
    excel_safe: bool,
    /// The number of cells of the first row of the table.
    width: usize,
    /// The number of characters that the output's encoding lacks.
    unmappable: u64,
    /// How many bytes of the input's rows were written, or replaced by [`CsvSink::edit_row`].
    row_bytes: u64,
    /// Cells before they are encoded.
    cell_buffer: String,
    buffer: Vec<u8>,
}

impl CsvSink {
    /// Opens the target and writes the header.
    pub(crate) fn create(
        target: Target,
        head: &Header,
        style: SinkOptions,
    ) -> Result<Self, SinkError> {
        match PackedOutput::open(&target, style.format, style.min_bytes) {
            Err(cause) => Err(SinkError::Create { target, cause, flag: style.flag }),
            Ok(output) => {
                let (from, to) = (head.encoding, style.encoding.unwrap_or(head.encoding));
                let mut sink = Self {
                    output,
                    target,
                    flag: style.flag,
                    delimiter: head.delimiter,
                    splitter: Splitter::new(head.delimiter, from),
                    input_encoding: from,
                    output_encoding: to,
                    excel_safe: style.excel_safe,
                    width: head.first_row.len(),
                    unmappable: 0,
                    row_bytes: 0,
                    cell_buffer: String::new(),
                    buffer: Vec::new(),
                };
                // Hardly any program reads UTF-16 without a byte order mark, and few know that of
                // GB18030.
                let default_bom = match to {
                    Encoding::Utf8 => !head.bom.is_empty(),
                    _ if from == to => !head.bom.is_empty(),
                    _ => to.code_unit_len() > 1,
                };
                if style.write_bom.unwrap_or(default_bom) {
                    sink.buffer.extend_from_slice(to.bom());
                }
                sink.copy_raw(&head.raw);
                if let Some(names) = &head.appended_names {
                    let names: Vec<_> = names.iter().map(String::as_str).collect();
                    sink.append_cells(head.answer_delimiters, &names);
                }
                sink.copy_raw(&head.terminator);
                Ok(sink)
            }
        }
    }

    /// Writes row `row` (from 0) of `batch` with `cells` appended.
    pub(crate) fn write_row(
        &mut self,
        batch: &Batch,
        row: usize,
        cells: &[&str],
    ) -> Result<(), SinkError> {
        self.copy_row_bytes(batch.leading_blanks(row));
        self.copy_row_bytes(batch.content(row));
        self.append_cells(batch.answer_delimiters(row), cells);
        self.copy_row_bytes(batch.terminator(row));
        if self.buffer.len() < BUFFER_BYTES { Ok(()) } else { self.flush_buffer() }
    }

    /// Writes row `row` (from 0) of `batch` unchanged, with the blank lines before it.
    pub(crate) fn copy_row(&mut self, batch: &Batch, row: usize) -> Result<(), SinkError> {
        self.copy_row_bytes(batch.leading_blanks(row));
        self.copy_row_without_blanks(batch, row)
    }

    /// Writes row `row` (from 0) of `batch` with the cells of some columns replaced. The other
    /// cells keep their bytes. `cells` has each column, from 0, at most once. A row that is too
    /// short gets empty cells in between.
    ///
    /// # Errors
    /// [`SinkError::Bug`] if the cells do not fit the row's bytes.
    pub(crate) fn edit_row(
        &mut self,
        batch: &Batch,
        row: usize,
        cells: &mut [(usize, &str)],
    ) -> Result<(), SinkError> {
        cells.sort_unstable();
        let bug = || SinkError::Bug { line: batch.line(row) };
        let raw = batch.content(row);
        let ranges = self.splitter.cell_ranges(raw);
        // The framer counted the cells when the row was read.
        let mut width = ranges.len();
        let missing = batch.answer_delimiters(row).saturating_sub(1);
        if self.width.saturating_sub(width) != missing {
            return Err(bug());
        }
        let mut copied = 0;
        self.copy_row_bytes(batch.leading_blanks(row));
        for &mut (index, cell) in cells {
            if let Some(range) = ranges.get(index) {
                self.copy_row_bytes(raw.get(copied..range.start).ok_or_else(bug)?);
                self.row_bytes += raw.get(range.clone()).ok_or_else(bug)?.len() as u64;
                self.write_cell(cell);
                copied = range.end;
            } else {
                self.copy_row_bytes(raw.get(copied..).ok_or_else(bug)?);
                copied = raw.len();
                self.append_cells(index.checked_sub(width).ok_or_else(bug)? + 1, &[cell]);
                width = index + 1;
            }
        }
        self.copy_row_bytes(raw.get(copied..).ok_or_else(bug)?);
        self.copy_row_bytes(batch.terminator(row));
        if self.buffer.len() < BUFFER_BYTES { Ok(()) } else { self.flush_buffer() }
    }

    /// Writes row `row` (from 0) of `batch` unchanged, without the blank lines before it.
    pub(crate) fn copy_row_without_blanks(
        &mut self,
        batch: &Batch,
        row: usize,
    ) -> Result<(), SinkError> {
        self.copy_row_bytes(batch.content(row));
        self.copy_row_bytes(batch.terminator(row));
        if self.buffer.len() < BUFFER_BYTES { Ok(()) } else { self.flush_buffer() }
    }

    /// Writes the buffer, so that a reader of standard output gets the rows.
    pub(crate) fn flush(&mut self) -> Result<(), SinkError> {
        self.flush_buffer()?;
        self.output.flush().map_err(|cause| SinkError::Write {
            target: self.target.clone(),
            cause,
            flag: self.flag,
        })
    }

    /// Writes `tail`, the blank lines after the last row, and completes the output.
    pub(crate) fn finish_with(
        mut self,
        tail: &[u8],
        rule: &ReplaceRule,
    ) -> Result<Completion, SinkError> {
        self.copy_raw(tail);
        self.flush_buffer()?;
        let Self { output, target, unmappable, flag, .. } = self;
        let replaced = output.finish_with(rule);
        let replaced = replaced.map_err(|cause| SinkError::Finish { target, cause, flag })?;
        Ok(Completion { unmappable, cut_cells: 0, replaced })
    }

    /// How many bytes of the input's rows were written, or replaced on purpose: blank lines,
    /// contents and terminators, counted before they are encoded. Header and appended cells are not
    /// counted.
    #[must_use]
    pub(crate) fn row_bytes(&self) -> u64 {
        self.row_bytes
    }

    fn flush_buffer(&mut self) -> Result<(), SinkError> {
        let written = self.output.write_all(&self.buffer);
        self.buffer.clear();
        written.map_err(|cause| SinkError::Write {
            target: self.target.clone(),
            cause,
            flag: self.flag,
        })
    }

    /// Copies bytes of a row and counts them.
    fn copy_row_bytes(&mut self, raw: &[u8]) {
        self.copy_raw(raw);
        self.row_bytes += raw.len() as u64;
    }

    /// Copies complete characters of the input, converted if the output has another encoding.
    fn copy_raw(&mut self, raw: &[u8]) {
        if self.input_encoding == self.output_encoding {
            self.buffer.extend_from_slice(raw);
        } else {
            self.unmappable +=
                self.output_encoding.encode(&self.input_encoding.decode(raw), &mut self.buffer);
        }
    }

    /// Appends `cells` after so many delimiters.
    fn append_cells(&mut self, delimiters: usize, cells: &[&str]) {
        self.cell_buffer.clear();
        self.cell_buffer.extend(iter::repeat_n(self.delimiter, delimiters));
        for (index, &cell) in cells.iter().enumerate() {
            if index > 0 {
                self.cell_buffer.push(self.delimiter);
            }
            push_cell(&mut self.cell_buffer, cell, self.delimiter, self.excel_safe);
        }
        self.output_encoding.encode(&self.cell_buffer, &mut self.buffer);
    }

    /// Writes a cell without a delimiter.
    fn write_cell(&mut self, cell: &str) {
        self.cell_buffer.clear();
        push_cell(&mut self.cell_buffer, cell, self.delimiter, self.excel_safe);
        self.output_encoding.encode(&self.cell_buffer, &mut self.buffer);
    }
}

/// Adds a cell to `to`, in quotes if it would be read differently without them. With `excel_safe`,
/// a cell that a spreadsheet would change gets an apostrophe in front.
fn push_cell(to: &mut String, cell: &str, delimiter: char, excel_safe: bool) {
    let prefix = if excel_safe && excel::needs_protection(cell) { "'" } else { "" };
    let special = |letter| letter == delimiter || matches!(letter, '"' | '\r' | '\n');
    if !cell.starts_with(' ') && !cell.ends_with(' ') && !cell.contains(special) {
        to.push_str(prefix);
        to.push_str(cell);
        return;
    }
    to.push('"');
    to.push_str(prefix);
    for letter in cell.chars() {
        if letter == '"' {
            to.push(letter);
        }
        to.push(letter);
    }
    to.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::raw::framer::Row;
    use std::borrow::Cow;
    use std::fs;
    use std::io;

    fn head(names: bool) -> Header {
        let names = names.then(|| ["a", "b", "c", "d", "e;"].map(str::to_owned).to_vec());
        Header {
            first_row: vec![String::new(); 4],
            bom: b"\xEF\xBB\xBF".to_vec(),
            raw: b"\nphone".to_vec(),
            line: 2,
            terminator: b"\r\n".to_vec(),
            appended_names: names,
            answer_delimiters: 1,
            delimiter: ';',
            encoding: Encoding::Utf8,
        }
    }

    fn batch() -> Batch {
        let mut batch = Batch::default();
        batch.push(
            &Row { leading_blanks: b"", content: b"", terminator: b"\r\n", line: 1 },
            [Cow::Borrowed("")],
            1,
        );
        batch.push(
            &Row { leading_blanks: b"\n", content: b"\"x\"", terminator: b"", line: 3 },
            [Cow::Borrowed("x")],
            3,
        );
        batch
    }

    #[test]
    fn cells_are_quoted_when_they_need_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out.csv");
        let mut sink =
            CsvSink::create(Target::File(path.clone()), &head(true), SinkOptions::default())
                .unwrap();
        sink.write_row(&batch(), 0, &["u1,u2", "a;b", "", "say \"no\"", "\0"]).unwrap();
        sink.flush().unwrap();
        sink.write_row(&batch(), 1, &[" x", "x ", "a\rb", "a\nb", "a b"]).unwrap();
        sink.finish_with(b"\r\n", &ReplaceRule::Replace).unwrap();
        let expected = "\u{feff}\nphone;a;b;c;d;\"e;\"\r\n\
                        ;u1,u2;\"a;b\";;\"say \"\"no\"\"\";\0\r\n\
                        \n\"x\";;;\" x\";\"x \";\"a\rb\";\"a\nb\";a b\r\n";
        assert_eq!(fs::read_to_string(path).unwrap(), expected);
    }

    #[test]
    fn cells_are_appended_with_the_delimiter_of_the_table() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out.csv");
        let head = Header { delimiter: '，', encoding: Encoding::Gb18030, ..head(true) };
        let head = Header { bom: Vec::new(), ..head };
        let mut sink =
            CsvSink::create(Target::File(path.clone()), &head, SinkOptions::default()).unwrap();
        let mut batch = Batch::default();
        let row = |content| Row { leading_blanks: b"", content, terminator: b"\n", line: 2 };
        batch.push(&row(b"x"), [Cow::Borrowed("x")], 2);
        batch.push(&row(b"x\xA3\xAC"), [Cow::Borrowed("x")], 0);
        sink.write_row(&batch, 0, &["u1", "", "a，b", "a,b", ""]).unwrap();
        sink.write_row(&batch, 1, &["u1", "", "", "", ""]).unwrap();
        sink.finish_with(b"", &ReplaceRule::Replace).unwrap();
        let output = Encoding::Gb18030.decode(&fs::read(path).unwrap()).into_owned();
        assert_eq!(
            output,
            "\nphone，a，b，c，d，e;\r\nx，，u1，，\"a，b\"，a,b，\nx，u1，，，，\n"
        );
    }

    #[test]
    fn edited_cells_change_and_the_others_keep_their_bytes() {
        let mut batch = Batch::default();
        let row = |text| Row { leading_blanks: b"\n", content: text, terminator: b"\r\n", line: 2 };
        batch.push(&row(b"\"a;\";old;\"b\"\"\";c"), [Cow::Borrowed("")], 1);
        batch.push(&row(b"a"), [Cow::Borrowed("")], 4);
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out.csv");
        let style = SinkOptions { excel_safe: true, ..SinkOptions::default() };
        let mut sink = CsvSink::create(Target::File(path.clone()), &head(false), style).unwrap();
        sink.edit_row(&batch, 0, &mut [(3, "-1"), (1, "x;y")]).unwrap();
        sink.edit_row(&batch, 1, &mut [(0, "z"), (2, "y"), (4, "x")]).unwrap();
        sink.copy_row(&batch, 0).unwrap();
        let rows = 2 * batch.content(0).len() + batch.content(1).len();
        assert_eq!(sink.row_bytes(), (rows + 3 * b"\n\r\n".len()) as u64);
        sink.finish_with(b"", &ReplaceRule::Replace).unwrap();
        let expected = "\u{feff}\nphone\r\n\
                        \n\"a;\";\"x;y\";\"b\"\"\";'-1\r\n\
                        \nz;;y;;x\r\n\
                        \n\"a;\";old;\"b\"\"\";c\r\n";
        assert_eq!(fs::read_to_string(path).unwrap(), expected);
    }

    #[test]
    fn an_edit_stops_where_cells_and_bytes_differ() {
        let mut batch = Batch::default();
        let row = Row { leading_blanks: b"", content: b"a;b;c", terminator: b"\n", line: 7 };
        // The framer would have counted one missing cell, since the first row has four.
        batch.push(&row, [Cow::Borrowed("")], 1);
        let place = tempfile::tempdir().unwrap();
        let target = Target::File(place.path().join("out.csv"));
        let mut sink = CsvSink::create(target, &head(false), SinkOptions::default()).unwrap();
        let error = sink.edit_row(&batch, 0, &mut [(1, "x")]).unwrap_err();
        assert!(matches!(error, SinkError::Bug { line: 7 }), "{error}");
        assert!(error.to_string().ends_with("this is a bug, please report it"));
        assert_eq!(sink.row_bytes(), 0);
    }

    #[test]
    fn without_a_header_no_names_are_appended() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out.csv");
        CsvSink::create(Target::File(path.clone()), &head(false), SinkOptions::default())
            .unwrap()
            .finish_with(b"", &ReplaceRule::Replace)
            .unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "\u{feff}\nphone\r\n");
    }

    #[test]
    fn an_unwritable_path_is_reported_immediately() {
        let error = CsvSink::create(
            Target::File("/no/such/out.csv".into()),
            &head(true),
            SinkOptions::default(),
        )
        .err()
        .unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let message = error.to_string();
        assert!(
            message.starts_with("cannot create /no/such/out.csv: ")
                && message.contains("create the directory")
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_error_suggests_an_action() {
        let mut sink =
            CsvSink::create(Target::File("/dev/full".into()), &head(true), SinkOptions::default())
                .unwrap();
        sink.write_row(&batch(), 0, &[""; 5]).unwrap();
        let error = sink.flush().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let message = error.to_string();
        assert!(
            message.starts_with("cannot write to /dev/full: ")
                && message.ends_with("run the same command again")
        );
    }
}
