//! What a core returns.

use bytes::Bytes;
use levada_types::{ProducerEpoch, ProducerId, TimestampMs};

/// Stands for a request until it is answered; drawn by the runtime. An answer for a token that nobody waits for any more is
/// dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// What came of a call: records to write, in order, and answers that rest on them and on everything before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output<R> {
    /// What to write, all of it or nothing.
    pub writes: Vec<Write>,
    /// Who is answered what.
    pub answers: Vec<(Token, R)>,
}

/// Records that are written as one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Under whose transaction, if any: such records count once the transaction's marker commits them.
    pub producer: Option<TransactionalProducer>,
    /// The records.
    pub records: Vec<KeyValue>,
}

/// A record of an internal topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// What it is about.
    pub key: Bytes,
    /// What holds of it; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Its timestamp.
    pub timestamp: TimestampMs,
}

/// The producer of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransactionalProducer {
    /// Its id.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
}

impl<R> Default for Output<R> {
    fn default() -> Self {
        Self { writes: Vec::new(), answers: Vec::new() }
    }
}

impl<R> Output<R> {
    /// Nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// An answer that writes nothing.
    #[must_use]
    pub fn answer(token: Token, response: R) -> Self {
        Self { writes: Vec::new(), answers: vec![(token, response)] }
    }

    /// Adds records that belong to no transaction.
    pub fn write(&mut self, record: KeyValue) {
        match self.writes.last_mut() {
            Some(write) if write.producer.is_none() => write.records.push(record),
            _ => self.writes.push(Write { producer: None, records: vec![record] }),
        }
    }

    /// Adds what another call came to, after this.
    pub fn append(&mut self, other: Self) {
        self.writes.extend(other.writes);
        self.answers.extend(other.answers);
    }
}
