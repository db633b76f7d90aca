//! The producers and consumers of a run, and the check of what they were told.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use levada_end_to_end::{Admin, History, Outcome, Reader, RecorderOptions, check_acknowledged, fail};
use levada_harness::Corpus;

use super::{
    clock,
    line::{Ended, Line, Promise, record},
    report::Report,
};
use crate::groups::print;

/// How many partitions each topic has.
pub(super) const PARTITIONS: i32 = 3;

/// How many replicas each partition has.
const REPLICAS: i32 = 3;

/// How many replicas have to be in sync for a write with acks=all.
pub(super) const MINIMUM: (&str, &str) = ("min.insync.replicas", "2");

/// How long a producer may go without an acknowledgement while everything runs.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// How often progress is looked at.
const PAUSE: Duration = Duration::from_millis(10);

/// The topics of a run.
pub(super) fn promises() -> Vec<Promise> {
    let idempotent = RecorderOptions { idempotent: true, debug: "eos", ..RecorderOptions::default() };
    let plain = RecorderOptions::default();
    let promise = |topic, producer| Promise { topic, producer, settings: &[MINIMUM], may_lose: false };
    vec![
        promise("idempotent", idempotent.clone()),
        promise("idempotent-zstd", RecorderOptions { compression: "zstd", ..idempotent }),
        synced("synced"),
        promise("acks-all", plain.clone()),
        Promise { may_lose: true, ..promise("acks-1", RecorderOptions { acks: "1", ..plain }) },
    ]
}

/// A topic whose acknowledgements mean synced.
pub(super) fn synced(topic: &'static str) -> Promise {
    let producer = RecorderOptions { idempotent: true, debug: "eos", ..RecorderOptions::default() };
    Promise { topic, producer, settings: &[MINIMUM, ("acks.fsync", "true")], may_lose: false }
}

/// The producers and consumers of a run.
pub(super) struct Load {
    corpus: Arc<Corpus>,
    lines: Vec<Line>,
}

impl Load {
    /// Creates the topics and starts to produce so many records a second to each.
    pub(super) fn start(bootstrap: SocketAddr, rate: u32, promises: Vec<Promise>) -> Outcome<Self> {
        let admin = Admin::connect(bootstrap)?;
        let corpus = Arc::new(Corpus::load(4 << 20)?);
        let mut lines = Vec::new();
        for promise in promises {
            admin.create_replicated_topic(promise.topic, (PARTITIONS, REPLICAS), promise.settings)?;
            lines.push(Line::start(promise, PARTITIONS, rate, bootstrap, &corpus)?);
        }
        Ok(Self { corpus, lines })
    }

    /// Waits until every producer has so many more records acknowledged, which comes when everything runs.
    pub(super) fn wait_until_acknowledged(&self, records: usize) -> Outcome {
        let goals: Vec<u64> = self.lines.iter().map(|line| line.acknowledged() + records as u64).collect();
        let begun = Instant::now();
        let (mut most, mut moved) = (0, begun);
        loop {
            self.check_running()?;
            let behind: Vec<&Line> = self
                .lines
                .iter()
                .zip(&goals)
                .filter(|(line, goal)| line.acknowledged() < **goal)
                .map(|(line, _)| line)
                .collect();
            let all: u64 = behind.iter().map(|line| line.acknowledged()).sum();
            if behind.is_empty() {
                return Ok(());
            }
            if all != most {
                (most, moved) = (all, Instant::now());
            }
            if moved.elapsed() > STALL_LIMIT {
                let topics: Vec<&str> = behind.iter().map(|line| line.topic()).collect();
                return fail(format!(
                    "nothing of {topics:?} was acknowledged for {STALL_LIMIT:?}, though everything runs"
                ));
            }
            thread::sleep(PAUSE);
        }
    }

    /// Lets everything go on for a while.
    pub(super) fn go_on_until(&self, when: Instant) -> Outcome {
        loop {
            self.check_running()?;
            let left = when.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(PAUSE));
        }
    }

    /// Whether a client met something wrong already.
    pub(super) fn check_running(&self) -> Outcome {
        self.lines.iter().try_for_each(Line::check)
    }

    /// The longest time for which a producer had nothing acknowledged since this was last asked.
    pub(super) fn take_longest_gap(&self) -> Duration {
        self.lines.iter().map(Line::take_longest_gap).max().unwrap_or_default()
    }

    /// Makes the consumers read their newest records again.
    pub(super) fn reread(&self, records: usize) {
        self.lines.iter().for_each(|line| line.reread(records));
    }

    /// Stops producing and waits for every answer.
    pub(super) fn stop(self) -> Outcome<Stopped> {
        clock::say("the producers stop");
        self.lines.iter().for_each(Line::ask_to_stop);
        let ended = self.lines.into_iter().map(Line::stop).collect::<Outcome<_>>()?;
        Ok(Stopped { corpus: self.corpus, lines: ended })
    }

    /// What the clients met that have ended.
    pub(super) fn findings(self) -> String {
        self.lines.into_iter().flat_map(Line::findings).collect::<Vec<_>>().join("\n")
    }
}

/// The clients of a run when nothing is produced any more.
pub(super) struct Stopped {
    corpus: Arc<Corpus>,
    lines: Vec<Ended>,
}

impl Stopped {
    /// What the producers of the topics were told.
    pub(super) fn produced(&self) -> BTreeMap<&'static str, &History> {
        self.lines.iter().map(|line| (line.promise.topic, &line.history)).collect()
    }

    /// What stands for the bytes of the record with this number.
    pub(super) fn print(&self, number: u64) -> Option<u64> {
        record(&self.corpus, number).map(|(key, value)| print(key, value))
    }

    /// Checks all that was acknowledged against what the consumers saw and what the brokers have.
    pub(super) fn check(self, bootstrap: SocketAddr, report: &mut Report) -> Outcome {
        let corpus = self.corpus;
        for Ended { promise, history, follower, gave_up } in self.lines {
            clock::say(&format!(
                "{}: {} records were acknowledged; they are checked",
                promise.topic,
                history.acknowledged.len()
            ));
            let wrong = |error| format!("{}: {error}", promise.topic);
            let reader = Reader::connect(bootstrap, promise.topic)?;
            let followed = follower.finish(reader.ranges()?).map_err(wrong)?;
            let missing = followed.missing(&history);
            report.line(&promise, &history, &followed);
            if !promise.may_lose {
                followed.check(&history).map_err(wrong)?;
                let once = promise.producer.idempotent && !gave_up;
                check_acknowledged(&reader, &history, once, |number| record(&corpus, number)).map_err(wrong)?;
                if gave_up {
                    let repeated = followed.places() - history.acknowledged.len();
                    report.note(format!(
                        "{}: the client drew a new epoch by itself; {repeated} records are there twice",
                        promise.topic
                    ));
                }
            } else if missing > history.acknowledged.len() {
                return fail("more records are missing than were acknowledged");
            }
        }
        Ok(())
    }
}
