//! A process's session with the active controller: registration, heartbeats, notice of a clean shutdown. What is the same for
//! brokers and coordinators.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use levada_proto::internal::session_request::Kind as Ask;
use levada_proto::internal::session_response::Kind as Told;
use levada_proto::internal::{Heartbeat, SessionResponse, ShutdownNotice};
use levada_proto::status::error_of;
use levada_service::net::Address;
use levada_types::{BrokerEpoch, CoordinatorEpoch, ErrorCode, MetadataOffset};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tonic::Status;

use crate::backoff::Backoff;
use crate::outcome::Outcome;
use crate::session_stream::{Registrar, Registration, SessionStream, send};
use crate::{Controllers, Lease, MetadataWatch, RegistrationError, SessionState};

/// Heartbeats without an answer that are remembered. An answer to an older one would come too late anyway.
const UNANSWERED: usize = 64;

/// How long a broker waits for its number while another process has it; then it gives up. Kafka's default of
/// `initial.broker.registration.timeout.ms`, and several times what a session lasts that nobody keeps any more.
const TAKEN_LIMIT: Duration = Duration::from_secs(60);

/// The time between two lines in the log about that.
const TAKEN_LINE_PAUSE: Duration = Duration::from_secs(5);

/// The epoch that a registration gives.
pub(crate) trait Epoch: Copy + PartialEq + Send + Sync + 'static {
    fn of(number: i64) -> Self;
}

impl Epoch for BrokerEpoch {
    fn of(number: i64) -> Self {
        Self(number)
    }
}

impl Epoch for CoordinatorEpoch {
    fn of(number: i64) -> Self {
        Self(number)
    }
}

/// Keeps one process registered. Dropping it ends the session without notice, as a crash would.
#[derive(Debug)]
pub(crate) struct MemberSession<E> {
    wishes: watch::Sender<Wishes>,
    state: watch::Receiver<SessionState<E>>,
    lease: Arc<Lease>,
    /// Where in the metadata what it held is moved, once it is.
    stopped: watch::Receiver<Option<MetadataOffset>>,
    task: JoinHandle<()>,
}

/// What the process wants its controller to know.
#[derive(Debug, Clone, Copy, Default)]
struct Wishes {
    ready: bool,
    stop: bool,
}

impl<E: Epoch> MemberSession<E> {
    /// Opens a session with the active one of `controllers` and keeps it open, across broken streams, silent controllers and
    /// changes of the controller, until [`MemberSession::stop`] or drop. Heartbeats report how far `metadata` has come;
    /// `newest` is what is known of the cluster, acted upon or not yet.
    pub(crate) fn open(
        controllers: Controllers,
        registration: Registration,
        metadata: MetadataWatch,
        newest: MetadataWatch,
    ) -> Self {
        let (wishes, heard) = watch::channel(Wishes::default());
        let (told, state) = watch::channel(SessionState { epoch: None, fenced: true, refused: None });
        let (stopping, stopped) = watch::channel(None);
        let lease = Arc::new(Lease::new());
        let keeper = Keeper {
            registrar: Registrar { controllers: controllers.clone(), registration, newest },
            controllers,
            metadata,
            wishes: heard,
            state: told,
            lease: Arc::clone(&lease),
            stopped: stopping,
            taken: None,
        };
        Self { wishes, state, lease, stopped, task: tokio::spawn(keeper.keep()) }
    }

    /// The state of the session and its changes.
    pub(crate) fn state(&self) -> watch::Receiver<SessionState<E>> {
        self.state.clone()
    }

    /// How long the process may act on what it holds.
    pub(crate) fn lease(&self) -> Arc<Lease> {
        Arc::clone(&self.lease)
    }

    /// The epoch of the registration, once there is one.
    pub(crate) async fn registered(&self) -> Result<E, RegistrationError> {
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

    /// Resolves when the controller counts the process among the living.
    pub(crate) async fn unfenced(&self) {
        let _ = self.state.clone().wait_for(|state| state.epoch.is_some() && !state.fenced).await;
    }

    /// Tells the controller that the process is ready to lead.
    pub(crate) fn set_ready(&self) {
        self.wishes.send_modify(|wishes| wishes.ready = true);
    }

    /// Gives notice of a clean shutdown and waits for at most `timeout` until everything is moved and the others know it.
    /// Gives the metadata offset at which it is, if it is; either way the session is over.
    pub(crate) async fn stop(self, timeout: Duration) -> Option<MetadataOffset> {
        self.wishes.send_modify(|wishes| wishes.stop = true);
        let mut stopped = self.stopped.clone();
        let told = tokio::time::timeout(timeout, stopped.wait_for(Option::is_some)).await;
        told.ok()?.ok().and_then(|at| *at)
    }
}

impl<E> Drop for MemberSession<E> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Keeper<E> {
    controllers: Controllers,
    registrar: Registrar,
    metadata: MetadataWatch,
    wishes: watch::Receiver<Wishes>,
    state: watch::Sender<SessionState<E>>,
    lease: Arc<Lease>,
    stopped: watch::Sender<Option<MetadataOffset>>,
    /// Since when another process has had this one's number, and whether that was told lately.
    taken: Option<Taken>,
}

/// Another process has this one's number.
struct Taken {
    since: Instant,
    told: Instant,
}

/// How a stream ended.
enum Ended {
    /// Another one is to be tried.
    Broken,
    /// Its controller is silent, and another one is active.
    Moved(Box<SessionStream>),
    /// The process may stop, or was refused.
    ForGood,
}

impl<E: Epoch> Keeper<E> {
    async fn keep(mut self) {
        let mut backoff = Backoff::new();
        let mut moved = None;
        loop {
            let stream = match moved.take() {
                Some(stream) => Ok(stream),
                None => {
                    let Some(address) = self.controllers.next() else {
                        let message = "no controller is configured".to_owned();
                        self.refuse(RegistrationError { code: ErrorCode::InvalidConfig, message });
                        return;
                    };
                    let opened = self.registrar.open_soon(&address).await;
                    if let Some(found) = opened.as_ref().ok().filter(|found| found.address != address) {
                        self.controllers.replaced(&address, &found.address);
                    }
                    opened.map_err(|status| (address, status))
                }
            };
            match stream {
                Ok(stream) => match self.session_on(stream).await {
                    Ended::ForGood => return,
                    Ended::Moved(stream) => {
                        moved = Some(*stream);
                        continue;
                    }
                    Ended::Broken => backoff = Backoff::new(),
                },
                Err((address, status)) => {
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
                // Another live process under this broker's number: it may be the one whose place this one takes, and is
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
        tracing::error!(%refused, "this process cannot join the cluster");
        self.state.send_modify(|state| state.refused = Some(refused));
    }

    async fn session_on(&mut self, stream: SessionStream) -> Ended {
        let SessionStream { address, outbox, mut inbox, opened } = stream;
        self.controllers.served(&address);
        self.taken = None;
        tracing::info!(epoch = opened.epoch, controller = %address, "registered");
        let epoch = E::of(opened.epoch);
        if self.state.borrow().epoch.is_some_and(|former| former != epoch) {
            // It was counted out meanwhile, and what it held under its former epoch is others'.
            self.set_fenced(true);
        }
        self.state.send_modify(|state| state.epoch = Some(epoch));

        let silence = Duration::from_millis(u64::from(opened.session_timeout_ms));
        let mut fence_at = Instant::now() + silence;
        let mut sent = SentHeartbeats::default();
        let interval = Duration::from_millis(u64::from(opened.heartbeat_interval_ms.max(1)));
        let mut heartbeats = tokio::time::interval(interval);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut offsets = self.metadata.offsets();
        let mut notice_given = false;
        // What others wait for this process to know.
        let mut to_report: Option<MetadataOffset> = None;
        // A controller that is stopped or cut off neither answers nor ends its streams, and the one that takes its place
        // soon misses this process.
        let mut answer_due: Option<Instant> = None;
        let (silent, is_silent) = watch::channel(false);
        let elsewhere = self.registrar.clone().open_elsewhere(address.clone(), is_silent);
        let mut elsewhere = std::pin::pin!(elsewhere);
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
                        answer_due = None;
                        silent.send_replace(false);
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
                        return Ended::ForGood;
                    }
                    Ok(Some(_)) => continue,
                    Ok(None) | Err(_) => return Ended::Broken,
                },
                _ = heartbeats.tick() => {}
                reached = reached => {
                    if !reached {
                        return Ended::ForGood;
                    }
                    to_report = to_report.filter(|offset| *offset > self.metadata.image().offset());
                }
                changed = self.wishes.changed() => if changed.is_err() { return Ended::ForGood; },
                () = tokio::time::sleep_until(answer_due.unwrap_or(fence_at)), if answer_due.is_some() => {
                    tracing::debug!(controller = %address, "the controller does not answer; asking the others");
                    answer_due = None;
                    silent.send_replace(true);
                    continue;
                }
                found = &mut elsewhere => {
                    tracing::info!(silent = %address, active = %found.address, "another controller is active");
                    self.controllers.replaced(&address, &found.address);
                    return Ended::Moved(Box::new(found));
                }
                () = tokio::time::sleep_until(fence_at), if !fenced => {
                    tracing::warn!("heard nothing from the controller for the session timeout; assuming to be fenced");
                    self.set_fenced(true);
                    continue;
                }
            }
            let wishes = *self.wishes.borrow();
            if wishes.stop && !notice_given {
                notice_given = send(&outbox, Ask::ShutdownNotice(ShutdownNotice {}));
            }
            let applied_offset = self.metadata.image().offset().0;
            let now = Instant::now();
            let number = sent.next(now);
            if !*silent.borrow() {
                answer_due.get_or_insert(now + interval);
            }
            send(&outbox, Ask::Heartbeat(Heartbeat { applied_offset, ready: wishes.ready, number }));
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
