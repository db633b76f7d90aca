//! Asks the coordinators of groups.

mod error;
mod fan_out;
mod line;
mod repeatable;
mod route;
mod stream;
mod turns;

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use levada_groups::api::{Request, Response};
use levada_metadata::{Command, Coordinator, CoordinatorKind, Image};
use levada_proto::internal as pb;
use levada_service::grpc::Profile;
use levada_service::net::{Address, Network};
use levada_types::{CoordinatorEpoch, ErrorCode, PartitionIndex};
use prost::Message;
use tokio::time::Instant;

pub use error::GroupClientError;
use line::Line;
use repeatable::is_repeatable;
use route::{Place, Route};
use stream::Lost;
use turns::Turns;

use crate::backoff::Backoff;
use crate::parcels::MAX_GROUP_MESSAGE_BYTES;
use crate::{ControllerClient, MetadataWatch};

/// How long a request waits for a coordinator that takes it, as long as nothing has been done. Less than clients wait for an
/// answer by default (30 s, and members are thrown out after 10 s in the oldest of them), and more than a takeover lasts.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a coordinator that does not own the shard any more may still take to say so.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// How long one of those who wait for a shard has the attempt to itself.
const TURN: Duration = Duration::from_millis(100);

/// Asks the coordinator that a group belongs to. Clones share connections, and what they learn of shards.
#[derive(Clone)]
pub struct GroupClient {
    shared: Arc<Shared>,
}

struct Shared {
    network: Network,
    metadata: MetadataWatch,
    controller: ControllerClient,
    /// The command that creates the shards.
    creation: Box<dyn Fn(&Image) -> Command + Send + Sync>,
    /// Held by the one who has the shards created.
    creating: tokio::sync::Mutex<()>,
    /// The ways to the coordinators, by their registrations.
    lines: Mutex<HashMap<CoordinatorEpoch, Arc<Line>>>,
    turns: Turns,
}

impl fmt::Debug for GroupClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupClient").finish_non_exhaustive()
    }
}

/// What came of one attempt.
enum Attempt {
    Answered(Response),
    /// Nothing was done.
    NotDone(Failure),
    /// It may have been done, or may still be.
    Unknown(Failure),
    /// It makes no sense to try again.
    Refused(String),
}

/// Why there is no answer.
struct Failure {
    code: ErrorCode,
    reason: String,
}

impl Failure {
    fn new(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    fn unavailable(reason: impl Into<String>) -> Self {
        Self::new(ErrorCode::CoordinatorNotAvailable, reason)
    }
}

impl GroupClient {
    /// A client that finds coordinators in `metadata` and dials them over `network`. Where there are no shards yet, it has
    /// them created through `controller` by what `creation` makes of the image.
    #[must_use]
    pub fn new(
        network: Network,
        metadata: MetadataWatch,
        controller: ControllerClient,
        creation: impl Fn(&Image) -> Command + Send + Sync + 'static,
    ) -> Self {
        let (creation, creating, lines, turns) =
            (Box::new(creation), Default::default(), Mutex::default(), Turns::default());
        Self { shared: Arc::new(Shared { network, metadata, controller, creation, creating, lines, turns }) }
    }

    /// Asks the group that `request` names, within `timeout`.
    ///
    /// While its shard changes hands or is loaded, this waits up to 5 s for a coordinator that takes the request, and
    /// repeats what certainly was not done and what is the same when it is done twice.
    ///
    /// # Errors
    /// [`GroupClientError`], with the code that clients try again on wherever it makes sense. A request to a whole shard is
    /// refused: see [`GroupClient::list`].
    pub async fn handle(&self, request: Request, timeout: Duration) -> Result<Response, GroupClientError> {
        let Some(group) = request.group_id().map(ToOwned::to_owned) else {
            return Err(GroupClientError::Refused { reason: "it names no group".to_owned() });
        };
        self.ask(&Place::Group(group), request, timeout).await
    }

    /// Has the shards created if there are none, and waits until the image shows them. They are not created for nobody: there
    /// has to be a coordinator.
    ///
    /// # Errors
    /// [`GroupClientError`] if that did not happen within `timeout`.
    pub async fn ensure_shards(&self, timeout: Duration) -> Result<(), GroupClientError> {
        let deadline = Instant::now() + timeout;
        self.create_shards(deadline).await.map_err(|failure| failure.not_asked(timeout))
    }

    async fn ask(&self, place: &Place, request: Request, timeout: Duration) -> Result<Response, GroupClientError> {
        let started = Instant::now();
        let deadline = started + timeout;
        let repeatable = is_repeatable(&request);
        let mut message = pb::GroupRequest { kind: Some(request.into()), ..pb::GroupRequest::default() };
        let mut patience = deadline.min(started + PATIENCE);
        let mut backoff = Backoff::new();
        let mut turn = None;
        let mut told: Option<Failure> = None;
        loop {
            let begun = Instant::now();
            let image = self.shared.metadata.image();
            let shard = place.shard(&image);
            let attempt = turns::for_a_turn(turn.take(), self.attempt(&image, place, &mut message, deadline)).await;
            let failure = match attempt {
                Attempt::Answered(response) => {
                    self.shared.turns.served(shard);
                    return Ok(response);
                }
                Attempt::Refused(reason) => return Err(GroupClientError::Refused { reason }),
                Attempt::Unknown(failure) if !repeatable => return Err(failure.unknown()),
                Attempt::NotDone(failure) | Attempt::Unknown(failure) => failure,
            };
            // The end of the time tells less than what a coordinator said before.
            let failure = match told.take() {
                Some(earlier) if Instant::now() >= deadline => earlier,
                _ => failure,
            };
            // A member that has waited for others for minutes has not been impatient meanwhile.
            if begun.elapsed() >= PATIENCE {
                patience = deadline.min(Instant::now() + PATIENCE);
            }
            let pause = async {
                tokio::select! {
                    _ = self.shared.metadata.changed(image.offset()) => {}
                    () = tokio::time::sleep(backoff.pause()) => {}
                }
            };
            match self.shared.turns.wait(shard, pause, patience).await {
                Some(next) => (turn, told) = (next, Some(failure)),
                None => return Err(failure.not_asked(started.elapsed())),
            }
        }
    }

    /// One attempt by one image.
    async fn attempt(
        &self,
        image: &Image,
        place: &Place,
        message: &mut pb::GroupRequest,
        deadline: Instant,
    ) -> Attempt {
        let route = match Route::find(image, place) {
            Ok(Some(route)) => route,
            Ok(None) => {
                // In a box, since it is rare and large: every request would carry it along.
                return Attempt::NotDone(match Box::pin(self.create_shards(deadline)).await {
                    Ok(()) => Failure::unavailable("the shards of groups have just been created"),
                    Err(failure) => failure,
                });
            }
            Err(failure) => return Attempt::NotDone(failure),
        };
        let line = match self.line(image, &route.owner) {
            Ok(line) => line,
            Err(failure) => return Attempt::NotDone(failure),
        };
        (message.shard, message.metadata_offset) = (route.shard, image.offset().0);
        let request = Bytes::from(message.encode_to_vec());
        if request.len() > MAX_GROUP_MESSAGE_BYTES {
            return Attempt::Refused(format!("it has more than {MAX_GROUP_MESSAGE_BYTES} bytes"));
        }
        let mut end = pin!(async {
            tokio::select! {
                () = self.moved(&route) => "another coordinator owns the shard now",
                () = tokio::time::sleep_until(deadline) => "no answer within the time",
            }
        });
        let room = tokio::select! {
            biased;
            room = line.room(request.len()) => room,
            reason = &mut end => return Attempt::NotDone(Failure::unavailable(reason)),
        };
        let mut asked = line.ask(image.cluster_id(), &request, room);
        let answer = tokio::select! {
            biased;
            answer = asked.answer() => answer,
            reason = &mut end => Err(asked.given_up(reason)),
        };
        match answer {
            Ok(answer) => read(answer),
            Err(lost) => failed(&route.owner, lost),
        }
    }

    /// Resolves some time after the shard has got another owner.
    async fn moved(&self, route: &Route) {
        let mut offsets = self.shared.metadata.offsets();
        let owns = |image: &Image| {
            let owner = image.shard_owner(CoordinatorKind::Group, route.shard);
            owner.is_some_and(|owner| owner.epoch == route.owner.epoch)
        };
        while owns(&self.shared.metadata.image()) {
            // The sender lives as long as the client.
            if offsets.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        tokio::time::sleep(LAST_WORDS).await;
    }

    async fn create_shards(&self, deadline: Instant) -> Result<(), Failure> {
        let metadata = &self.shared.metadata;
        if metadata.image().shards(CoordinatorKind::Group).is_some() {
            return Ok(());
        }
        let _one_at_a_time = self.shared.creating.lock().await;
        let image = metadata.image();
        if image.shards(CoordinatorKind::Group).is_some() {
            return Ok(());
        }
        if image.coordinators(CoordinatorKind::Group).next().is_none() {
            return Err(Failure::unavailable("the cluster has no coordinator of groups"));
        }
        let left = deadline.saturating_duration_since(Instant::now()).min(PATIENCE);
        let submitted = self.shared.controller.submit(&(self.shared.creation)(&image), left).await;
        let (response, offset) = submitted.map_err(|error| Failure::unavailable(error.to_string()))?;
        if let levada_metadata::Response::CreateShards(Err(error)) = response {
            tracing::warn!(%error, "the shards of groups could not be created");
            return Err(Failure::unavailable(error.to_string()));
        }
        let left = deadline.saturating_duration_since(Instant::now()).min(PATIENCE);
        metadata.wait_for(offset, left).await.map_err(|stale| Failure::unavailable(stale.to_string()))?;
        Ok(())
    }

    /// The way to the owner of a shard.
    fn line(&self, image: &Image, owner: &Coordinator) -> Result<Arc<Line>, Failure> {
        let mut lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lines.get(&owner.epoch) {
            return Ok(Arc::clone(known));
        }
        let (name, address) = (&owner.name, &owner.internal_address);
        let dialed: Address = address.parse().map_err(|_| {
            Failure::unavailable(format!("coordinator {name} is registered at {address}, which is no address"))
        })?;
        // Registrations that are over would gather.
        lines.retain(|&epoch, _| image.coordinator(epoch).is_some());
        let new = Arc::new(Line::new(self.shared.network.dialer(dialed).channel(Profile::Control)));
        lines.insert(owner.epoch, Arc::clone(&new));
        Ok(new)
    }
}

fn read(answer: Bytes) -> Attempt {
    use ErrorCode::{
        CoordinatorLoadInProgress, CoordinatorNotAvailable, InvalidRequest, MessageTooLarge, NotCoordinator,
        UnknownServerError,
    };
    let answer = match pb::GroupResponse::decode(answer) {
        Ok(answer) => Response::try_from(answer).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match answer {
        Ok(Response::Failed(code @ (NotCoordinator | CoordinatorLoadInProgress | CoordinatorNotAvailable))) => {
            Attempt::NotDone(Failure::new(code, code.message()))
        }
        Ok(Response::Failed(InvalidRequest)) => Attempt::Refused("the coordinator cannot read it".to_owned()),
        Ok(Response::Failed(MessageTooLarge)) => {
            Attempt::Refused(format!("the answer has more than {MAX_GROUP_MESSAGE_BYTES} bytes"))
        }
        // It would be too large the next time too.
        Ok(Response::Failed(UnknownServerError)) => {
            Attempt::Refused("what the shard's log would have to take is too large for it".to_owned())
        }
        Ok(Response::Failed(code)) => Attempt::Unknown(Failure::new(code, code.message())),
        Ok(response) => Attempt::Answered(response),
        Err(reason) => Attempt::Refused(reason),
    }
}

fn failed(owner: &Coordinator, lost: Lost) -> Attempt {
    let told = |reason| format!("{}: {reason}", owner.internal_address);
    match lost {
        Lost::NotDone(reason) => Attempt::NotDone(Failure::unavailable(told(reason))),
        Lost::Unknown(reason) => Attempt::Unknown(Failure::unavailable(told(reason))),
        Lost::Refused(reason) => Attempt::Refused(told(reason)),
    }
}

/// The shard that nothing belongs to: for what waits until there are shards.
const NO_SHARD: PartitionIndex = -1;
