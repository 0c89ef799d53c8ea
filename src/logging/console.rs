//! Output to standard error: a bounded queue, and a thread that alone may block.
//!
//! ```text
//! log lines ───────┐
//! status lines ────┼─▶ queue ──▶ thread ──▶ standard error
//! "finish" ────────┘     full: the line is dropped and counted, which is told once lines are taken again
//! ```

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Capacity of the queue, in lines: at some 250 bytes a line, a megabyte.
const WAITING_LINES: usize = 4096;

/// Timeout of the final flush. A terminal that needs more for a full queue is stuck.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// The producer's end of the queue.
#[derive(Clone, Debug)]
pub(super) struct Console {
    queue: SyncSender<Entry>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    waiting: AtomicUsize,
    /// Lines for which the queue had no room.
    dropped: AtomicUsize,
}

enum Entry {
    Log(Vec<u8>),
    Status(String),
    /// A barrier: answered once everything queued before it is written.
    Finish(SyncSender<()>),
}

impl Console {
    /// Starts the thread; `has_status`: `out` is a terminal, and the status line can be drawn below the log lines.
    /// `report` is called by the thread, with how many lines were dropped since it was called last.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        has_status: bool,
        report: impl Fn(usize) + Send + 'static,
    ) -> io::Result<Self> {
        // One slot more than lines are admitted, so that "finish" always has one.
        let (queue, entries) = sync_channel(WAITING_LINES + 1);
        let counts = Arc::new(Counts::default());
        let status = has_status.then(status_line);
        let printer = Printer { entries, counts: Arc::clone(&counts), reported: 0, report, status, out };
        // Not joined: a thread that is stuck in a write must not keep the process from ending.
        thread::Builder::new().name("log".into()).spawn(move || printer.run())?;
        Ok(Self { queue, counts })
    }

    /// Replaces the status line.
    pub(super) fn show(&self, text: String) {
        self.enqueue(Entry::Status(text));
    }

    /// Waits, for a bounded time, until everything so far is written, and removes the status line.
    pub(super) fn finish(&self) {
        let (answer, finished) = sync_channel(1);
        if self.queue.try_send(Entry::Finish(answer)).is_ok() {
            // After the timeout the queued lines are lost with the process.
            let _ = finished.recv_timeout(FINISH_TIMEOUT);
        }
    }

    fn enqueue(&self, entry: Entry) {
        let room = |waiting: usize| (waiting < WAITING_LINES).then_some(waiting + 1);
        let admitted = self.counts.waiting.fetch_update(Relaxed, Relaxed, room).is_ok();
        if !admitted || self.queue.try_send(entry).is_err() {
            self.counts.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// A log line comes in one call.
impl Write for Console {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.enqueue(Entry::Log(line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The consumer's end.
struct Printer<W, R> {
    entries: Receiver<Entry>,
    counts: Arc<Counts>,
    /// How many dropped lines were reported.
    reported: usize,
    report: R,
    status: Option<ProgressBar>,
    out: W,
}

impl<W: Write, R: Fn(usize)> Printer<W, R> {
    fn run(mut self) {
        while let Ok(entry) = self.entries.recv() {
            match entry {
                Entry::Log(line) => {
                    self.counts.waiting.fetch_sub(1, Relaxed);
                    self.print(&line);
                }
                Entry::Status(text) => {
                    self.counts.waiting.fetch_sub(1, Relaxed);
                    self.draw(text);
                }
                Entry::Finish(answer) => {
                    if let Some(status) = &self.status {
                        status.finish_and_clear();
                    }
                    // The receiver is gone where this took too long.
                    let _ = answer.try_send(());
                    return;
                }
            }
        }
    }

    /// Above the status line, which is drawn again below.
    fn print(&mut self, line: &[u8]) {
        let written = match &self.status {
            Some(status) => status.suspend(|| self.out.write_all(line)),
            None => self.out.write_all(line),
        };
        // A closed terminal takes nothing more; an error could only be reported to it.
        if written.is_ok() {
            self.report_dropped();
        }
    }

    /// The report is a line behind those that wait, where there is room for it again.
    fn report_dropped(&mut self) {
        let dropped = self.counts.dropped.load(Relaxed);
        if dropped > self.reported {
            (self.report)(dropped - self.reported);
            self.reported = dropped;
        }
    }

    fn draw(&self, text: String) {
        if let Some(status) = &self.status {
            status.set_message(text);
        }
    }
}

fn status_line() -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}").expect("the template is a constant");
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Takes a byte string for each token it is given.
    struct Slow {
        tokens: Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.tokens.recv().map_err(io::Error::other)?;
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    type Reports = Receiver<usize>;

    fn slow() -> (Console, SyncSender<()>, Arc<Mutex<Vec<u8>>>, Reports) {
        let (release, tokens) = sync_channel(WAITING_LINES);
        let (report, reports) = sync_channel(WAITING_LINES);
        let written = Arc::default();
        let out = Slow { tokens, written: Arc::clone(&written) };
        let console = Console::start(out, false, move |lines| report.send(lines).unwrap()).unwrap();
        (console, release, written, reports)
    }

    #[test]
    fn a_stuck_terminal_costs_lines_and_a_second_at_the_end() {
        let (mut console, release, _, reports) = slow();
        for _ in 0..WAITING_LINES + 100 {
            console.write_all(b"line\n").unwrap();
        }
        assert!(reports.try_recv().is_err());
        release.send(()).unwrap();
        // One line may have left the queue and waited in the write.
        let told = reports.recv().unwrap();
        assert!((99..=100).contains(&told), "{told}");
        console.finish();
        drop(release);
    }

    #[test]
    fn everything_so_far_is_written_before_the_end() {
        let (mut console, release, written, reports) = slow();
        console.write_all(b"first\n").unwrap();
        console.show("status".into());
        console.write_all(b"last\n").unwrap();
        release.send(()).unwrap();
        release.send(()).unwrap();
        console.finish();
        assert_eq!(*written.lock().unwrap(), b"first\nlast\n");
        assert!(reports.try_recv().is_err());
    }

    #[test]
    fn a_terminal_that_is_gone_does_not_hold_the_end_up() {
        let (mut console, release, written, _) = slow();
        drop(release);
        console.write_all(b"line\n").unwrap();
        console.finish();
        assert_eq!(*written.lock().unwrap(), b"");
    }
}
