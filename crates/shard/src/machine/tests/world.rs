//! The world, and what must hold in it.

use std::collections::{BTreeMap, BTreeSet};

use levada_types::{BrokerId, LeaderEpoch, TimestampMs};

use super::counters::{Ask, Counters};
use super::leader::Leader;
use super::owner::Owner;
use crate::machine::{Event, News, Standing, Term, Unserved};
use crate::{AppendSession, Rules};

/// Owners there are.
const OWNERS: usize = 3;

/// Steps before everything is mended.
const STEPS: usize = 1_000;

/// A request of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Op {
    pub(super) ask: Ask,
    /// The greatest sum that somebody was told before it was asked.
    pub(super) floor: u64,
    /// Whether the answer is confirmed at the leader.
    pub(super) confirmed: bool,
}

/// What has happened in some worlds.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) acknowledged: u64,
    pub(super) interrupted: u64,
    pub(super) set_back: u64,
    pub(super) partly_loaded: u64,
    pub(super) nothing_to_load: u64,
    pub(super) late_appends: u64,
    /// Times that somebody owned the shard who had followed it.
    pub(super) taken_over: u64,
}

impl Seen {
    pub(super) fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.interrupted += other.interrupted;
        self.set_back += other.set_back;
        self.partly_loaded += other.partly_loaded;
        self.nothing_to_load += other.nothing_to_load;
        self.late_appends += other.late_appends;
        self.taken_over += other.taken_over;
    }

    pub(super) fn check(&self) {
        let all = [
            self.acknowledged,
            self.interrupted,
            self.set_back,
            self.partly_loaded,
            self.nothing_to_load,
            self.late_appends,
            self.taken_over,
        ];
        assert!(all.iter().all(|seen| *seen > 20), "{self:?}");
    }
}

pub(super) struct World {
    seed: u64,
    pub(super) now: TimestampMs,
    pub(super) leader: Leader,
    pub(super) owners: Vec<Owner>,
    /// Who owns the shard by the metadata.
    owner: usize,
    /// Answers on their way, and the session that they are to be confirmed for.
    confirming: Vec<(Op, u64, LeaderEpoch, AppendSession)>,
    next_op: u64,
    /// Sums that were told, by counter: the greatest.
    told: BTreeMap<u8, u64>,
    /// Additions that were acknowledged, with the counter and the sum that were told.
    acknowledged: BTreeMap<u64, (u8, u64)>,
    /// Additions that certainly were not made.
    undone: BTreeSet<u64>,
    violation: Option<String>,
    pub(super) seen: Seen,
}

impl World {
    pub(super) fn new(seed: u64, rules: Rules) -> Self {
        let mut world = Self {
            seed: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03,
            now: 1_000_000,
            leader: Leader::new(rules),
            owners: (0..OWNERS).map(|_| Owner::new(rules)).collect(),
            owner: 0,
            confirming: Vec::new(),
            next_op: 0,
            told: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            undone: BTreeSet::new(),
            violation: None,
            seen: Seen::default(),
        };
        world.tell_owner();
        world
    }

    pub(super) fn draw(&mut self, below: usize) -> usize {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 20) as usize % below.max(1)
    }

    /// Runs to the end, or to what must not be.
    pub(super) fn run(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            self.step();
            if let Some(violation) = self.violation.take() {
                return Err(violation);
            }
        }
        self.mend();
        self.violation.take().map_or_else(|| self.check_end(), Err)
    }

    /// The metadata, as everybody hears it some time.
    fn tell_owner(&mut self) {
        let term = Term { leader: Some(BrokerId(1)), epoch: self.leader.epoch, losses: 0 };
        let heir = self.draw(OWNERS);
        for (index, owner) in self.owners.iter_mut().enumerate() {
            owner.images.push_back(match index {
                _ if index == self.owner => Event::Term(term),
                _ if index == heir => Event::Follow(term),
                _ => Event::Suspend,
            });
        }
    }

    pub(super) fn move_shard(&mut self) {
        self.owner = self.draw(OWNERS);
        self.leader.next_epoch();
        self.tell_owner();
    }

    pub(super) fn change_leader(&mut self) {
        let keeps = self.draw(3);
        for ((owner, attempt, number), outcome) in self.leader.change(keeps) {
            self.owners[owner].ended(attempt, number, outcome);
        }
        self.tell_owner();
    }

    /// The session of the owner with the controller lapses, and comes back.
    pub(super) fn lapse(&mut self) {
        let term = Term { leader: Some(BrokerId(1)), epoch: self.leader.epoch, losses: 0 };
        let images = &mut self.owners[self.owner].images;
        images.push_back(Event::Suspend);
        images.push_back(Event::Term(term));
    }

    pub(super) fn ask(&mut self) {
        let (counter, op) = (self.draw(3) as u8, self.next_op);
        self.next_op += 1;
        let floor = self.told.get(&counter).copied().unwrap_or(0);
        let (ask, confirmed) = match self.draw(10) {
            0..=4 => (Ask::Add { counter, op }, false),
            5 => (Ask::AddBoth { counters: [counter, (counter + 1) % 3], op }, false),
            6 => (Ask::Get { counter }, false),
            7..=8 => (Ask::Get { counter }, true),
            _ => (Ask::Await { counter, least: floor + 2 }, false),
        };
        // Mostly whom the metadata names.
        let whom = if self.draw(4) == 0 { self.draw(OWNERS) } else { self.owner };
        self.owners[whom].ask(Op { ask, floor, confirmed });
    }

    /// What an owner has answered goes out.
    pub(super) fn collect(&mut self, owner: usize) {
        for news in std::mem::take(&mut self.owners[owner].news) {
            match news {
                News::SetBack(_) => self.seen.set_back += 1,
                News::Serves { from, to, .. } if from == to && from > 0 => self.seen.nothing_to_load += 1,
                News::Serves { from, .. } if from > 0 => self.seen.partly_loaded += 1,
                News::Damaged(what) => self.violation = Some(what.to_owned()),
                _ => {}
            }
        }
        let session = self.owners[owner].session;
        for (op, answer) in std::mem::take(&mut self.owners[owner].answers) {
            match (answer, session) {
                (Ok(sum), Some((epoch, session))) if op.confirmed => self.confirming.push((op, sum, epoch, session)),
                // Its session was over before it could be confirmed.
                (Ok(_), None) if op.confirmed => {}
                (Ok(sum), _) => self.told(op, sum),
                (Err(unserved), _) => self.refused(op, unserved),
            }
        }
    }

    /// The leader is asked after a session.
    pub(super) fn confirm(&mut self) {
        if !self.confirming.is_empty() {
            let at = self.draw(self.confirming.len());
            let (op, sum, epoch, session) = self.confirming.swap_remove(at);
            if self.leader.is_newest(epoch, session) {
                self.told(op, sum);
            }
        }
    }

    fn refused(&mut self, op: Op, unserved: Unserved) {
        self.seen.interrupted += u64::from(!unserved.is_certainly_undone());
        if let Ask::Add { op, .. } | Ask::AddBoth { op, .. } = op.ask
            && unserved.is_certainly_undone()
        {
            self.undone.insert(op);
        }
    }

    fn told(&mut self, op: Op, sum: u64) {
        self.seen.acknowledged += 1;
        let (counter, by, least) = match op.ask {
            Ask::Add { counter, op: by } | Ask::AddBoth { counters: [counter, _], op: by } => {
                (counter, Some(by), op.floor + 1)
            }
            Ask::Get { counter } | Ask::Await { counter, .. } => {
                (counter, None, if op.confirmed { op.floor } else { 0 })
            }
        };
        let committed = self.leader.committed();
        let highest = committed.iter().filter(|(of, ..)| *of == counter).map(|(_, sum, _)| *sum).max().unwrap_or(0);
        if sum > highest {
            self.fail(format!("{op:?} was told {sum}, and {highest} is committed"));
        }
        if sum < least {
            self.fail(format!("{op:?} was told {sum} after somebody was told {least}"));
        }
        if let Some(by) = by {
            if !committed.contains(&(counter, sum, by)) {
                self.fail(format!("{op:?} was told {sum}, which is not committed"));
            }
            if self.acknowledged.insert(by, (counter, sum)).is_some() {
                self.fail(format!("{op:?} was answered twice"));
            }
        }
        let told = self.told.entry(counter).or_default();
        *told = sum.max(*told);
    }

    pub(super) fn fail(&mut self, violation: String) {
        self.violation.get_or_insert(violation);
    }

    /// Nothing goes wrong any more, and everything comes to its end.
    fn mend(&mut self) {
        for owner in &mut self.owners {
            owner.paused = false;
        }
        self.leader.has_minimum = true;
        self.move_shard();
        for _ in 0..600 {
            self.now += 50;
            self.settle();
            if self.violation.is_some() {
                return;
            }
        }
    }

    /// What must hold once everything has come to its end.
    fn check_end(&self) -> Result<(), String> {
        let committed = self.leader.committed();
        let mut sums: BTreeMap<u8, u64> = BTreeMap::new();
        for (counter, sum, op) in &committed {
            let before = sums.insert(*counter, *sum).unwrap_or(0);
            if *sum != before + 1 {
                return Err(format!("counter {counter} goes from {before} to {sum} by request {op}"));
            }
            if self.undone.contains(op) {
                return Err(format!("request {op} is committed, and was told that nothing was done"));
            }
        }
        for (op, (counter, sum)) in &self.acknowledged {
            if committed.iter().filter(|record| **record == (*counter, *sum, *op)).count() != 1 {
                return Err(format!("request {op} was told {sum}, and that is not in the log once"));
            }
        }
        let owner = &self.owners[self.owner];
        if owner.machine.standing() != Standing::Serving(self.leader.end()) {
            return Err(format!("the owner ends as {:?}", owner.machine.standing()));
        }
        if let Some((_, op)) = self.owners.iter().flat_map(|owner| &owner.waiting).next() {
            return Err(format!("{op:?} was never answered"));
        }
        let expected = Counters { counts: sums, ..Counters::default() };
        if owner.machine.core() != Some(&expected) {
            return Err(format!("the owner has {:?}, and the log {expected:?}", owner.machine.core()));
        }
        Ok(())
    }
}
