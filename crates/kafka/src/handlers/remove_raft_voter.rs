//! RemoveRaftVoter (KIP-853): a controller loses its vote.

use kafka_protocol::messages::{RemoveRaftVoterRequest, RemoveRaftVoterResponse};
use levada_broker::api::PartitionError;

use super::raft_voter::{RaftVoter, check_cluster};
use super::{Handlers, REQUEST_TIMEOUT, told};
use crate::wire::request::Head;

pub(super) async fn handle(
    handlers: &Handlers,
    head: Head,
    request: RemoveRaftVoterRequest,
) -> RemoveRaftVoterResponse {
    let (code, message) = told(head, remove(handlers, &request).await);
    RemoveRaftVoterResponse::default().with_error_code(code).with_error_message(message)
}

async fn remove(handlers: &Handlers, request: &RemoveRaftVoterRequest) -> Result<(), PartitionError> {
    check_cluster(&handlers.broker.image(), request.cluster_id.as_ref())?;
    let voter = RaftVoter::read(request.voter_id, request.voter_directory_id)?;
    let removed = handlers.broker.remove_voter(voter.id, voter.directory, REQUEST_TIMEOUT).await;
    removed.map_err(|error| PartitionError::new(error.code, error.message))
}
