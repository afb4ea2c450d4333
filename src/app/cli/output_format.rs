//! The formats of outputs: what their names promise, and which names are refused.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use tr::tr;

use crate::app::cli::args::OutputFormat;
use crate::app::cli::same_file::is_same_file;
use crate::app::exit::{Exit, Failure};
use crate::domain::shard::Shard;
use crate::table::unpack::workbook::{WorkbookKind, workbook_kind};
use crate::table::write::format::TableFormat;

/// What an input is, as far as its output depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputKind {
    /// Text, or what is refused as an input.
    Text,
    /// A workbook that Excel opens as `.xlsx`.
    Workbook,
    /// One that it opens as `.xlsm`.
    MacroWorkbook,
    /// A template: Excel opens no copy of it under a name of a workbook.
    Template,
}

impl InputKind {
    /// The content of a regular file decides, and the name of everything else.
    #[must_use]
    pub(crate) fn from_path(path: &Path) -> Self {
        let extension = lower_extension(path);
        let is_workbook = match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => has_zip_signature(path),
            _ => matches!(&*extension, "xlsx" | "xlsm"),
        };
        if !is_workbook {
            return Self::Text;
        }
        match File::open(path).ok().and_then(workbook_kind) {
            Some(WorkbookKind::Plain) => Self::Workbook,
            Some(WorkbookKind::WithMacros) => Self::MacroWorkbook,
            Some(WorkbookKind::Template) => Self::Template,
            None => match &*extension {
                "xlsm" => Self::MacroWorkbook,
                "xltx" | "xltm" => Self::Template,
                _ => Self::Workbook,
            },
        }
    }
}

fn has_zip_signature(path: &Path) -> bool {
    let mut start = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && matches!(&start, b"PK\x03\x04" | b"PK\x05\x06")
}

/// What a file name says about the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Promise {
    /// Nothing.
    Open,
    Text,
    Compressed(TableFormat),
    Workbook,
    MacroWorkbook,
    Refused(Refusal),
}

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// A spreadsheet in another format.
    Spreadsheet,
    /// A workbook inside a compressed file.
    CompressedWorkbook,
    /// An archive or another compression.
    Archive,
    /// Something else than a table.
    OtherContent,
}

impl Promise {
    fn from_path(path: &Path) -> Self {
        // Names in these directories are not file names.
        if path == Path::new("-") || path.starts_with("/dev") || path.starts_with("/proc") {
            return Self::Open;
        }
        match Self::from_extension(&lower_extension(path)) {
            compressed @ Self::Compressed(_) => match Self::from_path(&path.with_extension("")) {
                Self::Open | Self::Text => compressed,
                Self::Workbook | Self::MacroWorkbook => Self::Refused(Refusal::CompressedWorkbook),
                Self::Compressed(_) => Self::Refused(Refusal::Archive),
                refused @ Self::Refused(_) => refused,
            },
            promise => promise,
        }
    }

    fn from_extension(extension: &str) -> Self {
        match extension {
            "csv" | "txt" | "tsv" | "tab" | "psv" => Self::Text,
            "gz" => Self::Compressed(TableFormat::Gzip),
            "zst" => Self::Compressed(TableFormat::Zstd),
            "xlsx" => Self::Workbook,
            "xlsm" => Self::MacroWorkbook,
            "xls" | "xlt" | "xla" | "xlsb" | "xltx" | "xltm" | "xlam" | "ods" | "fods" | "ots"
            | "sxc" | "et" | "ett" | "numbers" | "gnumeric" | "dif" | "slk" | "wk1" | "wks"
            | "123" | "qpw" => Self::Refused(Refusal::Spreadsheet),
            "zip" | "7z" | "rar" | "tar" | "tgz" | "tzst" | "bz2" | "xz" | "lzma" | "lz"
            | "lz4" | "br" | "z" | "zstd" | "gzip" => Self::Refused(Refusal::Archive),
            "json" | "jsonl" | "ndjson" | "xml" | "html" | "htm" | "md" | "pdf" | "rtf" | "doc"
            | "docx" | "ppt" | "pptx" | "wps" | "yaml" | "yml" | "toml" | "sql" | "db"
            | "sqlite" | "parquet" | "arrow" | "feather" => Self::Refused(Refusal::OtherContent),
            _ => Self::Open,
        }
    }
}

/// An output whose format is to be determined.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NamedOutput<'a> {
    pub flag: &'static str,
    pub path: &'a Path,
    /// The file that a workbook is copied from. `None` for rows that are written as a new file.
    pub input: Option<&'a Path>,
    /// `--output-format`.
    pub wanted: Option<OutputFormat>,
    pub shard: Option<Shard>,
}

impl NamedOutput<'_> {
    /// # Errors
    /// Usage (2) for a name that promises what is not written.
    pub(crate) fn format(&self) -> Result<TableFormat, Failure> {
        let format = match (Promise::from_path(self.path), self.wanted) {
            (Promise::Refused(refusal), _) => return self.refuse(&self.refusal_text(refusal)),
            (Promise::Text | Promise::Compressed(_), Some(OutputFormat::Xlsx)) => {
                return self.refuse(&tr!(
                    "its name says text, and --output-format says xlsx: name it .xlsx, or leave \
                     out --output-format"
                ));
            }
            (Promise::Workbook | Promise::MacroWorkbook, Some(OutputFormat::Csv)) => {
                return self.refuse(&tr!(
                    "its name says a workbook, and --output-format says csv: name it .csv, or \
                     leave out --output-format"
                ));
            }
            (Promise::Compressed(format), _) => format,
            (Promise::Workbook | Promise::MacroWorkbook, _)
            | (Promise::Open, Some(OutputFormat::Xlsx)) => TableFormat::Workbook,
            (Promise::Open, None) if self.replaces_workbook() => TableFormat::Workbook,
            (Promise::Text | Promise::Open, _) => TableFormat::Text,
        };
        if format.is_workbook() {
            self.check_workbook()?;
        } else {
            self.check_text()?;
        }
        Ok(format)
    }

    /// # Errors
    /// As [`NamedOutput::format`].
    fn check_workbook(&self) -> Result<(), Failure> {
        if self.shard.is_some() {
            return self.refuse(&tr!(
                "the rows of a shard are CSV, which merge puts together as a workbook: name it .csv"
            ));
        }
        let kind = self.input.map_or(InputKind::Text, InputKind::from_path);
        let has_macro_name = Promise::from_path(self.path) == Promise::MacroWorkbook;
        match kind {
            InputKind::MacroWorkbook if !has_macro_name && self.has_name() => self
                .refuse(&tr!("the input is a workbook with macros, and Excel opens a copy of it \
                                 only as .xlsm: name it .xlsm")),
            InputKind::Template => self.refuse(&tr!(
                "the input is a template, which Excel does not open under the name \
                                 of a workbook: save it as .xlsx in Excel first, or name the \
                                 output .csv"
            )),
            InputKind::Workbook if has_macro_name => self.refuse(&tr!(
                "the input is a workbook without macros, whatever its name is, and Excel opens a \
                 copy of it only as .xlsx: name it .xlsx"
            )),
            InputKind::Text if has_macro_name => self
                .refuse(&tr!("only the copy of an .xlsm is an .xlsm, and the rows here come \
                                 from another file: name it .xlsx")),
            _ => Ok(()),
        }
    }

    /// Checks that text does not replace a workbook, whose other sheets would be lost.
    fn check_text(&self) -> Result<(), Failure> {
        if self.replaces_workbook() {
            return self.refuse(&tr!(
                "the input is this file, a workbook, and the output is text, which would replace \
                 all its sheets: name another file"
            ));
        }
        let is_file = fs::metadata(self.path).is_ok_and(|found| found.is_file());
        if is_file && InputKind::from_path(self.path) != InputKind::Text {
            return self.refuse(&tr!(
                "this file is a workbook now, and the output is text, which would replace all its \
                 sheets: name another file, or remove this one first"
            ));
        }
        Ok(())
    }

    fn replaces_workbook(&self) -> bool {
        self.input.is_some_and(|input| {
            is_same_file(self.path, input) && InputKind::from_path(input) != InputKind::Text
        })
    }

    /// Whether the output is a file with an extension.
    fn has_name(&self) -> bool {
        Promise::from_path(self.path) != Promise::Open
    }

    fn refusal_text(&self, refusal: Refusal) -> String {
        let extension = lower_extension(self.path);
        match refusal {
            Refusal::Spreadsheet => tr!(
                "of the formats of spreadsheets, only .xlsx is written, and a program would not \
                 open it as {kind}: name it .xlsx, or .csv for text",
                kind = spreadsheet_kind(self.path)
            ),
            Refusal::CompressedWorkbook => {
                tr!("a workbook is compressed already: leave out .{extension}", extension)
            }
            Refusal::Archive => tr!(
                "dingmap compresses only to .gz and .zst, and only once: name it .csv.gz, or .csv",
            ),
            Refusal::OtherContent => tr!(
                "the output is a table, and a program would not read it as .{extension}: name it \
                 .csv for text, or .xlsx for a workbook",
                extension
            ),
        }
    }

    fn refuse<T>(&self, reason: &str) -> Result<T, Failure> {
        let (flag, path) = (self.flag, self.path.display());
        let text = tr!("{flag}: {path}: {reason}", flag, path, reason);
        Err(Failure::with_message(Exit::Usage, text))
    }
}

/// The format of an output that is text, whatever its command reads.
///
/// # Errors
/// Usage (2) for a name that promises something else.
pub(crate) fn text_format(flag: &'static str, path: &Path) -> Result<TableFormat, Failure> {
    let output = NamedOutput { flag, path, input: None, wanted: None, shard: None };
    match output.format()? {
        TableFormat::Workbook => output.refuse(&tr!("the output is text: name it .csv")),
        format => Ok(format),
    }
}

/// Checks that the name of an output that is text does not promise another delimiter.
///
/// # Errors
/// Usage (2) if it does.
pub(crate) fn check_delimiter(
    flag: &'static str,
    path: &Path,
    delimiter: char,
) -> Result<(), Failure> {
    let plain = match &*lower_extension(path) {
        "gz" | "zst" => path.with_extension(""),
        _ => path.to_owned(),
    };
    let expected = match &*lower_extension(&plain) {
        "tsv" | "tab" => '\t',
        "psv" => '|',
        _ => return Ok(()),
    };
    if delimiter == expected {
        return Ok(());
    }
    let output = NamedOutput { flag, path, input: None, wanted: None, shard: None };
    output.refuse(&tr!(
        "its name promises another delimiter than that of the input, {delimiter}, which the output \
         keeps: name it .csv",
        delimiter = format_args!("{delimiter:?}")
    ))
}

/// The format in which a name that is refused would be opened, for people.
fn spreadsheet_kind(path: &Path) -> String {
    match &*lower_extension(path) {
        "xls" | "xlt" | "xla" => tr!("a workbook of Excel 97 to 2003"),
        "xlsb" => tr!("a binary workbook"),
        "xltx" | "xltm" => tr!("a template"),
        "xlam" => tr!("an add-in"),
        "ods" | "fods" | "ots" | "sxc" => tr!("a spreadsheet of LibreOffice"),
        "et" | "ett" => tr!("a spreadsheet of WPS"),
        "numbers" => tr!("a spreadsheet of Numbers"),
        extension => format!(".{extension}"),
    }
}

/// `NAME.resolved.csv` next to the input, with the shard, if any; `.xlsx` or `.xlsm` for a
/// workbook; standard output for standard input.
#[must_use]
pub(crate) fn default_output_path(
    input: &Path,
    shard: Option<Shard>,
    wanted: Option<OutputFormat>,
) -> PathBuf {
    if input == Path::new("-") {
        return PathBuf::from("-");
    }
    let kind = InputKind::from_path(input);
    let is_text = match wanted {
        Some(wanted) => wanted == OutputFormat::Csv,
        None => shard.is_some() || matches!(kind, InputKind::Text | InputKind::Template),
    };
    let extension = match kind {
        _ if is_text => ".csv",
        InputKind::MacroWorkbook => ".xlsm",
        _ => ".xlsx",
    };
    let is_compressed = matches!(&*lower_extension(input), "gz" | "zst");
    // The output is not compressed unless its name is given.
    let plain = if is_compressed { input.with_extension("") } else { input.to_owned() };
    let mut name = plain.file_stem().unwrap_or(plain.as_os_str()).to_owned();
    name.push(".resolved");
    if let Some(shard) = shard {
        name.push(".");
        name.push(shard.to_file_label());
    }
    name.push(extension);
    input.with_file_name(name)
}

fn lower_extension(path: &Path) -> String {
    path.extension().map(OsStr::to_ascii_lowercase).unwrap_or_default().to_string_lossy().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZIP: &[u8] = b"PK\x03\x04";

    fn output<'a>(path: &'a str, input: &'a str) -> NamedOutput<'a> {
        NamedOutput {
            flag: "--output",
            path: Path::new(path),
            input: Some(Path::new(input)),
            wanted: None,
            shard: None,
        }
    }

    fn refusal(output: NamedOutput<'_>) -> String {
        let failure = output.format().unwrap_err();
        assert_eq!(failure.exit, Exit::Usage, "{output:?}");
        failure.error.to_string()
    }

    #[test]
    fn the_name_of_an_output_says_its_format() {
        for (path, expected) in [
            ("-", TableFormat::Text),
            ("/dev/stdout", TableFormat::Text),
            ("/dev/fd/3.xls", TableFormat::Text),
            ("out", TableFormat::Text),
            ("out.2026", TableFormat::Text),
            ("out.csv", TableFormat::Text),
            ("OUT.TXT", TableFormat::Text),
            ("out.tsv", TableFormat::Text),
            ("out.csv.gz", TableFormat::Gzip),
            ("out.GZ", TableFormat::Gzip),
            ("out.txt.zst", TableFormat::Zstd),
            ("a.xlsx/out.csv", TableFormat::Text),
            ("out.xlsx", TableFormat::Workbook),
            ("OUT.XLSX", TableFormat::Workbook),
        ] {
            assert_eq!(output(path, "staff.csv").format().unwrap(), expected, "{path}");
        }
    }

    #[test]
    fn a_name_of_another_format_is_refused_with_the_reason() {
        for (path, reason) in [
            ("out.xls", "Excel 97 to 2003"),
            ("out.XLSB", "a binary workbook"),
            ("out.ods", "LibreOffice"),
            ("out.et", "WPS"),
            ("out.numbers", "Numbers"),
            ("out.xltx", "a template"),
            ("out.dif", ".dif"),
            ("out.xls.gz", "only .xlsx is written"),
            ("out.xlsx.gz", "compressed already: leave out .gz"),
            ("out.xlsm.zst", "compressed already: leave out .zst"),
            ("out.csv.gz.zst", "only to .gz and .zst"),
            ("out.zip", "only to .gz and .zst"),
            ("out.csv.bz2", "only to .gz and .zst"),
            ("out.json", "not read it as .json"),
            ("out.html", "not read it as .html"),
            ("out.xlsm", "only the copy of an .xlsm"),
        ] {
            let text = refusal(output(path, "staff.csv"));
            assert!(text.starts_with(&format!("--output: {path}: ")), "{text}");
            assert!(text.contains(reason), "{text}");
        }
    }

    #[test]
    fn a_workbook_with_macros_stays_one() {
        let [xlsm, xlsx] = ["a.xlsm", "a.xlsx"];
        assert_eq!(output("out.xlsm", xlsm).format().unwrap(), TableFormat::Workbook);
        assert_eq!(output("out.xlsx", xlsx).format().unwrap(), TableFormat::Workbook);
        assert_eq!(output("out.csv", xlsm).format().unwrap(), TableFormat::Text);
        assert!(refusal(output("out.xlsx", xlsm)).ends_with("name it .xlsm"));
        let text = refusal(output("out.xlsm", xlsx));
        assert!(text.contains("without macros") && text.ends_with("name it .xlsx"), "{text}");
        // Standard output has no name that Excel could refuse.
        let stdout = NamedOutput { wanted: Some(OutputFormat::Xlsx), ..output("-", xlsm) }.format();
        assert_eq!(stdout.unwrap(), TableFormat::Workbook);
        // The rows of --failed are a new workbook, without macros.
        let failed = NamedOutput { flag: "--failed", input: None, ..output("f.xlsm", xlsm) };
        assert!(refusal(failed).starts_with("--failed: f.xlsm: "));
    }

    #[test]
    fn the_flag_sets_the_format_where_the_name_does_not() {
        let format = |path, wanted| NamedOutput { wanted: Some(wanted), ..output(path, "a.csv") };
        for path in ["-", "out", "/dev/stdout"] {
            for (wanted, expected) in [
                (OutputFormat::Csv, TableFormat::Text),
                (OutputFormat::Xlsx, TableFormat::Workbook),
            ] {
                assert_eq!(format(path, wanted).format().unwrap(), expected, "{path}");
            }
        }
        assert_eq!(format("a.gz", OutputFormat::Csv).format().unwrap(), TableFormat::Gzip);
        assert_eq!(format("b.xlsx", OutputFormat::Xlsx).format().unwrap(), TableFormat::Workbook);
        for (path, wanted) in [
            ("out.xlsx", OutputFormat::Csv),
            ("out.csv", OutputFormat::Xlsx),
            ("out.csv.gz", OutputFormat::Xlsx),
        ] {
            assert!(refusal(format(path, wanted)).contains("--output-format"), "{path}");
        }
    }

    #[test]
    fn the_shards_of_a_table_are_text() {
        let shard = Shard::parse("0/2", None).ok();
        let text = refusal(NamedOutput { shard, ..output("out.xlsx", "a.csv") });
        assert!(text.ends_with("name it .csv"), "{text}");
        assert!(NamedOutput { shard, ..output("out.csv.gz", "a.csv") }.format().is_ok());
    }

    #[test]
    fn text_never_replaces_a_workbook() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str, content: &[u8]| {
            let path = place.path().join(name);
            fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let [named_text, unnamed] = ["a.csv", "a"].map(|name| path(name, ZIP));
        let text = refusal(output(&named_text, &named_text));
        assert!(text.ends_with("name another file"), "{text}");
        let stated = NamedOutput { wanted: Some(OutputFormat::Csv), ..output(&unnamed, &unnamed) };
        assert!(refusal(stated).ends_with("name another file"));
        assert_eq!(output(&unnamed, &unnamed).format().unwrap(), TableFormat::Workbook);
        let other = refusal(output(&named_text, "staff.csv"));
        assert!(other.contains("this file is a workbook now"), "{other}");
        assert!(text_format("--output", Path::new(&named_text)).is_err());
        // Whatever it was, a file with text becomes what its name says.
        let text = path("b.xlsx", b"tel\n");
        assert_eq!(output(&text, &text).format().unwrap(), TableFormat::Workbook);
        assert_eq!(default_output_path(Path::new(&text), None, None).extension().unwrap(), "csv");
        let workbook = default_output_path(Path::new(&named_text), None, None);
        assert_eq!(workbook.file_name().unwrap(), "a.resolved.xlsx");
        let template = path("c.xltx", ZIP);
        assert!(refusal(output("out.xlsx", &template)).contains("a template"));
        assert!(default_output_path(Path::new(&template), None, None).ends_with("c.resolved.csv"));
    }

    #[test]
    fn the_default_output_is_next_to_the_input() {
        let shard = Shard::parse("1/3", None).ok();
        for (input, expected) in [
            ("a/staff.csv", "a/staff.resolved.csv"),
            ("staff", "staff.resolved.csv"),
            ("-", "-"),
            ("a.b.tsv", "a.b.resolved.csv"),
            ("a/staff.csv.gz", "a/staff.resolved.csv"),
            ("staff.ZST", "staff.resolved.csv"),
            (".gz", ".gz.resolved.csv"),
            ("a.xlsx", "a.resolved.xlsx"),
            ("a.XLSM", "a.resolved.xlsm"),
        ] {
            let input = Path::new(input);
            assert_eq!(default_output_path(input, None, None), Path::new(expected));
            let text = Path::new(expected).with_extension("csv");
            let text = if expected == "-" { PathBuf::from("-") } else { text };
            assert_eq!(default_output_path(input, None, Some(OutputFormat::Csv)), text);
            let sharded = text.to_str().unwrap().replace(".resolved", ".resolved.1-of-3");
            assert_eq!(default_output_path(input, shard, None), Path::new(&sharded));
        }
        let workbook = |name| default_output_path(Path::new(name), None, Some(OutputFormat::Xlsx));
        assert_eq!(workbook("a.csv"), Path::new("a.resolved.xlsx"));
        assert_eq!(workbook("a.xlsm"), Path::new("a.resolved.xlsm"));
    }
}
