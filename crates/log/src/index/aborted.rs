//! The entries of `.txnindex`, as Kafka writes them: the transactions that were aborted in a segment.

use bytes::{Buf, BufMut};

use crate::AbortedTransaction;

/// Bytes of an entry: version (2), producer id, first offset, last offset, last stable offset (8 each).
pub const ABORTED_ENTRY_LEN: usize = 34;

/// Bytes of a `.txnindex` that are read: thirty million aborted transactions in one segment.
pub(crate) const MAX_TRANSACTION_INDEX_BYTES: u64 = 1 << 30;

/// The only version of an entry.
const VERSION: i16 = 0;

/// Appends an entry as it is on disk.
pub fn encode_aborted(transaction: &AbortedTransaction, target: &mut Vec<u8>) {
    target.put_i16(VERSION);
    target.put_i64(transaction.producer_id);
    target.put_i64(transaction.first_offset);
    target.put_i64(transaction.last_offset);
    target.put_i64(transaction.last_stable_offset);
}

/// Reads the entries of a `.txnindex`; stops at the first that is torn or of an unknown version.
pub fn decode_aborted(bytes: &[u8]) -> Vec<AbortedTransaction> {
    bytes
        .chunks_exact(ABORTED_ENTRY_LEN)
        .map_while(|mut entry| {
            (entry.get_i16() == VERSION).then(|| AbortedTransaction {
                producer_id: entry.get_i64(),
                first_offset: entry.get_i64(),
                last_offset: entry.get_i64(),
                last_stable_offset: entry.get_i64(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote_up_to_a_torn_entry() {
        let aborted =
            |id| AbortedTransaction { producer_id: id, first_offset: 10, last_offset: 20, last_stable_offset: 21 };
        let mut bytes = Vec::new();
        encode_aborted(&aborted(1), &mut bytes);
        encode_aborted(&aborted(2), &mut bytes);
        assert_eq!(bytes.len(), 2 * ABORTED_ENTRY_LEN);
        assert_eq!(&bytes[..10], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(decode_aborted(&bytes), [aborted(1), aborted(2)]);
        assert_eq!(decode_aborted(&bytes[..bytes.len() - 1]), [aborted(1)]);
        bytes[ABORTED_ENTRY_LEN] = 9;
        assert_eq!(decode_aborted(&bytes), [aborted(1)]);
    }
}
