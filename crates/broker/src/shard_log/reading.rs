//! Reads what is committed between two offsets, or from one on as it comes.

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

/// How often who follows is sent something while there is something new. The shorter, the less is left to be read when it takes
/// the shard over, and the more messages there are: at this, what 20,000 commits in a second leave takes some milliseconds.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(200);

/// How long who follows is sent nothing at most.
const FOLLOW_SILENCE: Duration = Duration::from_secs(30);

type Outbox = mpsc::Sender<Result<pb::ShardReadResponse, Status>>;

/// Sends every batch from the start of `range` up to its end, once all of them are committed.
pub(super) async fn send_committed(
    partition: &Arc<Partition>,
    leader_epoch: LeaderEpoch,
    range: Range<Offset>,
    outbox: &Outbox,
) -> Result<(), Status> {
    if !committed(partition, leader_epoch, range.end, COMMIT_TIMEOUT).await? {
        return Err(Status::deadline_exceeded("not everything was committed in time"));
    }
    send(partition, leader_epoch, range, outbox).await.map(drop)
}

/// Sends every batch from `from`, or the log start, on, as it is committed. Ends when nobody listens any more.
pub(super) async fn send_as_committed(
    partition: &Arc<Partition>,
    leader_epoch: LeaderEpoch,
    from: Offset,
    outbox: &Outbox,
) -> Result<(), Status> {
    let mut next = from;
    loop {
        let has_more = tokio::select! {
            has_more = committed(partition, leader_epoch, next.saturating_add(1), FOLLOW_SILENCE) => has_more?,
            () = outbox.closed() => return Ok(()),
        };
        if has_more {
            next = next.max(partition.reader().log_start_offset());
            next = send(partition, leader_epoch, next..partition.high_watermark(), outbox).await?;
        } else if outbox.send(Ok(pb::ShardReadResponse::default())).await.is_err() {
            return Ok(());
        }
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}

/// Sends every batch of `range`, all of which is committed; where it came to.
async fn send(
    partition: &Arc<Partition>,
    leader_epoch: LeaderEpoch,
    range: Range<Offset>,
    outbox: &Outbox,
) -> Result<Offset, Status> {
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
    Ok(next.max(range.end))
}

/// Waits until everything below `to` is committed; false if that was not within `patience`.
async fn committed(
    partition: &Partition,
    leader_epoch: LeaderEpoch,
    to: Offset,
    patience: Duration,
) -> Result<bool, Status> {
    let deadline = Instant::now() + patience;
    loop {
        // It stands in the list before it looks, so that nothing is missed in between.
        let asleep = Asleep::on(partition);
        check(partition, leader_epoch).map_err(refused)?;
        if partition.high_watermark() >= to {
            return Ok(true);
        }
        if tokio::time::timeout_at(deadline, asleep.waiter.woken()).await.is_err() {
            return Ok(false);
        }
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
