//! A producer whose latency is measured, a few seconds at a time.

use std::{net::SocketAddr, process::Command};

use levada_end_to_end::{Outcome, fail};
use levada_harness::levada_binary;
use serde::Deserialize;

/// How long a window is.
const WINDOW: &str = "3s";

/// Whom it produces to, and how.
pub(super) struct Producer {
    pub(super) kafka: SocketAddr,
    pub(super) topic: &'static str,
    pub(super) keys: u32,
    /// Records per second.
    pub(super) rate: u32,
}

/// Latencies of one window, in milliseconds from when a record was due.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Window {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

/// What of `levada bench latency` is read.
#[derive(Deserialize)]
struct Report {
    latency_ms: Window,
}

impl Producer {
    /// Produces 1 KiB records with acks=all for one window.
    pub(super) fn window(&self) -> Outcome<Window> {
        let output = Command::new(levada_binary()?)
            .args(["bench", "latency", "--keep-topic", "--topic", self.topic, "--addr", &self.kafka.to_string()])
            .args(["--keys", &self.keys.to_string(), "--rate", &self.rate.to_string()])
            .args(["--duration", WINDOW, "--warm-up", "0s", "--output", "json"])
            .output()?;
        if !output.status.success() {
            return fail(format!("producing: {} {}", output.status, String::from_utf8_lossy(&output.stderr)));
        }
        let report: Report = serde_json::from_slice(&output.stdout)?;
        Ok(report.latency_ms)
    }
}
