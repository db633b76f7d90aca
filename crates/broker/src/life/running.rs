//! A broker that serves, and how it stops.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use levada_metadata::config::Resolver;
use levada_peers::{BrokerSession, MetadataWatch, RegistrationError, SessionState, WatchFailure};
use levada_service::http::ReadyFlag;
use levada_service::shutdown::CancellationToken;
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};

use super::maintenance::Maintenance;
use crate::face::{Face, FaceError};
use crate::{Broker, Phase, PhaseReporter};

/// A broker that serves its clients.
pub struct RunningBroker {
    broker: Arc<Broker>,
    ended: JoinHandle<Result<(), RunError>>,
}

/// Why a broker stopped although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A face stopped.
    #[error(transparent)]
    Face(#[from] FaceError),
    /// The metadata cannot be followed.
    #[error(transparent)]
    Metadata(#[from] WatchFailure),
    /// No data directory is left.
    #[error("every data directory has failed; repair or replace them and start the broker again")]
    AllDirectoriesOffline,
    /// The controller does not take this broker any more.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// A defect.
    #[error("a defect stopped the broker: {0}")]
    Defect(#[from] JoinError),
}

/// A broker that serves and has not been told what ends it.
pub(super) struct Serving {
    pub(super) broker: Arc<Broker>,
    pub(super) session: BrokerSession,
    pub(super) faces: JoinSet<Result<(), FaceError>>,
    /// Ends the faces.
    pub(super) faces_end: CancellationToken,
    pub(super) source: MetadataWatch,
    /// Resolves if the broker cannot act upon the metadata any more.
    pub(super) reconciler_failed: oneshot::Receiver<JoinError>,
    pub(super) tasks: Vec<JoinHandle<()>>,
    pub(super) maintenance: Maintenance,
    /// Ends `tasks`.
    pub(super) upkeep: CancellationToken,
    pub(super) phase: PhaseReporter,
    pub(super) ready: ReadyFlag,
}

impl RunningBroker {
    /// The broker.
    #[must_use]
    pub fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Resolves once the broker has stopped and its logs are closed.
    ///
    /// # Errors
    /// [`RunError`] if it was not the shutdown token that stopped it.
    pub async fn ended(self) -> Result<(), RunError> {
        self.ended.await?
    }
}

impl Serving {
    /// Lets clients in.
    pub(super) fn begin(&mut self, faces: Vec<Box<dyn Face>>) {
        for face in faces {
            tracing::info!(face = face.name(), address = %face.local_addr(), "serving");
            self.faces.spawn(face.serve(Arc::clone(&self.broker), self.faces_end.clone()));
        }
        self.phase.reach(Phase::Serving);
        self.ready.set(true);
    }

    /// Goes on until `shutdown` is cancelled or something fails, then stops.
    pub(super) fn until(self, shutdown: CancellationToken) -> RunningBroker {
        let broker = Arc::clone(&self.broker);
        RunningBroker { broker, ended: tokio::spawn(self.run(shutdown)) }
    }

    async fn run(mut self, shutdown: CancellationToken) -> Result<(), RunError> {
        let reason = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            failure = self.source.failed() => Err(failure.into()),
            refused = refusal(self.session.state(), &self.broker) => Err(refused.into()),
            () = self.broker.directories.all_offline() => Err(RunError::AllDirectoriesOffline),
            Ok(defect) = &mut self.reconciler_failed => Err(defect.into()),
            Some(face) = self.faces.join_next() => match face {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(error.into()),
                Err(defect) => Err(defect.into()),
            },
        };
        if let Err(error) = &reason {
            tracing::error!(%error, "the broker stops");
        }
        self.stop().await;
        reason
    }

    /// Hands the leaderships over, sends the clients away, writes what is queued, closes the logs: in this order, each
    /// within the limit of `shutdown.drain.timeout.ms`.
    async fn stop(mut self) {
        self.ready.set(false);
        self.phase.reach(Phase::Stopping);
        let limit = Duration::from_millis(self.broker.options.drain_timeout_ms);
        if is_controlled(&self.broker) {
            hand_over(&self.broker, self.session, limit).await;
        } else {
            drop(self.session);
        }
        self.faces_end.cancel();
        let faces_ended = async { while self.faces.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, faces_ended).await.is_err() {
            tracing::warn!("clients were still being answered at the limit; they are cut off");
            self.faces.abort_all();
        }
        self.upkeep.cancel();
        for task in self.tasks {
            // A task that met a defect has nothing more to say here.
            drop(task.await);
        }
        let (broker, maintenance) = (self.broker, self.maintenance);
        let closing = tokio::task::spawn_blocking(move || {
            maintenance.stop();
            close(&broker);
        });
        if let Err(error) = closing.await {
            tracing::error!(%error, "a defect kept the logs from being closed; they are recovered at the next start");
        }
    }
}

/// Whether the broker hands over what it leads before it stops (`controlled.shutdown.enable`).
fn is_controlled(broker: &Broker) -> bool {
    let image = broker.image();
    let resolver = Resolver::new(image.state(), Some(broker.id()), &broker.options.statics);
    resolver.broker_bool("controlled.shutdown.enable").unwrap_or(true)
}

/// Has the controller move what this broker leads, and serves until every other broker and this one know it: a client that
/// still asks here is told who leads now.
async fn hand_over(broker: &Broker, session: BrokerSession, limit: Duration) {
    let Some(offset) = session.stop(limit).await else {
        tracing::warn!("the controller did not confirm the shutdown; it will notice the end of the session");
        return;
    };
    match broker.metadata.wait_for(offset, limit).await {
        // Those that wait here for a leadership that has gone are told so by the actors.
        Ok(_) => drop(tokio::time::timeout(limit, broker.parts_taken()).await),
        Err(stale) => tracing::warn!(%stale, "stopping without having seen the new leaders"),
    }
}

/// Follows the session: keeps the broker's epoch, and resolves if the broker is refused for good.
pub(super) async fn refusal(mut state: watch::Receiver<SessionState>, broker: &Broker) -> RegistrationError {
    loop {
        {
            let now = state.borrow_and_update();
            if let Some(refused) = &now.refused {
                return refused.clone();
            }
            broker.epoch.send_if_modified(|epoch| std::mem::replace(epoch, now.epoch) != now.epoch);
        }
        if state.changed().await.is_err() {
            // The session is over, which the shutdown has to end, not this.
            std::future::pending::<()>().await;
        }
    }
}

/// Writes what is queued, closes every log, and notes that all of it was clean.
fn close(broker: &Broker) {
    let all_closed = broker.close_all();
    broker.threads.stop();
    let high_watermarks: HashMap<_, _> = broker
        .partitions
        .all()
        .iter()
        .map(|partition| (partition.name().clone(), partition.high_watermark()))
        .collect();
    let epoch = broker.epoch().map_or(-1, |epoch| epoch.0);
    match broker.store.close(&high_watermarks, epoch) {
        Ok(()) if all_closed => tracing::info!("all logs are closed"),
        Ok(()) => tracing::warn!("some logs were not closed cleanly; they are recovered at the next start"),
        Err(error) => tracing::error!(%error, "the shutdown is not clean; logs are recovered at the next start"),
    }
}
