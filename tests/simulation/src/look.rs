//! The world as the invariants see it: what is on the disks, what the controllers have committed.

use levada_log::{DirectoryState, LogReader};
use levada_records::Batches;
use levada_replication::invariants::{Batch, Leading, ReplicaState, World};
use levada_replication::{LogEnds, PartitionView};
use levada_types::{BrokerId, LeaderEpoch, Offset, TopicId};

use crate::brokers::{Broker, ends_of};
use crate::replay::replay;
use crate::run::Failure;
use crate::universe::Universe;

/// More than any log of a run holds, so that one read goes as far as a segment.
const ALL: usize = 1 << 20;

/// What a broker has of a topic, as last read from its disks.
#[derive(Debug, Clone)]
pub(crate) struct Holding {
    topic: Option<TopicId>,
    pub(crate) batches: Vec<Batch>,
    /// The leader epochs that are kept beside the log.
    epochs: Vec<(LeaderEpoch, Offset)>,
    pub(crate) ends: LogEnds,
}

impl Default for Holding {
    fn default() -> Self {
        Self { topic: None, batches: Vec::new(), epochs: Vec::new(), ends: LogEnds::empty_at(0) }
    }
}

impl Universe {
    /// Checks the invariants, and an acknowledgement if one was given.
    pub(crate) fn look(&mut self, acknowledged: Option<(BrokerId, Offset)>) -> Result<(), Failure> {
        let Some(topic) = &mut self.topic else { return Ok(()) };
        let id = topic.at.topic_id;
        let Some(committed) = PartitionView::of(&self.raft.image, topic.at, self.settings.fsync) else { return Ok(()) };
        let committed_end = topic.checker.committed_end();
        for broker in &mut self.brokers {
            broker.read(id)?;
            let is_member = committed.member(broker.id).is_some_and(|member| member.epoch == broker.last_epoch);
            let leads =
                || broker.hosted.as_ref().and_then(|h| h.replica.leading_epoch()) == Some(committed.leader_epoch);
            if is_member && broker.holding.ends.end >= committed_end && !broker.lost {
                broker.is_of_the_past &= committed.leader == Some(broker.id) && !leads();
                broker.damaged = false;
                broker.unproven &= broker.hosted.is_none();
            }
        }
        let present = self.brokers.iter().filter(|broker| broker.holding.topic == Some(id) && !broker.is_of_the_past);
        let world = World { committed, replicas: present.map(Broker::state).collect() };
        topic.checker.check(&world)?;
        if let Some((leader, end)) = acknowledged {
            topic.checker.acknowledged(&world, leader, end)?;
        }
        let deleted_until = self.deleted_until();
        let Some(topic) = &mut self.topic else { return Ok(()) };
        topic.history.compare(topic.checker.committed(), deleted_until)?;
        if self.settings.of_shards {
            self.commits.follow(topic.checker.committed())?;
            (0..self.coordinators.len()).try_for_each(|index| self.look_at_shard(index))?;
        }
        Ok(())
    }

    /// Everything that was acknowledged is in the log of every replica.
    pub(crate) fn everything_is_readable(&mut self) -> Result<(), Failure> {
        let Some((at, committed)) = self.committed_partition().map(|(at, p)| (at, p.clone())) else { return Ok(()) };
        for broker in &mut self.brokers {
            broker.is_news = true;
            broker.read(at.topic_id)?;
        }
        let Some(topic) = &self.topic else { return Ok(()) };
        for broker in self.brokers.iter().filter(|broker| committed.has_replica(broker.id)) {
            let holding = &broker.holding;
            for (base, fingerprint) in topic.history.acknowledged_from(holding.ends.start) {
                let found = holding.batches.iter().find(|batch| batch.base == base);
                if found.is_none_or(|batch| batch.fingerprint != fingerprint) {
                    let text = format!("broker {} does not have what was acknowledged at {base}", broker.id);
                    return Err(Failure::Untrue(text));
                }
            }
        }
        Ok(())
    }
}

impl Broker {
    /// Reads its log of `topic` if there is news of it. What is in a directory that has failed is as it was.
    pub(crate) fn read(&mut self, topic: TopicId) -> Result<(), Failure> {
        let Some(hosted) = self.hosted.as_ref().filter(|hosted| hosted.topic == topic) else { return Ok(()) };
        if hosted.reader.directory_state() == DirectoryState::Offline {
            return Ok(());
        }
        let reader = &hosted.reader;
        if self.is_news || self.holding.topic != Some(topic) {
            let (batches, bytes) = match batches_of(reader) {
                Err(_) if reader.directory_state() == DirectoryState::Offline => return Ok(()),
                found => found?,
            };
            self.is_news = false;
            self.holding.topic = Some(topic);
            self.holding.ends = ends_of(reader);
            // The log may start within a batch; nothing is kept of what lies before.
            let start = self.holding.ends.start;
            let kept = batches.iter().map(|batch| (reader.epoch_for_offset(batch.base.max(start)), batch.base));
            let mut epochs: Vec<(LeaderEpoch, Offset)> =
                kept.map(|(epoch, base)| (epoch.unwrap_or(LeaderEpoch(-1)), base)).collect();
            epochs.dedup_by_key(|(epoch, _)| *epoch);
            (self.holding.batches, self.holding.epochs) = (batches, epochs);
            replay(self.id, hosted, &bytes)?;
        }
        self.holding.ends = ends_of(reader);
        Ok(())
    }

    /// Up to where its log is what was committed.
    pub(crate) fn agrees_until(&self, committed: &[Batch]) -> Offset {
        let start = self.holding.ends.start;
        let mut own = self.holding.batches.iter().filter(|batch| batch.base >= start);
        let differs = committed.iter().filter(|batch| batch.base >= start).find(|batch| own.next() != Some(batch));
        differs.map_or(Offset::MAX, |batch| batch.base).min(self.holding.ends.end)
    }

    fn state(&self) -> ReplicaState {
        let hosted = self.hosted.as_ref().filter(|hosted| Some(hosted.topic) == self.holding.topic);
        let leading = hosted.and_then(|hosted| {
            let (image, replica) = (hosted.shown.clone()?, &hosted.replica);
            let proposals = hosted.proposals.iter().filter(|p| p.partition_epoch == image.partition_epoch);
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
            batches: self.holding.batches.clone(),
            ends: self.holding.ends,
            epochs: self.holding.epochs.clone(),
            high_watermark: hosted.map(|hosted| hosted.replica.high_watermark()),
            leading,
        }
    }
}

/// Every batch of the log from its start on, and the bytes of them all.
fn batches_of(reader: &LogReader) -> Result<(Vec<Batch>, Vec<u8>), Failure> {
    let unreadable = |error: &dyn std::fmt::Display| Failure::Stuck(format!("a log cannot be read: {error}"));
    let (mut at, end) = (reader.log_start_offset(), reader.log_end_offset());
    let (mut batches, mut all) = (Vec::new(), Vec::new());
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
        all.extend_from_slice(&bytes);
    }
    Ok((batches, all))
}
