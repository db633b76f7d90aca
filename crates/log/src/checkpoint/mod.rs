//! The small text files of a data directory: checkpoints, identity, the clean-shutdown mark. All of them Kafka's.

mod atomic_file;
mod checkpoint_file;
mod clean_shutdown;
mod epoch_checkpoint;
mod meta_properties;
mod numbered_lines;
mod offset_checkpoint;
mod partition_metadata;

pub(crate) use atomic_file::{Durability, replace_file};
pub(crate) use checkpoint_file::CheckpointFile;
pub(crate) use clean_shutdown::{CLEAN_SHUTDOWN_FILE, clean_shutdown_epoch, clean_shutdown_text};
pub(crate) use epoch_checkpoint::{EPOCH_CHECKPOINT_FILE, epochs_text, parse_epochs};
pub(crate) use meta_properties::{META_PROPERTIES_FILE, MetaProperties};
pub(crate) use offset_checkpoint::{
    CLEANER_OFFSET_FILE, HIGH_WATERMARK_FILE, LOG_START_FILE, OffsetCheckpoint, RECOVERY_POINT_FILE, offsets_text,
    parse_offsets,
};
pub(crate) use partition_metadata::{PARTITION_METADATA_FILE, parse_partition_metadata, partition_metadata_text};

/// Bytes that a checkpoint may have: a million partitions with the longest names.
pub(crate) const MAX_CHECKPOINT_BYTES: u64 = 300 << 20;

/// Bytes that the files of identity may have; they hold a few lines.
pub(crate) const MAX_IDENTITY_BYTES: u64 = 64 << 10;
