//! What a run measured on the client's side.

use std::time::Duration;

use hdrhistogram::CreationError;
use hdrhistogram::Histogram;

use crate::CliError;

/// The longest latency that is told apart, in microseconds; longer ones count as this.
const LONGEST_US: u64 = 60_000_000;

/// Significant digits of a latency.
const DIGITS: u8 = 3;

/// Records and bytes moved, and how long each request took.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) records: u64,
    /// Bytes of record batches, as sent.
    pub(super) bytes: u64,
    /// From the first request to the last answer.
    pub(super) elapsed: Duration,
    latency_us: Histogram<u64>,
}

impl Outcome {
    pub(super) fn new() -> Result<Self, CliError> {
        let failed = |error: CreationError| CliError::Failed(format!("no histogram: {error}"));
        let latency_us = Histogram::new_with_bounds(1, LONGEST_US, DIGITS).map_err(failed)?;
        Ok(Self { records: 0, bytes: 0, elapsed: Duration::ZERO, latency_us })
    }

    /// Counts one answered request.
    pub(super) fn add(&mut self, records: u64, bytes: u64, latency: Duration) {
        self.records += records;
        self.bytes += bytes;
        self.latency_us.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LONGEST_US));
    }

    /// Adds what another lane measured over the same time.
    pub(super) fn merge(&mut self, other: &Self) -> Result<(), CliError> {
        self.records += other.records;
        self.bytes += other.bytes;
        self.elapsed = self.elapsed.max(other.elapsed);
        let failed = |error| CliError::Failed(format!("latencies cannot be added: {error}"));
        self.latency_us.add(&other.latency_us).map_err(failed)
    }

    /// The latency in milliseconds that the share `quantile` (0 to 1) of requests did not exceed.
    pub(super) fn latency_ms(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1_000.0
    }

    /// The longest latency in milliseconds.
    pub(super) fn longest_ms(&self) -> f64 {
        self.latency_us.max() as f64 / 1_000.0
    }
}
