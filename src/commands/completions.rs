//! `completions` and `man`: generated from the description of the command line.

use super::output::{Form, print};
use crate::exit::Exit;
use clap::{Args, Command};
use clap_complete::Shell;
use std::io::{self, Write};

/// The target of the script.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  upbit-recorder completions bash > ~/.local/share/bash-completion/completions/upbit-recorder"
)]
pub struct CompletionsOptions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script that a shell loads.
pub fn print_completions(options: &CompletionsOptions, mut description: Command) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut description, "upbit-recorder", &mut script);
    print(Form::Verbatim, |out| out.write_all(&script).map(|()| Exit::Success))
}

/// Prints one manual page: the program, then each verb.
pub fn print_manual(description: &Command) -> Exit {
    print(Form::Verbatim, |out| write_manual(description, out).map(|()| Exit::Success))
}

fn write_manual(description: &Command, out: &mut dyn Write) -> io::Result<()> {
    clap_mangen::Man::new(description.clone()).render(&mut *out)?;
    for verb in description.get_subcommands() {
        let title = format!(".SH \"{} OPTIONS\"\n", verb.get_name().to_uppercase());
        out.write_all(title.as_bytes())?;
        let page = clap_mangen::Man::new(verb.clone());
        page.render_description_section(&mut *out)?;
        page.render_options_section(&mut *out)?;
    }
    Ok(())
}
