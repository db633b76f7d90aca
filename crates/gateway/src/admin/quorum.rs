//! The quorum of the controllers.

use std::time::Duration;

use levada_broker::Broker;
use levada_broker::api::PartitionError;
use levada_peers::{Quorum, QuorumError, QuorumMember};
use levada_proto::v1;
use levada_types::DirectoryId;

use crate::refusal::invalid;

/// How long the controllers may take to tell how they stand.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a change may take unless the client says otherwise: a new controller has to catch up first.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) async fn describe(broker: &Broker) -> Result<v1::DescribeQuorumResponse, PartitionError> {
    Ok(answer(&broker.describe_quorum(DESCRIBE_TIMEOUT).await.map_err(refused)?))
}

fn answer(quorum: &Quorum) -> v1::DescribeQuorumResponse {
    let everybody = || quorum.voters.iter().chain(&quorum.observers);
    // The leader has what it has written; what is committed is the least that it has.
    let end = everybody().find(|member| member.id == quorum.leader).and_then(|leader| leader.log_end);
    let end = end.unwrap_or(quorum.committed).0;
    let member = |member: &QuorumMember| v1::QuorumMember {
        controller_id: member.id,
        directory_id: member.directory.to_string(),
        address: member.internal_address.clone(),
        log_end_offset: member.log_end.map(|offset| offset.0),
        lag: member.log_end.map(|offset| end.saturating_sub(offset.0)),
        last_heard_ms: member.last_heard.map(|ago| u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
    };
    v1::DescribeQuorumResponse {
        leader_id: quorum.leader,
        term: quorum.term,
        committed_offset: quorum.committed.0,
        voters: quorum.voters.iter().map(member).collect(),
        observers: quorum.observers.iter().map(member).collect(),
    }
}

pub(super) async fn add_voter(
    broker: &Broker,
    request: v1::AddVoterRequest,
) -> Result<v1::AddVoterResponse, PartitionError> {
    let directory = directory(&request.directory_id)?;
    let added = broker.add_voter(request.controller_id, directory, timeout(request.timeout_ms)).await;
    added.map(|()| v1::AddVoterResponse {}).map_err(refused)
}

pub(super) async fn remove_voter(
    broker: &Broker,
    request: v1::RemoveVoterRequest,
) -> Result<v1::RemoveVoterResponse, PartitionError> {
    let directory = directory(&request.directory_id)?;
    let removed = broker.remove_voter(request.controller_id, directory, timeout(request.timeout_ms)).await;
    removed.map(|()| v1::RemoveVoterResponse {}).map_err(refused)
}

fn timeout(ms: u32) -> Duration {
    match ms {
        0 => CHANGE_TIMEOUT,
        ms => Duration::from_millis(ms.into()),
    }
}

fn directory(text: &str) -> Result<Option<DirectoryId>, PartitionError> {
    if text.is_empty() {
        return Ok(None);
    }
    DirectoryId::parse(text).map(Some).ok_or_else(|| invalid(format!("{text:?} is not a directory id")))
}

fn refused(error: QuorumError) -> PartitionError {
    PartitionError::new(error.code, error.message)
}

#[cfg(test)]
mod tests {
    use levada_types::MetadataOffset;

    use super::*;

    #[test]
    fn the_lag_is_counted_from_the_end_of_the_leaders_log() {
        let member = |id, log_end: Option<u64>| QuorumMember {
            id,
            directory: DirectoryId::UNASSIGNED,
            internal_address: String::new(),
            log_end: log_end.map(MetadataOffset),
            last_heard: None,
        };
        let quorum = Quorum {
            leader: 2,
            term: 5,
            committed: MetadataOffset(90),
            voters: vec![member(1, Some(95)), member(2, Some(100)), member(3, None)],
            observers: vec![member(4, Some(20))],
        };
        let answer = answer(&quorum);
        assert_eq!(answer.voters.iter().map(|voter| voter.lag).collect::<Vec<_>>(), [Some(5), Some(0), None]);
        assert_eq!(answer.observers[0].lag, Some(80));
    }
}
