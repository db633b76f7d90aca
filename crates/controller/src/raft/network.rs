//! Openraft's network: one gRPC channel to each other member of the quorum, and one more for snapshots.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;
use std::io;
use std::time::Duration;

use futures::{Stream, StreamExt};
use levada_metadata::ControllerId;
use levada_proto::internal as pb;
use levada_proto::internal::raft_client::RaftClient;
use levada_service::grpc::Profile;
use levada_service::net::{Address, Network};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use prost::Message;
use tokio::io::AsyncReadExt;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::snapshot_file::SnapshotFile;
use super::types::{QuorumNode, RaftEntry, RaftSnapshot, RaftVote, TypeConfig};
use super::voter_key::VoterKey;
use super::whereabouts::Whereabouts;
use super::wire::{entry_to, log_id_to, malformed, optional_log_id, snapshot_meta_to, vote_from, vote_to};
use crate::feed::Feed;

/// The pause after a member was not reached. Openraft's own default of 200 ms and more makes a member that is back wait.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(50);

/// Bytes of a snapshot in one message.
const SNAPSHOT_PART_BYTES: usize = 256 * 1024;

/// Bytes of entries that one append carries, unless its first entry alone is larger. What is left goes with the next.
const APPEND_BYTES: usize = 4 << 20;

/// The largest message between controllers: entries are bounded by the limits of `levada-metadata`.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// Makes clients of the other members.
#[derive(Debug, Clone)]
pub(super) struct QuorumNetwork {
    network: Network,
    /// What the members have announced of themselves.
    feed: Feed,
    whereabouts: Whereabouts,
    /// This node.
    own: VoterKey,
}

/// A client of one member.
#[derive(Debug)]
pub(super) struct Member {
    /// `None` if its address cannot be read.
    stub: Option<RaftClient<Channel>>,
    address: String,
    /// As the quorum was told.
    told: String,
    /// After how many misses the call was begun that has had no answer yet.
    calling: Option<usize>,
    network: QuorumNetwork,
    /// Who it is.
    key: VoterKey,
    /// Who asks it.
    own: VoterKey,
}

type RpcResult<T> = Result<T, RPCError<TypeConfig>>;

impl QuorumNetwork {
    /// The way of the node `own` to the others, which it was started with the addresses `configured` of.
    pub(super) fn new(network: Network, feed: Feed, own: VoterKey, configured: BTreeMap<u64, String>) -> Self {
        Self { network, feed, whereabouts: Whereabouts::new(configured), own }
    }

    /// Where a member is, if it has announced it: it may have moved since the quorum was told.
    fn announced(&self, key: VoterKey) -> Option<String> {
        let image = self.feed.image();
        let known = image.controller(ControllerId(key.id)).filter(|known| known.directory == key.directory)?;
        Some(known.internal_address.clone())
    }

    fn stub(&self, address: &str) -> Option<RaftClient<Channel>> {
        let channel = address.parse::<Address>().map(|address| self.network.dialer(address).channel(Profile::Control));
        channel.ok().map(|channel| {
            RaftClient::new(channel)
                .max_decoding_message_size(MAX_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES)
        })
    }

    fn member(&self, id: u64, node: &QuorumNode) -> Member {
        let told = node.internal_address.clone();
        let key = VoterKey { id, directory: node.directory };
        let (stub, address) = (self.stub(&told), told.clone());
        Member { stub, address, told, calling: None, network: self.clone(), key, own: self.own }
    }
}

impl RaftNetworkFactory<TypeConfig> for QuorumNetwork {
    type Network = Member;

    // Each client gets a channel of its own, so neither a snapshot nor a large append delays a heartbeat.
    async fn new_client(&mut self, id: u64, node: &QuorumNode) -> Member {
        self.member(id, node)
    }
}

impl Member {
    /// The way to the member for one call; what comes of it goes through [`Member::answered`]. A call that is dropped
    /// before had no answer.
    fn stub(&mut self) -> RpcResult<&mut RaftClient<Channel>> {
        self.note_miss();
        let (address, misses) = self.network.whereabouts.of(self.key.id, self.network.announced(self.key), &self.told);
        self.calling = Some(misses);
        if address != self.address {
            self.stub = self.network.stub(&address);
            self.address = address;
        }
        let address = &self.address;
        self.stub.as_mut().ok_or_else(|| Unreachable::from_string(format!("{address:?} is not an address")).into())
    }
}

impl Member {
    /// Takes note of whether the member answered, be it that it refused.
    fn answered<T>(&mut self, answer: Result<T, Status>) -> RpcResult<T> {
        if !answer.as_ref().is_err_and(is_miss) {
            self.calling = None;
        }
        answer.map_err(|status| failed(&status))
    }

    fn note_miss(&mut self) {
        if let Some(misses) = self.calling.take() {
            self.network.whereabouts.missed(self.key.id, misses);
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.note_miss();
    }
}

/// Whether a call did not get to the member: nobody was there, or somebody else.
fn is_miss(status: &Status) -> bool {
    use Code::{Cancelled, DeadlineExceeded, FailedPrecondition, Unavailable, Unimplemented};
    matches!(status.code(), Unavailable | Unimplemented | FailedPrecondition | DeadlineExceeded | Cancelled)
}

/// As many of the entries, from the first on, as one message carries; at least one, if there is one.
fn fitting(entries: &[RaftEntry]) -> Vec<pb::RaftEntry> {
    let mut bytes = 0;
    let encoded = entries.iter().map(entry_to).take_while(|entry| {
        let first = bytes == 0;
        bytes += entry.encoded_len();
        first || bytes <= APPEND_BYTES
    });
    encoded.collect()
}

/// A message with the time that openraft gives it.
fn within<T>(message: T, option: &RPCOption) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(option.hard_ttl());
    request
}

fn failed(status: &Status) -> RPCError<TypeConfig> {
    match status.code() {
        // One that is another member than the quorum knows does not become the right one by asking faster.
        Code::Unavailable | Code::Unimplemented | Code::FailedPrecondition => Unreachable::from_string(status).into(),
        _ => NetworkError::from_string(status).into(),
    }
}

fn unreadable(error: &io::Error) -> RPCError<TypeConfig> {
    NetworkError::from_string(error).into()
}

fn vote_request(rpc: &VoteRequest<TypeConfig>, pre_vote: bool, (own, to): (VoterKey, VoterKey)) -> pb::VoteRequest {
    pb::VoteRequest {
        to: Some(to.to_message()),
        from: Some(own.to_message()),
        vote: Some(vote_to(&rpc.vote)),
        last_log_id: rpc.last_log_id.as_ref().map(log_id_to),
        pre_vote,
        leadership_transfer: rpc.leadership_transfer,
    }
}

fn vote_response(response: pb::VoteResponse) -> io::Result<VoteResponse<TypeConfig>> {
    let vote = vote_from(response.vote)?;
    Ok(VoteResponse { vote, vote_granted: response.vote_granted, last_log_id: optional_log_id(response.last_log_id)? })
}

fn append_response(response: pb::AppendEntriesResponse) -> io::Result<AppendEntriesResponse<TypeConfig>> {
    use pb::append_entries_response::Kind;
    Ok(match response.kind.ok_or_else(|| malformed("an answer of an unknown kind"))? {
        Kind::Success(pb::RaftBlank {}) => AppendEntriesResponse::Success,
        Kind::PartialSuccess(partial) => AppendEntriesResponse::PartialSuccess(optional_log_id(partial.log_id)?),
        Kind::Conflict(pb::RaftBlank {}) => AppendEntriesResponse::Conflict,
        Kind::HigherVote(vote) => AppendEntriesResponse::HigherVote(vote_from(Some(vote))?),
    })
}

impl Member {
    async fn ask_for_vote(
        &mut self,
        rpc: &VoteRequest<TypeConfig>,
        pre_vote: bool,
        option: &RPCOption,
    ) -> RpcResult<VoteResponse<TypeConfig>> {
        let request = within(vote_request(rpc, pre_vote, (self.own, self.key)), option);
        let answer = self.stub()?.vote(request).await;
        let response = self.answered(answer)?;
        vote_response(response.into_inner()).map_err(|error| unreadable(&error))
    }
}

impl RaftNetworkV2<TypeConfig> for Member {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<TypeConfig>> {
        let entries = fitting(&rpc.entries);
        // Entries that do not fit are not lost: openraft goes on after the last one that it hears was appended.
        let cut_after = rpc.entries.get(entries.len()).and_then(|_| rpc.entries.get(entries.len() - 1));
        let cut_after = cut_after.map(|entry| entry.log_id);
        let message = pb::AppendEntriesRequest {
            vote: Some(vote_to(&rpc.vote)),
            prev_log_id: rpc.prev_log_id.as_ref().map(log_id_to),
            entries,
            leader_commit: rpc.leader_commit.as_ref().map(log_id_to),
            to: Some(self.key.to_message()),
        };
        let answer = self.stub()?.append_entries(within(message, &option)).await;
        let response = self.answered(answer)?;
        let response = append_response(response.into_inner()).map_err(|error| unreadable(&error))?;
        Ok(match (response, cut_after) {
            (AppendEntriesResponse::Success, Some(last)) => AppendEntriesResponse::PartialSuccess(Some(last)),
            (response, _) => response,
        })
    }

    async fn vote(&mut self, rpc: VoteRequest<TypeConfig>, option: RPCOption) -> RpcResult<VoteResponse<TypeConfig>> {
        self.ask_for_vote(&rpc, false, &option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<TypeConfig>> {
        self.ask_for_vote(&rpc, true, &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: RaftVote,
        snapshot: RaftSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let lost = |error: &dyn Error| StreamingError::Network(NetworkError::from_string(error));
        let file = tokio::fs::File::open(snapshot.snapshot.path()).await.map_err(|e| lost(&e))?;
        let size = file.metadata().await.map_err(|e| lost(&e))?.len();
        let (vote, meta) = (Some(vote_to(&vote)), Some(snapshot_meta_to(&snapshot.meta)));
        let head = pb::InstallSnapshotHead { vote, meta, size, to: Some(self.key.to_message()) };
        let head = pb::InstallSnapshotRequest { kind: Some(pb::install_snapshot_request::Kind::Head(head)) };
        let messages = futures::stream::once(std::future::ready(head)).chain(parts(file));
        let stub = self.stub().map_err(StreamingError::from)?;
        let mut request = Request::new(messages);
        request.set_timeout(option.hard_ttl());
        let answer = tokio::select! {
            closed = cancel => {
                self.calling = None;
                return Err(closed.into());
            }
            answer = stub.install_snapshot(request) => answer,
        };
        let response = self.answered(answer)?;
        let vote = vote_from(response.into_inner().vote).map_err(|e| lost(&e))?;
        Ok(SnapshotResponse::new(vote))
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<TransferLeaderResponse<TypeConfig>> {
        let message = pb::TransferLeaderRequest {
            from_leader: Some(vote_to(request.from_leader())),
            to_node_id: *request.to_node_id(),
            last_log_id: request.last_log_id().map(log_id_to),
            to: Some(self.key.to_message()),
        };
        let answer = self.stub()?.transfer_leader(within(message, &option)).await;
        self.answered(answer)?;
        Ok(Ok(()))
    }

    fn backoff(&self) -> Option<Backoff> {
        Some(Backoff::new(std::iter::repeat(UNREACHABLE_PAUSE)))
    }
}

/// The bytes of a snapshot as messages. A file that cannot be read ends the stream early, which the receiver notices by
/// the size.
fn parts(file: tokio::fs::File) -> impl Stream<Item = pb::InstallSnapshotRequest> {
    futures::stream::unfold(file, |mut file| async move {
        let mut part = vec![0; SNAPSHOT_PART_BYTES];
        let read = match file.read(&mut part).await {
            Ok(0) => return None,
            Ok(read) => read,
            Err(error) => {
                tracing::warn!(%error, "a metadata snapshot cannot be read while it is sent");
                return None;
            }
        };
        part.truncate(read);
        let kind = pb::install_snapshot_request::Kind::Data(part.into());
        Some((pb::InstallSnapshotRequest { kind: Some(kind) }, file))
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use openraft::EntryPayload;

    use super::*;
    use crate::raft::types::{EntryData, RaftLeaderId, RaftLogId};

    fn entries(sizes: &[usize]) -> Vec<RaftEntry> {
        let entry = |(index, len): (u64, &usize)| RaftEntry {
            log_id: RaftLogId { leader_id: RaftLeaderId { term: 1, node_id: 1 }, index },
            payload: EntryPayload::Normal(EntryData(Bytes::from(vec![0; *len]))),
        };
        (0..).zip(sizes).map(entry).collect()
    }

    #[tokio::test]
    async fn a_wrong_announcement_does_not_cut_a_member_off() {
        let directory = levada_types::DirectoryId(uuid::Uuid::from_u128(3));
        let announced = levada_metadata::ControllerRegistration {
            id: ControllerId(3),
            directory,
            internal_address: "memory:wrong".to_owned(),
            levels: levada_metadata::LevelRange::SUPPORTED,
        };
        let delta = levada_metadata::Delta::ControllerRegistered { controller: std::sync::Arc::new(announced) };
        let feed = Feed::new();
        let image = levada_metadata::Image::restore(levada_types::MetadataOffset(1), None, &[delta]).unwrap();
        feed.replace(image);
        let own = VoterKey { id: 1, directory: levada_types::DirectoryId(uuid::Uuid::from_u128(1)) };
        let network = QuorumNetwork::new(Network::new(), feed, own, BTreeMap::new());
        let node = QuorumNode { internal_address: "memory:c-3".to_owned(), directory };
        let called_at = |member: &mut Member| {
            member.stub().unwrap();
            member.address.clone()
        };

        // Nobody is there, which is told.
        let mut member = network.member(3, &node);
        assert_eq!(called_at(&mut member), "memory:wrong");
        assert!(member.answered::<()>(Err(Status::unavailable("refused"))).is_err());
        assert_eq!(called_at(&mut member), "memory:c-3");
        member.answered(Ok(())).unwrap();
        assert_eq!(called_at(&mut member), "memory:c-3");
        // What is sent there is swallowed: the call is given up, and with it the client, as for a vote.
        drop(member);
        assert_eq!(called_at(&mut network.member(3, &node)), "memory:wrong");
        let mut member = network.member(3, &node);
        assert_eq!(called_at(&mut member), "memory:c-3");
        assert!(member.answered::<()>(Err(Status::internal("it is there, and busy"))).is_err());
        assert_eq!(called_at(&mut member), "memory:c-3");
    }

    #[test]
    fn one_append_carries_a_bounded_number_of_bytes_and_at_least_one_entry() {
        assert_eq!(fitting(&entries(&[])).len(), 0);
        assert_eq!(fitting(&entries(&[10, 10, 10])).len(), 3);
        assert_eq!(fitting(&entries(&[2 * APPEND_BYTES, 10])).len(), 1);
        assert_eq!(fitting(&entries(&[APPEND_BYTES / 2, APPEND_BYTES / 3, APPEND_BYTES / 3])).len(), 2);
    }
}
