//! The way to one coordinator: a stream that stands as long as it can, and is opened anew when somebody asks after it broke.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use levada_proto::internal as pb;
use levada_proto::internal::group_coordinator_client::GroupCoordinatorClient;
use levada_types::ClusterId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use super::stream::{Asked, GroupStream, Lost, Sending};
use crate::CLUSTER_HEADER;
use crate::outcome::Outcome;
use crate::parcels::{Inbox, MAX_GROUP_MESSAGE_BYTES, MAX_STREAM_MESSAGE_BYTES};

/// Bytes of requests to one coordinator that may be queued: two of the largest, so that one more can come while one leaves.
/// Whoever finds no room waits.
const MAX_QUEUED_BYTES: usize = 2 * MAX_GROUP_MESSAGE_BYTES;

/// The way to one coordinator.
#[derive(Debug)]
pub(super) struct Line {
    channel: Channel,
    room: Arc<Semaphore>,
    current: Mutex<Option<Standing>>,
}

/// A stream and the task that reads its answers, which ends with it.
#[derive(Debug)]
struct Standing {
    stream: Arc<GroupStream>,
    _reader: AbortOnDropHandle<()>,
}

impl Line {
    /// Over a channel to the coordinator.
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel, room: Arc::new(Semaphore::new(MAX_QUEUED_BYTES)), current: Mutex::default() }
    }

    /// Waits until a request of so many bytes may be queued; first come, first served.
    pub(super) async fn room(&self, bytes: usize) -> OwnedSemaphorePermit {
        let bytes = u32::try_from(bytes.min(MAX_QUEUED_BYTES)).unwrap_or(u32::MAX);
        loop {
            // It is never closed.
            if let Ok(room) = Arc::clone(&self.room).acquire_many_owned(bytes).await {
                return room;
            }
        }
    }

    /// Asks on the stream that stands, or on a new one; the caller says that it belongs to this cluster.
    pub(super) fn ask(&self, cluster: Option<ClusterId>, request: &Bytes, mut room: OwnedSemaphorePermit) -> Asked {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(standing) = &*current {
                match standing.stream.ask(request, room) {
                    Ok(asked) => return asked,
                    Err(unused) => room = unused,
                }
            }
            *current = Some(self.open(cluster));
        }
    }

    fn open(&self, cluster: Option<ClusterId>) -> Standing {
        let stream = Arc::new(GroupStream::default());
        let mut call = tonic::Request::new(Sending(Arc::clone(&stream)));
        if let Some(cluster) = cluster.and_then(|id| AsciiMetadataValue::try_from(id.to_string()).ok()) {
            call.metadata_mut().insert(CLUSTER_HEADER, cluster);
        }
        let stub = GroupCoordinatorClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_STREAM_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_STREAM_MESSAGE_BYTES);
        let reader = tokio::spawn(attend(stub, call, Arc::clone(&stream)));
        Standing { stream, _reader: AbortOnDropHandle::new(reader) }
    }
}

/// Opens the stream, reads its answers, and ends it when nothing more can come.
async fn attend(mut stub: GroupCoordinatorClient<Channel>, call: tonic::Request<Sending>, stream: Arc<GroupStream>) {
    let (sent, unsent) = match stub.handle(call).await {
        Ok(answers) => {
            stream.open();
            let lost = read(&stream, answers.into_inner()).await;
            tracing::debug!(reason = ?lost, "a stream to a group coordinator has ended");
            (lost, Lost::NotDone("the stream to the coordinator has ended".to_owned()))
        }
        // Nothing is sent on a stream before it is open.
        Err(status) => {
            let lost = never_opened(&status);
            (lost.clone(), lost)
        }
    };
    stream.end(&sent, &unsent);
}

/// Hands on answers until none can come any more; returns what this means for what has been sent.
async fn read(stream: &GroupStream, mut messages: Streaming<pb::GroupResponses>) -> Lost {
    let mut inbox = Inbox::default();
    loop {
        let message = match messages.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Lost::Unknown("the coordinator has ended the stream without a word".to_owned()),
            Err(status) => return Lost::Unknown(status.message().to_owned()),
        };
        let taken: Result<Vec<_>, _> =
            message.responses.into_iter().filter_map(|parcel| inbox.take(parcel).transpose()).collect();
        let answered = match taken {
            Ok(answers) => stream.answer(answers).map_err(|number| format!("it answers {number}, which is no request")),
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = answered {
            tracing::warn!(reason, "a group coordinator breaks the rules of its stream");
            return Lost::Unknown(reason);
        }
        if message.closing {
            return Lost::NotDone("the coordinator stops".to_owned());
        }
    }
}

/// What it means that a stream could not be opened.
fn never_opened(status: &Status) -> Lost {
    let reason = status.message().to_owned();
    match Outcome::of(status) {
        // Of another cluster, which a newer image will show to be gone.
        Outcome::Refused if status.code() != Code::FailedPrecondition => Lost::Refused(reason),
        _ => Lost::NotDone(reason),
    }
}
