//! What goes wrong.

use bytes::Bytes;
use levada_replication::{Event, Replica};

use crate::happening::{Happening, Message, Party};
use crate::run::Failure;
use crate::universe::Universe;

impl Universe {
    /// Something goes wrong, or right again.
    pub(crate) fn fault(&mut self) -> Result<(), Failure> {
        if self.healed {
            return Ok(());
        }
        let delay = self.between(1, 2 * self.fault_ms);
        self.after(delay, Happening::Fault);
        let index = self.below(self.brokers.len());
        match self.below(10) {
            0..=3 => self.come_and_go(index),
            4..=5 => self.rewire(),
            6 => {
                let node = self.below(self.controllers.len());
                self.elect(node);
            }
            7..=8 => self.break_stream(index),
            _ => return self.delete_records(index),
        }
        Ok(())
    }

    fn come_and_go(&mut self, index: usize) {
        if !self.brokers[index].up {
            self.start(index);
            return;
        }
        let power = (!self.one_in(3) && self.may_lose(index)).then(|| self.seed());
        self.note(|| format!("broker {index} stops, power lost: {}", power.is_some()));
        self.brokers[index].crash(power);
        if self.one_in(2) {
            self.start(index);
        }
    }

    /// Bytes may be lost by all at once if acknowledged means flushed; otherwise by one less than the minimum, each
    /// counting until it is in sync again.
    fn may_lose(&self, index: usize) -> bool {
        let others = self.brokers.iter().enumerate().filter(|(other, _)| *other != index);
        let unwell = others.filter(|(_, broker)| broker.lost || broker.damaged).count();
        self.fsync || unwell + 1 < self.minimum
    }

    fn rewire(&mut self) {
        if !self.cut.is_empty() && self.one_in(2) {
            self.cut.clear();
            return;
        }
        let brokers = (0..self.brokers.len()).map(Party::Broker);
        let all: Vec<Party> = brokers.chain((0..self.controllers.len()).map(Party::Controller)).collect();
        let (from, to) = (all[self.below(all.len())], all[self.below(all.len())]);
        self.note(|| format!("cut {from:?} -> {to:?}"));
        self.cut.insert((from, to));
        if self.one_in(2) {
            self.cut.insert((to, from));
        }
    }

    fn break_stream(&mut self, index: usize) {
        let broker = &self.brokers[index];
        let Some((follower, session)) = broker.streams.iter().next().map(|(id, window)| (*id, window.session())) else {
            return;
        };
        let Some(epoch) = broker.replica.as_ref().and_then(Replica::leading_epoch) else { return };
        let (leader, other) = (Party::Broker(index), self.party(follower));
        for (from, to, message) in [
            (other, leader, Message::StreamEnded(follower, session)),
            (leader, other, Message::Detached(epoch, session)),
        ] {
            let delay = self.between(1, 80);
            self.after(delay, Happening::Arrival { from, to, message: Box::new(message) });
        }
    }

    fn delete_records(&mut self, index: usize) -> Result<(), Failure> {
        let is_leader = self.partition().and_then(|at| self.raft.image.partition(at.topic_id, at.partition)?.leader)
            == Some(self.brokers[index].id);
        let broker = &mut self.brokers[index];
        let (Some(replica), Some((writer, reader))) = (&broker.replica, &mut broker.log) else { return Ok(()) };
        if !is_leader || !replica.is_leader() {
            return Ok(());
        }
        let start = reader.log_start_offset();
        let to = start + (replica.high_watermark() - start) / 3;
        broker.is_news = true;
        match writer.advance_log_start(to) {
            Ok(start) => self.tell(index, Event::LogStartMoved { start }, &Bytes::new()),
            Err(_) => Ok(()),
        }
    }
}
