//! A member of a group over gRPC, written by hand: it says what the test tells it to say.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use levada_end_to_end::{Outcome, fail};
use levada_proto::v1::{
    self, consumer_client::ConsumerClient, subscribe_request::Kind as Say, subscribe_response::Kind as Hear,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc::{UnboundedSender, unbounded_channel},
};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Status, Streaming, transport::Channel};

/// How long a look for a message takes, after which another member has its turn.
const TURN: Duration = Duration::from_millis(10);

/// A member and its stream.
pub(super) struct Subscriber {
    runtime: Runtime,
    say: UnboundedSender<v1::SubscribeRequest>,
    hear: Streaming<v1::SubscribeResponse>,
    /// How the stream has ended.
    pub(super) ended: Option<Result<(), Status>>,
    pub(super) joined: Option<v1::SubscriptionJoined>,
    /// What it owns, by partition, with the next record that it is to get, if any has come.
    pub(super) owned: BTreeMap<i32, Option<i64>>,
    topic_id: String,
    /// The offsets of the records that it has processed.
    pub(super) processed: BTreeSet<(i32, i64)>,
    /// Revocations, and answers to commits, as they came.
    pub(super) revoked: Vec<v1::SubscriptionRevoke>,
    pub(super) committed: Vec<v1::SubscriptionCommitted>,
    pub(super) left: Option<v1::SubscriptionLeft>,
}

/// A member of `group` that reads `topic` from its beginning.
pub(super) fn join(group: &str, topic: &str) -> v1::JoinSubscription {
    v1::JoinSubscription {
        group_id: group.to_owned(),
        topics: vec![topic.to_owned()],
        client_id: "levada-end-to-end".to_owned(),
        auto_offset_reset: v1::OffsetPosition::Earliest.into(),
        auto_commit_interval_ms: 50,
        max_unprocessed_records: 10,
        max_response_bytes: 2_000,
        ..Default::default()
    }
}

impl Subscriber {
    /// Opens a stream at a broker and sends `join`.
    pub(super) fn open(broker: SocketAddr, join: v1::JoinSubscription) -> Outcome<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (say, said) = unbounded_channel();
        say.send(v1::SubscribeRequest { kind: Some(Say::Join(join)) })?;
        let hear = runtime.block_on(async {
            let channel = Channel::from_shared(format!("http://{broker}"))?.connect().await?;
            let answer = ConsumerClient::new(channel).subscribe(UnboundedReceiverStream::new(said)).await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer.into_inner())
        });
        Ok(Self {
            runtime,
            say,
            hear: hear?,
            ended: None,
            joined: None,
            owned: BTreeMap::new(),
            topic_id: String::new(),
            processed: BTreeSet::new(),
            revoked: Vec::new(),
            committed: Vec::new(),
            left: None,
        })
    }

    pub(super) fn say(&self, kind: Say) {
        // A stream that has ended tells how.
        let _ = self.say.send(v1::SubscribeRequest { kind: Some(kind) });
    }

    /// Listens for a moment. What comes is processed at once, but for `unprocessed` records of each response; what is
    /// revoked is given up if `gives_up`.
    pub(super) fn turn(&mut self, unprocessed: usize, gives_up: bool) -> Outcome {
        if self.ended.is_some() {
            return Ok(());
        }
        let hear = &mut self.hear;
        let heard = self.runtime.block_on(async { tokio::time::timeout(TURN, hear.message()).await });
        match heard {
            Err(_) => Ok(()),
            Ok(Err(status)) => {
                self.ended = Some(Err(status));
                Ok(())
            }
            Ok(Ok(None)) => {
                self.ended = Some(Ok(()));
                Ok(())
            }
            Ok(Ok(Some(response))) => self.heard(response.kind, unprocessed, gives_up),
        }
    }

    fn heard(&mut self, kind: Option<Hear>, unprocessed: usize, gives_up: bool) -> Outcome {
        match kind {
            Some(Hear::Joined(joined)) => self.joined = Some(joined),
            Some(Hear::Epoch(epoch)) => {
                if let Some(joined) = &mut self.joined {
                    joined.member_epoch = epoch.member_epoch;
                }
            }
            Some(Hear::Assigned(assigned)) => {
                for topic in assigned.partitions {
                    self.topic_id = topic.topic_id;
                    self.owned.extend(topic.partitions.into_iter().map(|partition| (partition, None)));
                }
            }
            Some(Hear::Revoke(revoke)) => {
                self.revoked.push(revoke.clone());
                if gives_up {
                    self.drop_owned(&revoke.partitions);
                    self.say(Say::RevocationDone(v1::RevocationDone { number: revoke.number }));
                }
            }
            Some(Hear::Lost(lost)) => self.drop_owned(&lost.partitions),
            Some(Hear::Records(records)) => self.process(records, unprocessed)?,
            Some(Hear::Committed(committed)) => self.committed.push(committed),
            Some(Hear::Left(left)) => self.left = Some(left),
            Some(Hear::Sought(_)) | None => {}
        }
        Ok(())
    }

    fn drop_owned(&mut self, topics: &[v1::TopicPartitions]) {
        for partition in topics.iter().flat_map(|topic| &topic.partitions) {
            self.owned.remove(partition);
        }
    }

    fn process(&mut self, records: v1::SubscriptionRecords, unprocessed: usize) -> Outcome {
        let partition = records.partition;
        let Some(due) = self.owned.get_mut(&partition) else {
            return fail(format!("records of partition {partition} came, which is not owned"));
        };
        for record in &records.records {
            if due.is_some_and(|due| due != record.offset) {
                return fail(format!("partition {partition}: offset {} came where {due:?} was due", record.offset));
            }
            *due = Some(record.offset + 1);
        }
        let count = records.records.len().saturating_sub(unprocessed);
        let processed: Vec<i64> = records.records.iter().take(count).map(|record| record.offset).collect();
        if let Some(last) = processed.last() {
            let (topic_id, next_offset) = (records.topic_id, last + 1);
            self.say(Say::Processed(v1::ProcessedRecords { topic_id, partition, next_offset }));
        }
        self.processed.extend(processed.into_iter().map(|offset| (partition, offset)));
        Ok(())
    }

    /// What the client still has, to go on with on another stream.
    pub(super) fn resumption(&self, join: v1::JoinSubscription) -> v1::JoinSubscription {
        let joined = self.joined.clone().unwrap_or_default();
        let held = self.owned.iter().map(|(&partition, next_offset)| v1::HeldPartition {
            topic_id: self.topic_id.clone(),
            partition,
            next_offset: *next_offset,
            processed_offset: *next_offset,
        });
        v1::JoinSubscription {
            member_id: joined.member_id,
            member_epoch: joined.member_epoch,
            stream_number: joined.stream_number,
            held: held.collect(),
            ..join
        }
    }
}
