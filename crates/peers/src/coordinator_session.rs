//! A coordinator's session with the active controller, on which its shards depend.

use std::sync::Arc;
use std::time::Duration;

use levada_metadata::NewCoordinator;
use levada_types::{CoordinatorEpoch, MetadataOffset};
use tokio::sync::watch;

use crate::member_session::MemberSession;
use crate::session_stream::Registration;
use crate::{Controllers, Lease, MetadataWatch, RegistrationError, SessionState};

/// Keeps one coordinator registered. Dropping it ends the session without notice, as a crash would: its shards go to others.
///
/// It owns what the metadata give to the epoch of its registration ([`levada_metadata::State::shards_of`]). The epoch changes
/// when the controller has counted it out meanwhile, for silence or because it was cut off; whatever was held under the
/// former one is held no more, though the new one may be given some of it again.
#[derive(Debug)]
pub struct CoordinatorSession(MemberSession<CoordinatorEpoch>);

impl CoordinatorSession {
    /// Opens a session for `coordinator` with the active one of `controllers` and keeps it open, across broken streams, silent
    /// controllers and changes of the controller, until [`CoordinatorSession::stop`] or drop. Shards come with the
    /// registration, so its services must be listening. Heartbeats report how far `metadata` has come.
    #[must_use]
    pub fn open(controllers: Controllers, coordinator: &NewCoordinator, metadata: MetadataWatch) -> Self {
        let registration = Registration::Coordinator(coordinator.into());
        Self(MemberSession::open(controllers, registration, metadata.clone(), metadata))
    }

    /// The state of the session and its changes. `fenced` means that the coordinator must assume that it was removed.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<SessionState<CoordinatorEpoch>> {
        self.0.state()
    }

    /// How long the coordinator may answer from what it holds without asking the partitions' leaders. It ends when the epoch
    /// changes.
    #[must_use]
    pub fn lease(&self) -> Arc<Lease> {
        self.0.lease()
    }

    /// The epoch of the registration as it is now, if there is one.
    #[must_use]
    pub fn epoch(&self) -> Option<CoordinatorEpoch> {
        self.0.state().borrow().epoch
    }

    /// The epoch of the registration, once there is one.
    ///
    /// # Errors
    /// [`RegistrationError`] if the controller refused it for good.
    pub async fn registered(&self) -> Result<CoordinatorEpoch, RegistrationError> {
        self.0.registered().await
    }

    /// Gives notice of a clean shutdown and waits until the controller has moved the shards and everybody else who has a
    /// session knows it, for at most `timeout`. Gives the metadata offset at which they are moved, if they are; either way the
    /// session is over.
    pub async fn stop(self, timeout: Duration) -> Option<MetadataOffset> {
        self.0.stop(timeout).await
    }
}
