//! Output to standard error: a bounded queue, and a thread that alone may block.
//!
//! ```text
//! log lines ───────┐
//! status lines ────┼─▶ queue ──▶ thread ──▶ standard error
//! "finish" ────────┘     full: the line is dropped and counted
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
    pub(super) fn start(out: impl Write + Send + 'static, has_status: bool) -> io::Result<Self> {
        // One slot more than lines are admitted, so that "finish" always has one.
        let (queue, entries) = sync_channel(WAITING_LINES + 1);
        let counts = Arc::new(Counts::default());
        let status = has_status.then(status_line);
        let printer = Printer { entries, counts: Arc::clone(&counts), status, out };
        // Not joined: a thread that is stuck in a write must not keep the process from ending.
        thread::Builder::new().name("log".into()).spawn(move || printer.run())?;
        Ok(Self { queue, counts })
    }

    /// Replaces the status line.
    pub(super) fn show(&self, text: String) {
        self.enqueue(Entry::Status(text));
    }

    /// Lines dropped: the queue was full, or their write failed.
    pub(super) fn dropped(&self) -> usize {
        self.counts.dropped.load(Relaxed)
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
struct Printer<W> {
    entries: Receiver<Entry>,
    counts: Arc<Counts>,
    status: Option<ProgressBar>,
    out: W,
}

impl<W: Write> Printer<W> {
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
        if written.is_err() {
            self.counts.dropped.fetch_add(1, Relaxed);
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

    fn slow() -> (Console, SyncSender<()>, Arc<Mutex<Vec<u8>>>) {
        let (release, tokens) = sync_channel(WAITING_LINES);
        let written = Arc::default();
        let console = Console::start(Slow { tokens, written: Arc::clone(&written) }, false).unwrap();
        (console, release, written)
    }

    #[test]
    fn a_stuck_terminal_costs_lines_and_a_second_at_the_end() {
        let (mut console, release, _) = slow();
        for _ in 0..WAITING_LINES + 100 {
            console.write_all(b"line\n").unwrap();
        }
        // One line may have left the queue and wait in the write.
        assert!((99..=100).contains(&console.dropped()), "{}", console.dropped());
        console.finish();
        drop(release);
    }

    #[test]
    fn everything_so_far_is_written_before_the_end() {
        let (mut console, release, written) = slow();
        console.write_all(b"first\n").unwrap();
        console.show("status".into());
        console.write_all(b"last\n").unwrap();
        release.send(()).unwrap();
        release.send(()).unwrap();
        console.finish();
        assert_eq!(*written.lock().unwrap(), b"first\nlast\n");
        assert_eq!(console.dropped(), 0);
    }

    #[test]
    fn a_terminal_that_is_gone_is_counted() {
        let (mut console, release, _) = slow();
        drop(release);
        console.write_all(b"line\n").unwrap();
        console.finish();
        assert_eq!(console.dropped(), 1);
    }
}
