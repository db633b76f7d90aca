//! How many bytes of frames may wait for the log threads of a directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use levada_types::DirectoryId;

use crate::threads::{InFlight, Share};

/// Bytes of frames of one kind of stream that may wait for the log threads of one directory.
const QUEUED_BYTES: usize = 64 << 20;

/// How long a stream waits for room: longer than a disk that works takes for what is queued, and short enough for the
/// other directories, for which the stream brings nothing meanwhile.
const PATIENCE: Duration = Duration::from_millis(500);

/// The bounds on what one kind of stream may bring, those of all leaders together, for each directory. A slow disk slows
/// the streams down. One that is stuck does not stop them: what comes for it is dropped until it has made room.
#[derive(Default)]
pub(super) struct Rooms(DashMap<DirectoryId, Arc<Room>>);

/// The bound of one directory.
pub(super) struct Room {
    queued: Arc<InFlight>,
    /// Waiting was in vain the last time.
    stuck: AtomicBool,
}

impl Rooms {
    /// That of a directory.
    pub(super) fn of(&self, directory: DirectoryId) -> Arc<Room> {
        if let Some(room) = self.0.get(&directory) {
            return Arc::clone(&room);
        }
        Arc::clone(&self.0.entry(directory).or_insert_with(|| Room::new(QUEUED_BYTES)))
    }
}

impl Room {
    fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { queued: InFlight::new(limit), stuck: AtomicBool::new(false) })
    }

    /// Room for so many bytes until the share is dropped, waiting a little if there is none; `None` if there still is none.
    pub(super) async fn take(&self, bytes: usize) -> Option<Share> {
        self.take_within(bytes, PATIENCE).await
    }

    async fn take_within(&self, bytes: usize, patience: Duration) -> Option<Share> {
        if self.queued.has_room() {
            self.stuck.store(false, Ordering::Relaxed);
        } else if self.stuck.load(Ordering::Relaxed) {
            return None;
        } else if tokio::time::timeout(patience, self.queued.room()).await.is_err() {
            self.stuck.store(true, Ordering::Relaxed);
            return None;
        }
        Some(self.queued.take(bytes))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_directory_that_is_stuck_is_waited_for_once() {
        let room = Room::new(100);
        let first = room.take(150).await;
        assert!(first.is_some());
        assert!(room.take_within(10, Duration::ZERO).await.is_none(), "waited in vain");
        let at_once = room.take(10).now_or_never();
        assert!(at_once.is_some_and(|share| share.is_none()), "nobody waits for it again");
        drop(first);
        assert!(room.take(10).now_or_never().is_some_and(|share| share.is_some()));
    }

    #[tokio::test]
    async fn a_slow_directory_is_waited_for() {
        let room = Room::new(100);
        let first = room.take(150).await;
        let mut second = Box::pin(room.take_within(10, Duration::from_secs(3_600)));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        assert!(second.await.is_some());
    }

    #[tokio::test]
    async fn directories_have_room_of_their_own() {
        let rooms = Rooms::default();
        let directory = |number| DirectoryId(uuid::Uuid::from_u128(number));
        let all = rooms.of(directory(1)).take(QUEUED_BYTES).await;
        assert!(all.is_some());
        assert!(rooms.of(directory(1)).take_within(1, Duration::ZERO).await.is_none());
        assert!(rooms.of(directory(2)).take_within(1, Duration::ZERO).await.is_some());
    }
}
