//! Brokers that are evened out, emptied and forgotten; controllers that vote; features.

use std::time::Duration;

use levada_proto::v1;
use levada_types::{BrokerId, DirectoryId, TopicPartition};

use super::{Admin, Stub, partitions};
use crate::ClientError;

/// How much longer than the server an answer may take to arrive.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

/// How evening out the brokers stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebalance {
    /// Whether it is under way.
    pub active: bool,
    /// Bytes per second that each broker may send, and may receive, of replicas that move, if that is limited.
    pub throttle: Option<u64>,
    /// Partitions that move at the moment, for whatever reason.
    pub moving: u32,
    /// Partitions that would be moved after those; at most 10000 are counted.
    pub planned_moves: u32,
    /// What each broker that takes replicas holds, by ascending id.
    pub brokers: Vec<BrokerLoad>,
}

/// What a broker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerLoad {
    /// Which broker.
    pub broker: BrokerId,
    /// Replicas that it holds.
    pub replicas: u32,
    /// Partitions that it is the preferred leader of.
    pub preferred_leaderships: u32,
}

/// How emptying a broker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decommission {
    /// Which broker.
    pub broker: BrokerId,
    /// Whether it is being emptied, or is empty because it was.
    pub draining: bool,
    /// Replicas that it still holds; at 0 it may be stopped and unregistered.
    pub replicas: u32,
    /// Partitions that it still leads.
    pub leaderships: u32,
    /// Partitions that are on their way to others.
    pub moving: u32,
    /// Bytes of its logs, if it told.
    pub remaining_bytes: Option<u64>,
    /// What keeps it from becoming empty, at most 100.
    pub stuck: Vec<StuckReplica>,
    /// How many replicas are kept.
    pub stuck_count: u32,
}

/// A replica that does not get away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StuckReplica {
    /// Of which partition.
    pub partition: TopicPartition,
    /// Why, and what to do; for people.
    pub reason: String,
}

/// How the quorum of the controllers stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// The active controller.
    pub leader: u64,
    /// Its term.
    pub term: u64,
    /// The last entry of the metadata log that is committed.
    pub committed_offset: u64,
    /// Those who vote, by ascending id.
    pub voters: Vec<QuorumMember>,
    /// Those who only follow, by ascending id.
    pub observers: Vec<QuorumMember>,
}

/// A controller of the quorum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumMember {
    /// Its id.
    pub id: u64,
    /// The identity of its metadata directory, 22 characters.
    pub directory_id: String,
    /// Where other roles reach it.
    pub address: String,
    /// The newest entry that it is known to have.
    pub log_end_offset: Option<u64>,
    /// How many entries it is behind the leader.
    pub lag: Option<u64>,
    /// How long ago the leader has heard of it; zero for the leader.
    pub last_heard: Option<Duration>,
}

/// Something that a cluster does only once all of its nodes can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its name, such as `metadata.level`.
    pub name: String,
    /// The level that the cluster works at.
    pub finalized_level: Option<u32>,
    /// The lowest level that every node supports.
    pub min_supported_level: u32,
    /// The highest level that every node supports.
    pub max_supported_level: u32,
    /// The nodes that keep it where it is.
    pub limited_by: Vec<NodeLevels>,
}

/// The levels that one node supports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLevels {
    /// `broker 3` or `controller 1`.
    pub node: String,
    /// The lowest.
    pub min: u32,
    /// The highest.
    pub max: u32,
}

/// A feature that is to have another level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureUpdate {
    /// Its name.
    pub name: String,
    /// The level.
    pub level: u32,
    /// Whether it may become lower.
    pub allow_downgrade: bool,
}

impl Admin {
    /// Begins to even out the brokers, with at most `throttle` bytes per second in and out of each; tells how many
    /// partitions will move. With `validate_only` it only tells.
    ///
    /// # Errors
    /// The broker's.
    pub async fn start_rebalance(&self, throttle: Option<u64>, validate_only: bool) -> Result<u32, ClientError> {
        let request = v1::StartRebalanceRequest { validate_only, throttle_bytes_per_second: throttle };
        let ask = |mut admin: Stub, request| async move { admin.start_rebalance(request).await };
        Ok(self.call(request, ask).await?.1.planned_moves)
    }

    /// Ends evening out; what is on its way goes on.
    ///
    /// # Errors
    /// The broker's.
    pub async fn cancel_rebalance(&self) -> Result<(), ClientError> {
        let ask = |mut admin: Stub, request| async move { admin.cancel_rebalance(request).await };
        self.call(v1::CancelRebalanceRequest {}, ask).await.map(|_| ())
    }

    /// How evening out stands.
    ///
    /// # Errors
    /// The broker's.
    pub async fn describe_rebalance(&self) -> Result<Rebalance, ClientError> {
        let ask = |mut admin: Stub, request| async move { admin.describe_rebalance(request).await };
        let (_, answer) = self.call(v1::DescribeRebalanceRequest {}, ask).await?;
        let load = |load: v1::BrokerLoad| BrokerLoad {
            broker: BrokerId(load.broker_id),
            replicas: load.replicas,
            preferred_leaderships: load.preferred_leaderships,
        };
        Ok(Rebalance {
            active: answer.active,
            throttle: answer.throttle_bytes_per_second,
            moving: answer.moving,
            planned_moves: answer.planned_moves,
            brokers: answer.brokers.into_iter().map(load).collect(),
        })
    }

    /// Begins to empty a broker.
    ///
    /// # Errors
    /// The broker's, such as `BROKER_ID_NOT_REGISTERED`.
    pub async fn start_decommission(&self, broker: BrokerId) -> Result<(), ClientError> {
        let ask = |mut admin: Stub, request| async move { admin.start_decommission(request).await };
        self.call(v1::StartDecommissionRequest { broker_id: broker.0 }, ask).await.map(|_| ())
    }

    /// Stops emptying a broker.
    ///
    /// # Errors
    /// The broker's, such as `BROKER_ID_NOT_REGISTERED`.
    pub async fn cancel_decommission(&self, broker: BrokerId) -> Result<(), ClientError> {
        let ask = |mut admin: Stub, request| async move { admin.cancel_decommission(request).await };
        self.call(v1::CancelDecommissionRequest { broker_id: broker.0 }, ask).await.map(|_| ())
    }

    /// How emptying these brokers stands; without any, of all that are being emptied.
    ///
    /// # Errors
    /// The broker's, such as `BROKER_ID_NOT_REGISTERED`.
    pub async fn describe_decommissions(&self, brokers: &[BrokerId]) -> Result<Vec<Decommission>, ClientError> {
        let ask = |mut admin: Stub, request| async move { admin.describe_decommission(request).await };
        let request = v1::DescribeDecommissionRequest { broker_ids: brokers.iter().map(|id| id.0).collect() };
        let (address, answer) = self.call(request, ask).await?;
        answer.decommissions.into_iter().map(|told| Decommission::read(&address, told)).collect()
    }

    /// Forgets a broker that is not alive.
    ///
    /// # Errors
    /// The broker's, such as `INVALID_REQUEST` if it is alive.
    pub async fn unregister_broker(&self, broker: BrokerId) -> Result<(), ClientError> {
        let ask = |mut admin: Stub, request| async move { admin.unregister_broker(request).await };
        self.call(v1::UnregisterBrokerRequest { broker_id: broker.0 }, ask).await.map(|_| ())
    }

    /// How the quorum of the controllers stands.
    ///
    /// # Errors
    /// `REQUEST_TIMED_OUT` if no controller is active.
    pub async fn describe_quorum(&self) -> Result<Quorum, ClientError> {
        let ask = |mut admin: Stub, request| async move { admin.describe_quorum(request).await };
        let (_, answer) = self.call(v1::DescribeQuorumRequest {}, ask).await?;
        let members = |members: Vec<v1::QuorumMember>| members.into_iter().map(QuorumMember::read).collect();
        Ok(Quorum {
            leader: answer.leader_id,
            term: answer.term,
            committed_offset: answer.committed_offset,
            voters: members(answer.voters),
            observers: members(answer.observers),
        })
    }

    /// Gives a controller a vote and waits up to `timeout` until it has caught up.
    ///
    /// # Errors
    /// The broker's, such as `RESOURCE_NOT_FOUND` if the controller has not announced itself.
    pub async fn add_voter(
        &self,
        id: u64,
        directory: Option<DirectoryId>,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let request = v1::AddVoterRequest {
            controller_id: id,
            directory_id: directory.map(|directory| directory.to_string()).unwrap_or_default(),
            timeout_ms: millis(timeout),
        };
        let ask = |mut admin: Stub, request| async move { admin.add_voter(request).await };
        self.call_within(timeout + ANSWER_GRACE, request, ask).await.map(|_| ())
    }

    /// Takes a controller's vote away and waits up to `timeout` until that is done.
    ///
    /// # Errors
    /// The broker's, such as `VOTER_NOT_FOUND`.
    pub async fn remove_voter(
        &self,
        id: u64,
        directory: Option<DirectoryId>,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let request = v1::RemoveVoterRequest {
            controller_id: id,
            directory_id: directory.map(|directory| directory.to_string()).unwrap_or_default(),
            timeout_ms: millis(timeout),
        };
        let ask = |mut admin: Stub, request| async move { admin.remove_voter(request).await };
        self.call_within(timeout + ANSWER_GRACE, request, ask).await.map(|_| ())
    }

    /// The cluster's features and their levels.
    ///
    /// # Errors
    /// The broker's.
    pub async fn describe_features(&self) -> Result<Vec<Feature>, ClientError> {
        let ask = |mut admin: Stub, request| async move { admin.describe_features(request).await };
        let (_, answer) = self.call(v1::DescribeFeaturesRequest {}, ask).await?;
        Ok(answer.features.into_iter().map(Feature::read).collect())
    }

    /// Changes levels of features, all or none.
    ///
    /// # Errors
    /// The broker's, such as `INVALID_UPDATE_VERSION`.
    pub async fn update_features(&self, updates: &[FeatureUpdate], validate_only: bool) -> Result<(), ClientError> {
        let update = |update: &FeatureUpdate| v1::FeatureUpdate {
            name: update.name.clone(),
            level: update.level,
            allow_downgrade: update.allow_downgrade,
        };
        let request = v1::UpdateFeaturesRequest { updates: updates.iter().map(update).collect(), validate_only };
        let ask = |mut admin: Stub, request| async move { admin.update_features(request).await };
        self.call(request, ask).await.map(|_| ())
    }
}

/// At least 1, since 0 would ask for the server's own limit.
fn millis(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).max(1)
}

impl Decommission {
    fn read(address: &str, told: v1::Decommission) -> Result<Self, ClientError> {
        let stuck = |stuck: v1::StuckReplica| {
            let partition = partitions::read(address, &stuck.topic, stuck.partition)?;
            Ok(StuckReplica { partition, reason: stuck.reason })
        };
        Ok(Self {
            broker: BrokerId(told.broker_id),
            draining: told.draining,
            replicas: told.replicas,
            leaderships: told.leaderships,
            moving: told.moving,
            remaining_bytes: told.remaining_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
            stuck: told.stuck.into_iter().map(stuck).collect::<Result<_, ClientError>>()?,
            stuck_count: told.stuck_count,
        })
    }
}

impl QuorumMember {
    fn read(member: v1::QuorumMember) -> Self {
        Self {
            id: member.controller_id,
            directory_id: member.directory_id,
            address: member.address,
            log_end_offset: member.log_end_offset,
            lag: member.lag,
            last_heard: member.last_heard_ms.map(Duration::from_millis),
        }
    }
}

impl Feature {
    fn read(feature: v1::Feature) -> Self {
        let node = |node: v1::NodeLevels| NodeLevels { node: node.node, min: node.min_level, max: node.max_level };
        Self {
            name: feature.name,
            finalized_level: feature.finalized_level,
            min_supported_level: feature.min_supported_level,
            max_supported_level: feature.max_supported_level,
            limited_by: feature.limited_by.into_iter().map(node).collect(),
        }
    }
}
