//! A pseudo-terminal with the executable on it, and the emulation of a terminal that shows what a
//! person sees there, at each moment. Leaves what ought to be seen to the tests.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use vt100::Parser;

use crate::support::process::wait_until;

/// Rows of every terminal here.
pub(crate) const HEIGHT: u16 = 24;

/// Where the program's standard streams lead.
pub(crate) enum Streams {
    /// All three to the terminal.
    All,
    /// As `All`, but for standard output, which the command has set itself.
    AllButStdout,
    /// As `All`, but for standard error, which the command has set itself.
    AllButStderr,
}

/// The output, and what was wrong with the screen in between.
#[derive(Default)]
pub(crate) struct Transcript {
    pub(crate) bytes: Vec<u8>,
    /// What no moment may show: bars that are broken, or more than one.
    pub(crate) glitches: Vec<String>,
}

/// The program on its terminal.
pub(crate) struct PtyProcess {
    pub(crate) child: Child,
    pub(crate) master: Option<OwnedFd>,
    pub(crate) screen: Arc<Mutex<(Parser, Transcript)>>,
    pub(crate) closed: Arc<AtomicBool>,
    pub(crate) reader: Option<JoinHandle<()>>,
}

impl PtyProcess {
    /// Starts a command in a session of its own, whose terminal has so many columns.
    pub(crate) fn start(command: &Command, columns: u16, streams: &Streams) -> Self {
        Self::start_with(command, columns, streams, |_| {})
    }

    /// The same, with streams that `set` leads elsewhere.
    pub(crate) fn start_with(
        command: &Command,
        columns: u16,
        streams: &Streams,
        set: impl FnOnce(&mut Command),
    ) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        tcsetwinsize(&master, window_size(columns)).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let name = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let noctty = OpenptFlags::NOCTTY.bits().cast_signed();
        let terminal =
            OpenOptions::new().read(true).write(true).custom_flags(noctty).open(name).unwrap();
        let stream = || terminal.try_clone().unwrap();
        // A session of its own, so that the terminal is the one that Ctrl-C and the hangup come
        // from.
        let mut wrapped = Command::new("setsid");
        wrapped.arg("--ctty").arg(command.get_program()).args(command.get_args());
        wrapped.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapped.env(name, value),
                None => wrapped.env_remove(name),
            };
        }
        wrapped.stdin(stream()).stdout(stream()).stderr(stream());
        match streams {
            Streams::All => {}
            Streams::AllButStdout | Streams::AllButStderr => set(&mut wrapped),
        }
        let child = wrapped.spawn().unwrap();
        let parser = Parser::new(nonzero(HEIGHT), nonzero(columns), 1000);
        let screen = Arc::new(Mutex::new((parser, Transcript::default())));
        let gone = Arc::new(AtomicBool::new(false));
        let reader = {
            let (screen, gone, master) =
                (screen.clone(), gone.clone(), master.try_clone().unwrap());
            rustix::io::ioctl_fionbio(&master, true).unwrap();
            std::thread::spawn(move || read_output(&mut File::from(master), &screen, &gone))
        };
        Self { child, master: Some(master), screen, closed: gone, reader: Some(reader) }
    }

    /// What the screen shows: its rows, without blanks at their ends.
    pub(crate) fn screen_rows(&self) -> Vec<String> {
        let screen = self.screen.lock().unwrap();
        trimmed_rows(&screen.0)
    }

    /// The lines of the bar, where it is to be seen.
    pub(crate) fn bar_lines(&self) -> Option<[String; 3]> {
        let rows = self.screen_rows();
        let at = rows.iter().position(|row| is_bar_row(row))?;
        rows[at..].iter().take(3).cloned().collect::<Vec<_>>().try_into().ok()
    }

    /// Waits until some row has these words.
    pub(crate) fn wait_for_text(&self, words: &str) {
        wait_until(words, || {
            self.screen_rows().iter().any(|row| row.contains(words)).then_some(())
        });
    }

    /// Makes the terminal wider or narrower.
    pub(crate) fn resize(&self, columns: u16) {
        let mut screen = self.screen.lock().unwrap();
        tcsetwinsize(self.master.as_ref().unwrap(), window_size(columns)).unwrap();
        screen.0.set_size(nonzero(HEIGHT), nonzero(columns));
    }

    /// Presses keys.
    pub(crate) fn send_keys(&self, keys: &str) {
        let master = self.master.as_ref().unwrap().try_clone().unwrap();
        File::from(master).write_all(keys.as_bytes()).unwrap();
    }

    /// Takes the terminal away, as the end of a connection does.
    pub(crate) fn hang_up(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        self.reader.take().unwrap().join().unwrap();
        self.master = None;
    }

    /// Waits for the end: the exit status, and all that was seen.
    pub(crate) fn wait(&mut self) -> (Option<i32>, Transcript) {
        let status = wait_until("the end of the process", || self.child.try_wait().unwrap());
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        let seen = std::mem::take(&mut self.screen.lock().unwrap().1);
        (status.code(), seen)
    }

    /// Whether the cursor is to be seen, and at the beginning of a line below everything else.
    pub(crate) fn is_cursor_restored(&self) -> bool {
        let screen = self.screen.lock().unwrap();
        let (row, column) = screen.0.screen().cursor_position();
        let below = trimmed_rows(&screen.0).iter().skip(usize::from(row)).all(String::is_empty);
        !screen.0.screen().hide_cursor() && column == 0 && below
    }
}

impl Drop for PtyProcess {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// Shows what comes until nobody has the terminal any more.
pub(crate) fn read_output(
    master: &mut File,
    screen: &Mutex<(Parser, Transcript)>,
    gone: &AtomicBool,
) {
    let mut buffer = [0; 4096];
    while !gone.load(Ordering::Relaxed) {
        match master.read(&mut buffer) {
            Ok(length) if length > 0 => {
                let (parser, seen) = &mut *screen.lock().unwrap();
                parser.process(&buffer[..length]);
                seen.bytes.extend_from_slice(&buffer[..length]);
                seen.glitches.extend(find_glitch(parser));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(2));
            }
            // Linux says so when the last one has closed it.
            _ => return,
        }
    }
}

/// What is wrong with the bar on the screen.
pub(crate) fn find_glitch(parser: &Parser) -> Option<String> {
    let rows = trimmed_rows(parser);
    let bars: Vec<_> = (0..rows.len()).filter(|at| is_bar_row(&rows[*at])).collect();
    let broken = |at: &usize| {
        (*at..at + 3).any(|row| parser.screen().row_wrapped(u16::try_from(row).unwrap()))
            || rows.iter().skip(at + 3).any(|row| !row.is_empty())
    };
    (bars.len() > 1 || bars.iter().any(broken)).then(|| rows.join("\n"))
}

pub(crate) fn is_bar_row(row: &str) -> bool {
    row.starts_with(['━', '╸', '─'])
}

pub(crate) fn trimmed_rows(parser: &Parser) -> Vec<String> {
    let columns = parser.screen().size().1.get();
    parser.screen().rows(0, columns).map(|row| row.trim_end().to_owned()).collect()
}

pub(crate) fn window_size(columns: u16) -> Winsize {
    Winsize { ws_row: HEIGHT, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

pub(crate) fn nonzero(n: u16) -> NonZeroU16 {
    NonZeroU16::new(n).unwrap()
}
