//! What goes wrong with coordinators.

use levada_log::Disk;
use levada_metadata::{Command, CoordinatorKind};

use crate::brokers::Pace;
use crate::happening::Happening;
use crate::message::Party;
use crate::run::Failure;
use crate::universe::Universe;

impl Universe {
    /// Something goes wrong with a coordinator, or with its way to the leader.
    pub(crate) fn shard_fault(&mut self) -> Result<(), Failure> {
        if self.healed {
            return Ok(());
        }
        let delay = self.between(1, 2 * self.settings.fault_ms);
        self.after(delay, Happening::ShardFault);
        // The owner more often than others.
        let owner = (0..self.coordinators.len()).find(|index| self.owns(*index));
        let any = self.below(self.coordinators.len());
        let index = owner.filter(|_| !self.one_in(3)).unwrap_or(any);
        match self.below(16) {
            0..=3 => {
                let pause = self.between(50, 2_500);
                self.pause_coordinator(index, pause);
            }
            4..=5 => self.crash_coordinator(index),
            6 => self.evict(index),
            7..=8 => self.betray(index),
            9 => self.cut_off(index),
            10 => {
                let shard = self.coordinators[index].shard.as_ref();
                if let Some(link) = shard.and_then(|shard| shard.link.as_ref()).map(|link| link.number) {
                    self.lose_link(index, link, false);
                }
            }
            11..=12 => self.ambush.tail = true,
            13..=14 => self.squeeze(),
            _ => {
                if let Some(leader) = (0..self.brokers.len()).find(|index| self.leads(*index)) {
                    self.slow_down(leader, Pace::StandsStill);
                }
            }
        }
        Ok(())
    }

    fn owns(&self, index: usize) -> bool {
        let owner = self.raft.image.shard_owner(CoordinatorKind::Group, 0).map(|owner| owner.incarnation);
        owner == Some(self.coordinators[index].incarnation)
    }

    /// A process is stopped for a while, and knows nothing of it.
    fn pause_coordinator(&mut self, index: usize, pause_ms: i64) {
        let coordinator = &mut self.coordinators[index];
        if !coordinator.up {
            return;
        }
        coordinator.paused_until_ms = self.now_ms + pause_ms;
        let life = coordinator.life;
        self.note(|| format!("coordinator {index} is stopped for {pause_ms} ms"));
        self.after(pause_ms, Happening::CoordinatorWakes { coordinator: index, life });
    }

    fn crash_coordinator(&mut self, index: usize) {
        self.coordinators[index].crash();
        self.note(|| format!("coordinator {index} ends"));
        let delay = self.between(1, 1_500);
        self.after(delay, Happening::CoordinatorStarts { coordinator: index });
    }

    /// An operator counts out a coordinator that lives: its shard goes to another one while its lease lasts.
    fn evict(&mut self, index: usize) {
        let Some(epoch) = self.coordinators[index].epoch else { return };
        self.commits.evicted.insert(epoch);
        self.note(|| format!("the operator counts out coordinator {index}, {epoch}"));
        self.submitted_at(self.raft.leader, Some((Party::Operator, 0)), Command::RemoveCoordinator { epoch });
    }

    /// An owner is counted out and does not hear of it, and neither does a broker that passes requests on.
    fn betray(&mut self, index: usize) {
        // One without a replica: one with a replica would keep the new owner from loading for as long as it is in sync.
        let partition = self.committed_partition().map(|(_, partition)| partition);
        let is_outside = |index: &usize| partition.is_some_and(|p| !p.has_replica(self.brokers[*index].id));
        let Some(broker) = (0..self.brokers.len()).find(is_outside) else { return };
        for node in 0..self.controllers.len() {
            let node = Party::Controller(node);
            self.cut.extend([(node, Party::Coordinator(index)), (node, Party::Broker(broker))]);
        }
        self.note(|| format!("coordinator {index} and broker {broker} hear no controller"));
        self.evict(index);
    }

    /// The disk of the leader is slow, and full for a moment: of the appends that wait for it some are taken, some are not.
    fn squeeze(&mut self) {
        let Some(leader) = (0..self.brokers.len()).find(|index| self.leads(*index)) else { return };
        self.slow_down(leader, Pace::Slow);
        for disk in self.brokers[leader].volumes.disks() {
            if let Ok(space) = disk.space("/".as_ref()) {
                disk.set_capacity(space.total - space.available);
            }
        }
        let delay = self.between(20, 300);
        self.note(|| format!("the disks of broker {leader} are full for {delay} ms"));
        self.after(delay, Happening::DiskHasRoom { broker: leader });
    }

    /// A disk that was full for a moment has room again.
    pub(crate) fn disk_has_room(&mut self, index: usize) {
        self.brokers[index].volumes.disks().iter().for_each(|disk| disk.set_capacity(u64::MAX));
    }

    /// Nothing gets from a coordinator to a broker or a controller, or back.
    fn cut_off(&mut self, index: usize) {
        let brokers = (0..self.brokers.len()).map(Party::Broker);
        let all: Vec<Party> = brokers.chain((0..self.controllers.len()).map(Party::Controller)).collect();
        let (me, other) = (Party::Coordinator(index), all[self.below(all.len())]);
        let cut = if self.one_in(2) { (me, other) } else { (other, me) };
        self.note(|| format!("cut {:?} -> {:?}", cut.0, cut.1));
        self.cut.insert(cut);
    }

    /// Nothing goes wrong with coordinators any more.
    pub(crate) fn heal_coordinators(&mut self) {
        for index in 0..self.coordinators.len() {
            let coordinator = &mut self.coordinators[index];
            if coordinator.up {
                coordinator.paused_until_ms = self.now_ms;
                let life = coordinator.life;
                self.after(0, Happening::CoordinatorWakes { coordinator: index, life });
            } else {
                self.start_coordinator(index);
            }
        }
    }
}
