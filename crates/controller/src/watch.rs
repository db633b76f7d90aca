//! Streaming the metadata: a snapshot if need be, then every entry as it is committed.

use std::time::Duration;

use bytes::Bytes;
use levada_metadata::Image;
use levada_proto::internal as pb;
use levada_proto::internal::watch_metadata_response::Kind;
use levada_types::MetadataOffset;
use tokio::sync::mpsc;
use tonic::Status;

use crate::feed::Next;
use crate::raft::{CHUNK_BYTES, chunks, header};
use crate::service::Context;

/// How long a watcher that is ahead of this controller is kept waiting: a controller that has just started may have yet
/// to apply what it has in its log.
const AHEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a stream may be quiet before the watcher is told that all is well.
const IDLE: Duration = Duration::from_millis(500);

/// How often a controller may be found cut off from the quorum before it sends its watchers elsewhere: long enough for an
/// election.
const CUT_OFF_LIMIT: u32 = 6;

/// The other end of the stream.
pub(crate) type Outbox = mpsc::Sender<Result<pb::WatchMetadataResponse, Status>>;

/// Serves one watcher that has applied everything up to `from`, until it goes or this controller stops.
pub(crate) async fn serve(context: Context, from: MetadataOffset, outbox: Outbox) {
    let watcher = Watcher { context: &context, at: from, outbox: &outbox };
    let result = tokio::select! {
        result = watcher.run() => result,
        () = outbox.closed() => return,
        () = context.shutdown.cancelled() => Err(Status::unavailable("this controller is shutting down")),
    };
    if let Err(status) = result {
        // The watcher may be the one that has gone.
        let _ = outbox.send(Err(status)).await;
    }
}

struct Watcher<'a> {
    context: &'a Context,
    at: MetadataOffset,
    outbox: &'a Outbox,
}

impl Watcher<'_> {
    async fn run(mut self) -> Result<(), Status> {
        let mut offset = self.context.feed.offset();
        let from = self.at;
        let reached = tokio::time::timeout(AHEAD_TIMEOUT, offset.wait_for(|offset| *offset >= from)).await.is_ok();
        if !reached {
            let newest = *offset.borrow();
            return Err(Status::out_of_range(format!(
                "metadata offset {from} was asked for, and this controller has come to {newest}"
            )));
        }
        self.send(Kind::Progress(pb::Progress { offset: from.0 })).await?;
        let mut cut_off = 0;
        loop {
            while let Some(next) = self.context.feed.next(self.at) {
                match next {
                    Next::Snapshot(image) => self.snapshot(&image).await?,
                    Next::Entries { entries, upto } => self.entries(entries, upto).await?,
                }
            }
            let at = self.at;
            let waited = tokio::time::timeout(IDLE, offset.wait_for(|offset| *offset > at)).await;
            match waited.map(|reached| reached.is_ok()) {
                Ok(true) => cut_off = 0,
                Ok(false) => return Err(Status::unavailable("this controller has stopped")),
                Err(_) => {
                    cut_off = if self.is_cut_off().await { cut_off + 1 } else { 0 };
                    if cut_off >= CUT_OFF_LIMIT {
                        return Err(Status::unavailable("this controller has lost the quorum"));
                    }
                    self.send(Kind::Progress(pb::Progress { offset: at.0 })).await?;
                }
            }
        }
    }

    /// Whether this controller may miss what is committed: it knows no leader, or leads and nobody confirms it.
    async fn is_cut_off(&self) -> bool {
        let (leads, knows_leader) = {
            let state = self.context.active.state();
            let state = state.borrow();
            (state.leads, state.leader.is_some())
        };
        if leads { !self.context.raft.is_confirmed_leader().await } else { !knows_leader }
    }

    async fn snapshot(&mut self, image: &Image) -> Result<(), Status> {
        self.send(Kind::SnapshotBegin(header(image))).await?;
        for chunk in chunks(image) {
            self.send(Kind::SnapshotChunk(chunk)).await?;
        }
        self.at = image.offset();
        self.send(Kind::SnapshotEnd(pb::SnapshotEnd {})).await
    }

    async fn entries(&mut self, entries: Vec<(MetadataOffset, Bytes)>, upto: MetadataOffset) -> Result<(), Status> {
        for (offset, mut data) in entries {
            while data.len() > CHUNK_BYTES {
                let part = data.split_to(CHUNK_BYTES);
                self.send(Kind::EntryPart(pb::EntryPart { offset: offset.0, data: part, last: false })).await?;
            }
            self.send(Kind::EntryPart(pb::EntryPart { offset: offset.0, data, last: true })).await?;
            self.at = offset;
        }
        if self.at < upto {
            self.at = upto;
            self.send(Kind::Progress(pb::Progress { offset: upto.0 })).await?;
        }
        Ok(())
    }

    async fn send(&self, kind: Kind) -> Result<(), Status> {
        let sent = self.outbox.send(Ok(pb::WatchMetadataResponse { kind: Some(kind) })).await;
        sent.map_err(|_| Status::cancelled("the watcher has gone"))
    }
}
