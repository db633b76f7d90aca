//! Moving replicas between the data directories of this broker (KIP-113).

use std::path::Path;

use levada_log::DirectoryState;
use levada_types::{DirectoryId, ErrorCode};

use crate::Broker;
use crate::api::{MoveReplica, PartitionError};
use crate::partition::Health;

impl Broker {
    /// See [`Broker::move_replicas`].
    pub(crate) fn begin_moves(&self, request: &[MoveReplica]) -> Vec<Result<(), PartitionError>> {
        request.iter().map(|asked| self.begin_move(asked)).collect()
    }

    fn begin_move(&self, asked: &MoveReplica) -> Result<(), PartitionError> {
        let target = self.directory_at(Path::new(&asked.directory))?;
        let partition = self.partitions.get(&asked.partition).ok_or_else(|| self.no_replica(asked))?;
        if partition.health() == Health::Failed {
            partition.check_usable()?;
        }
        if partition.directory() == target {
            self.moves.forget(asked.partition);
        } else {
            self.moves.want(asked.partition, target);
        }
        Ok(())
    }

    fn directory_at(&self, path: &Path) -> Result<DirectoryId, PartitionError> {
        let found = self.store.directories().into_iter().find(|directory| directory.path == path);
        let Some(directory) = found else {
            let message = format!("{} is none of log.dirs", path.display());
            return Err(PartitionError::new(ErrorCode::LogDirNotFound, message));
        };
        directory
            .id
            .filter(|_| directory.state != DirectoryState::Offline)
            .ok_or_else(|| PartitionError::new(ErrorCode::KafkaStorageError, format!("{} is offline", path.display())))
    }

    fn no_replica(&self, asked: &MoveReplica) -> PartitionError {
        let image = self.image();
        match image.partition(asked.partition.topic_id, asked.partition.partition) {
            Some(_) => ErrorCode::ReplicaNotAvailable.into(),
            None => ErrorCode::UnknownTopicOrPartition.into(),
        }
    }
}
