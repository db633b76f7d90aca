//! Follows the metadata and keeps the broker's replicas in step with it.

use std::sync::Arc;
use std::time::Duration;

use levada_log::RecoveryProgress;
use levada_metadata::Image;
use levada_peers::MetadataWatch;
use levada_service::shutdown::CancellationToken;

use crate::Broker;
use crate::reconcile::Unopened;

/// How long until logs that could not be opened are tried again.
const RETRY_UNOPENED: Duration = Duration::from_secs(5);

/// Takes a broker from image to image.
pub(crate) struct Reconciler {
    broker: Arc<Broker>,
    /// What the controllers say.
    source: MetadataWatch,
    progress: Arc<RecoveryProgress>,
    unopened: Unopened,
}

impl Reconciler {
    pub(crate) fn new(broker: Arc<Broker>, source: MetadataWatch, progress: Arc<RecoveryProgress>) -> Self {
        Self { broker, source, progress, unopened: Unopened::new() }
    }

    /// Acts upon `image` and then shows it to the faces.
    pub(super) async fn advance_to(&mut self, image: Arc<Image>) {
        let (broker, progress) = (Arc::clone(&self.broker), Arc::clone(&self.progress));
        let unopened = std::mem::take(&mut self.unopened);
        let target = Arc::clone(&image);
        let step = tokio::task::spawn_blocking(move || {
            let mut acted_upon = broker.hosting.lock();
            let outcome = broker.reconcile(&broker.metadata.image(), &target, &unopened, &progress);
            *acted_upon = Some(target);
            outcome
        });
        match step.await {
            Ok(outcome) => {
                self.unopened = outcome.unopened;
                self.broker.placements.note(outcome.placements);
            }
            Err(error) => tracing::error!(%error, "a defect kept the broker from acting upon the metadata"),
        }
        self.broker.metadata.publish(&image);
    }

    /// Follows the metadata for ever.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut epoch = self.broker.epoch.subscribe();
        loop {
            let seen = self.broker.metadata.image().offset();
            tokio::select! {
                () = stop.cancelled() => return,
                image = self.source.changed(seen) => self.advance_to(image).await,
                // The image that holds a new registration may have come before it was known here.
                Ok(()) = epoch.changed() => self.advance_to(self.source.image()).await,
                () = tokio::time::sleep(RETRY_UNOPENED), if !self.unopened.is_empty() => {
                    self.advance_to(self.source.image()).await;
                }
            }
        }
    }
}
