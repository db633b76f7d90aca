//! Logs on stderr, traces over OTLP where an endpoint is configured, metrics for Prometheus.

mod init;
mod metrics;
mod options;
mod panics;
mod process;

pub use init::{Telemetry, TelemetryError};
pub use metrics::Metrics;
pub use options::{LogFormat, TelemetryOptions};
