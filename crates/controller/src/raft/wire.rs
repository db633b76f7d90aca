//! Openraft's types as protobuf, for the wire and for the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use levada_proto::internal as pb;
use openraft::EntryPayload;

use super::types::{
    EntryData, QuorumNode, RaftEntry, RaftLeaderId, RaftLogId, RaftMembership, RaftSnapshotMeta, RaftStoredMembership,
    RaftVote,
};
use super::voter_key::{directory_from, directory_to};

/// A message lacks what it must have, or contradicts itself.
pub(super) fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a Raft message is malformed: {what}"))
}

pub(super) fn leader_id_to(id: RaftLeaderId) -> pb::RaftLeaderId {
    pb::RaftLeaderId { term: id.term, node_id: id.node_id }
}

fn leader_id_from(id: Option<pb::RaftLeaderId>) -> io::Result<RaftLeaderId> {
    let id = id.ok_or_else(|| malformed("no leader id"))?;
    Ok(RaftLeaderId { term: id.term, node_id: id.node_id })
}

pub(super) fn log_id_to(id: &RaftLogId) -> pb::RaftLogId {
    pb::RaftLogId { leader_id: Some(leader_id_to(id.leader_id)), index: id.index }
}

pub(super) fn log_id_from(id: pb::RaftLogId) -> io::Result<RaftLogId> {
    Ok(RaftLogId { leader_id: leader_id_from(id.leader_id)?, index: id.index })
}

pub(super) fn optional_log_id(id: Option<pb::RaftLogId>) -> io::Result<Option<RaftLogId>> {
    id.map(log_id_from).transpose()
}

pub(super) fn vote_to(vote: &RaftVote) -> pb::RaftVote {
    pb::RaftVote { leader_id: Some(leader_id_to(vote.leader_id)), committed: vote.committed }
}

pub(super) fn vote_from(vote: Option<pb::RaftVote>) -> io::Result<RaftVote> {
    let vote = vote.ok_or_else(|| malformed("no vote"))?;
    Ok(RaftVote { leader_id: leader_id_from(vote.leader_id)?, committed: vote.committed })
}

pub(super) fn membership_to(membership: &RaftMembership) -> pb::RaftMembership {
    let configs = membership.get_joint_config().iter();
    let nodes = membership.nodes().map(|(id, node)| {
        let (directory, internal_address) = (directory_to(node.directory), node.internal_address.clone());
        let node = pb::RaftNode { directory, internal_address };
        (*id, node)
    });
    pb::RaftMembership {
        configs: configs.map(|voters| pb::RaftVoterSet { voters: voters.iter().copied().collect() }).collect(),
        nodes: nodes.collect(),
    }
}

fn membership_from(membership: pb::RaftMembership) -> io::Result<RaftMembership> {
    let configs: Vec<BTreeSet<u64>> =
        membership.configs.into_iter().map(|set| set.voters.into_iter().collect()).collect();
    let nodes: BTreeMap<u64, QuorumNode> = membership
        .nodes
        .into_iter()
        .map(|(id, node)| {
            let directory = directory_from(&node.directory)?;
            Ok((id, QuorumNode { directory, internal_address: node.internal_address }))
        })
        .collect::<io::Result<_>>()?;
    RaftMembership::new(configs, nodes).map_err(|error| malformed(&error.to_string()))
}

pub(super) fn stored_membership_to(membership: &RaftStoredMembership) -> pb::RaftStoredMembership {
    pb::RaftStoredMembership {
        log_id: membership.log_id().as_ref().map(log_id_to),
        membership: Some(membership_to(membership.membership())),
    }
}

pub(super) fn stored_membership_from(membership: Option<pb::RaftStoredMembership>) -> io::Result<RaftStoredMembership> {
    let Some(stored) = membership else { return Ok(RaftStoredMembership::default()) };
    let log_id = optional_log_id(stored.log_id)?;
    let membership = stored.membership.ok_or_else(|| malformed("no membership"))?;
    if membership.configs.is_empty() {
        return Ok(RaftStoredMembership::default());
    }
    Ok(RaftStoredMembership::new(log_id, membership_from(membership)?))
}

pub(super) fn entry_to(entry: &RaftEntry) -> pb::RaftEntry {
    use pb::raft_entry::Payload;
    let payload = match &entry.payload {
        EntryPayload::Blank => Payload::Blank(pb::RaftBlank {}),
        EntryPayload::Normal(EntryData(bytes)) => Payload::Entry(bytes.clone()),
        EntryPayload::Membership(membership) => Payload::Membership(membership_to(membership)),
    };
    pb::RaftEntry { log_id: Some(log_id_to(&entry.log_id)), payload: Some(payload) }
}

pub(super) fn entry_from(entry: pb::RaftEntry) -> io::Result<RaftEntry> {
    use pb::raft_entry::Payload;
    let log_id = log_id_from(entry.log_id.ok_or_else(|| malformed("an entry without a position"))?)?;
    let payload = match entry.payload.ok_or_else(|| malformed("an entry of an unknown kind"))? {
        Payload::Blank(pb::RaftBlank {}) => EntryPayload::Blank,
        Payload::Entry(bytes) => EntryPayload::Normal(EntryData(bytes)),
        Payload::Membership(membership) => EntryPayload::Membership(membership_from(membership)?),
    };
    Ok(RaftEntry { log_id, payload })
}

pub(super) fn snapshot_meta_to(meta: &RaftSnapshotMeta) -> pb::RaftSnapshotMeta {
    pb::RaftSnapshotMeta {
        last_log_id: meta.last_log_id.as_ref().map(log_id_to),
        last_membership: Some(stored_membership_to(&meta.last_membership)),
    }
}

pub(super) fn snapshot_meta_from(meta: pb::RaftSnapshotMeta) -> io::Result<RaftSnapshotMeta> {
    Ok(RaftSnapshotMeta {
        last_log_id: optional_log_id(meta.last_log_id)?,
        last_membership: stored_membership_from(meta.last_membership)?,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use levada_types::DirectoryId;
    use uuid::Uuid;

    use super::*;

    fn log_id(index: u64) -> RaftLogId {
        RaftLogId { leader_id: RaftLeaderId { term: 3, node_id: 2 }, index }
    }

    fn membership() -> RaftMembership {
        let node = |id: u64| {
            (
                id,
                QuorumNode { directory: DirectoryId(Uuid::from_u128(id.into())), internal_address: format!("c{id}:1") },
            )
        };
        let nodes: BTreeMap<u64, QuorumNode> = (1..=4).map(node).collect();
        RaftMembership::new(vec![[1, 2, 3].into(), [2, 3].into()], nodes).unwrap()
    }

    #[test]
    fn entries_survive_the_way_through_protobuf() {
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(EntryData(Bytes::from_static(b"entry"))),
            EntryPayload::Membership(membership()),
        ];
        for payload in payloads {
            let entry = RaftEntry { log_id: log_id(9), payload };
            let back = entry_from(entry_to(&entry)).unwrap();
            assert_eq!((back.log_id, back.payload), (entry.log_id, entry.payload));
        }
    }

    #[test]
    fn snapshot_metas_survive_even_when_empty() {
        let full = RaftSnapshotMeta {
            last_log_id: Some(log_id(9)),
            last_membership: RaftStoredMembership::new(Some(log_id(4)), membership()),
        };
        for meta in [full, RaftSnapshotMeta::default()] {
            assert_eq!(snapshot_meta_from(snapshot_meta_to(&meta)).unwrap(), meta);
        }
    }

    #[test]
    fn what_is_missing_is_an_error() {
        assert!(entry_from(pb::RaftEntry::default()).is_err());
        assert!(vote_from(None).is_err());
        assert!(vote_from(Some(pb::RaftVote::default())).is_err());
    }
}
