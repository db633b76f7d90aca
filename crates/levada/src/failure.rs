//! Why the process ends otherwise than well, and with which exit code.

use std::process::ExitCode;

use levada_service::options::OptionsError;
use levada_service::telemetry::TelemetryError;

/// The exit code of a process that was not told properly what to do.
const USAGE: u8 = 2;

/// Why the process ends otherwise than well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The options are wrong.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The telemetry options are wrong.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({option}): {source}")]
    Bind {
        /// Which address.
        address: String,
        /// What said so.
        option: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// The gRPC face has no listener.
    #[error(transparent)]
    Gateway(#[from] levada_gateway::BindError),
    /// The controller did not start, or gave up.
    #[error("the controller: {0}")]
    Controller(#[from] levada_controller::StartError),
    /// The broker did not start.
    #[error("the broker: {0}")]
    BrokerStart(#[from] levada_broker::StartError),
    /// The broker gave up.
    #[error("the broker: {0}")]
    BrokerRun(#[from] levada_broker::RunError),
    /// The group coordinator did not start.
    #[error("the group coordinator: {0}")]
    GroupCoordinatorStart(#[from] levada_group_coordinator::StartError),
    /// The group coordinator gave up.
    #[error("the group coordinator: {0}")]
    GroupCoordinatorRun(#[from] levada_group_coordinator::RunError),
    /// The sandbox does not come up.
    #[error(transparent)]
    Sandbox(#[from] crate::sandbox::SandboxFailure),
    /// The system refused something that every process needs.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Failure {
    /// 2 for what the operator said wrongly, 1 for everything else.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Options(_) | Self::Telemetry(TelemetryError::Filter { .. }) => ExitCode::from(USAGE),
            _ => ExitCode::FAILURE,
        }
    }

    /// Something that every process needs was refused.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
