//! Who is how far behind, as far as it follows from what is committed and where partitions end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use levada_groups::{GroupOverview, Groups};
use levada_metadata::{Image, Topic};
use levada_peers::{Place, ReaderLag, ReaderPlace};
use levada_types::{ErrorCode, Offset, PartitionIndex, TimestampMs, TopicId, TopicIdPartition};

use super::largest::Largest;

/// What the shards of this process hold at one moment.
pub(super) struct Survey {
    shards: Vec<Groups>,
    image: Arc<Image>,
}

/// What came of a survey.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Findings {
    /// Every group.
    pub(super) groups: Vec<GroupLag>,
    /// The partitions that are told of one by one.
    pub(super) rows: Vec<Row>,
    /// Partitions of groups that are left out of `rows`, since there are too many.
    pub(super) left_out: u64,
    /// Partitions of groups that are in no figure, since nobody could tell where they end.
    pub(super) unknown: u64,
    /// Records of the shards that were not understood.
    pub(super) not_understood: u64,
}

/// A group.
#[derive(Debug, PartialEq)]
pub(super) struct GroupLag {
    pub(super) group_id: Arc<str>,
    pub(super) state: &'static str,
    pub(super) members: usize,
    /// Over all partitions that it has committed an offset of; `None` if there is none whose end is known.
    pub(super) records: Option<i64>,
}

/// A partition of a group.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    /// Which of [`Findings::groups`].
    pub(super) group: usize,
    pub(super) topic: Arc<str>,
    pub(super) partition: TopicIdPartition,
    pub(super) committed: Offset,
    pub(super) lag: ReaderLag,
}

impl Survey {
    /// Topics are known by `image`.
    pub(super) fn new(shards: Vec<Groups>, image: Arc<Image>) -> Self {
        Self { shards, image }
    }

    /// The ends that have to be known: of every partition that some group has committed an offset of, each once.
    pub(super) fn ends(&self) -> Vec<ReaderPlace> {
        let mut ends = HashSet::new();
        for group in self.shards.iter().flat_map(Groups::overviews) {
            ends.extend(self.committed(group).filter_map(|(_, partition, _)| partition));
        }
        ends.into_iter().map(|partition| ReaderPlace { partition, place: Place::Ends }).collect()
    }

    /// Who is how far behind these ends; of at most `max_rows` partitions it is told one by one. Those are the ones with the
    /// largest lags, but the largest of each group comes before the others of any, so that no group hides another.
    pub(super) fn findings(&self, ends: &HashMap<TopicIdPartition, ReaderLag>, max_rows: usize) -> Findings {
        let mut findings = Findings::default();
        let mut rows = Largest::new(max_rows);
        findings.not_understood = self.shards.iter().map(|shard| shard.counts().records_left_out).sum();
        for overview in self.shards.iter().flat_map(Groups::overviews) {
            let group = findings.groups.len();
            let (mut sum, mut greatest): (_, Option<Row>) = (None, None);
            for (topic, partition, committed) in self.committed(overview) {
                let Some((partition, lag)) = partition.and_then(|id| Some((id, *ends.get(&id)?))) else {
                    findings.unknown += 1;
                    continue;
                };
                let row = Row { group, topic: Arc::clone(topic), partition, committed, lag };
                sum = Some(row.records().saturating_add(sum.unwrap_or(0)));
                let lesser = match &greatest {
                    Some(known) if row.records() <= known.records() => Some(row),
                    _ => greatest.replace(row),
                };
                if let Some(row) = lesser {
                    rows.offer((false, row.records()), row);
                }
            }
            if let Some(row) = greatest {
                rows.offer((true, row.records()), row);
            }
            let GroupOverview { group_id, state, members, .. } = overview;
            findings.groups.push(GroupLag { group_id: Arc::clone(group_id), state, members, records: sum });
        }
        findings.left_out = rows.left_out();
        findings.rows = rows.into_items().collect();
        findings
    }

    /// What a group has committed; without a partition where the topic is not there any more.
    fn committed<'a>(
        &self,
        group: GroupOverview<'a>,
    ) -> impl Iterator<Item = (&'a Arc<str>, Option<TopicIdPartition>, Offset)> + use<'a, '_> {
        // A group's offsets come topic by topic.
        let mut topic: Option<(&Arc<str>, Option<TopicId>)> = None;
        group.offsets().map(move |(name, partition, offset)| {
            let (_, id) = match topic {
                Some(known) if Arc::ptr_eq(known.0, name) => known,
                _ => *topic.insert((name, self.image.topic_by_name(name).map(Topic::id))),
            };
            (name, id.map(|topic_id| TopicIdPartition { topic_id, partition }), offset)
        })
    }
}

impl Findings {
    /// Where the next record of a reader has to be looked at to know how long it has been waiting.
    pub(super) fn places(&self) -> Vec<ReaderPlace> {
        self.behind().map(Row::place).collect()
    }

    /// Takes in what was told of [`Findings::places`], in their order.
    pub(super) fn take_in(&mut self, told: Vec<Result<ReaderLag, ErrorCode>>) {
        let behind = self.rows.iter_mut().filter(|row| row.records() > 0);
        for (row, told) in behind.zip(told) {
            // How far it is behind stays as it was found with all others.
            row.lag.next_timestamp = told.ok().and_then(|lag| lag.next_timestamp);
        }
    }

    /// How long each group has been behind at most at `now`, in milliseconds, as far as that is known of its rows.
    pub(super) fn longest(&self, now: TimestampMs) -> BTreeMap<usize, i64> {
        let mut longest = BTreeMap::new();
        for row in &self.rows {
            if let Some(milliseconds) = row.lag.milliseconds(row.committed, now) {
                let known = longest.entry(row.group).or_insert(milliseconds);
                *known = milliseconds.max(*known);
            }
        }
        longest
    }

    fn behind(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.records() > 0)
    }
}

impl Row {
    pub(super) fn records(&self) -> i64 {
        self.lag.records(self.committed)
    }

    pub(super) fn index(&self) -> PartitionIndex {
        self.partition.partition
    }

    fn place(&self) -> ReaderPlace {
        ReaderPlace { partition: self.partition, place: Place::Offset(self.committed) }
    }
}

#[cfg(test)]
mod tests;
