//! The threads that fsync what acknowledgements wait for, so that nobody who appends waits for the device.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use levada_log::FlushTicket;
use levada_types::DirectoryId;
use parking_lot::{Condvar, Mutex};

use super::job::Job;
use crate::partition::{Health, Partition};

/// Threads for each data directory. A device and its journal take some fsyncs at a time for the price of one; more would
/// only wait for each other.
const THREADS_PER_DIRECTORY: usize = 4;

/// The threads that fsync. Every data directory has its own, so that a slow disk holds up only itself.
pub(crate) struct Flushers {
    queues: HashMap<DirectoryId, Arc<Queue>>,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

/// Flushes that wait. Bounded by the replicas, of which each has at most one under way.
#[derive(Default)]
struct Queue {
    contents: Mutex<Contents>,
    filled: Condvar,
}

#[derive(Default)]
struct Contents {
    flushes: VecDeque<(Arc<Partition>, FlushTicket)>,
    closed: bool,
}

impl Flushers {
    /// Starts the threads.
    pub(crate) fn start(directories: &[DirectoryId]) -> io::Result<Self> {
        let mut flushers = Self { queues: HashMap::new(), handles: Mutex::new(Vec::new()) };
        for (number, directory) in directories.iter().enumerate() {
            let queue = Arc::<Queue>::default();
            flushers.queues.insert(*directory, Arc::clone(&queue));
            for thread in 0..THREADS_PER_DIRECTORY {
                let queue = Arc::clone(&queue);
                let thread = std::thread::Builder::new().name(format!("log-fsync-{number}-{thread}"));
                flushers.handles.get_mut().push(thread.spawn(move || queue.work())?);
            }
        }
        Ok(flushers)
    }

    /// Runs this flush, and posts how it went to the replica that it is of.
    pub(super) fn run(&self, partition: &Arc<Partition>, ticket: FlushTicket) {
        // A replica that is served lies in a directory that has threads.
        if let Some(queue) = self.queues.get(&partition.directory()) {
            queue.contents.lock().flushes.push_back((Arc::clone(partition), ticket));
            queue.filled.notify_one();
        }
    }

    /// Ends the threads once they have finished what they are at; what waits is given up. Blocks.
    pub(crate) fn stop(&self) {
        self.close();
        for handle in std::mem::take(&mut *self.handles.lock()) {
            // A thread catches what a flush panics with, so it has nothing of its own to report.
            drop(handle.join());
        }
    }

    fn close(&self) {
        for queue in self.queues.values() {
            let mut contents = queue.contents.lock();
            contents.closed = true;
            let left = std::mem::take(&mut contents.flushes);
            drop((contents, left));
            queue.filled.notify_all();
        }
    }
}

impl Drop for Flushers {
    fn drop(&mut self) {
        self.close();
    }
}

impl Queue {
    fn work(&self) {
        while let Some((partition, ticket)) = self.next() {
            match catch_unwind(AssertUnwindSafe(|| ticket.run())) {
                Ok(flushed) => partition.post(Job::Flushed(Box::new(flushed))),
                Err(_) => {
                    tracing::error!(partition = %partition.name(), "a defect kept the log from being fsynced");
                    partition.turn(Health::Failed);
                }
            }
        }
    }

    /// The next flush; sleeps while there is none. `None` once the queue is closed.
    fn next(&self) -> Option<(Arc<Partition>, FlushTicket)> {
        let mut contents = self.contents.lock();
        loop {
            if contents.closed {
                return None;
            }
            if let Some(next) = contents.flushes.pop_front() {
                return Some(next);
            }
            self.filled.wait(&mut contents);
        }
    }
}
