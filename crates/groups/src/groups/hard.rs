//! What of a shard is hard, to be compared in tests.

use std::collections::BTreeMap;

use levada_types::{PartitionIndex, ProducerId, TimestampMs};

use super::Groups;
use crate::{
    consumer,
    group::Group,
    offsets::{Committed, GroupNumber},
    records::GroupMetadata,
};

/// Of whose transaction, which group, which partition.
type OpenPlace = (ProducerId, String, String, PartitionIndex);

/// What of a shard is hard.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hard {
    pub(crate) offsets: BTreeMap<(String, String, PartitionIndex), Committed>,
    pub(crate) open: BTreeMap<OpenPlace, (Committed, u64, bool)>,
    pub(crate) classic: BTreeMap<String, GroupMetadata>,
    pub(crate) consumer: BTreeMap<String, consumer::Hard>,
}

impl Groups {
    /// A shard without records, of the same settings.
    pub(crate) fn emptied(&self) -> Self {
        Self::new(self.config.clone())
    }

    /// When a group has something to do next.
    pub(crate) fn next_deadline_of_groups(&self) -> Option<TimestampMs> {
        self.due.get_min().map(|(due, _)| *due)
    }

    /// What of it is hard.
    pub(crate) fn hard(&self) -> Hard {
        let id = |number: &GroupNumber| self.ids.get(number).expect("a number without a group").to_string();
        let mut hard = Hard {
            offsets: BTreeMap::new(),
            open: BTreeMap::new(),
            classic: BTreeMap::new(),
            consumer: BTreeMap::new(),
        };
        for (group, slot) in &self.slots {
            assert_eq!(self.ids.get(&slot.number), Some(group));
            let offsets = self.offsets.of(slot.number);
            hard.offsets.extend(offsets.map(|(topic, partition, committed)| {
                ((group.to_string(), topic.to_string(), partition), committed.clone())
            }));
            match slot.group.as_ref().expect("a group that was not put back") {
                Group::Classic(classic) => {
                    hard.classic.extend(classic.written().map(|written| (group.to_string(), written.clone())));
                }
                Group::Consumer(consumer) => _ = hard.consumer.insert(group.to_string(), consumer.hard().clone()),
            }
        }
        assert_eq!(self.offsets.len(), hard.offsets.len(), "offsets of groups that are gone");
        for (producer, number, topic, partition, committed, order, is_superseded) in self.offsets.open() {
            let key = (producer, id(&number), topic.to_owned(), partition);
            hard.open.insert(key, (committed.clone(), order, is_superseded));
        }
        hard
    }
}
