//! Standard output for the result of a command.

use std::io::{self, BufWriter, Write};

use tr::tr;

use crate::app::exit::{Exit, Failure};

/// Calls `write` with a buffered standard output, then flushes it. It is no error if the reader
/// closes the pipe early, as `head` does.
///
/// # Errors
/// 7 if standard output cannot be written.
pub(crate) fn with_stdout(
    write: impl FnOnce(&mut BufWriter<io::Stdout>) -> io::Result<()>,
) -> Result<(), Failure> {
    #[expect(clippy::disallowed_methods, reason = "the result of the command")]
    let mut output = BufWriter::new(io::stdout());
    match write(&mut output).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::with_message(
            Exit::Output,
            tr!("cannot write to standard output: {cause}", cause = error),
        )),
        _ => Ok(()),
    }
}

/// Writes the whole result.
///
/// # Errors
/// 7 if standard output cannot be written.
pub(crate) fn write_stdout(text: &[u8]) -> Result<Exit, Failure> {
    with_stdout(|output| output.write_all(text))?;
    Ok(Exit::Success)
}
