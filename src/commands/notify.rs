//! The thread that tells the service manager: see [`crate::ops::systemd`].

use crate::ops::systemd::{Messenger, Notifier};
use std::io;
use std::thread;
use tokio::runtime;

/// Begins to tell the service manager, where there is one.
///
/// # Errors
///
/// The thread cannot be started.
pub(super) fn start() -> io::Result<Notifier> {
    let (notifier, messenger) = Notifier::of_process();
    messenger.map(spawn).transpose()?;
    Ok(notifier)
}

/// Never joined: a service manager that does not read must not keep the process from ending.
fn spawn(messenger: Messenger) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().build()?;
    thread::Builder::new().name("notify".into()).spawn(move || runtime.block_on(messenger.run()))?;
    Ok(())
}
