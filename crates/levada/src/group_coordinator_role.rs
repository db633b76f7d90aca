//! The group coordinator role of this process.

use std::time::Duration;

use levada_group_coordinator::{GroupCoordinatorDeps, GroupCoordinatorOptions};
use levada_peers::Controllers;
use levada_service::net::Address;
use levada_service::options::{OptionsError, OptionsLoader};
use levada_service::shutdown::CancellationToken;

use crate::broker_role::Internal;
use crate::failure::Failure;
use crate::process::Process;

/// How long the group coordinator may take to stop. Each of its steps has a limit of its own; this only catches their sum.
const DRAIN: Duration = Duration::from_secs(45);

/// What a group coordinator of this process was told.
pub(crate) struct GroupCoordinatorRole {
    options: GroupCoordinatorOptions,
}

impl GroupCoordinatorRole {
    /// Takes the options of the role.
    pub(crate) fn load(loader: &mut OptionsLoader) -> Result<Self, OptionsError> {
        Ok(Self { options: GroupCoordinatorOptions::load(loader)? })
    }

    /// Starts the group coordinator as a part of `process`; gives the address of its internal services once it is registered.
    pub(crate) async fn start(
        self,
        process: &mut Process,
        controllers: Controllers,
        internal: Internal,
    ) -> Result<Address, Option<Failure>> {
        let network = process.network.clone();
        let (listener, internal_address) = internal.bind(&network).await?;
        let deps = GroupCoordinatorDeps {
            controllers,
            network,
            internal: listener,
            internal_address: internal_address.clone(),
            page: process.metrics.page(),
            ready: process.readiness.part("group-coordinator"),
        };
        let stop = CancellationToken::new();
        let starting = levada_group_coordinator::start(self.options, deps, stop.clone());
        let running = process.started(&stop, async { Ok(starting.await?) }).await?;
        process.part("group-coordinator", DRAIN, stop, async { Ok(running.ended().await?) });
        Ok(internal_address)
    }
}
