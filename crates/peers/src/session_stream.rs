//! Opening session streams: with one controller, or with whichever else is active when that one is silent.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use levada_proto::internal::session_request::Kind as Ask;
use levada_proto::internal::session_response::Kind as Told;
use levada_proto::internal::{RegisterBroker, RegisterCoordinator, SessionOpened, SessionRequest, SessionResponse};
use levada_service::net::Address;
use levada_types::BrokerId;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::backoff::Backoff;
use crate::{Controllers, MetadataWatch};

/// Messages that may wait to be sent. Heartbeats carry state, not history, so one that finds no room is left out.
const OUTBOX: usize = 4;

/// How long the controller may take to answer a registration before another one is tried.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long one controller may take to answer a registration before the others are asked beside it. Many times what an
/// answer takes, and a small part of the 1.5 s after which a new active controller misses a process.
const ASKED_ALONE: Duration = Duration::from_millis(250);

/// A stream on which the process is registered.
pub(crate) struct SessionStream {
    /// The controller at its other end.
    pub(crate) address: Address,
    pub(crate) outbox: mpsc::Sender<SessionRequest>,
    pub(crate) inbox: Streaming<SessionResponse>,
    /// What the controller said to the registration.
    pub(crate) opened: SessionOpened,
}

/// Who registers.
#[derive(Debug, Clone)]
pub(crate) enum Registration {
    Broker(RegisterBroker),
    Coordinator(RegisterCoordinator),
}

impl Registration {
    /// The first message of a stream, by what is known of the cluster now.
    fn ask(&self, newest: &MetadataWatch) -> Ask {
        match self {
            Self::Broker(register) => {
                let known = newest.image().broker(BrokerId(register.id)).map(|known| known.epoch.0);
                Ask::Register(RegisterBroker { replaces: known, ..register.clone() })
            }
            Self::Coordinator(register) => Ask::RegisterCoordinator(register.clone()),
        }
    }
}

/// Registers one broker or coordinator.
#[derive(Debug, Clone)]
pub(crate) struct Registrar {
    pub(crate) controllers: Controllers,
    pub(crate) registration: Registration,
    /// What is known of the cluster.
    pub(crate) newest: MetadataWatch,
}

impl Registrar {
    /// Registers with the controller at `address`.
    pub(crate) async fn open(&self, address: &Address) -> Result<SessionStream, Status> {
        let (outbox, messages) = mpsc::channel(OUTBOX);
        send(&outbox, self.registration.ask(&self.newest));
        let mut stub = self.controllers.stub(address);
        let opening = async {
            let mut inbox = stub.session(ReceiverStream::new(messages)).await?.into_inner();
            let opened = opened(&mut inbox).await?;
            Ok(SessionStream { address: address.clone(), outbox, inbox, opened })
        };
        let timed = tokio::time::timeout(OPEN_TIMEOUT, opening).await;
        timed.unwrap_or_else(|_| Err(Status::unavailable("the registration was not answered")))
    }

    /// Registers with the controller at `address` or, should that not answer soon, with whichever controller is the first to
    /// take the registration: an address that swallows what it is sent must not hold a process until it is missed elsewhere.
    ///
    /// # Errors
    /// What the one at `address` says, if no other has taken the registration by then.
    pub(crate) async fn open_soon(&self, address: &Address) -> Result<SessionStream, Status> {
        let (late, is_late) = watch::channel(false);
        let mut here = std::pin::pin!(self.open(address));
        let mut elsewhere = std::pin::pin!(self.clone().open_elsewhere(address.clone(), is_late));
        if let Ok(opened) = tokio::time::timeout(ASKED_ALONE, &mut here).await {
            return opened;
        }
        tracing::debug!(controller = %address, "the controller does not answer; asking the others too");
        late.send_replace(true);
        tokio::select! {
            opened = here => match opened {
                Ok(stream) => Ok(stream),
                // Another one may have taken it and be about to say so.
                Err(status) => tokio::time::timeout(ASKED_ALONE, elsewhere).await.map_err(|_| status),
            },
            found = &mut elsewhere => Ok(found),
        }
    }

    /// Registers with another controller than the one at `than`, once there is another active one: asks all
    /// others at once, and again, while `silent` holds. Only the active controller takes a registration, so asking does
    /// the present session no harm. Never resolves if there is nobody else to ask.
    ///
    /// One that answers just as the silent one speaks again still counts: it has the session now.
    pub(crate) async fn open_elsewhere(self, than: Address, mut silent: watch::Receiver<bool>) -> SessionStream {
        if silent.wait_for(|silent| *silent).await.is_ok() {
            let others = self.controllers.others(&than, &self.newest.image());
            let mut asked: FuturesUnordered<_> =
                others.iter().map(|address| self.open_while(address, silent.clone())).collect();
            while let Some(answer) = asked.next().await {
                if let Some(stream) = answer {
                    return stream;
                }
            }
        }
        std::future::pending().await
    }

    /// Asks the controller at `address` again and again while `silent` holds. `None` if nobody says any more whether it
    /// does.
    async fn open_while(&self, address: &Address, mut silent: watch::Receiver<bool>) -> Option<SessionStream> {
        let mut backoff = Backoff::new();
        while silent.wait_for(|silent| *silent).await.is_ok() {
            match self.open(address).await {
                Ok(stream) => return Some(stream),
                Err(status) => tracing::debug!(controller = %address, reason = status.message(), "no session here"),
            }
            tokio::time::sleep(backoff.pause()).await;
        }
        None
    }
}

/// Says whether there was room for the message.
pub(crate) fn send(outbox: &mpsc::Sender<SessionRequest>, kind: Ask) -> bool {
    outbox.try_send(SessionRequest { kind: Some(kind) }).is_ok()
}

async fn opened(inbox: &mut Streaming<SessionResponse>) -> Result<SessionOpened, Status> {
    match inbox.message().await? {
        Some(SessionResponse { kind: Some(Told::Opened(opened)) }) => Ok(opened),
        Some(_) => Err(Status::internal("the first answer of a session is not the registration's")),
        None => Err(Status::unavailable("the session ended before it began")),
    }
}
