//! Metrics that are told together and replaced together.

use std::sync::Arc;

use parking_lot::RwLock;

use super::metrics::builder;

/// Metrics of things that come and go: what the last round did not record is told no more. Clones are the same page.
#[derive(Debug, Clone, Default)]
pub struct MetricsPage {
    text: Arc<RwLock<Arc<str>>>,
}

impl MetricsPage {
    /// Replaces the page with what `record` records by the macros of the `metrics` crate, which reach nothing else
    /// meanwhile. Their names are the page's own: nothing else records under them.
    pub fn replace(&self, record: impl FnOnce()) {
        let recorder = builder().build_recorder();
        metrics::with_local_recorder(&recorder, record);
        *self.text.write() = recorder.handle().render().into();
    }

    /// Leaves it empty.
    pub fn clear(&self) {
        *self.text.write() = Arc::default();
    }

    /// The page in Prometheus' text format.
    pub(super) fn render(&self) -> Arc<str> {
        self.text.read().clone()
    }
}
