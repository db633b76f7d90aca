//! The files beside a segment and at the root of a data directory, each read as if it were any of them.

use levada_log::format::{
    IndexEntry, OffsetEntry, TimeEntry, decode_aborted, encode_aborted, parse_clean_shutdown, parse_leader_epochs,
    parse_meta_properties, parse_offset_checkpoint, parse_partition_metadata, parse_snapshot, segment_file,
};
use levada_types::Offset;

use crate::workshop::{NOW, Workshop, record_batch};

/// Which file of a sound, cleanly closed log is replaced; the first byte of the input chooses.
const REPLACED: [&str; 6] = [
    "00000000000000000000.index",
    "00000000000000000000.timeindex",
    "00000000000000000000.txnindex",
    "00000000000000000006.snapshot",
    "leader-epoch-checkpoint",
    "partition.metadata",
];

/// Records of the sound log, in batches of two.
const RECORDS: Offset = 6;

/// Reads `bytes` as every kind of file; then replaces one file of a sound log by them. Such files are hints: a log either
/// does not open, or has all its records.
///
/// # Panics
/// If a damaged file costs a record.
pub fn index(bytes: &[u8]) {
    decode(bytes);
    if let Some((&choice, content)) = bytes.split_first() {
        let _ = opens(choice, content);
    }
}

/// Whether the log opens with `content` in place of one of its files, and then has all its records.
fn opens(choice: u8, content: &[u8]) -> bool {
    let workshop = Workshop::new();
    let store = workshop.open_store();
    let Ok(mut log) = workshop.open_log(&store) else { panic!("a new log does not open") };
    workshop
        .append(&mut log.writer, &[record_batch(&["a", "b"]), record_batch(&["c", "d"]), record_batch(&["e", "f"])]);
    workshop.close(&store, log);
    drop(store);

    workshop.write(REPLACED[usize::from(choice) % REPLACED.len()], content);
    let store = workshop.open_store();
    let Ok(log) = workshop.open_log(&store) else { return false };
    assert_eq!(log.reader.log_end_offset(), RECORDS, "a damaged file beside the log moved its end");
    for offset in 0..RECORDS {
        let read = log.reader.read(offset, 1, Offset::MAX, true);
        let read = read.unwrap_or_else(|error| panic!("offset {offset} is lost: {error}"));
        assert_eq!(read.next_offset, (offset / 2 + 1) * 2, "offset {offset} reads as another batch");
    }
    let _ = log.reader.offset_for_timestamp(NOW, RECORDS);
    true
}

/// Every decoder over the same bytes.
fn decode(bytes: &[u8]) {
    for entry in bytes.chunks(OffsetEntry::SIZE).filter_map(OffsetEntry::decode) {
        let mut again = Vec::new();
        entry.encode(&mut again);
        assert_eq!(OffsetEntry::decode(&again), Some(entry));
    }
    for entry in bytes.chunks(TimeEntry::SIZE).filter_map(TimeEntry::decode) {
        let mut again = Vec::new();
        entry.encode(&mut again);
        assert_eq!(TimeEntry::decode(&again), Some(entry));
    }
    let mut again = Vec::new();
    decode_aborted(bytes).iter().for_each(|aborted| encode_aborted(aborted, &mut again));
    assert!(bytes.starts_with(&again), "what was read is what is written");
    let _ = parse_snapshot(bytes);
    let text = String::from_utf8_lossy(bytes);
    let _ = parse_leader_epochs(&text);
    let _ = parse_partition_metadata(&text);
    let _ = parse_offset_checkpoint(&text);
    let _ = parse_meta_properties(&text);
    let _ = parse_clean_shutdown(&text);
    let _ = segment_file(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lies_beside_the_records_do_not_keep_a_log_closed() {
        for choice in 0..5 {
            assert!(opens(choice, &[0, 0, 0, 3, 0, 0, 0, 17, 1, 1, 1, 1]), "{}", REPLACED[usize::from(choice)]);
        }
        let other = b"version: 0\ntopic_id: AAECAwQFBgcICQoLDA0OEA\n";
        assert!(!opens(5, other), "another topic's log is not this one's");
    }
}
