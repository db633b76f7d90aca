//! Keeps the sessions of the active controller, and takes those out of the living whose sessions are over.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use levada_metadata::{Command, SubmitError};
use levada_service::net::Network;
use levada_types::MetadataOffset;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::member::{Epoch, Member};
use super::table::{Expired, Heard, SessionLimits, SessionTable, StreamId};
use crate::active::Active;
use crate::feed::Feed;

/// The pause before the end of a session whose outcome is unknown is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The first pause between looks for the process of a member whose stream broke; each is twice the one before, up to the
/// grace period.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// How long one look may take at least: several round trips of a local network.
const ONE_LOOK: Duration = Duration::from_millis(25);

/// How long a node that stops waits for the others to know. It is mostly some milliseconds, and one that is cut off must
/// not hold it.
const SPREAD_TIMEOUT: Duration = Duration::from_secs(1);

/// Sessions that are open or awaited.
const SESSIONS: &str = "levada_controller_sessions";

/// Brokers fenced and coordinators removed because their sessions were over.
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
    network: Network,
    limits: SessionLimits,
    sessions: Mutex<Sessions>,
    /// Wakes the task that expires sessions when a deadline has come nearer.
    sooner: Notify,
    /// Wakes those who wait for members to apply something, also when one of these has gone. Never told while `sessions` is
    /// locked: who is woken locks it.
    heard: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Sessions {
    /// None while this node is not active.
    table: Option<SessionTable>,
    /// The way to each stream.
    streams: HashMap<StreamId, StreamHandle>,
    next_stream: u64,
}

impl Sessions {
    /// Ends a stream that is no session any more.
    fn end(&mut self, stream: StreamId) {
        if let Some(stream) = self.streams.remove(&stream) {
            stream.ended.cancel();
        }
    }
}

/// The way to a stream.
#[derive(Debug)]
struct StreamHandle {
    /// Ends it.
    ended: CancellationToken,
    /// The offset whose arrival the member is to report.
    report: watch::Sender<MetadataOffset>,
}

/// A stream with an open session.
#[derive(Debug, Clone)]
pub(super) struct OpenStream {
    pub(super) id: StreamId,
    /// Cancelled when the stream is no longer the member's session.
    pub(super) ended: CancellationToken,
    /// The offset whose arrival the member is to report.
    pub(super) report: watch::Receiver<MetadataOffset>,
}

impl SessionKeeper {
    pub(crate) fn new(active: Active, feed: Feed, network: Network, limits: SessionLimits) -> Self {
        let (sooner, heard) = (Notify::new(), watch::Sender::new(()));
        let inner = Inner { active, feed, network, limits, sessions: Mutex::default(), sooner, heard };
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
        sessions.streams.drain().for_each(|(_, stream)| stream.ended.cancel());
        sessions.table =
            active.then(|| SessionTable::adopt(self.inner.limits, &self.inner.feed.image(), Instant::now()));
        gauge(&sessions);
        drop(sessions);
        if active {
            // Whoever died with the former active controller need not be waited for.
            for (member, _, epoch) in Member::live(&self.inner.feed.image()) {
                let keeper = self.clone();
                tokio::spawn(async move { keeper.look_for(member, epoch).await });
            }
        }
    }

    fn expire(&self) {
        let mut sessions = self.sessions();
        let Some(table) = &mut sessions.table else { return };
        let expired = table.expire(Instant::now());
        for Expired { member, epoch, streams } in expired {
            for stream in streams {
                sessions.end(stream);
            }
            metrics::counter!(EXPIRED).increment(1);
            tracing::warn!(%member, %epoch, "a session is over; what it holds goes to others");
            let active = self.inner.active.clone();
            tokio::spawn(async move { submit_until_known(&active, member.end(epoch)).await });
        }
        gauge(&sessions);
    }

    /// Whether another process is here in this member's place.
    pub(super) fn is_taken(&self, member: Member, incarnation: Uuid) -> bool {
        self.sessions().table.as_ref().is_some_and(|table| table.is_taken(member, incarnation))
    }

    /// Whether a process is here, on an open stream.
    pub(super) fn is_here(&self, member: Member) -> bool {
        self.sessions().table.as_ref().is_some_and(|table| table.is_here(member))
    }

    /// Opens a session on a new stream. `None` if this is not the active controller any more.
    pub(super) fn open(&self, member: Member, who: (Uuid, Epoch), registered_at: MetadataOffset) -> Option<OpenStream> {
        let mut sessions = self.sessions();
        let id = StreamId(sessions.next_stream);
        let former = sessions.table.as_mut()?.open(member, who, registered_at, id, Instant::now());
        sessions.next_stream += 1;
        for stream in former {
            sessions.end(stream);
        }
        let (ended, (asking, report)) = (CancellationToken::new(), watch::channel(MetadataOffset(0)));
        sessions.streams.insert(id, StreamHandle { ended: ended.clone(), report: asking });
        gauge(&sessions);
        drop(sessions);
        self.inner.sooner.notify_one();
        Some(OpenStream { id, ended, report })
    }

    /// Takes in a heartbeat; `None` if the stream is not the member's session any more.
    pub(super) fn heard(&self, member: Member, stream: StreamId, said: (MetadataOffset, bool)) -> Option<Heard> {
        let committed = *self.inner.feed.offset().borrow();
        let heard = {
            let mut sessions = self.sessions();
            let heard = sessions.table.as_mut()?.heard(member, stream, said, committed, Instant::now());
            if let Some(left) = heard.and_then(|heard| heard.left) {
                sessions.end(left);
            }
            heard
        };
        self.inner.heard.send_replace(());
        heard
    }

    /// Has everybody who is here report as soon as it has applied `offset`, and waits for that, for a bounded time.
    pub(super) async fn spread(&self, offset: MetadataOffset) {
        let mut heard = self.inner.heard.subscribe();
        {
            let sessions = self.sessions();
            let behind = sessions.table.as_ref().map(|table| table.behind(offset)).unwrap_or_default();
            for stream in behind.iter().filter_map(|id| sessions.streams.get(id)) {
                stream.report.send_replace(offset);
            }
        }
        let all =
            heard.wait_for(|()| self.sessions().table.as_ref().is_none_or(|table| table.behind(offset).is_empty()));
        if tokio::time::timeout(SPREAD_TIMEOUT, all).await.is_err() {
            tracing::info!(%offset, "some take long to hear of a node that stops; it goes without them");
        }
    }

    /// The stream broke; its member has the grace period to come back, unless its process is gone.
    pub(super) fn broken(&self, member: Member, epoch: Epoch, stream: StreamId) {
        let mut sessions = self.sessions();
        sessions.streams.remove(&stream);
        if let Some(table) = &mut sessions.table {
            table.broken(member, stream, Instant::now());
        }
        drop(sessions);
        self.inner.heard.send_replace(());
        self.inner.sooner.notify_one();
        let keeper = self.clone();
        tokio::spawn(async move { keeper.look_for(member, epoch).await });
    }

    /// Ends the wait for a member whose stream broke as soon as its machine says that nobody listens at its address.
    async fn look_for(&self, member: Member, epoch: Epoch) {
        let address = member.internal_address(epoch, &self.inner.feed.image()).and_then(|known| known.parse().ok());
        let Some(address) = address else { return };
        let dialer = self.inner.network.dialer(address);
        let is_awaited = || self.sessions().table.as_ref().is_some_and(|table| table.is_awaited(member, epoch));
        let mut pause = LOOK_PAUSE;
        while is_awaited() {
            // What was sent to a listener that closes just then may get no answer at all; the next is refused.
            let tried = tokio::time::timeout(pause.max(ONE_LOOK), dialer.connect()).await;
            if matches!(&tried, Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused) {
                if let Some(table) = &mut self.sessions().table {
                    table.gone(member, epoch, Instant::now());
                }
                return self.inner.sooner.notify_one();
            }
            // A process that dies may end its streams a moment before it stops listening.
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.inner.limits.grace);
        }
    }

    /// The member has stopped in good order.
    pub(super) fn close(&self, member: Member, stream: StreamId) {
        let mut sessions = self.sessions();
        sessions.streams.remove(&stream);
        if let Some(table) = &mut sessions.table {
            table.close(member, stream);
        }
        gauge(&sessions);
        drop(sessions);
        self.inner.heard.send_replace(());
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
