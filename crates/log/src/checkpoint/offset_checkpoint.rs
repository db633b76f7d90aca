//! The checkpoints of a data directory: one offset per partition.

use std::collections::HashMap;

use levada_types::{Offset, TopicName, TopicPartition};

use super::numbered_lines;

/// Everything below is durable.
pub(crate) const RECOVERY_POINT_FILE: &str = "recovery-point-offset-checkpoint";
/// Where logs start, if not at their first segment.
pub(crate) const LOG_START_FILE: &str = "log-start-offset-checkpoint";
/// The high watermarks.
pub(crate) const HIGH_WATERMARK_FILE: &str = "replication-offset-checkpoint";

/// Below these logs were cleaned once.
pub(crate) const CLEANER_OFFSET_FILE: &str = "cleaner-offset-checkpoint";

/// One offset per partition.
pub(crate) type OffsetCheckpoint = HashMap<TopicPartition, Offset>;

/// The file for these offsets, in the order of their partitions.
pub(crate) fn offsets_text(offsets: &OffsetCheckpoint) -> String {
    let mut offsets: Vec<_> = offsets.iter().collect();
    offsets.sort_unstable();
    numbered_lines::write(
        offsets.into_iter().map(|(partition, offset)| format!("{} {} {offset}", partition.topic, partition.partition)),
    )
}

/// Reads the file.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_offsets(text: &str) -> Result<OffsetCheckpoint, String> {
    let mut offsets = HashMap::new();
    for line in numbered_lines::read(text)? {
        let (partition, offset) = parse_line(line).ok_or_else(|| format!("'{line}' is no partition and offset"))?;
        offsets.insert(partition, offset);
    }
    Ok(offsets)
}

fn parse_line(line: &str) -> Option<(TopicPartition, Offset)> {
    let mut fields = line.split_ascii_whitespace();
    let topic = TopicName::new(fields.next()?).ok()?;
    let partition = fields.next()?.parse().ok()?;
    let offset = fields.next()?.parse().ok()?;
    fields.next().is_none().then_some((TopicPartition { topic, partition }, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_kafkas() {
        let text = "0\n3\na-topic 0 5\na-topic 10 7\nb 0 0\n";
        let offsets = parse_offsets(text).unwrap();
        let key = TopicPartition { topic: TopicName::new("a-topic").unwrap(), partition: 10 };
        assert_eq!(offsets.get(&key), Some(&7));
        assert_eq!(offsets_text(&offsets), text);
        for damaged in ["", "0\n1\n", "0\n1\na 0\n", "0\n1\na 0 1 2\n", "0\n1\na 0 1", "0\n1\na/b 0 1\n", "7\n0\n"] {
            assert!(parse_offsets(damaged).is_err(), "{damaged:?}");
        }
    }
}
