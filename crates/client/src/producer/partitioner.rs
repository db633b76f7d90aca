//! Which partition a record goes to when it does not say so.

use crc_fast::CrcAlgorithm;
use levada_types::key_partition;

/// How keys are spread over partitions (`partitioner`). Producers that share a topic and rely on "same key, same
/// partition" must use the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Partitioner {
    /// Murmur2 of the key, as Kafka's Java client, kafkajs, franz-go and Levada's brokers do. Records without a key stick
    /// to one partition until its batch is full or due, then to another (KIP-480).
    #[default]
    Murmur2,
    /// CRC-32 of the key, as librdkafka does by default (`consistent_random`), and so confluent-kafka for Python, Go and
    /// .NET. As there, an *empty* key counts as none. Records without a key stick as with [`Self::Murmur2`].
    ConsistentRandom,
}

impl Partitioner {
    /// The partition of `key` among `partition_count` (1 or more); `None` if any partition will do.
    #[must_use]
    pub fn partition(self, key: Option<&[u8]>, partition_count: i32) -> Option<i32> {
        match (self, key?) {
            (Self::Murmur2, key) => Some(key_partition(key, partition_count)),
            (Self::ConsistentRandom, []) => None,
            (Self::ConsistentRandom, key) => {
                let hash = crc_fast::checksum(CrcAlgorithm::Crc32IsoHdlc, key);
                // The checksum has 32 bits and the remainder is below an i32.
                Some((hash % i64::from(partition_count.max(1)).unsigned_abs()) as i32)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What librdkafka's own test of its partitioners expects, for 17 partitions.
    #[test]
    fn crc32_as_librdkafka() {
        for (key, hash) in [
            ("23456", 0xb1b4_51d7_u32),
            ("this is another string with more length to it perhaps", 0xb015_0df7),
            ("hejsan", 0xd077_037e),
        ] {
            let expected = i32::try_from(hash % 17).ok();
            assert_eq!(Partitioner::ConsistentRandom.partition(Some(key.as_bytes()), 17), expected, "{key}");
        }
        assert_eq!(Partitioner::ConsistentRandom.partition(Some(b""), 17), None);
        assert_eq!(Partitioner::ConsistentRandom.partition(None, 17), None);
    }

    /// The same keys with murmur2, from the same test; librdkafka and Kafka's Java client agree on it.
    #[test]
    fn murmur2_as_the_java_client() {
        for (key, hash) in [
            ("", 0x106e_08d9_u32),
            ("23456", 0x058d_780f),
            ("this is another string with more length to it perhaps", 0x4f7_703da),
            ("hejsan", 0x5ec1_9395),
        ] {
            let expected = i32::try_from(hash % 17).ok();
            assert_eq!(Partitioner::Murmur2.partition(Some(key.as_bytes()), 17), expected, "{key}");
        }
        assert_eq!(Partitioner::Murmur2.partition(None, 17), None);
    }
}
