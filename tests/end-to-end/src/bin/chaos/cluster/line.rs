//! One producer, its topic and who follows that, each on a thread of its own.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use levada_end_to_end::{Followed, Follower, History, Outcome, Recorder, RecorderOptions, fail};
use levada_harness::Corpus;

/// How much of each file is a record's value.
const VALUE_BYTES: usize = 200;

/// How many records of one producer may be unanswered.
const IN_FLIGHT: u64 = 2_000;

/// How long the producer sleeps between two looks at what is due.
const TURN: Duration = Duration::from_millis(10);

/// How many answers it takes in at each, for many records each. It does not wait for them: the last millisecond of such a wait
/// is not slept.
const ANSWERS: usize = 16;

/// What is promised for a topic.
#[derive(Debug, Clone)]
pub(super) struct Promise {
    /// Its name.
    pub(super) topic: &'static str,
    /// How its producer produces.
    pub(super) producer: RecorderOptions,
    /// Its settings.
    pub(super) settings: &'static [(&'static str, &'static str)],
    /// Whether what was acknowledged may be missing: with acks=1, at a failover.
    pub(super) may_lose: bool,
}

/// How far the producer has come.
#[derive(Debug, Default)]
struct Progress {
    /// Handed to the producer; the follower looks at it.
    handed: AtomicU64,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    longest_gap: Mutex<Duration>,
    /// What the client says of itself, kept when something is wrong.
    said: Mutex<Vec<String>>,
    giving_up: AtomicBool,
    stopping: AtomicBool,
}

/// One producer, its topic and who follows that.
pub(super) struct Line {
    promise: Promise,
    progress: Arc<Progress>,
    producer: JoinHandle<Outcome<History>>,
    follower: Follower,
    /// Whether the client has given up its sequence, so that once and order are not judged.
    gave_up: Arc<AtomicBool>,
}

/// What a line has come to.
pub(super) struct Ended {
    /// What was promised.
    pub(super) promise: Promise,
    /// What the producer was told.
    pub(super) history: History,
    /// Who follows, still.
    pub(super) follower: Follower,
    /// Whether the client has given up its sequence.
    pub(super) gave_up: bool,
}

impl Line {
    /// Starts to produce so many records a second to a topic that is there, and to follow it.
    pub(super) fn start(
        promise: Promise,
        partitions: i32,
        rate: u32,
        bootstrap: SocketAddr,
        corpus: &Arc<Corpus>,
    ) -> Outcome<Self> {
        let progress = Arc::new(Progress::default());
        let recorder = Recorder::connect(bootstrap, &promise.producer)?;
        let (known, seen_progress) = (corpus.clone(), progress.clone());
        let gave_up = recorder.gave_up();
        let seen = Followed::new(partitions, promise.producer.idempotent).until(gave_up.clone());
        let follower = Follower::start(bootstrap, promise.topic, seen, move |seen| {
            let number = seen.number.ok_or("not one of our records")?;
            if number >= seen_progress.handed.load(Ordering::Acquire) {
                return fail(format!("record {number} was read before it was sent"));
            }
            match record(&known, number) {
                Some((key, value)) if key == seen.key && value == seen.value => Ok(number),
                _ => fail(format!("record {number} came with other bytes")),
            }
        })?;
        let (topic, corpus, own_progress) = (promise.topic, corpus.clone(), progress.clone());
        let produce = move || own_progress.produce(recorder, topic, rate, &corpus);
        let producer = thread::Builder::new().name(format!("produce {topic}")).spawn(produce)?;
        Ok(Self { promise, progress, producer, follower, gave_up })
    }

    /// The topic.
    pub(super) fn topic(&self) -> &'static str {
        self.promise.topic
    }

    /// How many records were acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.progress.acknowledged.load(Ordering::Relaxed)
    }

    /// The longest time without an acknowledgement since this was last asked.
    pub(super) fn take_longest_gap(&self) -> Duration {
        std::mem::take(&mut *self.progress.longest_gap.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has the newest records of each partition read again.
    pub(super) fn reread(&self, records: usize) {
        self.follower.reread(records);
    }

    /// Whether something went wrong already, so that there is no use in going on.
    pub(super) fn check(&self) -> Outcome {
        if self.follower.has_failed() {
            return fail(format!("{}: its consumer has ended", self.topic()));
        }
        if self.producer.is_finished() {
            return fail(format!("{}: its producer has ended", self.topic()));
        }
        let failed = self.progress.failed.load(Ordering::Relaxed);
        if failed > 0 && self.promise.producer.idempotent {
            return fail(format!("{}: {failed} records of an idempotent producer failed", self.topic()));
        }
        Ok(())
    }

    /// Produces no more.
    pub(super) fn ask_to_stop(&self) {
        self.progress.stopping.store(true, Ordering::Relaxed);
    }

    /// Produces no more and waits until everything sent was answered.
    pub(super) fn stop(self) -> Outcome<Ended> {
        self.ask_to_stop();
        let history = self.producer.join().unwrap_or_else(|_| fail("the producer panicked"));
        let topic = self.promise.topic;
        let history = history.map_err(|error| format!("{topic}: {error}"))?;
        let gave_up = self.gave_up.load(Ordering::Acquire);
        Ok(Ended { promise: self.promise, history, follower: self.follower, gave_up })
    }

    /// What its producer and its consumer met, if they have ended, or the producer was told of failures.
    pub(super) fn findings(self) -> Vec<String> {
        self.progress.giving_up.store(true, Ordering::Relaxed);
        let topic = self.promise.topic;
        let mut found = Vec::new();
        if self.follower.has_failed()
            && let Err(error) = self.follower.finish([].into())
        {
            found.push(format!("{topic}: the consumer: {error}"));
        }
        match self.producer.join().unwrap_or_else(|_| fail("the producer panicked")) {
            Err(error) => found.push(format!("{topic}: the producer: {error}")),
            Ok(history) => {
                let failed = history.failed.iter().take(3);
                found.extend(failed.map(|(number, error)| format!("{topic}: record {number}: {error}")));
            }
        }
        let said = self.progress.said.lock().unwrap_or_else(PoisonError::into_inner);
        found.extend(said.iter().map(|line| format!("{topic}: {line}")));
        found
    }
}

impl Progress {
    /// Produces until it is to stop, and waits for every answer.
    fn produce(&self, mut recorder: Recorder, topic: &str, rate: u32, corpus: &Corpus) -> Outcome<History> {
        let begun = Instant::now();
        while !self.stopping.load(Ordering::Relaxed) {
            if self.giving_up.load(Ordering::Relaxed) {
                *self.said.lock().unwrap_or_else(PoisonError::into_inner) = recorder.said();
                return fail(format!("gave up with {} of {} acknowledged", recorder.acknowledged(), recorder.sent()));
            }
            let due = begun.elapsed().as_millis() * u128::from(rate) / 1000;
            let (acknowledged, failed) = (recorder.acknowledged() as u64, recorder.failed() as u64);
            let room = (acknowledged + failed + IN_FLIGHT).min(u64::try_from(due)?);
            while recorder.sent() < room {
                let number = recorder.sent();
                let (key, value) = record(corpus, number).ok_or("the corpus is empty")?;
                // Before it is sent: the follower may see it at once.
                self.handed.store(number + 1, Ordering::Release);
                recorder.send(topic, None, key, value)?;
            }
            thread::sleep(TURN);
            (0..ANSWERS).for_each(|_| recorder.poll(Duration::ZERO));
            self.acknowledged.store(acknowledged, Ordering::Relaxed);
            self.failed.store(failed, Ordering::Relaxed);
            let gap = recorder.take_longest_gap();
            let mut longest = self.longest_gap.lock().unwrap_or_else(PoisonError::into_inner);
            *longest = longest.max(gap);
        }
        recorder.finish()
    }
}

/// The record with this number: its key and its value.
pub(super) fn record(corpus: &Corpus, number: u64) -> Option<(&str, &[u8])> {
    let file = corpus.in_turn(number)?;
    Some((&file.key, file.text.get(..VALUE_BYTES.min(file.text.len()))?))
}
