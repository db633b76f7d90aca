//! One group's share of a call.

use std::{fmt, sync::Arc};

use levada_metadata::Image;
use levada_shard::{Context, Token};
use levada_types::TimestampMs;
use uuid::Uuid;

use crate::{GroupConfig, api::Response, outcome::Outcome, records::Record};

/// One group's share of a call: the world as it is told, the settings, and where records and answers go.
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
    outcome: &'a mut Outcome,
}

impl<'a> Draft<'a> {
    /// Of this group, in addition to what has come of the call so far.
    pub(crate) fn new(
        group_id: Arc<str>,
        config: &'a GroupConfig,
        context: &'a mut Context<'_>,
        outcome: &'a mut Outcome,
    ) -> Self {
        Self { group_id, now: context.now, image: context.image, config, fresh: &mut *context.fresh, outcome }
    }

    /// An id that nobody has had.
    pub(crate) fn fresh_id(&mut self) -> Uuid {
        (self.fresh)()
    }

    /// Writes a record. Whoever calls this changes its hard state by the same record.
    pub(crate) fn write(&mut self, record: &Record<'_>) {
        self.outcome.write(record, self.now);
    }

    /// Answers a request.
    pub(crate) fn answer(&mut self, token: Token, response: Response) {
        self.outcome.answer(token, response);
    }
}

impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("group_id", &self.group_id).field("now", &self.now).finish_non_exhaustive()
    }
}
