//! Follows the metadata and keeps the broker's replicas in step with it.

use std::sync::Arc;
use std::time::Duration;

use levada_log::RecoveryProgress;
use levada_metadata::Image;
use levada_peers::MetadataWatch;
use levada_service::shutdown::CancellationToken;
use tokio::task::JoinError;

use crate::Broker;
use crate::reconcile::{Outcome, Unopened};

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
    ///
    /// # Errors
    /// A defect kept the broker from acting upon it. The faces go on with the image before, and the broker must stop: what
    /// it hosts is neither the one nor the other.
    pub(super) async fn advance_to(&mut self, image: Arc<Image>) -> Result<(), JoinError> {
        let step = |broker: &Arc<Broker>, target: &Image, unopened: &Unopened, progress: &RecoveryProgress| {
            broker.reconcile(&broker.metadata.image(), target, unopened, progress)
        };
        self.advance_by(image, step).await
    }

    /// The same by any `step`.
    pub(crate) async fn advance_by(
        &mut self,
        image: Arc<Image>,
        step: impl FnOnce(&Arc<Broker>, &Image, &Unopened, &RecoveryProgress) -> Outcome + Send + 'static,
    ) -> Result<(), JoinError> {
        let (broker, progress) = (Arc::clone(&self.broker), Arc::clone(&self.progress));
        let unopened = std::mem::take(&mut self.unopened);
        let target = Arc::clone(&image);
        let step = tokio::task::spawn_blocking(move || {
            let mut acted_upon = broker.hosting.lock();
            let outcome = step(&broker, &target, &unopened, &progress);
            *acted_upon = Some(target);
            outcome
        });
        let outcome = step.await?;
        self.unopened = outcome.unopened;
        self.broker.placements.note(outcome.placements);
        self.broker.metadata.publish(&image);
        Ok(())
    }

    /// Follows the metadata until `stop`.
    ///
    /// # Errors
    /// As [`Reconciler::advance_to`].
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), JoinError> {
        let mut epoch = self.broker.epoch.subscribe();
        loop {
            let seen = self.broker.metadata.image().offset();
            let image = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                image = self.source.changed(seen) => image,
                // The image that holds a new registration may have come before it was known here.
                Ok(()) = epoch.changed() => self.source.image(),
                () = tokio::time::sleep(RETRY_UNOPENED), if !self.unopened.is_empty() => self.source.image(),
            };
            self.advance_to(image).await?;
        }
    }
}
