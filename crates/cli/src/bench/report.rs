//! What is printed of a run.

use std::time::Duration;

use serde::Serialize;

use super::outcome::Outcome;
use super::protocol::Protocol;
use crate::output::table;

/// Bytes of a GB, in which throughput and CPU time are quoted.
const GB: f64 = 1e9;

/// One run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct RunReport {
    protocol: Protocol,
    pub(super) records: u64,
    /// Bytes of record batches.
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    pub(super) mb_per_second: f64,
    records_per_second: f64,
    /// Milliseconds from when a request was due (or sent, without a rate) to its answer.
    latency_ms: Latency,
    /// CPU seconds that the server took for each GB.
    pub(super) server_cpu_seconds_per_gb: Option<f64>,
    server_resident_mb: Option<f64>,
}

/// Latency by the share of requests that did not exceed it.
#[derive(Debug, Clone, Copy, Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

impl RunReport {
    pub(super) fn new(
        protocol: Protocol,
        outcome: &Outcome,
        server_cpu: Option<Duration>,
        server_resident: Option<u64>,
    ) -> Self {
        let seconds = outcome.elapsed.as_secs_f64();
        Self {
            protocol,
            records: outcome.records,
            bytes: outcome.bytes,
            seconds,
            mb_per_second: outcome.bytes as f64 / 1e6 / seconds,
            records_per_second: outcome.records as f64 / seconds,
            latency_ms: Latency {
                p50: outcome.latency_ms(0.5),
                p90: outcome.latency_ms(0.9),
                p99: outcome.latency_ms(0.99),
                p99_9: outcome.latency_ms(0.999),
                max: outcome.longest_ms(),
            },
            server_cpu_seconds_per_gb: server_cpu.map(|cpu| per_gb(cpu, outcome.bytes)),
            server_resident_mb: server_resident.map(|bytes| bytes as f64 / 1e6),
        }
    }

    pub(super) fn text(&self) -> String {
        table(&["MEASURE", "VALUE"], self.rows("").into_iter().map(|(name, value)| [name, value]))
    }

    fn rows(&self, prefix: &str) -> Vec<(String, String)> {
        let Latency { p50, p90, p99, p99_9, max } = self.latency_ms;
        let mut rows = vec![
            ("records".to_owned(), self.records.to_string()),
            ("MB".to_owned(), format!("{:.1}", self.bytes as f64 / 1e6)),
            ("seconds".to_owned(), format!("{:.3}", self.seconds)),
            ("MB/s".to_owned(), format!("{:.1}", self.mb_per_second)),
            ("records/s".to_owned(), format!("{:.0}", self.records_per_second)),
            ("latency p50 ms".to_owned(), format!("{p50:.3}")),
            ("latency p90 ms".to_owned(), format!("{p90:.3}")),
            ("latency p99 ms".to_owned(), format!("{p99:.3}")),
            ("latency p99.9 ms".to_owned(), format!("{p99_9:.3}")),
            ("latency max ms".to_owned(), format!("{max:.3}")),
        ];
        if let Some(cpu) = self.server_cpu_seconds_per_gb {
            rows.push(("server CPU s/GB".to_owned(), format!("{cpu:.3}")));
        }
        if let Some(resident) = self.server_resident_mb {
            rows.push(("server resident MB".to_owned(), format!("{resident:.1}")));
        }
        rows.into_iter().map(|(name, value)| (format!("{prefix}{name}"), value)).collect()
    }
}

/// A run whose records were read back at the same time and compared.
#[derive(Debug, Serialize)]
pub(super) struct VerifiedReport {
    produced: RunReport,
    consumed: RunReport,
    /// Records over the time from the first one sent to the last one compared.
    verified_records_per_second: f64,
}

impl VerifiedReport {
    /// `produced` and `consumed` ran at the same time.
    pub(super) fn new(produced: RunReport, consumed: &Outcome, protocol: Protocol) -> Self {
        let consumed = RunReport::new(protocol, consumed, None, None);
        let seconds = produced.seconds.max(consumed.seconds);
        Self { verified_records_per_second: consumed.records as f64 / seconds, produced, consumed }
    }

    pub(super) fn text(&self) -> String {
        let mut rows = self.produced.rows("produced: ");
        rows.extend(self.consumed.rows("consumed: "));
        rows.push(("verified records/s".to_owned(), format!("{:.0}", self.verified_records_per_second)));
        table(&["MEASURE", "VALUE"], rows.into_iter().map(|(name, value)| [name, value]))
    }
}

/// CPU seconds for each GB.
pub(super) fn per_gb(cpu: Duration, bytes: u64) -> f64 {
    cpu.as_secs_f64() / (bytes as f64 / GB)
}
