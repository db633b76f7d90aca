//! Offsets that nobody has used for long are forgotten (KIP-211).

use std::sync::Arc;

use levada_types::TimestampMs;

use super::{Committed, GroupNumber, Offsets, Place};
use crate::draft::Draft;

/// How many offsets and groups are looked at in one go, so that a shard of millions goes on answering meanwhile.
pub(crate) const SWEEP_SLICE: usize = 20_000;

/// From when on the retention of a group's offsets counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpiresFrom {
    /// Since it has no members.
    Emptiness(TimestampMs),
    /// Since each was committed.
    Commit,
    /// It does not: members use them.
    Never,
}

/// When expired offsets are looked for, and how far that has come. Soft.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expiry {
    /// When the next sweep begins, or the present one has.
    pub(crate) due: Option<TimestampMs>,
    /// The group that the present sweep goes on with.
    pub(crate) cursor: Option<Arc<str>>,
}

impl Offsets {
    /// Forgets a group's expired offsets, but of topics that members use. How many it has looked at, and whether none is
    /// left.
    pub(crate) fn expire(
        &mut self,
        group: GroupNumber,
        from: ExpiresFrom,
        is_used: impl Fn(&str) -> bool,
        draft: &mut Draft<'_>,
    ) -> (usize, bool) {
        let retention_ms = i64::from(draft.config.offsets_retention_minutes).saturating_mul(60_000);
        let is_expired = |committed: &Committed| {
            if let Some(expires_at) = committed.expires_at() {
                return from != ExpiresFrom::Never && expires_at <= draft.now;
            }
            let since = match from {
                ExpiresFrom::Emptiness(since) => since,
                ExpiresFrom::Commit => committed.committed_at,
                ExpiresFrom::Never => return false,
            };
            since.saturating_add(retention_ms) <= draft.now
        };
        let mut seen = 0;
        let expired: Vec<Place> = self
            .committed
            .range(Place::all_of(group))
            .inspect(|_| seen += 1)
            .filter(|(place, committed)| {
                is_expired(committed)
                    && !self.pending.is_open(**place)
                    && !self.topics.name(place.topic).is_some_and(|name| is_used(name))
            })
            .map(|(place, _)| *place)
            .collect();
        let is_last = expired.len() == seen && !self.pending.has_any(group);
        let group_id = draft.group_id.clone();
        self.forget(&group_id, &expired, draft);
        (seen, is_last)
    }
}
