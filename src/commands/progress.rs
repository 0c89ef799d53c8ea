//! The progress bar of a verb that fetches history, or reads it.

use super::process::Host;
use crate::history::backfill::Progress;
use crate::quantity::{rounded_duration, rounded_size};
use std::time::Duration;

/// Cells of the bar.
const CELLS: usize = 30;

/// Shows the progress in the status line, from now on.
pub(super) fn show(host: &Host) -> impl FnMut(&Progress) {
    let begin = host.clock.now();
    move |progress| host.screen.show(&of_requests(progress, host.clock.now() - begin))
}

/// Shows the progress of a verb that reads `total` bytes.
pub(super) fn show_bytes(host: &Host, total: u64) -> impl Fn(u64) {
    let begin = host.clock.now();
    move |read| {
        let elapsed = host.clock.now() - begin;
        #[expect(clippy::cast_precision_loss, reason = "a share and a rate for people")]
        let (share, rate) = (read as f64 / total.max(1) as f64, read as f64 / seconds(elapsed));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people")]
        let rate = format!("{}/s", rounded_size(rate as u64));
        host.screen.show(&bar(share.min(1.0), &rate, elapsed));
    }
}

/// `[=========>          ] 34 % · 7.9 requests/s · 3 min left`
fn of_requests(progress: &Progress, elapsed: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = progress.requests as f64 / seconds(elapsed);
    bar(progress.share(), &format!("{rate:.1} requests/s"), elapsed)
}

fn seconds(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64().max(0.001)
}

/// `[=========>          ] 34 % · 212 MiB/s · 3 min left`
fn bar(share: f64, rate: &str, elapsed: Duration) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a few cells")]
    let full = ((share * CELLS as f64) as usize).min(CELLS);
    let seconds = seconds(elapsed);
    let left = match share {
        share if share > 0.0 => rounded_duration(Duration::from_secs_f64(seconds * (1.0 - share) / share)),
        _ => "?".to_owned(),
    };
    let (done, open) = ("=".repeat(full), " ".repeat(CELLS - full));
    format!("[{done}>{open}] {:.0} % · {rate} · {left} left", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_shows_share_rate_and_time_left() {
        let progress = Progress { wanted: 100, done: 25, requests: 40 };
        let text = of_requests(&progress, Duration::from_secs(5));
        assert!(text.starts_with("[=======>") && text.ends_with("] 25 % · 8.0 requests/s · 15 s left"), "{text}");
    }
}
