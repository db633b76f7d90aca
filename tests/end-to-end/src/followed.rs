//! What a consumer that follows a topic has seen, and the rules that every record it sees must keep.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{Acknowledged, History, Outcome, PartitionRange, fail};

/// What was seen of one partition: which record stands at each offset, from offset 0 on, and which offset is due next.
#[derive(Debug, Clone, Default)]
struct Partition {
    numbers: Vec<u64>,
    due: usize,
}

/// The records that a follower has seen, by partition and offset.
///
/// Offsets come without gap and in order; going back is allowed, and what was seen before must be there again.
#[derive(Debug, Clone)]
pub struct Followed {
    partitions: BTreeMap<i32, Partition>,
    once_and_in_order: bool,
    /// Whether the producer has given up its sequence, so that nothing is promised of once and of order.
    gave_up: Arc<AtomicBool>,
}

impl Followed {
    /// Nothing seen yet of a topic with so many partitions. `once_and_in_order` also demands that the records of a
    /// partition stand in the order of sending, none of them twice, as an idempotent producer is promised.
    pub fn new(partitions: i32, once_and_in_order: bool) -> Self {
        let partitions = (0..partitions).map(|partition| (partition, Partition::default())).collect();
        Self { partitions, once_and_in_order, gave_up: Arc::default() }
    }

    /// Demands neither once nor order any more when the producer has given up its sequence: see
    /// [`Recorder::gave_up`](crate::Recorder::gave_up).
    #[must_use]
    pub fn until(self, gave_up: Arc<AtomicBool>) -> Self {
        Self { gave_up, ..self }
    }

    fn demands_order(&self) -> bool {
        self.once_and_in_order && !self.gave_up.load(Ordering::Acquire)
    }

    /// The offset that is due next in each partition.
    pub fn due(&self) -> impl Iterator<Item = (i32, i64)> {
        self.partitions.iter().map(|(partition, seen)| (*partition, offset(seen.due)))
    }

    /// Whether everything below the ends of `ranges` has been read.
    pub fn has_reached(&self, ranges: &BTreeMap<i32, PartitionRange>) -> bool {
        self.due().all(|(partition, due)| ranges.get(&partition).is_some_and(|range| due >= range.end))
    }

    /// Goes back by up to `records` in each partition, to read them again.
    pub fn rewind(&mut self, records: usize) {
        for seen in self.partitions.values_mut() {
            seen.due = seen.due.saturating_sub(records);
        }
    }

    /// Notes that the record with this number was read at this place, which must be the one that is due.
    pub fn note(&mut self, place: Acknowledged, number: u64) -> Outcome {
        let demands_order = self.demands_order();
        let Some(seen) = self.partitions.get_mut(&place.partition) else {
            return fail(format!("{place:?} was read, and the topic has no such partition"));
        };
        if place.offset != offset(seen.due) {
            return fail(format!("{place:?} was read where offset {} was due", seen.due));
        }
        match seen.numbers.get(seen.due) {
            Some(before) if *before != number => {
                return fail(format!("{place:?} held record {before} when it was first read, and now record {number}"));
            }
            Some(_) => {}
            None => {
                if demands_order && seen.numbers.last().is_some_and(|last| *last >= number) {
                    return fail(format!("{place:?}: record {number} stands behind itself or a later one"));
                }
                seen.numbers.push(number);
            }
        }
        seen.due += 1;
        Ok(())
    }

    /// How many places have been seen.
    pub fn places(&self) -> usize {
        self.partitions.values().map(|seen| seen.numbers.len()).sum()
    }

    /// How many records do not stand where they were acknowledged.
    pub fn missing(&self, history: &History) -> usize {
        self.missing_records(history).count()
    }

    /// The records that do not stand where they were acknowledged, and where that is.
    fn missing_records(&self, history: &History) -> impl Iterator<Item = (u64, Acknowledged)> {
        let mut somewhere: BTreeSet<(i32, u64)> = BTreeSet::new();
        if history.acknowledged.values().any(Acknowledged::is_somewhere) {
            for (partition, seen) in &self.partitions {
                somewhere.extend(seen.numbers.iter().map(|number| (*partition, *number)));
            }
        }
        let records = history.acknowledged.iter().map(|(number, place)| (*number, *place));
        records.filter(move |(number, place)| {
            let is_there = match place.is_somewhere() {
                true => somewhere.contains(&(place.partition, *number)),
                false => self.at(*place) == Some(*number),
            };
            !is_there
        })
    }

    /// The record that was seen at a place.
    fn at(&self, place: Acknowledged) -> Option<u64> {
        let seen = self.partitions.get(&place.partition)?;
        usize::try_from(place.offset).ok().and_then(|index| seen.numbers.get(index)).copied()
    }

    /// Everything that was acknowledged stands where it was acknowledged, and nothing was seen at another place than the
    /// one it was acknowledged at, unless the producer may have sent it twice.
    pub fn check(&self, history: &History) -> Outcome {
        if let Some((number, place)) = self.missing_records(history).next() {
            let at = self.at(place);
            return fail(format!("record {number} was acknowledged at {place:?}, where the follower read {at:?}"));
        }
        if !self.demands_order() {
            return Ok(());
        }
        for (partition, seen) in &self.partitions {
            for (index, number) in seen.numbers.iter().enumerate() {
                let place = Acknowledged { partition: *partition, offset: offset(index) };
                let told = history.acknowledged.get(number);
                if told.is_some_and(|told| !told.may_be(place)) {
                    return fail(format!("record {number} was read at {place:?} and acknowledged at {told:?}"));
                }
            }
        }
        Ok(())
    }
}

/// An index of a list that holds a partition from offset 0 on, as an offset.
fn offset(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(partition: i32, offset: i64) -> Acknowledged {
        Acknowledged { partition, offset }
    }

    fn followed(once_and_in_order: bool, seen: &[(i32, i64, u64)]) -> Result<Followed, String> {
        let mut followed = Followed::new(2, once_and_in_order);
        for (partition, offset, number) in seen {
            followed.note(place(*partition, *offset), *number).map_err(|error| error.to_string())?;
        }
        Ok(followed)
    }

    fn history(acknowledged: &[(u64, i32, i64)]) -> History {
        let acknowledged =
            acknowledged.iter().map(|(number, partition, offset)| (*number, place(*partition, *offset))).collect();
        History { acknowledged, ..History::default() }
    }

    #[test]
    fn offsets_come_without_gap_and_in_order() {
        assert!(followed(false, &[(0, 0, 7), (1, 0, 3), (0, 1, 5)]).is_ok());
        for wrong in [[(0, 0, 1), (0, 2, 2)], [(0, 0, 1), (0, 0, 1)], [(0, 0, 1), (2, 0, 2)], [(0, 1, 1), (0, 0, 2)]] {
            assert!(followed(false, &wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_offset_holds_the_same_record_for_ever() {
        let mut again = followed(false, &[(0, 0, 7), (0, 1, 8), (0, 2, 9)]).expect("that is in order");
        again.rewind(2);
        assert_eq!(again.due().collect::<Vec<_>>(), [(0, 1), (1, 0)]);
        assert!(again.clone().note(place(0, 1), 8).is_ok());
        assert!(again.note(place(0, 1), 6).is_err());
        again.rewind(usize::MAX);
        assert_eq!(again.due().collect::<Vec<_>>(), [(0, 0), (1, 0)]);
        assert_eq!(again.places(), 3);
    }

    #[test]
    fn an_idempotent_producer_has_its_records_once_and_in_order() {
        assert!(followed(true, &[(0, 0, 1), (0, 1, 4), (1, 0, 2)]).is_ok());
        for wrong in [[(0, 0, 1), (0, 1, 1)], [(0, 0, 4), (0, 1, 1)]] {
            assert!(followed(false, &wrong).is_ok(), "{wrong:?}");
            assert!(followed(true, &wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn who_gave_up_its_sequence_may_repeat_itself() {
        let gave_up = Arc::new(AtomicBool::new(false));
        let mut followed = Followed::new(1, true).until(gave_up.clone());
        assert!(followed.note(place(0, 0), 1).is_ok() && followed.clone().note(place(0, 1), 1).is_err());
        gave_up.store(true, Ordering::Release);
        assert!(followed.note(place(0, 1), 1).is_ok() && followed.check(&history(&[(1, 0, 0)])).is_ok());
    }

    #[test]
    fn what_was_acknowledged_is_what_was_seen() {
        let seen = [(0, 0, 1), (0, 1, 2), (1, 0, 3)];
        for once in [false, true] {
            let followed = followed(once, &seen).expect("that is in order");
            assert!(followed.check(&history(&[(1, 0, 0), (3, 1, 0)])).is_ok(), "record 2 is unknown, and may be there");
            assert!(followed.check(&history(&[(1, 0, 0), (2, 0, 2)])).is_err(), "offset 2 was never seen");
            assert!(followed.check(&history(&[(4, 0, 1)])).is_err(), "another record stands there");
            assert_eq!(followed.missing(&history(&[(1, 0, 0), (2, 0, 2), (4, 0, 1), (5, 7, 0)])), 3);
        }
        let twice = [(0, 0, 1), (1, 0, 1)];
        let told = history(&[(1, 0, 0)]);
        assert!(followed(false, &twice).expect("that is in order").check(&told).is_ok(), "a retry may write twice");
        assert!(followed(true, &twice).expect("that is in order").check(&told).is_err());
    }

    #[test]
    fn a_record_that_was_there_already_is_somewhere_in_its_partition() {
        let followed = followed(true, &[(0, 0, 1), (0, 1, 2), (1, 0, 3)]).expect("that is in order");
        assert!(followed.check(&history(&[(1, 0, 0), (2, 0, -1001), (3, 1, -1001)])).is_ok());
        let wrong = history(&[(1, 0, 0), (2, 1, -1001), (4, 0, -1001)]);
        assert_eq!(followed.missing(&wrong), 2);
        assert!(followed.check(&wrong).is_err());
    }

    #[test]
    fn the_end_is_reached_in_every_partition() {
        let followed = followed(false, &[(0, 0, 1), (0, 1, 2)]).expect("that is in order");
        let ranges = |first: i64, second: i64| {
            [(0, first), (1, second)].map(|(partition, end)| (partition, PartitionRange { start: 0, end })).into()
        };
        assert!(followed.has_reached(&ranges(2, 0)));
        assert!(!followed.has_reached(&ranges(3, 0)));
        assert!(!followed.has_reached(&ranges(2, 1)));
    }
}
