//! A sealed batch on its way to a broker.

use std::time::Instant;

use bytes::Bytes;
use levada_records::{BATCH_HEADER_LEN, BatchHeader, crc32c};
use levada_types::{ProducerEpoch, ProducerId, Sequence};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::delivery::{Appended, Outcome};
use crate::ClientError;

/// Where the checksum lies in a batch, and where the bytes that it covers begin.
const CRC_AT: usize = 17;
const CHECKSUMMED_FROM: usize = CRC_AT + 4;

/// Who produces, towards one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) producer_id: ProducerId,
    pub(super) producer_epoch: ProducerEpoch,
}

/// A sealed batch. Its bytes are sent as they are, any number of times.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) bytes: Bytes,
    pub(super) records: i32,
    /// When its first record was handed over; `delivery.timeout.ms` counts from here.
    pub(super) opened_at: Instant,
    /// It was sent and no answer came, so it may have been appended.
    pub(super) maybe_appended: bool,
    pub(super) outcome: Outcome,
    pub(super) resolve: oneshot::Sender<Result<Appended, ClientError>>,
    /// Its share of `buffer.memory`, free again when the batch is dropped.
    pub(super) _memory: Option<OwnedSemaphorePermit>,
}

impl Batch {
    /// Tells everybody who waits, and frees the memory.
    pub(super) fn resolve(self, outcome: Result<Appended, ClientError>) {
        // Nobody need be waiting any more.
        let _ = self.resolve.send(outcome);
    }

    /// Puts another identity and sequence into the header, with a new checksum. Only for a batch that was certainly not
    /// appended under its old ones.
    pub(super) fn renumber(&mut self, identity: Identity, base_sequence: Sequence) {
        let Ok(header) = BatchHeader::parse(&self.bytes) else { return };
        let mut bytes = self.bytes.to_vec();
        let header = BatchHeader {
            producer_id: identity.producer_id,
            producer_epoch: identity.producer_epoch,
            base_sequence,
            ..header
        };
        if let Some(target) = bytes.first_chunk_mut::<BATCH_HEADER_LEN>() {
            header.write_to(target);
        }
        let crc = crc32c(&bytes[CHECKSUMMED_FROM..]);
        bytes[CRC_AT..CHECKSUMMED_FROM].copy_from_slice(&crc.to_be_bytes());
        self.bytes = Bytes::from(bytes);
    }
}
