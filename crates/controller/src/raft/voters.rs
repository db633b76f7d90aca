//! Changing who votes, and telling how the quorum stands.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use levada_types::DirectoryId;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::{ChangeMembers, Instant as _};

use super::node::RaftNode;
use super::types::{QuorumNode, TypeConfig};
use super::voter_key::VoterKey;

/// How long a new voter may take to get the metadata before the change is given up; it then goes on as an observer.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(60);

/// After how long a voter that was not heard of is not counted on for a majority: ten heartbeats by default.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// A member of the quorum as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberStanding {
    pub(crate) key: VoterKey,
    pub(crate) address: String,
    pub(crate) votes: bool,
    /// The newest entry that it is known to have.
    pub(crate) log_end: Option<u64>,
    /// How long ago it was heard of.
    pub(crate) last_heard: Option<Duration>,
}

/// Why the voters were not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VoterError {
    /// Another node leads, or none.
    #[error("this controller is not the active one")]
    NotLeader,
    /// One change at a time.
    #[error("another change of the voters is under way; try again when it has ended")]
    InProgress,
    /// The new voter does not get the metadata.
    #[error(
        "controller {0} has not caught up with the metadata within {secs} s and has no vote; see that it runs and can be reached at its internal address, then add it again",
        secs = CATCH_UP_TIMEOUT.as_secs()
    )]
    NotCaughtUp(u64),
    /// It votes under another directory.
    #[error("{0} votes already; remove it first if that directory is lost")]
    OtherDirectory(VoterKey),
    /// It does not vote.
    #[error("controller {0} has no vote{1}")]
    NoVoter(u64, &'static str),
    /// Nobody would be left.
    #[error("controller {0} is the only voter; add another one first")]
    LastVoter(u64),
    /// Those who would be left are too few without those that are silent: nothing could be decided any more, not even that
    /// the vote is given back.
    #[error(
        "without controller {0} the voters that are heard of are no majority: controllers {1:?} are not; start those again, or \
         remove them first"
    )]
    NoMajority(u64, Vec<u64>),
    /// Raft has stopped, or refused for another reason.
    #[error("the voters were not changed: {0}")]
    Raft(String),
}

impl From<RaftError<TypeConfig, ClientWriteError<TypeConfig>>> for VoterError {
    fn from(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> Self {
        match error {
            RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => Self::NotLeader,
            RaftError::APIError(ClientWriteError::ChangeMembershipError(
                openraft::errors::ChangeMembershipError::InProgress(_),
            )) => Self::InProgress,
            other => Self::Raft(other.to_string()),
        }
    }
}

impl RaftNode {
    /// Everybody who belongs to the quorum, as far as this node knows; who has what is known to the leader alone.
    pub(crate) fn members(&self) -> Vec<MemberStanding> {
        let metrics = self.raft.metrics().borrow_watched().clone();
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let member = |(id, node): (&u64, &QuorumNode)| {
            let is_self = *id == self.key().id;
            let replicated = metrics.replication.as_ref().and_then(|all| all.get(id)).and_then(Option::as_ref);
            let heard = metrics.heartbeat.as_ref().and_then(|all| all.get(id)).and_then(Option::as_ref);
            MemberStanding {
                key: VoterKey { id: *id, directory: node.directory },
                address: node.internal_address.clone(),
                votes: voters.contains(id),
                log_end: if is_self { metrics.last_log_index } else { replicated.map(|log_id| log_id.index) },
                last_heard: if is_self { Some(Duration::ZERO) } else { heard.map(|at| at.elapsed()) },
            }
        };
        membership.nodes().map(member).collect()
    }

    fn member(&self, id: u64) -> Option<MemberStanding> {
        self.members().into_iter().find(|member| member.key.id == id)
    }

    /// Makes a node a voter: it gets what it lacks first, and votes once it has caught up.
    pub(crate) async fn add_voter(&self, key: VoterKey, address: String) -> Result<(), VoterError> {
        match self.member(key.id) {
            Some(known) if known.votes && known.key == key => return Ok(()),
            Some(known) if known.votes => return Err(VoterError::OtherDirectory(known.key)),
            Some(known) if known.key != key || known.address != address => {
                // What is known of an observer of that number is of another directory, or another address.
                let gone = ChangeMembers::RemoveNodes([key.id].into());
                self.raft.change_membership(gone, false).await?;
            }
            _ => {}
        }
        let node = QuorumNode { directory: key.directory, internal_address: address };
        let catching_up = self.raft.add_learner(key.id, node, true);
        let caught_up = tokio::time::timeout(CATCH_UP_TIMEOUT, catching_up).await;
        caught_up.map_err(|_| VoterError::NotCaughtUp(key.id))??;
        self.raft.change_membership(ChangeMembers::AddVoterIds([key.id].into()), true).await?;
        Ok(())
    }

    /// Has the others reach a member at another address. It is the same member: the directory of its log says so.
    pub(crate) async fn set_address(&self, key: VoterKey, address: String) -> Result<(), VoterError> {
        let node = QuorumNode { directory: key.directory, internal_address: address };
        self.raft.change_membership(ChangeMembers::SetNodes([(key.id, node)].into()), true).await?;
        Ok(())
    }

    /// Takes the vote of a node away, and forgets it. With a `directory`, only if it votes under that one.
    pub(crate) async fn remove_voter(&self, id: u64, directory: Option<DirectoryId>) -> Result<(), VoterError> {
        let known = self.member(id).filter(|known| known.votes).ok_or(VoterError::NoVoter(id, ""))?;
        if directory.is_some_and(|directory| directory != known.key.directory) {
            return Err(VoterError::NoVoter(id, " with that directory"));
        }
        if self.members().iter().filter(|member| member.votes).count() <= 1 {
            return Err(VoterError::LastVoter(id));
        }
        self.check_majority_without(id)?;
        self.raft.change_membership(ChangeMembers::RemoveVoters([id].into()), false).await?;
        Ok(())
    }

    /// Whether a majority of the voters but `id` is heard of.
    fn check_majority_without(&self, id: u64) -> Result<(), VoterError> {
        let (silent, heard): (Vec<_>, Vec<_>) = self
            .members()
            .into_iter()
            .filter(|member| member.votes && member.key.id != id)
            .partition(|member| member.last_heard.is_none_or(|ago| ago > SILENT_AFTER));
        if heard.len() > silent.len() {
            return Ok(());
        }
        Err(VoterError::NoMajority(id, silent.iter().map(|member| member.key.id).collect()))
    }

    /// Founds the quorum with these members. That it was founded meanwhile is no error.
    pub(super) async fn found(&self, members: BTreeMap<u64, QuorumNode>) -> Result<(), crate::options::StartError> {
        match self.raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(openraft::errors::InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(crate::options::StartError::Raft(error.to_string())),
        }
    }
}
