//! `completions` and `man`: generated from the description of the command line.

use crate::cli::Cli;
use crate::exit::Exit;
use clap::Args;
use clap_complete::Shell;
use std::io::{self, Write};

/// Shown below the help of `completions`.
pub const COMPLETIONS_EXAMPLE: &str =
    "Example:\n  upbit-recorder completions bash > ~/.local/share/bash-completion/completions/upbit-recorder";

/// Shown below the help of `man`.
pub const MAN_EXAMPLE: &str = "Example:\n  upbit-recorder man | man --local-file -";

/// For whom.
#[derive(Args, Debug)]
pub struct Options {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Writes the script that a shell loads.
///
/// # Errors
///
/// `out` cannot be written.
pub fn write_completions(options: &Options, out: &mut dyn Write) -> io::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::description(), "upbit-recorder", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Success)
}

/// Writes one manual page: the program, then each verb.
///
/// # Errors
///
/// `out` cannot be written.
pub fn write_manual(out: &mut dyn Write) -> io::Result<Exit> {
    let description = Cli::description();
    clap_mangen::Man::new(description.clone()).render(&mut *out)?;
    for verb in description.get_subcommands() {
        let title = format!(".SH \"{} OPTIONS\"\n", verb.get_name().to_uppercase());
        out.write_all(title.as_bytes())?;
        let page = clap_mangen::Man::new(verb.clone());
        page.render_description_section(&mut *out)?;
        page.render_options_section(&mut *out)?;
    }
    Ok(Exit::Success)
}
