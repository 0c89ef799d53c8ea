//! The progress bar of a verb that fetches history.

use super::process::Host;
use crate::history::backfill::Progress;
use crate::quantity::rounded_duration;
use std::time::Duration;

/// Cells of the bar.
const CELLS: usize = 30;

/// Shows the progress in the status line, from now on.
pub(super) fn show(host: &Host) -> impl FnMut(&Progress) {
    let begin = host.clock.now();
    move |progress| host.screen.show(&bar(progress, host.clock.now() - begin))
}

/// `[=========>          ] 34 % · 7.9 requests/s · 3 min left`
fn bar(progress: &Progress, elapsed: Duration) -> String {
    let share = progress.share();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a few cells")]
    let full = ((share * CELLS as f64) as usize).min(CELLS);
    let seconds = elapsed.as_secs_f64().max(0.001);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = progress.requests as f64 / seconds;
    let left = match share {
        share if share > 0.0 => rounded_duration(Duration::from_secs_f64(seconds * (1.0 - share) / share)),
        _ => "?".to_owned(),
    };
    let (done, open) = ("=".repeat(full), " ".repeat(CELLS - full));
    format!("[{done}>{open}] {:.0} % · {rate:.1} requests/s · {left} left", share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_shows_share_rate_and_time_left() {
        let progress = Progress { wanted: 100, done: 25, requests: 40 };
        let text = bar(&progress, Duration::from_secs(5));
        assert!(text.starts_with("[=======>") && text.ends_with("] 25 % · 8.0 requests/s · 15 s left"), "{text}");
    }
}
