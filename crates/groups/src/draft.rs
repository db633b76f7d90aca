//! What a request or a tick is about to come to.

use std::{fmt, sync::Arc};

use levada_metadata::Image;
use levada_shard::{Context, KeyValue, Output, Token};
use levada_types::TimestampMs;
use uuid::Uuid;

use crate::{GroupConfig, api::Response, records::Record};

/// The world as it is told, the settings, and what is written and answered so far.
pub(crate) struct Draft<'a> {
    /// The group that it is about.
    pub(crate) group_id: Arc<str>,
    /// Milliseconds since the epoch.
    pub(crate) now: TimestampMs,
    /// The cluster's metadata.
    pub(crate) image: &'a Image,
    /// The settings.
    pub(crate) config: &'a GroupConfig,
    fresh: &'a mut dyn FnMut() -> Uuid,
    output: Output<Response>,
}

impl<'a> Draft<'a> {
    /// Nothing written and nothing answered.
    pub(crate) fn new(group_id: Arc<str>, config: &'a GroupConfig, context: &'a mut Context<'_>) -> Self {
        Self {
            group_id,
            now: context.now,
            image: context.image,
            config,
            fresh: &mut *context.fresh,
            output: Output::nothing(),
        }
    }

    /// An id that nobody has had.
    pub(crate) fn fresh_id(&mut self) -> Uuid {
        (self.fresh)()
    }

    /// Writes a record. Whoever calls this changes its hard state by the same record.
    pub(crate) fn write(&mut self, record: &Record<'_>) {
        let (key, value) = record.encode();
        self.output.write(KeyValue { key, value, timestamp: self.now });
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

impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("now", &self.now).field("output", &self.output).finish_non_exhaustive()
    }
}
