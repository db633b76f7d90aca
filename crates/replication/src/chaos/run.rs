//! One run: faults for a while, then none, and then everything has to be well.

use levada_types::{BrokerId, Offset};

use super::node::Node;
use super::world::{CONTROLLER, Packet, Universe};
use crate::invariants::Violation;
use crate::toy::ToyLog;
use crate::{Event, Replica, Rules};

/// How a run failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// An invariant did not hold.
    Broken(Violation),
    /// All faults were healed and not everything came together.
    Stuck(String),
}

impl From<Violation> for Failure {
    fn from(violation: Violation) -> Self {
        Self::Broken(violation)
    }
}

/// Steps with faults in one run; enough for a dozen crashes and elections.
const STEPS: usize = 1_500;

/// Rounds in which everything under way arrives; far more than a healthy world needs.
const ROUNDS: usize = 300;

/// Runs `seed` to its end. Returns how it failed, and the trace.
pub(super) fn run(seed: u64, rules: Rules) -> (Result<(), Failure>, Vec<String>) {
    let mut universe = Universe::new(seed, rules);
    let outcome = universe.faults().and_then(|()| universe.heal());
    (outcome, universe.trace)
}

impl Universe {
    fn faults(&mut self) -> Result<(), Failure> {
        for at in 0..self.nodes.len() {
            self.show_image(at)?;
        }
        for _ in 0..STEPS {
            self.step()?;
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Violation> {
        let at = self.random.below(self.nodes.len());
        if self.random.below(1_000) < self.wildness {
            return self.fault(at);
        }
        match self.random.below(100) {
            0..=36 if !self.network.is_empty() => {
                let index = self.random.below(self.network.len());
                self.deliver(index)
            }
            37..=56 => match self.some(|node, _| !node.disk.is_empty()) {
                Some(at) => self.work(at),
                None => Ok(()),
            },
            57..=73 => match self.some(|node, _| !node.streams.is_empty()) {
                Some(at) => self.stream_some(at),
                None => Ok(()),
            },
            74..=81 => self.produce_somewhere(),
            82..=89 => match self.some(|node, images| node.up && node.seen < images) {
                Some(at) => self.show_image(at),
                None => Ok(()),
            },
            90..=92 => self.tick(),
            93..=96 => {
                self.arrive_late();
                Ok(())
            }
            _ => {
                self.supervise();
                self.look(None)
            }
        }
    }

    fn fault(&mut self, at: usize) -> Result<(), Violation> {
        match self.random.below(12) {
            0..=4 => self.come_and_go(at),
            5..=6 => self.rewire(),
            7..=8 => self.break_stream(at),
            9 => {
                if self.random.one_in(3) {
                    // There and back again before anybody looks.
                    let other = self.random.below(self.nodes.len());
                    let leader = self.controller.now.leader;
                    self.change_leader(other)?;
                    let back = self.nodes.iter().position(|node| Some(node.id) == leader);
                    return self.change_leader(back.unwrap_or(at));
                }
                self.change_leader(at)
            }
            10 => self.delete_records(at),
            _ => {
                // What was promised with the option on stays a promise: it is not switched off here.
                self.controller.switch_fsync(self.random.one_in(4) || self.controller.now.fsync);
                self.look(None)
            }
        }
    }

    /// Clients find a leader, perhaps one that is not it any more.
    fn produce_somewhere(&mut self) -> Result<(), Violation> {
        let Some(at) = self.some(|node, _| node.is_leader()) else { return Ok(()) };
        let acks_all = !self.random.one_in(3);
        self.produce(at, acks_all)
    }

    /// One of the nodes that are fit, as seen with the number of images there are.
    fn some(&mut self, is_fit: impl Fn(&Node, usize) -> bool) -> Option<usize> {
        let images = self.controller.images.len();
        let fit: Vec<usize> = (0..self.nodes.len()).filter(|at| is_fit(&self.nodes[*at], images)).collect();
        (!fit.is_empty()).then(|| fit[self.random.below(fit.len())])
    }

    fn work(&mut self, at: usize) -> Result<(), Violation> {
        match self.nodes[at].work() {
            Some(event) => self.tell(at, event, Vec::new()),
            None => Ok(()),
        }
    }

    fn stream_some(&mut self, at: usize) -> Result<(), Violation> {
        let followers: Vec<BrokerId> = self.nodes[at].streams.keys().copied().collect();
        followers.into_iter().try_for_each(|follower| self.stream(at, follower))
    }

    fn tick(&mut self) -> Result<(), Violation> {
        self.now_ms += 1 + self.random.below(300) as i64;
        for at in 0..self.nodes.len() {
            if self.nodes[at].up {
                self.tell(at, Event::Tick, Vec::new())?;
            }
        }
        Ok(())
    }

    fn come_and_go(&mut self, at: usize) -> Result<(), Violation> {
        if !self.nodes[at].up {
            return self.restart(at);
        }
        if let Some(replica) = self.nodes[at].replica.as_ref().filter(|_| self.random.one_in(2)) {
            self.nodes[at].checkpoint = replica.high_watermark();
        }
        let keep = (!self.random.one_in(4) && self.may_lose(at)).then(|| {
            let ends = self.nodes[at].ends();
            ends.flushed + self.random.below((ends.end - ends.flushed + 1) as usize) as Offset
        });
        self.trace.push(format!("{} {} crashes, keeping {keep:?}", self.now_ms, self.nodes[at].id));
        self.nodes[at].crash(keep);
        if self.random.one_in(2) {
            return self.restart(at);
        }
        self.look(None)
    }

    /// Bytes may be lost by all at once if acknowledged means flushed; otherwise by one less than the minimum, each
    /// counting until it is in sync again.
    fn may_lose(&self, at: usize) -> bool {
        // Switched on during the run, it holds only from then on.
        let is_promised = self.controller.images.iter().all(|image| image.fsync);
        let unwell = self.nodes.iter().filter(|node| node.id != self.nodes[at].id && (node.lost || node.damaged));
        is_promised || unwell.count() + 1 < self.controller.now.minimum()
    }

    fn restart(&mut self, at: usize) -> Result<(), Violation> {
        if self.cut.contains(&(self.nodes[at].id, CONTROLLER)) {
            return Ok(());
        }
        let node = &mut self.nodes[at];
        let lost = std::mem::take(&mut node.lost);
        node.up = true;
        node.damaged |= lost;
        node.log.flushed = node.log.flushed.min(node.log.end());
        node.epoch = self.controller.register(node.id, lost);
        node.registered_at = self.controller.images.len() - 1;
        node.seen = node.registered_at;
        self.trace.push(format!("{} {} is back as {}, damaged {lost}", self.now_ms, node.id, node.epoch));
        self.look(None)
    }

    fn rewire(&mut self) -> Result<(), Violation> {
        if !self.cut.is_empty() && self.random.one_in(2) {
            self.cut.clear();
            return Ok(());
        }
        let ends: Vec<BrokerId> = self.nodes.iter().map(|node| node.id).chain([CONTROLLER]).collect();
        let (from, to) = (ends[self.random.below(ends.len())], ends[self.random.below(ends.len())]);
        self.cut.insert((from, to));
        if self.random.one_in(2) {
            self.cut.insert((to, from));
        }
        Ok(())
    }

    /// The connection between a leader and a follower breaks: both come to know, sooner or later.
    fn break_stream(&mut self, at: usize) -> Result<(), Violation> {
        let Some((follower, window)) = self.nodes[at].streams.iter().next() else { return Ok(()) };
        let (id, follower, session) = (self.nodes[at].id, *follower, window.session());
        let Some(epoch) = self.nodes[at].replica.as_ref().and_then(Replica::leading_epoch) else { return Ok(()) };
        self.network.push((follower, id, Packet::StreamEnded(follower, session)));
        self.network.push((id, follower, Packet::Detached(epoch, session)));
        Ok(())
    }

    fn change_leader(&mut self, at: usize) -> Result<(), Violation> {
        let id = self.nodes[at].id;
        self.controller.lead(id);
        self.look(None)
    }

    fn delete_records(&mut self, at: usize) -> Result<(), Violation> {
        if !self.nodes[at].is_leader() || self.controller.now.leader != Some(self.nodes[at].id) {
            return Ok(());
        }
        let Some(high_watermark) = self.nodes[at].replica.as_ref().map(Replica::high_watermark) else { return Ok(()) };
        let start = self.nodes[at].log.start;
        let to = start + (high_watermark - start) / 2;
        self.nodes[at].log.advance_start(to);
        self.tell(at, Event::LogStartMoved { start: to }, Vec::new())
    }

    /// The controller fences who is silent and unfences who is back.
    fn supervise(&mut self) {
        for at in 0..self.nodes.len() {
            let node = &self.nodes[at];
            let (id, is_reached) = (node.id, !self.cut.contains(&(node.id, CONTROLLER)));
            let is_ready = node.up && is_reached && node.replica.is_some();
            let is_current = node.epoch == self.controller.epoch(id);
            match (is_ready && is_current, self.controller.is_fenced(id)) {
                (true, true) => self.controller.unfence(id),
                (false, false) if self.random.one_in(2) || self.healed => self.controller.fence(id),
                _ => {}
            }
        }
        if self.controller.waits_in_vain() {
            let complete = self.controller.last_complete().to_vec();
            let candidates = self.nodes.iter().filter(|node| complete.contains(&node.id) && node.up);
            let best = candidates.max_by_key(|node| (node.log.records.last().map(|r| r.epoch), node.log.end()));
            if let Some(best) = best.map(|node| node.id) {
                self.controller.elect_damaged(best);
            }
        }
    }

    fn heal(&mut self) -> Result<(), Failure> {
        self.healed = true;
        self.cut.clear();
        self.network.append(&mut self.late);
        for at in 0..self.nodes.len() {
            if !self.nodes[at].up {
                self.restart(at)?;
            }
        }
        for _ in 0..ROUNDS {
            self.now_ms += 50;
            self.supervise();
            self.look(None)?;
            while !self.network.is_empty() {
                self.deliver(0)?;
            }
            for at in 0..self.nodes.len() {
                self.show_image(at)?;
                while !self.nodes[at].disk.is_empty() {
                    self.work(at)?;
                }
                self.stream_some(at)?;
                self.tell(at, Event::Tick, Vec::new())?;
            }
            if self.complaint().is_none() {
                return self.produces_again();
            }
        }
        self.complaint().map_or(Ok(()), |complaint| Err(Failure::Stuck(complaint)))
    }

    /// What is not well yet.
    fn complaint(&self) -> Option<String> {
        let now = &self.controller.now;
        let Some(leader) = self.nodes.iter().find(|node| Some(node.id) == now.leader && node.is_leader()) else {
            return Some(format!("no leader: {now:?}"));
        };
        if now.isr.len() < self.nodes.len() {
            return Some(format!("not all are in sync: {now:?}"));
        }
        let high_watermark = |replica: &Replica| replica.high_watermark();
        for node in &self.nodes {
            // A replica may have heard of deleted records from an earlier leader.
            let start = node.log.start.max(leader.log.start);
            let records = |log: &ToyLog| (start..log.end()).map(|offset| log.get(offset)).collect::<Vec<_>>();
            if records(&node.log) != records(&leader.log) || node.log.end() != leader.log.end() {
                return Some(format!("{} has {:?}, the leader {:?}", node.id, node.ends(), leader.ends()));
            }
            if node.replica.as_ref().map(high_watermark) != Some(leader.log.end()) {
                return Some(format!("{}'s high watermark is not {}", node.id, leader.log.end()));
            }
        }
        None
    }

    /// A healthy world takes a record and acknowledges it.
    fn produces_again(&mut self) -> Result<(), Failure> {
        let Some(at) = self.nodes.iter().position(|node| node.is_leader()) else {
            return Err(Failure::Stuck("no leader to produce to".to_owned()));
        };
        let admitted = self.nodes[at].replica.as_ref().map(|replica| replica.admit(true).is_ok());
        if admitted != Some(true) {
            return Err(Failure::Stuck("the leader admits nothing".to_owned()));
        }
        Ok(())
    }
}
