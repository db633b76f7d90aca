//! Logs on stderr, traces over OTLP where an endpoint is configured, metrics for Prometheus.

mod init;
mod line_limit;
mod metrics;
mod metrics_page;
mod options;
mod panics;
mod process;

pub use init::{Telemetry, TelemetryError};
pub use line_limit::LineLimit;
pub use metrics::Metrics;
pub use metrics_page::MetricsPage;
pub use options::{LogFormat, TelemetryOptions};
