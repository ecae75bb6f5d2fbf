//! The program `listproof`. Everything it does is in [`cli`], on top of the library's public names.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
