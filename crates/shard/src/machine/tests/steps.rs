//! What happens in the world, by chance.

use super::owner::Sent;
use super::world::World;
use crate::AppendTicket;
use crate::machine::{Event, Standing};

impl World {
    pub(super) fn step(&mut self) {
        let owner = self.draw(self.owners.len());
        match self.draw(1_000) {
            0..=199 => self.ask(),
            200..=499 => self.run_owner(owner),
            500..=749 => self.deliver(owner),
            750..=899 => self.commit(),
            900..=949 => self.confirm(),
            950..=959 => self.owners[owner].paused = self.draw(2) == 0,
            960..=965 => self.move_shard(),
            966..=969 => self.change_leader(),
            970..=972 => self.lapse(),
            973..=978 => self.leader.has_minimum = self.draw(3) > 0,
            979..=983 => self.break_stream(owner),
            984 => {
                self.now += 6_000;
                self.tick();
            }
            _ => {
                self.now += self.draw(200) as i64;
                self.tick();
            }
        }
    }

    /// Everything that is on its way arrives, and everything is committed.
    pub(super) fn settle(&mut self) {
        for owner in 0..self.owners.len() {
            for _ in 0..50 {
                self.run_owner(owner);
                self.deliver(owner);
                self.commit();
                self.confirm();
            }
        }
        self.tick();
    }

    fn tick(&mut self) {
        for owner in &mut self.owners {
            if owner.machine.next_deadline().is_some_and(|deadline| deadline <= self.now) {
                owner.inbox.push_back(Event::Tick);
            }
        }
    }

    fn run_owner(&mut self, index: usize) {
        if !self.owners[index].paused {
            let events = 1 + self.draw(4);
            let followed = matches!(self.owners[index].machine.standing(), Standing::Following(end) if end > 0);
            if self.draw(4) == 0 {
                let owner = &mut self.owners[index];
                owner.inbox.extend(owner.images.pop_front());
            }
            self.owners[index].run(events, self.now);
            let owns = matches!(self.owners[index].machine.standing(), Standing::Loading | Standing::Serving(_));
            self.seen.taken_over += u64::from(followed && owns);
            self.collect(index);
        }
    }

    fn commit(&mut self) {
        for _ in 0..=self.draw(3) {
            if let Some(((owner, attempt, number), outcome)) = self.leader.commit() {
                self.owners[owner].ended(attempt, number, outcome);
            }
        }
    }

    /// The stream between an owner and the leader breaks; what was sent may arrive yet, and what was to be heard does not.
    fn break_stream(&mut self, index: usize) {
        let arrives = self.draw(self.owners[index].outbox.len() + 1);
        let owner = &mut self.owners[index];
        owner.outbox.truncate(arrives);
        owner.hear_nothing();
    }

    /// The next of what an owner has sent arrives at the leader.
    fn deliver(&mut self, index: usize) {
        let Some(sent) = self.owners[index].outbox.pop_front() else { return };
        match sent {
            Sent::Open { attempt, epoch } => {
                let event = match self.leader.open(epoch) {
                    Some(opened) => Event::Opened { attempt, opened },
                    None => Event::Lost { attempt },
                };
                self.owners[index].inbox.push_back(event);
            }
            Sent::Read { attempt, epoch, range } => {
                let inbox = &mut self.owners[index].inbox;
                match self.leader.read(&range).filter(|_| epoch == self.leader.epoch) {
                    Some(batches) => {
                        inbox.extend(batches.into_iter().map(|records| Event::Read { attempt, records }));
                        inbox.push_back(Event::ReadEnded { attempt });
                    }
                    // It has not been committed, and the read waits.
                    None if epoch == self.leader.epoch => {
                        self.owners[index].outbox.push_front(Sent::Read { attempt, epoch, range });
                    }
                    None => inbox.push_back(Event::Lost { attempt }),
                }
            }
            Sent::Follow { attempt, epoch, from } if attempt == self.owners[index].attempt => {
                let end = self.leader.high_watermark();
                let batches = self.leader.read(&(from..end)).filter(|_| epoch == self.leader.epoch);
                let Some(batches) = batches else {
                    return self.owners[index].inbox.push_back(Event::Lost { attempt });
                };
                let owner = &mut self.owners[index];
                owner.inbox.extend(batches.into_iter().map(|records| Event::Read { attempt, records }));
                // It goes on with what is committed next.
                owner.outbox.push_back(Sent::Follow { attempt, epoch, from: from.max(end) });
            }
            Sent::Follow { .. } => {}
            Sent::Append { attempt, number, epoch, session, expected, records } => {
                let ticket = AppendTicket { epoch, session, expected };
                self.seen.late_appends += u64::from(!self.leader.is_newest(epoch, session));
                self.owners[index].arrived(attempt, number);
                if let Some(outcome) = self.leader.append(ticket, &records, (index, attempt, number)) {
                    self.owners[index].ended(attempt, number, outcome);
                }
            }
        }
    }
}
