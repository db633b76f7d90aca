//! Where a log lies.

use std::path::PathBuf;
use std::sync::Arc;

use levada_types::{TopicId, TopicPartition};

use crate::directory::Directory;
use crate::disk::{Disk, FilePool};

/// Where a log lies: its own directory within a data directory.
#[derive(Debug)]
pub(crate) struct LogDir {
    pub(crate) partition: TopicPartition,
    pub(crate) topic_id: TopicId,
    pub(crate) path: PathBuf,
    pub(crate) directory: Arc<Directory>,
}

impl LogDir {
    pub(crate) fn pool(&self) -> &FilePool {
        &self.directory.pool
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &**self.directory.pool.disk()
    }
}
