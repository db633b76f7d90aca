//! ConsumerGroupHeartbeat: join, reconcile, leave, or a sign of life.

use std::{borrow::Cow, sync::Arc};

use levada_shard::Token;
use levada_types::ErrorCode;

use super::{
    ConsumerGroup, after, migration,
    reconcile::Step,
    refused::{Refused, fenced_instance, unknown_member},
    request::{self, JOIN, LEAVE, LEAVE_FOR_A_WHILE},
};
use crate::{
    api::{ConsumerGroupHeartbeat, ConsumerGroupHeartbeatAnswer, Response, TopicPartitions},
    draft::Draft,
    group::Group,
    records::{Change, ConsumerMember, CurrentAssignment, MemberState, OwnedPartitions},
};

/// How often a member is to be heard of that waits for a new assignment or for partitions that others have to give up, in
/// milliseconds: often enough to end a rebalance within a second or two, seldom enough to cost nothing.
const WAITING_HEARTBEAT_INTERVAL_MS: i32 = 500;

/// A heartbeat to a group of any kind: `None` is a group that does not exist yet. Creates it, converts an empty or
/// (migration policy) a classic group with members, and may leave `None` or a classic group behind.
pub(crate) fn heartbeat(
    group: &mut Option<Group>,
    token: Token,
    request: &ConsumerGroupHeartbeat,
    draft: &mut Draft<'_>,
) {
    let answer = answer(group, request, draft).unwrap_or_else(Refused::answer);
    draft.answer(token, Response::ConsumerGroupHeartbeat(answer));
    migration::downgrade(group, draft);
}

fn answer(
    group: &mut Option<Group>,
    request: &ConsumerGroupHeartbeat,
    draft: &mut Draft<'_>,
) -> Result<ConsumerGroupHeartbeatAnswer, Refused> {
    request::check(request, draft.config)?;
    let joins = request.member_epoch == JOIN;
    if joins {
        migration::upgrade(group, request, draft)?;
    }
    let Some(Group::Consumer(consumer)) = group else {
        // A member of a group that is gone is to join again, like one that the group does not know.
        return Err(unknown_member(&request.member_id));
    };
    consumer.refresh(draft);
    consumer.check_stream(&request.member_id, request.stream_number)?;
    match request.member_epoch {
        LEAVE | LEAVE_FOR_A_WHILE => consumer.leave(request, draft),
        _ => consumer.beat(request, draft),
    }
}

/// Who a heartbeat is of.
enum Sender {
    /// A member, under this id.
    Member(Arc<str>),
    /// A new member.
    New,
    /// A static member under a new id.
    Replaces(Arc<str>),
}

impl ConsumerGroup {
    /// Refuses what comes from an older stream than the newest one of that member: its client has come back elsewhere.
    pub(super) fn check_stream(&self, member_id: &str, stream: Option<u64>) -> Result<(), Refused> {
        match (stream, self.clocks.get(member_id)) {
            (Some(stream), Some(clock)) if stream < clock.stream => Err(Refused::new(
                ErrorCode::FencedInstanceId,
                format!("the member is served by stream {} now, and this is {stream}", clock.stream),
            )),
            _ => Ok(()),
        }
    }

    fn beat(
        &mut self,
        request: &ConsumerGroupHeartbeat,
        draft: &mut Draft<'_>,
    ) -> Result<ConsumerGroupHeartbeatAnswer, Refused> {
        if let Some(regex) = request.subscribed_topic_regex.as_deref().filter(|regex| !regex.is_empty()) {
            self.expressions.compile(regex)?;
        }
        let sender = self.sender(request)?;
        if !matches!(sender, Sender::Member(_)) {
            self.check_room(matches!(sender, Sender::Replaces(_)), draft)?;
        }
        // Nothing was changed so far; from here on nothing is refused.
        let id = match sender {
            Sender::Member(id) => id,
            Sender::New => self.id_of_new(&request.member_id, draft),
            Sender::Replaces(old) => {
                let id = self.id_of_new(&request.member_id, draft);
                self.replace(&old, &id, draft);
                id
            }
        };
        let member = self.member(&id).cloned().unwrap_or_default();
        let mut asks = self.hard.epoch.is_none();
        let mut resubscribed = false;
        if let Cow::Owned(told) = updated(&member.told, request, self.member(&id).is_none()) {
            resubscribed = self.tell(&id, told, draft);
            asks |= resubscribed;
        }
        if asks {
            self.bump(draft);
        }
        self.assign_if_due(draft);
        let reported = request.topic_partitions.as_deref();
        self.reconcile(&id, reported, resubscribed, draft);
        let session = after(draft.now, draft.config.group_consumer_session_timeout_ms);
        self.clocks.set(&id, |clock| {
            clock.session = Some(session);
            // A member that has gone over from the classic protocol neither joins nor syncs any more.
            clock.join = None;
            clock.sync = None;
            clock.stream = clock.stream.max(request.stream_number.unwrap_or(0));
        });
        let now = self.member(&id).map(|member| Arc::clone(&member.current)).unwrap_or_default();
        let is_same = Arc::ptr_eq(&now, &member.current) || same(&now.assigned, &member.current.assigned);
        let tells = request::is_full(request) || !is_same;
        Ok(ConsumerGroupHeartbeatAnswer {
            error: ErrorCode::None,
            error_message: None,
            member_id: Some(id.to_string()),
            member_epoch: now.epoch,
            heartbeat_interval_ms: self.interval(now.state, draft),
            assignment: tells.then(|| now.assigned.told()),
        })
    }

    /// How soon the member is to be heard of again. Whoever waits for partitions is asked to come back soon, so that a
    /// rebalance does not last for an interval more than it must.
    fn interval(&self, state: MemberState, draft: &Draft<'_>) -> i32 {
        let usual = draft.config.group_consumer_heartbeat_interval_ms;
        let is_waiting = state == MemberState::UnreleasedPartitions || self.due.is_some();
        if is_waiting { usual.min(WAITING_HEARTBEAT_INTERVAL_MS) } else { usual }
    }

    /// Who the heartbeat is of, if it may speak.
    fn sender(&self, request: &ConsumerGroupHeartbeat) -> Result<Sender, Refused> {
        let joins = request.member_epoch == JOIN;
        let Some(instance) = request.instance_id.as_deref() else {
            let Some((id, member)) = self.hard.members.get_key_value(request.member_id.as_str()) else {
                return if joins { Ok(Sender::New) } else { Err(unknown_member(&request.member_id)) };
            };
            check_epoch(&member.current, request)?;
            return Ok(Sender::Member(Arc::clone(id)));
        };
        let Some(owner) = self.hard.instances.get(instance) else {
            return if joins { self.sender_with_new_name(request) } else { Err(unknown_member(&request.member_id)) };
        };
        let owns = self.member(owner).cloned().unwrap_or_default();
        if **owner == *request.member_id {
            if joins && (owns.current.epoch == CurrentAssignment::AWAY || owns.is_classic()) {
                // It comes back, or over from the classic protocol, under the id that it had.
                return Ok(Sender::Replaces(Arc::clone(owner)));
            }
            check_epoch(&owns.current, request)?;
            return Ok(Sender::Member(Arc::clone(owner)));
        }
        if !joins {
            return Err(fenced_instance(instance, owner));
        }
        if owns.current.epoch != CurrentAssignment::AWAY && !owns.is_classic() {
            let message = format!("the instance id {instance} belongs to {owner}, which has not left");
            return Err(Refused::new(ErrorCode::UnreleasedInstanceId, message));
        }
        Ok(Sender::Replaces(Arc::clone(owner)))
    }

    /// A member that joins under a name that nobody bears.
    fn sender_with_new_name(&self, request: &ConsumerGroupHeartbeat) -> Result<Sender, Refused> {
        match self.hard.members.get_key_value(request.member_id.as_str()) {
            None => Ok(Sender::New),
            Some((id, member)) => {
                check_epoch(&member.current, request)?;
                Ok(Sender::Member(Arc::clone(id)))
            }
        }
    }

    fn check_room(&self, replaces: bool, draft: &Draft<'_>) -> Result<(), Refused> {
        let max = draft.config.group_consumer_max_size;
        if !replaces && self.hard.members.len() >= usize::try_from(max).unwrap_or(0) {
            let message = format!("the group has {max} members, which is the most (group.consumer.max.size)");
            return Err(Refused::new(ErrorCode::GroupMaxSizeReached, message));
        }
        Ok(())
    }

    fn id_of_new(&self, asked: &str, draft: &mut Draft<'_>) -> Arc<str> {
        if asked.is_empty() { draft.fresh_id().to_string().into() } else { asked.into() }
    }

    /// Gives what a static member had to the same member under its new id.
    pub(super) fn replace(&mut self, old: &Arc<str>, id: &Arc<str>, draft: &mut Draft<'_>) {
        let Some(member) = self.member(old).cloned() else { return };
        let target = self.hard.targets.get(old).cloned().unwrap_or_default();
        let current = CurrentAssignment { epoch: 0, previous_epoch: 0, ..(*member.current).clone() };
        self.clocks.remove(old);
        if old != id {
            self.write(Change::Current(Arc::clone(old), None), draft);
            self.write(Change::Target(Arc::clone(old), None), draft);
            self.write(Change::Member(Arc::clone(old), None), draft);
        }
        self.write(Change::Member(Arc::clone(id), Some(member.told)), draft);
        self.write(Change::Target(Arc::clone(id), Some(target)), draft);
        self.write(Change::Current(Arc::clone(id), Some(Arc::new(current))), draft);
    }

    /// Brings the member a step nearer to what it shall own.
    pub(super) fn reconcile(
        &mut self,
        id: &Arc<str>,
        reported: Option<&[TopicPartitions]>,
        resubscribed: bool,
        draft: &mut Draft<'_>,
    ) {
        let Some(member) = self.member(id).cloned() else { return };
        if !resubscribed && member.is_reconciled_to(self.hard.assignment_epoch()) {
            return;
        }
        let subscribed = self.subscription(&member.told);
        let step =
            Step { hard: &self.hard, member_id: id, current: &member.current, subscribed: &subscribed, reported };
        let Some(next) = step.next() else { return };
        let deadline = (next.state == MemberState::UnrevokedPartitions && !member.is_classic())
            .then(|| after(draft.now, member.told.rebalance_timeout_ms));
        self.write(Change::Current(Arc::clone(id), Some(Arc::new(next))), draft);
        self.clocks.set(id, |clock| clock.rebalance = deadline);
    }

    fn leave(
        &mut self,
        request: &ConsumerGroupHeartbeat,
        draft: &mut Draft<'_>,
    ) -> Result<ConsumerGroupHeartbeatAnswer, Refused> {
        let id = match request.instance_id.as_deref() {
            Some(instance) => match self.hard.instances.get(instance) {
                None => return Err(unknown_member(&request.member_id)),
                Some(owner) if **owner != *request.member_id => return Err(fenced_instance(instance, owner)),
                Some(owner) => Arc::clone(owner),
            },
            None => match self.hard.members.get_key_value(request.member_id.as_str()) {
                None => return Err(unknown_member(&request.member_id)),
                Some((id, _)) => Arc::clone(id),
            },
        };
        if request.member_epoch == LEAVE_FOR_A_WHILE {
            // It keeps what it has until its session is over, and has given up what it was asked to give up.
            let current = self.member(&id).map(|member| (*member.current).clone()).unwrap_or_default();
            let away =
                CurrentAssignment { epoch: CurrentAssignment::AWAY, revoking: OwnedPartitions::default(), ..current };
            self.write(Change::Current(Arc::clone(&id), Some(Arc::new(away))), draft);
            self.clocks.set(&id, |clock| clock.rebalance = None);
        } else {
            self.remove(&id, draft);
            self.after_leaving(draft);
        }
        Ok(ConsumerGroupHeartbeatAnswer {
            error: ErrorCode::None,
            error_message: None,
            member_id: Some(request.member_id.clone()),
            member_epoch: request.member_epoch,
            heartbeat_interval_ms: 0,
            assignment: None,
        })
    }
}

/// Whether the member's epoch is the one that it was told last, or the one before if that answer may have been lost.
fn check_epoch(current: &CurrentAssignment, request: &ConsumerGroupHeartbeat) -> Result<(), Refused> {
    let epoch = request.member_epoch;
    if current.state == MemberState::Unknown && request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty())
    {
        let message = "a newer release has written how the member stands; give everything up and join again";
        return Err(Refused::new(ErrorCode::FencedMemberEpoch, message));
    }
    let is_lost_answer = epoch < current.epoch
        && epoch == current.previous_epoch
        && request.topic_partitions.as_deref().is_some_and(|owned| owns_all(&current.assigned, owned));
    // Whoever joins owns nothing: it was fenced, or its leaving was lost. It need not wait for the end of its own session.
    if epoch == JOIN || epoch == current.epoch || is_lost_answer {
        return Ok(());
    }
    Err(Refused::new(
        ErrorCode::FencedMemberEpoch,
        format!("the member is in epoch {}, and this is {epoch}; give everything up and join again", current.epoch),
    ))
}

fn owns_all(assigned: &OwnedPartitions, owned: &[TopicPartitions]) -> bool {
    owned.iter().all(|topic| topic.partitions.iter().all(|&partition| assigned.contains(topic.topic_id, partition)))
}

/// Whether both are the same partitions, under whatever epochs.
fn same(one: &OwnedPartitions, other: &OwnedPartitions) -> bool {
    one.iter()
        .map(|(topic, partition, _)| (topic, partition))
        .eq(other.iter().map(|(topic, partition, _)| (topic, partition)))
}

/// What the member has told of itself, with what is new in the request; borrowed if nothing is.
fn updated<'a>(told: &'a ConsumerMember, request: &ConsumerGroupHeartbeat, is_new: bool) -> Cow<'a, ConsumerMember> {
    let is_same = |new: &Option<String>, old: &Option<String>| new.is_none() || new == old;
    let regex =
        request.subscribed_topic_regex.as_ref().map(|regex| Some(regex.clone()).filter(|regex| !regex.is_empty()));
    let is_unchanged = !is_new
        && told.client_id == request.client_id
        && told.client_host == request.client_host
        && told.classic.is_none()
        && is_same(&request.instance_id, &told.instance_id)
        && is_same(&request.rack_id, &told.rack_id)
        && is_same(&request.server_assignor, &told.server_assignor)
        && (request.rebalance_timeout_ms == -1 || request.rebalance_timeout_ms == told.rebalance_timeout_ms)
        && regex.as_ref().is_none_or(|regex| *regex == told.topic_regex)
        && request.subscribed_topic_names.as_ref().is_none_or(|names| {
            names.len() == told.topic_names.len() && names.iter().all(|name| told.topic_names.contains(name))
        });
    if is_unchanged {
        return Cow::Borrowed(told);
    }
    Cow::Owned(ConsumerMember {
        instance_id: request.instance_id.clone().or_else(|| told.instance_id.clone()),
        rack_id: request.rack_id.clone().or_else(|| told.rack_id.clone()),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        topic_names: match &request.subscribed_topic_names {
            Some(names) => names.iter().cloned().collect(),
            None => told.topic_names.clone(),
        },
        topic_regex: regex.unwrap_or_else(|| told.topic_regex.clone()),
        rebalance_timeout_ms: match request.rebalance_timeout_ms {
            -1 if is_new => -1,
            -1 => told.rebalance_timeout_ms,
            told => told,
        },
        server_assignor: request.server_assignor.clone().or_else(|| told.server_assignor.clone()),
        classic: None,
    })
}
