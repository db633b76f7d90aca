//! One attempt of a shard at the leader of its partition: an append session, and reading what is committed.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use levada_proto::internal as pb;
use levada_shard::AppendSession;
use levada_types::{BrokerId, LeaderEpoch, MetadataOffset, Offset, TopicIdPartition};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use super::Stub;
use super::heard::{Heard, What, read_opened, read_outcome};
use crate::loads::Turn;

/// Messages that may wait to be sent: more than a shard has appends under way.
const OUTBOX: usize = 32;

/// How often a shard that waits for its turn to load is told so: less than it waits for a leader.
const WORD_OF_WAITING: Duration = Duration::from_secs(5);

/// One attempt. Dropping it ends its streams; what was sent may arrive yet.
#[derive(Debug)]
pub(crate) struct Link {
    attempt: u64,
    leader: BrokerId,
    shard: pb::ShardRef,
    /// The session, once it is open.
    pub(crate) session: Option<AppendSession>,
    reads: Stub,
    heard: mpsc::Sender<Heard>,
    appends: mpsc::Sender<pb::ShardAppendRequest>,
    tasks: Vec<AbortOnDropHandle<()>>,
}

impl Link {
    /// Opens an append session. Whatever comes of it is heard at `heard`.
    pub(crate) fn open(
        (appends, reads): (Stub, Stub),
        leader: BrokerId,
        (partition, epoch, known_at): (TopicIdPartition, LeaderEpoch, MetadataOffset),
        attempt: u64,
        heard: &mpsc::Sender<Heard>,
    ) -> Self {
        let shard = shard_ref(partition, epoch);
        let (outbox, requests) = mpsc::channel(OUTBOX);
        let open = pb::ShardOpen { shard: Some(shard.clone()), metadata_offset: known_at.0 };
        let mut link = Self::idle(reads, leader, shard, attempt, outbox, heard);
        link.send(pb::shard_append_request::Kind::Open(open));
        let heard = heard.clone();
        link.attend(async move { follow_appends(appends, requests, attempt, heard).await });
        link
    }

    /// Reads what is committed from an offset on, as it comes, without a session. What is read is heard at `heard`.
    pub(crate) fn follow(
        reads: Stub,
        leader: BrokerId,
        (partition, epoch): (TopicIdPartition, LeaderEpoch),
        attempt: u64,
        from: Offset,
        heard: &mpsc::Sender<Heard>,
    ) -> Self {
        // Nobody takes appends from it, and none is made.
        let (outbox, _) = mpsc::channel(1);
        let mut link = Self::idle(reads, leader, shard_ref(partition, epoch), attempt, outbox, heard);
        let request = pb::ShardReadRequest { shard: Some(link.shard.clone()), from, to: 0, follow: true };
        link.read_with(request, std::future::ready(Turn::of_nobody()));
        link
    }

    fn idle(
        reads: Stub,
        leader: BrokerId,
        shard: pb::ShardRef,
        attempt: u64,
        appends: mpsc::Sender<pb::ShardAppendRequest>,
        heard: &mpsc::Sender<Heard>,
    ) -> Self {
        let (session, tasks, heard) = (None, Vec::new(), heard.clone());
        Self { attempt, leader, shard, session, reads, heard, appends, tasks }
    }

    /// The number of the attempt.
    pub(crate) fn attempt(&self) -> u64 {
        self.attempt
    }

    /// Where the session is, once it is open.
    pub(crate) fn session(&self) -> Option<(BrokerId, pb::ShardSession)> {
        let session = pb::ShardSession { shard: Some(self.shard.clone()), session: self.session?.0 };
        Some((self.leader, session))
    }

    /// Appends a batch behind those before it. Appends of an attempt are numbered from 0 on, and so are their answers.
    pub(crate) fn append(&self, expected_offset: Offset, records: Bytes) {
        self.send(pb::shard_append_request::Kind::Append(pb::ShardAppend { expected_offset, records }));
    }

    /// Reads what is committed, once it has its turn.
    pub(crate) fn read(&mut self, from: Offset, to: Offset, turn: impl Future<Output = Turn> + Send + 'static) {
        self.read_with(pb::ShardReadRequest { shard: Some(self.shard.clone()), from, to, follow: false }, turn);
    }

    fn read_with(&mut self, request: pb::ShardReadRequest, turn: impl Future<Output = Turn> + Send + 'static) {
        let (stub, attempt, heard) = (self.reads.clone(), self.attempt, self.heard.clone());
        self.attend(async move { follow_read(stub, request, attempt, heard, turn).await });
    }

    /// Runs a task of this attempt, whose failure is the end of it.
    fn attend(&mut self, task: impl Future<Output = Result<(), Status>> + Send + 'static) {
        let (attempt, heard, shard) = (self.attempt, self.heard.clone(), self.shard.partition);
        self.tasks.push(AbortOnDropHandle::new(tokio::spawn(async move {
            if let Err(status) = task.await {
                tracing::debug!(shard, reason = status.message(), "a stream to the leader of a shard has ended");
                // The shard itself is gone if nobody hears it.
                drop(heard.send(Heard::lost(attempt)).await);
            }
        })));
    }

    fn send(&self, kind: pb::shard_append_request::Kind) {
        // No place means that the stream has ended, which is heard anyway, or that more is under way than can be.
        if self.appends.try_send(pb::ShardAppendRequest { kind: Some(kind) }).is_err() {
            drop(self.heard.try_send(Heard::lost(self.attempt)));
        }
    }
}

fn shard_ref(partition: TopicIdPartition, epoch: LeaderEpoch) -> pb::ShardRef {
    let topic_id = partition.topic_id.0.as_bytes().to_vec().into();
    pb::ShardRef { topic_id, partition: partition.partition, leader_epoch: epoch.0 }
}

async fn follow_appends(
    mut stub: Stub,
    requests: mpsc::Receiver<pb::ShardAppendRequest>,
    attempt: u64,
    heard: mpsc::Sender<Heard>,
) -> Result<(), Status> {
    use pb::shard_append_response::Kind;
    let mut answers = stub.append(ReceiverStream::new(requests)).await?.into_inner();
    let mut answered = 0;
    while let Some(answer) = answers.message().await? {
        let what = match answer.kind {
            Some(Kind::Opened(opened)) => What::Opened(read_opened(&opened)),
            Some(Kind::Appended(appended)) => {
                let number = answered;
                answered += 1;
                What::Outcome { number, outcome: read_outcome(&appended) }
            }
            None => return Err(Status::internal("an answer without a word")),
        };
        if heard.send(Heard { attempt, what }).await.is_err() {
            return Ok(());
        }
    }
    Err(Status::aborted("the leader has ended the session"))
}

async fn follow_read(
    mut stub: Stub,
    request: pb::ShardReadRequest,
    attempt: u64,
    heard: mpsc::Sender<Heard>,
    turn: impl Future<Output = Turn>,
) -> Result<(), Status> {
    let mut turn = pin!(turn);
    let _turn = loop {
        match tokio::time::timeout(WORD_OF_WAITING, turn.as_mut()).await {
            Ok(turn) => break turn,
            // It is not the leader that keeps the shard waiting.
            Err(_) => drop(heard.send(Heard { attempt, what: What::Read(Bytes::new()) }).await),
        }
    };
    let mut pieces = stub.read(request).await?.into_inner();
    while let Some(piece) = pieces.message().await? {
        if heard.send(Heard { attempt, what: What::Read(piece.records) }).await.is_err() {
            return Ok(());
        }
    }
    drop(heard.send(Heard { attempt, what: What::ReadEnded }).await);
    Ok(())
}

#[cfg(test)]
mod tests;
