//! The program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    dingmap::start(std::env::args_os())
}
