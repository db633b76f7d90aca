//! The greatest of many, in bounded memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The greatest of the items that were offered; of equal ones those that were offered first.
pub(super) struct Largest<R, T> {
    max: usize,
    kept: BinaryHeap<Reverse<Ranked<R, T>>>,
    offered: u64,
}

/// An item, which its rank alone is compared by.
struct Ranked<R, T> {
    rank: (R, Reverse<u64>),
    item: T,
}

impl<R: Ord, T> Largest<R, T> {
    /// None yet, and never more than `max`.
    pub(super) fn new(max: usize) -> Self {
        Self { max, kept: BinaryHeap::new(), offered: 0 }
    }

    pub(super) fn offer(&mut self, rank: R, item: T) {
        self.kept.push(Reverse(Ranked { rank: (rank, Reverse(self.offered)), item }));
        self.offered += 1;
        if self.kept.len() > self.max {
            self.kept.pop();
        }
    }

    /// How many are not among them.
    pub(super) fn left_out(&self) -> u64 {
        self.offered - self.kept.len() as u64
    }

    /// The greatest first.
    pub(super) fn into_items(self) -> impl Iterator<Item = T> {
        // In the order of their reverses.
        self.kept.into_sorted_vec().into_iter().map(|Reverse(ranked)| ranked.item)
    }
}

impl<R: Ord, T> Ord for Ranked<R, T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

impl<R: Ord, T> PartialOrd for Ranked<R, T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<R: Ord, T> PartialEq for Ranked<R, T> {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl<R: Ord, T> Eq for Ranked<R, T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_stay_and_of_equals_the_first() {
        let mut largest = Largest::new(3);
        for (rank, item) in [(1, 'a'), (7, 'b'), (1, 'c'), (9, 'd'), (0, 'e'), (1, 'f')] {
            largest.offer(rank, item);
        }
        assert_eq!(largest.left_out(), 3);
        assert_eq!(largest.into_items().collect::<String>(), "dba");
        let mut none = Largest::new(0);
        none.offer(1, 'a');
        assert_eq!((none.left_out(), none.into_items().count()), (1, 0));
    }
}
