//! The threads that the actors run on.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use levada_types::{DirectoryId, TopicIdPartition};
use parking_lot::Mutex;

use super::actor::{Actor, Scratch};
use super::job::Job;
use super::ready_queue::ReadyQueue;
use crate::partition::{Health, Partition};
use crate::replication::Replication;
use crate::telemetry::BrokerMetrics;

type Queue = Arc<ReadyQueue<Arc<Partition>>>;

/// The log threads of a broker. Every data directory has threads of its own, so that a slow disk holds up only itself.
pub(crate) struct LogThreads {
    queues: HashMap<DirectoryId, Vec<Queue>>,
    handles: Mutex<Vec<JoinHandle<()>>>,
    /// Has the threads that fsync.
    replication: Arc<Replication>,
}

impl LogThreads {
    /// Starts `total` threads, but at least one per directory.
    pub(crate) fn start(
        directories: &[DirectoryId],
        total: usize,
        replication: &Arc<Replication>,
        metrics: &Arc<BrokerMetrics>,
    ) -> io::Result<Self> {
        let per_directory = total.div_ceil(directories.len().max(1)).max(1);
        let (queues, handles) = (HashMap::new(), Mutex::new(Vec::new()));
        let mut threads = Self { queues, handles, replication: Arc::clone(replication) };
        for (number, directory) in directories.iter().enumerate() {
            for thread in 0..per_directory {
                let queue = Queue::default();
                threads.queues.entry(*directory).or_default().push(Arc::clone(&queue));
                let (replication, metrics) = (Arc::clone(replication), Arc::clone(metrics));
                let handle = std::thread::Builder::new()
                    .name(format!("log-io-{number}-{thread}"))
                    .spawn(move || run(&queue, &replication, &metrics))?;
                threads.handles.get_mut().push(handle);
            }
        }
        Ok(threads)
    }

    /// The queue of the thread that a replica in this directory belongs to; `None` for a directory without threads.
    pub(crate) fn queue_of(&self, directory: DirectoryId, id: &TopicIdPartition) -> Option<Queue> {
        let queues = self.queues.get(&directory)?;
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let index = hasher.finish() % queues.len() as u64;
        queues.get(index as usize).cloned()
    }

    /// Lets the threads finish what waits, and waits for them. Blocks.
    pub(crate) fn stop(&self) {
        for queue in self.queues.values().flatten() {
            queue.close();
        }
        for handle in std::mem::take(&mut *self.handles.lock()) {
            // A thread catches the panics of its actors, so it has none of its own to report.
            drop(handle.join());
        }
        self.replication.flushers.stop();
    }
}

impl Drop for LogThreads {
    fn drop(&mut self) {
        for queue in self.queues.values().flatten() {
            queue.close();
        }
    }
}

fn run(queue: &ReadyQueue<Arc<Partition>>, replication: &Arc<Replication>, metrics: &BrokerMetrics) {
    let mut actors: HashMap<TopicIdPartition, Actor> = HashMap::new();
    let mut scratch = Scratch::default();
    let mut jobs = Vec::new();
    while let Some(partition) = queue.pop() {
        if !partition.mailbox().take(&mut jobs) {
            continue;
        }
        let shared = Shared { replication, metrics };
        let done = catch_unwind(AssertUnwindSafe(|| drain(&partition, &mut actors, &mut jobs, &mut scratch, &shared)));
        if done.is_err() {
            // The writer goes down with its actor, so nothing more can reach the log.
            tracing::error!(
                partition = %partition.name(),
                "a defect stopped this partition; restart the broker to serve it again"
            );
            actors.remove(&partition.id());
            partition.turn(Health::Failed);
            drop(partition.mailbox().close());
            scratch = Scratch::default();
        }
        // Jobs that were not done answer through their slots.
        jobs.clear();
        partition.reschedule();
    }
}

/// What all threads share.
struct Shared<'a> {
    replication: &'a Arc<Replication>,
    metrics: &'a BrokerMetrics,
}

fn drain(
    partition: &Arc<Partition>,
    actors: &mut HashMap<TopicIdPartition, Actor>,
    jobs: &mut Vec<Job>,
    scratch: &mut Scratch,
    shared: &Shared<'_>,
) {
    let id = partition.id();
    if matches!(jobs.first(), Some(Job::Open(_)))
        && let Job::Open(writer) = jobs.remove(0)
    {
        actors.insert(id, Actor::new(Arc::clone(partition), *writer, Arc::clone(shared.replication)));
    }
    let Some(actor) = actors.get_mut(&id) else {
        drop(partition.mailbox().close());
        return;
    };
    if let Some(end) = actor.run(jobs, scratch, shared.metrics) {
        // Later jobs find the mailbox closed, and those that came meanwhile are dropped.
        drop(partition.mailbox().close());
        if let Some(actor) = actors.remove(&id) {
            actor.end(end);
        }
    }
}
