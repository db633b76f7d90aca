//! Reads what is committed between two offsets.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use levada_proto::internal as pb;
use levada_types::{ErrorCode, LeaderEpoch, Offset};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Status;

use super::service::refused;
use crate::api::PartitionError;
use crate::partition::{Partition, Waiter};

/// Bytes that are read and sent at once, but for a batch that is larger. An owner that loads all its shards at once holds some of
/// these for each.
const CHUNK_BYTES: usize = 256 << 10;

/// How long what is asked for may take to be committed. Who asks may ask again.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends every batch from the start of `range` up to its end, once all of them are committed.
pub(super) async fn send_committed(
    partition: &Arc<Partition>,
    leader_epoch: LeaderEpoch,
    range: Range<Offset>,
    outbox: &mpsc::Sender<Result<pb::ShardReadResponse, Status>>,
) -> Result<(), Status> {
    committed(partition, leader_epoch, range.end).await?;
    let mut next = range.start;
    while next < range.end {
        let (reading, to) = (Arc::clone(partition), range.end);
        let read = tokio::task::spawn_blocking(move || read(&reading, leader_epoch, next, to)).await;
        let (records, after) = read.map_err(|_| Status::internal("the read met a defect"))?.map_err(refused)?;
        // Compaction may have left nothing up to the end.
        if after <= next {
            break;
        }
        next = after;
        if outbox.send(Ok(pb::ShardReadResponse { records })).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Waits until everything below `to` is committed.
async fn committed(partition: &Partition, leader_epoch: LeaderEpoch, to: Offset) -> Result<(), Status> {
    let deadline = Instant::now() + COMMIT_TIMEOUT;
    loop {
        // It stands in the list before it looks, so that nothing is missed in between.
        let asleep = Asleep::on(partition);
        check(partition, leader_epoch).map_err(refused)?;
        if partition.high_watermark() >= to {
            return Ok(());
        }
        let woken = tokio::time::timeout_at(deadline, asleep.waiter.woken()).await;
        woken.map_err(|_| Status::deadline_exceeded("not everything was committed in time"))?;
    }
}

/// Stands in the wait list of a partition until it is dropped.
struct Asleep<'a> {
    partition: &'a Partition,
    waiter: Arc<Waiter>,
}

impl<'a> Asleep<'a> {
    fn on(partition: &'a Partition) -> Self {
        let waiter = Waiter::new(1);
        partition.waiters().enter(&waiter);
        Self { partition, waiter }
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        self.partition.waiters().leave(&self.waiter);
    }
}

/// Some whole batches from `next` on, and the offset after them.
fn read(
    partition: &Partition,
    leader_epoch: LeaderEpoch,
    next: Offset,
    to: Offset,
) -> Result<(Bytes, Offset), PartitionError> {
    check(partition, leader_epoch)?;
    let found = partition.reader().read(next, CHUNK_BYTES, to, true);
    let found = found.map_err(|error| PartitionError::new(error.code(), error.to_string()))?;
    let records = found.slice.to_bytes();
    let records = records.map_err(|error| PartitionError::new(ErrorCode::KafkaStorageError, error.to_string()))?;
    Ok((records, found.next_offset))
}

fn check(partition: &Partition, leader_epoch: LeaderEpoch) -> Result<(), PartitionError> {
    partition.check_usable()?;
    partition.role().check_leads(Some(leader_epoch))
}
