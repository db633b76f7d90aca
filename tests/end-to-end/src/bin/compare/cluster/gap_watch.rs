//! `levada bench failover` beside a cluster, and what it tells.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use levada_end_to_end::{Outcome, fail};
use levada_harness::levada_binary;
use serde::Deserialize;

use super::subject::Subject;

/// How long the first acknowledgement of everything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A line of `levada bench failover --output json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    Begun { at_us: u64 },
    Gap(Gap),
    Ended {},
}

/// A time without every acknowledgement, in microseconds since the epoch.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Gap {
    last_acknowledged_us: u64,
    all_acknowledged_us: u64,
    /// From the last acknowledgement before to the last one missing.
    pub(crate) gap_ms: f64,
}

/// The running producer; it is killed when this is dropped.
pub(crate) struct GapWatch {
    producer: Child,
    events: Receiver<Event>,
    /// When every partition had acknowledged its first record.
    pub(crate) begun_us: u64,
}

/// A gap that begins so long after a fault is another one's.
const BELONGS_US: u64 = 50_000;

impl GapWatch {
    /// Starts to produce and waits until every partition has acknowledged a record.
    pub(crate) fn start(subject: &mut Subject, arguments: &[&str]) -> Outcome<Self> {
        let broker = subject.follower()?;
        Self::start_at(&subject.sandbox.broker(broker)?.kafka()?.to_string(), subject.topic(), arguments)
    }

    /// The same, through the broker at `address`.
    pub(crate) fn start_at(address: &str, topic: &str, arguments: &[&str]) -> Outcome<Self> {
        let mut producer = Command::new(levada_binary()?)
            .args(["bench", "failover", "--output", "json", "--duration", "1d", "--addr", address, "--topic", topic])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(producer.stdout.take().ok_or("no standard output")?).lines();
        let (sender, events) = mpsc::channel();
        thread::spawn(move || {
            // It ends with the producer, or when nobody listens any more.
            for line in lines.map_while(Result::ok) {
                let Ok(event) = serde_json::from_str(&line) else { break };
                if sender.send(event).is_err() {
                    break;
                }
            }
        });
        let mut started = Self { producer, events, begun_us: 0 };
        match started.events.recv_timeout(PATIENCE) {
            Ok(Event::Begun { at_us }) => started.begun_us = at_us,
            other => return fail(format!("`levada bench failover` began with {other:?}")),
        }
        Ok(started)
    }

    /// Every gap that was told since the last look; an error if the producer has ended.
    pub(crate) fn gaps(&mut self) -> Outcome<Vec<Gap>> {
        let mut gaps = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let Event::Gap(gap) = event {
                gaps.push(gap);
            }
        }
        match self.producer.try_wait()? {
            None => Ok(gaps),
            Some(status) => fail(format!("`levada bench failover` ended with {status}")),
        }
    }
}

impl Drop for GapWatch {
    fn drop(&mut self) {
        if let Err(error) = self.producer.kill().and_then(|()| self.producer.wait()) {
            eprintln!("`levada bench failover` could not be stopped: {error}");
        }
    }
}

/// Milliseconds from a fault to the acknowledgement that ends the last gap that it made; 0 if it made none.
pub(crate) fn after_fault_ms(gaps: &[Gap], fault_us: u64) -> f64 {
    gaps.iter()
        .filter(|gap| gap.last_acknowledged_us <= fault_us + BELONGS_US)
        .map(|gap| gap.all_acknowledged_us.saturating_sub(fault_us) as f64 / 1e3)
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(last_acknowledged_us: u64, all_acknowledged_us: u64) -> Gap {
        Gap { last_acknowledged_us, all_acknowledged_us, gap_ms: 0.0 }
    }

    #[test]
    fn the_time_after_a_fault_ends_with_the_last_gap_that_it_made() {
        let fault = 1_000_000;
        assert_eq!(after_fault_ms(&[], fault), 0.0);
        assert_eq!(after_fault_ms(&[gap(100_000, 200_000)], fault), 0.0, "it was over before");
        assert_eq!(after_fault_ms(&[gap(990_000, 1_002_000), gap(1_002_000, 1_250_000)], fault), 250.0);
        assert_eq!(after_fault_ms(&[gap(999_000, 1_250_000), gap(3_000_000, 3_500_000)], fault), 250.0);
    }

    #[test]
    fn what_the_load_generator_writes_is_understood() {
        let line = r#"{"event":"gap","last_acknowledged_us":1,"first_acknowledged_us":2,"all_acknowledged_us":3,
            "gap_ms":0.5,"partitions":1,"errors":{"refused":2}}"#;
        assert!(matches!(serde_json::from_str(line), Ok(Event::Gap(Gap { all_acknowledged_us: 3, .. }))));
        let line = r#"{"event":"ended","seconds":1.0,"acknowledged":1,"gaps":0,"longest_ms":0.0}"#;
        assert!(matches!(serde_json::from_str(line), Ok(Event::Ended {})));
    }
}
