//! A partition that a member owns: how far it has been read, delivered, processed and committed. Pure.

use std::collections::VecDeque;

use levada_types::{LeaderEpoch, Offset};

/// The first pause after a failure that may pass, in milliseconds; it doubles.
const FIRST_PAUSE: i64 = 50;

/// The longest such pause, in milliseconds.
const LONGEST_PAUSE: i64 = 1_000;

/// A place at which to begin that has no offset yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartPlace {
    Earliest,
    Latest,
    /// The first record of at least this time, else the end.
    AtTime(i64),
}

/// What a partition is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// For what is committed.
    Committed,
    /// For the offset of a place; `asked` once somebody looks for it.
    Start { place: StartPlace, asked: bool },
    /// For records.
    Records,
}

/// Records that are with the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Delivered {
    /// What the client answers once it has processed them.
    next_offset: Offset,
    /// Where to go on then: behind what holds no records for clients.
    go_on: Offset,
    leader_epoch: Option<LeaderEpoch>,
    records: usize,
}

/// How far a partition is processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Processed {
    /// The next record to be consumed.
    pub(super) offset: Offset,
    /// The leader epoch of what was last before it, if it is known.
    pub(super) leader_epoch: Option<LeaderEpoch>,
}

/// A partition that a member owns.
#[derive(Debug, Clone)]
pub(super) struct Owned {
    pub(super) topic: String,
    pub(super) stage: Stage,
    /// Counts what makes everything under way void: a seek, another owner between.
    pub(super) generation: u64,
    /// The client knows that it owns it, on this stream.
    pub(super) is_announced: bool,
    /// It is being given up: nothing of it is read.
    pub(super) revoked: bool,
    /// Nothing is done before this time.
    pub(super) paused_until: i64,
    /// A seek that waits for its answer.
    pub(super) seek: Option<u64>,
    pause: i64,
    /// The next offset to be read; -1 before it is known.
    position: Offset,
    processed: Option<Processed>,
    committed: Option<Offset>,
    with_client: VecDeque<Delivered>,
    /// Everything below has been with the client, on this stream.
    highest: Offset,
}

impl Owned {
    pub(super) fn new(topic: String, generation: u64) -> Self {
        Self {
            topic,
            stage: Stage::Committed,
            generation,
            is_announced: false,
            revoked: false,
            paused_until: i64::MIN,
            seek: None,
            pause: FIRST_PAUSE,
            position: -1,
            processed: None,
            committed: None,
            with_client: VecDeque::new(),
            highest: -1,
        }
    }

    /// Records that are with the client.
    pub(super) fn unprocessed(&self) -> usize {
        self.with_client.iter().map(|delivered| delivered.records).sum()
    }

    /// The next offset to be read.
    pub(super) fn position(&self) -> Offset {
        self.position
    }

    /// Where to begin is committed, or is known otherwise. It counts as processed: everything before it is no concern of
    /// this member.
    pub(super) fn start_at(&mut self, offset: Offset, committed: bool) {
        self.stage = Stage::Records;
        self.position = offset;
        self.processed = Some(Processed { offset, leader_epoch: None });
        if committed {
            self.committed = Some(offset);
        }
        self.recover();
    }

    /// Goes on behind what the client has of another stream, of which everything before `processed` is processed. How many
    /// records lie between is not known: as many as there are offsets, up to `most`.
    pub(super) fn go_on(&mut self, next_offset: Offset, processed: Option<Offset>, most: usize) {
        self.stage = Stage::Records;
        self.position = next_offset;
        self.highest = next_offset;
        self.processed = processed.map(|offset| Processed { offset, leader_epoch: None });
        let between = usize::try_from(next_offset - processed.unwrap_or(next_offset - 1)).unwrap_or(0).min(most);
        if between > 0 {
            let records = between;
            self.with_client.push_back(Delivered { next_offset, go_on: next_offset, leader_epoch: None, records });
        }
    }

    /// Everything below has been with the client, on this stream.
    pub(super) fn delivered_to(&self) -> Offset {
        self.highest
    }

    /// The partition was owned before, and delivered up to here.
    pub(super) fn was_delivered_to(&mut self, offset: Option<Offset>) {
        self.highest = self.highest.max(offset.unwrap_or(-1));
    }

    /// Looks for another place. What is with the client is forgotten.
    pub(super) fn look_for(&mut self, place: StartPlace, generation: u64) {
        self.stage = Stage::Start { place, asked: false };
        self.generation = generation;
        self.with_client.clear();
        self.recover();
    }

    /// Goes on at `offset`. What is with the client is forgotten.
    pub(super) fn seek_to(&mut self, offset: Offset, generation: u64) {
        self.generation = generation;
        self.with_client.clear();
        self.start_at(offset, false);
    }

    /// Records have been read, and go to the client if there are any.
    pub(super) fn deliver(&mut self, records: usize, next_offset: Offset, leader_epoch: Option<LeaderEpoch>) {
        self.recover();
        self.position = next_offset;
        if records > 0 {
            self.highest = self.highest.max(next_offset);
            self.with_client.push_back(Delivered { next_offset, go_on: next_offset, leader_epoch, records });
        } else if let Some(last) = self.with_client.back_mut() {
            (last.go_on, last.leader_epoch) = (next_offset, leader_epoch);
        } else {
            self.processed = Some(Processed { offset: next_offset, leader_epoch });
        }
    }

    /// Whether the client can have been given everything before `next_offset`.
    pub(super) fn may_have_processed(&self, next_offset: Offset) -> bool {
        next_offset <= self.highest || self.processed.is_some_and(|processed| next_offset <= processed.offset)
    }

    /// The client has processed everything before `next_offset`. What is not with it (any more) is not counted.
    pub(super) fn process(&mut self, next_offset: Offset) {
        if self.with_client.back().is_none_or(|last| next_offset > last.next_offset) {
            return;
        }
        while let Some(first) = self.with_client.front().copied().filter(|first| first.next_offset <= next_offset) {
            self.processed = Some(Processed { offset: first.go_on, leader_epoch: first.leader_epoch });
            self.with_client.pop_front();
        }
        if self.processed.is_none_or(|processed| next_offset > processed.offset) {
            // Of which epoch that record was, among the batches of one response, is not kept.
            self.processed = Some(Processed { offset: next_offset, leader_epoch: None });
        }
    }

    /// What is to be committed, unless it is.
    pub(super) fn uncommitted(&self) -> Option<Processed> {
        self.processed.filter(|processed| Some(processed.offset) != self.committed)
    }

    /// This is committed.
    pub(super) fn set_committed(&mut self, offset: Offset) {
        self.committed = Some(offset);
    }

    /// Something failed that may pass: waits a while, longer each time.
    pub(super) fn hold_back(&mut self, now: i64) {
        self.paused_until = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn recover(&mut self) {
        self.pause = FIRST_PAUSE;
        self.paused_until = i64::MIN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned() -> Owned {
        let mut owned = Owned::new("t".to_owned(), 1);
        owned.start_at(10, true);
        owned
    }

    fn processed(owned: &Owned) -> Option<Offset> {
        owned.uncommitted().map(|processed| processed.offset)
    }

    #[test]
    fn only_what_was_delivered_and_acknowledged_counts() {
        let mut owned = owned();
        assert_eq!(processed(&owned), None, "it is committed");
        owned.deliver(5, 15, Some(LeaderEpoch(3)));
        owned.deliver(5, 20, Some(LeaderEpoch(4)));
        assert_eq!((owned.unprocessed(), owned.position(), processed(&owned)), (10, 20, None));
        owned.process(21);
        assert_eq!(processed(&owned), None, "more than was delivered");
        owned.process(12);
        assert_eq!((owned.unprocessed(), processed(&owned)), (10, Some(12)));
        owned.process(15);
        assert_eq!(owned.uncommitted().and_then(|p| p.leader_epoch), Some(LeaderEpoch(3)));
        owned.process(17);
        assert_eq!((owned.unprocessed(), processed(&owned)), (5, Some(17)));
        assert_eq!(owned.uncommitted().and_then(|p| p.leader_epoch), None, "it is not known");
        owned.process(11);
        assert_eq!(processed(&owned), Some(17), "it does not move back");
        owned.process(20);
        owned.set_committed(20);
        assert_eq!((owned.unprocessed(), processed(&owned)), (0, None));
    }

    #[test]
    fn what_holds_no_records_is_passed_once_everything_before_is_processed() {
        let mut owned = owned();
        owned.deliver(0, 12, None);
        assert_eq!(processed(&owned), Some(12), "there is nothing that the client could acknowledge");
        owned.deliver(1, 13, Some(LeaderEpoch(3)));
        owned.deliver(0, 15, Some(LeaderEpoch(4)));
        assert_eq!(processed(&owned), Some(12));
        owned.process(13);
        let passed = Processed { offset: 15, leader_epoch: Some(LeaderEpoch(4)) };
        assert_eq!(owned.uncommitted(), Some(passed), "an offset beyond the end of its epoch would look like a loss");
    }

    #[test]
    fn a_seek_forgets_what_is_with_the_client() {
        let mut owned = owned();
        owned.deliver(5, 15, None);
        owned.seek_to(0, 2);
        owned.process(15);
        assert_eq!((owned.unprocessed(), owned.position(), processed(&owned)), (0, 0, Some(0)));
        assert!(owned.may_have_processed(15) && !owned.may_have_processed(16));
    }

    #[test]
    fn pauses_grow_until_something_is_read() {
        let mut owned = owned();
        owned.hold_back(0);
        owned.hold_back(0);
        assert_eq!(owned.paused_until, 2 * FIRST_PAUSE);
        (0..10).for_each(|_| owned.hold_back(0));
        assert_eq!(owned.paused_until, LONGEST_PAUSE);
        owned.deliver(0, 11, None);
        assert_eq!(owned.paused_until, i64::MIN);
    }
}
