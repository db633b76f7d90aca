//! Asks the coordinators of groups.

mod error;
mod fan_out;
mod repeatable;
mod route;
mod turns;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use levada_groups::api::{Request, Response};
use levada_metadata::{Command, CoordinatorKind, Image};
use levada_proto::internal as pb;
use levada_proto::internal::group_coordinator_client::GroupCoordinatorClient;
use levada_service::grpc::Profile;
use levada_service::net::{Address, Network};
use levada_types::{ErrorCode, PartitionIndex};
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::Channel;

pub use error::GroupClientError;
use repeatable::is_repeatable;
use route::{Place, Route};
use turns::Turns;

use crate::backoff::Backoff;
use crate::outcome::Outcome;
use crate::{ControllerClient, MetadataWatch};

/// The largest request to a group coordinator, and the largest answer: what a leader is told of all members of its group
/// is the largest of them. Kafka has no limit of its own; this is what its largest record may be by far.
pub const MAX_GROUP_MESSAGE_BYTES: usize = 64 << 20;

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
    /// The ways to the coordinators.
    channels: Mutex<HashMap<Address, Channels>>,
    turns: Turns,
}

/// The ways to one coordinator.
#[derive(Debug, Clone)]
struct Channels {
    /// For requests that may wait for other members, so that however many wait, the others have a stream.
    waiting: Channel,
    /// For those that are answered at once.
    prompt: Channel,
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
        let (creation, creating, channels, turns) =
            (Box::new(creation), Default::default(), Mutex::default(), Turns::default());
        Self { shared: Arc::new(Shared { network, metadata, controller, creation, creating, channels, turns }) }
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
        let (repeatable, waits) = (is_repeatable(&request), waits_for_others(&request));
        let kind = pb::group_request::Kind::from(request);
        let mut patience = deadline.min(started + PATIENCE);
        let mut backoff = Backoff::new();
        let mut turn = None;
        let mut told: Option<Failure> = None;
        loop {
            let begun = Instant::now();
            let image = self.shared.metadata.image();
            let shard = place.shard(&image);
            let attempt = turns::for_a_turn(turn.take(), self.attempt(&image, place, &kind, waits, deadline)).await;
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
        kind: &pb::group_request::Kind,
        waits: bool,
        deadline: Instant,
    ) -> Attempt {
        let route = match Route::find(image, place) {
            Ok(Some(route)) => route,
            Ok(None) => {
                return Attempt::NotDone(match self.create_shards(deadline).await {
                    Ok(()) => Failure::unavailable("the shards of groups have just been created"),
                    Err(failure) => failure,
                });
            }
            Err(failure) => return Attempt::NotDone(failure),
        };
        let message = pb::GroupRequest {
            cluster_id: image.cluster_id().map(|id| id.to_string()).unwrap_or_default(),
            shard: route.shard,
            metadata_offset: image.offset().0,
            kind: Some(kind.clone()),
        };
        let mut call = tonic::Request::new(message);
        let left = deadline.saturating_duration_since(Instant::now());
        call.set_timeout(left);
        let channels = self.channels(image, &route.address);
        let mut stub = GroupCoordinatorClient::new(if waits { channels.waiting } else { channels.prompt })
            .max_decoding_message_size(MAX_GROUP_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_GROUP_MESSAGE_BYTES);
        let answer = tokio::select! {
            answer = stub.handle(call) => answer,
            () = self.moved(&route) => Err(tonic::Status::aborted("another coordinator owns the shard now")),
            () = tokio::time::sleep(left) => Err(tonic::Status::deadline_exceeded("no answer within the time")),
        };
        match answer {
            Ok(answer) => read(answer.into_inner()),
            Err(status) => failed(&route.address, &status),
        }
    }

    /// Resolves some time after the shard has got another owner.
    async fn moved(&self, route: &Route) {
        let mut offsets = self.shared.metadata.offsets();
        let owns = |image: &Image| {
            let owner = image.shard_owner(CoordinatorKind::Group, route.shard);
            owner.is_some_and(|owner| owner.epoch == route.owner)
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

    fn channels(&self, image: &Image, address: &Address) -> Channels {
        let mut channels = self.shared.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = channels.get(address) {
            return known.clone();
        }
        // Addresses that nobody has any more would gather.
        let live: Vec<Address> = image
            .coordinators(CoordinatorKind::Group)
            .filter_map(|coordinator| coordinator.internal_address.parse().ok())
            .collect();
        channels.retain(|known, _| live.contains(known));
        let dialer = self.shared.network.dialer(address.clone());
        let new = Channels { waiting: dialer.channel(Profile::Control), prompt: dialer.channel(Profile::Control) };
        channels.insert(address.clone(), new.clone());
        new
    }
}

/// Whether a request may be answered only once others have spoken.
fn waits_for_others(request: &Request) -> bool {
    matches!(request, Request::JoinGroup(_) | Request::SyncGroup(_))
}

fn read(answer: pb::GroupResponse) -> Attempt {
    match Response::try_from(answer) {
        Ok(Response::Failed(
            code @ (ErrorCode::NotCoordinator
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable),
        )) => Attempt::NotDone(Failure::new(code, code.message())),
        Ok(Response::Failed(code)) => Attempt::Unknown(Failure::new(code, code.message())),
        Ok(response) => Attempt::Answered(response),
        Err(error) => Attempt::Refused(error.to_string()),
    }
}

fn failed(address: &Address, status: &tonic::Status) -> Attempt {
    let reason = format!("{address}: {}", status.message());
    match Outcome::of(status) {
        // Of another cluster, which a newer image will show to be gone.
        Outcome::Refused if status.code() == Code::FailedPrecondition => Attempt::NotDone(Failure::unavailable(reason)),
        Outcome::NotDone | Outcome::NotActive(_) => Attempt::NotDone(Failure::unavailable(reason)),
        Outcome::Unknown => Attempt::Unknown(Failure::unavailable(reason)),
        Outcome::Refused => Attempt::Refused(reason),
    }
}

/// The shard that nothing belongs to: for what waits until there are shards.
const NO_SHARD: PartitionIndex = -1;
