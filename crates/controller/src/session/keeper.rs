//! Keeps the sessions of the active controller and fences the brokers whose sessions are over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use levada_metadata::{Command, SubmitError};
use levada_types::{BrokerEpoch, BrokerId, MetadataOffset};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::table::{Expired, Heard, SessionLimits, SessionTable, StreamId};
use crate::active::Active;
use crate::feed::Feed;

/// The pause before a fencing whose outcome is unknown is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Sessions that are open or awaited.
const SESSIONS: &str = "levada_controller_sessions";

/// Brokers fenced because their sessions were over.
const EXPIRED: &str = "levada_controller_sessions_expired_total";

/// Whether this node is the active controller.
const ACTIVE: &str = "levada_controller_active";

/// The sessions. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct SessionKeeper {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    active: Active,
    feed: Feed,
    limits: SessionLimits,
    sessions: Mutex<Sessions>,
    /// Wakes the task that expires sessions when a deadline has come nearer.
    sooner: Notify,
}

#[derive(Debug, Default)]
struct Sessions {
    /// None while this node is not active.
    table: Option<SessionTable>,
    /// What ends each stream.
    streams: HashMap<StreamId, CancellationToken>,
    next_stream: u64,
}

/// A stream with an open session.
#[derive(Debug, Clone)]
pub(super) struct OpenStream {
    pub(super) id: StreamId,
    /// Cancelled when the stream is no longer the broker's session.
    pub(super) ended: CancellationToken,
}

impl SessionKeeper {
    pub(crate) fn new(active: Active, feed: Feed, limits: SessionLimits) -> Self {
        let inner = Inner { active, feed, limits, sessions: Mutex::default(), sooner: Notify::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Follows who is active, and expires sessions while it is this node.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut state = self.inner.active.state();
        let mut term = None;
        loop {
            let now_active = state.borrow_and_update().own_term;
            if now_active != term {
                term = now_active;
                self.turn(term.is_some());
                if term.is_some() {
                    tracing::info!(?term, "this is the active controller");
                }
            }
            let deadline = self.sessions().table.as_ref().and_then(SessionTable::next_deadline);
            let expiry = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return self.turn(false),
                changed = state.changed() => if changed.is_err() { return self.turn(false) },
                () = self.inner.sooner.notified() => {}
                () = expiry => self.expire(),
            }
        }
    }

    /// Begins anew as the active controller, or ends every session because this is not the active one any more.
    fn turn(&self, active: bool) {
        metrics::gauge!(ACTIVE).set(if active { 1.0 } else { 0.0 });
        let mut sessions = self.sessions();
        sessions.streams.drain().for_each(|(_, ended)| ended.cancel());
        sessions.table =
            active.then(|| SessionTable::adopt(self.inner.limits, &self.inner.feed.image(), Instant::now()));
        gauge(&sessions);
    }

    fn expire(&self) {
        let mut sessions = self.sessions();
        let Some(table) = &mut sessions.table else { return };
        let expired = table.expire(Instant::now());
        for Expired { broker, epoch, stream } in expired {
            if let Some(ended) = stream.and_then(|stream| sessions.streams.remove(&stream)) {
                ended.cancel();
            }
            metrics::counter!(EXPIRED).increment(1);
            tracing::warn!(%broker, %epoch, "a broker's session is over; fencing it");
            let active = self.inner.active.clone();
            tokio::spawn(async move { submit_until_known(&active, Command::FenceBroker { id: broker, epoch }).await });
        }
        gauge(&sessions);
    }

    /// Whether another process is here under this broker's number.
    pub(super) fn is_taken(&self, broker: BrokerId, incarnation: Uuid) -> bool {
        self.sessions().table.as_ref().is_some_and(|table| table.is_taken(broker, incarnation))
    }

    /// Opens a session on a new stream. `None` if this is not the active controller any more.
    pub(super) fn open(
        &self,
        broker: BrokerId,
        who: (Uuid, BrokerEpoch),
        registered_at: MetadataOffset,
    ) -> Option<OpenStream> {
        let mut sessions = self.sessions();
        let id = StreamId(sessions.next_stream);
        let former = sessions.table.as_mut()?.open(broker, who, registered_at, id, Instant::now());
        sessions.next_stream += 1;
        if let Some(ended) = former.and_then(|former| sessions.streams.remove(&former)) {
            ended.cancel();
        }
        let ended = CancellationToken::new();
        sessions.streams.insert(id, ended.clone());
        gauge(&sessions);
        drop(sessions);
        self.inner.sooner.notify_one();
        Some(OpenStream { id, ended })
    }

    /// Takes in a heartbeat; `None` if the stream is not the broker's session any more.
    pub(super) fn heard(&self, broker: BrokerId, stream: StreamId, said: (MetadataOffset, bool)) -> Option<Heard> {
        let committed = *self.inner.feed.offset().borrow();
        self.sessions().table.as_mut()?.heard(broker, stream, said, committed, Instant::now())
    }

    /// The stream broke; its broker has the grace period to come back.
    pub(super) fn broken(&self, broker: BrokerId, stream: StreamId) {
        let mut sessions = self.sessions();
        sessions.streams.remove(&stream);
        if let Some(table) = &mut sessions.table {
            table.broken(broker, stream, Instant::now());
        }
        drop(sessions);
        self.inner.sooner.notify_one();
    }

    /// The broker has stopped in good order.
    pub(super) fn close(&self, broker: BrokerId, stream: StreamId) {
        let mut sessions = self.sessions();
        sessions.streams.remove(&stream);
        if let Some(table) = &mut sessions.table {
            table.close(broker, stream);
        }
        gauge(&sessions);
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gauge(sessions: &Sessions) {
    let count = sessions.table.as_ref().map_or(0, SessionTable::len);
    metrics::gauge!(SESSIONS).set(count as f64);
}

/// Submits a command that may be repeated until its outcome is known, or another controller's business.
async fn submit_until_known(active: &Active, command: Command) {
    loop {
        match active.submit(command.clone()).await {
            Ok(_) | Err(SubmitError::NotActive) => return,
            Err(SubmitError::Busy | SubmitError::Unknown) => tokio::time::sleep(RETRY_PAUSE).await,
        }
    }
}
