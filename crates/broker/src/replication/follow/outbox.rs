//! What waits to be told to one leader. Only the newest word of each replica counts.

use std::collections::HashMap;
use std::mem::take;

use levada_proto::internal as pb;
use levada_replication::{Ack, Attach};
use levada_types::TopicIdPartition;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::replication::wire::{Attachment, ack_to, attach_to};

/// Replicas that one message speaks of. Each takes less than 100 bytes, and a leader takes 4 MiB.
const REPLICAS_PER_MESSAGE: usize = 10_000;

/// What waits to be told to one leader. Bounded by the replicas.
#[derive(Default)]
pub(crate) struct Outbox {
    words: Mutex<Words>,
    news: Notify,
}

#[derive(Default)]
struct Words {
    attaches: HashMap<TopicIdPartition, (Attach, u32)>,
    acks: HashMap<TopicIdPartition, (Ack, u32)>,
}

impl Outbox {
    /// Asks for what follows the log end of a replica, with this credit in bytes to begin with.
    pub(super) fn attach(&self, partition: TopicIdPartition, attach: Attach, credit: u32) {
        let mut words = self.words.lock();
        words.acks.remove(&partition);
        words.attaches.insert(partition, (attach, credit));
        drop(words);
        self.news.notify_one();
    }

    /// Tells how far a replica has come, and grants more credit.
    pub(super) fn ack(&self, partition: TopicIdPartition, ack: Ack, credit: u32) {
        let mut words = self.words.lock();
        let (known, granted) = words.acks.entry(partition).or_insert((ack, 0));
        if known.session != ack.session {
            *granted = 0;
        }
        (*known, *granted) = (ack, granted.saturating_add(credit));
        drop(words);
        self.news.notify_one();
    }

    /// Whether anybody asks for the leader.
    pub(super) fn is_asked_for(&self) -> bool {
        !self.words.lock().attaches.is_empty()
    }

    /// Forgets acknowledgements, since the streams that they belong to have ended.
    pub(super) fn forget_acks(&self) {
        self.words.lock().acks.clear();
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
            acks: acks.iter().map(|(partition, (ack, credit))| ack_to(*partition, ack, *credit)).collect(),
        };
        Some((request, begun))
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
    use levada_replication::Session;
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
        outbox.attach(id(0), attach(2), 1_000);
        outbox.attach(id(0), attach(3), 1_000);
        let (request, begun) = outbox.next(4).unwrap();
        assert_eq!((request.attaches.len(), request.acks.len(), request.metadata_offset), (1, 0, 4));
        assert_eq!(begun.iter().map(|begun| begun.session).collect::<Vec<_>>(), [session(3)]);
    }

    #[test]
    fn a_message_speaks_of_a_bounded_number_of_replicas() {
        let outbox = Outbox::default();
        let all = REPLICAS_PER_MESSAGE as i32 + 5;
        (0..all).for_each(|partition| outbox.attach(id(partition), attach(1), 1));
        outbox.ack(id(all), ack(1, 1), 0);
        let (first, _) = outbox.next(0).unwrap();
        assert_eq!((first.attaches.len(), first.acks.len()), (REPLICAS_PER_MESSAGE, 0));
        let (second, _) = outbox.next(0).unwrap();
        assert_eq!((second.attaches.len(), second.acks.len()), (5, 1));
    }
}
