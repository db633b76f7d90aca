//! The image follows the stream, across streams, and never moves back.

use std::time::Duration;

use levada_metadata::{ConfigResource, Delta, Entry, RunPosition, State};
use levada_peers::MetadataWatch;
use levada_proto::internal::watch_metadata_response::Kind;
use levada_proto::internal::{self, WatchMetadataResponse};
use levada_service::net::Network;
use levada_service::shutdown::CancellationToken;
use levada_types::MetadataOffset;
use prost::Message;
use tokio::task::JoinHandle;

use crate::script::{Handle, Watch, controller, way_to};

const LONG: Duration = Duration::from_secs(60);

struct Follower {
    handle: Handle,
    watch: MetadataWatch,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

async fn follower() -> Follower {
    let network = Network::new();
    let handle = controller(&network, "c-1").await;
    let shutdown = CancellationToken::new();
    let (watch, task) = MetadataWatch::start(way_to(&network, &["c-1"]), shutdown.clone());
    Follower { handle, watch, shutdown, task }
}

impl Follower {
    async fn reached(&self, offset: u64) -> State {
        self.watch.wait_for(MetadataOffset(offset), LONG).await.unwrap().state().clone()
    }
}

/// A change that leaves a trace: the setting `name` of all brokers is `value`.
fn setting(name: &str, value: &str) -> Delta {
    let (name, value) = (name.to_owned(), Some(value.to_owned()));
    Delta::ConfigSet { resource: ConfigResource::DefaultBroker, name, value }
}

fn value_of(state: &State, name: &str) -> Option<String> {
    state.overrides(ConfigResource::DefaultBroker)?.get(name).cloned()
}

impl Watch {
    fn send(&self, kind: Kind) {
        self.pieces.send(Ok(WatchMetadataResponse { kind: Some(kind) })).unwrap();
    }

    fn entry(&self, offset: u64, entry: &Entry, piece_bytes: usize) {
        let bytes = internal::Entry::from(entry).encode_to_vec();
        let last = bytes.len().div_ceil(piece_bytes).max(1) - 1;
        for (number, data) in bytes.chunks(piece_bytes).enumerate() {
            let data = data.to_vec().into();
            self.send(Kind::EntryPart(internal::EntryPart { offset, data, last: number == last }));
        }
    }

    fn snapshot(&self, offset: u64, next: RunPosition, deltas: &[Delta]) {
        let next_position = Some(next.into());
        self.send(Kind::SnapshotBegin(internal::SnapshotHeader { version: 1, offset, next_position }));
        for delta in deltas {
            self.send(Kind::SnapshotChunk(internal::SnapshotChunk { deltas: vec![delta.into()] }));
        }
        self.send(Kind::SnapshotEnd(internal::SnapshotEnd {}));
    }
}

#[tokio::test]
async fn entries_whole_or_in_parts_and_progress_move_the_image() {
    let mut follower = follower().await;
    assert_eq!(follower.watch.image().offset(), MetadataOffset(0));
    let stream = follower.handle.watches.recv().await.unwrap();
    assert_eq!(stream.from_offset, 0);
    stream.entry(3, &Entry::Barrier, 1 << 20);
    let position = RunPosition { barrier: 3, number: 0 };
    stream.entry(4, &Entry::Deltas { position, deltas: vec![setting("log.retention.ms", "5")] }, 3);
    stream.send(Kind::Progress(internal::Progress { offset: 9 }));
    let state = follower.reached(9).await;
    assert_eq!(value_of(&state, "log.retention.ms").as_deref(), Some("5"));
    assert_eq!(*follower.watch.offsets().borrow(), MetadataOffset(9));

    let stale = follower.watch.wait_for(MetadataOffset(10), Duration::ZERO).await.unwrap_err();
    assert_eq!((stale.wanted, stale.have), (MetadataOffset(10), MetadataOffset(9)));
    follower.shutdown.cancel();
    follower.task.await.unwrap();
}

#[tokio::test]
async fn a_broken_stream_is_followed_by_one_from_where_the_image_stands() {
    let mut follower = follower().await;
    let stream = follower.handle.watches.recv().await.unwrap();
    stream.snapshot(7, RunPosition { barrier: 2, number: 5 }, &[setting("a", "1"), setting("b", "2")]);
    assert_eq!(value_of(&follower.reached(7).await, "b").as_deref(), Some("2"));
    drop(stream);

    let stream = follower.handle.watches.recv().await.unwrap();
    assert_eq!(stream.from_offset, 7);
    let position = RunPosition { barrier: 2, number: 5 };
    stream.entry(8, &Entry::Deltas { position, deltas: vec![setting("a", "3")] }, 1 << 20);
    assert_eq!(value_of(&follower.reached(8).await, "a").as_deref(), Some("3"));
}

#[tokio::test]
async fn the_image_never_moves_back() {
    let mut follower = follower().await;
    let stream = follower.handle.watches.recv().await.unwrap();
    stream.snapshot(7, RunPosition { barrier: 2, number: 5 }, &[setting("a", "new")]);
    stream.snapshot(5, RunPosition { barrier: 2, number: 3 }, &[setting("a", "old")]);
    let old = Entry::Deltas { position: RunPosition { barrier: 2, number: 4 }, deltas: vec![setting("a", "old")] };
    stream.entry(6, &old, 1 << 20);
    stream.send(Kind::Progress(internal::Progress { offset: 4 }));
    stream.send(Kind::Progress(internal::Progress { offset: 8 }));
    let state = follower.reached(8).await;
    assert_eq!(value_of(&state, "a").as_deref(), Some("new"));
}

#[tokio::test]
async fn a_snapshot_that_is_not_complete_has_no_effect() {
    let mut follower = follower().await;
    let stream = follower.handle.watches.recv().await.unwrap();
    let next_position = Some(RunPosition { barrier: 2, number: 5 }.into());
    stream.send(Kind::SnapshotBegin(internal::SnapshotHeader { version: 1, offset: 7, next_position }));
    stream.send(Kind::SnapshotChunk(internal::SnapshotChunk { deltas: vec![(&setting("a", "half")).into()] }));
    drop(stream);
    let stream = follower.handle.watches.recv().await.unwrap();
    assert_eq!(stream.from_offset, 0);
    assert_eq!(follower.watch.image().offset(), MetadataOffset(0));
}

#[tokio::test]
async fn what_this_version_does_not_know_stops_it_and_is_never_skipped() {
    let mut follower = follower().await;
    let stream = follower.handle.watches.recv().await.unwrap();
    stream.send(Kind::SnapshotBegin(internal::SnapshotHeader { version: 2, offset: 7, next_position: None }));
    let failure = follower.watch.failed().await;
    assert!(failure.to_string().contains('2'), "{failure}");
    follower.task.await.unwrap();
    assert_eq!(follower.watch.image().offset(), MetadataOffset(0));
}

#[tokio::test]
async fn a_piece_of_an_unknown_kind_stops_it_too() {
    let mut follower = follower().await;
    let stream = follower.handle.watches.recv().await.unwrap();
    stream.pieces.send(Ok(WatchMetadataResponse { kind: None })).unwrap();
    follower.watch.failed().await;
}
