//! What is in the data directories.

use std::collections::HashMap;
use std::sync::Arc;

use levada_log::{DirectoryInfo, DirectoryState, LogReader};
use levada_types::{DirectoryId, ErrorCode, TopicIdPartition};

use crate::Broker;
use crate::api::{DescribedLogDir, DescribedReplica};
use crate::directories::Wanted;
use crate::partition::Partition;

impl Broker {
    /// See [`Broker::describe_log_dirs`].
    pub(crate) async fn list_log_dirs(&self) -> Vec<DescribedLogDir> {
        let store = Arc::clone(&self.store);
        let partitions = self.partitions.all();
        let moves = self.moves.all();
        // Asking a volume for its room may wait for it.
        tokio::task::spawn_blocking(move || describe(store.directories(), &partitions, &moves))
            .await
            .unwrap_or_default()
    }
}

fn describe(directories: Vec<DirectoryInfo>, partitions: &[Arc<Partition>], moves: &[Wanted]) -> Vec<DescribedLogDir> {
    let mut replicas: HashMap<DirectoryId, Vec<DescribedReplica>> = HashMap::new();
    for partition in partitions {
        let (reader, name) = (partition.reader(), partition.name());
        replicas.entry(partition.directory()).or_default().push(DescribedReplica {
            topic: name.topic.clone(),
            partition: name.partition,
            size: i64::try_from(reader.size_bytes()).unwrap_or(i64::MAX),
            offset_lag: (partition.high_watermark() - reader.log_end_offset()).max(0),
            is_future: false,
        });
    }
    let hosted: HashMap<TopicIdPartition, &Arc<Partition>> = if moves.is_empty() {
        HashMap::new()
    } else {
        partitions.iter().map(|partition| (partition.id(), partition)).collect()
    };
    for Wanted { id, to, copy, .. } in moves {
        let Some(partition) = hosted.get(id).filter(|partition| partition.directory() != *to) else { continue };
        let bytes = copy.as_ref().map_or(0, LogReader::size_bytes);
        let end = copy.as_ref().map_or(0, LogReader::log_end_offset);
        replicas.entry(*to).or_default().push(DescribedReplica {
            topic: partition.name().topic.clone(),
            partition: partition.name().partition,
            size: i64::try_from(bytes).unwrap_or(i64::MAX),
            offset_lag: (partition.reader().log_end_offset() - end).max(0),
            is_future: true,
        });
    }
    directories
        .into_iter()
        .map(|directory| DescribedLogDir {
            path: directory.path.display().to_string(),
            error: match directory.state {
                DirectoryState::Online | DirectoryState::Full => ErrorCode::None,
                DirectoryState::Offline => ErrorCode::KafkaStorageError,
            },
            total_bytes: directory.total_bytes,
            usable_bytes: directory.usable_bytes,
            // Of a failed directory Kafka tells the error and nothing else.
            replicas: match directory.state {
                DirectoryState::Offline => Vec::new(),
                _ => directory.id.and_then(|id| replicas.remove(&id)).unwrap_or_default(),
            },
        })
        .collect()
}
