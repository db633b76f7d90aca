//! Data directories of brokers, and replicas that move between them.

use levada_proto::v1;
use levada_types::{BrokerId, TopicPartition};

use super::partitions::{self, to_messages};
use super::{Admin, PartitionOutcome};
use crate::ClientError;
use crate::cluster::admin_on;

/// The data directories of one broker.
#[derive(Debug, Clone)]
pub struct BrokerLogDirs {
    /// Which broker.
    pub broker: BrokerId,
    /// Its directories, or why it could not be asked.
    pub log_dirs: Result<Vec<LogDir>, ClientError>,
}

/// One data directory.
#[derive(Debug, Clone)]
pub struct LogDir {
    /// Its path at the broker.
    pub path: String,
    /// Why it cannot be used, if it cannot: `KAFKA_STORAGE_ERROR`.
    pub error: Option<ClientError>,
    /// Bytes of its volume, if known.
    pub total_bytes: Option<u64>,
    /// Bytes of its volume that can be written, if known.
    pub usable_bytes: Option<u64>,
    /// The replicas in it.
    pub replicas: Vec<LogDirReplica>,
}

/// A replica in a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDirReplica {
    /// Of which partition.
    pub partition: TopicPartition,
    /// Bytes of its segments.
    pub size_bytes: u64,
    /// How many records it is behind the high watermark; a future replica behind the current one.
    pub offset_lag: i64,
    /// Whether it is being moved here and is not in use yet.
    pub is_future: bool,
}

impl Admin {
    /// The data directories of these brokers (of all, if there are none), with the replicas of these partitions (with all,
    /// if there are none).
    ///
    /// # Errors
    /// The broker's; that one of the others cannot be asked is told in its place.
    pub async fn describe_log_dirs(
        &self,
        brokers: &[BrokerId],
        partitions: &[TopicPartition],
    ) -> Result<Vec<BrokerLogDirs>, ClientError> {
        let request = v1::DescribeLogDirsRequest {
            broker_ids: brokers.iter().map(|id| id.0).collect(),
            partitions: to_messages(partitions),
        };
        let (address, answer) =
            self.call(request, |mut admin, request| async move { admin.describe_log_dirs(request).await }).await?;
        answer.brokers.into_iter().map(|broker| BrokerLogDirs::read(&address, broker)).collect()
    }

    /// Moves replicas of one broker into others of its data directories, each on its own.
    ///
    /// # Errors
    /// `BROKER_NOT_AVAILABLE` if the broker cannot be found; those of each replica are in its outcome.
    pub async fn alter_replica_log_dirs(
        &self,
        broker: BrokerId,
        moves: &[(TopicPartition, String)],
    ) -> Result<Vec<PartitionOutcome<()>>, ClientError> {
        let replica = |(at, path): &(TopicPartition, String)| v1::ReplicaLogDir {
            topic: at.topic.to_string(),
            partition: at.partition,
            path: path.clone(),
        };
        let request =
            v1::AlterReplicaLogDirsRequest { broker_id: broker.0, replicas: moves.iter().map(replica).collect() };
        let address = self.address_of(broker).await?;
        let ask = |channel| async move { admin_on(channel).alter_replica_log_dirs(request).await };
        let answer = self.cluster.ask_at(&address, self.cluster.deadline(), ask).await?;
        PartitionOutcome::read_all(&address, answer.results)
    }
}

impl BrokerLogDirs {
    fn read(address: &str, broker: v1::BrokerLogDirs) -> Result<Self, ClientError> {
        let log_dirs = match broker.error {
            Some(error) => Err(ClientError::from_message(error)),
            None => Ok(broker.log_dirs.into_iter().map(|dir| LogDir::read(address, dir)).collect::<Result<_, _>>()?),
        };
        Ok(Self { broker: BrokerId(broker.broker_id), log_dirs })
    }
}

impl LogDir {
    fn read(address: &str, dir: v1::LogDir) -> Result<Self, ClientError> {
        let bytes = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
        let replica = |replica: v1::LogDirReplica| {
            Ok(LogDirReplica {
                partition: partitions::read(address, &replica.topic, replica.partition)?,
                size_bytes: replica.size_bytes.try_into().unwrap_or(0),
                offset_lag: replica.offset_lag,
                is_future: replica.is_future,
            })
        };
        Ok(Self {
            path: dir.path,
            error: dir.error.map(ClientError::from_message),
            total_bytes: bytes(dir.total_bytes),
            usable_bytes: bytes(dir.usable_bytes),
            replicas: dir.replicas.into_iter().map(replica).collect::<Result<_, ClientError>>()?,
        })
    }
}
