//! A broker's session with the active controller.

use std::sync::Arc;
use std::time::Duration;

use levada_metadata::NewBroker;
use levada_types::{BrokerEpoch, MetadataOffset};
use tokio::sync::watch;

use crate::member_session::MemberSession;
use crate::session_stream::Registration;
use crate::{Controllers, Lease, MetadataWatch, RegistrationError, SessionState};

/// Keeps one broker registered. Dropping it ends the session without notice, as a crash would.
#[derive(Debug)]
pub struct BrokerSession(MemberSession<BrokerEpoch>);

impl BrokerSession {
    /// Opens a session for `broker` with the active one of `controllers` and keeps it open, across broken streams, silent
    /// controllers and changes of the controller, until [`BrokerSession::stop`] or drop. Heartbeats report how far `metadata`
    /// has come; `newest` is what is known of the cluster, acted upon or not yet.
    #[must_use]
    pub fn open(controllers: Controllers, broker: &NewBroker, metadata: MetadataWatch, newest: MetadataWatch) -> Self {
        Self(MemberSession::open(controllers, Registration::Broker(broker.into()), metadata, newest))
    }

    /// The state of the session and its changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<SessionState> {
        self.0.state()
    }

    /// How long the broker may act on what it leads.
    #[must_use]
    pub fn lease(&self) -> Arc<Lease> {
        self.0.lease()
    }

    /// The broker epoch of the registration, once there is one.
    ///
    /// # Errors
    /// [`RegistrationError`] if the controller refused it for good.
    pub async fn registered(&self) -> Result<BrokerEpoch, RegistrationError> {
        self.0.registered().await
    }

    /// Resolves when the controller lets this broker lead.
    pub async fn unfenced(&self) {
        self.0.unfenced().await;
    }

    /// Tells the controller that the logs are open and the broker is ready to lead.
    pub fn set_ready(&self) {
        self.0.set_ready();
    }

    /// Gives notice of a clean shutdown and waits until the controller has moved the leaderships and everybody else who has a
    /// session knows it, for at most `timeout`. Gives the metadata offset at which they are moved, if they are; either way the
    /// session is over.
    pub async fn stop(self, timeout: Duration) -> Option<MetadataOffset> {
        self.0.stop(timeout).await
    }
}
