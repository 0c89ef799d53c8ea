//! What is new for the service manager since it was told last. Pure.

/// All that it may be told.
#[derive(Clone, Debug, Default)]
pub(super) struct Condition {
    pub(super) is_ready: bool,
    pub(super) is_stopping: bool,
    /// Nothing follows.
    pub(super) is_over: bool,
    pub(super) reloads_begun: u64,
    pub(super) reloads_ended: u64,
    pub(super) status: String,
    /// How often the loop has turned.
    pub(super) turns: u64,
}

/// One message to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    Ready,
    Reloading,
    Stopping,
    Status(String),
    Turned,
}

/// Compares what it was told with what is so.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    told: Condition,
}

impl Announcer {
    /// The messages, in their order. A reload that began and ended meanwhile is told in full: somebody waits for it.
    pub(super) fn news(&mut self, newest: Condition) -> Vec<News> {
        let told = std::mem::replace(&mut self.told, newest);
        let newest = &self.told;
        let has_begun = newest.reloads_begun > told.reloads_begun;
        let has_ended = newest.reloads_ended > told.reloads_ended && newest.reloads_ended == newest.reloads_begun;
        let is_started = newest.is_ready && !told.is_ready;
        // An end that was told is not taken back.
        let is_running = !told.is_stopping && !newest.is_stopping;
        [
            (has_begun && is_running, News::Reloading),
            ((is_started || has_ended) && is_running, News::Ready),
            (newest.is_stopping && !told.is_stopping, News::Stopping),
            (newest.status != told.status, News::Status(newest.status.clone())),
            (newest.turns > told.turns, News::Turned),
        ]
        .into_iter()
        .filter_map(|(is_new, message)| is_new.then_some(message))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_told_once_and_in_order() {
        let mut announcer = Announcer::default();
        let mut condition = Condition { status: "starting".into(), ..Condition::default() };
        assert_eq!(announcer.news(condition.clone()), [News::Status("starting".into())]);
        condition = Condition { is_ready: true, turns: 1, status: "public live".into(), ..condition };
        let begun = [News::Ready, News::Status("public live".into()), News::Turned];
        assert_eq!(announcer.news(condition.clone()), begun);
        assert_eq!(announcer.news(condition.clone()), []);
        condition.turns += 5;
        assert_eq!(announcer.news(condition.clone()), [News::Turned]);
        condition.is_stopping = true;
        assert_eq!(announcer.news(condition), [News::Stopping]);
    }

    #[test]
    fn a_reload_is_told_in_full_however_short() {
        let mut announcer = Announcer::default();
        let mut condition = Condition { is_ready: true, ..Condition::default() };
        assert_eq!(announcer.news(condition.clone()), [News::Ready]);
        condition.reloads_begun = 1;
        assert_eq!(announcer.news(condition.clone()), [News::Reloading]);
        condition.reloads_ended = 1;
        assert_eq!(announcer.news(condition.clone()), [News::Ready]);
        condition = Condition { reloads_begun: 3, reloads_ended: 3, ..condition };
        assert_eq!(announcer.news(condition.clone()), [News::Reloading, News::Ready]);
        // One has ended while the next one has begun.
        condition = Condition { reloads_begun: 5, reloads_ended: 4, ..condition };
        assert_eq!(announcer.news(condition), [News::Reloading]);
    }

    #[test]
    fn nothing_revokes_an_end() {
        let mut announcer = Announcer::default();
        let stopping = Condition { is_stopping: true, is_ready: true, ..Condition::default() };
        assert_eq!(announcer.news(stopping.clone()), [News::Stopping]);
        let reloading = Condition { reloads_begun: 1, reloads_ended: 1, ..stopping };
        assert_eq!(announcer.news(reloading), []);
    }
}
