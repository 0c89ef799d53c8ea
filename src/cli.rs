//! The command line: verbs and their options. Their implementation is in [`crate::commands`].

#[cfg(feature = "export")]
use crate::commands::export;
use crate::commands::{
    audit, backfill, cat, check, completions, health, ls, markets, prune, record, replay, tail, upload, verify,
};
use crate::config::Sources;
use crate::exit::Exit;
use clap::{Args, CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// The number, and what the program was built from.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("UPBIT_RECORDER_BUILD"), ")");

/// Records the exchange Upbit around the clock, losing nothing.
#[derive(Parser)]
#[command(name = "upbit-recorder", version = VERSION, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Example:\n  upbit-recorder check --set data_dir=/srv/tape")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
    /// The configuration, for every verb that reads one.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Where the configuration comes from, beside the environment.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigArgs {
    /// The configuration file (TOML); without one the built-in defaults hold.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Overrides one key, such as log.level=debug; repeatable.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    pub assignments: Vec<String>,
}

impl ConfigArgs {
    /// Together with the environment of this process.
    pub fn sources(&self) -> Sources {
        Sources::of_process(self.config.clone(), self.assignments.clone())
    }
}

/// What to do. Cannot be printed: arguments may hold keys.
#[derive(Subcommand)]
pub enum Verb {
    /// Records until it is told to stop.
    Record(record::RecordOptions),
    /// Checks the configuration and shows what it amounts to.
    Check(check::CheckOptions),
    /// Lists what is recorded: streams, times, sizes, gaps.
    Ls(ls::LsOptions),
    /// Prints recorded lines, of one or many streams and any span of time.
    Cat(cat::CatOptions),
    /// Follows streams as they are recorded, across rotations and restarts.
    Tail(tail::TailOptions),
    /// Asks the running recorder of this configuration whether it records.
    Health(health::HealthOptions),
    /// Holds a day of the tape against the exchange's own candles.
    Audit(audit::AuditOptions),
    /// Reads all that was recorded, and names what is not whole.
    Verify(verify::VerifyOptions),
    /// Fetches candles or trades of the past; goes on where it was interrupted.
    Backfill(backfill::BackfillOptions),
    /// Writes what is sealed as Parquet, a file per pair, type and day.
    #[cfg(feature = "export")]
    Export(export::ExportOptions),
    /// Lists the pairs that the exchange has.
    Markets(markets::MarketsOptions),
    /// Deletes old files, as storage.keep_for and storage.keep_bytes say, while no recorder runs.
    Prune(prune::PruneOptions),
    /// Brings sealed files to object storage, as [upload] says, and proves them there.
    Upload(upload::UploadOptions),
    /// Plays the exchange on this machine.
    Replay(Box<replay::ReplayOptions>),
    /// Prints what makes a shell complete our commands.
    Completions(completions::CompletionsOptions),
    /// Prints the manual page.
    #[command(after_help = "Example:\n  upbit-recorder man | man --local-file -")]
    Man,
}

impl Cli {
    /// Parses the command line.
    ///
    /// # Errors
    ///
    /// With the exit code, after the help, the version or the fault was printed.
    pub fn understand(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Exit> {
        Self::try_parse_from(arguments).map_err(|error| {
            // Ignored: standard error is closed, and there is no other channel.
            let _ = error.print();
            match error.kind() {
                clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => Exit::Success,
                _ => Exit::Usage,
            }
        })
    }

    /// Runs the verb.
    pub fn run(self) -> Exit {
        let sources = self.config.sources();
        match self.verb {
            Verb::Record(options) => record::run(sources, options),
            Verb::Check(options) => check::run(sources, options),
            Verb::Ls(options) => ls::run(sources, options),
            Verb::Cat(options) => cat::run(sources, options),
            Verb::Tail(options) => tail::run(sources, options),
            Verb::Health(options) => health::run(sources, options),
            Verb::Audit(options) => audit::run(sources, options),
            Verb::Verify(options) => verify::run(sources, options),
            Verb::Backfill(options) => backfill::run(sources, options),
            #[cfg(feature = "export")]
            Verb::Export(options) => export::run(sources, options),
            Verb::Markets(options) => markets::run(sources, options),
            Verb::Prune(options) => prune::run(sources, options),
            Verb::Upload(options) => upload::run(sources, options),
            Verb::Replay(options) => replay::run(sources, *options),
            Verb::Completions(options) => completions::print_completions(&options, Self::description()),
            Verb::Man => completions::print_manual(&Self::description()),
        }
    }

    /// The definition of the whole command line, the source of completions and the manual.
    pub fn description() -> clap::Command {
        Self::command()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(arguments: &[&str]) -> Option<Exit> {
        let arguments = std::iter::once("upbit-recorder").chain(arguments.iter().copied()).map(OsString::from);
        Cli::understand(arguments).err()
    }

    #[test]
    fn the_description_holds_together() {
        Cli::description().debug_assert();
    }

    #[test]
    fn every_verb_has_help_with_an_example() {
        for verb in Cli::description().get_subcommands() {
            let help = verb.clone().render_long_help().to_string();
            assert!(help.contains("Example:\n  upbit-recorder "), "{}", verb.get_name());
        }
    }

    #[test]
    fn the_version_tells_commit_target_and_features() {
        let (number, build) = VERSION.split_once(" (commit ").unwrap();
        assert_eq!(number, env!("CARGO_PKG_VERSION"));
        let parts: Vec<&str> = build.trim_end_matches(')').split(", ").collect();
        assert!(parts.len() == 3 && parts[1].contains("-linux-") && parts[2].starts_with("features: "), "{build}");
    }

    #[test]
    fn misuse_is_64_and_help_is_success() {
        assert_eq!(exit(&["--help"]), Some(Exit::Success));
        assert_eq!(exit(&["--version"]), Some(Exit::Success));
        assert_eq!(exit(&["chekc"]), Some(Exit::Usage));
        assert_eq!(exit(&["check", "--nonsense"]), Some(Exit::Usage));
        assert_eq!(exit(&[]), Some(Exit::Usage));
        assert_eq!(exit(&["check", "--set", "a=b", "--set", "c=d"]), None);
    }
}
