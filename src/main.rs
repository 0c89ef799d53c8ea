//! upbit-recorder

use clap::Parser;
use tokio_util::sync::CancellationToken;
use upbit_recorder::commands::replay;

#[derive(Parser)]
#[command(version)]
enum Cli {
    /// A local exchange.
    Replay(replay::Args),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Cli::Replay(args) = Cli::parse();
    let shutdown = CancellationToken::new();
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT])?;
    let stop = shutdown.clone();
    std::thread::spawn(move || {
        signals.forever().for_each(|_| stop.cancel());
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(replay::run(args, shutdown))?)
}
