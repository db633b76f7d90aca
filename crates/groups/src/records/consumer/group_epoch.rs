//! The epochs of a group and of its target assignment.

use levada_types::TimestampMs;

use crate::records::{Reader, RecordError, Writer};

/// The group's epoch: it counts the changes that ask for a new assignment. Kind 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupEpoch {
    /// The epoch.
    pub epoch: i32,
    /// A hash over the topics that the group subscribes to (their ids, partitions and racks), so that a change of them is
    /// noticed; 0 for none (KIP-1101).
    pub metadata_hash: i64,
}

/// The tag of the hash.
const METADATA_HASH: u32 = 0;

impl GroupEpoch {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let epoch = reader.i32()?;
        let mut metadata_hash = 0;
        reader.tagged_fields(|tag, field| {
            if tag == METADATA_HASH {
                metadata_hash = field.i64()?;
            }
            Ok(())
        })?;
        Ok(Self { epoch, metadata_hash })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.i32(self.epoch);
        write_tagged_i64(writer, METADATA_HASH, self.metadata_hash);
    }
}

/// The epoch of the target assignment: the group's epoch that it was computed for. Kind 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetEpoch {
    /// The epoch.
    pub epoch: i32,
    /// When it was computed; 0 if that is not known (KIP-1263).
    pub timestamp: TimestampMs,
}

/// The tag of the time.
const TIMESTAMP: u32 = 0;

impl TargetEpoch {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let epoch = reader.i32()?;
        let mut timestamp = 0;
        reader.tagged_fields(|tag, field| {
            if tag == TIMESTAMP {
                timestamp = field.i64()?;
            }
            Ok(())
        })?;
        Ok(Self { epoch, timestamp })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.i32(self.epoch);
        write_tagged_i64(writer, TIMESTAMP, self.timestamp);
    }
}

/// Tagged fields, of which there is one unless it has its default, 0.
fn write_tagged_i64(writer: &mut Writer, tag: u32, value: i64) {
    if value == 0 {
        writer.no_tagged_fields();
    } else {
        let mut field = Writer::new();
        field.i64(value);
        writer.tagged_fields(&[(tag, field.finish())]);
    }
}
