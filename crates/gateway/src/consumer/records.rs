//! Stored batches as friendly records. Pure.

use bytes::Bytes;
use levada_proto::v1;
use levada_records::{BatchError, Batches, RecordBuffer};
use levada_types::{LeaderEpoch, Offset};

/// What became of some batches.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) records: Vec<v1::StoredRecord>,
    /// The offset after the last batch.
    pub(crate) next_offset: Offset,
    /// The leader epoch of the last batch.
    pub(crate) leader_epoch: Option<LeaderEpoch>,
}

/// The records of `batches` from `from` on, without control records.
pub(crate) fn decode(batches: &Bytes, from: Offset, buffer: &mut RecordBuffer) -> Result<Decoded, BatchError> {
    let mut decoded = Decoded { records: Vec::new(), next_offset: from, leader_epoch: None };
    for batch in Batches::new(batches) {
        let batch = batch?;
        let header = *batch.header();
        decoded.next_offset = decoded.next_offset.max(header.next_offset());
        decoded.leader_epoch = Some(header.partition_leader_epoch).filter(|&epoch| epoch >= 0).map(LeaderEpoch);
        if header.is_control() || header.next_offset() <= from {
            continue;
        }
        batch.verify_crc()?;
        let is_in_place = header.compression()? == levada_records::Compression::None;
        let own = |bytes: &[u8]| if is_in_place { batches.slice_ref(bytes) } else { Bytes::copy_from_slice(bytes) };
        for record in batch.records(buffer)? {
            let record = record?;
            if record.offset < from {
                continue;
            }
            let header = |header: levada_records::Header<'_>| v1::Header {
                key: String::from_utf8_lossy(header.key).into_owned(),
                value: header.value.map(own),
            };
            decoded.records.push(v1::StoredRecord {
                offset: record.offset,
                timestamp_ms: record.timestamp,
                key: record.key.map(own),
                value: record.value.map(own),
                headers: record.headers().map(header).collect(),
            });
        }
    }
    Ok(decoded)
}

/// The offset after the last of `batches`, which is at least `from`.
pub(super) fn next_offset(batches: &Bytes, from: Offset) -> Result<Offset, BatchError> {
    Batches::new(batches).try_fold(from, |next, batch| Ok(next.max(batch?.header().next_offset())))
}

#[cfg(test)]
mod tests {
    use levada_records::{BatchBuilder, Compression, EndTxnMarker, Header, TransactionOutcome};

    use super::*;

    fn batch(base_offset: Offset, values: &[&str], compression: Compression) -> Bytes {
        let mut builder = BatchBuilder::new();
        for value in values {
            let headers = [Header { key: b"h", value: Some(b"x") }];
            builder.append(7, None, Some(value.as_bytes()), &headers).expect("it fits");
        }
        builder.set_position(base_offset, 0).build(compression, None).expect("it has records")
    }

    fn concat(batches: &[Bytes]) -> Bytes {
        Bytes::from(batches.concat())
    }

    #[test]
    fn records_before_the_start_and_control_records_are_left_out() {
        let marker = EndTxnMarker { outcome: TransactionOutcome::Abort, coordinator_epoch: 0 }.batch(1, 0, 7);
        let first = batch(0, &["a", "b"], Compression::Zstd);
        let bytes = concat(&[first, marker.expect("it can be built"), batch(2, &["c"], Compression::None)]);
        let decoded = decode(&bytes, 1, &mut RecordBuffer::new()).expect("the batches are whole");
        let seen: Vec<_> = decoded.records.iter().map(|r| (r.offset, r.value.as_deref())).collect();
        assert_eq!(seen, [(1, Some(&b"b"[..])), (2, Some(&b"c"[..]))]);
        assert_eq!(decoded.next_offset, 3);
        assert_eq!(next_offset(&bytes, 1), Ok(3));
        let header = v1::Header { key: "h".to_owned(), value: Some(Bytes::from_static(b"x")) };
        assert_eq!(decoded.records[0].headers, [header]);
        assert_eq!(decoded.records[0].key, None);
    }

    #[test]
    fn a_torn_batch_is_an_error() {
        let whole = batch(0, &["a"], Compression::None);
        let torn = whole.slice(..whole.len() - 1);
        assert!(decode(&torn, 0, &mut RecordBuffer::new()).is_err());
        assert!(next_offset(&torn, 0).is_err());
    }
}
