//! Detects by its first bytes whether an input is compressed or a workbook, and opens it as plain
//! text.

use std::fs::File;
use std::io::{self, Chain, Cursor, Read, Seek};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use tr::tr;

use crate::table::detect::file_type::FileType;
use crate::table::raw::missing_values::MissingValues;
use crate::table::raw::row_numbers::RowNumbers;
use crate::table::unpack::compound_file;
use crate::table::unpack::workbook::error::WorkbookError;
use crate::table::unpack::workbook::{self, RateSheet, SheetOrigin};

/// The length of the longest signature in bytes.
const SIGNATURE_BYTES: usize = 4;
/// Most other sheets that the description of a workbook names.
const MAX_LISTED_SHEETS: usize = 5;

/// Why an input cannot be opened. The caller adds the name of the input.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContainerError {
    /// The input cannot be opened.
    #[error("{}", tr!(
        "cannot be opened: {cause}; check the path and the permissions, then run again",
        cause = .0
    ))]
    Open(io::Error),
    /// The first bytes cannot be read.
    #[error("{}", tr!(
        "reading failed at the beginning: {cause}; make the input readable and run again",
        cause = .0
    ))]
    Read(io::Error),
    /// A workbook comes through a pipe.
    #[error("{}", tr!(
        "an Excel workbook cannot be read from a pipe, since its directory is at the end of the \
         file: give the file's name instead"
    ))]
    WorkbookFromPipe,
    /// A sheet was requested of an input that is not a workbook.
    #[error("{}", tr!(
        "--sheet chooses a sheet of an Excel workbook (.xlsx), and this is none: leave it out and \
         run again"
    ))]
    SheetWithoutWorkbook,
    /// The workbook cannot be read.
    #[error(transparent)]
    Workbook(#[from] WorkbookError),
}

/// What the user specified.
#[derive(Clone, Copy)]
pub(crate) struct UnpackOptions<'a> {
    /// The sheet of a workbook, by name or number.
    pub sheet: Option<&'a str>,
    /// The delimiter of the CSV of a workbook; a comma by default.
    pub delimiter: Option<char>,
    /// Whether a workbook without rows is read as an empty text.
    pub allow_empty: bool,
    /// Tells how well a sheet of a workbook fits, to choose one if none was specified.
    pub rate_sheet: &'a RateSheet<'a>,
}

/// The plain text of an input.
pub(crate) struct UnpackedInput {
    pub reader: Box<dyn Read + Send>,
    /// The compression or the sheet, as text for people.
    pub description: Option<String>,
    /// The delimiter of the CSV of a workbook.
    pub delimiter: Option<char>,
    /// The formulas of a workbook's sheet without a stored value.
    pub missing_values: MissingValues,
    pub row_numbers: RowNumbers,
    /// Where the rows of a sheet come from.
    pub origin: Option<SheetOrigin>,
}

impl UnpackedInput {
    fn text(reader: Box<dyn Read + Send>, description: Option<String>) -> Self {
        Self {
            reader,
            description,
            delimiter: None,
            missing_values: MissingValues::default(),
            row_numbers: RowNumbers::default(),
            origin: None,
        }
    }
}

/// Opens the file at `path`. A gzip or zstd file is decompressed while it is read, in bounded
/// memory (at most 128 MiB for the window of zstd).
pub(crate) fn open(
    path: &Path,
    options: UnpackOptions<'_>,
) -> Result<UnpackedInput, ContainerError> {
    let mut file = File::open(path).map_err(ContainerError::Open)?;
    if !file.metadata().map_err(ContainerError::Open)?.is_file() {
        return open_stream(Box::new(file), options);
    }
    let start = read_signature(&mut file).map_err(ContainerError::Read)?;
    file.rewind().map_err(ContainerError::Read)?;
    match ContainerKind::from_signature(&start) {
        ContainerKind::Zip => {
            let delimiter = options.delimiter.unwrap_or(',');
            let sheet = match workbook::open(file, options.sheet, delimiter, options.rate_sheet) {
                Err(WorkbookError::NoRows(_)) if options.allow_empty => {
                    return Ok(UnpackedInput {
                        delimiter: Some(delimiter),
                        ..UnpackedInput::text(
                            Box::new(io::empty()),
                            Some(tr!("a workbook without rows")),
                        )
                    });
                }
                opened => opened?,
            };
            let others = other_sheets_remark(&sheet.other_sheets);
            let description = tr!("sheet {sheet}{others}", sheet = sheet.label, others)
                + &missing_values_remark(&sheet.missing_values);
            Ok(UnpackedInput {
                reader: Box::new(sheet.reader),
                description: Some(description),
                delimiter: Some(delimiter),
                missing_values: sheet.missing_values,
                row_numbers: sheet.row_numbers,
                origin: sheet.origin,
            })
        }
        ContainerKind::CompoundFile => Err(compound_file::classify(file).into()),
        kind => unpack(kind, Box::new(file), options),
    }
}

fn other_sheets_remark(labels: &[String]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let (listed, rest) = labels.split_at(labels.len().min(MAX_LISTED_SHEETS));
    let listed = listed.join(&tr!("list" => ", "));
    let sheets = match rest.len() {
        0 => listed,
        more => tr!("{sheets} and {more} more", sheets = listed, more),
    };
    tr!("; other sheets with rows: {sheets}; choose with --sheet", sheets)
}

fn missing_values_remark(missing: &MissingValues) -> String {
    match missing.count() {
        0 => String::new(),
        count => tr!(
            "; one formula has no stored value ({cells}): open the workbook in Excel and save it"
                | "; {n} formulas have no stored value ({cells}): open the workbook in Excel and \
                   save it"
                    % count,
            cells = missing
        ),
    }
}

/// Opens a stream that cannot seek, such as standard input, which must not be a workbook.
pub(crate) fn open_stream(
    mut reader: Box<dyn Read + Send>,
    options: UnpackOptions<'_>,
) -> Result<UnpackedInput, ContainerError> {
    let start = read_signature(&mut reader).map_err(ContainerError::Read)?;
    match ContainerKind::from_signature(&start) {
        ContainerKind::Zip => Err(ContainerError::WorkbookFromPipe),
        // What is in it is not looked for: the program that writes to the pipe may never end.
        ContainerKind::CompoundFile => {
            Err(WorkbookError::UnsupportedType(FileType::CompoundFile).into())
        }
        kind => {
            let whole: Chain<_, _> = Cursor::new(start).chain(reader);
            unpack(kind, Box::new(whole), options)
        }
    }
}

/// The type of an input by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ContainerKind {
    Plain,
    Gzip,
    Zstd,
    /// A zip archive, such as an `.xlsx` workbook.
    Zip,
    /// The container of `.xls` workbooks and of workbooks with a password.
    CompoundFile,
}

impl ContainerKind {
    fn from_signature(start: &[u8]) -> Self {
        match start {
            [0x1F, 0x8B, ..] => Self::Gzip,
            // A frame, or a skippable frame, which parallel compressors write first.
            [0x28, 0xB5, 0x2F, 0xFD] | [0x50..=0x5F, 0x2A, 0x4D, 0x18] => Self::Zstd,
            [b'P', b'K', 3, 4] | [b'P', b'K', 5, 6] => Self::Zip,
            [0xD0, 0xCF, 0x11, 0xE0] => Self::CompoundFile,
            _ => Self::Plain,
        }
    }
}

fn unpack(
    kind: ContainerKind,
    reader: Box<dyn Read + Send>,
    options: UnpackOptions<'_>,
) -> Result<UnpackedInput, ContainerError> {
    if options.sheet.is_some() {
        return Err(ContainerError::SheetWithoutWorkbook);
    }
    let (reader, name): (Box<dyn Read + Send>, _) = match kind {
        ContainerKind::Gzip => {
            (Box::new(UnpackReader { reader: MultiGzDecoder::new(reader), format: "gzip" }), "gzip")
        }
        ContainerKind::Zstd => {
            let decoder = zstd::Decoder::new(reader).map_err(ContainerError::Read)?;
            (Box::new(UnpackReader { reader: decoder, format: "zstd" }), "zstd")
        }
        _ => return Ok(UnpackedInput::text(reader, None)),
    };
    Ok(UnpackedInput::text(reader, Some(name.to_owned())))
}

/// Reads the first bytes, as many as the longest signature has or the input.
fn read_signature(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(SIGNATURE_BYTES);
    reader.take(SIGNATURE_BYTES as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// A compressed stream that replaces the decoder's errors by messages for people.
struct UnpackReader<R> {
    reader: R,
    format: &'static str,
}

impl<R: Read> Read for UnpackReader<R> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.reader.read(room).map_err(|error| {
            let name = self.format;
            match error.kind() {
                // Errors of the operating system are about the file, not its content.
                _ if error.raw_os_error().is_some() => error,
                io::ErrorKind::Interrupted => error,
                kind @ io::ErrorKind::UnexpectedEof => io::Error::new(
                    kind,
                    tr!("the {name} data are cut off here, so the file is incomplete", name),
                ),
                kind => io::Error::new(
                    kind,
                    tr!("the {name} data are damaged ({cause})", name, cause = error),
                ),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::table::unpack::workbook::SheetFit;

    fn options(sheet: Option<&str>) -> UnpackOptions<'_> {
        UnpackOptions {
            sheet,
            delimiter: None,
            allow_empty: false,
            rate_sheet: &|_| SheetFit::NamedNumbers,
        }
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 1).unwrap()
    }

    fn opened(bytes: Vec<u8>) -> UnpackedInput {
        open_stream(Box::new(Cursor::new(bytes)), options(None)).unwrap()
    }

    fn text(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        opened(bytes).reader.read_to_end(&mut text).map(|_| text)
    }

    #[test]
    fn the_container_is_detected_by_its_first_bytes() {
        for (start, kind) in [
            (&b"\x1F\x8B\x08\0"[..], ContainerKind::Gzip),
            (b"\x28\xB5\x2F\xFD", ContainerKind::Zstd),
            (b"\x50\x2A\x4D\x18", ContainerKind::Zstd),
            (b"PK\x03\x04", ContainerKind::Zip),
            (b"PK\x05\x06", ContainerKind::Zip),
            (b"\xD0\xCF\x11\xE0", ContainerKind::CompoundFile),
            (b"PK,1", ContainerKind::Plain),
            (b"P", ContainerKind::Plain),
            (b"", ContainerKind::Plain),
        ] {
            assert_eq!(ContainerKind::from_signature(start), kind, "{start:?}");
        }
    }

    #[test]
    fn compressed_data_is_decompressed_completely() {
        let table = b"phone\n13800138000\n".repeat(20_000);
        let (half, rest) = table.split_at(table.len() / 2);
        for packed in [
            table.clone(),
            gzip(&table),
            [gzip(half), gzip(b""), gzip(rest)].concat(),
            zstd(&table),
            [zstd(half), b"\x50\x2A\x4D\x18\x02\0\0\0xx".to_vec(), zstd(rest)].concat(),
            [b"\x5F\x2A\x4D\x18\0\0\0\0".to_vec(), zstd(&table)].concat(),
        ] {
            assert!(text(packed).unwrap() == table);
        }
        for short in [&b""[..], b"a", b"abc"] {
            assert_eq!(text(short.to_vec()).unwrap(), short);
        }
        assert_eq!(opened(gzip(b"a")).description.as_deref(), Some("gzip"));
        assert_eq!(opened(b"a".to_vec()).description, None);
    }

    #[test]
    fn truncated_or_damaged_data_is_an_error_not_the_end() {
        let table: Vec<u8> =
            (0..5000).flat_map(|n| format!("{n},{}\n", n * 7919 % 10_007).into_bytes()).collect();
        for (name, packed) in [("gzip", gzip(&table)), ("zstd", zstd(&table))] {
            for size in [5, packed.len() / 2, packed.len() - 1] {
                let error = text(packed.get(..size).unwrap().to_vec()).unwrap_err().to_string();
                assert!(error.contains(name) && error.contains("cut off"), "{size}: {error}");
            }
        }
        let mut damaged = gzip(&table);
        let checksum = damaged.len() - 8;
        damaged[checksum] ^= 1;
        assert!(text(damaged).unwrap_err().to_string().contains("the gzip data are damaged"));
        let mut damaged = gzip(&table);
        damaged.extend_from_slice(b"rubbish behind it");
        assert!(text(damaged).unwrap_err().to_string().contains("the gzip data are damaged"));
        let mut damaged = zstd(&table);
        let middle = damaged.len() / 2;
        damaged[middle..].fill(0xAA);
        assert!(text(damaged).is_err());
    }

    #[test]
    fn a_compressed_stream_yields_available_data() {
        struct Pieces(Vec<Vec<u8>>);
        impl Read for Pieces {
            fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
                if self.0.is_empty() {
                    Err(io::ErrorKind::TimedOut.into())
                } else {
                    self.0.remove(0).as_slice().read(room)
                }
            }
        }
        for packed in [gzip(b"phone\n"), zstd(b"phone\n")] {
            let pieces = Pieces(vec![packed]);
            let stream = Box::new(io::BufReader::new(pieces));
            let mut reader = open_stream(stream, options(None)).unwrap().reader;
            let mut room = [0; 100];
            assert_eq!(reader.read(&mut room).unwrap(), 6);
            assert!(reader.read(&mut room).is_err());
        }
    }

    struct UnreadableReader;
    impl Read for UnreadableReader {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("this would block");
        }
    }

    #[test]
    fn formats_that_need_a_file_are_rejected_in_a_stream() {
        let refused = |bytes: &[u8], sheet| {
            open_stream(Box::new(Cursor::new(bytes.to_vec())), options(sheet)).err().unwrap()
        };
        assert!(matches!(refused(b"PK\x03\x04rest", None), ContainerError::WorkbookFromPipe));
        // A pipe that stays open is not read further.
        let whole = Cursor::new(b"\xD0\xCF\x11\xE0").chain(UnreadableReader);
        assert!(matches!(
            open_stream(Box::new(whole), options(None)).err().unwrap(),
            ContainerError::Workbook(WorkbookError::UnsupportedType(FileType::CompoundFile))
        ));
        assert!(matches!(refused(b"a,b", Some("1")), ContainerError::SheetWithoutWorkbook));
        assert!(matches!(
            open(Path::new("/no/such.csv"), options(None)),
            Err(ContainerError::Open(_))
        ));
    }
}
