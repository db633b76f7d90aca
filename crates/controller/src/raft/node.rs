//! This controller's member of the quorum: opened, asked to write, watched for leadership, closed.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use levada_proto::internal::raft_server::RaftServer;
use levada_service::net::Network;
use levada_types::MetadataOffset;
use openraft::async_runtime::WatchReceiver;
use openraft::impls::ProgressResponder;
use openraft::{Config, ReadPolicy, ServerState, SnapshotPolicy};

use super::log_store::LogStore;
use super::log_tree::LogTree;
use super::network::{MAX_MESSAGE_BYTES, QuorumNetwork};
use super::reserve::Reserve;
use super::seal;
use super::service::{Founders, QuorumService};
use super::snapshot_file;
use super::state_machine::StateMachine;
use super::types::{EntryData, QuorumNode, Raft, RaftLeaderId, StorageError};
use super::voter_key::VoterKey;
use crate::feed::Feed;
use crate::options::StartError;

/// Entries that stay in the log behind a snapshot, so that a follower that lags a little needs no snapshot.
const KEPT_BEHIND_SNAPSHOT: u64 = 1_000;

/// Entries of one append, and of one write to the disk.
const APPEND_ENTRIES: u64 = 256;

/// What a member of the quorum needs to know.
#[derive(Debug, Clone)]
pub(crate) struct RaftOptions {
    /// This node.
    pub(crate) id: u64,
    /// Where its log and snapshots are.
    pub(crate) dir: PathBuf,
    /// Where this node is reached.
    pub(crate) address: String,
    /// The voters of a new cluster, this one included; empty for a node that joins one.
    pub(crate) founders: Founders,
    /// Where those are reached, as far as this node was told when it was started.
    pub(crate) addresses: BTreeMap<u64, String>,
    /// How often a leader shows that it lives.
    pub(crate) heartbeat: Duration,
    /// After how long without a leader an election begins, at least; at most it is twice that.
    pub(crate) election_timeout: Duration,
    /// Entries after which a snapshot is written and the log before it dropped.
    pub(crate) snapshot_entries: u64,
    /// Bytes of entries after which the leader does so before there are as many entries.
    pub(crate) snapshot_bytes: u64,
}

/// Who leads, as far as this node knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Leadership {
    /// The term in which this node leads, if it does.
    pub(crate) own_term: Option<u64>,
    /// Who leads, and where it is reached.
    pub(crate) leader: Option<(u64, Option<String>)>,
}

/// How a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is committed and was applied.
    Applied(MetadataOffset),
    /// It is committed and was skipped.
    Skipped,
    /// It was refused, or nobody knows.
    Lost,
}

/// A running member of the quorum. Clones share it.
#[derive(Clone)]
pub(crate) struct RaftNode {
    key: VoterKey,
    pub(super) raft: Raft,
    service: QuorumService,
    grown: Arc<AtomicU64>,
    snapshot_bytes: u64,
    reserve: Arc<Reserve>,
    /// Where the log is.
    log_dir: PathBuf,
}

impl RaftNode {
    /// Opens the log, restores the metadata into `feed` and takes part in the quorum.
    pub(crate) async fn open(options: &RaftOptions, network: Network, feed: Feed) -> Result<Self, StartError> {
        let snapshots = options.dir.join("snapshots");
        let (tree, reserve) = {
            let (dir, snapshots, id) = (options.dir.clone(), snapshots.clone(), options.id);
            let opened = tokio::task::spawn_blocking(move || {
                snapshot_file::clean(&snapshots)
                    .map_err(|source| StorageError::File { path: snapshots.clone(), source })?;
                let tree = LogTree::open(&dir.join("log"), id)?;
                // At once, before others of this node fill what opening it has left.
                let reserve = Reserve::of(tree.path())
                    .map_err(|source| StorageError::File { path: tree.path().to_owned(), source })?;
                Ok::<_, StorageError>((tree, Arc::new(reserve)))
            });
            opened.await.map_err(|error| StartError::Raft(error.to_string()))??
        };
        let path = tree.path().to_owned();
        let key = VoterKey { id: options.id, directory: tree.directory() };
        let log_dir = path.clone();
        let store = LogStore::new(tree, Arc::clone(&reserve)).map_err(|source| StorageError::File { path, source })?;
        let grown = Arc::new(AtomicU64::new(0));
        let machine = StateMachine::new(snapshots.clone(), feed.clone(), Arc::clone(&grown));
        let config = Arc::new(config(options)?);
        let others = QuorumNetwork::new(network, feed.clone(), key, options.addresses.clone());
        let raft = Raft::new(options.id, config, others, store, machine)
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;
        let service = QuorumService::new(raft.clone(), key, options.founders.clone(), snapshots);
        let node = Self { key, service, raft, grown, snapshot_bytes: options.snapshot_bytes, reserve, log_dir };
        node.begin(options).await?;
        Ok(node)
    }

    /// A voter that is alone need not wait for anybody: it founds its quorum, and elects itself. See [`super::Founding`]
    /// for several.
    async fn begin(&self, options: &RaftOptions) -> Result<(), StartError> {
        let failed = |error: &dyn std::error::Error| StartError::Raft(error.to_string());
        let is_self = |id: u64| id == self.key.id;
        if self.is_initialized().await? {
            if self.raft.voter_ids().all(is_self) {
                self.raft.trigger().elect(false).await.map_err(|e| failed(&e))?;
            }
        } else if options.founders.voters.len() == 1 && options.founders.voters.iter().copied().all(is_self) {
            let node = QuorumNode { directory: self.key.directory, internal_address: options.address.clone() };
            self.found([(self.key.id, node)].into()).await?;
        }
        Ok(())
    }

    /// This node with its directory.
    pub(crate) fn key(&self) -> VoterKey {
        self.key
    }

    /// Whether this node has ever heard of a quorum that it belongs to.
    pub(crate) async fn is_initialized(&self) -> Result<bool, StartError> {
        self.raft.is_initialized().await.map_err(|error| StartError::Raft(error.to_string()))
    }

    /// The service that the other members call.
    pub(crate) fn service(&self) -> RaftServer<QuorumService> {
        RaftServer::new(self.service.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Hands over an entry to be written in this term and no other. Entries are written in the order in which these
    /// calls are made, and the future that it gives tells the outcome.
    pub(crate) async fn write(&self, term: u64, entry: Bytes) -> impl Future<Output = Written> + Send + use<> {
        let (responder, outcome) = ProgressResponder::complete_only();
        let leader = RaftLeaderId { term, node_id: self.key.id };
        let sent = self.raft.write(EntryData(entry)).with_leader(leader).responder(responder).await;
        async move {
            if sent.is_err() {
                return Written::Lost;
            }
            match outcome.await {
                Ok(Ok(response)) if response.data.applied => Written::Applied(MetadataOffset(response.log_id.index)),
                Ok(Ok(_)) => Written::Skipped,
                _ => Written::Lost,
            }
        }
    }

    /// Whether the disk has room for commands that create anything.
    pub(crate) fn has_room(&self) -> bool {
        self.reserve.has_room()
    }

    /// Waits until leadership is not `known` any more, and says what it is then. `None` when Raft has stopped.
    pub(crate) async fn leadership_other_than(&self, known: &Leadership) -> Option<Leadership> {
        let mut metrics = self.raft.server_metrics();
        loop {
            {
                let now = metrics.borrow_and_update();
                let own_term = (now.state == ServerState::Leader && now.vote.leader_id.node_id == self.key.id)
                    .then_some(now.vote.leader_id.term);
                let leader = now.current_leader.map(|id| {
                    let node = now.membership_config.membership().get_node(&id);
                    (id, node.map(|node| node.internal_address.clone()))
                });
                let leadership = Leadership { own_term, leader };
                if leadership != *known {
                    return Some(leadership);
                }
            }
            metrics.changed().await.ok()?;
        }
    }

    /// Whether a quorum has confirmed just now that this node leads.
    pub(crate) async fn is_confirmed_leader(&self) -> bool {
        self.raft.get_read_linearizer(ReadPolicy::LeaseRead).await.is_ok()
    }

    /// Has a snapshot written, and the log before it dropped, if the log has grown large since the last one.
    pub(crate) async fn compact_if_large(&self) {
        if self.grown.load(Ordering::Relaxed) < self.snapshot_bytes {
            return;
        }
        self.grown.store(0, Ordering::Relaxed);
        if let Err(error) = self.raft.trigger().snapshot().await {
            tracing::warn!(%error, "no snapshot of the metadata can be written; Raft has stopped");
        }
    }

    /// Why Raft has stopped by itself, if it has: its storage failed, or it met an entry that it does not know.
    pub(crate) fn failure(&self) -> Option<String> {
        self.raft.metrics().borrow_watched().running_state.as_ref().err().map(ToString::to_string)
    }

    /// Stops taking part. What was written is on the disk, and sealed if all went well.
    pub(crate) async fn close(&self) {
        let failed = self.failure().is_some();
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!(%error, "Raft did not stop in good order");
            return;
        }
        if failed {
            return;
        }
        let log_dir = self.log_dir.clone();
        match tokio::task::spawn_blocking(move || seal::seal(&log_dir)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the metadata log is not sealed; it is opened unchecked"),
            Err(error) => tracing::error!(%error, "a defect kept the metadata log from being sealed"),
        }
    }
}

fn config(options: &RaftOptions) -> Result<Config, StartError> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let config = Config {
        cluster_name: "levada".to_owned(),
        heartbeat_interval: millis(options.heartbeat),
        election_timeout_min: millis(options.election_timeout),
        election_timeout_max: millis(options.election_timeout).saturating_mul(2),
        snapshot_policy: SnapshotPolicy::LogsSinceLast(options.snapshot_entries),
        max_in_snapshot_log_to_keep: KEPT_BEHIND_SNAPSHOT.min(options.snapshot_entries),
        max_payload_entries: APPEND_ENTRIES,
        enable_pre_vote: Some(true),
        // Entries are sent to the others while they are still being written here. A leader that went on in its term after a
        // start could lack some that others have, and would give their places to other entries of the same term, which
        // nobody tells apart. In a new term it cannot.
        enable_leader_restore: Some(false),
        ..Config::default()
    };
    config.validate().map_err(|error| StartError::Raft(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn alone(dir: &std::path::Path) -> (RaftNode, Feed, u64) {
        let options = RaftOptions {
            id: 1,
            dir: dir.to_owned(),
            address: "memory:c-1".to_owned(),
            founders: Founders { voters: [1].into(), cluster_id: None },
            addresses: BTreeMap::new(),
            heartbeat: Duration::from_millis(100),
            election_timeout: Duration::from_millis(300),
            snapshot_entries: 100,
            snapshot_bytes: 1 << 20,
        };
        let feed = Feed::new();
        let node = RaftNode::open(&options, Network::new(), feed.clone()).await.unwrap();
        let mut leadership = Leadership::default();
        while leadership.own_term.is_none() {
            leadership = node.leadership_other_than(&leadership).await.unwrap();
        }
        (node, feed, leadership.own_term.unwrap())
    }

    fn barrier() -> Bytes {
        use prost::Message;
        levada_proto::internal::Entry::from(&levada_metadata::Entry::Barrier).encode_to_vec().into()
    }

    #[tokio::test]
    async fn a_write_bound_to_another_term_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (node, feed, term) = alone(dir.path()).await;
        assert_eq!(node.write(term + 1, barrier()).await.await, Written::Lost);
        let Written::Applied(offset) = node.write(term, barrier()).await.await else { panic!("it is applied") };
        assert_eq!(feed.image().offset(), offset, "whoever hears of it finds the image that has it");
        assert!(node.is_confirmed_leader().await);
        node.close().await;
    }

    #[tokio::test]
    async fn a_leader_that_is_started_again_leads_in_a_new_term() {
        let dir = tempfile::tempdir().unwrap();
        let (node, _, before) = alone(dir.path()).await;
        node.close().await;
        drop(node);
        let (node, _, after) = alone(dir.path()).await;
        assert!(after > before, "{after} after {before}");
        node.close().await;
    }

    #[tokio::test]
    async fn an_entry_that_this_build_does_not_know_stops_the_node() {
        let dir = tempfile::tempdir().unwrap();
        let (node, feed, term) = alone(dir.path()).await;
        let before = feed.image();
        let unknown = Bytes::from_static(&[0x08, 0x63]);
        assert_eq!(node.write(term, unknown).await.await, Written::Lost);
        let mut leadership = Leadership::default();
        while let Some(next) = node.leadership_other_than(&leadership).await {
            leadership = next;
        }
        let failure = node.failure().expect("Raft has stopped");
        assert!(failure.contains("version 99"), "{failure}");
        assert_eq!(feed.image().state(), before.state());
        node.close().await;
    }
}
