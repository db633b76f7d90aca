//! Segment files as a crash, a failing disk or somebody else may leave them.

use levada_log::{AppendBatch, Origin};
use levada_records::Batches;
use levada_types::{LeaderEpoch, Offset};

use crate::workshop::{NOW, Workshop, record_batch};

/// Bytes asked of one read.
const READ_BYTES: usize = 4_096;

/// Takes `bytes` for the only segment of a log that was not closed: recovery keeps what is sound and cuts the rest, what is
/// left reads without a gap, and the log takes records again.
///
/// # Panics
/// If recovery keeps something that is not sound, or the log does not take a record afterwards.
pub fn segment(bytes: &[u8]) {
    let _ = recovered(bytes);
}

/// The end of the log that recovery makes of `bytes`; `None` if it refuses to open.
fn recovered(bytes: &[u8]) -> Option<Offset> {
    let workshop = Workshop::new();
    workshop.write("partition.metadata", Workshop::PARTITION_METADATA.as_bytes());
    workshop.write("00000000000000000000.log", bytes);
    let store = workshop.open_store();
    let mut log = workshop.open_log(&store).ok()?;
    let end = log.reader.log_end_offset();
    let mut next = log.reader.log_start_offset();
    while next < end {
        let read =
            log.reader.read(next, READ_BYTES, Offset::MAX, true).unwrap_or_else(|error| panic!("at {next}: {error}"));
        let kept = read.slice.to_bytes().unwrap_or_else(|error| panic!("at {next}: {error}"));
        for batch in Batches::new(&kept) {
            let batch = batch.unwrap_or_else(|error| panic!("recovery kept {error}"));
            assert_eq!(batch.verify_crc(), Ok(()), "recovery kept what is damaged");
        }
        assert!(read.next_offset > next, "reading stands still at {next}");
        next = read.next_offset;
    }
    if end > Offset::MAX / 2 {
        // Offsets are all but used up, which the log may refuse in its own way.
        return Some(end);
    }
    let epoch = log.reader.latest_epoch().map_or(LeaderEpoch(0), |epoch| LeaderEpoch(epoch.0.max(0)));
    let batch = AppendBatch { records: record_batch(&["after"]) };
    let appended = log.writer.append(&[batch], epoch, Origin::Client, NOW).remove(0);
    let appended = appended.unwrap_or_else(|error| panic!("the log takes nothing any more: {error}"));
    assert!(appended.base_offset >= end, "an offset was given twice");
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seed(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/../corpus/segment/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    }

    #[test]
    fn the_seeds_reach_what_they_are_named_after() {
        for (name, end) in [("sound", 6), ("torn", 5), ("zeros-behind", 6), ("old-format", 0), ("length-lie", 1)] {
            assert_eq!(recovered(&seed(name)), Some(end), "{name}");
        }
    }
}
