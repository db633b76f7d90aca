//! The cluster, as an administrator sees it.

use levada_proto::v1;
use levada_types::BrokerId;

/// The cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its identity, 22 characters.
    pub cluster_id: String,
    /// The broker that answered.
    pub answered_by: BrokerId,
    /// Where the answering broker's view stands in the metadata log.
    pub metadata_offset: u64,
    /// The brokers, by ascending id.
    pub brokers: Vec<BrokerDescription>,
    /// How its partitions fare.
    pub health: ClusterHealth,
}

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerDescription {
    /// Its id.
    pub id: BrokerId,
    /// Where it serves gRPC, as `host:port`; empty if it does not.
    pub grpc_address: String,
    /// Where it serves the Kafka protocol, as `host:port`; empty if it does not.
    pub kafka_address: String,
    /// The rack or zone it stands in.
    pub rack: Option<String>,
    /// Whether it is registered but not alive as far as the controller knows.
    pub fenced: bool,
    /// Whether it has given notice of its shutdown.
    pub stopping: bool,
    /// Whether it is being emptied.
    pub draining: bool,
    /// Replicas that it holds.
    pub replicas: u32,
    /// Partitions that it leads.
    pub leaderships: u32,
}

/// How the partitions of a cluster fare, as the answering broker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClusterHealth {
    /// Topics, internal ones included.
    pub topics: u32,
    /// Partitions of all topics.
    pub partitions: u32,
    /// Partitions that nobody leads.
    pub leaderless: u32,
    /// Partitions with fewer in-sync replicas than `min.insync.replicas`.
    pub under_min_isr: u32,
    /// Partitions with fewer in-sync replicas than replicas.
    pub under_replicated: u32,
    /// Partitions that are being moved.
    pub reassigning: u32,
    /// Elections after which acknowledged records may be missing, over all partitions.
    pub possible_losses: u64,
}

impl ClusterDescription {
    pub(super) fn read(answer: v1::DescribeClusterResponse) -> Self {
        let broker = |broker: v1::Broker| BrokerDescription {
            id: BrokerId(broker.broker_id),
            grpc_address: broker.grpc_address,
            kafka_address: broker.kafka_address,
            rack: broker.rack,
            fenced: broker.fenced,
            stopping: broker.stopping,
            draining: broker.draining,
            replicas: broker.replicas,
            leaderships: broker.leaderships,
        };
        Self {
            cluster_id: answer.cluster_id,
            answered_by: BrokerId(answer.answered_by),
            metadata_offset: answer.metadata_offset,
            brokers: answer.brokers.into_iter().map(broker).collect(),
            health: answer.health.map(ClusterHealth::read).unwrap_or_default(),
        }
    }
}

impl ClusterHealth {
    fn read(health: v1::ClusterHealth) -> Self {
        Self {
            topics: health.topics,
            partitions: health.partitions,
            leaderless: health.leaderless,
            under_min_isr: health.under_min_isr,
            under_replicated: health.under_replicated,
            reassigning: health.reassigning,
            possible_losses: health.possible_losses,
        }
    }
}
