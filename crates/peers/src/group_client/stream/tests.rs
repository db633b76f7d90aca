//! What leaves on a stream, and what becomes of it.

use futures::{FutureExt, StreamExt};
use tokio::sync::Semaphore;

use super::*;
use crate::parcels::PACK_BYTES;

/// A stream, the side of it that sends, and places for requests.
struct World {
    stream: Arc<GroupStream>,
    sending: Sending,
    room: Arc<Semaphore>,
}

const ROOM: usize = 10;

impl World {
    fn new() -> Self {
        let stream = Arc::new(GroupStream::default());
        Self { sending: Sending(Arc::clone(&stream)), stream, room: Arc::new(Semaphore::new(ROOM)) }
    }

    fn ask(&self, len: usize) -> Asked {
        let room = Arc::clone(&self.room).try_acquire_owned().unwrap();
        self.stream.ask(&Bytes::from(vec![7; len]), room).unwrap()
    }

    /// The numbers that are abandoned and those of the parcels in the next message, if there is one.
    fn next(&mut self) -> Option<(Vec<u64>, Vec<u64>)> {
        // It lets others go first, once.
        let message = self.sending.next().now_or_never().or_else(|| self.sending.next().now_or_never())?.unwrap();
        Some((message.abandoned, message.requests.iter().map(|parcel| parcel.number).collect()))
    }

    fn end(&self) {
        let lost = |lost: fn(String) -> Lost| lost("over".to_owned());
        self.stream.end(&lost(Lost::Unknown), &lost(Lost::NotDone));
    }
}

fn outcome(mut asked: Asked) -> Option<Lost> {
    asked.answer().now_or_never().map(|answer| answer.unwrap_err())
}

#[test]
fn nothing_is_sent_before_the_coordinator_takes_the_stream_and_then_all_that_waits_leaves_at_once() {
    let mut world = World::new();
    let waiting = [world.ask(10), world.ask(20)];
    assert_eq!(world.next(), None);
    world.stream.open();
    assert_eq!(world.next(), Some((vec![], vec![0, 1])));
    assert_eq!(world.next(), None);
    drop(waiting);
}

#[test]
fn what_was_sent_is_lost_in_another_way_than_what_was_not() {
    let mut world = World::new();
    world.stream.open();
    let sent = world.ask(10);
    // Of a request in parts all have to be sent.
    let begun = world.ask(PACK_BYTES + 1);
    assert_eq!(world.next(), Some((vec![], vec![0, 1])));
    let queued = world.ask(10);
    assert_eq!(sent.given_up("late"), Lost::Unknown("late".to_owned()));
    for asked in [&begun, &queued] {
        assert_eq!(asked.given_up("late"), Lost::NotDone("late".to_owned()));
    }
    world.end();
    assert_eq!(outcome(sent), Some(Lost::Unknown("over".to_owned())));
    for asked in [begun, queued] {
        assert_eq!(outcome(asked), Some(Lost::NotDone("over".to_owned())));
    }
    assert!(world.sending.next().now_or_never().unwrap().is_none());
    let room = Arc::clone(&world.room).try_acquire_owned().unwrap();
    assert!(world.stream.ask(&Bytes::new(), room).is_err(), "nothing is asked on it any more");
    assert_eq!(world.room.available_permits(), ROOM);
}

#[test]
fn a_request_has_its_place_until_it_is_sent() {
    let mut world = World::new();
    world.stream.open();
    let waiting = [world.ask(10), world.ask(2 * PACK_BYTES)];
    assert_eq!(world.room.available_permits(), ROOM - 2);
    world.next();
    assert_eq!(world.room.available_permits(), ROOM - 1);
    world.next();
    assert_eq!(world.room.available_permits(), ROOM);
    drop(waiting);
}

#[test]
fn what_is_abandoned_is_not_sent_and_what_was_sent_is_taken_back() {
    let mut world = World::new();
    world.stream.open();
    let (sent, begun) = (world.ask(10), world.ask(2 * PACK_BYTES));
    world.next();
    let (unsent, last) = (world.ask(10), world.ask(10));
    drop((sent, begun, unsent));
    assert_eq!(world.next(), Some((vec![1, 0], vec![last.number])));
    assert_eq!(world.next(), None);
    assert_eq!(world.room.available_permits(), ROOM);
}

#[test]
fn more_numbers_than_a_message_takes_are_told_in_several() {
    let mut world = World::new();
    world.stream.open();
    let sent: Vec<Asked> = (0..MAX_ABANDONED + 1)
        .map(|_| {
            let asked = world.ask(1);
            world.next();
            asked
        })
        .collect();
    drop(sent);
    let told: Vec<usize> = (0..2).filter_map(|_| world.next()).map(|(abandoned, _)| abandoned.len()).collect();
    assert_eq!(told, [MAX_ABANDONED, 1]);
}

#[tokio::test]
async fn what_is_asked_wakes_the_side_that_sends() {
    let World { stream, mut sending, room } = World::new();
    stream.open();
    let sender = tokio::spawn(async move { sending.next().await });
    tokio::task::yield_now().await;
    let asked = stream.ask(&Bytes::new(), room.try_acquire_owned().unwrap()).unwrap();
    assert_eq!(sender.await.unwrap().unwrap().requests.len(), 1);
    drop(asked);
}
