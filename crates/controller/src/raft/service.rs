//! The Raft gRPC service: what other members ask of this one.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use levada_proto::internal as pb;
use levada_proto::internal::install_snapshot_request::Kind as Part;
use levada_proto::internal::raft_server::Raft as RaftService;
use levada_service::grpc::unreadable;
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, TransferLeaderRequest, VoteRequest};
use tokio::io::AsyncWriteExt;
use tonic::{Request, Response, Status, Streaming};

use super::snapshot_file::{SnapshotFile, received, received_path};
use super::types::{Raft, RaftSnapshot, TypeConfig};
use super::wire::{entry_from, log_id_to, optional_log_id, snapshot_meta_from, vote_from, vote_to};

/// The largest snapshot that is taken in. Metadata of a million partitions is below a tenth of it.
const MAX_SNAPSHOT_BYTES: u64 = 4 << 30;

/// Answers the other members of the quorum.
#[derive(Clone)]
pub(crate) struct QuorumService {
    raft: Raft,
    dir: PathBuf,
    received: Arc<AtomicU64>,
}

impl QuorumService {
    /// For `raft`, which keeps its snapshots in `dir`.
    pub(super) fn new(raft: Raft, dir: PathBuf) -> Self {
        Self { raft, dir, received: Arc::default() }
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
        let vote = vote_from(message.from_leader).map_err(|error| malformed(&error))?;
        let last = optional_log_id(message.last_log_id).map_err(|error| malformed(&error))?;
        let rpc = TransferLeaderRequest::<TypeConfig>::new(vote, message.to_node_id, last);
        match self.raft.handle_transfer_leader(rpc).await.map_err(|error| failed(&error))? {
            Ok(()) => Ok(Response::new(pb::TransferLeaderResponse {})),
            Err(refused) => Err(Status::failed_precondition(refused.to_string())),
        }
    }
}
