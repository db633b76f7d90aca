//! Follows the metadata and keeps the broker's replicas in step with it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use levada_log::RecoveryProgress;
use levada_metadata::{Command, Image, ReplicaDirectory, Response};
use levada_peers::MetadataWatch;
use levada_service::shutdown::CancellationToken;
use levada_types::TopicIdPartition;

use crate::Broker;

/// How long until logs that could not be opened are tried again.
const RETRY_UNOPENED: Duration = Duration::from_secs(5);

/// Placements told to the controller in one command, so that its entry in the metadata log stays small.
const PLACEMENTS_PER_COMMAND: usize = 1_000;

/// Takes a broker from image to image.
pub(crate) struct Reconciler {
    broker: Arc<Broker>,
    /// What the controllers say.
    source: MetadataWatch,
    progress: Arc<RecoveryProgress>,
    unopened: HashSet<TopicIdPartition>,
}

impl Reconciler {
    pub(crate) fn new(broker: Arc<Broker>, source: MetadataWatch, progress: Arc<RecoveryProgress>) -> Self {
        Self { broker, source, progress, unopened: HashSet::new() }
    }

    /// Acts upon `image` and then shows it to the faces.
    pub(super) async fn advance_to(&mut self, image: Arc<Image>) {
        let (broker, progress) = (Arc::clone(&self.broker), Arc::clone(&self.progress));
        let unopened = std::mem::take(&mut self.unopened);
        let target = Arc::clone(&image);
        let step = tokio::task::spawn_blocking(move || {
            broker.reconcile(&broker.metadata.image(), &target, &unopened, &progress)
        });
        match step.await {
            Ok(outcome) => {
                self.unopened = outcome.unopened;
                self.report(outcome.placements);
            }
            Err(error) => tracing::error!(%error, "a defect kept the broker from acting upon the metadata"),
        }
        self.broker.metadata.publish(&image);
    }

    /// Follows the metadata for ever.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let seen = self.broker.metadata.image().offset();
            tokio::select! {
                () = stop.cancelled() => return,
                image = self.source.changed(seen) => self.advance_to(image).await,
                () = tokio::time::sleep(RETRY_UNOPENED), if !self.unopened.is_empty() => {
                    self.advance_to(self.source.image()).await;
                }
            }
        }
    }

    /// Tells the controller where replicas lie (KIP-858), without waiting: nothing here depends on it.
    fn report(&self, placements: Vec<ReplicaDirectory>) {
        let Some(epoch) = self.broker.epoch().filter(|_| !placements.is_empty()) else { return };
        let broker = Arc::clone(&self.broker);
        tokio::spawn(async move {
            for assignments in placements.chunks(PLACEMENTS_PER_COMMAND) {
                let command =
                    Command::AssignReplicasToDirs { broker: broker.id(), epoch, assignments: assignments.to_vec() };
                let timeout = Duration::from_millis(broker.options.request_timeout_ms);
                match broker.controller.submit(&command, timeout).await {
                    Ok((Response::AssignReplicasToDirs(Ok(_)), _)) => {}
                    // A replica whose directory the controller does not know is told again at the next start.
                    Ok((answer, _)) => tracing::warn!(?answer, "the controller did not take note of directories"),
                    Err(error) => tracing::warn!(%error, "the controller was not told of directories"),
                }
            }
        });
    }
}
