//! The metrics of a process, as Prometheus reads them.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::TelemetryError;
use super::process;

/// Bounds of every histogram whose name ends in `_seconds`: from 50 µs, about the shortest request over loopback, to
/// 10 s, beyond which requests time out.
const SECONDS: [f64; 15] =
    [50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 1.0, 2.5, 10.0];

/// The metrics of this process. Parts record with the macros of the `metrics` crate; this renders what they recorded.
#[derive(Debug, Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Makes the recorder of this process. The macros reach it from here on.
    pub(super) fn install() -> Result<Self, TelemetryError> {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| TelemetryError::Twice(error.to_string()))?;
        process::describe();
        Ok(Self { handle })
    }

    /// Metrics that no macro reaches, for an endpoint in a test.
    #[must_use]
    pub fn detached() -> Self {
        Self { handle: builder().build_recorder().handle() }
    }

    /// Everything in Prometheus' text format, the process' own figures included.
    #[must_use]
    pub fn render(&self) -> String {
        process::record();
        self.handle.render()
    }

    /// Folds what histograms have gathered since the last time.
    pub fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn builder() -> PrometheusBuilder {
    let builder = PrometheusBuilder::new();
    // The bounds are a constant that is not empty, which is all that this can refuse.
    builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS).unwrap_or_default()
}
