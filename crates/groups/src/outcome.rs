//! What a call has come to so far.

use bytes::Bytes;
use levada_shard::{KeyValue, Output, Token, Write};
use levada_types::TimestampMs;

use crate::{api::Response, records::Record};

/// How large a batch may become before the next record begins another: what is forgotten with a large group or topic must
/// not make a batch that `max.message.bytes` (1 MiB by default) refuses.
const BATCH_BYTES: usize = 512 * 1024;

/// What a record has beside its key and its value, at most: lengths, deltas and flags.
const RECORD_OVERHEAD_BYTES: usize = 32;

/// What a call has come to so far, over all groups that it was about.
#[derive(Debug)]
pub(crate) struct Outcome {
    output: Output<Response>,
    /// How large the last batch is.
    batch_bytes: usize,
}

impl Outcome {
    /// Nothing.
    pub(crate) fn nothing() -> Self {
        Self { output: Output::nothing(), batch_bytes: 0 }
    }

    /// Writes a record.
    pub(crate) fn write(&mut self, record: &Record<'_>, timestamp: TimestampMs) {
        let (key, value) = record.encode();
        let bytes = key.len() + value.as_ref().map_or(0, Bytes::len) + RECORD_OVERHEAD_BYTES;
        if self.batch_bytes > 0 && self.batch_bytes + bytes > BATCH_BYTES {
            self.output.writes.push(Write { producer: None, records: Vec::new() });
            self.batch_bytes = 0;
        }
        self.batch_bytes += bytes;
        self.output.write(KeyValue { key, value, timestamp });
    }

    /// Answers a request.
    pub(crate) fn answer(&mut self, token: Token, response: Response) {
        self.output.answers.push((token, response));
    }

    /// What it all came to.
    pub(crate) fn finish(self) -> Output<Response> {
        self.output
    }
}
