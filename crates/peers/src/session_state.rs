//! What a session with the active controller has come to.

use levada_types::{BrokerEpoch, ErrorCode};

/// The state of a session: a broker's, or that of a coordinator with another epoch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionState<E = BrokerEpoch> {
    /// The epoch of the registration, once there is one. It stays while the session is being renewed, and changes if the
    /// controller had to register the process anew.
    pub epoch: Option<E>,
    /// Whether the process must assume that it is counted out: it leads nothing, owns nothing and must acknowledge nothing.
    pub fenced: bool,
    /// The registration was refused for good.
    pub refused: Option<RegistrationError>,
}

/// The controller does not accept this process, and trying again would not change that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the controller refused to register this process: {message}")]
pub struct RegistrationError {
    /// Kafka's code for it.
    pub code: ErrorCode,
    /// What the controller said.
    pub message: String,
}
