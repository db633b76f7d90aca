//! The assignments as they would be, and what the choices of a plan need to know about them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use levada_types::{BrokerId, TopicId, TopicIdPartition};

use super::StuckReplica;
use crate::{Reassignment, State, TopicRef};

/// A partition's place in the lists of a board.
pub(super) type Place = u32;

/// The assignments as they would be.
pub(super) struct Board<'a> {
    state: &'a State,
    partitions: Vec<TopicIdPartition>,
    /// Who holds each partition; `None` for one that is being reassigned, which is left alone.
    assignments: Vec<Option<Vec<BrokerId>>>,
    /// Where the partitions of a topic begin.
    first: HashMap<TopicId, Place>,
    moved: BTreeSet<Place>,
    max_moves: usize,
    /// The brokers that may take replicas, each with the number that it holds.
    pub(super) loads: BTreeMap<BrokerId, u32>,
    /// How many partitions each broker is the preferred leader of.
    leads: BTreeMap<BrokerId, u32>,
    /// Which partitions of which topic each broker holds.
    held: HashMap<BrokerId, BTreeMap<TopicId, BTreeSet<Place>>>,
}

impl<'a> Board<'a> {
    pub(super) fn new(state: &'a State, max_moves: usize) -> Self {
        let takers = state.live_brokers().filter(|b| !b.draining && !b.directories.is_empty());
        let mut board = Self {
            state,
            partitions: Vec::new(),
            assignments: Vec::new(),
            first: HashMap::new(),
            moved: BTreeSet::new(),
            max_moves,
            loads: takers.map(|b| (b.id, 0)).collect(),
            leads: BTreeMap::new(),
            held: HashMap::new(),
        };
        for topic in state.topics() {
            board.first.insert(topic.id(), board.next_place());
            for (partition, p) in topic.partitions() {
                // Those in motion count where they go.
                let brokers: Vec<BrokerId> = p.targets().collect();
                let place = board.next_place();
                board.partitions.push(TopicIdPartition { topic_id: topic.id(), partition });
                brokers.iter().for_each(|id| board.hold(place, *id, true));
                brokers.first().into_iter().for_each(|id| *board.leads.entry(*id).or_default() += 1);
                board.assignments.push((!p.is_reassigning()).then_some(brokers));
            }
        }
        board
    }

    fn next_place(&self) -> Place {
        // Far more partitions than a cluster's metadata can hold.
        Place::try_from(self.partitions.len()).unwrap_or(Place::MAX)
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place> + use<> {
        0..self.next_place()
    }

    fn at(&self, place: Place) -> TopicIdPartition {
        self.partitions[place as usize]
    }

    /// Who holds a partition, unless it is being reassigned.
    pub(super) fn brokers(&self, place: Place) -> Option<&[BrokerId]> {
        self.assignments.get(place as usize)?.as_deref()
    }

    /// The same without one of them.
    pub(super) fn others(&self, place: Place, broker: BrokerId) -> Vec<BrokerId> {
        self.brokers(place).unwrap_or_default().iter().copied().filter(|id| *id != broker).collect()
    }

    /// Which partitions of which topic a broker holds.
    pub(super) fn held(&self, broker: BrokerId) -> Option<&BTreeMap<TopicId, BTreeSet<Place>>> {
        self.held.get(&broker)
    }

    /// Notes that `broker` holds a replica, or does not any more.
    fn hold(&mut self, place: Place, broker: BrokerId, holds: bool) {
        let topic = self.at(place).topic_id;
        let topics = self.held.entry(broker).or_default();
        let held = topics.entry(topic).or_default();
        let changed = if holds { held.insert(place) } else { held.remove(&place) };
        if held.is_empty() {
            topics.remove(&topic);
        }
        if let Some(load) = self.loads.get_mut(&broker).filter(|_| changed) {
            *load = if holds { *load + 1 } else { load.saturating_sub(1) };
        }
    }

    /// How many replicas of `topic` the broker holds.
    pub(super) fn of_topic(&self, topic: TopicId, broker: BrokerId) -> usize {
        self.held.get(&broker).and_then(|topics| topics.get(&topic)).map_or(0, BTreeSet::len)
    }

    /// Whether the plan may move no further partition.
    pub(super) fn is_full(&self) -> bool {
        self.moved.len() >= self.max_moves
    }

    /// Whether the plan may move this one.
    pub(super) fn may_move(&self, place: Place) -> bool {
        !self.is_full() || self.moved.contains(&place)
    }

    fn rack(&self, broker: BrokerId) -> Option<&'a str> {
        self.state.broker(broker).and_then(|b| b.rack.as_deref())
    }

    /// How many of `brokers` stand in the rack of `broker`; a broker without a rack stands alone.
    pub(super) fn in_rack(&self, brokers: &[BrokerId], broker: BrokerId) -> usize {
        let rack = self.rack(broker);
        brokers.iter().filter(|other| rack.is_some() && **other != broker && self.rack(**other) == rack).count()
    }

    /// Whether `to` in the place of `from` leaves the partition in as many racks.
    pub(super) fn keeps_racks(&self, place: Place, from: BrokerId, to: BrokerId) -> bool {
        if self.rack(from) == self.rack(to) {
            return true;
        }
        let others = self.others(place, from);
        self.in_rack(&others, to) <= self.in_rack(&others, from)
    }

    /// Who would best take a replica beside `others`.
    pub(super) fn best_taker(&self, place: Place, others: &[BrokerId]) -> Option<BrokerId> {
        let topic = self.at(place).topic_id;
        let takers = self.loads.iter().filter(|(id, _)| !others.contains(id));
        takers
            .min_by_key(|(id, load)| (self.in_rack(others, **id), **load, self.of_topic(topic, **id), **id))
            .map(|(id, _)| *id)
    }

    /// Puts `to` in the place of `from`, at the end if there is no `from`.
    pub(super) fn put(&mut self, place: Place, from: Option<BrokerId>, to: BrokerId) {
        let Some(Some(brokers)) = self.assignments.get_mut(place as usize) else { return };
        let position = from.and_then(|from| brokers.iter().position(|id| *id == from));
        match position {
            Some(position) => brokers[position] = to,
            None => brokers.push(to),
        }
        if position == Some(0) {
            self.lead(from, to);
        }
        if let Some(from) = from {
            self.hold(place, from, false);
        }
        self.hold(place, to, true);
        self.moved.insert(place);
    }

    fn lead(&mut self, from: Option<BrokerId>, to: BrokerId) {
        if let Some(count) = from.and_then(|from| self.leads.get_mut(&from)) {
            *count = count.saturating_sub(1);
        }
        *self.leads.entry(to).or_default() += 1;
    }

    pub(super) fn empty_draining(&mut self, stuck: &mut Vec<StuckReplica>) {
        let draining: BTreeSet<BrokerId> = self.state.brokers().filter(|b| b.draining).map(|b| b.id).collect();
        let held = draining.iter().filter_map(|id| self.held.get(id)).flat_map(|topics| topics.values().flatten());
        let places: BTreeSet<Place> = held.copied().collect();
        for place in places {
            let held = self.brokers(place).unwrap_or_default().iter();
            let leaving: Vec<BrokerId> = held.copied().filter(|id| draining.contains(id)).collect();
            for from in leaving {
                let others = self.others(place, from);
                match self.best_taker(place, &others) {
                    // Who has nowhere to go is told of all, however few may move now.
                    None => stuck.push(StuckReplica { partition: self.at(place), broker: from }),
                    Some(to) if self.may_move(place) => self.put(place, Some(from), to),
                    Some(_) => {}
                }
            }
        }
    }

    /// The topics of coordinators come up with the brokers that are there, and get their replication factor when more come.
    pub(super) fn grow_shards(&mut self) {
        for (_, shards) in self.state.shard_topics() {
            let wanted = usize::try_from(shards.replication_factor()).unwrap_or(1);
            let Some(first) = self.first.get(&shards.topic()).copied() else { continue };
            for place in (first..).take(shards.owners().len()) {
                while self.brokers(place).is_some_and(|brokers| brokers.len() < wanted) && self.may_move(place) {
                    let Some(to) = self.best_taker(place, self.brokers(place).unwrap_or_default()) else { break };
                    self.put(place, None, to);
                }
            }
        }
    }

    /// Whether the leadership of a partition passed to another of its replicas, one that leads fewer.
    pub(super) fn pass_leadership(&mut self, place: Place) -> bool {
        if !self.may_move(place) {
            return false;
        }
        let Some(Some(brokers)) = self.assignments.get_mut(place as usize) else { return false };
        let leads = |id: BrokerId| self.leads.get(&id).copied().unwrap_or(0);
        let takers = brokers.iter().enumerate().filter(|(_, id)| self.loads.contains_key(id));
        let Some((position, to)) = takers.map(|(place, id)| (place, *id)).min_by_key(|(_, id)| (leads(*id), *id))
        else {
            return false;
        };
        let Some(from) = brokers.first().copied().filter(|id| self.loads.contains_key(id)) else { return false };
        if leads(from) <= leads(to) + 1 {
            return false;
        }
        brokers.swap(0, position);
        self.lead(Some(from), to);
        self.moved.insert(place);
        true
    }

    pub(super) fn moves(self) -> Vec<Reassignment> {
        let moved = self.moved.iter().filter_map(|place| {
            let (at, replicas) = (self.at(*place), self.brokers(*place)?);
            let now = self.state.partition(at.topic_id, at.partition)?;
            let is_new = !now.replicas.iter().map(|r| r.broker).eq(replicas.iter().copied());
            is_new.then(|| Reassignment {
                topic: TopicRef::Id(at.topic_id),
                partition: at.partition,
                replicas: Some(replicas.to_vec()),
            })
        });
        moved.collect()
    }
}
