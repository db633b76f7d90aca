//! The world as the invariants see it: what is on the disks, what the controllers have committed.

use levada_log::LogReader;
use levada_records::Batches;
use levada_replication::invariants::{Batch, Leading, ReplicaState, World};
use levada_replication::{PartitionView, Replica};
use levada_types::{BrokerId, LeaderEpoch, Offset};

use crate::broker::Broker;
use crate::replica_steps::ends_of;
use crate::run::Failure;
use crate::universe::Universe;

/// More than any log of a run holds, so that one read goes as far as a segment.
const ALL: usize = 1 << 20;

impl Universe {
    /// Checks the invariants, and an acknowledgement if one was given.
    pub(crate) fn look(&mut self, acknowledged: Option<(BrokerId, Offset)>) -> Result<(), Failure> {
        let Some(at) = self.partition() else { return Ok(()) };
        let Some(committed) = PartitionView::of(&self.raft.image, at, self.fsync) else { return Ok(()) };
        let committed_end = self.checker.committed_end();
        for broker in &mut self.brokers {
            broker.read()?;
            let is_member = committed.member(broker.id).is_some_and(|member| member.epoch == broker.last_epoch);
            if is_member && broker.ends.end >= committed_end && !broker.lost {
                broker.damaged = false;
            }
        }
        let world = World { committed, replicas: self.brokers.iter().map(Broker::state).collect() };
        self.checker.check(&world)?;
        if let Some((leader, end)) = acknowledged {
            self.checker.acknowledged(&world, leader, end)?;
        }
        Ok(())
    }
}

impl Broker {
    /// Reads its log if there is news of it.
    fn read(&mut self) -> Result<(), Failure> {
        let Some((_, reader)) = &self.log else { return Ok(()) };
        self.ends = ends_of(reader);
        if std::mem::take(&mut self.is_news) {
            self.batches = batches_of(reader)?;
            // The log may start within a batch; nothing is kept of what lies before.
            let start = self.ends.start;
            let kept = self.batches.iter().map(|batch| (reader.epoch_for_offset(batch.base.max(start)), batch.base));
            let mut epochs: Vec<(LeaderEpoch, Offset)> =
                kept.map(|(epoch, base)| (epoch.unwrap_or(LeaderEpoch(-1)), base)).collect();
            epochs.dedup_by_key(|(epoch, _)| *epoch);
            self.epochs = epochs;
        }
        Ok(())
    }

    fn state(&self) -> ReplicaState {
        let leading = self.replica.as_ref().and_then(|replica| {
            let image = self.shown.clone()?;
            let proposals = self.proposals.iter().filter(|p| p.partition_epoch == image.partition_epoch);
            Some(Leading {
                epoch: replica.leading_epoch()?,
                start: replica.epoch_start()?,
                proposed: proposals.flat_map(|proposal| proposal.isr.iter().copied()).collect(),
                acts_on: replica.in_sync().to_vec(),
                latest: replica.latest_offset().ok(),
                image,
            })
        });
        ReplicaState {
            broker: self.id,
            broker_epoch: self.last_epoch,
            lost: self.lost,
            damaged: self.damaged,
            batches: self.batches.clone(),
            ends: self.ends,
            epochs: self.epochs.clone(),
            high_watermark: self.replica.as_ref().map(Replica::high_watermark),
            leading,
        }
    }
}

/// Every batch of the log from its start on.
fn batches_of(reader: &LogReader) -> Result<Vec<Batch>, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| Failure::Stuck(format!("a log cannot be read: {error}"));
    let (mut at, end) = (reader.log_start_offset(), reader.log_end_offset());
    let mut batches = Vec::new();
    while at < end {
        let read = reader.read(at, ALL, Offset::MAX, true).map_err(|error| unreadable(&error))?;
        let bytes = read.slice.to_bytes().map_err(|error| unreadable(&error))?;
        for batch in Batches::new(&bytes) {
            let batch = batch.map_err(|error| unreadable(&error))?;
            let header = batch.header();
            batches.push(Batch {
                base: header.base_offset,
                end: header.next_offset(),
                epoch: LeaderEpoch(header.partition_leader_epoch),
                fingerprint: u64::from(header.crc),
            });
        }
        if read.next_offset <= at {
            return Err(Failure::Stuck(format!("a read at {at} of a log that ends at {end} goes nowhere")));
        }
        at = read.next_offset;
    }
    Ok(batches)
}
