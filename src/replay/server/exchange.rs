//! The state shared by all connections: the source, the log, the REST API's state, the faults.

use super::sent::SentLog;
use crate::clock::{Clock, Stamp};
use crate::replay::faults::{Fault, Faults, NoPlan, Plan, Stage};
use crate::replay::rest::{Answer, Api, Auth, Keys, RestPast, RestRequest, Visitors, blocked, too_many};
use crate::replay::session::{Habits, Session, Source};
use crate::replay::wire::request::Endpoint;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, watch};
use tokio::task::spawn_blocking;

/// Answers that are read from a recording at a time: one that takes long holds up no other, and the disk is left to the
/// recorder. Who waits is a client, of which there are 256.
const READERS: usize = 2;

/// The exchange behind the server.
pub struct Exchange {
    source: Source,
    habits: Arc<Habits>,
    pub(super) log: SentLog,
    pub(super) clock: Clock,
    api: Mutex<Api>,
    /// Who reads a recording for an answer.
    readers: Arc<Semaphore>,
    faults: watch::Sender<Arc<Faults>>,
}

impl Exchange {
    /// An exchange without faults; `keys` are the account's.
    pub fn new(source: Source, habits: Habits, keys: Option<Keys>, clock: Clock) -> Self {
        let api = Api { visitors: habits.limits.then(Visitors::default), auth: Auth::new(keys) };
        Self {
            source,
            habits: Arc::new(habits),
            log: SentLog::default(),
            clock,
            api: Mutex::new(api),
            readers: Arc::new(Semaphore::new(READERS)),
            faults: watch::channel(Arc::default()).0,
        }
    }

    /// With a log of every frame handed to a socket.
    pub fn logging_to(mut self, log: SentLog) -> Self {
        self.log = log;
        self
    }

    /// Plans a fault, counted from now.
    pub fn plan(&self, plan: Plan) {
        let now = self.clock.stamp();
        self.faults.send_modify(|faults| Arc::make_mut(faults).plan(now, plan));
    }

    /// Whether it passes on what is being recorded.
    pub(super) fn is_living(&self) -> bool {
        matches!(&self.source, Source::Reel(reel) if reel.live.is_some())
    }

    pub(super) fn is_text(&self) -> bool {
        self.habits.text
    }

    pub(super) fn faults(&self) -> watch::Receiver<Arc<Faults>> {
        self.faults.subscribe()
    }

    /// Whether connections are refused.
    pub(super) fn refuses(&self) -> bool {
        self.faults.borrow().active(self.clock.stamp()).any(|fault| *fault == Fault::Refuse)
    }

    /// Whether the exchange hangs at this stage.
    pub(super) fn hangs(&self, stage: Stage) -> bool {
        self.faults.borrow().hangs(self.clock.stamp(), stage)
    }

    /// A client's session from now on.
    pub(super) fn session(&self, endpoint: Endpoint) -> Session {
        let mut session = Session::new(self.source.clone(), endpoint, Arc::clone(&self.habits), self.clock.stamp());
        session.handle_faults(self.faults.borrow().clone());
        session
    }

    /// Whether a client may have its upgrade; the refusal otherwise.
    pub(super) fn admit(&self, endpoint: Endpoint, request: &RestRequest<'_>) -> Result<(), Answer> {
        let now = self.clock.stamp();
        self.refused(now)?;
        let mut api = self.lock_api();
        if let Some(visitors) = &mut api.visitors {
            visitors.connect(now, request.address, endpoint, request.has_origin)?;
        }
        match endpoint {
            Endpoint::Public => Ok(()),
            Endpoint::Private if self.faults.borrow().active(now).any(|fault| *fault == Fault::Deny) => {
                Err(Answer::error(401, "invalid_access_key", "인증에 실패했습니다."))
            }
            Endpoint::Private => api.auth.check(request.authorization, "").map_err(|error| error.answer()),
        }
    }

    /// Answers a REST request. A recording is read by another thread, or every WebSocket would wait for it.
    pub(super) async fn answer(&self, request: &RestRequest<'_>) -> Answer {
        let now = self.clock.stamp();
        let admitted = match self.refused(now).and_then(|()| self.lock_api().admit(now, request)) {
            Ok(admitted) => admitted,
            Err(answer) => return answer,
        };
        let corruption = self.faults.borrow().corruption(now, request.query.get("market"));
        let reel = match &self.source {
            Source::Market(market) => return admitted.answer(now, RestPast::Market(market), corruption),
            Source::Recorded { .. } => return admitted.answer(now, RestPast::None, corruption),
            Source::Reel(reel) => Arc::clone(reel),
        };
        let permit = Arc::clone(&self.readers).acquire_owned().await.expect("nobody closes it");
        let read = move || {
            let _permit = permit;
            admitted.answer(now, RestPast::Reel(&reel), corruption)
        };
        match spawn_blocking(read).await {
            Ok(answer) => answer,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// The faults as they are planned, one in a line.
    pub(super) fn show_faults(&self) -> Answer {
        Answer::text(200, self.faults.borrow().to_string())
    }

    /// Plans the faults of a text, one in a line; all or none.
    pub(super) fn plan_faults(&self, text: &str) -> Answer {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let plans: Result<Vec<Plan>, NoPlan> = lines.map(str::parse).collect();
        match plans {
            Err(error) => Answer::text(400, format!("{error}\n")),
            Ok(plans) => {
                plans.into_iter().for_each(|plan| self.plan(plan));
                self.show_faults()
            }
        }
    }

    /// Forgets all faults.
    pub(super) fn clear_faults(&self) -> Answer {
        self.faults.send_modify(|faults| Arc::make_mut(faults).clear());
        self.show_faults()
    }

    fn refused(&self, now: Stamp) -> Result<(), Answer> {
        let faults = self.faults.borrow();
        let refusal = faults.active(now).find_map(|fault| match fault {
            Fault::TooMany => Some(too_many()),
            Fault::Blocked(seconds) => Some(blocked(u64::from(*seconds))),
            _ => None,
        });
        refusal.map_or(Ok(()), Err)
    }

    fn lock_api(&self) -> MutexGuard<'_, Api> {
        self.api.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::fake::{Fake, at, trade};
    use crate::replay::reel::Reel;
    use crate::replay::rest::Query;
    use std::net::IpAddr;

    fn request<'a>(path: &'a str, query: &str) -> RestRequest<'a> {
        let (address, query) = (IpAddr::from([127, 0, 0, 1]), Query::parse(query));
        RestRequest { address, path, query, authorization: None, has_origin: false }
    }

    #[test]
    fn a_disk_that_stands_still_holds_up_one_answer() {
        let tape = Fake::of(&["KRW-BTC_trade"]);
        tape.write(trade("KRW-BTC_trade", 1));
        let disk = tape.disk.clone();
        let reel = Reel::new(Box::new(tape), None, None, false);
        let source = Source::Reel(Arc::new(reel));
        let exchange = Exchange::new(source, Habits::default(), None, Clock::anchored(at(0).stamp));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let [candles, markets] = [request("/v1/candles/days", "market=KRW-BTC"), request("/v1/market/all", "")];
        let still = disk.lock().unwrap();
        let mut waiting = Box::pin(exchange.answer(&candles));
        runtime.block_on(async {
            assert!(futures_util::poll!(waiting.as_mut()).is_pending());
            assert_eq!(exchange.answer(&markets).await.status, 200);
            assert!(exchange.admit(Endpoint::Public, &request("/websocket/v1", "")).is_ok());
        });
        drop(still);
        assert_eq!(runtime.block_on(waiting).status, 200);
    }
}
