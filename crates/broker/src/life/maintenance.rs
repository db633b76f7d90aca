//! The threads that keep a broker's logs in order while it serves.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::upkeep::Upkeep;
use crate::Broker;
use crate::cleaner::Cleaners;

/// Something that is done again and again.
struct Duty {
    every: Duration,
    task: fn(&mut Upkeep),
}

/// The maintenance threads of a broker. One does what may take long (flushing, removing files), another what must not wait
/// for that (checkpoints, retention), and some compact.
pub(super) struct Maintenance {
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
    cleaners: Cleaners,
}

#[derive(Default)]
struct Stop {
    asked: Mutex<bool>,
    told: Condvar,
}

impl Maintenance {
    pub(super) fn start(broker: &Arc<Broker>) -> io::Result<Self> {
        let options = &broker.options;
        let every = |ms: u64, task: fn(&mut Upkeep)| Duty { every: Duration::from_millis(ms.max(1)), task };
        let checkpoint_ms = options
            .high_watermark_checkpoint_interval_ms
            .min(options.recovery_checkpoint_interval_ms)
            .min(options.start_offset_checkpoint_interval_ms);
        let slow = vec![every(options.flush_check_interval_ms, Upkeep::flush), every(PURGE_INTERVAL_MS, Upkeep::purge)];
        let quick = vec![
            every(checkpoint_ms, Upkeep::checkpoint),
            every(options.retention_check_interval_ms, Upkeep::retain),
            every(GAUGES_INTERVAL_MS, Upkeep::gauge),
        ];
        let cleaners = Cleaners::start(broker)?;
        let mut maintenance = Self { stop: Arc::default(), threads: Vec::new(), cleaners };
        for (name, duties) in [("log-flush", slow), ("log-upkeep", quick)] {
            let (stop, upkeep) = (Arc::clone(&maintenance.stop), Upkeep::new(Arc::clone(broker)));
            let thread = std::thread::Builder::new().name(name.to_owned());
            maintenance.threads.push(thread.spawn(move || run(&duties, upkeep, &stop))?);
        }
        Ok(maintenance)
    }

    /// Ends the threads once they have finished what they are at. Blocks.
    pub(super) fn stop(mut self) {
        self.stop.ask();
        self.cleaners.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a maintenance thread had met a defect");
            }
        }
    }
}

impl Drop for Maintenance {
    fn drop(&mut self) {
        self.stop.ask();
    }
}

/// How often files whose deletion was delayed are removed. Their delay (`file.delete.delay.ms`) is a minimum.
const PURGE_INTERVAL_MS: u64 = 5_000;

/// How often gauges that are sums over all partitions are taken: more often than anybody scrapes.
const GAUGES_INTERVAL_MS: u64 = 5_000;

impl Stop {
    fn ask(&self) {
        *self.asked.lock() = true;
        self.told.notify_all();
    }

    /// Sleeps until `deadline`; true if it was asked to stop.
    fn sleep_until(&self, deadline: Instant) -> bool {
        let mut asked = self.asked.lock();
        while !*asked {
            if self.told.wait_until(&mut asked, deadline).timed_out() {
                return *asked;
            }
        }
        true
    }
}

fn run(duties: &[Duty], mut upkeep: Upkeep, stop: &Stop) {
    let started = Instant::now();
    let mut due: Vec<Instant> = duties.iter().map(|duty| started + duty.every).collect();
    loop {
        let Some((next, deadline)) = due.iter().copied().enumerate().min_by_key(|(_, deadline)| *deadline) else {
            return;
        };
        if stop.sleep_until(deadline) {
            return;
        }
        if let (Some(duty), Some(deadline)) = (duties.get(next), due.get_mut(next)) {
            (duty.task)(&mut upkeep);
            // Counted from the end, so that a duty that takes longer than its interval leaves room for the others.
            *deadline = Instant::now() + duty.every;
        }
    }
}
