//! A librdkafka producer with its defaults, and when its records were acknowledged.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use levada_end_to_end::{Outcome, fail};
use rdkafka::{
    ClientConfig, ClientContext,
    error::KafkaError,
    message::DeliveryResult,
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};

use super::time_of_day::now_us;

/// A record so often.
const INTERVAL: Duration = Duration::from_millis(5);

/// How long what was sent may take to be acknowledged at the end.
const FLUSH_LIMIT: Duration = Duration::from_secs(60);

/// The running producer.
pub(crate) struct RdkafkaWatch {
    notes: Arc<Notes>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Outcome>>,
}

#[derive(Default)]
struct Notes {
    /// When records were acknowledged, in microseconds since the epoch.
    acknowledged_us: Mutex<Vec<u64>>,
    failed: AtomicU64,
}

impl Notes {
    fn acknowledged(&self) -> MutexGuard<'_, Vec<u64>> {
        self.acknowledged_us.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What librdkafka calls back.
struct Context(Arc<Notes>);

impl ClientContext for Context {
    // A broker that is gone is what this is about.
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => self.0.acknowledged().push(now_us()),
            Err(_) => drop(self.0.failed.fetch_add(1, Ordering::Relaxed)),
        }
    }
}

impl RdkafkaWatch {
    /// Starts to produce to partition 0.
    pub(crate) fn start(bootstrap: String, topic: &'static str) -> Outcome<Self> {
        let notes = Arc::new(Notes::default());
        let producer: ThreadedProducer<Context> =
            ClientConfig::new().set("bootstrap.servers", bootstrap).create_with_context(Context(notes.clone()))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("librdkafka".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                producer
                    .send(BaseRecord::<(), _>::to(topic).partition(0).payload("value"))
                    .map_err(|(error, _)| error)?;
                thread::sleep(INTERVAL);
            }
            Ok(producer.flush(FLUSH_LIMIT)?)
        })?;
        Ok(Self { notes, stop, thread: Some(thread) })
    }

    /// Waits until one more record is acknowledged than there are now.
    pub(crate) fn wait_until_acknowledged(&self) -> Outcome {
        let (begun, before) = (Instant::now(), self.notes.acknowledged().len());
        while begun.elapsed() < FLUSH_LIMIT {
            if self.notes.acknowledged().len() > before {
                return Ok(());
            }
            thread::sleep(INTERVAL);
        }
        fail(format!("librdkafka has had no acknowledgement for {FLUSH_LIMIT:?}"))
    }

    /// Milliseconds from a fault to the next acknowledgement after the longest time without one that follows it.
    pub(crate) fn after_fault_ms(&self, fault_us: u64) -> f64 {
        after_fault_ms(&self.notes.acknowledged(), fault_us)
    }

    /// Stops it; an error if any record failed for good.
    pub(crate) fn finish(mut self) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or_else(|_| fail("the producer panicked"))?;
        }
        match self.notes.failed.load(Ordering::Relaxed) {
            0 => Ok(()),
            failed => fail(format!("{failed} records of librdkafka failed for good")),
        }
    }
}

impl Drop for RdkafkaWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The end of the longest time without an acknowledgement that ends after the fault, in milliseconds after it.
fn after_fault_ms(acknowledged_us: &[u64], fault_us: u64) -> f64 {
    let after = acknowledged_us.windows(2).filter_map(|pair| match pair {
        [before, after] if *after > fault_us => Some((after - before, *after)),
        _ => None,
    });
    after.max().map_or(f64::NAN, |(_, after)| (after - fault_us) as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_time_without_an_acknowledgement_after_the_fault_counts() {
        assert_eq!(after_fault_ms(&[0, 900_000, 995_000, 1_001_000, 1_300_000, 1_305_000], 1_000_000), 300.0);
        assert!(after_fault_ms(&[0, 1], 1_000_000).is_nan(), "nothing was acknowledged since");
    }
}
