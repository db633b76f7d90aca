//! How the quorum of the controllers stands, and changing who belongs to it.

use std::time::Duration;

use bytes::Bytes;
use levada_proto::internal::{
    AddVoterRequest, DescribeQuorumRequest, DescribeQuorumResponse, QuorumMember as MemberMessage, RemoveVoterRequest,
};
use levada_proto::status::error_of;
use levada_types::{DirectoryId, ErrorCode, MetadataOffset};
use tokio::time::Instant;
use tonic::{Request, Status};
use uuid::Uuid;

use crate::ControllerClient;
use crate::backoff::Backoff;
use crate::controllers::Stub;
use crate::outcome::Outcome;

/// How the quorum stands, as the active controller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// The active controller.
    pub leader: u64,
    /// Its term, Kafka's leader epoch of the quorum.
    pub term: u64,
    /// How far the metadata log is committed.
    pub committed: MetadataOffset,
    /// Those who vote, by number.
    pub voters: Vec<QuorumMember>,
    /// Those who only follow, by number.
    pub observers: Vec<QuorumMember>,
}

/// A controller of the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumMember {
    /// Its number.
    pub id: u64,
    /// The directory under which it belongs to the quorum.
    pub directory: DirectoryId,
    /// Where its internal services are reached.
    pub internal_address: String,
    /// The newest entry that it is known to have.
    pub log_end: Option<MetadataOffset>,
    /// How long ago the leader has heard of it; zero for the leader itself.
    pub last_heard: Option<Duration>,
}

/// The quorum was not changed, or not described.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QuorumError {
    /// Kafka's code for it.
    pub code: ErrorCode,
    /// What the controller said, or why it could not be asked.
    pub message: String,
}

impl ControllerClient {
    /// How the quorum stands.
    ///
    /// # Errors
    /// [`QuorumError`] if no active controller answers within `timeout`.
    pub async fn describe_quorum(&self, timeout: Duration) -> Result<Quorum, QuorumError> {
        let ask = |mut stub: Stub| async move { stub.describe_quorum(DescribeQuorumRequest {}).await };
        self.at_active(timeout, ask).await.map(Quorum::from)
    }

    /// Gives the controller `id` a vote, which must have announced itself; with `directory`, only under that one. It
    /// answers when the controller has caught up and votes.
    ///
    /// # Errors
    /// [`QuorumError`]. After REQUEST_TIMED_OUT it may or may not vote; the same again does no harm.
    pub async fn add_voter(
        &self,
        id: u64,
        directory: Option<DirectoryId>,
        timeout: Duration,
    ) -> Result<(), QuorumError> {
        let request = AddVoterRequest { id, directory: bytes_of(directory) };
        let ask = |mut stub: Stub| {
            let request = timed(request.clone(), timeout);
            async move { stub.add_voter(request).await }
        };
        self.at_active(timeout, ask).await.map(drop)
    }

    /// Takes the vote of the controller `id` away; with `directory`, only under that one.
    ///
    /// # Errors
    /// [`QuorumError`]. After REQUEST_TIMED_OUT it may or may not vote; the same again does no harm.
    pub async fn remove_voter(
        &self,
        id: u64,
        directory: Option<DirectoryId>,
        timeout: Duration,
    ) -> Result<(), QuorumError> {
        let request = RemoveVoterRequest { id, directory: bytes_of(directory) };
        let ask = |mut stub: Stub| {
            let request = timed(request.clone(), timeout);
            async move { stub.remove_voter(request).await }
        };
        self.at_active(timeout, ask).await.map(drop)
    }

    /// Looks for the active controller and asks it, again while nobody knows whether it was done.
    async fn at_active<T, F: Future<Output = Result<tonic::Response<T>, Status>>>(
        &self,
        timeout: Duration,
        ask: impl Fn(Stub) -> F,
    ) -> Result<T, QuorumError> {
        let deadline = Instant::now() + timeout;
        let mut backoff = Backoff::new();
        let mut last = "none is configured".to_owned();
        while let Some(address) = self.controllers.next() {
            let status = match tokio::time::timeout_at(deadline, ask(self.controllers.stub(&address))).await {
                Ok(Ok(answer)) => {
                    self.controllers.served(&address);
                    return Ok(answer.into_inner());
                }
                Ok(Err(status)) => status,
                Err(_) => break,
            };
            if let Some(error) = error_of(&status) {
                let code = i16::try_from(error.code).ok().and_then(ErrorCode::from_code);
                return Err(QuorumError {
                    code: code.unwrap_or(ErrorCode::UnknownServerError),
                    message: error.message,
                });
            }
            last = format!("{address}: {}", status.message());
            match Outcome::of(&status) {
                Outcome::NotActive(active) => self.controllers.hint(&address, active),
                Outcome::Refused => return Err(QuorumError { code: ErrorCode::InvalidRequest, message: last }),
                Outcome::NotDone | Outcome::Unknown => self.controllers.failed(&address),
            }
            tokio::time::sleep_until((Instant::now() + backoff.pause()).min(deadline)).await;
            if Instant::now() >= deadline {
                break;
            }
        }
        let message = format!("no active controller answered within {} ms ({last})", timeout.as_millis());
        Err(QuorumError { code: ErrorCode::RequestTimedOut, message })
    }
}

fn timed<T>(message: T, timeout: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}

fn bytes_of(directory: Option<DirectoryId>) -> Bytes {
    directory.map(|id| Bytes::copy_from_slice(id.0.as_bytes())).unwrap_or_default()
}

impl From<DescribeQuorumResponse> for Quorum {
    fn from(message: DescribeQuorumResponse) -> Self {
        let members = |members: Vec<MemberMessage>| members.into_iter().map(QuorumMember::from).collect();
        Self {
            leader: message.leader_id,
            term: message.term,
            committed: MetadataOffset(message.committed_offset),
            voters: members(message.voters),
            observers: members(message.observers),
        }
    }
}

impl From<MemberMessage> for QuorumMember {
    fn from(member: MemberMessage) -> Self {
        Self {
            id: member.id,
            directory: DirectoryId(Uuid::from_slice(&member.directory).unwrap_or_default()),
            internal_address: member.internal_address,
            log_end: member.log_end_offset.map(MetadataOffset),
            last_heard: member.last_heard_ms.map(Duration::from_millis),
        }
    }
}
