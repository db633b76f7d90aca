//! What a process tells about itself, and to whom.

use serde::{Deserialize, Serialize};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of text, for people.
    #[default]
    Plain,
    /// One JSON object a line, for collectors.
    Json,
}

/// What a process tells about itself, and to whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TelemetryOptions {
    /// How log lines look on stderr: `plain` or `json`.
    #[serde(rename = "telemetry.log.format")]
    pub log_format: LogFormat,
    /// What is logged, such as `info` or `warn,levada_kafka=debug` (the directives of tracing's filter).
    #[serde(rename = "telemetry.log.filter")]
    pub log_filter: String,
    /// Where traces go by OTLP over gRPC, such as `http://collector:4317`. None by default.
    #[serde(rename = "telemetry.otlp.endpoint")]
    pub otlp_endpoint: Option<String>,
    /// The share of requests (0 to 1) that start a trace of their own. A caller's decision for its trace stands.
    #[serde(rename = "telemetry.otlp.sample.ratio")]
    pub otlp_sample_ratio: f64,
}

impl Default for TelemetryOptions {
    fn default() -> Self {
        Self {
            log_format: LogFormat::Plain,
            // The consensus library tells its every step at the level that is ours for what an operator should know.
            log_filter: "info,openraft=warn".to_owned(),
            otlp_endpoint: None,
            otlp_sample_ratio: 0.01,
        }
    }
}
