//! A librdkafka consumer that reads partitions by assignment, without a group.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::RDKafkaErrorCode,
    message::{BorrowedMessage, Headers, Message},
};

use crate::{Outcome, RECORD_NUMBER_HEADER, client_config, fail};

/// How long nothing may arrive before reading is given up.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// The offsets of a partition: from the first on, up to but without the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionRange {
    /// The log start offset.
    pub start: i64,
    /// The high watermark.
    pub end: i64,
}

/// One record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The timestamp, in milliseconds since the epoch.
    pub timestamp: Option<i64>,
    /// The number that the recorder gave it, if it was one of its records.
    pub number: Option<u64>,
    /// The key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
}

/// A consumer of one topic.
pub struct Reader {
    consumer: BaseConsumer,
    topic: String,
}

impl Reader {
    /// Connects to `bootstrap` to read `topic`.
    pub fn connect(bootstrap: SocketAddr, topic: &str) -> Outcome<Self> {
        let consumer = client_config(bootstrap)
            .set("group.id", "unused: assignment is manual")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "20")
            .create()?;
        Ok(Self { consumer, topic: topic.to_owned() })
    }

    /// The partitions of the topic with their offsets.
    pub fn ranges(&self) -> Outcome<BTreeMap<i32, PartitionRange>> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), STALL_LIMIT)?;
        let Some(topic) = metadata.topics().first().filter(|topic| !topic.partitions().is_empty()) else {
            return fail(format!("{} has no partitions", self.topic));
        };
        let mut ranges = BTreeMap::new();
        for partition in topic.partitions() {
            let (start, end) = self.consumer.fetch_watermarks(&self.topic, partition.id(), STALL_LIMIT)?;
            ranges.insert(partition.id(), PartitionRange { start, end });
        }
        Ok(ranges)
    }

    /// Reads every record of every partition and hands each to `each`, in order of offset within a partition.
    ///
    /// Fails if an offset is missing, comes twice or comes out of order.
    pub fn read_all(&self, mut each: impl FnMut(Seen) -> Outcome) -> Outcome<BTreeMap<i32, PartitionRange>> {
        let ranges = self.ranges()?;
        let mut next: BTreeMap<i32, i64> = ranges.iter().map(|(partition, range)| (*partition, range.start)).collect();
        let mut left: i64 = ranges.values().map(|range| range.end - range.start).sum();
        self.assign(ranges.iter().map(|(partition, range)| (*partition, range.start)))?;
        while left > 0 {
            let seen = self.next()?;
            let Some(expected) = next.get_mut(&seen.partition) else {
                return fail(format!("a record of partition {}, which the topic does not have", seen.partition));
            };
            if seen.offset != *expected {
                return fail(format!("partition {}: offset {} came, {expected} was due", seen.partition, seen.offset));
            }
            *expected += 1;
            if ranges.get(&seen.partition).is_some_and(|range| seen.offset < range.end) {
                left -= 1;
                each(seen)?;
            }
        }
        Ok(ranges)
    }

    /// Reads what compaction has left of a partition, from `offset` on up to the record at `last` or the first behind it,
    /// and hands each to `each`, in order of offset.
    pub fn read_left(&self, partition: i32, offset: i64, last: i64, mut each: impl FnMut(Seen) -> Outcome) -> Outcome {
        self.assign([(partition, offset)])?;
        let mut next = offset;
        while next <= last {
            let seen = self.next()?;
            if seen.offset < next {
                return fail(format!(
                    "partition {partition}: offset {} came, {next} or a later one was due",
                    seen.offset
                ));
            }
            next = seen.offset + 1;
            each(seen)?;
        }
        Ok(())
    }

    /// The first record at or after `offset` of a partition.
    pub fn read_at(&self, partition: i32, offset: i64) -> Outcome<Seen> {
        self.assign([(partition, offset)])?;
        self.next()
    }

    /// The offset of the first record of a partition whose timestamp is `timestamp` or later; `None` if there is none.
    pub fn offset_at_time(&self, partition: i32, timestamp: i64) -> Outcome<Option<i64>> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, partition, Offset::Offset(timestamp))?;
        let answer = self.consumer.offsets_for_times(list, STALL_LIMIT)?;
        match answer.elements().first() {
            None => fail("an answer without a result"),
            Some(element) => {
                element.error()?;
                Ok(element.offset().to_raw().filter(|offset| *offset >= 0))
            }
        }
    }

    /// Reads these partitions from these offsets on.
    pub(crate) fn assign(&self, positions: impl IntoIterator<Item = (i32, i64)>) -> Outcome {
        Ok(self.consumer.assign(&self.list(positions)?)?)
    }

    /// Goes on from these offsets of what is assigned already; whatever was fetched and not taken is forgotten.
    pub(crate) fn seek(&self, positions: impl IntoIterator<Item = (i32, i64)>) -> Outcome {
        let answer = self.consumer.seek_partitions(self.list(positions)?, STALL_LIMIT)?;
        answer.elements().iter().try_for_each(|element| Ok(element.error()?))
    }

    fn list(&self, positions: impl IntoIterator<Item = (i32, i64)>) -> Outcome<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in positions {
            list.add_partition_offset(&self.topic, partition, Offset::Offset(offset))?;
        }
        Ok(list)
    }

    /// The next record of what is assigned, if one comes within `limit`. An error of librdkafka is a `KafkaError`.
    pub(crate) fn poll(&self, limit: Duration) -> Outcome<Option<Seen>> {
        self.consumer.poll(limit).map(|message| seen(&message?)).transpose()
    }

    fn next(&self) -> Outcome<Seen> {
        let begun = Instant::now();
        while let Some(left) = STALL_LIMIT.checked_sub(begun.elapsed()) {
            match self.consumer.poll(left) {
                Some(Ok(message)) => return seen(&message),
                // Another broker has gone; librdkafka tells that as if it were an error of what is read.
                Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::BrokerTransportFailure) => {}
                Some(Err(error)) => return Err(error.into()),
                None => break,
            }
        }
        fail(format!("no record of {} came within {STALL_LIMIT:?}", self.topic))
    }
}

pub(crate) fn seen(message: &BorrowedMessage<'_>) -> Outcome<Seen> {
    let mut number = None;
    for header in message.headers().into_iter().flat_map(|headers| headers.iter()) {
        if header.key == RECORD_NUMBER_HEADER {
            number = Some(std::str::from_utf8(header.value.unwrap_or_default())?.parse()?);
        }
    }
    Ok(Seen {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        number,
        key: String::from_utf8(message.key().unwrap_or_default().to_vec())?,
        value: message.payload().unwrap_or_default().to_vec(),
    })
}
