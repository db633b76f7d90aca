//! The metrics of a process, as Prometheus reads them.

use std::sync::Arc;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;

use super::process;
use super::{MetricsPage, TelemetryError};

/// Bounds of every histogram whose name ends in `_seconds`: from 50 µs, about the shortest request over loopback, to
/// 10 s, beyond which requests time out.
const SECONDS: [f64; 15] =
    [50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 1.0, 2.5, 10.0];

/// The metrics of this process. Parts record with the macros of the `metrics` crate; this renders what they recorded.
#[derive(Debug, Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    pages: Arc<Mutex<Vec<MetricsPage>>>,
}

impl Metrics {
    /// Makes the recorder of this process. The macros reach it from here on.
    pub(super) fn install() -> Result<Self, TelemetryError> {
        let recorder = builder().build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|error| TelemetryError::Twice(error.to_string()))?;
        process::describe();
        Ok(Self::of(handle))
    }

    /// Metrics that no macro reaches, for an endpoint in a test.
    #[must_use]
    pub fn detached() -> Self {
        Self::of(builder().build_recorder().handle())
    }

    fn of(handle: PrometheusHandle) -> Self {
        Self { handle, pages: Arc::default() }
    }

    /// A further page, empty yet, which is told with the rest as long as the process lives.
    #[must_use]
    pub fn page(&self) -> MetricsPage {
        let page = MetricsPage::default();
        self.pages.lock().push(page.clone());
        page
    }

    /// Everything in Prometheus' text format, the process' own figures included.
    #[must_use]
    pub fn render(&self) -> String {
        process::record();
        let pages: Vec<Arc<str>> = self.pages.lock().iter().map(MetricsPage::render).collect();
        pages.iter().fold(self.handle.render(), |text, page| text + page)
    }

    /// Folds what histograms have gathered since the last time.
    pub fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }
}

pub(super) fn builder() -> PrometheusBuilder {
    let builder = PrometheusBuilder::new();
    // The bounds are a constant that is not empty, which is all that this can refuse.
    builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use metrics::gauge;

    use super::*;

    #[test]
    fn a_page_tells_what_was_recorded_last_and_nothing_before_it() {
        let metrics = Metrics::detached();
        let page = metrics.page();
        let other = metrics.page();
        other.replace(|| gauge!("shelves").set(3));
        page.replace(|| {
            gauge!("books", "shelf" => "a").set(1);
            gauge!("books", "shelf" => "b").set(2);
        });
        let text = metrics.render();
        assert!(text.contains("books{shelf=\"a\"} 1\n") && text.contains("books{shelf=\"b\"} 2\n"), "{text}");
        assert_eq!(text.matches("# TYPE books gauge\n").count(), 1, "{text}");
        page.replace(|| gauge!("books", "shelf" => "b").set(5));
        let text = metrics.render();
        assert!(!text.contains("shelf=\"a\""), "{text}");
        assert!(text.contains("books{shelf=\"b\"} 5\n") && text.contains("shelves 3\n"), "{text}");
        page.clear();
        let text = metrics.render();
        assert!(!text.contains("books") && text.contains("shelves"), "{text}");
    }
}
