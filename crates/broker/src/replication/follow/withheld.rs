//! Credit that a throttle keeps from one leader for now (`follower.replication.throttled.rate`).

use std::collections::{HashMap, VecDeque};

use levada_replication::{Ack, Attach, Lane, Session};
use levada_types::TopicIdPartition;

/// What throttled replicas may grant their leader once the throttle lets them.
///
/// A replica stands here from its attach on, which goes without credit: only the stream on which its first frame comes tells
/// whether it catches up. One that does not is granted all at once. One that does has to wait for its turn, each time; so
/// none of them holds up another, nor the stream.
#[derive(Default)]
pub(super) struct Withheld {
    replicas: HashMap<TopicIdPartition, Replica>,
    /// Those that wait for the throttle, in the order in which they came. One that is gone, or has attached anew, may still
    /// be in it.
    turns: VecDeque<TopicIdPartition>,
}

struct Replica {
    session: Session,
    /// What the leader is told with the credit: how far the replica has come.
    ack: Option<Ack>,
    credit: u32,
    catches_up: bool,
    has_turn: bool,
}

/// Credit to be granted, with the word that it goes with.
pub(super) type Grant = (Ack, u32);

impl Withheld {
    /// A throttled replica attaches, with this credit to begin with.
    pub(super) fn attach(&mut self, partition: TopicIdPartition, attach: &Attach, credit: u32) {
        let ack = Ack {
            follower: attach.follower,
            leader_epoch: attach.leader_epoch,
            session: attach.session,
            log_end: attach.fetch_offset,
            flushed_end: attach.flushed_end,
            log_start: attach.log_start,
        };
        let session = attach.session;
        let replica = Replica { session, ack: Some(ack), credit, catches_up: false, has_turn: false };
        self.replicas.insert(partition, replica);
    }

    /// A frame has come for a replica on this stream. Gives what it may grant now, if it does not catch up or is not throttled
    /// any more.
    pub(super) fn heard(
        &mut self,
        partition: TopicIdPartition,
        session: Session,
        lane: Lane,
        is_throttled: bool,
    ) -> Option<Grant> {
        let is_other = self.replicas.get(&partition).is_some_and(|known| known.session != session);
        if is_other {
            return None;
        }
        if !is_throttled || lane == Lane::Tail {
            return self.forget(partition);
        }
        let begins = || Replica { session, ack: None, credit: 0, catches_up: true, has_turn: false };
        self.replicas.entry(partition).or_insert_with(begins).catches_up = true;
        self.take_turn(partition);
        None
    }

    /// A replica has come further and may grant more. Says whether it has to wait with what it may grant.
    pub(super) fn keep(&mut self, partition: TopicIdPartition, ack: &Ack, credit: u32) -> bool {
        let Some(replica) = self.replicas.get_mut(&partition).filter(|replica| replica.session == ack.session) else {
            return false;
        };
        replica.ack = Some(*ack);
        replica.credit = replica.credit.saturating_add(credit);
        let waits = replica.credit > 0;
        self.take_turn(partition);
        waits
    }

    /// A replica is throttled no more. Gives what it may grant now. One of which the leader has said nothing yet may grant it
    /// with the first frame: before that, the leader may not have looked at its attach.
    pub(super) fn let_go(&mut self, partition: TopicIdPartition) -> Option<Grant> {
        let catches_up = self.replicas.get(&partition).is_some_and(|replica| replica.catches_up);
        if catches_up { self.forget(partition) } else { None }
    }

    /// Takes out a replica; gives what it may grant now.
    pub(super) fn forget(&mut self, partition: TopicIdPartition) -> Option<Grant> {
        let replica = self.replicas.remove(&partition)?;
        replica.ack.map(|ack| (ack, replica.credit)).filter(|(_, credit)| *credit > 0)
    }

    /// Whether there is no replica here.
    pub(super) fn is_empty(&self) -> bool {
        self.replicas.is_empty()
    }

    /// Whether a replica waits for the throttle.
    pub(super) fn is_waiting(&self) -> bool {
        !self.turns.is_empty()
    }

    /// What the replica whose turn it is may grant, if `may_spend` so many bytes.
    pub(super) fn next(&mut self, may_spend: impl FnOnce(usize) -> bool) -> Option<(TopicIdPartition, Grant)> {
        while let Some(partition) = self.turns.front().copied() {
            let waiting = self.replicas.get_mut(&partition).filter(|replica| replica.has_turn);
            let grant = waiting.and_then(|replica| Some((replica.ack?, &mut replica.credit)));
            if let Some((ack, credit)) = grant {
                if !may_spend(usize::try_from(*credit).unwrap_or(usize::MAX)) {
                    return None;
                }
                let credit = std::mem::take(credit);
                self.end_turn();
                return Some((partition, (ack, credit)));
            }
            self.end_turn();
        }
        None
    }

    /// The streams have ended, and with them every session but those whose attaches are yet to be told.
    pub(super) fn retain(&mut self, is_untold: impl Fn(&TopicIdPartition) -> bool) {
        self.replicas.retain(|partition, _| is_untold(partition));
        self.turns.clear();
    }

    fn take_turn(&mut self, partition: TopicIdPartition) {
        if let Some(replica) = self.replicas.get_mut(&partition)
            && replica.catches_up
            && replica.credit > 0
            && !std::mem::replace(&mut replica.has_turn, true)
        {
            self.turns.push_back(partition);
        }
    }

    fn end_turn(&mut self) {
        if let Some(partition) = self.turns.pop_front()
            && let Some(replica) = self.replicas.get_mut(&partition)
        {
            replica.has_turn = false;
        }
    }
}
