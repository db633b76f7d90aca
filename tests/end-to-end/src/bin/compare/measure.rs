//! One measurement of one server, with librdkafka as the client.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use levada_end_to_end::{Admin, Outcome, Reader, client_config, fail};
use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Message},
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext},
};

use crate::{figures::percentile, server::Server};

/// How long anything may take before a measurement is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// What moving bytes one way cost.
pub(crate) struct Moved {
    /// Throughput, in MB (10^6 bytes of values) per second.
    pub(crate) megabytes_per_second: f64,
    /// The server's CPU seconds per GB (10^9 bytes of values).
    pub(crate) cpu_per_gigabyte: f64,
    /// The server's resident memory at the end, in MB.
    pub(crate) resident_megabytes: f64,
}

/// Latencies from sending a record to its acknowledgement.
pub(crate) struct Latencies {
    /// The median.
    pub(crate) p50: Duration,
    /// The 99th percentile.
    pub(crate) p99: Duration,
    /// The 99.9th percentile.
    pub(crate) p999: Duration,
}

/// Produces `bytes` as records of `record_bytes` with acks=1.
pub(crate) fn produce(server: &impl Server, topic: &str, record_bytes: usize, bytes: u64) -> Outcome<Moved> {
    Admin::connect(server.kafka()?)?.create_topic(topic, 1, &[])?;
    let producer: BaseProducer = client_config(server.kafka()?)
        .set("acks", "1")
        .set("batch.size", "1000000")
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", "500000")
        .set("queue.buffering.max.kbytes", "131072")
        .create()?;
    let value = pattern(record_bytes);
    let count = bytes / record_bytes as u64;
    producer.client().fetch_metadata(Some(topic), PATIENCE)?;
    moved(server, count * record_bytes as u64, || {
        for _ in 0..count {
            let mut record = BaseRecord::<(), _>::to(topic).partition(0).payload(&value);
            while let Err((error, back)) = producer.send(record) {
                if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                    return Err(error.into());
                }
                record = back;
                producer.poll(Duration::from_millis(10));
            }
            producer.poll(Duration::ZERO);
        }
        Ok(producer.flush(PATIENCE)?)
    })
}

/// Consumes everything that `produce` put there.
pub(crate) fn consume(server: &impl Server, topic: &str, record_bytes: usize) -> Outcome<Moved> {
    let ranges = Reader::connect(server.kafka()?, topic)?.ranges()?;
    let end = ranges.get(&0).map_or(0, |range| range.end);
    let consumer: BaseConsumer = client_config(server.kafka()?)
        .set("group.id", "unused: assignment is manual")
        .set("enable.auto.commit", "false")
        .set("fetch.message.max.bytes", "4194304")
        .set("fetch.min.bytes", "1048576")
        .set("fetch.wait.max.ms", "100")
        .set("queued.max.messages.kbytes", "131072")
        .create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning)?;
    moved(server, end.unsigned_abs() * record_bytes as u64, || {
        consumer.assign(&list)?;
        let mut next = 0;
        while next < end {
            match consumer.poll(PATIENCE) {
                None => return fail("nothing came"),
                Some(message) => {
                    let message = message?;
                    if message.payload_len() != record_bytes {
                        return fail("a record of another length came");
                    }
                    next = message.offset() + 1;
                }
            }
        }
        Ok(())
    })
}

fn moved(server: &impl Server, bytes: u64, run: impl FnOnce() -> Outcome) -> Outcome<Moved> {
    let before = server.facts()?;
    let begun = Instant::now();
    run()?;
    let took = begun.elapsed().as_secs_f64();
    let after = server.facts()?;
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    Ok(Moved {
        megabytes_per_second: bytes as f64 / 1e6 / took,
        cpu_per_gigabyte: cpu / (bytes as f64 / 1e9),
        resident_megabytes: after.resident_bytes as f64 / 1e6,
    })
}

/// Produces 1 KiB records with acks=all, `per_second` of them for `duration`.
pub(crate) fn latency(server: &impl Server, topic: &str, per_second: u32, duration: Duration) -> Outcome<Latencies> {
    Admin::connect(server.kafka()?)?.create_topic(topic, 1, &[])?;
    let producer: BaseProducer<Stopwatch> = client_config(server.kafka()?)
        .set("acks", "all")
        .set("linger.ms", "0")
        .create_with_context(Stopwatch::default())?;
    producer.client().fetch_metadata(Some(topic), PATIENCE)?;
    let value = pattern(1024);
    let count = (duration.as_secs_f64() * f64::from(per_second)) as u32;
    let begun = Instant::now();
    for number in 0..count {
        let due = Duration::from_secs(1) * number / per_second;
        while begun.elapsed() < due {
            producer.poll(due.saturating_sub(begun.elapsed()));
        }
        let record = BaseRecord::with_opaque_to(topic, Box::new(Instant::now())).key("").partition(0).payload(&value);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(PATIENCE)?;
    let mut times: Vec<Duration> = producer.context().times().drain(..).collect();
    times.sort();
    if times.len() != count as usize {
        return fail(format!("{} of {count} records were acknowledged", times.len()));
    }
    match (percentile(&times, 0.5), percentile(&times, 0.99), percentile(&times, 0.999)) {
        (Some(p50), Some(p99), Some(p999)) => Ok(Latencies { p50, p99, p999 }),
        _ => fail("no record was acknowledged"),
    }
}

/// Notes how long each record took.
#[derive(Default)]
struct Stopwatch(Mutex<VecDeque<Duration>>);

impl Stopwatch {
    fn times(&self) -> std::sync::MutexGuard<'_, VecDeque<Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Stopwatch {}

impl ProducerContext for Stopwatch {
    type DeliveryOpaque = Box<Instant>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Instant>) {
        if result.is_ok() {
            self.times().push_back(sent.elapsed());
        }
    }
}

/// Sends one record and waits for its acknowledgement; the topic is created on the way.
pub(crate) fn first_record(server: &impl Server) -> Outcome {
    Admin::connect(server.kafka()?)?.create_topic("first", 1, &[])?;
    let producer: BaseProducer<Stopwatch> = client_config(server.kafka()?)
        .set("acks", "all")
        .set("linger.ms", "0")
        .create_with_context(Stopwatch::default())?;
    let record = BaseRecord::with_opaque_to("first", Box::new(Instant::now())).key("").payload("value");
    producer.send(record).map_err(|(error, _)| error)?;
    producer.flush(PATIENCE)?;
    if producer.context().times().len() == 1 { Ok(()) } else { fail("the first record was not acknowledged") }
}

/// A value that does not repeat within a few kilobytes; nothing here compresses.
fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| (index * 131 + index / 251) as u8).collect()
}
