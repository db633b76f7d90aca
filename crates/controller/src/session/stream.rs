//! One session stream: registration, heartbeats, notice of a clean shutdown.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use levada_metadata::{Command, NewBroker, NewCoordinator, Response};
use levada_proto::internal as pb;
use levada_proto::internal::session_request::Kind as Ask;
use levada_proto::internal::session_response::Kind as Tell;
use levada_proto::status::status_of;
use levada_service::grpc::unreadable;
use levada_types::{BrokerEpoch, BrokerId, ErrorCode, MetadataOffset};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use uuid::Uuid;

use super::keeper::OpenStream;
use super::member::{Epoch, Member};
use crate::refusal;
use crate::service::Context;

/// How long a node has to say who it is.
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
        let registration = Registration::read(first.and_then(|message| message.kind))?;
        let session = register(&context, registration, &outbox).await?;
        let ended = session.stream.ended.clone();
        let result = tokio::select! {
            result = session.keep(&mut inbox) => result,
            () = ended.cancelled() => Err(session.why_ended()),
            () = shutdown.cancelled() => Err(Status::unavailable("this controller is shutting down")),
        };
        context.sessions.broken(session.member, session.epoch, session.stream.id);
        result
    };
    if let Err(status) = served.await {
        // The other side may be the one that has gone.
        let _ = outbox.send(Err(status)).await;
    }
}

struct Session<'a> {
    context: &'a Context,
    outbox: &'a Outbox,
    member: Member,
    epoch: Epoch,
    stream: OpenStream,
    /// The newest heartbeat that renewed the session.
    renewed_by: AtomicU64,
}

/// The first message of a session, read.
struct Registration {
    member: Member,
    incarnation: Uuid,
    command: Command,
}

impl Registration {
    fn read(first: Option<Ask>) -> Result<Self, Status> {
        match first {
            Some(Ask::Register(new)) => {
                let new = NewBroker::try_from(new).map_err(|error| refusal::malformed(&error))?;
                let (member, incarnation) = (Member::Broker(new.id), new.incarnation);
                Ok(Self { member, incarnation, command: Command::RegisterBroker(new) })
            }
            Some(Ask::RegisterCoordinator(new)) => {
                let new = NewCoordinator::try_from(new).map_err(|error| refusal::malformed(&error))?;
                let (member, incarnation) = (Member::Coordinator(new.kind, new.incarnation), new.incarnation);
                Ok(Self { member, incarnation, command: Command::RegisterCoordinator(new) })
            }
            _ => Err(Status::invalid_argument("a session begins with a registration")),
        }
    }

    /// Whether another process is here, on an open stream, whose place this one would take; says which. It keeps the place
    /// until it falls silent: two that claim one would throw each other out for ever.
    fn rival(&self, context: &Context) -> Option<String> {
        match &self.command {
            Command::RegisterCoordinator(new) => {
                let image = context.feed.image();
                let is_here = |other: &Member| context.sessions.is_here(*other);
                let at_address = image.coordinators(new.kind).filter(|c| c.internal_address == new.internal_address);
                let mut rivals = at_address.map(|c| Member::Coordinator(c.kind, c.incarnation));
                let rival = rivals.find(|other| *other != self.member && is_here(other))?;
                let address = &new.internal_address;
                Some(format!("{rival} is here at {address} too; stop it, or give this one an address of its own"))
            }
            _ if context.sessions.is_taken(self.member, self.incarnation) => {
                let member = self.member;
                Some(format!("another process is here as {member}; stop it, or give this one another node.id"))
            }
            _ => None,
        }
    }
}

async fn register<'a>(
    context: &'a Context,
    registration: Registration,
    outbox: &'a Outbox,
) -> Result<Session<'a>, Status> {
    if !context.active.is_active() {
        return Err(refusal::not_active(&context.active));
    }
    if let Some(message) = registration.rival(context) {
        return Err(status_of(ErrorCode::DuplicateBrokerRegistration, message));
    }
    let Registration { member, incarnation, command } = registration;
    let submitted = context.active.submit(command).await;
    let (response, offset) = submitted.map_err(|error| refusal::of_submit(error, &context.active))?;
    let result = match response {
        Response::RegisterBroker(result) => result.map(|epoch| Epoch(epoch.0)),
        Response::RegisterCoordinator(result) => result.map(|epoch| Epoch(epoch.0)),
        _ => return Err(Status::internal("a registration was answered with something else")),
    };
    let epoch = result.map_err(|error| status_of(error.code, error.message))?;
    let opened = context.sessions.open(member, (incarnation, epoch), offset);
    let stream = opened.ok_or_else(|| refusal::not_active(&context.active))?;
    let session = Session { context, outbox, member, epoch, stream, renewed_by: AtomicU64::new(0) };
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
                Some(Ask::Register(_) | Ask::RegisterCoordinator(_)) => {
                    return Err(Status::invalid_argument("a session has one registration"));
                }
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
        let heard = self.context.sessions.heard(self.member, self.stream.id, said).ok_or_else(|| self.why_ended())?;
        if heard.renewed {
            self.renewed_by.store(heartbeat.number, Ordering::Relaxed);
        }
        match self.member {
            Member::Broker(id) if heard.may_lead && self.is_out() => self.unfence(id).await?,
            // Somebody has removed it; when it registers again it is another one.
            Member::Coordinator(..) if self.is_out() => return Err(self.why_ended()),
            _ => {}
        }
        let committed_offset = self.context.feed.image().offset().0;
        let number = self.renewed_by.load(Ordering::Relaxed);
        self.tell(Tell::HeartbeatAck(pb::HeartbeatAck { committed_offset, fenced: self.is_out(), number })).await
    }

    async fn unfence(&self, id: BrokerId) -> Result<(), Status> {
        let command = Command::UnfenceBroker { id, epoch: BrokerEpoch(self.epoch.0) };
        let submitted = self.context.active.submit(command).await;
        match submitted.map_err(|error| refusal::of_submit(error, &self.context.active))? {
            (Response::UnfenceBroker(Err(error)), _) => Err(status_of(error.code, error.message)),
            _ => {
                tracing::info!(broker = %id, epoch = %self.epoch, "a broker may lead");
                Ok(())
            }
        }
    }

    /// Takes everything out of the member's hands, some at a time, and waits until those that it goes to know it.
    async fn stop(&self) -> Result<(), Status> {
        let offset = loop {
            let submitted = self.context.active.submit(self.member.stop(self.epoch)).await;
            let (response, offset) = submitted.map_err(|error| refusal::of_submit(error, &self.context.active))?;
            match response {
                Response::StopBroker(Ok(0)) | Response::RemoveCoordinator(Ok(())) => break offset,
                Response::StopBroker(Err(error)) | Response::RemoveCoordinator(Err(error)) => {
                    return Err(status_of(error.code, error.message));
                }
                _ => {}
            }
        };
        self.context.sessions.close(self.member, self.stream.id);
        self.context.sessions.spread(offset).await;
        tracing::info!(member = %self.member, epoch = %self.epoch, "a node stops in good order");
        self.tell(Tell::Stopped(pb::Stopped { offset: offset.0 })).await
    }

    fn is_out(&self) -> bool {
        self.member.is_out(self.epoch, &self.context.feed.image())
    }

    async fn tell(&self, kind: Tell) -> Result<(), Status> {
        let told = self.outbox.send(Ok(pb::SessionResponse { kind: Some(kind) })).await;
        told.map_err(|_| Status::cancelled("the other side has gone"))
    }

    fn why_ended(&self) -> Status {
        if self.context.active.is_active() {
            Status::deadline_exceeded(
                "this session is over: nothing was heard on it for too long, or there is another one",
            )
        } else {
            refusal::not_active(&self.context.active)
        }
    }
}
