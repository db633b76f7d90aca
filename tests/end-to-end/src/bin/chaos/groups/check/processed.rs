//! What a group has processed: rules 1 and 2.

use std::collections::{BTreeMap, BTreeSet};

use levada_end_to_end::{Acknowledged, History as Produced};

use super::{super::event::Event, Checked, Findings, History, time};

/// What the producer of the topic was told, and what its records are.
pub(crate) struct Promised<'a> {
    /// Which records were acknowledged, and where.
    pub(crate) produced: &'a Produced,
    /// The print of the record with a number.
    pub(crate) print: &'a dyn Fn(u64) -> Option<u64>,
}

/// What a group has processed of one partition.
#[derive(Debug, Default)]
struct Partition {
    /// Number and print by offset.
    records: BTreeMap<i64, (u64, u64)>,
    /// Up to where everything was processed, without gap from the first offset on, and since when.
    reached: Vec<(u64, i64)>,
}

/// What a group has processed.
#[derive(Debug, Default)]
pub(crate) struct Processed(BTreeMap<i32, Partition>);

impl Processed {
    /// Goes through a history.
    pub(super) fn of(history: &History, checked: &mut Checked, findings: &mut Findings) -> Self {
        let mut partitions: BTreeMap<i32, Partition> = BTreeMap::new();
        // What each member owns, and the offset that is due there once it has begun.
        let mut due: BTreeMap<(usize, i32), Option<i64>> = BTreeMap::new();
        for (who, at, event) in history.happened() {
            match event {
                Event::Assigned { partitions, .. } => {
                    due.extend(partitions.iter().map(|partition| ((who.member, *partition), None)));
                }
                Event::Revoked { partitions } => {
                    due.retain(|(member, partition), _| *member != who.member || !partitions.contains(partition));
                }
                Event::Record { partition, offset, number, print } => {
                    let place = format!("partition {partition} offset {offset}");
                    match due.get_mut(&(who.member, *partition)) {
                        None => findings.add(format!(
                            "{} member {} processed {place}, which it does not own",
                            time(at),
                            who.member
                        )),
                        Some(due) => {
                            if let Some(expected) = due.replace(offset + 1).filter(|expected| expected != offset) {
                                findings.add(format!(
                                    "{} member {} processed {place} where {expected} was due",
                                    time(at),
                                    who.member
                                ));
                            }
                        }
                    }
                    let seen = partitions.entry(*partition).or_default();
                    match seen.note(at, *offset, (*number, *print)) {
                        None => checked.processed += 1,
                        Some(before) => {
                            checked.again += 1;
                            if before != (*number, *print) {
                                findings.add(format!(
                                    "{} {place} held record {} and holds record {number}, or another print",
                                    time(at),
                                    before.0
                                ));
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        Self(partitions)
    }

    /// Up to where the group had processed a partition before a moment.
    pub(super) fn reached_before(&self, partition: i32, at: u64) -> i64 {
        let Some(seen) = self.0.get(&partition) else { return 0 };
        let index = seen.reached.partition_point(|(since, _)| *since < at);
        index.checked_sub(1).and_then(|index| seen.reached.get(index)).map_or(0, |(_, reached)| *reached)
    }

    /// Everything that was acknowledged was processed, and what was processed is what was sent.
    pub(super) fn check(&self, promised: &Promised<'_>, findings: &mut Findings) {
        for (partition, seen) in &self.0 {
            for (offset, (number, print)) in &seen.records {
                if (promised.print)(*number) != Some(*print) {
                    findings.add(format!("partition {partition} offset {offset}: record {number} has other bytes"));
                }
            }
        }
        let is_somewhere = promised.produced.acknowledged.values().any(Acknowledged::is_somewhere);
        let somewhere: BTreeSet<(i32, u64)> = match is_somewhere {
            true => self.numbers().collect(),
            false => BTreeSet::new(),
        };
        for (number, place) in &promised.produced.acknowledged {
            let was_processed = match place.is_somewhere() {
                true => somewhere.contains(&(place.partition, *number)),
                false => {
                    let seen = self.0.get(&place.partition).and_then(|seen| seen.records.get(&place.offset));
                    seen.is_some_and(|(processed, _)| processed == number)
                }
            };
            if !was_processed {
                findings.add(format!("record {number}, acknowledged at {place:?}, was not processed there"));
            }
        }
    }

    fn numbers(&self) -> impl Iterator<Item = (i32, u64)> {
        self.0.iter().flat_map(|(partition, seen)| seen.records.values().map(|(number, _)| (*partition, *number)))
    }
}

impl Partition {
    /// A record was processed; tells what was there before.
    fn note(&mut self, at: u64, offset: i64, record: (u64, u64)) -> Option<(u64, u64)> {
        let before = self.records.insert(offset, record);
        let reached = self.reached.last().map_or(0, |(_, reached)| *reached);
        let mut now = reached;
        while self.records.contains_key(&now) {
            now += 1;
        }
        if now > reached {
            self.reached.push((at, now));
        }
        before
    }
}
