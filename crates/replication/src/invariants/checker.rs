//! The invariants over time: what was committed stays, who led, where high watermarks stood.

use std::collections::BTreeMap;

use crate::IsrMember;
use levada_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch};

use super::predicates::{
    agree, epochs_are_replayed, holds, leads_by_its_image, may_commit, may_enter, same, within_log,
};
use super::{Batch, ReplicaState, Violation, World};

/// Sees the world after every step, and remembers what it has to.
#[derive(Debug, Clone, Default)]
pub struct Checker {
    /// Everything that was ever below a leader's high watermark, ascending.
    committed: Vec<Batch>,
    leaders: BTreeMap<LeaderEpoch, BrokerId>,
    /// Where the high watermark of a leader of an epoch stood.
    high_watermarks: BTreeMap<(BrokerId, BrokerEpoch, LeaderEpoch), Offset>,
    in_sync: Vec<IsrMember>,
    /// Who was proposed by whom, on which partition epoch.
    proposed: Vec<(BrokerId, PartitionEpoch, IsrMember)>,
    /// A loss was admitted, and whoever was elected over it has not been seen to lead yet.
    loss_admitted: bool,
}

impl Checker {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the world after a step.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&mut self, world: &World) -> Result<(), Violation> {
        for replica in &world.replicas {
            within_log(replica)?;
            epochs_are_replayed(replica)?;
            leads_by_its_image(replica)?;
            self.one_leader(replica)?;
            self.high_watermark(world, replica)?;
        }
        for (index, one) in world.replicas.iter().enumerate() {
            for other in world.replicas.iter().skip(index + 1) {
                agree(one, other)?;
            }
        }
        self.survives(world)?;
        self.entries(world)
    }

    /// Checks an acknowledgement with `acks=all` of everything below `end`, right after the step in which it was given.
    ///
    /// # Errors
    /// [`Violation::AcknowledgedUncommitted`], or what is wrong with the high watermark.
    pub fn acknowledged(&self, world: &World, leader: BrokerId, end: Offset) -> Result<(), Violation> {
        let Some(replica) = world.replica(leader) else { return Ok(()) };
        let high_watermark = replica.high_watermark.unwrap_or(0);
        if end > high_watermark || end > self.committed_end() {
            return Err(Violation::AcknowledgedUncommitted { leader, end, high_watermark });
        }
        Ok(())
    }

    /// The offset after the last record that was ever committed.
    #[must_use]
    pub fn committed_end(&self) -> Offset {
        self.committed.last().map_or(0, |batch| batch.end)
    }

    /// Everything that was ever committed, ascending.
    #[must_use]
    pub fn committed(&self) -> &[Batch] {
        &self.committed
    }

    /// Admits that everything from `end` on may be lost: nobody complete was left, or an operator has asked for it.
    pub fn admit_loss(&mut self, end: Offset) {
        self.committed.retain(|batch| batch.end <= end);
        self.high_watermarks.clear();
        self.loss_admitted = true;
    }

    fn one_leader(&mut self, replica: &ReplicaState) -> Result<(), Violation> {
        let Some(leading) = &replica.leading else { return Ok(()) };
        let one = *self.leaders.entry(leading.epoch).or_insert(replica.broker);
        if one == replica.broker {
            return Ok(());
        }
        Err(Violation::TwoLeaders { one, other: replica.broker, epoch: leading.epoch })
    }

    fn high_watermark(&mut self, world: &World, replica: &ReplicaState) -> Result<(), Violation> {
        let Some(high_watermark) = replica.high_watermark else { return Ok(()) };
        if let Some(leading) = &replica.leading {
            let key = (replica.broker, replica.broker_epoch, leading.epoch);
            let (elected, epoch) = (world.committed.leader, world.committed.leader_epoch);
            let is_elected = elected == Some(replica.broker) && epoch == leading.epoch;
            let known = if is_elected && std::mem::take(&mut self.loss_admitted) {
                // Of one that was elected although incomplete also what was committed before an earlier loss.
                high_watermark
            } else {
                // A new leader's was committed by its predecessors.
                high_watermark.min(self.committed_end()).max(replica.ends.start)
            };
            let before = *self.high_watermarks.entry(key).or_insert(known);
            if high_watermark < before {
                return Err(Violation::WentBack { leader: replica.broker, from: before, to: high_watermark });
            }
            if high_watermark > before {
                may_commit(world, replica, high_watermark)?;
                self.high_watermarks.insert(key, high_watermark);
            }
            let end = self.committed_end();
            let news = replica.batches.iter().filter(|batch| batch.base >= end && batch.base < high_watermark);
            self.committed.extend(news);
        }
        same(replica, &self.committed, high_watermark)
    }

    /// Invariants 1 and 7: who counts as complete has everything.
    fn survives(&self, world: &World) -> Result<(), Violation> {
        let in_sync = world.committed.isr.iter().filter_map(|member| world.behind(member));
        let eligible = world.committed.elr.iter().filter_map(|id| world.replica(*id)).filter(|replica| !replica.lost);
        in_sync.chain(eligible).try_for_each(|replica| holds(replica, &self.committed))
    }

    /// Invariant 6: whom leaders have proposed since the last step, and who has come into sync.
    fn entries(&mut self, world: &World) -> Result<(), Violation> {
        let mut proposed = Vec::new();
        for leader in &world.replicas {
            let Some(leading) = &leader.leading else { continue };
            for member in leading.proposed.iter().filter(|member| !leading.image.isr.contains(member)) {
                let candidate = (leader.broker, leading.image.partition_epoch, *member);
                if !self.proposed.contains(&candidate) {
                    may_enter(world, leader, member)?;
                }
                proposed.push(candidate);
            }
        }
        self.proposed = proposed;
        let now = &world.committed;
        for member in now.isr.iter().filter(|member| !self.in_sync.contains(member)) {
            if now.replica(member.broker).and_then(|replica| replica.epoch) != Some(member.epoch) {
                return Err(Violation::OtherIncarnation { member: member.broker });
            }
        }
        self.in_sync.clone_from(&now.isr);
        Ok(())
    }
}
