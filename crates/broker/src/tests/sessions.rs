//! Append sessions of the owners of shards, as the actor of the partition keeps them.

use levada_shard::{AppendSession, AppendTicket};
use levada_types::{ErrorCode, LeaderEpoch, Offset, TopicIdPartition};
use tokio::sync::oneshot;

use super::world::{BROKER, OTHER, World, batch, code, led_by, tp};
use crate::api::PartitionError;
use crate::shard_log::{AppendOutcome, OpenedSession, RefusalReason};
use crate::threads::{ConfirmSession, OpenSession, SessionAppend};
use crate::threads::{Gather, Job};

const COMMITTED: fn(Offset) -> AppendOutcome = AppendOutcome::Committed;

fn refused(reason: RefusalReason, code: ErrorCode) -> AppendOutcome {
    AppendOutcome::Refused { reason, code }
}

/// A partition of coordinators that this broker alone holds.
fn shard(world: &mut World) -> TopicIdPartition {
    tp(world.create("__consumer_offsets", 1), 0)
}

impl World {
    async fn open(&self, id: TopicIdPartition, epoch: i32) -> Result<OpenedSession, PartitionError> {
        let (answer, opened) = oneshot::channel();
        let open = OpenSession { leader_epoch: LeaderEpoch(epoch), answer };
        self.broker.partitions.get(&id).unwrap().post(Job::OpenSession(open));
        opened.await.unwrap()
    }

    /// Posts an append of these values.
    fn append(
        &self,
        id: TopicIdPartition,
        (epoch, session): (i32, AppendSession),
        expected: Offset,
        values: &[&str],
    ) -> oneshot::Receiver<AppendOutcome> {
        let (answer, outcome) = oneshot::channel();
        let records = batch(values);
        let share = self.broker.in_flight.take(records.len());
        let ticket = AppendTicket { epoch: LeaderEpoch(epoch), session, expected };
        let append = SessionAppend { ticket, records, answer, share };
        self.broker.partitions.get(&id).unwrap().post(Job::AppendInSession(Box::new(append)));
        outcome
    }

    async fn confirm(&self, id: TopicIdPartition, (epoch, session): (i32, AppendSession)) -> bool {
        let (gather, mut slots) = Gather::new(vec![None], || false);
        let (leader_epoch, answer) = (LeaderEpoch(epoch), slots.remove(0));
        let confirm = ConfirmSession { leader_epoch, session, answer };
        self.broker.partitions.get(&id).unwrap().post(Job::ConfirmSession(confirm));
        (&gather).await;
        gather.give_up(|| false).remove(0)
    }
}

#[tokio::test]
async fn an_owner_appends_at_the_end_that_it_was_told() {
    let mut world = World::new();
    let id = shard(&mut world);
    let opened = world.open(id, 0).await.unwrap();
    assert_eq!((opened.log_start, opened.log_end), (0, 0));
    let session = (0, opened.session);
    let first = world.append(id, session, 0, &["a", "b"]);
    let second = world.append(id, session, 2, &["c"]);
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (COMMITTED(0), COMMITTED(2)));
    assert_eq!(world.values(id, 0).await, ["a", "b", "c"]);
    assert_eq!(world.open(id, 0).await.unwrap().log_end, 3);
}

#[tokio::test]
async fn opening_ends_the_earlier_session_and_what_waits_under_it_lands_nowhere() {
    let mut world = World::new();
    let id = shard(&mut world);
    let earlier = (0, world.open(id, 0).await.unwrap().session);
    assert!(world.confirm(id, earlier).await);
    let partition = world.broker.partitions.get(&id).unwrap();
    // All of this waits for the actor at once, the late append behind the newer session.
    let in_time = world.append(id, earlier, 0, &["in time"]);
    let (answer, opened) = oneshot::channel();
    partition.post(Job::OpenSession(OpenSession { leader_epoch: LeaderEpoch(0), answer }));
    let late = world.append(id, earlier, 1, &["late"]);
    assert_eq!(in_time.await.unwrap(), COMMITTED(0));
    let newer = opened.await.unwrap().unwrap();
    assert_eq!(newer.log_end, 1);
    assert_eq!(late.await.unwrap(), refused(RefusalReason::Session, ErrorCode::InvalidRequest));
    assert!(!world.confirm(id, earlier).await);
    assert!(world.confirm(id, (0, newer.session)).await);
    assert_eq!(world.append(id, (0, newer.session), 1, &["newer"]).await.unwrap(), COMMITTED(1));
    assert_eq!(world.values(id, 0).await, ["in time", "newer"]);
}

#[tokio::test]
async fn what_stands_behind_a_refused_append_is_refused_until_the_owner_goes_on_at_the_end() {
    let mut world = World::new();
    let id = shard(&mut world);
    let session = (0, world.open(id, 0).await.unwrap().session);
    let offset = refused(RefusalReason::Offset, ErrorCode::InvalidRequest);
    let elsewhere = world.append(id, session, 5, &["x"]);
    let behind = world.append(id, session, 6, &["y"]);
    let again = world.append(id, session, 0, &["z"]);
    assert_eq!((elsewhere.await.unwrap(), behind.await.unwrap()), (offset, offset));
    assert_eq!(again.await.unwrap(), COMMITTED(0));
    assert_eq!(world.values(id, 0).await, ["z"]);
}

#[tokio::test]
async fn too_few_replicas_refuse_before_anything_is_appended() {
    let mut world = World::new();
    let id = shard(&mut world);
    world.assign(id, led_by(Some(BROKER), 1, &[BROKER, OTHER]));
    let session = (1, world.open(id, 1).await.unwrap().session);
    world.configure(id.topic_id, "min.insync.replicas", "2");
    let mut alone = led_by(Some(BROKER), 1, &[BROKER, OTHER]);
    alone.isr.retain(|member| member.broker == BROKER);
    alone.partition_epoch = alone.partition_epoch.next();
    world.assign(id, alone);
    let outcome = world.append(id, session, 0, &["x"]).await.unwrap();
    assert_eq!(outcome, refused(RefusalReason::NotTaken, ErrorCode::NotEnoughReplicas));
    assert_eq!(world.open(id, 1).await.unwrap().log_end, 0);
}

#[tokio::test]
async fn what_becomes_of_an_append_under_a_leader_that_goes_nobody_knows() {
    let mut world = World::new();
    let id = shard(&mut world);
    world.assign(id, led_by(Some(BROKER), 1, &[BROKER, OTHER]));
    let session = (1, world.open(id, 1).await.unwrap().session);
    // The other replica never has it.
    let waiting = world.append(id, session, 0, &["x"]);
    world.assign(id, led_by(Some(OTHER), 2, &[BROKER, OTHER]));
    assert_eq!(waiting.await.unwrap(), AppendOutcome::Unknown(ErrorCode::NotLeaderOrFollower));
    let late = world.append(id, session, 1, &["y"]).await.unwrap();
    assert_eq!(late, refused(RefusalReason::Session, ErrorCode::FencedLeaderEpoch));
}

#[tokio::test]
async fn a_new_leader_epoch_of_the_same_leader_ends_the_session() {
    let mut world = World::new();
    let id = shard(&mut world);
    let earlier = (0, world.open(id, 0).await.unwrap().session);
    assert_eq!(world.append(id, earlier, 0, &["a"]).await.unwrap(), COMMITTED(0));
    // The shard has moved, and its partition stays where it is.
    world.assign(id, led_by(Some(BROKER), 1, &[BROKER]));
    let late = world.append(id, earlier, 1, &["late"]).await.unwrap();
    assert_eq!(late, refused(RefusalReason::Session, ErrorCode::FencedLeaderEpoch));
    assert!(!world.confirm(id, earlier).await);
    assert_eq!(world.open(id, 1).await.unwrap().log_end, 1);
}

#[tokio::test]
async fn a_session_is_opened_under_the_epoch_of_the_leader_alone() {
    let mut world = World::new();
    let id = shard(&mut world);
    world.assign(id, led_by(Some(BROKER), 5, &[BROKER]));
    assert_eq!(code(&world.open(id, 4).await), ErrorCode::FencedLeaderEpoch);
    assert_eq!(code(&world.open(id, 6).await), ErrorCode::UnknownLeaderEpoch);
    world.assign(id, led_by(Some(OTHER), 7, &[BROKER, OTHER]));
    assert_eq!(code(&world.open(id, 7).await), ErrorCode::NotLeaderOrFollower);
}
