//! What the broker says.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use levada_proto::v1;
use levada_proto::v1::subscribe_response::Kind;
use levada_types::{Offset, TopicId, TopicName, TopicPartition};

use super::buffer::Chunk;
use super::held::{Held, Key, Standing};
use super::news::{Change, Revocation};
use super::{Identity, Leaving, Ledger};
use crate::{ClientError, ConsumedHeader, ConsumedRecord};

/// What matters to whoever reads the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Heard {
    /// Nothing in particular.
    Something,
    /// The stream is joined.
    Joined,
    /// The member has left, as it wanted.
    Left,
    /// The member was taken out of the group and told so.
    TakenOut,
}

/// How much of records that wait is taken beyond what may be buffered, while somebody waits for an answer behind them. What is
/// read at one time comes whole, of all partitions and however many records it is; a broker that keeps to its word sends far
/// less than this.
const MOST_BEYOND: usize = 256 << 20;

impl Ledger {
    /// Takes in what the broker at `address` said.
    pub(in super::super) fn hear(
        &mut self,
        address: &str,
        message: v1::SubscribeResponse,
    ) -> Result<Heard, ClientError> {
        let protocol = |reason: String| ClientError::Protocol { address: address.to_owned(), reason };
        // A kind that this client does not know is for later ones.
        let Some(kind) = message.kind else { return Ok(Heard::Something) };
        if !self.joined && !matches!(kind, Kind::Joined(_) | Kind::Lost(_) | Kind::Left(_)) {
            return Err(protocol("something before `joined`".to_owned()));
        }
        self.dirty = true;
        match kind {
            Kind::Joined(joined) => {
                self.hear_joined(joined);
                return Ok(Heard::Joined);
            }
            Kind::Assigned(assigned) => self.hear_assigned(read(assigned.partitions).map_err(protocol)?),
            Kind::Revoke(revoke) => {
                self.hear_revoke(revoke.number, &read(revoke.partitions).map_err(protocol)?);
            }
            Kind::Lost(lost) => {
                let lost = read(lost.partitions).map_err(protocol)?;
                self.lose(lost.into_iter().map(|(key, _)| key).collect());
            }
            Kind::Records(records) => self.hear_records(records).map_err(protocol)?,
            Kind::Committed(committed) => {
                if let Some(commit) = self.commits.remove(&committed.request_id) {
                    commit.answer(committed.results);
                }
            }
            Kind::Epoch(epoch) => {
                if let Some(identity) = &mut self.identity {
                    identity.member_epoch = epoch.member_epoch;
                }
            }
            Kind::Sought(sought) => self.hear_sought(sought),
            Kind::Left(_) => {
                if self.leaving == Leaving::No {
                    self.lose_all();
                    return Ok(Heard::TakenOut);
                }
                self.leaving = Leaving::Left;
                return Ok(Heard::Left);
            }
        }
        Ok(Heard::Something)
    }

    fn hear_joined(&mut self, joined: v1::SubscriptionJoined) {
        if self.identity.as_ref().is_some_and(|identity| identity.member_id != joined.member_id) {
            self.lose_all();
        }
        self.identity = Some(Identity {
            member_id: joined.member_id,
            member_epoch: joined.member_epoch,
            stream_number: joined.stream_number,
        });
        self.joined = true;
        self.trouble = None;
    }

    fn hear_assigned(&mut self, partitions: Vec<(Key, TopicPartition)>) {
        let mut news = Vec::new();
        for (key, name) in partitions {
            match self.partitions.get_mut(&key) {
                Some(held) => {
                    held.confirmed = true;
                    // What was to be given up on a stream that broke is the member's after all.
                    if held.standing != Standing::Owned {
                        held.standing = Standing::Owned;
                        news.push((key, name));
                    }
                }
                None => {
                    self.partitions.insert(key, Held::new(name.clone()));
                    news.push((key, name));
                }
            }
        }
        self.tell(Change::Assigned, news);
    }

    fn hear_revoke(&mut self, number: u64, partitions: &[(Key, TopicPartition)]) {
        let (mut news, mut keys) = (Vec::new(), Vec::new());
        for (key, name) in partitions {
            let Some(held) = self.partitions.get_mut(key) else { continue };
            held.confirmed = true;
            keys.push(*key);
            if held.standing == Standing::Owned {
                held.stop(Standing::Revoking);
                news.push((*key, name.clone()));
                self.buffer.drop_all_of(*key);
            }
        }
        self.revocations.push(Revocation { number, keys });
        self.tell(Change::Revoked, news);
    }

    fn hear_records(&mut self, message: v1::SubscriptionRecords) -> Result<(), String> {
        let key = key(&message.topic_id, message.partition)?;
        let Some(held) = self.partitions.get_mut(&key) else { return Ok(()) };
        // What was under way when the partition was revoked, or sought in, is of the past.
        if held.standing != Standing::Owned || held.seek.is_some() {
            return Ok(());
        }
        if self.buffer.bytes() > self.max_bytes.saturating_add(MOST_BEYOND) {
            return Err(format!("records go on coming although {} bytes of them wait", self.buffer.bytes()));
        }
        let mut from = held.received.unwrap_or(Offset::MIN);
        let mut chunk = Chunk { key, records: VecDeque::new(), next_offset: message.next_offset };
        let topic = Arc::from(held.name.topic.as_str());
        for record in message.records {
            if record.offset >= message.next_offset {
                return Err(format!("offset {} before next_offset {}", record.offset, message.next_offset));
            }
            if record.offset >= from {
                from = record.offset.saturating_add(1);
                chunk.records.push_back(consumed(&topic, key.partition, record));
            }
        }
        if held.received.is_none_or(|received| received < chunk.next_offset) {
            held.received = Some(chunk.next_offset);
            self.buffer.push(chunk);
        }
        Ok(())
    }

    fn hear_sought(&mut self, sought: v1::SubscriptionSought) {
        let is_it = |held: &&mut Held| held.seek.as_ref().is_some_and(|seek| seek.request_id == sought.request_id);
        // A later seek may have taken its place.
        let Some(held) = self.partitions.values_mut().find(is_it) else { return };
        let Some(seek) = held.seek.take() else { return };
        let answer = match sought.error {
            Some(error) => Err(ClientError::from_message(error)),
            None => {
                let place = Some(sought.offset);
                (held.received, held.handed_out, held.processed, held.told) = (place, place, place, place);
                Ok(sought.offset)
            }
        };
        // Whoever asked may have gone.
        let _ = seek.waiter.send(answer);
    }
}

fn key(topic_id: &str, partition: i32) -> Result<Key, String> {
    let topic_id = TopicId::parse(topic_id).ok_or_else(|| format!("{topic_id:?} is not a topic id"))?;
    Ok(Key { topic_id, partition })
}

fn read(topics: Vec<v1::TopicPartitions>) -> Result<Vec<(Key, TopicPartition)>, String> {
    let mut partitions = Vec::new();
    for topic in topics {
        let name = TopicName::new(&topic.topic).map_err(|error| error.to_string())?;
        for partition in topic.partitions {
            let name = TopicPartition { topic: name.clone(), partition };
            partitions.push((key(&topic.topic_id, partition)?, name));
        }
    }
    Ok(partitions)
}

fn consumed(topic: &Arc<str>, partition: i32, record: v1::StoredRecord) -> ConsumedRecord {
    let header = |header: v1::Header| ConsumedHeader { key: Bytes::from(header.key), value: header.value };
    ConsumedRecord {
        topic: topic.clone(),
        partition,
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        key: record.key,
        value: record.value,
        headers: record.headers.into_iter().map(header).collect(),
    }
}
