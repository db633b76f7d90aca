//! A data directory with one log, on a disk in memory.

use std::collections::HashMap;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use levada_log::disk::{Disk, OpenMode};
use levada_log::sim::SimDisk;
use levada_log::{AppendBatch, LogConfig, LogStore, LogWriter, OpenError, OpenLog, OpenedLog, Origin, StoreOptions};
use levada_records::{BatchBuilder, Compression};
use levada_types::{BrokerId, DirectoryId, LeaderEpoch, TopicId, TopicIdPartition, TopicName};
use uuid::Uuid;

/// When everything happens, in milliseconds.
pub(crate) const NOW: i64 = 1_700_000_000_000;

/// The only topic.
const TOPIC: &str = "t";

/// The only topic's id.
const TOPIC_ID: TopicId = TopicId(Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f));

/// The data directory.
const DIRECTORY: &str = "/data";

/// A disk with nothing else on it.
pub(crate) struct Workshop(SimDisk);

impl Workshop {
    /// The `partition.metadata` of the only log.
    pub(crate) const PARTITION_METADATA: &str = "version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw\n";

    pub(crate) fn new() -> Self {
        Self(SimDisk::new())
    }

    /// Writes a file of the log, in place of the one that is there.
    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        let log_dir = Path::new(DIRECTORY).join(format!("{TOPIC}-0"));
        let written = self.0.create_dir_all(&log_dir).and_then(|()| {
            let file = self.0.open(&log_dir.join(name), OpenMode::Create)?;
            file.set_len(0)?;
            file.write_vectored_at(&[IoSlice::new(content)], 0)
        });
        assert_eq!(written.ok(), Some(content.len()), "{name} could not be written");
    }

    pub(crate) fn open_store(&self) -> LogStore {
        let options = StoreOptions {
            directories: vec![PathBuf::from(DIRECTORY)],
            cluster_id: None,
            node_id: BrokerId(1),
            recovery_threads: 1,
            max_open_files: 16,
        };
        let store = LogStore::open(options, Arc::new(self.0.clone()), &mut || DirectoryId(Uuid::from_u128(7)));
        store.unwrap_or_else(|error| panic!("the store does not open: {error}"))
    }

    pub(crate) fn open_log(&self, store: &LogStore) -> Result<OpenedLog, OpenError> {
        let topic = TopicName::new(TOPIC).unwrap_or_else(|error| panic!("{error}"));
        let partition = TopicIdPartition { topic_id: TOPIC_ID, partition: 0 };
        // An index entry for every batch, so that indexes matter.
        let config = LogConfig { index_interval_bytes: 0, ..LogConfig::default() };
        store.open_log(OpenLog { partition, topic, config, directory: None }, NOW)
    }

    /// Appends batches, each of which must be taken.
    pub(crate) fn append(&self, writer: &mut LogWriter, batches: &[Bytes]) {
        let batches: Vec<_> = batches.iter().map(|records| AppendBatch { records: records.clone() }).collect();
        for outcome in writer.append(&batches, LeaderEpoch(0), Origin::Client, NOW) {
            outcome.unwrap_or_else(|error| panic!("a sound batch is refused: {error}"));
        }
    }

    /// Closes everything cleanly.
    pub(crate) fn close(&self, store: &LogStore, log: OpenedLog) {
        log.writer.close(NOW).unwrap_or_else(|error| panic!("the log does not close: {error}"));
        store.close(&HashMap::new(), 1).unwrap_or_else(|error| panic!("the store does not close: {error}"));
    }
}

/// A batch of these values.
pub(crate) fn record_batch(values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new();
    for value in values {
        let appended = builder.append(NOW, None, Some(value.as_bytes()), &[]);
        appended.unwrap_or_else(|error| panic!("a record does not fit: {error}"));
    }
    builder.build(Compression::None, None).unwrap_or_else(|error| panic!("a batch cannot be built: {error}"))
}
