//! All groups of one shard.

mod classic;
mod counts;
mod follow;
#[cfg(test)]
mod hard;
mod offsets;
mod overview;
mod requests;
mod slot;
mod sweep;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use levada_metadata::Image;
use levada_shard::{Context, Core, Output, Replayed, Token, TransactionalProducer};
use levada_types::{ErrorCode, TimestampMs};

pub use counts::GroupCounts;
#[cfg(test)]
pub(crate) use hard::Hard;
pub use overview::GroupOverview;

use crate::{
    GroupConfig,
    api::{Request, Response},
    classic::ClassicGroup,
    consumer,
    draft::Draft,
    group::Group,
    offsets::{Expiry, GroupNumber, Offsets},
    outcome::Outcome,
    records::Record,
};
use slot::Slot;

/// The longest id of a group, in bytes: Kafka's formats cannot say a longer text.
pub const MAX_GROUP_ID_BYTES: usize = i16::MAX as usize;

/// All groups of one shard: what the records of one partition of `__consumer_offsets` add up to, and what is soft beside
/// it (sessions, joins that wait). Cheap to clone.
#[derive(Debug, Clone)]
pub struct Groups {
    config: Arc<GroupConfig>,
    slots: OrdMap<Arc<str>, Arc<Slot>>,
    /// The ids behind the numbers in `offsets`.
    ids: OrdMap<GroupNumber, Arc<str>>,
    next_number: u64,
    offsets: Offsets,
    /// Groups by a time not later than their first deadline. Soft.
    due: OrdSet<(TimestampMs, Arc<str>)>,
    expiry: Expiry,
    /// The metadata that has been acted upon. Soft.
    seen: Option<Image>,
    /// Records that were not understood.
    left_out: u64,
}

impl Groups {
    /// A shard without records.
    #[must_use]
    pub fn new(config: Arc<GroupConfig>) -> Self {
        Self {
            config,
            slots: OrdMap::new(),
            ids: OrdMap::new(),
            next_number: 0,
            offsets: Offsets::default(),
            due: OrdSet::new(),
            expiry: Expiry::default(),
            seen: None,
            left_out: 0,
        }
    }

    /// Does something to a group, which is created for it if there is none and dropped if nothing is left of it.
    fn with<R>(
        &mut self,
        group_id: &str,
        context: &mut Context<'_>,
        outcome: &mut Outcome,
        act: impl FnOnce(&mut Slot, &mut Offsets, &mut Draft<'_>) -> R,
    ) -> R {
        let (id, mut slot) = self.take_slot(group_id);
        let mut draft = Draft::new(id.clone(), &self.config, context, outcome);
        let result = act(Arc::make_mut(&mut slot), &mut self.offsets, &mut draft);
        self.put_back(id, slot);
        result
    }

    /// Takes a group out of the map, a new one if there is none.
    fn take_slot(&mut self, group_id: &str) -> (Arc<str>, Arc<Slot>) {
        if let Some(taken) = self.slots.remove_with_key(group_id) {
            return taken;
        }
        let id: Arc<str> = group_id.into();
        let number = GroupNumber(self.next_number);
        self.next_number += 1;
        self.ids.insert(number, id.clone());
        (id, Arc::new(Slot::new(number)))
    }

    fn put_back(&mut self, id: Arc<str>, mut slot: Arc<Slot>) {
        let is_bare = match &slot.group {
            None => true,
            Some(Group::Classic(group)) => group.is_bare(),
            Some(Group::Consumer(_)) => false,
        };
        if is_bare && !self.offsets.has_any(slot.number) {
            if let Some(due) = slot.due {
                self.due.remove(&(due, id));
            }
            self.ids.remove(&slot.number);
            return;
        }
        if slot.group.is_none() {
            Arc::make_mut(&mut slot).group = Some(Group::Classic(ClassicGroup::default()));
        }
        let due = slot.group.as_ref().and_then(Group::next_deadline);
        if due != slot.due {
            if let Some(due) = slot.due {
                self.due.remove(&(due, id.clone()));
            }
            if let Some(due) = due {
                self.due.insert((due, id.clone()));
            }
            Arc::make_mut(&mut slot).due = due;
        }
        self.slots.insert(id, slot);
    }

    fn slot(&self, group_id: &str) -> Option<&Slot> {
        self.slots.get(group_id).map(AsRef::as_ref)
    }

    fn group(&self, group_id: &str) -> Option<&Group> {
        self.slot(group_id)?.group.as_ref()
    }

    fn replay_record(&mut self, record: Record<'_>, producer: Option<TransactionalProducer>) {
        // As nearly always: a commit leaves its group as it is.
        if let Record::Offset(key, Some(value)) = &record
            && let Some(slot) = self.slots.get(key.group)
        {
            self.offsets.apply(slot.number, key.topic, key.partition, Some(value), producer);
            return;
        }
        let (id, mut slot) = self.take_slot(record.group_id());
        let group = Arc::make_mut(&mut slot);
        match record {
            Record::Offset(key, value) => {
                self.offsets.apply(group.number, key.topic, key.partition, value.as_ref(), producer);
            }
            Record::Group(_, written) => match &mut group.group {
                Some(Group::Classic(classic)) => classic.replay(written),
                // A group that became one of the next-generation protocol: its old record goes first.
                Some(Group::Consumer(_)) if written.is_none() => {}
                other => {
                    let mut classic = ClassicGroup::default();
                    classic.replay(written);
                    *other = Some(Group::Classic(classic));
                }
            },
            Record::Consumer(record) => consumer::replay(&mut group.group, &record),
        }
        self.put_back(id, slot);
    }

    /// Drops groups of which a transaction that has ended has left nothing.
    fn drop_if_bare(&mut self, numbers: Vec<GroupNumber>) {
        for number in numbers {
            if let Some(id) = self.ids.get(&number).cloned() {
                let (id, slot) = self.take_slot(&id);
                self.put_back(id, slot);
            }
        }
    }
}

impl Core for Groups {
    type Request = Request;
    type Response = Response;

    fn replay(&mut self, replayed: Replayed<'_>) {
        match replayed {
            Replayed::Record { key, value, producer, .. } => match Record::read(key, value) {
                Ok(record) => self.replay_record(record, producer),
                Err(_) => self.left_out += 1,
            },
            Replayed::Marker { producer_id, commit, .. } => {
                let groups = self.offsets.end_transaction(producer_id, commit);
                self.drop_if_bare(groups);
            }
        }
    }

    fn resume(&mut self, context: &mut Context<'_>) -> Output<Response> {
        let mut outcome = Outcome::nothing();
        self.due = OrdSet::new();
        self.expiry = Expiry::default();
        self.expiry.due = Some(context.now.saturating_add(self.config.offsets_retention_check_interval_ms));
        let ids: Vec<Arc<str>> = self.slots.keys().cloned().collect();
        for id in ids {
            self.with(&id, context, &mut outcome, |slot, _, draft| {
                slot.due = None;
                match &mut slot.group {
                    Some(Group::Classic(group)) => {
                        group.fail_waiting(ErrorCode::CoordinatorNotAvailable, draft);
                        group.resume(draft.now);
                    }
                    Some(Group::Consumer(group)) => group.resume(draft.now, draft.config),
                    None => {}
                }
            });
        }
        self.seen = None;
        self.follow(context, &mut outcome);
        outcome.finish()
    }

    fn set_back(&mut self, context: &mut Context<'_>) -> Output<Response> {
        let mut outcome = Outcome::nothing();
        let ids: Vec<Arc<str>> = self.slots.keys().cloned().collect();
        for id in ids {
            self.with(&id, context, &mut outcome, |slot, _, draft| match &mut slot.group {
                Some(Group::Classic(group)) => group.renew_sessions(draft.now),
                Some(Group::Consumer(group)) => group.resume(draft.now, draft.config),
                None => {}
            });
        }
        outcome.finish()
    }

    fn handle(&mut self, token: Token, request: Request, context: &mut Context<'_>) -> Output<Response> {
        let mut outcome = Outcome::nothing();
        self.follow(context, &mut outcome);
        self.answer(token, request, context, &mut outcome);
        outcome.finish()
    }

    fn tick(&mut self, context: &mut Context<'_>) -> Output<Response> {
        let mut outcome = Outcome::nothing();
        self.follow(context, &mut outcome);
        while let Some((due, id)) = self.due.get_min().cloned().filter(|(due, _)| *due <= context.now) {
            self.with(&id, context, &mut outcome, |slot, _, draft| match &mut slot.group {
                Some(Group::Classic(group)) => group.tick(draft),
                Some(Group::Consumer(_)) => consumer::tick(&mut slot.group, draft),
                None => {}
            });
            if self.due.contains(&(due, id.clone())) {
                // A bound that is too early is looked at again later, never twice in one tick.
                self.postpone(due, id, context.now);
            }
        }
        self.sweep(context, &mut outcome);
        outcome.finish()
    }

    fn next_deadline(&self) -> Option<TimestampMs> {
        let group = self.due.get_min().map(|(due, _)| *due);
        group.into_iter().chain(self.expiry.due).min()
    }
}

impl Groups {
    /// A group that still calls a time due that has passed is looked at in a millisecond.
    fn postpone(&mut self, due: TimestampMs, id: Arc<str>, now: TimestampMs) {
        self.due.remove(&(due, id.clone()));
        let later = now.saturating_add(1);
        if let Some(slot) = self.slots.get_mut(&id) {
            Arc::make_mut(slot).due = Some(later);
        }
        self.due.insert((later, id));
    }
}

#[cfg(test)]
mod tests;
