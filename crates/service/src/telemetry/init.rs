//! Sets up what a process has only once: the tracing subscriber and the metrics recorder.

use std::io::IsTerminal;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::{LogFormat, Metrics, TelemetryOptions, panics};

/// How long the last spans may take on their way to the collector when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The telemetry of this process, as the binary set it up.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
    metrics: Metrics,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter's directives cannot be read.
    #[error("telemetry.log.filter {filter:?} is not valid: {reason}")]
    Filter {
        /// The filter as given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Traces cannot be sent to the endpoint.
    #[error("telemetry.otlp.endpoint {endpoint:?} cannot be used: {reason}")]
    Endpoint {
        /// The endpoint as given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something set up telemetry before.
    #[error("telemetry was set up twice in one process: {0}")]
    Twice(String),
}

impl Telemetry {
    /// Sets up logs, traces and metrics for the whole process, under the service name `levada-ROLE`. Called once, by
    /// the binary, inside the runtime (the exporter of traces needs one).
    pub fn init(options: &TelemetryOptions, role: &str) -> Result<Self, TelemetryError> {
        let filter = EnvFilter::try_new(&options.log_filter).map_err(|error| TelemetryError::Filter {
            filter: options.log_filter.clone(),
            reason: error.to_string(),
        })?;
        let lines =
            tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
        let lines = match options.log_format {
            LogFormat::Plain => lines.boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        let traces = traces(options, role)?;
        let spans = traces.as_ref().map(|provider| {
            tracing_opentelemetry::layer().with_tracer(provider.tracer("levada")).with_filter(
                // Requests are spans of the level DEBUG; libraries below would add a dozen spans to each.
                Targets::new().with_default(LevelFilter::INFO).with_target("levada", LevelFilter::DEBUG),
            )
        });
        tracing_subscriber::registry()
            .with(lines.with_filter(filter))
            .with(spans)
            .try_init()
            .map_err(|error| TelemetryError::Twice(error.to_string()))?;
        let metrics = Metrics::install()?;
        panics::report();
        Ok(Self { traces, metrics })
    }

    /// The metrics of this process.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Sends what is left of the traces, in bounded time.
    pub fn shutdown(self) {
        if let Some(traces) = self.traces
            && let Err(error) = traces.shutdown_with_timeout(FLUSH_TIMEOUT)
        {
            tracing::debug!(%error, "the last spans did not reach the collector");
        }
    }
}

fn traces(options: &TelemetryOptions, role: &str) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = options.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) else {
        return Ok(None);
    };
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .map_err(|error| TelemetryError::Endpoint { endpoint: endpoint.to_owned(), reason: error.to_string() })?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(options.otlp_sample_ratio)));
    let resource = Resource::builder().with_service_name(format!("levada-{role}")).build();
    Ok(Some(
        SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(resource)
            .build(),
    ))
}
