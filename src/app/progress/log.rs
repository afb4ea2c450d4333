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

use crate::app::cli::paths::{Named, free, unwritable};
use crate::app::cli::shared_args::{LogFormat, Show};
use crate::app::exit::{Exit, Failure};
use crate::app::progress::terminal::Terminal;

const FLAG: &str = "--log-file";

/// Begins to write log lines to where the flags say; `taken` are the other files of the command.
///
/// # Errors
/// Output (7) for a file that cannot be written to; usage (2) for one that is taken.
pub(crate) fn begin(show: &Show, taken: &[Named], terminal: &Terminal) -> Result<(), Failure> {
    let verbose = match show.verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    match &show.log_file {
        Some(path) => {
            let file = LogFile::open(path, taken, terminal)?;
            write(verbose.max(LevelFilter::INFO), show.log_format, false, file);
        }
        None if show.quiet => {
            write(LevelFilter::ERROR, show.log_format, terminal.colours(), terminal.clone());
        }
        None => write(verbose, show.log_format, terminal.colours(), terminal.clone()),
    }
    Ok(())
}

/// Only this crate's lines: those of the HTTP client print URLs, which carry the token.
fn write<W>(level: LevelFilter, format: LogFormat, colours: bool, writer: W)
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
    course: Mutex<Course>,
}

/// Opens a file to append to it. A pipe that nobody reads is refused by the system, and not waited for.
fn appended(path: &Path) -> io::Result<File> {
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
struct Course {
    /// Whether the last line broke off.
    torn: bool,
    /// Whether it was said that lines are lost since it went well.
    told: bool,
}

impl LogFile {
    fn open(path: &Path, taken: &[Named], terminal: &Terminal) -> Result<Self, Failure> {
        if path == Path::new("-") {
            let text =
                tr!("--log-file: - is no file; without this flag log lines go to standard error");
            return Err(Failure::new(Exit::Usage, text));
        }
        // Also where it is not there yet, since the name has to stay free for what will be.
        free(FLAG, path, taken)?;
        let file = appended(path).map_err(|error| unwritable(FLAG, path.display(), &error))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            terminal: terminal.clone(),
            course: Mutex::default(),
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
        let mut course = self.course.lock().unwrap_or_else(PoisonError::into_inner);
        let appended = self.append(line, &mut course.torn);
        let told = std::mem::replace(&mut course.told, appended.is_err());
        if let Err(error) = appended
            && !told
        {
            self.terminal.complain(&tr!(
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
    fn that_lines_are_lost_is_told_once_each_time_that_it_begins() {
        let desk = tempfile::tempdir().unwrap();
        let path = desk.path().join("run.log");
        let good = appended(&path).unwrap();
        let terminal = Terminal::new(&Show { quiet: true, ..Show::default() }, false);
        let mut log =
            LogFile { file: File::open(&path).unwrap(), path, terminal, course: Mutex::default() };
        let told = |log: &LogFile| {
            let mut log = log;
            log.write_all(b"x\n").unwrap();
            log.course.lock().unwrap().told
        };
        assert!(told(&log) && told(&log), "a file that was opened to be read takes nothing");
        let bad = std::mem::replace(&mut log.file, good);
        assert!(!told(&log));
        log.file = bad;
        assert!(told(&log));
    }
}
