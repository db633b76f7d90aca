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
}

impl ClusterDescription {
    pub(super) fn read(answer: v1::DescribeClusterResponse) -> Self {
        let broker = |broker: v1::Broker| BrokerDescription {
            id: BrokerId(broker.broker_id),
            grpc_address: broker.grpc_address,
            kafka_address: broker.kafka_address,
            rack: broker.rack,
            fenced: broker.fenced,
        };
        Self {
            cluster_id: answer.cluster_id,
            answered_by: BrokerId(answer.answered_by),
            metadata_offset: answer.metadata_offset,
            brokers: answer.brokers.into_iter().map(broker).collect(),
        }
    }
}
