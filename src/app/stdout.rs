//! Standard output where it carries a command's answer. Leaves rows on their way to `-o -` to `table`, and messages to
//! `terminal`.

use std::io::{self, BufWriter, Write};

use tr::tr;

use crate::app::exit::{Exit, Failure};

/// Writes the answer, to its end.
///
/// # Errors
/// Output (7) where standard output does not take it.
pub(crate) fn tell(
    write: impl FnOnce(&mut BufWriter<io::Stdout>) -> io::Result<()>,
) -> Result<(), Failure> {
    #[expect(clippy::disallowed_methods, reason = "this is the command's answer")]
    let mut output = BufWriter::new(io::stdout());
    write(&mut output).and_then(|()| output.flush()).map_err(|error| {
        Failure::new(Exit::Output, tr!("cannot write to standard output: {cause}", cause = error))
    })
}

/// Writes a text that is all of the answer.
///
/// # Errors
/// As [`tell`].
pub(crate) fn whole(text: &[u8]) -> Result<Exit, Failure> {
    tell(|output| output.write_all(text))?;
    Ok(Exit::Done)
}
