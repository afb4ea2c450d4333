//! The program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    dingmap::app::start::start(std::env::args_os())
}
