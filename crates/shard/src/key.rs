//! Which shard a group or a transactional id belongs to.

use levada_types::PartitionIndex;

/// The partition of the internal topic that `key`, a group id or a transactional id, belongs to, as Kafka has it: the hash
/// of Java's `String`, made positive, modulo the number of partitions. 0 if there are none.
#[must_use]
pub fn shard_of(key: &str, partitions: i32) -> PartitionIndex {
    let hash = key.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // Kafka's `Utils.abs` gives 0 for the one number that has no positive counterpart.
    hash.checked_abs().unwrap_or(0).checked_rem(partitions).unwrap_or(0).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_shard_that_it_has_in_kafka() {
        // `"polygenelubricants".hashCode()` is the least of all numbers.
        assert_eq!(shard_of("polygenelubricants", 50), 0);
        assert_eq!(shard_of("", 50), 0);
        assert_eq!(shard_of("a", 50), 97 % 50);
        assert_eq!(shard_of("ab", 50), (97 * 31 + 98) % 50);
        assert_eq!(shard_of("\u{1F600}", 50), (0xD83D * 31 + 0xDE00) % 50);
    }

    #[test]
    fn a_topic_without_partitions_is_not_divided_by() {
        assert_eq!(shard_of("orders", 0), 0);
    }
}
