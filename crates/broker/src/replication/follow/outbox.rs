//! What waits to be told to one leader. Only the newest word of each replica counts.

use std::collections::HashMap;
use std::mem::take;
use std::sync::atomic::{AtomicBool, Ordering};

use levada_proto::internal as pb;
use levada_replication::{Ack, Attach, Lane, Session};
use levada_types::TopicIdPartition;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::withheld::{Grant, Withheld};
use crate::replication::wire::{Attachment, ack_to, attach_to};

/// Replicas that one message speaks of. Each takes less than 100 bytes, and a leader takes 4 MiB.
const REPLICAS_PER_MESSAGE: usize = 10_000;

/// What waits to be told to one leader. Bounded by the replicas.
#[derive(Default)]
pub(crate) struct Outbox {
    words: Mutex<Words>,
    /// Whether any replica is in `withheld`.
    withholds: AtomicBool,
    news: Notify,
}

#[derive(Default)]
struct Words {
    attaches: HashMap<TopicIdPartition, (Attach, u32)>,
    acks: HashMap<TopicIdPartition, Told>,
    withheld: Withheld,
}

/// How far a replica has come.
#[derive(Clone, Copy)]
struct Told {
    ack: Ack,
    /// What it grants.
    credit: u32,
    /// Whether it will grant more when the throttle lets it.
    waits: bool,
}

impl Outbox {
    /// Asks for what follows the log end of a replica, with this credit in bytes to begin with, or later if `is_throttled`.
    ///
    /// Like [`Self::heard`] it asks for that while nobody else is here, so that [`Self::let_go`], which comes after a change,
    /// finds whoever has missed it.
    pub(super) fn attach(
        &self,
        partition: TopicIdPartition,
        attach: Attach,
        credit: u32,
        is_throttled: impl FnOnce() -> bool,
    ) {
        self.change(|words| {
            words.acks.remove(&partition);
            words.withheld.forget(partition);
            let is_throttled = is_throttled();
            if is_throttled {
                words.withheld.attach(partition, &attach, credit);
            }
            words.attaches.insert(partition, (attach, if is_throttled { 0 } else { credit }));
        });
    }

    /// Tells how far a replica has come, and grants more credit, now or later.
    pub(super) fn ack(&self, partition: TopicIdPartition, ack: Ack, credit: u32) {
        self.change(|words| {
            let waits = words.withheld.keep(partition, &ack, credit);
            words.tell(partition, Told { ack, credit: if waits { 0 } else { credit }, waits });
        });
    }

    /// A frame has come for a replica. From the first one of a session on it is known on which stream they come.
    pub(super) fn heard(
        &self,
        partition: TopicIdPartition,
        session: Session,
        lane: Lane,
        is_throttled: impl Fn() -> bool,
    ) {
        // Hardly any replica is ever throttled.
        if self.withholds.load(Ordering::Relaxed) || is_throttled() {
            self.change(|words| {
                let grant = words.withheld.heard(partition, session, lane, is_throttled());
                words.grant(partition, grant);
            });
        }
    }

    /// A replica is throttled no more.
    pub(super) fn let_go(&self, partition: TopicIdPartition) {
        self.change(|words| {
            let grant = words.withheld.let_go(partition);
            words.grant(partition, grant);
        });
    }

    /// A replica is gone.
    pub(super) fn forget(&self, partition: TopicIdPartition) {
        self.change(|words| {
            words.attaches.remove(&partition);
            words.acks.remove(&partition);
            words.withheld.forget(partition);
        });
    }

    /// Whether a replica waits for the throttle.
    pub(super) fn waits_for_throttle(&self) -> bool {
        self.words.lock().withheld.is_waiting()
    }

    /// Grants what the replica may whose turn it is, if `may_spend` so many bytes.
    pub(super) fn grant_next(&self, may_spend: impl FnOnce(usize) -> bool) {
        self.change(|words| {
            if let Some((partition, grant)) = words.withheld.next(may_spend) {
                words.grant(partition, Some(grant));
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut Words)) {
        let mut words = self.words.lock();
        change(&mut words);
        self.withholds.store(!words.withheld.is_empty(), Ordering::Relaxed);
        if !words.attaches.is_empty() || !words.acks.is_empty() || words.withheld.is_waiting() {
            self.news.notify_one();
        }
    }

    /// Whether anybody asks for the leader.
    pub(super) fn is_asked_for(&self) -> bool {
        !self.words.lock().attaches.is_empty()
    }

    /// Forgets acknowledgements, since the streams that they belong to have ended.
    pub(super) fn forget_acks(&self) {
        self.change(|Words { attaches, acks, withheld }| {
            acks.clear();
            withheld.retain(|partition| attaches.contains_key(partition));
        });
    }

    /// Resolves when there may be something to tell since the last time.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// What is to be told next, if there is anything, and which attachments begin with it.
    pub(super) fn next(&self, metadata_offset: u64) -> Option<(pb::ReplicateRequest, Vec<Attachment>)> {
        let (attaches, acks) = {
            let mut words = self.words.lock();
            let attaches = some(&mut words.attaches, REPLICAS_PER_MESSAGE);
            let room = REPLICAS_PER_MESSAGE - attaches.len();
            (attaches, some(&mut words.acks, room))
        };
        if attaches.is_empty() && acks.is_empty() {
            return None;
        }
        let begun = attaches.iter().map(|(partition, (attach, _))| Attachment {
            partition: *partition,
            leader_epoch: attach.leader_epoch,
            session: attach.session,
        });
        let begun = begun.collect();
        let request = pb::ReplicateRequest {
            hello: None,
            metadata_offset,
            attaches: attaches
                .iter()
                .map(|(partition, (attach, credit))| attach_to(*partition, attach, *credit))
                .collect(),
            acks: acks
                .iter()
                .map(|(partition, Told { ack, credit, waits })| ack_to(*partition, ack, *credit, *waits))
                .collect(),
        };
        Some((request, begun))
    }
}

impl Words {
    /// Replaces what is to be told of a replica, but grants what was to be granted too.
    fn tell(&mut self, partition: TopicIdPartition, told: Told) {
        let before = self.acks.get(&partition).filter(|before| before.ack.session == told.ack.session);
        let credit = before.map_or(0, |before| before.credit).saturating_add(told.credit);
        self.acks.insert(partition, Told { credit, ..told });
    }

    fn grant(&mut self, partition: TopicIdPartition, grant: Option<Grant>) {
        if let Some((ack, credit)) = grant {
            self.tell(partition, Told { ack, credit, waits: false });
        }
    }
}

/// Takes out all, or as many as there is room for.
fn some<V: Copy>(of: &mut HashMap<TopicIdPartition, V>, room: usize) -> Vec<(TopicIdPartition, V)> {
    if of.len() <= room {
        return take(of).into_iter().collect();
    }
    let some: Vec<_> = of.iter().take(room).map(|(partition, value)| (*partition, *value)).collect();
    for (partition, _) in &some {
        of.remove(partition);
    }
    some
}

#[cfg(test)]
mod tests {
    use levada_types::{BrokerEpoch, BrokerId, LeaderEpoch, TopicId};
    use uuid::Uuid;

    use super::*;

    fn id(partition: i32) -> TopicIdPartition {
        TopicIdPartition { topic_id: TopicId(Uuid::from_u128(1)), partition }
    }

    fn session(counter: u64) -> Session {
        Session { broker_epoch: BrokerEpoch(1), counter }
    }

    fn ack(counter: u64, log_end: i64) -> Ack {
        let (follower, leader_epoch, session) = (BrokerId(2), LeaderEpoch(1), session(counter));
        Ack { follower, leader_epoch, session, log_end, flushed_end: 0, log_start: 0 }
    }

    fn attach(counter: u64) -> Attach {
        Attach {
            follower: BrokerId(2),
            leader_epoch: LeaderEpoch(1),
            session: session(counter),
            fetch_offset: 0,
            last_fetched_epoch: None,
            flushed_end: 0,
            log_start: 0,
        }
    }

    #[test]
    fn acknowledgements_of_one_session_become_one_with_the_credit_of_all() {
        let outbox = Outbox::default();
        outbox.ack(id(0), ack(1, 5), 100);
        outbox.ack(id(0), ack(1, 9), 50);
        outbox.ack(id(1), ack(1, 3), 7);
        outbox.ack(id(1), ack(2, 3), 9);
        let (request, begun) = outbox.next(4).unwrap();
        assert!(begun.is_empty());
        let mut told: Vec<_> = request.acks.iter().map(|ack| (ack.log_end, ack.credit)).collect();
        told.sort_unstable();
        assert_eq!(told, [(3, 9), (9, 150)]);
        assert!(outbox.next(4).is_none());
    }

    #[test]
    fn an_attach_takes_the_place_of_what_the_session_before_it_had_to_say() {
        let outbox = Outbox::default();
        outbox.ack(id(0), ack(1, 5), 100);
        outbox.attach(id(0), attach(2), 1_000, || false);
        outbox.attach(id(0), attach(3), 1_000, || false);
        let (request, begun) = outbox.next(4).unwrap();
        assert_eq!((request.attaches.len(), request.acks.len(), request.metadata_offset), (1, 0, 4));
        assert_eq!(begun.iter().map(|begun| begun.session).collect::<Vec<_>>(), [session(3)]);
    }

    #[test]
    fn a_message_speaks_of_a_bounded_number_of_replicas() {
        let outbox = Outbox::default();
        let all = REPLICAS_PER_MESSAGE as i32 + 5;
        (0..all).for_each(|partition| outbox.attach(id(partition), attach(1), 1, || false));
        outbox.ack(id(all), ack(1, 1), 0);
        let (first, _) = outbox.next(0).unwrap();
        assert_eq!((first.attaches.len(), first.acks.len()), (REPLICAS_PER_MESSAGE, 0));
        let (second, _) = outbox.next(0).unwrap();
        assert_eq!((second.attaches.len(), second.acks.len()), (5, 1));
    }

    /// What is told of each replica: the credit, and whether more is withheld.
    fn told(outbox: &Outbox) -> Vec<(i32, u32, bool)> {
        let Some((request, _)) = outbox.next(0) else { return Vec::new() };
        let of = |session: &Option<pb::ReplicaSession>| session.as_ref().unwrap().partition;
        let attaches = request.attaches.iter().map(|attach| (of(&attach.session), attach.credit, attach.credit == 0));
        let acks = request.acks.iter().map(|ack| (of(&ack.session), ack.credit, ack.withheld));
        let mut told: Vec<_> = attaches.chain(acks).collect();
        told.sort_unstable();
        told
    }

    const THROTTLED: fn() -> bool = || true;
    const FREE: fn() -> bool = || false;

    #[test]
    fn a_replica_that_is_throttled_waits_with_its_credit_and_the_others_do_not() {
        let outbox = Outbox::default();
        outbox.attach(id(0), attach(1), 1_000, THROTTLED);
        outbox.attach(id(1), attach(1), 1_000, FREE);
        assert_eq!(told(&outbox), [(0, 0, true), (1, 1_000, false)]);
        outbox.heard(id(0), session(1), Lane::CatchUp, THROTTLED);
        outbox.heard(id(1), session(1), Lane::CatchUp, FREE);
        assert!(outbox.waits_for_throttle());
        outbox.grant_next(|bytes| bytes < 1_000);
        outbox.ack(id(1), ack(1, 5), 300);
        assert_eq!(told(&outbox), [(1, 300, false)]);
        outbox.grant_next(|bytes| bytes == 1_000);
        assert_eq!(told(&outbox), [(0, 1_000, false)]);
        assert!(!outbox.waits_for_throttle());

        // What it has got it grants anew, in its turn; meanwhile it tells how far it has come.
        outbox.ack(id(0), ack(1, 5), 300);
        outbox.ack(id(0), ack(1, 9), 400);
        assert_eq!(told(&outbox), [(0, 0, true)]);
        outbox.grant_next(|bytes| bytes == 700);
        let (request, _) = outbox.next(0).unwrap();
        assert_eq!((request.acks[0].log_end, request.acks[0].credit), (9, 700));
    }

    #[test]
    fn a_replica_in_sync_is_not_throttled_whatever_the_lists_say() {
        let outbox = Outbox::default();
        outbox.attach(id(0), attach(1), 1_000, THROTTLED);
        assert_eq!(told(&outbox), [(0, 0, true)]);
        outbox.heard(id(0), session(1), Lane::Tail, THROTTLED);
        assert_eq!(told(&outbox), [(0, 1_000, false)]);
        outbox.heard(id(0), session(1), Lane::Tail, THROTTLED);
        outbox.ack(id(0), ack(1, 5), 300);
        assert_eq!((told(&outbox), outbox.waits_for_throttle()), (vec![(0, 300, false)], false));
    }

    #[test]
    fn throttled_replicas_have_their_turns_one_after_the_other() {
        let outbox = Outbox::default();
        for partition in 0..3 {
            outbox.attach(id(partition), attach(1), 1_000, THROTTLED);
            outbox.heard(id(partition), session(1), Lane::CatchUp, THROTTLED);
        }
        told(&outbox);
        let mut granted = Vec::new();
        for end in 1..=2 {
            for _ in 0..3 {
                outbox.grant_next(|_| true);
                let (partition, credit, _) = told(&outbox)[0];
                granted.push((partition, credit));
                outbox.ack(id(partition), ack(1, end), 500);
                told(&outbox);
            }
        }
        assert_eq!(granted, [(0, 1_000), (1, 1_000), (2, 1_000), (0, 500), (1, 500), (2, 500)]);
    }

    #[test]
    fn one_that_begins_or_ends_to_be_throttled_in_a_session_does_so_at_once() {
        let outbox = Outbox::default();
        outbox.attach(id(0), attach(1), 1_000, FREE);
        told(&outbox);
        outbox.heard(id(0), session(1), Lane::CatchUp, THROTTLED);
        outbox.ack(id(0), ack(1, 5), 300);
        assert_eq!(told(&outbox), [(0, 0, true)]);
        outbox.let_go(id(0));
        assert_eq!(told(&outbox), [(0, 300, false)]);
        outbox.ack(id(0), ack(1, 9), 400);
        assert_eq!(told(&outbox), [(0, 400, false)]);
    }

    #[test]
    fn a_replica_that_was_let_go_before_the_leader_has_said_anything_grants_with_the_first_frame() {
        let outbox = Outbox::default();
        outbox.attach(id(0), attach(1), 1_000, THROTTLED);
        told(&outbox);
        outbox.let_go(id(0));
        assert_eq!(told(&outbox), [], "the leader may not know of the session yet");
        outbox.heard(id(0), session(1), Lane::CatchUp, FREE);
        assert_eq!(told(&outbox), [(0, 1_000, false)]);
    }

    #[test]
    fn credit_of_a_session_that_is_over_is_granted_to_nobody() {
        let outbox = Outbox::default();
        for partition in 0..2 {
            outbox.attach(id(partition), attach(1), 1_000, THROTTLED);
            outbox.heard(id(partition), session(1), Lane::CatchUp, THROTTLED);
        }
        told(&outbox);
        outbox.attach(id(0), attach(2), 1_000, THROTTLED);
        outbox.heard(id(0), session(1), Lane::CatchUp, THROTTLED);
        outbox.forget(id(1));
        outbox.grant_next(|_| true);
        assert_eq!(told(&outbox), [(0, 0, true)], "the attach alone");

        // The streams end before another attach was told, which therefore waits for the next ones.
        outbox.attach(id(0), attach(3), 1_000, THROTTLED);
        outbox.forget_acks();
        assert_eq!(told(&outbox), [(0, 0, true)]);
        outbox.heard(id(0), session(3), Lane::CatchUp, THROTTLED);
        outbox.grant_next(|_| true);
        assert_eq!(told(&outbox), [(0, 1_000, false)]);
    }
}
