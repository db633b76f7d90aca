//! A broker's session with the active controller: registration, heartbeats, notice of a clean shutdown.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use levada_metadata::NewBroker;
use levada_proto::internal::session_request::Kind as Ask;
use levada_proto::internal::session_response::Kind as Told;
use levada_proto::internal::{
    Heartbeat, RegisterBroker, SessionOpened, SessionRequest, SessionResponse, ShutdownNotice,
};
use levada_proto::status::error_of;
use levada_service::net::Address;
use levada_types::{BrokerEpoch, BrokerId, ErrorCode, MetadataOffset};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::backoff::Backoff;
use crate::outcome::Outcome;
use crate::{Controllers, Lease, MetadataWatch, RegistrationError, SessionState};

/// Messages that may wait to be sent. Heartbeats carry state, not history, so one that finds no room is left out.
const OUTBOX: usize = 4;

/// Heartbeats without an answer that are remembered. An answer to an older one would come too late anyway.
const UNANSWERED: usize = 64;

/// How long the controller may take to answer a registration before another one is tried.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a broker waits for its number while another process has it; then it gives up. Kafka's default of
/// `initial.broker.registration.timeout.ms`, and several times what a session lasts that nobody keeps any more.
const TAKEN_LIMIT: Duration = Duration::from_secs(60);

/// The time between two lines in the log about that.
const TAKEN_LINE_PAUSE: Duration = Duration::from_secs(5);

/// Keeps one broker registered. Dropping it ends the session without notice, as a crash would.
#[derive(Debug)]
pub struct BrokerSession {
    wishes: watch::Sender<Wishes>,
    state: watch::Receiver<SessionState>,
    lease: Arc<Lease>,
    /// Where in the metadata the leaderships are moved, once they are.
    stopped: watch::Receiver<Option<MetadataOffset>>,
    task: JoinHandle<()>,
}

/// What the broker wants its controller to know.
#[derive(Debug, Clone, Copy, Default)]
struct Wishes {
    ready: bool,
    stop: bool,
}

impl BrokerSession {
    /// Opens a session for `broker` with the active one of `controllers` and keeps it open, across broken streams and
    /// changes of the controller, until [`BrokerSession::stop`] or drop. Heartbeats report how far `metadata` has come;
    /// `newest` is what is known of the cluster, acted upon or not yet.
    #[must_use]
    pub fn open(controllers: Controllers, broker: &NewBroker, metadata: MetadataWatch, newest: MetadataWatch) -> Self {
        let (wishes, heard) = watch::channel(Wishes::default());
        let (told, state) = watch::channel(SessionState { fenced: true, ..SessionState::default() });
        let (stopping, stopped) = watch::channel(None);
        let lease = Arc::new(Lease::new());
        let keeper = Keeper {
            controllers,
            register: RegisterBroker::from(broker),
            metadata,
            newest,
            wishes: heard,
            state: told,
            lease: Arc::clone(&lease),
            stopped: stopping,
            taken: None,
        };
        Self { wishes, state, lease, stopped, task: tokio::spawn(keeper.keep()) }
    }

    /// The state of the session and its changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<SessionState> {
        self.state.clone()
    }

    /// How long the broker may act on what it leads.
    #[must_use]
    pub fn lease(&self) -> Arc<Lease> {
        Arc::clone(&self.lease)
    }

    /// The broker epoch of the registration, once there is one.
    ///
    /// # Errors
    /// [`RegistrationError`] if the controller refused it for good.
    pub async fn registered(&self) -> Result<BrokerEpoch, RegistrationError> {
        let mut state = self.state.clone();
        loop {
            {
                let now = state.borrow_and_update();
                if let Some(refused) = &now.refused {
                    return Err(refused.clone());
                }
                if let Some(epoch) = now.epoch {
                    return Ok(epoch);
                }
            }
            if state.changed().await.is_err() {
                let message = "the session ended before it began".to_owned();
                return Err(RegistrationError { code: ErrorCode::UnknownServerError, message });
            }
        }
    }

    /// Resolves when the controller lets this broker lead.
    pub async fn unfenced(&self) {
        let _ = self.state.clone().wait_for(|state| state.epoch.is_some() && !state.fenced).await;
    }

    /// Tells the controller that the logs are open and the broker is ready to lead.
    pub fn set_ready(&self) {
        self.wishes.send_modify(|wishes| wishes.ready = true);
    }

    /// Gives notice of a clean shutdown and waits until the controller has moved the leaderships and every other broker
    /// knows it, for at most `timeout`. Gives the metadata offset at which they are moved, if they are; either way the
    /// session is over.
    pub async fn stop(self, timeout: Duration) -> Option<MetadataOffset> {
        self.wishes.send_modify(|wishes| wishes.stop = true);
        let mut stopped = self.stopped.clone();
        let told = tokio::time::timeout(timeout, stopped.wait_for(Option::is_some)).await;
        told.ok()?.ok().and_then(|at| *at)
    }
}

impl Drop for BrokerSession {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Keeper {
    controllers: Controllers,
    register: RegisterBroker,
    metadata: MetadataWatch,
    newest: MetadataWatch,
    wishes: watch::Receiver<Wishes>,
    state: watch::Sender<SessionState>,
    lease: Arc<Lease>,
    stopped: watch::Sender<Option<MetadataOffset>>,
    /// Since when another process has had this broker's number, and whether that was told lately.
    taken: Option<Taken>,
}

/// Another process has this broker's number.
struct Taken {
    since: Instant,
    told: Instant,
}

/// How a stream ended.
enum Ended {
    /// Another one is to be tried.
    Broken,
    /// The broker may stop, or was refused.
    ForGood,
}

impl Keeper {
    async fn keep(mut self) {
        let mut backoff = Backoff::new();
        loop {
            let Some(address) = self.controllers.next() else {
                let message = "no controller is configured".to_owned();
                self.refuse(RegistrationError { code: ErrorCode::InvalidConfig, message });
                return;
            };
            match self.session_with(&address).await {
                Ok(Ended::ForGood) => return,
                Ok(Ended::Broken) => backoff = Backoff::new(),
                Err(status) => {
                    if self.failed(&address, &status) {
                        return;
                    }
                }
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Takes note of a session that was not opened; says whether it never will be.
    fn failed(&mut self, address: &Address, status: &Status) -> bool {
        tracing::debug!(controller = %address, reason = status.message(), "no session");
        let told = error_of(status).map(|error| {
            let code = i16::try_from(error.code).ok().and_then(ErrorCode::from_code);
            (code.unwrap_or(ErrorCode::InvalidRegistration), error.message)
        });
        match (Outcome::of(status), told) {
            (Outcome::NotActive(active), _) => self.controllers.hint(address, active),
            (Outcome::NotDone | Outcome::Unknown, None) => self.controllers.failed(address),
            // Whatever the status: the controller has decided.
            (_, told) => {
                let (code, message) =
                    told.unwrap_or_else(|| (ErrorCode::InvalidRegistration, status.message().to_owned()));
                // Another live incarnation of this broker: it may be the one whose place this one takes, and is
                // fenced when its session times out.
                let may_pass = code == ErrorCode::DuplicateBrokerRegistration && self.waits_for_number();
                if !code.is_retriable() && !may_pass {
                    self.refuse(RegistrationError { code, message });
                    return true;
                }
                let now = Instant::now();
                let told = self.taken.as_mut().map(|taken| &mut taken.told);
                if told.as_ref().is_none_or(|told| **told <= now) {
                    tracing::warn!(controller = %address, %code, message, "not registered yet; trying again");
                    told.into_iter().for_each(|told| *told = now + TAKEN_LINE_PAUSE);
                }
            }
        }
        false
    }

    /// Whether to wait for a number that another process has. It has [`TAKEN_LIMIT`] to fall silent.
    fn waits_for_number(&mut self) -> bool {
        let now = Instant::now();
        let taken = self.taken.get_or_insert(Taken { since: now, told: now });
        now.duration_since(taken.since) < TAKEN_LIMIT
    }

    fn refuse(&self, refused: RegistrationError) {
        tracing::error!(%refused, "this broker cannot join the cluster");
        self.state.send_modify(|state| state.refused = Some(refused));
    }

    async fn session_with(&mut self, address: &Address) -> Result<Ended, Status> {
        let (outbox, messages) = mpsc::channel(OUTBOX);
        let send = |kind| outbox.try_send(SessionRequest { kind: Some(kind) }).is_ok();
        let known = self.newest.image().broker(BrokerId(self.register.id)).map(|known| known.epoch.0);
        send(Ask::Register(RegisterBroker { replaces: known, ..self.register.clone() }));
        let mut stub = self.controllers.stub(address);
        let opening = async {
            let mut inbox = stub.session(ReceiverStream::new(messages)).await?.into_inner();
            let opened = opened(&mut inbox).await?;
            Ok::<_, Status>((inbox, opened))
        };
        let (mut inbox, opened) = tokio::time::timeout(OPEN_TIMEOUT, opening)
            .await
            .unwrap_or_else(|_| Err(Status::unavailable("the registration was not answered")))?;
        self.controllers.served(address);
        self.taken = None;
        tracing::info!(epoch = opened.epoch, controller = %address, "registered");
        self.state.send_modify(|state| state.epoch = Some(BrokerEpoch(opened.epoch)));

        let silence = Duration::from_millis(u64::from(opened.session_timeout_ms));
        let mut fence_at = Instant::now() + silence;
        let mut sent = SentHeartbeats::default();
        let mut heartbeats =
            tokio::time::interval(Duration::from_millis(u64::from(opened.heartbeat_interval_ms.max(1))));
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut offsets = self.metadata.offsets();
        let mut notice_given = false;
        // What others wait for this broker to know.
        let mut to_report: Option<MetadataOffset> = None;
        loop {
            // While fenced, every step towards being unfenced is told at once rather than at the next interval: what
            // has arrived here (the registration, then the end of the fence) and that the logs are open.
            let fenced = self.state.borrow().fenced;
            let reached = async {
                match to_report {
                    _ if fenced => offsets.changed().await.is_ok(),
                    Some(offset) => offsets.wait_for(|have| *have >= offset).await.is_ok(),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                told = inbox.message() => match told {
                    Ok(Some(SessionResponse { kind: Some(Told::HeartbeatAck(ack)) })) => {
                        if let Some(sent_at) = sent.answered(ack.number) {
                            fence_at = sent_at + silence;
                            self.lease.renew(fence_at.into_std());
                        }
                        self.set_fenced(ack.fenced);
                        continue;
                    }
                    Ok(Some(SessionResponse { kind: Some(Told::Report(report)) })) => {
                        to_report = Some(MetadataOffset(report.offset));
                        continue;
                    }
                    Ok(Some(SessionResponse { kind: Some(Told::Stopped(stopped)) })) => {
                        self.set_fenced(true);
                        self.stopped.send_replace(Some(MetadataOffset(stopped.offset)));
                        return Ok(Ended::ForGood);
                    }
                    Ok(Some(_)) => continue,
                    Ok(None) | Err(_) => return Ok(Ended::Broken),
                },
                _ = heartbeats.tick() => {}
                reached = reached => {
                    if !reached {
                        return Ok(Ended::ForGood);
                    }
                    to_report = to_report.filter(|offset| *offset > self.metadata.image().offset());
                }
                changed = self.wishes.changed() => if changed.is_err() { return Ok(Ended::ForGood); },
                () = tokio::time::sleep_until(fence_at), if !fenced => {
                    tracing::warn!("heard nothing from the controller for the session timeout; assuming to be fenced");
                    self.set_fenced(true);
                    continue;
                }
            }
            let wishes = *self.wishes.borrow();
            if wishes.stop && !notice_given {
                notice_given = send(Ask::ShutdownNotice(ShutdownNotice {}));
            }
            let applied_offset = self.metadata.image().offset().0;
            let number = sent.next(Instant::now());
            send(Ask::Heartbeat(Heartbeat { applied_offset, ready: wishes.ready, number }));
        }
    }

    fn set_fenced(&self, fenced: bool) {
        if fenced {
            self.lease.end();
        }
        self.state.send_if_modified(|state| std::mem::replace(&mut state.fenced, fenced) != fenced);
    }
}

/// When the heartbeats of a stream were sent that have not been answered yet.
#[derive(Debug, Default)]
struct SentHeartbeats {
    last: u64,
    sent: VecDeque<(u64, Instant)>,
}

impl SentHeartbeats {
    /// A heartbeat is being sent; gives its number, from 1 on.
    fn next(&mut self, now: Instant) -> u64 {
        self.last += 1;
        if self.sent.len() == UNANSWERED {
            self.sent.pop_front();
        }
        self.sent.push_back((self.last, now));
        self.last
    }

    /// The heartbeat `number` has renewed the session: when it was sent, if it was not answered before.
    fn answered(&mut self, number: u64) -> Option<Instant> {
        let mut found = None;
        while let Some((first, at)) = self.sent.front().copied()
            && first <= number
        {
            self.sent.pop_front();
            found = (first == number).then_some(at);
        }
        found
    }
}

async fn opened(inbox: &mut Streaming<SessionResponse>) -> Result<SessionOpened, Status> {
    match inbox.message().await? {
        Some(SessionResponse { kind: Some(Told::Opened(opened)) }) => Ok(opened),
        Some(_) => Err(Status::internal("the first answer of a session is not the registration's")),
        None => Err(Status::unavailable("the session ended before it began")),
    }
}
