//! How the transactions in a log have ended, as its markers say.

use std::collections::HashMap;

use levada_records::{BatchHeader, EndTxnMarker, RecordBatch, RecordBuffer, TransactionOutcome};
use levada_types::{Offset, ProducerId};

use crate::disk::OpenFile;
use crate::log::read_marker;
use crate::segment::{ScanError, Segment};

/// Bytes that the batch of a marker may have. It holds one record of a few bytes.
const MAX_MARKER_BATCH_BYTES: usize = 1 << 20;

/// How the transactions in a log have ended. Read from the log itself, which has it all.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    /// Of each producer where its aborted transactions start and where their markers are, ascending.
    aborted: HashMap<ProducerId, Vec<(Offset, Offset)>>,
    /// Where each producer's last marker is.
    last_markers: HashMap<ProducerId, Offset>,
    /// Where transactions start that are not decided.
    open: HashMap<ProducerId, Offset>,
}

impl Outcomes {
    /// Takes in the headers of a segment up to `bound`, from where on a marker may still be taken back; to be called for one
    /// segment after the other, from the first one on.
    pub(super) fn read(
        &mut self,
        segment: &Segment,
        bound: Offset,
        buffer: &mut RecordBuffer,
    ) -> Result<(), ScanError> {
        let end = segment.end();
        if end.bytes == 0 {
            return Ok(());
        }
        let file = segment.log_file().map_err(ScanError::Io)?;
        let mut scan = segment.scan(&file, 0, end.bytes);
        while let Some((position, header)) = scan.next()? {
            if header.base_offset >= bound {
                break;
            }
            if !header.has_producer_id() || !(header.is_transactional() || header.is_control()) {
                continue;
            }
            if !header.is_control() {
                self.open.entry(header.producer_id).or_insert(header.base_offset);
            } else if let Some(marker) = marker_at(&file, position, &header, buffer)? {
                self.end(&header, &marker);
            }
        }
        Ok(())
    }

    fn end(&mut self, header: &BatchHeader, marker: &EndTxnMarker) {
        let started = self.open.remove(&header.producer_id);
        self.last_markers.insert(header.producer_id, header.base_offset);
        if let (TransactionOutcome::Abort, Some(started)) = (marker.outcome, started) {
            self.aborted.entry(header.producer_id).or_default().push((started, header.base_offset));
        }
    }

    /// Where the oldest transaction starts that is not decided.
    pub(super) fn first_undecided(&self) -> Option<Offset> {
        self.open.values().min().copied()
    }

    /// Whether this batch of data belongs to an aborted transaction.
    pub(super) fn is_aborted(&self, header: &BatchHeader) -> bool {
        if !header.is_transactional() || header.is_control() {
            return false;
        }
        let Some(aborted) = self.aborted.get(&header.producer_id) else { return false };
        let after = aborted.partition_point(|(started, _)| *started <= header.base_offset);
        let last = after.checked_sub(1).and_then(|index| aborted.get(index));
        last.is_some_and(|(_, marker)| header.base_offset < *marker)
    }

    /// Whether this marker is the last one of its producer.
    pub(super) fn is_last_marker(&self, header: &BatchHeader) -> bool {
        self.last_markers.get(&header.producer_id) == Some(&header.base_offset)
    }
}

fn marker_at(
    file: &OpenFile,
    position: u64,
    header: &BatchHeader,
    buffer: &mut RecordBuffer,
) -> Result<Option<EndTxnMarker>, ScanError> {
    let size = header.size_in_bytes();
    if size > MAX_MARKER_BATCH_BYTES {
        return Ok(None);
    }
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, position).map_err(ScanError::Io)?;
    let batch = RecordBatch::parse_only(&bytes).map_err(|reason| ScanError::Corrupt { position, reason })?;
    // A control record of an unknown shape ends no transaction that is known here.
    Ok(read_marker(&batch, buffer).unwrap_or_default())
}
