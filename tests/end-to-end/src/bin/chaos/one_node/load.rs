//! The producers and followers of a chaos run, and the check of what they were told.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use levada_end_to_end::{
    Admin, Followed, Follower, Outcome, Reader, Recorder, RecorderOptions, check_acknowledged, fail,
};
use levada_harness::Corpus;

/// How much of each file is a record's value: small records make many batches, and leave the disk some room.
const VALUE_BYTES: usize = 256;

/// How many records of one producer may be unanswered.
const IN_FLIGHT: u64 = 2_000;

/// How many partitions each topic has.
const PARTITIONS: i32 = 3;

/// How long nothing may be acknowledged while everything runs.
const STALL_LIMIT: Duration = Duration::from_secs(60);

/// One producer, its topic, and who follows that.
struct Line {
    topic: &'static str,
    idempotent: bool,
    recorder: Recorder,
    follower: Follower,
    /// How many records have been handed to the producer; the follower looks at it.
    handed: Arc<AtomicU64>,
}

/// The producers and followers of a chaos run.
pub(super) struct Load {
    corpus: Arc<Corpus>,
    lines: Vec<Line>,
}

impl Load {
    /// Creates the topics with these settings and connects the clients.
    pub(super) fn start(bootstrap: SocketAddr, settings: &[(&str, &str)]) -> Outcome<Self> {
        let admin = Admin::connect(bootstrap)?;
        let corpus = Arc::new(Corpus::load(4 << 20)?);
        let kinds: [(&str, RecorderOptions); 3] = [
            ("acks-1", RecorderOptions { acks: "1", ..RecorderOptions::default() }),
            ("acks-all", RecorderOptions { compression: "zstd", ..RecorderOptions::default() }),
            ("idempotent", RecorderOptions { idempotent: true, ..RecorderOptions::default() }),
        ];
        let mut lines = Vec::new();
        for (topic, options) in kinds {
            admin.create_topic(topic, PARTITIONS, settings)?;
            let recorder = Recorder::connect(bootstrap, &options)?;
            let handed = Arc::new(AtomicU64::new(0));
            let seen = Followed::new(PARTITIONS, options.idempotent);
            let (known, sent) = (corpus.clone(), handed.clone());
            let follower = Follower::start(bootstrap, topic, seen, move |seen| {
                let number = seen.number.ok_or("not one of our records")?;
                if number >= sent.load(Ordering::Acquire) {
                    return fail(format!("record {number} was read before it was sent"));
                }
                match record(&known, number) {
                    Some((key, value)) if key == seen.key && value == seen.value => Ok(number),
                    _ => fail(format!("record {number} came with other bytes")),
                }
            })?;
            lines.push(Line { topic, idempotent: options.idempotent, recorder, follower, handed });
        }
        Ok(Self { corpus, lines })
    }

    /// Produces for a while, whatever happens meanwhile.
    pub(super) fn run_for(&mut self, duration: Duration) -> Outcome {
        let begun = Instant::now();
        while begun.elapsed() < duration {
            self.turn()?;
        }
        Ok(())
    }

    /// Produces until so many more records have been acknowledged, which they are when everything runs.
    pub(super) fn run_until_acknowledged(&mut self, records: usize) -> Outcome {
        let enough = self.acknowledged() + records;
        let (mut most, mut moved) = (0, Instant::now());
        loop {
            let acknowledged = self.acknowledged();
            if acknowledged >= enough {
                return Ok(());
            }
            if acknowledged > most {
                (most, moved) = (acknowledged, Instant::now());
            } else if moved.elapsed() > STALL_LIMIT {
                return fail(format!("nothing was acknowledged for {STALL_LIMIT:?}, though everything runs"));
            }
            self.turn()?;
        }
    }

    /// Makes the followers read their newest records again.
    pub(super) fn reread(&self, records: usize) {
        for line in &self.lines {
            line.follower.reread(records);
        }
    }

    /// How many records have been acknowledged.
    fn acknowledged(&self) -> usize {
        self.lines.iter().map(|line| line.recorder.acknowledged()).sum()
    }

    /// Hands each producer a record if it has room, and takes what has arrived.
    fn turn(&mut self) -> Outcome {
        let mut all_full = true;
        for line in &mut self.lines {
            if line.follower.has_failed() {
                return fail(format!("{}: its follower has ended", line.topic));
            }
            let known = line.recorder.acknowledged() as u64 + line.recorder.failed() as u64;
            if line.recorder.sent() - known < IN_FLIGHT {
                all_full = false;
                let number = line.recorder.sent();
                let (key, value) = record(&self.corpus, number).ok_or("the corpus is empty")?;
                // Before it is sent: the follower may see it at once.
                line.handed.store(number + 1, Ordering::Release);
                line.recorder.send(line.topic, None, key, value)?;
            } else {
                line.recorder.poll(Duration::ZERO);
            }
        }
        if all_full && let Some(line) = self.lines.first() {
            line.recorder.poll(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Waits for every answer and checks them all against what the followers saw and what the servers have.
    pub(super) fn check(self, bootstrap: SocketAddr) -> Outcome {
        for line in self.lines {
            let wrong = |error| format!("{}: {error}", line.topic);
            let history = line.recorder.finish().map_err(wrong)?;
            let reader = Reader::connect(bootstrap, line.topic)?;
            let followed = line.follower.finish(reader.ranges()?).map_err(wrong)?;
            println!(
                "chaos: {}: {} records acknowledged, {} failed, {} followed",
                line.topic,
                history.acknowledged.len(),
                history.failed.len(),
                followed.places()
            );
            followed.check(&history).map_err(wrong)?;
            check_acknowledged(&reader, &history, line.idempotent, |number| record(&self.corpus, number))
                .map_err(wrong)?;
        }
        Ok(())
    }

    /// What the followers that have ended met; nothing if none has.
    pub(super) fn findings(self) -> Vec<String> {
        let ended = self.lines.into_iter().filter(|line| line.follower.has_failed());
        let found = ended.filter_map(|line| Some((line.topic, line.follower.finish([].into()).err()?)));
        found.map(|(topic, error)| format!("{topic}: {error}")).collect()
    }
}

fn record(corpus: &Corpus, number: u64) -> Option<(&str, &[u8])> {
    let file = corpus.in_turn(number)?;
    Some((&file.key, file.text.get(..VALUE_BYTES.min(file.text.len()))?))
}
