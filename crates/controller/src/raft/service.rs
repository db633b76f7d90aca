//! The Raft gRPC service: what other members ask of this one.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use levada_proto::internal as pb;
use levada_proto::internal::install_snapshot_request::Kind as Part;
use levada_proto::internal::raft_server::Raft as RaftService;
use levada_service::grpc::unreadable;
use levada_types::ClusterId;
use openraft::async_runtime::WatchReceiver;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest};
use tokio::io::AsyncWriteExt;
use tonic::{Request, Response, Status, Streaming};

use super::snapshot_file::{SnapshotFile, received, received_path};
use super::types::{Raft, RaftSnapshot, TypeConfig};
use super::voter_key::VoterKey;
use super::wire::{entry_from, log_id_to, membership_to, optional_log_id, snapshot_meta_from, vote_from, vote_to};

/// The largest snapshot that is taken in. Metadata of a million partitions is below a tenth of it.
const MAX_SNAPSHOT_BYTES: u64 = 4 << 30;

/// Answers the other members of the quorum.
#[derive(Clone)]
pub(crate) struct QuorumService {
    raft: Raft,
    own: VoterKey,
    /// What this node was told to found a quorum with; empty if it was told to join one.
    founders: Founders,
    dir: PathBuf,
    received: Arc<AtomicU64>,
    /// Whether it was logged already that messages come in for another member.
    told: Arc<AtomicBool>,
}

/// What a node was told of the quorum that it is to found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Founders {
    /// The numbers of the voters.
    pub(crate) voters: BTreeSet<u64>,
    /// The cluster, if it was named.
    pub(crate) cluster_id: Option<ClusterId>,
}

impl QuorumService {
    /// For `raft` of the member `own`, which keeps its snapshots in `dir`.
    pub(super) fn new(raft: Raft, own: VoterKey, founders: Founders, dir: PathBuf) -> Self {
        Self { raft, own, founders, dir, received: Arc::default(), told: Arc::default() }
    }

    /// Refuses what is meant for a member that this node is not, or not any more.
    fn check_receiver(&self, to: Option<pb::RaftMember>) -> Result<(), Status> {
        let to = VoterKey::from_message(to).map_err(|error| malformed(&error))?;
        if to.is(self.own) {
            return Ok(());
        }
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(meant = %to, own = %self.own, "messages of the metadata quorum for another member are refused");
        }
        Err(Status::failed_precondition(format!("this is {}, not {to}", self.own)))
    }

    /// Refuses a node whose directory is not the one that the quorum knows it by: it may have forgotten a vote.
    fn check_candidate(&self, from: Option<pb::RaftMember>) -> Result<(), Status> {
        let from = VoterKey::from_message(from).map_err(|error| malformed(&error))?;
        let known = self.raft.metrics().borrow_watched().membership_config.get_node(&from.id).cloned();
        match known {
            Some(known) if !from.is(VoterKey { id: from.id, directory: known.directory }) => {
                Err(Status::failed_precondition(format!("{from} is not the voter of that number")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a founder that was told something else than this one.
    fn check_founder(&self, request: &pb::IntroduceRequest) -> Result<(), Status> {
        let theirs: BTreeSet<u64> = request.voters.iter().copied().collect();
        let ours = &self.founders;
        if !ours.voters.is_empty() && theirs != ours.voters {
            let message = format!(
                "{} was told the voters {:?}; give every founder the same controller.quorum.voters ({theirs:?} there)",
                self.own, ours.voters
            );
            return Err(Status::failed_precondition(message));
        }
        let own_cluster = ours.cluster_id.map(|id| id.to_string()).unwrap_or_default();
        if !own_cluster.is_empty() && !request.cluster_id.is_empty() && own_cluster != request.cluster_id {
            let message = format!(
                "{} was told the cluster.id {own_cluster}, not {}; give every founder the same",
                self.own, request.cluster_id
            );
            return Err(Status::failed_precondition(message));
        }
        Ok(())
    }

    /// Writes a snapshot to a file of its own as it arrives.
    async fn receive(
        &self,
        messages: &mut Streaming<pb::InstallSnapshotRequest>,
        size: u64,
    ) -> Result<SnapshotFile, Status> {
        if size > MAX_SNAPSHOT_BYTES {
            return Err(Status::resource_exhausted(format!("a metadata snapshot of {size} bytes is too large")));
        }
        let path = received_path(&self.dir, self.received.fetch_add(1, Ordering::Relaxed));
        let mut file = tokio::fs::File::create(&path).await.map_err(|error| failed(&error))?;
        let mut written = 0;
        while let Some(message) = messages.message().await.map_err(unreadable)? {
            let Some(Part::Data(data)) = message.kind else {
                return Err(Status::invalid_argument("a snapshot has one head, and bytes after it"));
            };
            written += data.len() as u64;
            if written > size {
                return Err(Status::invalid_argument("a snapshot is longer than announced"));
            }
            file.write_all(&data).await.map_err(|error| failed(&error))?;
        }
        if written < size {
            return Err(Status::data_loss("a snapshot is shorter than announced"));
        }
        file.sync_all().await.map_err(|error| failed(&error))?;
        Ok(received(path))
    }
}

fn failed(error: &dyn std::error::Error) -> Status {
    Status::unavailable(error.to_string())
}

fn malformed(error: &io::Error) -> Status {
    Status::invalid_argument(error.to_string())
}

#[tonic::async_trait]
impl RaftService for QuorumService {
    async fn vote(&self, request: Request<pb::VoteRequest>) -> Result<Response<pb::VoteResponse>, Status> {
        let message = request.into_inner();
        self.check_receiver(message.to.clone())?;
        self.check_candidate(message.from.clone())?;
        let read = || {
            Ok::<_, io::Error>(VoteRequest::<TypeConfig> {
                vote: vote_from(message.vote)?,
                last_log_id: optional_log_id(message.last_log_id)?,
                leadership_transfer: message.leadership_transfer,
            })
        };
        let rpc = read().map_err(|error| malformed(&error))?;
        let answered = if message.pre_vote { self.raft.pre_vote(rpc).await } else { self.raft.vote(rpc).await };
        let response = answered.map_err(|error| failed(&error))?;
        Ok(Response::new(pb::VoteResponse {
            vote: Some(vote_to(&response.vote)),
            vote_granted: response.vote_granted,
            last_log_id: response.last_log_id.as_ref().map(log_id_to),
        }))
    }

    async fn append_entries(
        &self,
        request: Request<pb::AppendEntriesRequest>,
    ) -> Result<Response<pb::AppendEntriesResponse>, Status> {
        use pb::append_entries_response::Kind;
        let message = request.into_inner();
        self.check_receiver(message.to)?;
        let read = || {
            Ok::<_, io::Error>(AppendEntriesRequest::<TypeConfig> {
                vote: vote_from(message.vote)?,
                prev_log_id: optional_log_id(message.prev_log_id)?,
                entries: message.entries.into_iter().map(entry_from).collect::<io::Result<_>>()?,
                leader_commit: optional_log_id(message.leader_commit)?,
            })
        };
        let rpc = read().map_err(|error| malformed(&error))?;
        let kind = match self.raft.append_entries(rpc).await.map_err(|error| failed(&error))? {
            AppendEntriesResponse::Success => Kind::Success(pb::RaftBlank {}),
            AppendEntriesResponse::PartialSuccess(upto) => {
                Kind::PartialSuccess(pb::PartialSuccess { log_id: upto.as_ref().map(log_id_to) })
            }
            AppendEntriesResponse::Conflict => Kind::Conflict(pb::RaftBlank {}),
            AppendEntriesResponse::HigherVote(vote) => Kind::HigherVote(vote_to(&vote)),
        };
        Ok(Response::new(pb::AppendEntriesResponse { kind: Some(kind) }))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<pb::InstallSnapshotRequest>>,
    ) -> Result<Response<pb::InstallSnapshotResponse>, Status> {
        let mut messages = request.into_inner();
        let first = messages.message().await.map_err(unreadable)?.and_then(|message| message.kind);
        let Some(Part::Head(head)) = first else {
            return Err(Status::invalid_argument("a snapshot begins with its head"));
        };
        self.check_receiver(head.to)?;
        let vote = vote_from(head.vote).map_err(|error| malformed(&error))?;
        let meta = head.meta.ok_or_else(|| Status::invalid_argument("a snapshot without its meta"))?;
        let meta = snapshot_meta_from(meta).map_err(|error| malformed(&error))?;
        let snapshot = self.receive(&mut messages, head.size).await?;
        let installed = self.raft.install_full_snapshot(vote, RaftSnapshot { meta, snapshot }).await;
        let response = installed.map_err(|error| failed(&error))?;
        Ok(Response::new(pb::InstallSnapshotResponse { vote: Some(vote_to(&response.vote)) }))
    }

    async fn transfer_leader(
        &self,
        request: Request<pb::TransferLeaderRequest>,
    ) -> Result<Response<pb::TransferLeaderResponse>, Status> {
        let message = request.into_inner();
        self.check_receiver(message.to)?;
        let vote = vote_from(message.from_leader).map_err(|error| malformed(&error))?;
        let last = optional_log_id(message.last_log_id).map_err(|error| malformed(&error))?;
        let rpc = TransferLeaderRequest::<TypeConfig>::new(vote, message.to_node_id, last);
        match self.raft.handle_transfer_leader(rpc).await.map_err(|error| failed(&error))? {
            Ok(()) => Ok(Response::new(pb::TransferLeaderResponse {})),
            Err(refused) => Err(Status::failed_precondition(refused.to_string())),
        }
    }

    async fn introduce(
        &self,
        request: Request<pb::IntroduceRequest>,
    ) -> Result<Response<pb::IntroduceResponse>, Status> {
        let request = request.into_inner();
        let metrics = self.raft.metrics();
        let membership = metrics.borrow_watched().membership_config.membership().clone();
        let is_member = membership.nodes().next().is_some();
        if !is_member {
            self.check_founder(&request)?;
        }
        let membership = is_member.then(|| membership_to(&membership));
        Ok(Response::new(pb::IntroduceResponse { from: Some(self.own.to_message()), membership }))
    }
}
