//! AddRaftVoter (KIP-853): a controller gets a vote.

use kafka_protocol::messages::{AddRaftVoterRequest, AddRaftVoterResponse};
use levada_broker::api::PartitionError;
use levada_peers::QuorumError;
use levada_types::ErrorCode;

use super::raft_voter::{RaftVoter, check_cluster};
use super::{Handlers, millis, told};
use crate::wire::request::Head;

/// The listeners of the request are not looked at: a controller announces itself where it is reached, and only then can it
/// be given a vote.
pub(super) async fn handle(handlers: &Handlers, head: Head, request: AddRaftVoterRequest) -> AddRaftVoterResponse {
    let (code, message) = told(head, add(handlers, &request).await);
    AddRaftVoterResponse::default().with_error_code(code).with_error_message(message)
}

async fn add(handlers: &Handlers, request: &AddRaftVoterRequest) -> Result<(), PartitionError> {
    check_cluster(&handlers.broker.image(), request.cluster_id.as_ref())?;
    let voter = RaftVoter::read(request.voter_id, request.voter_directory_id)?;
    let timeout = millis(request.timeout_ms);
    let refused = |error: QuorumError| PartitionError::new(error.code, error.message);
    // The controllers take the same again for done; Kafka's tools are told.
    let quorum = handlers.broker.describe_quorum(timeout).await.map_err(refused)?;
    if quorum.voters.iter().any(|known| known.id == voter.id) {
        return Err(PartitionError::new(ErrorCode::DuplicateVoter, format!("controller {} has a vote", voter.id)));
    }
    handlers.broker.add_voter(voter.id, voter.directory, timeout).await.map_err(refused)
}
