//! The copy of one replica in another directory, and how it takes the replica's place.
//!
//! Up to the high watermark the copy follows while the replica serves: what is committed is not taken back, but by an
//! unclean election, and then the copy begins anew. For the rest the replica stands still: its actor ends, what is missing
//! is copied and flushed, and the log is opened anew where it is then. Who asks for the replica meanwhile is told to ask
//! again.

use std::sync::Arc;

use levada_log::{LogReader, LogWriter, OpenError, OpenLog, OpenedLog, PromotionError};
use levada_types::{DirectoryId, Offset, TopicIdPartition};

use crate::Broker;
use crate::clock::now_ms;
use crate::directories::transit::Transit;
use crate::partition::{Health, Partition};
use crate::reconcile::Unopened;

/// Bytes that are copied before the throttle is asked again, were a batch not larger.
const CHUNK_BYTES: usize = 1 << 20;

/// The copy of one replica.
pub(super) struct Copying {
    id: TopicIdPartition,
    pub(super) to: DirectoryId,
    writer: LogWriter,
}

/// What a step has come to.
pub(super) enum Step {
    /// So many bytes were copied.
    Copied(Copying, usize),
    /// It cannot go on just now. After an error the copy is begun anew, or taken up where the disk has it.
    Waits(Option<Copying>),
    /// The replica has moved, or there is nothing to move any more.
    Over,
}

/// Why a copy does not go on.
#[derive(Debug, thiserror::Error)]
enum CopyError {
    #[error("it cannot be read: {0}")]
    Read(#[from] levada_log::ReadError),
    #[error("the copy cannot be written: {0}")]
    Append(#[from] levada_log::AppendError),
    #[error("the copy cannot be written: {0}")]
    Log(#[from] levada_log::LogError),
    #[error("the copy cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

impl Copying {
    /// Goes on by one step, or begins. Blocks.
    pub(super) fn step(broker: &Arc<Broker>, id: TopicIdPartition, to: DirectoryId, copying: Option<Self>) -> Step {
        let hosted = broker.partitions.get(&id).filter(|partition| partition.directory() != to);
        // What lay in a failed directory is not here any more, and a move into that one ends at the next start.
        let Some(partition) = hosted.filter(|here| !matches!(here.health(), Health::Failed | Health::Gone)) else {
            drop(copying);
            return Self::give_up(broker, id);
        };
        let mut copying = match copying.map_or_else(|| Self::begin(broker, &partition, to), Ok) {
            Ok(copying) => copying,
            Err(error) => {
                complain(broker, &partition, &error);
                return Step::Waits(None);
            }
        };
        match copying.copy(partition.reader(), partition.high_watermark()) {
            Ok(0) => copying.take_its_place(broker, &partition),
            Ok(bytes) => Step::Copied(copying, bytes),
            Err(error) => {
                complain(broker, &partition, &error);
                Step::Waits(None)
            }
        }
    }

    fn begin(broker: &Broker, partition: &Partition, to: DirectoryId) -> Result<Self, OpenError> {
        let request = OpenLog {
            partition: partition.id(),
            topic: partition.name().topic.clone(),
            config: broker.log_config_of(partition.id().topic_id),
            directory: Some(to),
        };
        let OpenedLog { writer, reader, .. } = broker.store.open_future(request, now_ms())?;
        broker.moves.show(partition.id(), to, &reader);
        Ok(Self { id: partition.id(), to, writer })
    }

    /// Ends a move. Its writer is gone.
    pub(super) fn give_up(broker: &Broker, id: TopicIdPartition) -> Step {
        if let Err(error) = broker.store.discard_future(id, now_ms()) {
            tracing::warn!(%id, %error, "the copy of a replica that does not move stays until the next start");
        }
        Step::Over
    }

    /// Copies some batches that lie below `end`; gives their bytes, 0 if there are none left.
    fn copy(&mut self, from: &LogReader, end: Offset) -> Result<usize, CopyError> {
        let start = from.log_start_offset();
        if !self.is_prefix_of(from) || self.writer.log_end_offset() < start {
            self.writer.truncate_fully_and_start_at(start, now_ms())?;
        }
        let (at, end) = (self.writer.log_end_offset(), end.min(from.log_end_offset()));
        if at >= end {
            return Ok(0);
        }
        let records = from.read(at, CHUNK_BYTES, end, true)?.slice.to_bytes()?;
        if records.is_empty() {
            return Ok(0);
        }
        // The log may have been cut, and appended to, before it was read: then these follow upon other records.
        if !self.is_prefix_of(from) {
            return self.copy(from, end);
        }
        self.writer.append_as_follower(&records, now_ms())?;
        Ok(records.len())
    }

    /// Whether all that the copy has is in the log too (KIP-101).
    fn is_prefix_of(&self, log: &LogReader) -> bool {
        let copy = self.writer.reader();
        let Some(latest) = copy.latest_epoch() else { return true };
        let end = copy.log_end_offset();
        log.end_offset_for_epoch(latest).is_some_and(|known| known.epoch == latest && known.end_offset >= end)
    }

    /// What is committed has been copied: now the rest.
    fn take_its_place(mut self, broker: &Arc<Broker>, partition: &Arc<Partition>) -> Step {
        // Most of it, while the replica still serves.
        if let Err(error) = self.writer.flush(now_ms()) {
            complain(broker, partition, &error);
            return Step::Waits(None);
        }
        let Some(mut transit) = Transit::begin(broker, partition, Health::Good) else { return Step::Waits(Some(self)) };
        if !transit.rest(false) {
            return Step::Waits(Some(self));
        }
        partition.turn(Health::Moving);
        // Its directory has failed meanwhile, or a change of its log, which is then no longer what it was; or it has gone.
        if partition.health() != Health::Moving {
            return Step::Waits(Some(self));
        }
        let id = self.id;
        let moved = self.finish(broker, partition, &mut transit);
        if let Err(error) = &moved {
            complain(broker, partition, error);
        }
        if let Err(Failure::Promotion(PromotionError::Stuck(_))) = &moved {
            return Step::Over;
        }
        if moved.is_err() {
            Self::give_up(broker, id);
        }
        // If it cannot be opened, for want of descriptors or space, say, that is tried again until it succeeds.
        transit.host_again(&mut Unopened::new());
        if moved.is_ok() { Step::Over } else { Step::Waits(None) }
    }

    /// The replica stands still: copies what is left of it, and puts the copy in its place.
    fn finish(mut self, broker: &Broker, partition: &Partition, transit: &mut Transit) -> Result<(), Failure> {
        let from = partition.reader();
        while self.copy(from, from.log_end_offset())? > 0 {}
        self.writer.advance_log_start(from.log_start_offset()).map_err(CopyError::from)?;
        self.writer.flush(now_ms()).map_err(CopyError::from)?;
        self.writer.close(now_ms()).map_err(CopyError::from)?;
        if !broker.moves.is_wanted(self.id, self.to) {
            return Err(Failure::CalledOff);
        }
        Ok(transit.switch(|| broker.store.promote_future(self.id, partition.high_watermark(), now_ms()))?)
    }
}

/// Says once why a replica does not move.
fn complain(broker: &Broker, partition: &Partition, error: &dyn std::error::Error) {
    let reason = error.to_string();
    if broker.moves.is_news(partition.id(), &reason) {
        tracing::warn!(partition = %partition.name(), reason, "the move of a replica does not go on; trying again");
    }
}

/// Why a copy did not take its place.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error(transparent)]
    Promotion(#[from] PromotionError),
    #[error("it was called off")]
    CalledOff,
}
