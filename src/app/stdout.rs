//! Standard output where it carries a command's answer. Leaves rows on their way to `-o -` to `table`, and messages to
//! `terminal`.

use std::io::{self, BufWriter, Write};

use tr::tr;

use crate::app::exit::{Exit, Failure};

/// Writes the answer, to its end.
///
/// # Errors
/// Output (7) where standard output does not take it.
pub(crate) fn with_stdout(
    write: impl FnOnce(&mut BufWriter<io::Stdout>) -> io::Result<()>,
) -> Result<(), Failure> {
    #[expect(clippy::disallowed_methods, reason = "this is the command's answer")]
    let mut output = BufWriter::new(io::stdout());
    write(&mut output).and_then(|()| output.flush()).map_err(|error| {
        Failure::with_message(
            Exit::Output,
            tr!("cannot write to standard output: {cause}", cause = error),
        )
    })
}

/// Writes a text that is all of the answer.
///
/// # Errors
/// As [`tell`].
pub(crate) fn write_stdout(text: &[u8]) -> Result<Exit, Failure> {
    with_stdout(|output| output.write_all(text))?;
    Ok(Exit::Success)
}
