//! A core that counts, as small as can be.

use std::collections::BTreeMap;

use bytes::Bytes;
use levada_types::TimestampMs;

use crate::{Context, Core, KeyValue, Output, Replayed, Token, TransactionalProducer, Write};

/// How long a request waits for a counter at most, in milliseconds.
pub(super) const PATIENCE_MS: TimestampMs = 3_000;

/// Counters by name, and those who wait for one to reach something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// The hard state.
    pub(super) counts: BTreeMap<u8, u64>,
    /// The soft state: who waits for which counter to reach what, and until when.
    pub(super) waiting: BTreeMap<Token, (u8, u64, TimestampMs)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Add one to a counter, and tell the sum. The number tells this request from all others.
    Add { counter: u8, op: u64 },
    /// Add one to two counters, in a batch each, and tell the first sum.
    AddBoth { counters: [u8; 2], op: u64 },
    /// Tell a counter.
    Get { counter: u8 },
    /// Tell a counter once it has reached something.
    Await { counter: u8, least: u64 },
}

impl Counters {
    fn add(&mut self, counter: u8, op: u64, now: TimestampMs) -> (u64, KeyValue) {
        let sum = self.counts.entry(counter).or_default();
        *sum += 1;
        (*sum, record(counter, *sum, op, now))
    }

    /// Answers those who wait for what is so now.
    fn answer_waiting(&mut self, now: TimestampMs, output: &mut Output<u64>) {
        let counts = &self.counts;
        self.waiting.retain(|token, (counter, least, until)| {
            let count = counts.get(counter).copied().unwrap_or(0);
            let waits = count < *least && now < *until;
            if !waits {
                output.answers.push((*token, count));
            }
            waits
        });
    }
}

/// A record: the counter, its sum and who has raised it.
pub(super) fn record(counter: u8, sum: u64, op: u64, timestamp: TimestampMs) -> KeyValue {
    let value = [sum.to_be_bytes(), op.to_be_bytes()].concat();
    KeyValue { key: Bytes::copy_from_slice(&[counter]), value: Some(value.into()), timestamp }
}

/// What a record says: the counter, its sum, who has raised it.
pub(super) fn read_record(key: &[u8], value: &[u8]) -> (u8, u64, u64) {
    let number = |at: usize| u64::from_be_bytes(value[at..at + 8].try_into().unwrap());
    (key[0], number(0), number(8))
}

impl Core for Counters {
    type Request = Ask;
    type Response = u64;

    fn replay(&mut self, replayed: Replayed<'_>) {
        if let Replayed::Record { key, value: Some(value), .. } = replayed {
            let (counter, sum, _) = read_record(key, value);
            self.counts.insert(counter, sum);
        }
    }

    fn resume(&mut self, context: &mut Context<'_>) -> Output<u64> {
        for (_, _, until) in self.waiting.values_mut() {
            *until = context.now + PATIENCE_MS;
        }
        Output::nothing()
    }

    fn set_back(&mut self, context: &mut Context<'_>) -> Output<u64> {
        self.resume(context)
    }

    fn handle(&mut self, token: Token, request: Ask, context: &mut Context<'_>) -> Output<u64> {
        let mut output = Output::nothing();
        match request {
            Ask::Add { counter, op } => {
                let (sum, record) = self.add(counter, op, context.now);
                output.write(record);
                output.answers.push((token, sum));
            }
            Ask::AddBoth { counters: [one, other], op } => {
                let (sum, record) = self.add(one, op, context.now);
                output.write(record);
                let (_, record) = self.add(other, op, context.now);
                let producer = TransactionalProducer { id: 7, epoch: 0 };
                output.writes.push(Write { producer: Some(producer), records: vec![record] });
                output.answers.push((token, sum));
            }
            Ask::Get { counter } => {
                output.answers.push((token, self.counts.get(&counter).copied().unwrap_or(0)));
            }
            Ask::Await { counter, least } => {
                self.waiting.insert(token, (counter, least, context.now + PATIENCE_MS));
            }
        }
        self.answer_waiting(context.now, &mut output);
        output
    }

    fn tick(&mut self, context: &mut Context<'_>) -> Output<u64> {
        let mut output = Output::nothing();
        self.answer_waiting(context.now, &mut output);
        output
    }

    fn next_deadline(&self) -> Option<TimestampMs> {
        self.waiting.values().map(|(_, _, until)| *until).min()
    }
}
