//! The controller role of this process.

use std::time::Duration;

use levada_controller::ControllerOptions;
use levada_service::net::Address;
use levada_service::options::{OptionsError, OptionsLoader};
use levada_service::shutdown::CancellationToken;

use crate::failure::Failure;
use crate::process::Process;

/// How long the controller may take to close its log.
const DRAIN: Duration = Duration::from_secs(15);

/// What a controller of this process was told.
pub(crate) struct ControllerRole {
    options: ControllerOptions,
}

impl ControllerRole {
    /// Takes the options of the role.
    pub(crate) fn load(loader: &mut OptionsLoader) -> Result<Self, OptionsError> {
        Ok(Self { options: ControllerOptions::load(loader)? })
    }

    /// Starts the controller as a part of `process`; gives the address of its internal services once they can be asked.
    pub(crate) async fn start(self, process: &mut Process) -> Result<Address, Option<Failure>> {
        let ready = process.readiness.part("controller");
        let stop = CancellationToken::new();
        let starting = levada_controller::start(self.options, process.network.clone(), ready, stop.clone());
        let running = process.started(&stop, async { Ok(starting.await?) }).await?;
        let address = running.address().clone();
        process.part("controller", DRAIN, stop, async { Ok(running.stopped().await?) });
        Ok(address)
    }
}
