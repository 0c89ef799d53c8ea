//! Arguments, then the command they name, then the exit code.

use std::process::ExitCode;
use upbit_recorder::cli::Cli;
use upbit_recorder::commands;

fn main() -> ExitCode {
    let exit = match Cli::understand(std::env::args_os()) {
        Ok(cli) => commands::run(&cli),
        Err(exit) => exit,
    };
    exit.into()
}
