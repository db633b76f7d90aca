//! Where partitions should move: off brokers that are emptied, onto brokers that are new, and nowhere else.
//!
//! A plan is a pure function of the metadata, so it needs no memory: whoever carries it out asks again when its moves are
//! done, and a new active controller goes on where the old one stopped. When there is nothing left to do the plan is empty.

use std::collections::{BTreeMap, BTreeSet};

use levada_types::{BrokerId, TopicId, TopicIdPartition, TopicName};

use crate::config::{Resolver, StaticConfigs};
use crate::{Reassignment, State, TopicRef};

/// The limits of evening out the brokers, which the cluster's metadata remember while it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rebalance {
    /// Bytes per second that each broker may send, and may receive, of replicas that move; `None` is without a limit.
    pub throttle: Option<u64>,
}

/// What a plan may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanOptions {
    /// Also even out the brokers; otherwise only empty those that are being emptied, and bring internal topics to their
    /// replication factor.
    pub balance: bool,
    /// The number of partitions that the plan moves at most, so that moving takes its share of the network and no more.
    pub max_moves: usize,
}

/// What is to be done, and what cannot be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Moves, as [`crate::Command::AlterPartitionReassignments`] takes them (with a change of factor allowed).
    pub moves: Vec<Reassignment>,
    /// Replicas on brokers that are being emptied which have nowhere to go.
    pub stuck: Vec<StuckReplica>,
}

/// A replica that should leave its broker and has nowhere to go: every other live broker holds one already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StuckReplica {
    /// The partition.
    pub partition: TopicIdPartition,
    /// The broker that is being emptied.
    pub broker: BrokerId,
}

impl Plan {
    /// The plan for `state`. Partitions that are being reassigned already are left alone. `configs` is the configuration of
    /// the process that asks, where the replication factors of internal topics may be set.
    #[must_use]
    pub fn new(state: &State, configs: &StaticConfigs, options: PlanOptions) -> Self {
        let mut board = Board::new(state, options.max_moves);
        let mut stuck = Vec::new();
        board.empty_draining(&mut stuck);
        board.grow_internal(configs);
        if options.balance {
            board.even_replicas();
            board.even_leaders();
        }
        Self { moves: board.moves(), stuck }
    }
}

/// The broker setting that says how many replicas an internal topic is to have.
fn replication_setting(topic: &TopicName) -> Option<&'static str> {
    match topic.as_str() {
        "__consumer_offsets" => Some("offsets.topic.replication.factor"),
        "__transaction_state" => Some("transaction.state.log.replication.factor"),
        _ => None,
    }
}

/// The assignments as they would be, with what the choices need to know about them.
struct Board<'a> {
    state: &'a State,
    assignments: BTreeMap<TopicIdPartition, Vec<BrokerId>>,
    moved: BTreeSet<TopicIdPartition>,
    max_moves: usize,
    /// The brokers that may take replicas, each with the number that it holds.
    loads: BTreeMap<BrokerId, u32>,
    /// How many partitions each broker is the preferred leader of.
    leads: BTreeMap<BrokerId, u32>,
    /// Which partitions of which topic each broker holds.
    held: BTreeMap<(BrokerId, TopicId), BTreeSet<TopicIdPartition>>,
}

impl<'a> Board<'a> {
    fn new(state: &'a State, max_moves: usize) -> Self {
        let takers = state.live_brokers().filter(|b| !b.draining && !b.directories.is_empty());
        let mut board = Self {
            state,
            assignments: BTreeMap::new(),
            moved: BTreeSet::new(),
            max_moves,
            loads: takers.map(|b| (b.id, 0)).collect(),
            leads: BTreeMap::new(),
            held: BTreeMap::new(),
        };
        for topic in state.topics() {
            for (partition, p) in topic.partitions() {
                // Those in motion count where they go.
                let brokers: Vec<BrokerId> = p.targets().collect();
                let at = TopicIdPartition { topic_id: topic.id(), partition };
                brokers.iter().for_each(|id| board.hold(at, *id, true));
                brokers.first().into_iter().for_each(|id| *board.leads.entry(*id).or_default() += 1);
                if !p.is_reassigning() {
                    board.assignments.insert(at, brokers);
                }
            }
        }
        board
    }

    /// Notes that `broker` holds a replica, or does not any more.
    fn hold(&mut self, at: TopicIdPartition, broker: BrokerId, holds: bool) {
        let held = self.held.entry((broker, at.topic_id)).or_default();
        let changed = if holds { held.insert(at) } else { held.remove(&at) };
        if let Some(load) = self.loads.get_mut(&broker).filter(|_| changed) {
            *load = if holds { *load + 1 } else { load.saturating_sub(1) };
        }
    }

    /// How many replicas of `topic` the broker holds.
    fn of_topic(&self, topic: TopicId, broker: BrokerId) -> usize {
        self.held.get(&(broker, topic)).map_or(0, BTreeSet::len)
    }

    fn is_full(&self, at: TopicIdPartition) -> bool {
        self.moved.len() >= self.max_moves && !self.moved.contains(&at)
    }

    fn rack(&self, broker: BrokerId) -> Option<&'a str> {
        self.state.broker(broker).and_then(|b| b.rack.as_deref())
    }

    /// How many of `brokers` stand in the rack of `broker`; a broker without a rack stands alone.
    fn in_rack(&self, brokers: &[BrokerId], broker: BrokerId) -> usize {
        let rack = self.rack(broker);
        brokers.iter().filter(|other| rack.is_some() && **other != broker && self.rack(**other) == rack).count()
    }

    /// Who would best take a replica beside `others`.
    fn best_taker(&self, at: TopicIdPartition, others: &[BrokerId]) -> Option<BrokerId> {
        let takers = self.loads.iter().filter(|(id, _)| !others.contains(id));
        takers
            .min_by_key(|(id, load)| (self.in_rack(others, **id), **load, self.of_topic(at.topic_id, **id), **id))
            .map(|(id, _)| *id)
    }

    /// Puts `to` in the place of `from`, at the end if there is no `from`.
    fn place(&mut self, at: TopicIdPartition, from: Option<BrokerId>, to: BrokerId) {
        let Some(brokers) = self.assignments.get_mut(&at) else { return };
        let place = from.and_then(|from| brokers.iter().position(|id| *id == from));
        match place {
            Some(place) => brokers[place] = to,
            None => brokers.push(to),
        }
        if place == Some(0) {
            self.lead(from, to);
        }
        if let Some(from) = from {
            self.hold(at, from, false);
        }
        self.hold(at, to, true);
        self.moved.insert(at);
    }

    fn lead(&mut self, from: Option<BrokerId>, to: BrokerId) {
        if let Some(count) = from.and_then(|from| self.leads.get_mut(&from)) {
            *count = count.saturating_sub(1);
        }
        *self.leads.entry(to).or_default() += 1;
    }

    fn empty_draining(&mut self, stuck: &mut Vec<StuckReplica>) {
        let draining: BTreeSet<BrokerId> = self.state.brokers().filter(|b| b.draining).map(|b| b.id).collect();
        if draining.is_empty() {
            return;
        }
        let partitions: Vec<TopicIdPartition> = self.assignments.keys().copied().collect();
        for at in partitions {
            let leaving: Vec<BrokerId> =
                self.assignments[&at].iter().copied().filter(|id| draining.contains(id)).collect();
            for from in leaving {
                if self.is_full(at) {
                    break;
                }
                let others: Vec<BrokerId> = self.assignments[&at].iter().copied().filter(|id| *id != from).collect();
                match self.best_taker(at, &others) {
                    Some(to) => self.place(at, Some(from), to),
                    None => stuck.push(StuckReplica { partition: at, broker: from }),
                }
            }
        }
    }

    /// Internal topics come up with the brokers that are there, and get their replication factor when more come.
    fn grow_internal(&mut self, configs: &StaticConfigs) {
        let resolver = Resolver::new(self.state, None, configs);
        for topic in self.state.topics() {
            let Some(setting) = replication_setting(topic.name()) else { continue };
            let wanted = usize::try_from(resolver.broker_long(setting).unwrap_or(1)).unwrap_or(1);
            for (partition, _) in topic.partitions() {
                let at = TopicIdPartition { topic_id: topic.id(), partition };
                while self.assignments.get(&at).is_some_and(|brokers| brokers.len() < wanted) && !self.is_full(at) {
                    let Some(to) = self.best_taker(at, &self.assignments[&at]) else { break };
                    self.place(at, None, to);
                }
            }
        }
    }

    /// Moves replicas from the fullest broker to the emptiest, as long as that makes them more even and no rack fuller.
    fn even_replicas(&mut self) {
        while let Some((at, from, to)) = self.next_move() {
            self.place(at, Some(from), to);
        }
    }

    fn next_move(&self) -> Option<(TopicIdPartition, BrokerId, BrokerId)> {
        let mut by_load: Vec<(u32, BrokerId)> = self.loads.iter().map(|(id, load)| (*load, *id)).collect();
        by_load.sort_unstable();
        let pairs = by_load.iter().rev().flat_map(|donor| by_load.iter().map(move |taker| (*donor, *taker)));
        pairs
            .filter(|(donor, taker)| donor.0 > taker.0 + 1)
            .find_map(|((_, from), (_, to))| self.best_partition(from, to).map(|at| (at, from, to)))
    }

    /// A partition whose move makes its topic most even.
    fn best_partition(&self, from: BrokerId, to: BrokerId) -> Option<TopicIdPartition> {
        let may_move = |at: &TopicIdPartition| {
            let Some(brokers) = self.assignments.get(at) else { return false };
            !brokers.contains(&to) && !self.is_full(*at) && self.keeps_racks(brokers, from, to)
        };
        let topics = self.held.range((from, TopicId::ZERO)..).take_while(|((broker, _), _)| *broker == from);
        let mut topics: Vec<_> = topics
            .map(|((_, topic), held)| (self.of_topic(*topic, to) as i64 - held.len() as i64, topic, held))
            .collect();
        topics.sort_unstable_by_key(|(difference, topic, _)| (*difference, *topic));
        topics.into_iter().find_map(|(.., held)| held.iter().find(|at| may_move(at)).copied())
    }

    /// Whether `to` in the place of `from` leaves the partition in as many racks.
    fn keeps_racks(&self, brokers: &[BrokerId], from: BrokerId, to: BrokerId) -> bool {
        if self.rack(from) == self.rack(to) {
            return true;
        }
        let others: Vec<BrokerId> = brokers.iter().copied().filter(|id| *id != from).collect();
        self.in_rack(&others, to) <= self.in_rack(&others, from)
    }

    /// Gives leaderships to whoever has fewer, among the replicas as they are, until no partition can make it more even.
    fn even_leaders(&mut self) {
        let partitions: Vec<TopicIdPartition> = self.assignments.keys().copied().collect();
        // Each round goes over all of them, whether or not one has passed on already.
        while partitions.iter().filter(|at| self.pass_leadership(**at)).count() > 0 {}
    }

    /// Whether the leadership of a partition passed to another of its replicas.
    fn pass_leadership(&mut self, at: TopicIdPartition) -> bool {
        if self.is_full(at) {
            return false;
        }
        let Some(brokers) = self.assignments.get_mut(&at) else { return false };
        let leads = |id: BrokerId| self.leads.get(&id).copied().unwrap_or(0);
        let takers = brokers.iter().enumerate().filter(|(_, id)| self.loads.contains_key(id));
        let Some((place, to)) = takers.map(|(place, id)| (place, *id)).min_by_key(|(_, id)| (leads(*id), *id)) else {
            return false;
        };
        let Some(from) = brokers.first().copied().filter(|id| self.loads.contains_key(id)) else { return false };
        if leads(from) <= leads(to) + 1 {
            return false;
        }
        brokers.swap(0, place);
        self.lead(Some(from), to);
        self.moved.insert(at);
        true
    }

    fn moves(self) -> Vec<Reassignment> {
        let moved = self.moved.iter().filter_map(|at| {
            let replicas = self.assignments.get(at)?;
            let now = self.state.partition(at.topic_id, at.partition)?;
            let is_new = !now.replicas.iter().map(|r| r.broker).eq(replicas.iter().copied());
            is_new.then(|| Reassignment {
                topic: TopicRef::Id(at.topic_id),
                partition: at.partition,
                replicas: Some(replicas.clone()),
            })
        });
        moved.collect()
    }
}

#[cfg(test)]
mod tests;
