//! The driver of the sequencer: owns the channels and the tasks, and waits on them.
//!
//! ```text
//!  public ──┐ Delivery                                                    ThreadReport
//!           ├──────────▶ supervisor ──JournalCommand──▶ writer, syncer, sealer ──┐
//! private ──┘             sequencer     ▲                                        │
//!                                       └────────────────────────────────────────┘
//!
//! send_commands ──▶ drive_input: wait, read the clocks once, handle_* ──▶ perform_actions ──▶ …
//! ```
//!
//! | part | owns |
//! |---|---|
//! | `sequencer` | every decision: data, events, ticks and the shutdown in one sequence |
//! | `interface` | readings of the clocks, actions |
//! | `inbox` | the queues of the connections |
//! | `closing` | the wait for the last write and the last sync; `ending`: what is left by then, and what failed |
//!
//! Backpressure: while the writer's queue is full the supervisor takes no deliveries, and so the connections stop
//! reading.

mod closing;
mod ending;
mod inbox;
mod interface;
mod sequencer;
mod setup;

pub use ending::Failure;
pub use interface::{OperatorRequest, PairsHandle, Reload};
pub use sequencer::Sequencer;
pub use setup::{Clocks, Others, SequencerSetup, Setup};

use crate::clock;
use crate::connection::{Delivery, Payload};
use crate::desired::{Listed, Wanted};
use crate::history::healing::{HealerHandle, HealerOutput};
use crate::ops::status::{Hosts, Queues, Status};
use crate::recording::progress::Progress;
use crate::recording::report::ThreadReport;
use crate::recording::threads::Threads;
use crate::upbit::feed::Feed;
use crate::upbit::subscription::Request;
use closing::Closing;
use inbox::Inbox;
use interface::{Action, Unwritten};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// See the module.
#[derive(Debug)]
pub struct Supervisor {
    /// Takes the events of the start.
    pub sequencer: Sequencer,
    clocks: Clocks,
    inbox: Inbox,
    /// The request that each connection should send next.
    requests: BTreeMap<Feed, watch::Sender<Request>>,
    /// The list of pairs, while it is being refreshed from the exchange.
    listed: watch::Receiver<Listed>,
    pairs: Option<PairsHandle>,
    healer: Option<HealerHandle>,
    threads: Threads,
    tasks: JoinSet<()>,
    status: watch::Sender<Status>,
    others: Others,
}

impl Supervisor {
    /// A supervisor without connections.
    pub fn new(setup: Setup) -> Self {
        let Setup { clocks, listed, threads, status, others, sequencer } = setup;
        Self {
            sequencer: Sequencer::new(sequencer, clocks.clock, clocks.read()),
            clocks,
            inbox: Inbox::default(),
            requests: BTreeMap::new(),
            listed,
            pairs: None,
            healer: None,
            threads,
            tasks: JoinSet::new(),
            status,
            others,
        }
    }

    /// Adds a connection and spawns its task, which delivers into the given queue and sends the request standing in the
    /// other channel.
    pub fn own<T: Future<Output = ()> + Send + 'static>(
        &mut self,
        feed: Feed,
        wanted: Wanted,
        task: impl FnOnce(mpsc::Sender<Delivery>, watch::Receiver<Request>) -> T,
    ) {
        let request = self.sequencer.add(feed, wanted, &self.listed.borrow());
        let (sender, requests) = watch::channel(request);
        self.requests.insert(feed, sender);
        self.tasks.spawn(task(self.inbox.open(), requests));
    }

    /// Records what follows the list of pairs has fetched, and calls it where something is announced.
    pub fn follow_pairs(&mut self, handle: PairsHandle) {
        self.pairs = Some(handle);
    }

    /// Adds a healer; returns the writer's progress, which the healer waits for.
    pub fn heal_with(&mut self, handle: HealerHandle) -> Progress {
        self.sequencer.tell_healer();
        self.healer = Some(handle);
        self.threads.progress.clone()
    }

    /// Runs until `shutdown` is cancelled, the time is over or recording fails, and everything is on disk.
    pub async fn run(
        mut self,
        shutdown: CancellationToken,
        mut requests: mpsc::Receiver<OperatorRequest>,
    ) -> Result<(), Failure> {
        while !self.threads.commands.is_closed() && !self.sequencer.is_done() {
            self.send_commands();
            self.drive_input(&shutdown, &mut requests).await;
            self.perform_actions(&shutdown);
        }
        self.close().await
    }

    /// Sends the writer as many commands as its queue has room for.
    fn send_commands(&mut self) {
        while self.sequencer.has_commands()
            && let Ok(slot) = self.threads.commands.try_reserve()
            && let Some(command) = self.sequencer.poll_command()
        {
            slot.send(command);
        }
        if self.threads.commands.is_closed() {
            self.sequencer.handle_writer_ended();
        }
    }

    /// Waits for the next input, and hands it to the sequencer with a reading of the clocks.
    async fn drive_input(&mut self, shutdown: &CancellationToken, requests: &mut mpsc::Receiver<OperatorRequest>) {
        let (sequencer, clocks) = (&mut self.sequencer, &self.clocks);
        let takes_reports = sequencer.takes_reports();
        let mut is_tick = false;
        let healed = async { self.healer.as_mut()?.output.recv().await };
        let fetched = async { self.pairs.as_mut()?.objects.recv().await };
        tokio::select! {
            biased;
            () = shutdown.cancelled(), if sequencer.is_running() => sequencer.handle_stop(clocks.read()),
            () = clock::sleep_until(Some(sequencer.next_tick())) => {
                sequencer.handle_clock_state(clocks.discipline.read());
                sequencer.handle_tick(clocks.read());
                is_tick = true;
            }
            _ = self.threads.commands.reserve(), if sequencer.has_commands() => {}
            Some(report) = self.threads.reports.recv(), if takes_reports => {
                if let ThreadReport::Synced(up_to) = report {
                    self.threads.progress.handle_synced(up_to);
                }
                sequencer.handle_report(clocks.read(), report);
            }
            Ok(()) = self.listed.changed(), if takes_reports => {
                sequencer.handle_listed(clocks.read(), &self.listed.borrow_and_update());
            }
            Some(request) = requests.recv(), if takes_reports => {
                sequencer.handle_request(clocks.read(), request);
            }
            Some(ended) = self.tasks.join_next() => if let Err(error) = ended {
                sequencer.handle_panic(clocks.read(), error.to_string());
            },
            delivery = self.inbox.recv(), if sequencer.takes_deliveries() => {
                if let Some(Delivery { payload: Payload::Batch(batch), .. }) = &delivery {
                    self.threads.progress.hand_over(batch.len() as u64);
                }
                sequencer.handle_delivery(clocks.read(), delivery);
            }
            Some(objects) = fetched, if sequencer.takes_healing() => sequencer.handle_fetched(clocks.read(), objects),
            Some(output) = healed, if sequencer.takes_healing() => match output {
                HealerOutput::Missing { stream, objects, stamped } => {
                    // Ignored: the healer has ended, and no longer needs the stamp.
                    let _ = stamped.send(sequencer.handle_missing(clocks.read(), stream, objects));
                }
                HealerOutput::Healed { gap, report } => sequencer.handle_healed(clocks.read(), gap, report),
            },
        }
        if is_tick {
            self.publish();
        }
    }

    /// Publishes a snapshot, where somebody looks.
    fn publish(&self) {
        if self.status.is_closed() {
            return;
        }
        let status = self.sequencer.status();
        let (threads, progress, vitals) = (&self.threads, &self.threads.progress, &self.threads.vitals);
        let unwritten_bytes = progress.unwritten();
        let age = status.at.since(progress.written().stamp);
        let queues = Queues {
            deliveries: self.inbox.waiting(),
            commands: self.sequencer.waiting_commands()
                + (threads.commands.max_capacity() - threads.commands.capacity()),
            reports: threads.reports.len(),
            unwritten_bytes,
            oldest_unwritten: if unwritten_bytes > 0 { age } else { Duration::ZERO },
        };
        let hosts = Hosts {
            writer: vitals.writer.read(),
            syncer: vitals.syncer.read(),
            sealer: vitals.sealer.read(),
            syncs: vitals.syncs.read(),
            seals: vitals.seals.read(),
        };
        let key_expires = *self.others.key_expires.borrow();
        self.status.send_replace(Status {
            queues,
            hosts,
            requests: self.others.requests.read(),
            uploads: self.others.uploads.read(),
            key_expires,
            ..status
        });
    }

    /// Does what the last input came to.
    fn perform_actions(&mut self, shutdown: &CancellationToken) {
        while let Some(action) = self.sequencer.poll_action() {
            match action {
                Action::CloseConnections => shutdown.cancel(),
                Action::SealTheRest => {
                    self.tasks.abort_all();
                    self.threads.hurry.set();
                }
                Action::Request(feed, request) => {
                    if let Some(requests) = self.requests.get(&feed) {
                        requests.send_replace(request);
                    }
                }
                Action::Keep(limits) => {
                    // A run is due at once where they have changed.
                    self.threads.limits.send_if_modified(|in_force| std::mem::replace(in_force, limits) != limits);
                }
                Action::LookAtPairs => {
                    if let Some(pairs) = &self.pairs {
                        pairs.look.notify_one();
                    }
                }
                Action::Publish => self.publish(),
                Action::TellHealer(input) => {
                    if let Some(healer) = &self.healer {
                        healer.input.send_replace(input);
                    }
                }
            }
        }
    }

    /// Records the end, and waits until everything is on disk.
    async fn close(self) -> Result<(), Failure> {
        self.threads.stop_sealing.set();
        let progress = &self.threads.progress;
        let unwritten = Unwritten { written: progress.written().stamp, steps: progress.steps() };
        let ended = self.sequencer.end(self.clocks.read(), (progress.unwritten() > 0).then_some(unwritten));
        Closing::new(ended).run(self.threads, self.clocks.clock).await.verdict()
    }
}
