//! The threads that compact.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::cleaning::clean;
use super::settings::Settings;
use super::work::Work;
use crate::Broker;

/// The threads that compact the logs of a broker. There is always one, which minds the settings; further ones are started
/// when `log.cleaner.threads` asks for them, and have nothing to do when it asks for fewer.
pub(crate) struct Cleaners {
    shared: Arc<Shared>,
}

struct Shared {
    broker: Arc<Broker>,
    work: Arc<Work>,
    stop: Stop,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Whether the threads are to end.
#[derive(Default)]
pub(super) struct Stop {
    asked: Mutex<bool>,
    told: Condvar,
}

impl Stop {
    fn ask(&self) {
        *self.asked.lock() = true;
        self.told.notify_all();
    }

    pub(super) fn is_asked(&self) -> bool {
        *self.asked.lock()
    }

    /// Sleeps for so long, or until it is asked for.
    pub(super) fn sleep(&self, pause: Duration) {
        let deadline = Instant::now() + pause;
        let mut asked = self.asked.lock();
        while !*asked && !self.told.wait_until(&mut asked, deadline).timed_out() {}
    }
}

impl Cleaners {
    pub(crate) fn start(broker: &Arc<Broker>) -> io::Result<Self> {
        let cleaners = Self::without_threads(broker);
        cleaners.shared.start_one(&mut cleaners.shared.threads.lock())?;
        Ok(cleaners)
    }

    fn without_threads(broker: &Arc<Broker>) -> Self {
        let (broker, work, stop) = (Arc::clone(broker), Arc::default(), Stop::default());
        Self { shared: Arc::new(Shared { broker, work, stop, threads: Mutex::default() }) }
    }

    /// Some without a thread, to be asked one by one.
    #[cfg(test)]
    pub(crate) fn by_hand(broker: &Arc<Broker>) -> Self {
        Self::without_threads(broker)
    }

    /// What a thread does when it is free: says whether a log is cleaner than before.
    #[cfg(test)]
    pub(crate) fn clean_one(&self) -> bool {
        self.shared.clean_one(&Settings::of(&self.shared.broker))
    }

    /// Ends the threads; a cleaning that is under way is called off. Blocks.
    pub(crate) fn stop(&self) {
        self.shared.stop.ask();
        let threads = std::mem::take(&mut *self.shared.threads.lock());
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a cleaning thread had met a defect");
            }
        }
    }
}

impl Drop for Cleaners {
    fn drop(&mut self) {
        self.shared.stop.ask();
    }
}

impl Shared {
    fn start_one(self: &Arc<Self>, threads: &mut Vec<JoinHandle<()>>) -> io::Result<()> {
        let (shared, index) = (Arc::clone(self), threads.len());
        let thread = std::thread::Builder::new().name(format!("log-cleaner-{index}"));
        threads.push(thread.spawn(move || shared.run(index))?);
        Ok(())
    }

    fn run(self: &Arc<Self>, index: usize) {
        while !self.stop.is_asked() {
            let settings = Settings::of(&self.broker);
            if index == 0 {
                self.start_missing(settings.threads);
            }
            let has_cleaned = index < settings.threads && self.clean_one(&settings);
            if !has_cleaned {
                self.stop.sleep(settings.backoff.max(LEAST_BACKOFF));
            }
        }
    }

    fn start_missing(self: &Arc<Self>, wanted: usize) {
        let mut threads = self.threads.lock();
        while threads.len() < wanted && !self.stop.is_asked() {
            if let Err(error) = self.start_one(&mut threads) {
                tracing::error!(%error, "the system refuses a thread for compaction; trying again");
                return;
            }
        }
    }

    fn clean_one(&self, settings: &Settings) -> bool {
        let Some(task) = self.work.next(&self.broker) else { return false };
        let cleaned = catch_unwind(AssertUnwindSafe(|| clean(&self.broker, &self.work, &task, settings, &self.stop)));
        cleaned.unwrap_or_else(|_| {
            self.work.defect(&self.broker, &task.partition);
            false
        })
    }
}

/// The least that a thread sleeps that has found nothing to do, so that a setting of 0 does not keep a core busy.
const LEAST_BACKOFF: Duration = Duration::from_millis(10);
