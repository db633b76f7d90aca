//! The logs of several replicas, each cleaned by itself at its own time: whoever leads, whatever is cut off and copied, all
//! come to hold the same final state.

use std::collections::HashMap;

use levada_log::{LogConfig, LogStore, OpenedLog};
use levada_types::{LeaderEpoch, Offset};
use proptest::prelude::*;
use tempfile::TempDir;

use super::support::*;
use crate::support::{NOW, close, open_log, open_store};

/// How long tombstones live in these tests.
const RETENTION_MS: i64 = 1_000;

const REPLICAS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    /// Records of these keys at the leader; those whose number is odd are tombstones.
    Put(Vec<u8>),
    /// A replica copies up to so many bytes from the leader.
    Copy(usize, usize),
    /// A replica is in sync no more, or again if it has everything that is committed.
    Leave(usize),
    Join(usize),
    /// A replica leads, if it is in sync.
    Elect(usize),
    Roll(usize),
    /// A replica is cleaned up to what it knows to be committed, with little or enough memory.
    Clean(usize, bool),
    /// A replica is opened anew.
    Reopen(usize),
    /// A replica that is not in sync begins anew with an empty directory.
    Replace(usize),
    /// Everybody catches up, and time goes by.
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let replica = || 0..REPLICAS;
    prop_oneof![
        8 => prop::collection::vec(0..24u8, 1..5).prop_map(Step::Put),
        8 => (replica(), 1..1_500usize).prop_map(|(replica, bytes)| Step::Copy(replica, bytes)),
        2 => replica().prop_map(Step::Leave),
        2 => replica().prop_map(Step::Join),
        2 => replica().prop_map(Step::Elect),
        4 => replica().prop_map(Step::Roll),
        5 => (replica(), any::<bool>()).prop_map(|(replica, enough)| Step::Clean(replica, enough)),
        1 => replica().prop_map(Step::Reopen),
        1 => replica().prop_map(Step::Replace),
        1 => (1..RETENTION_MS).prop_map(Step::Wait),
    ]
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 700, delete_retention_ms: RETENTION_MS, ..compacted() }
}

struct Replica {
    dir: TempDir,
    store: LogStore,
    log: OpenedLog,
    /// What it was given and has not cut off, of what its leader was given: offset, key and value.
    written: Vec<(Offset, String, Option<String>)>,
    /// What it knows to be committed.
    high_watermark: Offset,
    /// The leader epoch for which it has cut off what the leader does not have.
    follows: Option<i32>,
}

impl Replica {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open_store(dir.path());
        let log = open_log(&store, &config());
        Self { dir, store, log, written: Vec::new(), high_watermark: 0, follows: None }
    }

    fn reopened(self) -> Self {
        let Self { dir, store, log, written, high_watermark, .. } = self;
        close(store, vec![log.writer]);
        let store = open_store(dir.path());
        let log = open_log(&store, &config());
        Self { dir, store, log, written, high_watermark, follows: None }
    }

    fn end(&self) -> Offset {
        self.log.reader.log_end_offset()
    }

    /// Cuts off what `leader` does not have (KIP-101): asks for its own last epoch until both have it.
    fn truncate_to_what_is_in(&mut self, leader: &Self, now: i64) {
        while let Some(epoch) = self.log.reader.latest_epoch() {
            let (there, end) = match leader.log.reader.end_offset_for_epoch(epoch) {
                Some(found) => (found.epoch, found.end_offset),
                None => (LeaderEpoch(-1), leader.log.reader.log_start_offset()),
            };
            let own_end = self.log.reader.end_offset_for_epoch(there).map_or(0, |found| found.end_offset);
            let end = if there == epoch { end } else { end.min(own_end) };
            if end < self.end() {
                self.log.writer.truncate_to(end, now).unwrap();
                let end = self.end();
                self.written.retain(|(offset, ..)| *offset < end);
            }
            if there == epoch {
                return;
            }
        }
    }
}

struct World {
    replicas: Vec<Option<Replica>>,
    leader: usize,
    epoch: i32,
    in_sync: [bool; REPLICAS],
    now: i64,
}

impl World {
    fn new() -> Self {
        let replicas = std::iter::repeat_with(|| Some(Replica::new())).take(REPLICAS).collect();
        Self { replicas, leader: 0, epoch: 0, in_sync: [true; REPLICAS], now: NOW }
    }

    fn replica(&mut self, index: usize) -> &mut Replica {
        self.replicas[index].as_mut().unwrap()
    }

    fn put(&mut self, keys: &[u8]) {
        let (now, epoch, leader) = (self.now, LeaderEpoch(self.epoch), self.leader);
        let leader = self.replica(leader);
        let end = leader.end();
        let of = |key: &u8| (format!("k{}", key / 2), key.is_multiple_of(2).then(|| format!("value {end}")));
        let pairs: Vec<_> = keys.iter().map(of).collect();
        let borrowed: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        put_in(&mut leader.log, now, epoch, &borrowed);
        leader.written.extend((end..).zip(pairs).map(|(offset, (key, value))| (offset, key, value)));
        self.commit();
    }

    fn copy(&mut self, index: usize, bytes: usize) {
        if index == self.leader {
            return;
        }
        let (epoch, now) = (self.epoch, self.now);
        let leader = self.replicas[self.leader].take().unwrap();
        let replica = self.replica(index);
        if replica.follows != Some(epoch) {
            replica.truncate_to_what_is_in(&leader, now);
            replica.follows = Some(epoch);
        }
        let end = replica.end();
        if end < leader.end() {
            let info = leader.log.reader.read(end, bytes, Offset::MAX, true).unwrap();
            replica.log.writer.append_as_follower(&info.slice.to_bytes().unwrap(), now).unwrap();
            let copied = end..replica.end();
            replica.written.extend(leader.written.iter().filter(|(offset, ..)| copied.contains(offset)).cloned());
        }
        replica.high_watermark = leader.high_watermark.min(replica.end()).max(replica.high_watermark);
        self.replicas[self.leader] = Some(leader);
        self.commit();
    }

    /// Moves the leader's high watermark to what every replica in sync is known to have.
    fn commit(&mut self) {
        let known = |(index, replica): (usize, &Option<Replica>)| {
            let replica = replica.as_ref().unwrap();
            let is_known = index == self.leader || replica.follows == Some(self.epoch);
            self.in_sync[index].then(|| if is_known { replica.end() } else { 0 })
        };
        let committed = self.replicas.iter().enumerate().filter_map(known).min().unwrap();
        let leader = self.leader;
        let leader = self.replica(leader);
        leader.high_watermark = leader.high_watermark.max(committed);
    }

    fn elect(&mut self, index: usize) {
        if !self.in_sync[index] || index == self.leader {
            return;
        }
        let leader = self.leader;
        let committed = self.replica(leader).high_watermark;
        let end = self.replica(index).end();
        assert!(end >= committed, "a replica in sync lacks what is committed");
        self.leader = index;
        self.epoch += 1;
        self.replica(index).follows = None;
        self.commit();
    }

    fn clean(&mut self, index: usize, enough: bool) {
        let now = self.now;
        let replica = self.replica(index);
        let stable = replica.high_watermark;
        let bytes = if enough { 1 << 20 } else { 0 };
        let cleaned = clean_some(&mut replica.log, &config(), bytes, stable, now).unwrap();
        assert!(cleaned.end <= stable);
    }

    /// Everybody gets everything.
    fn catch_up(&mut self) {
        for index in (0..REPLICAS).filter(|index| *index != self.leader).collect::<Vec<_>>() {
            loop {
                self.copy(index, 1_000);
                let leader = self.leader;
                if self.replica(index).end() >= self.replica(leader).end() {
                    break;
                }
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Put(keys) => self.put(keys),
            Step::Copy(index, bytes) => self.copy(*index, *bytes),
            Step::Leave(index) => {
                self.in_sync[*index] &= *index == self.leader;
                self.commit();
            }
            Step::Join(index) => {
                let (epoch, leader) = (self.epoch, self.leader);
                let committed = self.replica(leader).high_watermark;
                let replica = self.replica(*index);
                self.in_sync[*index] |= replica.follows == Some(epoch) && replica.end() >= committed;
            }
            Step::Elect(index) => self.elect(*index),
            Step::Roll(index) => {
                let now = self.now;
                self.replica(*index).log.writer.roll(now).unwrap();
            }
            Step::Clean(index, enough) => self.clean(*index, *enough),
            Step::Reopen(index) => {
                let replica = self.replicas[*index].take().unwrap();
                self.replicas[*index] = Some(replica.reopened());
            }
            Step::Replace(index) => {
                if !self.in_sync[*index] {
                    self.replicas[*index] = Some(Replica::new());
                }
            }
            Step::Wait(ms) => {
                self.catch_up();
                self.now += ms;
            }
        }
    }

    /// A replica that has everything tells the final state of each key, and nothing that was never written. A key whose
    /// last record is a tombstone may have none left, but never an older one.
    fn check(&mut self, index: usize) {
        let leader = self.leader;
        let history = self.replica(leader).written.clone();
        let found = read_keyed(&self.replica(index).log.reader);
        for record in &found {
            let written = history.iter().find(|(offset, ..)| *offset == record.offset);
            assert_eq!(written, Some(&(record.offset, record.key.clone(), record.value.clone())), "replica {index}");
        }
        let state: HashMap<_, _> =
            found.into_iter().map(|record| (record.key, (record.offset, record.value))).collect();
        let mut expected: HashMap<_, _> =
            history.into_iter().map(|(offset, key, value)| (key, (offset, value))).collect();
        expected.retain(|key, (_, value)| value.is_some() || state.contains_key(key));
        assert_eq!(state, expected, "replica {index}");
    }
}

fn run(steps: &[Step]) {
    let mut world = World::new();
    for step in steps {
        world.step(step);
        world.check(world.leader);
    }
    world.catch_up();
    for index in 0..REPLICAS {
        world.check(index);
        let leader = world.leader;
        let epochs = world.epoch;
        for epoch in (0..=epochs).map(LeaderEpoch) {
            let leaders = world.replica(leader).log.reader.end_offset_for_epoch(epoch);
            assert_eq!(world.replica(index).log.reader.end_offset_for_epoch(epoch), leaders, "replica {index}");
        }
        // Cleaned once more it still tells the same.
        world.clean(index, true);
        world.check(index);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn replicas_that_are_cleaned_by_themselves_come_to_the_same_state(steps in prop::collection::vec(step(), 1..90)) {
        run(&steps);
    }
}
