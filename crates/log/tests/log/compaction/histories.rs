//! For any history the compacted log gives every reader the same final state, and every tombstone lives at least its time.

use std::collections::HashMap;

use levada_log::{LogConfig, OpenedLog};
use levada_types::{LeaderEpoch, Offset};
use proptest::prelude::*;

use super::support::*;
use crate::support::{NOW, close, open_log, open_store};

/// How long tombstones live in these tests.
const RETENTION_MS: i64 = 1_000;

#[derive(Debug, Clone)]
enum Step {
    /// Records of these keys; those whose number is odd are tombstones.
    Put(Vec<u8>),
    /// As [`Step::Put`], of an idempotent producer.
    Send(i64, Vec<u8>),
    /// As [`Step::Put`], in the transaction of a producer, which begins if it has none.
    Transact(i64, Vec<u8>),
    /// The transaction of a producer ends, if it has one: committed or not.
    End(i64, bool),
    Roll,
    /// A cleaning, with little or enough memory, up to what is committed.
    Clean(bool),
    /// Time goes by.
    Wait(i64),
    /// Another leader.
    Elect,
    /// Another writer opens the log.
    Reopen,
    /// The head of the log goes, up to a part of it in hundredths.
    DeleteHead(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let keys = || prop::collection::vec(0..24u8, 1..5);
    prop_oneof![
        6 => keys().prop_map(Step::Put),
        3 => (1..4i64, keys()).prop_map(|(id, keys)| Step::Send(id, keys)),
        3 => (11..14i64, keys()).prop_map(|(id, keys)| Step::Transact(id, keys)),
        2 => (11..14i64, any::<bool>()).prop_map(|(id, commits)| Step::End(id, commits)),
        3 => Just(Step::Roll),
        3 => any::<bool>().prop_map(Step::Clean),
        2 => (1..RETENTION_MS).prop_map(Step::Wait),
        1 => Just(Step::Elect),
        1 => Just(Step::Reopen),
        1 => (0..40u8).prop_map(Step::DeleteHead),
    ]
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 700, delete_retention_ms: RETENTION_MS, ..compacted() }
}

/// A record that was appended.
#[derive(Debug, Clone)]
struct Appended {
    offset: Offset,
    key: String,
    value: Option<String>,
    /// In whose transaction, and how that has ended, if it has.
    transaction: Option<(i64, Option<bool>)>,
}

/// What was appended, and what is known of the cleanings.
#[derive(Default)]
struct History {
    records: Vec<Appended>,
    sequences: HashMap<i64, i32>,
    open: HashMap<i64, Offset>,
    epoch: i32,
    now: i64,
    /// When a cleaning first came by each tombstone that was the newest of its key.
    seen_ms: HashMap<Offset, i64>,
}

impl History {
    fn pairs(&self, log: &OpenedLog, keys: &[u8]) -> Vec<(String, Option<String>)> {
        let end = log.reader.log_end_offset();
        let value = |key: &u8| key.is_multiple_of(2).then(|| format!("value {end}"));
        keys.iter().map(|key| (format!("k{}", key / 2), value(key))).collect()
    }

    fn note(&mut self, end: Offset, pairs: Vec<(String, Option<String>)>, transaction: Option<i64>) {
        for (offset, (key, value)) in (end..).zip(pairs) {
            self.records.push(Appended { offset, key, value, transaction: transaction.map(|id| (id, None)) });
        }
    }

    fn append(&mut self, log: &mut OpenedLog, keys: &[u8], producer: Option<(i64, bool)>) {
        let (end, pairs) = (log.reader.log_end_offset(), self.pairs(log, keys));
        let borrowed: Vec<_> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        let epoch = LeaderEpoch(self.epoch);
        match producer {
            None => put_in(log, self.now, epoch, &borrowed),
            Some((id, transactional)) => {
                let sequence = self.sequences.entry(id).or_insert(0);
                if transactional {
                    transact_in(log, id, *sequence, epoch, &borrowed);
                    self.open.entry(id).or_insert(end);
                } else {
                    put_sequenced(log, id, *sequence, epoch, &borrowed);
                }
                *sequence += i32::try_from(borrowed.len()).unwrap();
            }
        }
        self.note(end, pairs, producer.filter(|(_, transactional)| *transactional).map(|(id, _)| id));
    }

    fn end(&mut self, log: &mut OpenedLog, id: i64, commits: bool) {
        let Some(started) = self.open.remove(&id) else { return };
        end_transaction_in(log, id, LeaderEpoch(self.epoch), commits);
        for record in self.records.iter_mut().filter(|record| record.offset >= started) {
            if let Some((owner, outcome @ None)) = &mut record.transaction
                && *owner == id
            {
                *outcome = Some(commits);
            }
        }
    }

    fn clean(&mut self, log: &mut OpenedLog, enough: bool) {
        let stable = self.open.values().min().copied().unwrap_or(Offset::MAX);
        let before = read_keyed(&log.reader);
        let bytes = if enough { 1 << 20 } else { 0 };
        let cleaned = clean_some(log, &config(), bytes, stable, self.now).unwrap();
        assert!(cleaned.end <= stable);
        let after = read_keyed(&log.reader);
        assert!(after.windows(2).all(|two| two[0].offset < two[1].offset));
        assert!(after.iter().all(|record| before.contains(record)), "a record has come or changed");
        for record in before.iter().filter(|record| record.offset >= cleaned.end) {
            assert!(after.contains(record), "{record:?} lies behind what was cleaned");
        }
        for tombstone in self.newest_tombstones(log) {
            let seen = *self.seen_ms.entry(tombstone).or_insert(self.now);
            let is_there = after.iter().any(|record| record.offset == tombstone);
            assert!(is_there || self.now >= seen + RETENTION_MS, "the tombstone at {tombstone} went after {seen}");
        }
    }

    /// The records that count: those of aborted transactions do not, and those of open ones do not yet.
    fn decided(&self) -> impl DoubleEndedIterator<Item = &Appended> {
        self.records.iter().filter(|record| record.transaction.is_none_or(|(_, outcome)| outcome == Some(true)))
    }

    /// What each key has in the end.
    fn state(&self, start: Offset) -> HashMap<String, (Offset, Option<String>)> {
        let live = self.decided().filter(|record| record.offset >= start);
        live.map(|record| (record.key.clone(), (record.offset, record.value.clone()))).collect()
    }

    fn newest_tombstones(&self, log: &OpenedLog) -> Vec<Offset> {
        let state = self.state(log.reader.log_start_offset());
        state.into_values().filter(|(_, value)| value.is_none()).map(|(offset, _)| offset).collect()
    }

    /// What a reader of decided records ends with, be it from the start or from anywhere, is what was written. A key whose
    /// last record is a tombstone may have none left.
    fn check(&self, log: &OpenedLog) {
        let start = log.reader.log_start_offset();
        let undecided: Vec<_> = self
            .records
            .iter()
            .filter(|record| record.transaction.is_some_and(|(_, outcome)| outcome != Some(true)))
            .map(|record| record.offset)
            .collect();
        let mut found: HashMap<String, (Offset, Option<String>)> = HashMap::new();
        for record in read_keyed(&log.reader) {
            if undecided.binary_search(&record.offset).is_err() {
                found.insert(record.key, (record.offset, record.value));
            }
        }
        let mut expected = self.state(start);
        expected.retain(|key, (_, value)| value.is_some() || found.contains_key(key));
        assert_eq!(found, expected);
        // Who reads on from the middle sees the newest of each key that lies there.
        let end = log.reader.log_end_offset();
        for from in [start, start + (end - start) / 2, end] {
            let seen: Vec<_> = read_keyed(&log.reader).into_iter().filter(|record| record.offset >= from).collect();
            for (key, (offset, value)) in
                expected.iter().filter(|(_, (offset, value))| *offset >= from && value.is_some())
            {
                let last = seen.iter().rfind(|record| record.offset == *offset).unwrap();
                assert_eq!((&last.key, &last.value), (key, value));
            }
        }
    }
}

fn run(steps: &[Step]) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open_store(dir.path());
    let mut log = open_log(&store, &config());
    let mut history = History { now: NOW, ..History::default() };
    for step in steps {
        match step {
            Step::Put(keys) => history.append(&mut log, keys, None),
            Step::Send(id, keys) => history.append(&mut log, keys, Some((*id, false))),
            Step::Transact(id, keys) => history.append(&mut log, keys, Some((*id, true))),
            Step::End(id, commits) => history.end(&mut log, *id, *commits),
            Step::Roll => {
                log.writer.roll(history.now).unwrap();
            }
            Step::Clean(enough) => history.clean(&mut log, *enough),
            Step::Wait(ms) => history.now += ms,
            Step::Elect => history.epoch += 1,
            Step::Reopen => {
                let producers = log.writer.active_producers();
                close(store, vec![log.writer]);
                store = open_store(dir.path());
                log = open_log(&store, &config());
                assert_eq!(log.writer.active_producers(), producers);
            }
            Step::DeleteHead(part) => {
                let (start, end) = (log.reader.log_start_offset(), log.reader.log_end_offset());
                let stable = history.open.values().min().copied().unwrap_or(end);
                log.writer.advance_log_start((start + (end - start) * i64::from(*part) / 100).min(stable)).unwrap();
                log.writer.enforce_retention(end, history.now).unwrap();
            }
        }
        history.check(&log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn every_reader_ends_with_the_same_state(steps in prop::collection::vec(step(), 1..80)) {
        run(&steps);
    }
}
