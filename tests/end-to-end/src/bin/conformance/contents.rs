//! Everything that a topic holds, as a consumer sees it, and what puts it there.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use levada_end_to_end::{Outcome, PartitionRange, Reader, Seeded, client_config, fail};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer},
};

/// How long nothing may arrive before reading is given up, and how long an acknowledgement may take.
const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Between the timestamps of two records.
const MILLISECONDS_BETWEEN: i64 = 10;

/// The largest value, in bytes. Random, so that segments fill up whatever the compression.
const LARGEST_VALUE: u64 = 12_000;

/// Records that are produced before the acknowledgements are awaited: fewer than librdkafka's queue takes.
const IN_FLIGHT: u64 = 100;

/// One record, with everything that a client can tell of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FullRecord {
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A topic.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) ranges: BTreeMap<i32, PartitionRange>,
    pub(crate) records: Vec<FullRecord>,
}

/// Produces `count` records with an idempotent producer of its own: with and without keys, values and headers.
pub(crate) fn produce(
    bootstrap: SocketAddr,
    topic: &str,
    partitions: i32,
    compression: &str,
    count: u64,
    since: i64,
) -> Outcome {
    let producer: BaseProducer = client_config(bootstrap)
        .set("enable.idempotence", "true")
        .set("compression.type", compression)
        .set("linger.ms", "5")
        .create()?;
    let mut random = Seeded::new(count);
    for number in 0..count {
        let (key, value) = (format!("key {number}"), value(&mut random));
        let partition = i32::try_from(number % u64::try_from(partitions)?)?;
        let time = since + i64::try_from(number)? * MILLISECONDS_BETWEEN;
        let mut record = BaseRecord::to(topic).partition(partition).timestamp(time);
        if number % 3 != 0 {
            record = record.key(&key);
        }
        if number % 7 != 0 {
            record = record.payload(&value);
        }
        if number % 5 == 0 {
            let headers = OwnedHeaders::new()
                .insert(Header { key: "number", value: Some(&number.to_string()) })
                .insert(Header::<&[u8]> { key: "nothing", value: None });
            record = record.headers(headers);
        }
        producer.send(record).map_err(|(error, _)| error)?;
        if number % IN_FLIGHT == IN_FLIGHT - 1 {
            producer.flush(STALL_LIMIT)?;
        }
    }
    Ok(producer.flush(STALL_LIMIT)?)
}

fn value(random: &mut Seeded) -> Vec<u8> {
    let size = random.below(LARGEST_VALUE);
    (0..size.div_ceil(8)).flat_map(|_| random.number().to_be_bytes()).collect()
}

/// Reads a topic from its start to its end. Fails if an offset is missing, comes twice or comes out of order.
pub(crate) fn read(bootstrap: SocketAddr, topic: &str) -> Outcome<Contents> {
    let ranges = Reader::connect(bootstrap, topic)?.ranges()?;
    let consumer: BaseConsumer = client_config(bootstrap)
        .set("group.id", "unused: assignment is manual")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .create()?;
    let mut records = Vec::new();
    for (partition, range) in &ranges {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, *partition, Offset::Offset(range.start))?;
        consumer.assign(&list)?;
        for due in range.start..range.end {
            let record = full(&consumer.poll(STALL_LIMIT).ok_or_else(|| format!("{topic}: nothing at offset {due}"))??);
            if (record.partition, record.offset) != (*partition, due) {
                return fail(format!("{topic}-{partition}: offset {} came, {due} was due", record.offset));
            }
            records.push(record);
        }
    }
    Ok(Contents { ranges, records })
}

fn full(message: &BorrowedMessage<'_>) -> FullRecord {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    FullRecord {
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: headers.map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect(),
    }
}

impl Contents {
    /// Compares what should be there, `self`, with what is.
    pub(crate) fn check(&self, topic: &str, found: &Self) -> Outcome {
        if self.ranges != found.ranges {
            return fail(format!("{topic}: {:?} where {:?} should be", found.ranges, self.ranges));
        }
        match self.records.iter().zip(&found.records).find(|(expected, found)| expected != found) {
            None => Ok(()),
            Some((expected, _)) => {
                fail(format!("{topic}-{}: offset {} holds another record", expected.partition, expected.offset))
            }
        }
    }
}
