//! What the members of one group have said and got, as they note it themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// How one member stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// The generation or the member epoch that it knows.
    pub(super) epoch: i32,
    /// The partitions that it has.
    pub(super) owned: BTreeSet<i32>,
    /// Whether it has nothing to say but that it lives.
    pub(super) is_settled: bool,
}

/// What a member noted.
#[derive(Debug, Clone)]
pub(super) enum Note {
    /// It has said what the others have to wait for: that it joins, that it has given up, that it goes.
    Said(Instant),
    /// It was answered where it stands.
    Got(Got),
}

/// An answer to a member.
#[derive(Debug, Clone)]
pub(super) struct Got {
    /// Whose it is.
    pub(super) member: usize,
    /// When it asked: in the classic protocol, when it joined this generation.
    pub(super) asked: Instant,
    /// When it was answered.
    pub(super) answered: Instant,
    /// Whether the answer was its assignment in a rebalance, changed or not, and no mere sign of life.
    pub(super) is_assignment: bool,
    /// What it has now and did not have before.
    pub(super) gained: BTreeSet<i32>,
    /// What was taken from it.
    pub(super) lost: BTreeSet<i32>,
}

/// The notes of all members of a group.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    standings: BTreeMap<usize, Standing>,
    notes: Vec<Note>,
}

impl Board {
    /// A member says now what the others have to wait for.
    pub(super) fn said(&self) {
        self.notes().notes.push(Note::Said(Instant::now()));
    }

    /// A member is no settled one any more.
    pub(super) fn stirs(&self, member: usize) {
        self.notes().standings.entry(member).or_default().is_settled = false;
    }

    /// A member was answered just now, and has `owned` from now on.
    pub(super) fn got(&self, member: usize, asked: Instant, is_assignment: bool, now: Standing) {
        let mut notes = self.notes();
        let before = notes.standings.remove(&member).unwrap_or_default().owned;
        notes.notes.push(Note::Got(Got {
            member,
            asked,
            answered: Instant::now(),
            is_assignment,
            gained: now.owned.difference(&before).copied().collect(),
            lost: before.difference(&now.owned).copied().collect(),
        }));
        notes.standings.insert(member, now);
    }

    /// A member has gone.
    pub(super) fn gone(&self, member: usize) {
        self.notes().standings.remove(&member);
    }

    /// How all members stand.
    pub(super) fn standings(&self) -> BTreeMap<usize, Standing> {
        self.notes().standings.clone()
    }

    /// What was noted since the last time that this was asked.
    pub(super) fn take(&self) -> Vec<Note> {
        std::mem::take(&mut self.notes().notes)
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The owner of each partition.
pub(super) fn owners(standings: &BTreeMap<usize, Standing>) -> BTreeMap<i32, usize> {
    standings
        .iter()
        .flat_map(|(member, standing)| standing.owned.iter().map(|partition| (*partition, *member)))
        .collect()
}

/// Whether `members` members are settled in one epoch past `epoch` and share `partitions` partitions evenly.
pub(super) fn is_stable(
    standings: &BTreeMap<usize, Standing>,
    epoch: i32,
    (members, partitions): (usize, usize),
) -> bool {
    let epochs: BTreeSet<i32> = standings.values().map(|standing| standing.epoch).collect();
    let sizes = standings.values().map(|standing| standing.owned.len());
    let is_even = sizes.clone().max().zip(sizes.clone().min()).is_some_and(|(most, least)| most <= least + 1);
    standings.len() == members
        && standings.values().all(|standing| standing.is_settled)
        && epochs.len() == 1
        && epochs.iter().all(|known| *known > epoch)
        && is_even
        && sizes.sum::<usize>() == partitions
        && owners(standings).len() == partitions
}
