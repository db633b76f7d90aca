//! One session stream: registration, heartbeats, notice of a clean shutdown.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use levada_metadata::{Command, NewBroker, Response};
use levada_proto::internal as pb;
use levada_proto::internal::session_request::Kind as Ask;
use levada_proto::internal::session_response::Kind as Tell;
use levada_proto::status::status_of;
use levada_service::grpc::unreadable;
use levada_types::{BrokerEpoch, BrokerId, ErrorCode, MetadataOffset};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::keeper::OpenStream;
use crate::refusal;
use crate::service::Context;

/// How long a broker has to say who it is.
const REGISTER_TIMEOUT: Duration = Duration::from_secs(10);

/// The other end of the stream.
pub(crate) type Outbox = mpsc::Sender<Result<pb::SessionResponse, Status>>;

/// Serves one stream to its end. An error is the stream's last word.
pub(crate) async fn serve(
    context: Context,
    mut inbox: Streaming<pb::SessionRequest>,
    outbox: Outbox,
    shutdown: CancellationToken,
) {
    let served = async {
        let first = tokio::time::timeout(REGISTER_TIMEOUT, inbox.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("a session begins with a registration"))?;
        let first = first.map_err(unreadable)?;
        let Some(Ask::Register(new)) = first.and_then(|message| message.kind) else {
            return Err(Status::invalid_argument("a session begins with a registration"));
        };
        let session = register(&context, new, &outbox).await?;
        let ended = session.stream.ended.clone();
        let result = tokio::select! {
            result = session.keep(&mut inbox) => result,
            () = ended.cancelled() => Err(session.why_ended()),
            () = shutdown.cancelled() => Err(Status::unavailable("this controller is shutting down")),
        };
        context.sessions.broken(session.broker, session.epoch, session.stream.id);
        result
    };
    if let Err(status) = served.await {
        // The broker may be the one that has gone.
        let _ = outbox.send(Err(status)).await;
    }
}

struct Session<'a> {
    context: &'a Context,
    outbox: &'a Outbox,
    broker: BrokerId,
    epoch: BrokerEpoch,
    stream: OpenStream,
    /// The newest heartbeat that renewed the session.
    renewed_by: AtomicU64,
}

async fn register<'a>(
    context: &'a Context,
    new: pb::RegisterBroker,
    outbox: &'a Outbox,
) -> Result<Session<'a>, Status> {
    let new = NewBroker::try_from(new).map_err(|error| refusal::malformed(&error))?;
    let (broker, incarnation) = (new.id, new.incarnation);
    if !context.active.is_active() {
        return Err(refusal::not_active(&context.active));
    }
    if context.sessions.is_taken(broker, incarnation) {
        let message = format!("another process is here as broker {broker}; stop it, or give this one another node.id");
        return Err(status_of(ErrorCode::DuplicateBrokerRegistration, message));
    }
    let submitted = context.active.submit(Command::RegisterBroker(new)).await;
    let (response, offset) = submitted.map_err(|error| refusal::of_submit(error, &context.active))?;
    let Response::RegisterBroker(result) = response else {
        return Err(Status::internal("a registration was answered with something else"));
    };
    let epoch = result.map_err(|error| status_of(error.code, error.message))?;
    let opened = context.sessions.open(broker, (incarnation, epoch), offset);
    let stream = opened.ok_or_else(|| refusal::not_active(&context.active))?;
    let session = Session { context, outbox, broker, epoch, stream, renewed_by: AtomicU64::new(0) };
    session
        .tell(Tell::Opened(pb::SessionOpened {
            epoch: epoch.0,
            offset: offset.0,
            heartbeat_interval_ms: context.heartbeat_interval_ms,
            session_timeout_ms: context.session_timeout_ms,
        }))
        .await?;
    Ok(session)
}

impl Session<'_> {
    async fn keep(&self, inbox: &mut Streaming<pb::SessionRequest>) -> Result<(), Status> {
        let mut report = self.stream.report.clone();
        loop {
            let message = tokio::select! {
                message = inbox.message() => message.map_err(unreadable)?,
                Ok(()) = report.changed() => {
                    let offset = report.borrow_and_update().0;
                    self.tell(Tell::Report(pb::Report { offset })).await?;
                    continue;
                }
            };
            let Some(message) = message else { return Ok(()) };
            match message.kind {
                Some(Ask::Heartbeat(heartbeat)) => self.heartbeat(heartbeat).await?,
                Some(Ask::ShutdownNotice(pb::ShutdownNotice {})) => return self.stop().await,
                Some(Ask::Register(_)) => return Err(Status::invalid_argument("a session has one registration")),
                None => return Err(Status::invalid_argument("a session message of an unknown kind")),
            }
        }
    }

    async fn heartbeat(&self, heartbeat: pb::Heartbeat) -> Result<(), Status> {
        // A deposed leader that does not know it yet must not keep a broker alive that the new one may have fenced.
        if !self.context.raft.is_confirmed_leader().await {
            return Ok(());
        }
        let said = (MetadataOffset(heartbeat.applied_offset), heartbeat.ready);
        let heard = self.context.sessions.heard(self.broker, self.stream.id, said).ok_or_else(|| self.why_ended())?;
        if heard.renewed {
            self.renewed_by.store(heartbeat.number, Ordering::Relaxed);
        }
        if heard.may_lead && self.is_fenced() {
            let command = Command::UnfenceBroker { id: self.broker, epoch: self.epoch };
            let submitted = self.context.active.submit(command).await;
            match submitted.map_err(|error| refusal::of_submit(error, &self.context.active))? {
                (Response::UnfenceBroker(Err(error)), _) => return Err(status_of(error.code, error.message)),
                _ => tracing::info!(broker = %self.broker, epoch = %self.epoch, "a broker may lead"),
            }
        }
        let committed_offset = self.context.feed.image().offset().0;
        let number = self.renewed_by.load(Ordering::Relaxed);
        self.tell(Tell::HeartbeatAck(pb::HeartbeatAck { committed_offset, fenced: self.is_fenced(), number })).await
    }

    /// Takes everything out of the broker's hands, some at a time, and waits until those that it goes to know it.
    async fn stop(&self) -> Result<(), Status> {
        let offset = loop {
            let command = Command::StopBroker { id: self.broker, epoch: self.epoch };
            let submitted = self.context.active.submit(command).await;
            let (response, offset) = submitted.map_err(|error| refusal::of_submit(error, &self.context.active))?;
            match response {
                Response::StopBroker(Ok(0)) => break offset,
                Response::StopBroker(Err(error)) => return Err(status_of(error.code, error.message)),
                _ => {}
            }
        };
        self.context.sessions.close(self.broker, self.stream.id);
        self.context.sessions.spread(offset).await;
        tracing::info!(broker = %self.broker, epoch = %self.epoch, "a broker stops in good order");
        self.tell(Tell::Stopped(pb::Stopped { offset: offset.0 })).await
    }

    fn is_fenced(&self) -> bool {
        let image = self.context.feed.image();
        image.broker(self.broker).is_none_or(|broker| broker.epoch != self.epoch || broker.fenced)
    }

    async fn tell(&self, kind: Tell) -> Result<(), Status> {
        let told = self.outbox.send(Ok(pb::SessionResponse { kind: Some(kind) })).await;
        told.map_err(|_| Status::cancelled("the broker has gone"))
    }

    fn why_ended(&self) -> Status {
        if self.context.active.is_active() {
            Status::deadline_exceeded("this session is over: the broker was silent for too long or has another stream")
        } else {
            refusal::not_active(&self.context.active)
        }
    }
}
