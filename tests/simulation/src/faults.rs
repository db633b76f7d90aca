//! What goes wrong.

use levada_log::Disk;
use levada_replication::Replica;

use crate::ambush::Ambush;
use crate::brokers::{Pace, Work};
use crate::happening::Happening;
use crate::message::{Message, Party, Word};
use crate::run::Failure;
use crate::universe::Universe;

/// Bytes that a disk still takes when it is said to be full: some batches.
const LAST_BYTES: u64 = 400;

impl Universe {
    /// Something goes wrong, or right again.
    pub(crate) fn fault(&mut self) -> Result<(), Failure> {
        if self.healed {
            return Ok(());
        }
        let delay = self.between(1, 2 * self.settings.fault_ms);
        self.after(delay, Happening::Fault);
        let index = self.below(self.brokers.len());
        match self.below(24) {
            0..=6 => self.come_and_go(index),
            7..=9 => self.rewire(),
            10 => self.deafen(index),
            11 => {
                let node = self.below(self.controllers.len());
                self.elect(node);
            }
            12..=14 => self.break_stream(index),
            15..=16 => self.give_work_to_leader(index),
            17..=18 => {
                let pace = if self.one_in(2) { Pace::Slow } else { Pace::StandsStill };
                self.slow_down(index, pace);
            }
            19..=20 => self.fill(index),
            21 => self.fail_disk(index),
            22 => self.lose_disk(index),
            _ if self.one_in(2) => self.lose_power_everywhere(),
            _ => self.lie_in_wait(),
        }
        self.look(None)
    }

    fn come_and_go(&mut self, index: usize) {
        if !self.brokers[index].up {
            self.start(index);
            return;
        }
        self.stop_suddenly(index);
        if self.one_in(2) {
            self.start(index);
        }
    }

    /// A process ends in the middle of whatever it does, or its machine, where that is allowed.
    pub(crate) fn stop_suddenly(&mut self, index: usize) {
        let power = (!self.one_in(3) && self.may_lose(index)).then(|| self.seed());
        self.note(|| format!("broker {index} stops, power lost: {}", power.is_some()));
        self.brokers[index].crash(power);
    }

    /// Bytes may be lost by all at once if acknowledged means flushed; otherwise by one less than the minimum, each
    /// counting until it is in sync again, and only where the minimum holds what was committed.
    pub(crate) fn may_lose(&self, index: usize) -> bool {
        let Some((at, partition)) = self.committed_partition() else { return true };
        let minimum = self.raft.image.min_isr(at.topic_id, partition);
        let others = self.brokers.iter().enumerate().filter(|(other, _)| *other != index);
        let unwell = others.filter(|(_, broker)| broker.lost || broker.damaged).count();
        let complete = partition.isr.len() + partition.elr.len();
        self.settings.fsync || unwell + 1 < minimum && complete >= minimum
    }

    /// All machines lose power at once. What is lost by it is within the documented limit, unless acknowledged means
    /// flushed.
    fn lose_power_everywhere(&mut self) {
        self.note(|| "power is lost everywhere".to_owned());
        for index in 0..self.brokers.len() {
            let seed = self.seed();
            self.brokers[index].crash(Some(seed));
        }
        for index in 0..self.brokers.len() {
            if self.one_in(2) {
                self.start(index);
            }
        }
    }

    fn rewire(&mut self) {
        if !self.cut.is_empty() && self.one_in(2) {
            self.cut.clear();
            return;
        }
        let brokers = (0..self.brokers.len()).map(Party::Broker);
        let controllers = (0..self.controllers.len()).map(Party::Controller);
        let coordinators = (0..self.coordinators.len()).map(Party::Coordinator);
        let all: Vec<Party> = brokers.chain(controllers).chain(coordinators).collect();
        let (from, to) = (all[self.below(all.len())], all[self.below(all.len())]);
        self.note(|| format!("cut {from:?} -> {to:?}"));
        self.cut.insert((from, to));
        if self.one_in(2) {
            self.cut.insert((to, from));
        }
    }

    /// No news from the controllers reaches a broker, or the one that leads; they go on hearing it.
    fn deafen(&mut self, index: usize) {
        let leading = (0..self.brokers.len()).find(|index| self.leads(*index));
        let deaf = leading.filter(|_| self.one_in(2)).unwrap_or(index);
        self.note(|| format!("broker {deaf} hears no controller"));
        self.cut.extend((0..self.controllers.len()).map(|node| (Party::Controller(node), Party::Broker(deaf))));
    }

    fn break_stream(&mut self, index: usize) {
        let Some(hosted) = &self.brokers[index].hosted else { return };
        let Some((follower, session)) = hosted.streams.iter().next().map(|(id, window)| (*id, window.session())) else {
            return;
        };
        let Some(epoch) = Replica::leading_epoch(&hosted.replica) else { return };
        let (leader, other, topic) = (Party::Broker(index), self.party(follower), hosted.topic);
        for (from, to, word) in
            [(other, leader, Word::StreamEnded(follower, session)), (leader, other, Word::Detached(epoch, session))]
        {
            let delay = self.between(1, 80);
            let message = Box::new(Message::Replica { topic, word });
            self.after(delay, Happening::Arrival { from, to, message });
        }
    }

    /// A client deletes records; nobody may those of a shard.
    fn give_work_to_leader(&mut self, index: usize) {
        if self.leads(index) && !self.settings.of_shards {
            self.give_work(index, Work::DeleteRecords);
        }
    }

    /// A disk takes long, or stands still for a while.
    pub(crate) fn slow_down(&mut self, index: usize, pace: Pace) {
        let delay = self.between(50, 3_000);
        self.brokers[index].pace = pace;
        self.note(|| format!("the disks of broker {index}: {pace:?} for {delay} ms"));
        self.after(delay, Happening::DiskGoesOn { broker: index });
    }

    pub(crate) fn disk_goes_on(&mut self, index: usize) {
        self.brokers[index].pace = Pace::Usual;
    }

    /// A disk is full, or has room again.
    fn fill(&mut self, index: usize) {
        let disks = self.brokers[index].volumes.disks();
        let disk = &disks[self.now_ms as usize % disks.len()];
        let Ok(space) = disk.space("/".as_ref()) else { return };
        let is_full = space.total < u64::MAX;
        let capacity = if is_full { u64::MAX } else { space.total - space.available + LAST_BYTES };
        disk.set_capacity(capacity);
        self.note(|| format!("a disk of broker {index} is full: {}", !is_full));
    }

    /// A disk fails whatever it is asked, or works again once the process is started anew.
    fn fail_disk(&mut self, index: usize) {
        let disks = self.brokers[index].volumes.disks();
        disks[self.now_ms as usize % disks.len()].set_broken(true);
        self.note(|| format!("a disk of broker {index} fails"));
    }

    /// A machine stops, and comes back with an empty disk in place of one.
    fn lose_disk(&mut self, index: usize) {
        if !self.may_lose_disk(index) {
            return;
        }
        let seed = self.seed();
        let broker = &mut self.brokers[index];
        broker.crash(Some(seed));
        let disk = seed as usize % broker.volumes.disks().len();
        broker.lose_disk(disk);
        self.note(|| format!("broker {index} has lost disk {disk}"));
        self.start(index);
    }

    /// An empty disk lacks what was flushed too, so that the option does not help: one less than the minimum.
    fn may_lose_disk(&self, index: usize) -> bool {
        let Some((at, partition)) = self.committed_partition() else { return true };
        let minimum = self.raft.image.min_isr(at.topic_id, partition);
        let others = self.brokers.iter().enumerate().filter(|(other, _)| *other != index);
        let unwell = others.filter(|(_, broker)| broker.lost || broker.damaged).count();
        unwell + 1 < minimum && partition.isr.len() + partition.elr.len() >= minimum
    }

    /// Nothing goes wrong any more, and what is broken is mended.
    pub(crate) fn heal(&mut self) {
        self.note(|| "all faults heal".to_owned());
        self.healed = true;
        self.ambush = Ambush::default();
        self.cut.clear();
        self.heal_coordinators();
        for index in 0..self.brokers.len() {
            let broker = &mut self.brokers[index];
            broker.pace = Pace::Usual;
            for disk in broker.volumes.disks() {
                disk.set_capacity(u64::MAX);
                disk.set_broken(false);
            }
            // A directory that has failed is used again by the next process.
            if broker.up && broker.has_failed_directory() {
                broker.crash(None);
            }
            if !self.brokers[index].up {
                self.start(index);
            }
        }
    }
}
