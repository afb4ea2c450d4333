//! Log lines: which of them are written, in which form, and where: on standard error, or in a file. Leaves standard error to
//! `terminal` and what is logged to everybody else.

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
use crate::app::progress::terminal::Terminal;

const FLAG: &str = "--log-file";

/// Begins to write log lines to where the flags say; `taken` are the other files of the command.
///
/// # Errors
/// Output (7) for a file that cannot be written to; usage (2) for one that is taken.
pub(crate) fn init(
    show: &MessageArgs,
    taken: &[CommandFile],
    terminal: &Terminal,
) -> Result<(), Failure> {
    let verbose = match show.verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    match &show.log_file {
        Some(path) => {
            let file = LogFile::open(path, taken, terminal)?;
            install_subscriber(verbose.max(LevelFilter::INFO), show.log_format, false, file);
        }
        None if show.quiet => {
            install_subscriber(
                LevelFilter::ERROR,
                show.log_format,
                terminal.has_colors(),
                terminal.clone(),
            );
        }
        None => {
            install_subscriber(verbose, show.log_format, terminal.has_colors(), terminal.clone())
        }
    }
    Ok(())
}

/// Only this crate's lines: those of the HTTP client print URLs, which carry the token.
fn install_subscriber<W>(level: LevelFilter, format: LogFormat, colours: bool, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_target(false).with_writer(writer);
    let registry =
        tracing_subscriber::registry().with(Targets::new().with_target("dingmap", level));
    // Fails only where a subscriber was set before, which then serves as well.
    let _ = match format {
        LogFormat::Text => registry.with(layer.with_ansi(colours)).try_init(),
        LogFormat::Json => registry.with(layer.json()).try_init(),
    };
}

/// A file that log lines are appended to. What it has no room for is lost, and neither a row nor the run with it.
#[derive(Debug)]
struct LogFile {
    file: File,
    path: PathBuf,
    terminal: Terminal,
    write_state: Mutex<WriteState>,
}

/// Opens a file to append to it. A pipe that nobody reads is refused by the system, and not waited for.
fn open_append(path: &Path) -> io::Result<File> {
    let at_once = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(at_once)
        .open(path)?;
    // From here on a reader that is slow is waited for.
    fcntl_setfl(&file, OFlags::APPEND)?;
    Ok(file)
}

/// How it went so far.
#[derive(Debug, Default)]
struct WriteState {
    /// Whether the last line broke off.
    has_partial_line: bool,
    /// Whether it was said that lines are lost since it went well.
    is_reported: bool,
}

impl LogFile {
    fn open(path: &Path, taken: &[CommandFile], terminal: &Terminal) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let text =
                tr!("--log-file: - is no file; without this flag log lines go to standard error");
            return Err(Failure::with_message(Exit::Usage, text));
        }
        // Also where it is not there yet, since the name has to stay free for what will be.
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

    /// Appends a line, if need be behind the end of one that broke off.
    fn append(&self, line: &[u8], torn: &mut bool) -> io::Result<()> {
        let line = if *torn { [b"\n", line].concat() } else { line.to_vec() };
        let mut rest = &*line;
        while !rest.is_empty() {
            match (&self.file).write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(length) => {
                    rest = rest.get(length..).unwrap_or_default();
                    *torn = !rest.is_empty();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Write for &LogFile {
    /// Takes a line, which comes whole. Never an error: tracing would print it past the terminal.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut course = self.write_state.lock().unwrap_or_else(PoisonError::into_inner);
        let appended = self.append(line, &mut course.has_partial_line);
        let told = std::mem::replace(&mut course.is_reported, appended.is_err());
        if let Err(error) = appended
            && !told
        {
            self.terminal.print_error(&tr!(
                "--log-file: cannot write {path}: {cause}; the run goes on, and log lines are lost until that is mended",
                path = self.path.display(),
                cause = error
            ));
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
        let desk = tempfile::tempdir().unwrap();
        let path = desk.path().join("run.log");
        let good = open_append(&path).unwrap();
        let terminal = Terminal::new(&MessageArgs { quiet: true, ..MessageArgs::default() }, false);
        let mut log = LogFile {
            file: File::open(&path).unwrap(),
            path,
            terminal,
            write_state: Mutex::default(),
        };
        let told = |log: &LogFile| {
            let mut log = log;
            log.write_all(b"x\n").unwrap();
            log.write_state.lock().unwrap().is_reported
        };
        assert!(told(&log) && told(&log), "a file that was opened to be read takes nothing");
        let bad = std::mem::replace(&mut log.file, good);
        assert!(!told(&log));
        log.file = bad;
        assert!(told(&log));
    }
}
