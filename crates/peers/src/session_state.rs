//! What a broker's session with the active controller has come to.

use levada_types::{BrokerEpoch, ErrorCode};

/// The state of a broker's session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionState {
    /// The broker epoch of the registration, once there is one. It stays while the session is being renewed, and
    /// changes if the controller had to register the broker anew.
    pub epoch: Option<BrokerEpoch>,
    /// Whether the broker must assume that it is fenced: it leads nothing and must acknowledge nothing.
    pub fenced: bool,
    /// The registration was refused for good.
    pub refused: Option<RegistrationError>,
}

/// The controller does not accept this broker, and trying again would not change that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the controller refused to register this broker: {message}")]
pub struct RegistrationError {
    /// Kafka's code for it.
    pub code: ErrorCode,
    /// What the controller said.
    pub message: String,
}
