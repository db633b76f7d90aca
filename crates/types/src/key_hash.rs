//! The hash that sends a record's key to a partition, the same in every client and at the broker.

/// Murmur2 with Kafka's seed, as its Java client hashes keys (32 bits, little-endian words).
#[must_use]
pub fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    // The length is mixed in as 32 bits, which is all that a record's key can have.
    let mut hash = SEED ^ key.len() as u32;
    let mut words = key.chunks_exact(4);
    for word in words.by_ref() {
        let mut k = word.iter().rev().fold(0u32, |k, &byte| (k << 8) | u32::from(byte)).wrapping_mul(M);
        k = (k ^ (k >> R)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let tail = words.remainder();
    if !tail.is_empty() {
        hash = (hash ^ tail.iter().rev().fold(0u32, |k, &byte| (k << 8) | u32::from(byte))).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of a key among `partition_count` (1 or more), where Kafka's Java client sends it: [`murmur2`] without
/// its sign bit, modulo the count. An empty key is hashed like any other; a record without a key is not.
#[must_use]
pub fn key_partition(key: &[u8], partition_count: i32) -> i32 {
    (murmur2(key) & 0x7fff_ffff) as i32 % partition_count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that Kafka's own tests and those of other clients pin.
    #[test]
    fn hashes_as_kafkas_java_client() {
        for (key, expected) in [
            ("21", -973_932_308i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, expected, "{key}");
        }
        assert_eq!(murmur2(b"abc") as i32, 479_470_107);
    }

    #[test]
    fn partitions_are_in_range_and_ignore_the_sign() {
        assert_eq!(key_partition(b"foobar", 1), 0);
        assert_eq!(key_partition(b"foobar", 16), ((-790_332_482i32) & 0x7fff_ffff) % 16);
        assert_eq!(key_partition(b"", 0), 0);
    }
}
