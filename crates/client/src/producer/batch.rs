//! A sealed batch on its way to a broker.

use std::time::Instant;

use bytes::Bytes;
use levada_records::{RecordBatch, with_producer};
use levada_types::{ProducerEpoch, ProducerId, Sequence};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::delivery::{Appended, Outcome};
use crate::ClientError;

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

    /// Puts another identity and sequence into the header. Only for a batch that was certainly not appended under its old
    /// ones.
    pub(super) fn renumber(&mut self, identity: Identity, base_sequence: Sequence) {
        let Identity { producer_id, producer_epoch } = identity;
        // It was built here, so it can be read.
        if let Ok(batch) = RecordBatch::parse_only(&self.bytes) {
            self.bytes = with_producer(&batch, producer_id, producer_epoch, base_sequence);
        }
    }
}
