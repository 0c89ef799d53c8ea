//! Arguments, then the command they name, then the exit code.

use std::process::ExitCode;
use upbit_recorder::cli::Cli;

fn main() -> ExitCode {
    let exit = Cli::understand(std::env::args_os()).map_or_else(|exit| exit, Cli::run);
    exit.into()
}
