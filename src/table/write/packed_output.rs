//! An output of text that may be compressed.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::table::write::edited_file::{ReplaceRule, Replaced};
use crate::table::write::format::TableFormat;
use crate::table::write::output::{Output, Target};

/// The default level of zstd's own program; that of gzip is the one of its.
const ZSTD_LEVEL: i32 = 3;
/// How much text the encoders get at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// An output of text, compressed as its name says.
pub(crate) enum PackedOutput {
    Plain(Output),
    /// Its header has no time, name or system, so that equal rows give equal bytes.
    Gzip(Chunked<GzEncoder<Output>>),
    Zstd(Chunked<zstd::Encoder<'static, Output>>),
}

/// Passes text on in chunks of one size. How it is cut changes what the encoder of gzip writes, and
/// the rows come when they come.
pub(crate) struct Chunked<W> {
    encoder: W,
    chunk: Vec<u8>,
}

impl<W: Write> Chunked<W> {
    fn new(encoder: W) -> Self {
        Self { encoder, chunk: Vec::with_capacity(CHUNK_BYTES) }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() == CHUNK_BYTES {
            self.encoder.write_all(&self.chunk)?;
            self.chunk.clear();
        }
        let size = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..size]);
        Ok(size)
    }

    /// The encoder, which has got everything.
    fn into_encoder(mut self) -> io::Result<W> {
        self.encoder.write_all(&self.chunk)?;
        Ok(self.encoder)
    }
}

impl PackedOutput {
    /// Opens the target. If the text is not compressed, there must be disk space for `least` bytes.
    pub(crate) fn open(target: &Target, format: TableFormat, least: u64) -> io::Result<Self> {
        match format {
            TableFormat::Gzip => {
                let output = Output::open(target, 0)?;
                Ok(Self::Gzip(Chunked::new(GzEncoder::new(output, Compression::default()))))
            }
            TableFormat::Zstd => {
                let mut encoder = zstd::Encoder::new(Output::open(target, 0)?, ZSTD_LEVEL)?;
                // A reader notices damage, as with gzip.
                encoder.include_checksum(true)?;
                Ok(Self::Zstd(Chunked::new(encoder)))
            }
            TableFormat::Text | TableFormat::Workbook => {
                Output::open(target, least).map(Self::Plain)
            }
        }
    }

    /// Completes the output; the rule is about the file that a file replaces.
    pub(crate) fn finish_with(self, rule: &ReplaceRule) -> io::Result<Replaced> {
        let output = match self {
            Self::Plain(output) => output,
            Self::Gzip(chunked) => chunked.into_encoder()?.finish()?,
            Self::Zstd(chunked) => chunked.into_encoder()?.finish()?,
        };
        output.finish_with(rule)
    }
}

impl Write for PackedOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(output) => output.write(bytes),
            Self::Gzip(chunked) => chunked.write(bytes),
            Self::Zstd(chunked) => chunked.write(bytes),
        }
    }

    /// Compressed text has no earlier end: where it is cut would change its bytes.
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(output) => output.flush(),
            Self::Gzip(_) | Self::Zstd(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// The file that is written in pieces of `size` bytes, each followed by a flush.
    fn written(format: TableFormat, text: &[u8], size: usize) -> Vec<u8> {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out");
        let target = Target::File(path.clone());
        let mut output = PackedOutput::open(&target, format, u64::MAX).unwrap();
        for piece in text.chunks(size) {
            output.write_all(piece).unwrap();
            output.flush().unwrap();
        }
        output.finish_with(&ReplaceRule::Replace).unwrap();
        fs::read(path).unwrap()
    }

    #[test]
    fn compressed_text_has_the_same_bytes_whenever_it_is_flushed() {
        let text: Vec<u8> =
            (0..40_000).flat_map(|row| format!("{row},1380013{row:04}\n").into_bytes()).collect();
        for format in [TableFormat::Gzip, TableFormat::Zstd] {
            let whole = written(format, &text, text.len());
            for size in [1000, 65_536, 65_537] {
                assert!(written(format, &text, size) == whole, "{format:?} {size}");
            }
            assert!(whole.len() < text.len() / 2);
            let mut read = Vec::new();
            match format {
                TableFormat::Gzip => {
                    assert_eq!(whole[4..8], [0; 4], "a time is in the header");
                    GzDecoder::new(&*whole).read_to_end(&mut read).unwrap();
                }
                _ => read = zstd::decode_all(&*whole).unwrap(),
            }
            assert!(read == text, "{format:?}");
        }
    }

    #[test]
    fn missing_disk_space_is_reported_for_plain_text_only() {
        let place = tempfile::tempdir().unwrap();
        let target = Target::File(place.path().join("out.csv"));
        let error = PackedOutput::open(&target, TableFormat::Text, u64::MAX).map(|_| ());
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
