//! A librdkafka producer that notes what was acknowledged.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, Message, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext},
};

use crate::{Acknowledged, History, Outcome, RECORD_NUMBER_HEADER, client_config, fail};

/// How long everything sent may take to be acknowledged or to fail.
const FLUSH_LIMIT: Duration = Duration::from_secs(120);

/// How many lines of a client's log are kept.
const KEPT_LINES: usize = 200;

/// How a recorder produces.
#[derive(Debug, Clone)]
pub struct RecorderOptions {
    /// `acks`: `0`, `1` or `all`.
    pub acks: &'static str,
    /// `enable.idempotence`.
    pub idempotent: bool,
    /// `compression.type`.
    pub compression: &'static str,
    /// What librdkafka tells of itself in [`Recorder::said`], as its setting `debug` takes it.
    pub debug: &'static str,
}

impl Default for RecorderOptions {
    fn default() -> Self {
        Self { acks: "all", idempotent: false, compression: "none", debug: "" }
    }
}

/// Records that may wait for their acknowledgement. More than a slow machine has acknowledged by the time that librdkafka
/// gives a record would only fail.
const MAX_UNACKNOWLEDGED: usize = 10_000;

/// A producer that numbers its records and notes what it is told of each.
pub struct Recorder {
    producer: BaseProducer<Notes>,
    sent: u64,
}

#[derive(Default)]
struct Notes(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    history: History,
    /// When a record was last acknowledged, or the recorder last asked for the gap.
    moved: Option<Instant>,
    longest_gap: Duration,
    /// The newest lines of the client's log.
    said: VecDeque<String>,
    gave_up: Arc<AtomicBool>,
}

impl Notes {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    /// Keeps a line, and forgets the oldest.
    fn say(&mut self, line: &str) {
        if self.said.len() >= KEPT_LINES {
            self.said.pop_front();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        self.said.push_back(format!("{now} {line}"));
    }

    /// Counts the time since the last acknowledgement as a gap.
    fn end_gap(&mut self) {
        let now = Instant::now();
        if let Some(before) = self.moved.replace(now) {
            self.longest_gap = self.longest_gap.max(now - before);
        }
    }
}

impl ClientContext for Notes {
    // A broker that is gone is what these tests are about; librdkafka need not report each time it notices.
    fn error(&self, error: KafkaError, reason: &str) {
        self.noted().say(&format!("{error}: {reason}"));
    }

    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        let mut noted = self.noted();
        if gives_up(facility, message) {
            noted.gave_up.store(true, Ordering::Release);
        }
        noted.say(&format!("{facility} {message}"));
    }
}

impl ProducerContext for Notes {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<u64>) {
        let mut noted = self.noted();
        match result {
            Ok(message) => {
                noted.end_gap();
                let place = Acknowledged { partition: message.partition(), offset: message.offset() };
                noted.history.acknowledged.insert(*number, place);
            }
            Err((error, _)) => {
                noted.history.failed.insert(*number, error.to_string());
            }
        }
    }
}

impl Recorder {
    /// Connects to `bootstrap`.
    pub fn connect(bootstrap: SocketAddr, options: &RecorderOptions) -> Outcome<Self> {
        let mut config = client_config(bootstrap);
        config
            .set("acks", options.acks)
            .set("enable.idempotence", options.idempotent.to_string())
            .set("compression.type", options.compression)
            .set("linger.ms", "5")
            .set("batch.size", "262144")
            .set("queue.buffering.max.messages", MAX_UNACKNOWLEDGED.to_string())
            .set("message.timeout.ms", "110000");
        if !options.debug.is_empty() {
            config.set("debug", options.debug).set_log_level(RDKafkaLogLevel::Debug);
        }
        if !options.idempotent {
            // Without idempotence a retry may overtake its successor; one request in flight keeps the order.
            config.set("max.in.flight.requests.per.connection", "1");
        }
        Ok(Self { producer: config.create_with_context(Notes::default())?, sent: 0 })
    }

    /// Sends a record and returns its number. Waits while librdkafka's queue is full.
    pub fn send(&mut self, topic: &str, partition: Option<i32>, key: &str, value: &[u8]) -> Outcome<u64> {
        let number = self.sent;
        let text = number.to_string();
        let headers = OwnedHeaders::new().insert(Header { key: RECORD_NUMBER_HEADER, value: Some(&text) });
        let mut record = BaseRecord::with_opaque_to(topic, Box::new(number)).key(key).payload(value).headers(headers);
        record.partition = partition;
        let begun = Instant::now();
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    if begun.elapsed() > FLUSH_LIMIT {
                        return fail("the producer's queue stayed full");
                    }
                    record = back;
                    self.producer.poll(Duration::from_millis(100));
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
        self.producer.poll(Duration::ZERO);
        self.sent += 1;
        Ok(number)
    }

    /// Has `send` send records, one after the other, until so many more are acknowledged than are now.
    pub fn send_until_acknowledged(&mut self, more: usize, mut send: impl FnMut(&mut Self) -> Outcome) -> Outcome {
        let enough = self.acknowledged() + more;
        while self.acknowledged() < enough {
            send(self)?;
        }
        Ok(())
    }

    /// How many records were sent.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How many records have been acknowledged by now.
    pub fn acknowledged(&self) -> usize {
        self.producer.context().noted().history.acknowledged.len()
    }

    /// How many records have failed by now.
    pub fn failed(&self) -> usize {
        self.producer.context().noted().history.failed.len()
    }

    /// The longest time for which nothing was acknowledged since this was last asked, however much was sent.
    pub fn take_longest_gap(&self) -> Duration {
        let mut noted = self.producer.context().noted();
        let since_the_last = noted.moved.map_or(Duration::ZERO, |moved| moved.elapsed());
        std::mem::take(&mut noted.longest_gap).max(since_the_last)
    }

    /// Whether librdkafka has given up the sequence of an idempotent producer by itself, which it says with `debug` set to
    /// `eos`. Of two requests under way the first was refused before anything was done, the second then came out of
    /// sequence; it draws a new epoch, and sends again what it does not know of in every partition, which may be there.
    pub fn gave_up(&self) -> Arc<AtomicBool> {
        self.producer.context().noted().gave_up.clone()
    }

    /// The newest lines of the client's log, each with the time in milliseconds since the epoch.
    pub fn said(&self) -> Vec<String> {
        self.producer.context().noted().said.iter().cloned().collect()
    }

    /// Handles what has arrived, waiting up to `limit` for the first of it.
    pub fn poll(&self, limit: Duration) {
        self.producer.poll(limit);
    }

    /// Waits until every record was acknowledged or has failed, and returns what is known of each.
    pub fn finish(self) -> Outcome<History> {
        self.producer.flush(FLUSH_LIMIT)?;
        let history = std::mem::take(&mut self.producer.context().noted().history);
        let known = history.acknowledged.len() + history.failed.len();
        if known as u64 == self.sent {
            Ok(history)
        } else {
            fail(format!("{} records were sent, and only {known} had an outcome", self.sent))
        }
    }
}

/// Whether this says that the client draws a new epoch since a request of its own was refused without anything being done.
fn gives_up(facility: &str, message: &str) -> bool {
    facility == "ERRSEQ" && message.contains("caused by previous failed request") && message.contains("MsgNotPersisted")
}

#[cfg(test)]
mod tests {
    use super::gives_up;

    #[test]
    fn only_a_refusal_before_anything_was_done_excuses_a_new_sequence() {
        let said = |before| {
            format!(
                "[thrd:broker/3]: broker/3: ProduceRequest for topic [0] with 116 message(s) failed due to skipped sequence \
                 numbers (PID{{Id:0,Epoch:0}}, base seq 2108 > next seq 2104) caused by previous failed request ({before}, \
                 base seq 2107..2107, base msgid 2108, 33ms ago): recovering and retrying"
            )
        };
        assert!(gives_up("ERRSEQ", &said("NOT_ENOUGH_REPLICAS, actions Retry,MsgNotPersisted")));
        assert!(!gives_up("ERRSEQ", &said("NO_ERROR, actions ")), "the server has lost something");
        assert!(!gives_up("RETRY", "MsgNotPersisted"));
    }
}
