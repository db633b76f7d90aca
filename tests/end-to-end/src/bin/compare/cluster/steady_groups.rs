//! Consumer groups that read along under full load and want nothing: whoever is slow is not thrown out, and nothing moves.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use levada_end_to_end::{Outcome, fail};
use rdkafka::{
    ClientContext,
    config::ClientConfig,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance},
    error::KafkaError,
};

/// The groups, and the settings of their members; each has as many members as there are brokers.
const GROUPS: [(&str, (&str, &str)); 3] = [
    ("eager", ("partition.assignment.strategy", "range")),
    ("cooperative", ("partition.assignment.strategy", "cooperative-sticky")),
    ("next-generation", ("group.protocol", "consumer")),
];

const MEMBERS: usize = 3;

/// How often a member commits what it has read.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);

const POLL: Duration = Duration::from_millis(100);

/// How long the groups may take to form.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the members have met, all of them together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Met {
    /// How often partitions were given or taken.
    pub(crate) rebalances: u64,
    /// Commits that succeeded.
    pub(crate) commits: u64,
    /// Commits that did not.
    pub(crate) failed_commits: u64,
    /// Bytes of the values that were read.
    pub(crate) bytes: u64,
}

/// What a member notes.
#[derive(Debug, Default)]
struct Notes {
    rebalances: AtomicU64,
    commits: AtomicU64,
    bytes: AtomicU64,
    /// Commits that failed, with what was said.
    failed: Mutex<BTreeMap<String, u64>>,
}

impl Notes {
    fn failed(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Context(Arc<Notes>);

impl ClientContext for Context {
    // What matters of a trouble is whether it moves anything.
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let moved = match rebalance {
            Rebalance::Assign(list) | Rebalance::Revoke(list) => list.count() > 0,
            Rebalance::Error(_) => true,
        };
        self.0.rebalances.fetch_add(u64::from(moved), Ordering::Relaxed);
    }
}

/// The members of all groups, a thread each.
pub(crate) struct SteadyGroups {
    notes: Vec<Arc<Notes>>,
    owned: Vec<Arc<AtomicU64>>,
    stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Outcome>>,
}

impl SteadyGroups {
    /// Starts the members, and waits until every group owns as many partitions as the topic has.
    pub(crate) fn start(bootstrap: &str, topic: &'static str, partitions: i32) -> Outcome<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let mut groups = Self { notes: Vec::new(), owned: Vec::new(), stopping, threads: Vec::new() };
        for (group, (key, value)) in GROUPS {
            for _ in 0..MEMBERS {
                let (notes, owned) = (Arc::new(Notes::default()), Arc::new(AtomicU64::new(0)));
                let consumer: BaseConsumer<Context> = ClientConfig::new()
                    .set("bootstrap.servers", bootstrap)
                    .set("group.id", format!("steady-{group}"))
                    .set(key, value)
                    .set("enable.auto.commit", "false")
                    // The load deletes behind itself, faster than a slow member reads.
                    .set("auto.offset.reset", "latest")
                    .create_with_context(Context(notes.clone()))?;
                consumer.subscribe(&[topic])?;
                let member = (notes.clone(), owned.clone(), groups.stopping.clone());
                groups.threads.push(thread::Builder::new().name(group.to_owned()).spawn(move || {
                    let (notes, owned, stopping) = member;
                    live(&consumer, &notes, &owned, &stopping)
                })?);
                groups.notes.push(notes);
                groups.owned.push(owned);
            }
        }
        let begun = Instant::now();
        let all = u64::try_from(partitions)?;
        while !groups.owned.chunks(MEMBERS).all(|members| sum(members) == all) {
            if begun.elapsed() > PATIENCE {
                return fail(format!("the groups do not form within {PATIENCE:?}"));
            }
            thread::sleep(POLL);
        }
        Ok(groups)
    }

    /// What the members have met until now.
    pub(crate) fn met(&self) -> Met {
        let mut met = Met::default();
        for notes in &self.notes {
            met.rebalances += notes.rebalances.load(Ordering::Relaxed);
            met.commits += notes.commits.load(Ordering::Relaxed);
            met.failed_commits += notes.failed().values().sum::<u64>();
            met.bytes += notes.bytes.load(Ordering::Relaxed);
        }
        met
    }

    /// Has all members leave; tells what commits failed for.
    pub(crate) fn stop(self) -> Outcome<BTreeMap<String, u64>> {
        self.stopping.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().unwrap_or_else(|_| fail("a member panicked"))?;
        }
        let mut failed = BTreeMap::new();
        for notes in &self.notes {
            for (why, times) in notes.failed().iter() {
                *failed.entry(why.clone()).or_default() += times;
            }
        }
        Ok(failed)
    }
}

fn sum(members: &[Arc<AtomicU64>]) -> u64 {
    members.iter().map(|owned| owned.load(Ordering::Relaxed)).sum()
}

/// Reads and commits until it is to stop.
fn live(consumer: &BaseConsumer<Context>, notes: &Notes, owned: &AtomicU64, stopping: &AtomicBool) -> Outcome {
    let (mut committed, mut has_read) = (Instant::now(), false);
    while !stopping.load(Ordering::Relaxed) {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                has_read = true;
                let bytes = u64::try_from(message.payload_len())?;
                notes.bytes.fetch_add(bytes, Ordering::Relaxed);
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error.into()),
            Some(Err(_)) | None => {}
        }
        if committed.elapsed() > COMMIT_INTERVAL {
            committed = Instant::now();
            owned.store(u64::try_from(consumer.assignment()?.count())?, Ordering::Relaxed);
            if has_read {
                match consumer.commit_consumer_state(CommitMode::Sync) {
                    Ok(()) => drop(notes.commits.fetch_add(1, Ordering::Relaxed)),
                    Err(error) => *notes.failed().entry(error.to_string()).or_default() += 1,
                }
            }
        }
    }
    Ok(())
}
