//! What members have told: who owns what, who has seen which records, and who owned what when.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use levada_end_to_end::{Outcome, fail};

use super::member::{Event, Told};

/// Everything that was told.
#[derive(Default)]
pub(super) struct Ledger {
    members: BTreeMap<usize, Known>,
    /// How many records of each partition were seen by anybody: the offsets.
    seen: BTreeMap<i32, BTreeSet<i64>>,
    /// Who owned a partition from when until when.
    ownerships: Vec<Ownership>,
}

/// What is known of a member.
#[derive(Default)]
struct Known {
    owned: BTreeSet<i32>,
    /// How often its partitions changed.
    changes: usize,
    seen: Vec<(i32, i64)>,
    has_left: bool,
    has_ended: bool,
}

/// A time for which a member owned a partition.
struct Ownership {
    member: usize,
    partition: i32,
    since: u64,
    /// `None` while it does.
    until: Option<u64>,
}

impl Ledger {
    /// Takes in what a member told.
    pub(super) fn take(&mut self, told: Told) -> Outcome {
        let Told { member, at, event } = told;
        let known = self.members.entry(member).or_default();
        match event {
            Event::Gained(partitions) => {
                known.changes += usize::from(!partitions.is_empty());
                for partition in partitions {
                    if known.owned.insert(partition) {
                        self.ownerships.push(Ownership { member, partition, since: at, until: None });
                    }
                }
            }
            Event::Gave(partitions) | Event::Lost(partitions) => {
                known.changes += usize::from(!partitions.is_empty());
                known.owned.retain(|owned| !partitions.contains(owned));
                for partition in partitions {
                    self.end(member, Some(partition), at);
                }
            }
            Event::Record { partition, offset } => {
                if !known.owned.contains(&partition) {
                    return fail(format!("member {member} has a record of {partition}, which it does not own"));
                }
                known.seen.push((partition, offset));
                self.seen.entry(partition).or_default().insert(offset);
            }
            Event::Left => {
                known.has_left = true;
                known.owned.clear();
                self.end(member, None, at);
            }
            Event::Ended => known.has_ended = true,
        }
        Ok(())
    }

    /// A member was killed: what it owned it does not own any more.
    pub(super) fn killed(&mut self, member: usize, at: u64) {
        self.members.entry(member).or_default().owned.clear();
        self.end(member, None, at);
    }

    fn end(&mut self, member: usize, partition: Option<i32>, at: u64) {
        for ownership in &mut self.ownerships {
            let is_meant = ownership.member == member && partition.is_none_or(|one| one == ownership.partition);
            if is_meant && ownership.until.is_none() {
                ownership.until = Some(at);
            }
        }
    }

    /// The partitions that a member owns, ascending.
    pub(super) fn owned_by(&self, member: usize) -> Vec<i32> {
        self.members.get(&member).map_or_else(Vec::new, |known| known.owned.iter().copied().collect())
    }

    /// How often a member's partitions have changed.
    pub(super) fn changes_of(&self, member: usize) -> usize {
        self.members.get(&member).map_or(0, |known| known.changes)
    }

    /// The records that a member has seen.
    pub(super) fn seen_by(&self, member: usize) -> impl Iterator<Item = (i32, i64)> {
        self.members.get(&member).into_iter().flat_map(|known| known.seen.iter().copied())
    }

    pub(super) fn has_left(&self, member: usize) -> bool {
        self.members.get(&member).is_some_and(|known| known.has_left)
    }

    pub(super) fn has_ended(&self, member: usize) -> bool {
        self.members.get(&member).is_some_and(|known| known.has_ended)
    }

    /// Whether the first so many records of each of the topic's partitions have been seen by somebody.
    pub(super) fn seen_all(&self, each: i64) -> bool {
        (0..super::PARTITIONS).all(|partition| {
            self.seen.get(&partition).is_some_and(|seen| (0..each).all(|offset| seen.contains(&offset)))
        })
    }

    /// No partition had two owners at one time.
    pub(super) fn check_owners(&self) -> Outcome {
        for (index, one) in self.ownerships.iter().enumerate() {
            for other in self.ownerships.iter().skip(index + 1) {
                let overlap =
                    one.since < other.until.unwrap_or(u64::MAX) && other.since < one.until.unwrap_or(u64::MAX);
                if one.partition == other.partition && one.member != other.member && overlap {
                    return fail(format!(
                        "{} was owned by member {} from {} to {:?} and by member {} from {} to {:?}",
                        one.partition, one.member, one.since, one.until, other.member, other.since, other.until
                    ));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (member, known) in &self.members {
            let Known { owned, changes, seen, has_left, .. } = known;
            write!(f, "member {member} owns {owned:?} after {changes} changes, has seen {} records", seen.len())?;
            f.write_str(if *has_left { " and has left; " } else { "; " })?;
        }
        for (partition, seen) in &self.seen {
            write!(f, "of {partition} {} records were seen; ", seen.len())?;
        }
        Ok(())
    }
}
