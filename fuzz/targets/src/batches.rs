//! Record batches as a producer, a replica or a disk may bring them.

use levada_records::{Batches, Compression, ControlRecord, KeyRule, Limits, RecordBatch, RecordBuffer, recompress};

/// Bytes that one batch may take decompressed here: small, so that a bomb shows as an error and not as a slow run.
const DECOMPRESSED_LIMIT: usize = 256 << 10;

/// Walks `bytes` as concatenated batches and does with each what a broker and a client may do with it.
///
/// Fuzzers do not guess checksums, so nothing here stops at a wrong one.
///
/// # Panics
/// If a batch that passes every check cannot be compressed otherwise and read back.
pub fn batches(bytes: &[u8]) {
    let limits = Limits { max_decompressed_bytes: DECOMPRESSED_LIMIT, ..Limits::NONE };
    let mut buffer = RecordBuffer::with_limit(DECOMPRESSED_LIMIT);
    for batch in Batches::new(bytes).flatten() {
        let _ = batch.validate(&limits);
        let Ok(count) = count_records(&batch, &mut buffer) else { continue };
        if batch.validate_records(&limits, KeyRule::Optional, &mut buffer).is_err() {
            continue;
        }
        for to in Compression::ALL {
            let again = recompress(&batch, to, None, &limits).ok();
            let again = again.as_ref().and_then(|bytes| RecordBatch::parse_only(bytes).ok());
            assert!(again.is_some(), "sound records compress as {}", to.name());
            let same = again.map(|again| (again.verify_crc(), count_records(&again, &mut buffer)));
            assert_eq!(same, Some((Ok(()), Ok(count))), "what was compressed as {} reads back", to.name());
        }
    }
}

fn count_records(batch: &RecordBatch<'_>, buffer: &mut RecordBuffer) -> Result<usize, levada_records::BatchError> {
    let mut count = 0;
    for record in batch.records(buffer)? {
        let record = record?;
        count += 1;
        let headers = record.headers();
        assert_eq!(headers.len(), headers.count(), "headers that were checked are all there");
        let _ = ControlRecord::parse(&record);
    }
    Ok(count)
}
