//! The log: level, format, and standard error or a file.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{OFlags, fcntl_setfl};
use tr::tr;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::app::cli::paths::{CommandFile, check_unused, write_failure};
use crate::app::cli::shared_args::{LogFormat, MessageArgs};
use crate::app::exit::{Exit, Failure};
use crate::app::progress::terminal::{Level, Terminal};
use crate::domain::redact;

const FLAG: &str = "--log-file";

/// Starts the log according to the flags. `taken` are the other files of the command.
///
/// # Errors
/// Output (7) for a file that cannot be written; usage (2) if another flag uses the file.
pub(crate) fn init(
    show: &MessageArgs,
    taken: &[CommandFile],
    terminal: &Terminal,
) -> Result<(), Failure> {
    let level = match show.verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // On standard error, the log follows `--progress json`.
    let format = if terminal.is_json() { LogFormat::Json } else { show.log_format };
    if let Some(path) = &show.log_file {
        let file = LogFile::open(path, taken, terminal)?;
        install_subscriber(level.max(LevelFilter::INFO), show.log_format, false, file);
    } else {
        let level = if show.quiet { LevelFilter::ERROR } else { level };
        install_subscriber(level, format, terminal.has_colors(), terminal.clone());
    }
    Ok(())
}

// Only this crate's events: those of the HTTP client contain URLs, which carry the token.
fn install_subscriber<W>(level: LevelFilter, format: LogFormat, colors: bool, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_target(false).with_writer(writer);
    let registry =
        tracing_subscriber::registry().with(Targets::new().with_target("dingmap", level));
    // Fails only if a subscriber is already set, which then serves as well.
    let _ = match format {
        LogFormat::Text => registry.with(layer.with_ansi(colors)).try_init(),
        LogFormat::Json => registry.with(layer.json()).try_init(),
    };
}

/// A file to which log lines are appended. If writing fails, lines are lost and the run continues.
#[derive(Debug)]
struct LogFile {
    file: File,
    path: PathBuf,
    terminal: Terminal,
    write_state: Mutex<WriteState>,
}

/// A pipe without a reader is an error here; the open does not wait for one.
fn open_append(path: &Path) -> io::Result<File> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(nonblocking)
        .open(path)?;
    // From here on, writes wait for a slow reader.
    fcntl_setfl(&file, OFlags::APPEND)?;
    Ok(file)
}

#[derive(Debug, Default)]
struct WriteState {
    /// Whether the last line was cut off.
    has_partial_line: bool,
    /// Whether the loss of lines was reported since the last successful write.
    is_reported: bool,
}

impl LogFile {
    fn open(path: &Path, taken: &[CommandFile], terminal: &Terminal) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let text = tr!(
                "--log-file: '-' is not a file; without this flag, log lines go to standard error"
            );
            return Err(Failure::with_message(Exit::Usage, text));
        }
        // Also if the file does not exist yet: another output will have this name.
        check_unused(FLAG, path, taken)?;
        let file =
            open_append(path).map_err(|error| write_failure(FLAG, path.display(), &error))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            terminal: terminal.clone(),
            write_state: Mutex::default(),
        })
    }

    /// Appends a line, after a line end if the last line was cut off.
    fn append(&self, line: &[u8], has_partial_line: &mut bool) -> io::Result<()> {
        let line = if *has_partial_line { [b"\n", line].concat() } else { line.to_vec() };
        let mut rest = &*line;
        while !rest.is_empty() {
            match (&self.file).write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => {
                    rest = &rest[length..];
                    *has_partial_line = !rest.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Write for &LogFile {
    /// Takes one whole line. Never fails: tracing would print the error around the terminal.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.write_state.lock().unwrap_or_else(PoisonError::into_inner);
        let text = redact::escape_control(&String::from_utf8_lossy(line)).into_owned();
        let result = self.append(text.as_bytes(), &mut state.has_partial_line);
        let was_reported = std::mem::replace(&mut state.is_reported, result.is_err());
        if let Err(error) = result
            && !was_reported
        {
            let warning = tr!(
                "--log-file: cannot write {path}: {cause}; the run continues, but log lines are \
                 lost until this is fixed",
                path = self.path.display(),
                cause = error
            );
            self.terminal.print_always(Level::Warning, &warning);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_log_lines_are_reported_once_per_episode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.log");
        let good = open_append(&path).unwrap();
        let terminal = Terminal::new(&MessageArgs { quiet: true, ..MessageArgs::default() }, false);
        let mut log = LogFile {
            file: File::open(&path).unwrap(),
            path,
            terminal,
            write_state: Mutex::default(),
        };
        let is_reported = |log: &LogFile| {
            let mut log = log;
            log.write_all(b"x\n").unwrap();
            log.write_state.lock().unwrap().is_reported
        };
        assert!(
            is_reported(&log) && is_reported(&log),
            "a file that was opened to be read takes nothing"
        );
        let bad = std::mem::replace(&mut log.file, good);
        assert!(!is_reported(&log));
        log.file = bad;
        assert!(is_reported(&log));
    }
}
