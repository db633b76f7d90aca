//! What clients were told of committed offsets, held against the log of the shard: its order is the order of the commits.
//!
//! A commit that was acknowledged is in it; one of which it was said that nothing was done is not. A commit lies behind
//! everything that was acknowledged or seen before it was asked for, and so does what a confirmed fetch tells: each group's
//! offset is a register whose history is linearizable. A fetch that is not confirmed tells something that is committed. And
//! whoever serves has the state that a replay of the log gives.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use levada_groups::api::{FetchOffsetsAnswer, Response};
use levada_groups::{GroupConfig, GroupOverview, Groups};
use levada_records::{Batches, RecordBuffer};
use levada_replication::invariants::Batch;
use levada_shard::machine::{Standing, Unserved};
use levada_shard::{Core, Replayed};
use levada_types::{CoordinatorEpoch, ErrorCode, LeaderEpoch, Offset};

use crate::clients::{GROUPS, error_of, fingerprint_of};
use crate::run::Failure;
use crate::universe::Universe;

/// A request of a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) group: usize,
    /// A commit of its own number; otherwise a fetch.
    pub(crate) is_commit: bool,
    pub(crate) is_confirmed: bool,
    /// Where in the log that lies which was acknowledged or seen last when it was asked; -1 if nothing was.
    pub(crate) floor: Offset,
}

/// Everything that clients were told, and the log of the shard as the committed one.
#[derive(Default)]
pub(crate) struct Commits {
    /// What owners have sent, by fingerprint.
    sent: BTreeMap<u64, Bytes>,
    /// What a replay gives of everything below an offset.
    states: BTreeMap<Offset, Groups>,
    /// By group: where in the log which offset was committed, in order.
    order: [Vec<(Offset, u64)>; GROUPS.len()],
    floors: [Option<Offset>; GROUPS.len()],
    operations: BTreeMap<u64, Operation>,
    /// Commits of which it was said that nothing was done.
    undone: BTreeSet<u64>,
    /// Commits that were committed and may be lost.
    lost: BTreeSet<u64>,
    /// Who has appended under each leader epoch.
    owners: BTreeMap<LeaderEpoch, CoordinatorEpoch>,
    /// Coordinators that an operator has counted out while they lived.
    pub(crate) evicted: BTreeSet<CoordinatorEpoch>,
}

impl Commits {
    /// An owner appends a batch.
    pub(crate) fn sent(&mut self, records: &Bytes) {
        self.sent.insert(fingerprint_of(records), records.clone());
    }

    /// A client asks something.
    pub(crate) fn begin(&mut self, number: u64, operation: Operation) {
        let floor = self.floors[operation.group].unwrap_or(-1);
        self.operations.insert(number, Operation { floor, ..operation });
    }

    /// A leader has taken an append: under one leader epoch there is one owner.
    pub(crate) fn appended(&mut self, epoch: LeaderEpoch, owner: CoordinatorEpoch) -> Result<(), Failure> {
        let first = *self.owners.entry(epoch).or_insert(owner);
        if first == owner {
            return Ok(());
        }
        Err(Failure::Untrue(format!("{first} and {owner} have both appended under leader epoch {epoch}")))
    }

    /// Takes in what was committed since the last time.
    pub(crate) fn follow(&mut self, committed: &[Batch]) -> Result<(), Failure> {
        let known = self.states.last_key_value();
        let mut core = known.map_or_else(|| Groups::new(GroupConfig::default().into()), |(_, core)| core.clone());
        let until = known.map_or(0, |(end, _)| *end);
        let from = committed.partition_point(|batch| batch.base < until);
        for batch in &committed[from..] {
            let Some(bytes) = self.sent.get(&batch.fingerprint).cloned() else { continue };
            for (offset, group, value) in replay(&mut core, batch.base, &bytes)? {
                if self.undone.contains(&value) {
                    let text =
                        format!("request {value} is committed at {offset}, and it was said that it was not done");
                    return Err(Failure::Untrue(text));
                }
                if self.place_of(group, value).is_some() {
                    return Err(Failure::Untrue(format!("request {value} is committed twice, at {offset} again")));
                }
                self.order[group].push((offset, value));
            }
            self.states.insert(batch.end, core.clone());
        }
        Ok(())
    }

    /// What lies at and behind `end` may be lost.
    pub(crate) fn admit_loss(&mut self, end: Offset) {
        self.states.split_off(&(end + 1));
        for order in &mut self.order {
            let kept = order.partition_point(|(offset, _)| *offset < end);
            self.lost.extend(order.drain(kept..).map(|(_, value)| value));
        }
        let order = &self.order;
        let last = |group: usize| order[group].last().map(|(offset, _)| *offset);
        for (group, floor) in self.floors.iter_mut().enumerate() {
            *floor = (*floor).min(last(group));
        }
        for operation in self.operations.values_mut() {
            operation.floor = operation.floor.min(last(operation.group).unwrap_or(-1));
        }
    }

    fn place_of(&self, group: usize, value: u64) -> Option<Offset> {
        self.order[group].iter().find(|(_, committed)| *committed == value).map(|(offset, _)| *offset)
    }

    /// Holds an answer against what is committed. `is_past` if it comes of a leader whose log may not be what counts any more.
    fn judge(&mut self, number: u64, answer: &Result<Response, Unserved>, is_past: bool) -> Result<(), Failure> {
        let Some(operation) = self.operations.get(&number).copied() else { return Ok(()) };
        let Operation { group, is_commit, is_confirmed, floor } = operation;
        let value = match answer {
            Ok(Response::OffsetCommit(answer)) if error_of(answer) == ErrorCode::None => Some(number),
            Ok(Response::FetchOffsets(answer)) => match offset_of(answer)? {
                Some(offset) => Some(offset),
                None if floor >= 0 && is_confirmed => {
                    return Err(Failure::Untrue(format!("fetch {number} tells nothing, and something is committed")));
                }
                None => return Ok(()),
            },
            Err(unserved) if !unserved.is_certainly_undone() => return Ok(()),
            Ok(_) | Err(_) => None,
        };
        let Some(value) = value else {
            if is_commit && self.place_of(group, number).is_some() {
                return Err(Failure::Untrue(format!("request {number} is committed, and is said not to be done")));
            }
            self.undone.extend(is_commit.then_some(number));
            return Ok(());
        };
        let Some(place) = self.place_of(group, value) else {
            if is_past || self.lost.contains(&value) {
                return Ok(());
            }
            return Err(Failure::Untrue(format!("request {number} is told {value}, which is not committed")));
        };
        if !is_commit && !is_confirmed {
            return Ok(());
        }
        if place < floor {
            let text = format!("request {number} is told {value} of {place}, and {floor} was known when it was asked");
            return Err(Failure::Untrue(text));
        }
        self.floors[group] = self.floors[group].max(Some(place));
        Ok(())
    }
}

impl Universe {
    /// A coordinator answers: what it says is held against what is committed, and that it may.
    pub(crate) fn judge(
        &mut self,
        index: usize,
        number: u64,
        answer: &Result<Response, Unserved>,
    ) -> Result<(), Failure> {
        let coordinator = &self.coordinators[index];
        let link = coordinator.shard.as_ref().and_then(|shard| shard.link.as_ref());
        let is_past = link.is_some_and(|link| self.brokers[link.leader].is_of_the_past);
        let is_confirmed = self.commits.operations.get(&number).is_some_and(|o| !o.is_commit && o.is_confirmed);
        let counts = |epoch| self.raft.image.coordinator(epoch).is_some() || self.commits.evicted.contains(&epoch);
        // What the leader has confirmed needs no lease.
        if answer.is_ok() && !is_confirmed && !coordinator.epoch.is_some_and(counts) {
            return Err(Failure::Untrue(format!(
                "coordinator {index} answers request {number} after it was counted out"
            )));
        }
        self.commits.judge(number, answer, is_past)
    }

    /// Whoever serves a shard has what a replay gives; and if nothing of its own is under way, it has all that is committed, as
    /// long as its session is the newest one.
    pub(crate) fn look_at_shard(&mut self, index: usize) -> Result<(), Failure> {
        let Some(topic) = &self.topic else { return Ok(()) };
        let committed_end = topic.checker.committed_end();
        let Some(shard) = &mut self.coordinators[index].shard else { return Ok(()) };
        let Standing::Serving(end) = shard.machine.standing() else { return Ok(()) };
        if shard.compared.replace((end, committed_end)) == Some((end, committed_end)) {
            return Ok(());
        }
        let (Some(core), Some(link)) = (shard.machine.committed(), &shard.link) else { return Ok(()) };
        let leader = &self.brokers[link.leader];
        if let Some(replayed) = self.commits.states.get(&end).filter(|_| !leader.is_of_the_past) {
            let (has, replayed) = (offsets(core), offsets(replayed));
            if has != replayed {
                let text = format!("coordinator {index} has {has:?} at {end}, and a replay gives {replayed:?}");
                return Err(Failure::ShardDiffers(text));
            }
        }
        let is_newest = leader.hosted.as_ref().is_some_and(|hosted| {
            hosted.replica.leading_epoch() == Some(link.epoch)
                && link.session.is_some_and(|session| hosted.shards.gate.is_newest(link.epoch, session))
        });
        if is_newest && link.unanswered == 0 && end < committed_end && !leader.is_of_the_past {
            let text = format!("coordinator {index} knows what lies below {end}, and {committed_end} is committed");
            return Err(Failure::ShardDiffers(text));
        }
        Ok(())
    }

    /// What is not well with the shard once all faults are over.
    pub(crate) fn shard_complaint(&self) -> Option<String> {
        let serving = |index: &usize| {
            let shard = self.coordinators[*index].shard.as_ref();
            shard.is_some_and(|shard| matches!(shard.machine.standing(), Standing::Serving(_)))
        };
        let servers: Vec<usize> = (0..self.coordinators.len()).filter(serving).collect();
        if servers.len() != 1 {
            return Some(format!("the shard is served by coordinators {servers:?}"));
        }
        let starved = self.committers.iter().position(|c| c.committed == 0 || c.fetched == 0)?;
        Some(format!("committer {starved} has not been served since all is well"))
    }

    /// What is not alike once nothing is under way: the owner, and who would take over, have come to the end of the log.
    pub(crate) fn shard_difference(&self, end: Offset) -> Option<String> {
        if let Some(waiting) = self.committers.iter().position(crate::clients::Committer::waits) {
            return Some(format!("committer {waiting} waits for its answer"));
        }
        let standings = self.coordinators.iter().filter_map(|c| Some(c.shard.as_ref()?.machine.standing()));
        let standings: Vec<Standing> = standings.collect();
        let is_right =
            |standing: &Standing| *standing == Standing::Serving(end) || *standing == Standing::Following(end);
        (standings.len() != 2 || !standings.iter().all(is_right))
            .then(|| format!("the log ends at {end}, and coordinators stand at {standings:?}"))
    }
}

/// The offset that a fetch tells, as the number of the request that has committed it.
fn offset_of(answer: &FetchOffsetsAnswer) -> Result<Option<u64>, Failure> {
    let found = answer.topics.first().and_then(|topic| topic.partitions.first());
    match found {
        Some(found) if answer.error == ErrorCode::None && found.error == ErrorCode::None => {
            Ok(found.offset.and_then(|offset| u64::try_from(offset).ok()))
        }
        _ => Err(Failure::Untrue(format!("a fetch is answered with {answer:?}"))),
    }
}

/// Every offset that a state has.
fn offsets(core: &Groups) -> Vec<(String, Offset)> {
    let of =
        |group: GroupOverview<'_>| group.offsets().map(|(_, _, offset)| (group.group_id.to_string(), offset)).collect();
    core.overviews().flat_map(|group| -> Vec<(String, Offset)> { of(group) }).collect()
}

/// Shows a state the records of a batch; gives where which group's offset has become what.
fn replay(core: &mut Groups, base: Offset, bytes: &[u8]) -> Result<Vec<(Offset, usize, u64)>, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| Failure::Stuck(format!("a batch cannot be read: {error}"));
    let (mut buffer, mut found) = (RecordBuffer::default(), Vec::new());
    for batch in Batches::new(bytes) {
        let batch = batch.map_err(|error| unreadable(&error))?;
        let first = batch.header().base_offset;
        for record in batch.records(&mut buffer).map_err(|error| unreadable(&error))? {
            let record = record.map_err(|error| unreadable(&error))?;
            let (offset, timestamp, value) = (base + record.offset - first, record.timestamp, record.value);
            let before = offsets(core);
            let key = record.key.unwrap_or_default();
            core.replay(Replayed::Record { offset, timestamp, producer: None, key, value });
            let changed = offsets(core).into_iter().filter(|now| !before.contains(now));
            for (group, value) in changed {
                let group = GROUPS.iter().position(|known| *known == group);
                found.extend(group.zip(u64::try_from(value).ok()).map(|(group, value)| (offset, group, value)));
            }
        }
    }
    Ok(found)
}
