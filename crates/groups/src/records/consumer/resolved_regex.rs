//! The topics that a regular expression matches.

use std::collections::BTreeSet;

use levada_types::TimestampMs;

use crate::records::{Reader, RecordError, Writer};

/// The topics that a regular expression matches. Kind 16.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedRegex {
    /// Their names.
    pub topics: BTreeSet<String>,
    /// As of which metadata offset.
    pub version: i64,
    /// When that was found out.
    pub timestamp: TimestampMs,
}

impl ResolvedRegex {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, RecordError> {
        let mut topics = BTreeSet::new();
        for _ in 0..reader.compact_array_length(1)? {
            topics.insert(reader.compact_string()?.to_owned());
        }
        let version = reader.i64()?;
        let timestamp = reader.i64()?;
        reader.skip_tagged_fields()?;
        Ok(Self { topics, version, timestamp })
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.compact_array_length(self.topics.len());
        for topic in &self.topics {
            writer.compact_string(topic);
        }
        writer.i64(self.version);
        writer.i64(self.timestamp);
        writer.no_tagged_fields();
    }
}
