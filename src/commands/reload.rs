//! Reads the configuration again on SIGHUP, on a thread of its own: a file can block for as long as its disk does.
//!
//! ```text
//! SIGHUP  ──▶ Reloading ─ read, check, compare ─▶ Reload ──▶ sequencer
//!                                     └─ in force ──▶ level of the log, list of pairs, whoever watches
//! SIGUSR1 ──────────────────────────────────────▶ Rotate
//! ```

use crate::config::{self, Config, Faults, Loaded, Reloaded, Sources};
use crate::daemon::supervisor::{OperatorRequest, Reload};
use crate::desired::Wanted;
use crate::logging::Level;
use crate::ops::systemd::Notifier;
use crate::printable;
use crate::recording::retention::plan::KeepLimits;
use crate::recording::rotation::Rotation;
use crate::rest::codes::{RestUse, check_venues};
use crate::signals;
use crate::upbit::feed::PerFeed;
use std::io;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Requests that wait for the supervisor, which takes them at once: a reload brings two.
const WAITING: usize = 4;

/// The configuration in force, and where it is read again.
#[derive(Debug)]
pub(super) struct Reloader {
    pub(super) sources: Sources,
    /// In force.
    pub(super) loaded: Loaded,
    /// The level of the log.
    pub(super) level: Level,
    /// Is told when a reload begins; when it has ended, the status says so.
    pub(super) notifier: Notifier,
    /// Publishes what is in force.
    pub(super) in_force: watch::Sender<Arc<Config>>,
}

impl Reloader {
    /// Begins to listen to the signals; the thread ends with the process.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(super) fn spawn(
        self,
        signals: mpsc::Receiver<signals::Request>,
    ) -> io::Result<mpsc::Receiver<OperatorRequest>> {
        let (requests, taken) = mpsc::channel(WAITING);
        let thread = std::thread::Builder::new().name("reload".to_owned());
        thread.spawn(move || self.run(signals, &requests)).map(|_| taken)
    }

    fn run(mut self, mut signals: mpsc::Receiver<signals::Request>, requests: &mpsc::Sender<OperatorRequest>) {
        while let Some(request) = signals.blocking_recv() {
            let sent = match request {
                signals::Request::Rotate => requests.blocking_send(OperatorRequest::Rotate),
                signals::Request::Reload => {
                    self.notifier.reloading();
                    let begun = requests.blocking_send(OperatorRequest::Reloading);
                    begun.and_then(|()| requests.blocking_send(OperatorRequest::Reload(self.reload())))
                }
            };
            // The recorder has ended.
            if sent.is_err() {
                return;
            }
        }
    }

    /// Reads the configuration again, and brings into force what needs no restart; an error leaves all as it is.
    fn reload(&mut self) -> Result<Box<Reload>, String> {
        let newer = config::load(&self.sources).map_err(|faults| refuse(&faults))?;
        let Reloaded { loaded, changed, restart } = self.loaded.reload(&newer);
        check_venues(&loaded.config, RestUse::AsConfigured).map_err(|error| {
            tracing::error!("{error}: the configuration before stays in force");
            printable::line(&error.to_string(), printable::SENTENCE)
        })?;
        let config = Arc::new(loaded.config.clone());
        self.loaded = loaded;
        self.level.set(&config.log.level);
        tracing::info!(?changed, "the configuration was read again");
        if !restart.is_empty() {
            tracing::warn!(?restart, "these differ from what is in force, and need a restart");
        }
        let Config { public, private, storage, .. } = &*config;
        let wanted = PerFeed { public: Wanted::of(public), private: Wanted::of(private) };
        let rotation = Rotation { interval: storage.rotate_interval, bytes: storage.rotate_bytes };
        let limits = KeepLimits { keep_for: storage.keep_for, keep_bytes: storage.keep_bytes };
        self.in_force.send_replace(config);
        Ok(Box::new(Reload { wanted, rotation, limits, changed, restart }))
    }
}

/// Logs every fault; returns the first, and how many others there are.
fn refuse(faults: &Faults) -> String {
    for fault in &faults.0 {
        tracing::error!("{fault}");
    }
    tracing::error!(faults = faults.0.len(), "the configuration is wrong: the one before stays in force");
    let first = faults.0.first().map(ToString::to_string).unwrap_or_default();
    match faults.0.len() - 1 {
        0 => first,
        others => format!("{first} (and {others} more)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn reloader(file: &Path) -> (Reloader, watch::Receiver<Arc<Config>>) {
        let sources = Sources { file: Some(file.to_owned()), ..Sources::default() };
        let loaded = config::load(&sources).unwrap();
        let (in_force, watched) = watch::channel(Arc::new(loaded.config.clone()));
        (Reloader { sources, loaded, level: Level::none(), notifier: Notifier::of_process().0, in_force }, watched)
    }

    #[test]
    fn a_wrong_file_leaves_all_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("recorder.toml");
        std::fs::write(&file, "storage.rotate_bytes = \"2MiB\"\n").unwrap();
        let (mut reloader, watched) = reloader(&file);
        for (wrong, told) in [
            ("storage.rotate_bytes = \"1KiB\"\nstorage.keep_for = 7\n", "(and 1 more)"),
            ("storage.rotate_bytes = ", "line 1"),
            ("public.subscribe = [{type = \"trade\", codes = [\"SGD-*\"]}]\nrest.url = \"x\"", "rest.url"),
        ] {
            std::fs::write(&file, wrong).unwrap();
            let cause = reloader.reload().unwrap_err();
            assert!(cause.contains(told) && cause.contains("recorder.toml"), "{cause}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(reloader.reload().unwrap_err().contains("cannot be read"));
        assert!(!watched.has_changed().unwrap());
        assert_eq!(reloader.loaded.config.storage.rotate_bytes, 2 << 20);
    }

    #[test]
    fn what_is_in_force_is_published_and_handed_on() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("recorder.toml");
        std::fs::write(&file, "").unwrap();
        let (mut reloader, watched) = reloader(&file);
        std::fs::write(&file, "storage = { rotate_bytes = \"2MiB\", keep_for = \"90d\" }\nrest.heal_max = 5\n")
            .unwrap();
        let Reload { rotation, changed, restart, .. } = *reloader.reload().unwrap();
        assert_eq!((rotation.bytes, restart), (2 << 20, vec!["rest.heal_max".to_owned()]));
        assert_eq!(changed, ["storage.rotate_bytes", "storage.keep_for"]);
        let in_force = watched.borrow().clone();
        assert_eq!((in_force.storage.rotate_bytes, in_force.rest.heal_max), (2 << 20, 2_000));
        assert!(in_force.storage.keep_for.is_some());
        assert_eq!(reloader.reload().unwrap().changed, [""; 0], "nothing has changed since");
    }
}
