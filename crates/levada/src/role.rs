//! `levada controller`, `levada broker` and `levada group-coordinator`: one role in one process.

use levada_peers::Controllers;
use levada_service::net::{Address, AddressError};
use levada_service::options::{CommaList, OptionsError};
use serde::{Deserialize, Serialize};

use crate::arguments::OptionArguments;
use crate::broker_role::{BrokerRole, Internal};
use crate::console::announce;
use crate::controller_role::ControllerRole;
use crate::failure::Failure;
use crate::group_coordinator_role::GroupCoordinatorRole;
use crate::process::{Given, Process};

/// What a broker or a coordinator in a process of its own has to know of the other processes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct NeighbourOptions {
    /// Controllers, `HOST:PORT` each, of which at least one should be reachable (KIP-853's option).
    #[serde(rename = "controller.quorum.bootstrap.servers")]
    controllers: CommaList,
    /// Where its internal services listen.
    #[serde(rename = "internal.listener")]
    internal_listener: String,
    /// What other roles are told to dial to reach them, if that is another address.
    #[serde(rename = "internal.advertised.listener")]
    internal_advertised: Option<String>,
}

/// Runs a controller until the process is asked to stop.
pub(crate) fn run_controller(arguments: &OptionArguments) -> Result<(), Failure> {
    let mut given = Given::read([], &[], arguments)?;
    let controller = ControllerRole::load(given.loader())?;
    given.run("controller", async |mut process: Process| {
        let started = controller.start(&mut process).await.map(|internal| {
            announce(format_args!("ready internal={internal} http={}", process.http));
        });
        process.until_stopped(started).await
    })
}

/// Runs a broker until the process is asked to stop.
pub(crate) fn run_broker(arguments: &OptionArguments) -> Result<(), Failure> {
    let mut given = Given::read([], &[], arguments)?;
    let broker = BrokerRole::load(given.loader())?;
    let (controllers, internal) = given.loader().take::<NeighbourOptions>()?.read()?;
    given.run("broker", async |mut process: Process| {
        let started = start_broker(&mut process, broker, controllers, internal).await;
        process.until_stopped(started).await
    })
}

/// Runs a group coordinator until the process is asked to stop.
pub(crate) fn run_group_coordinator(arguments: &OptionArguments) -> Result<(), Failure> {
    let mut given = Given::read([], &[], arguments)?;
    let coordinator = GroupCoordinatorRole::load(given.loader())?;
    let (controllers, internal) = given.loader().take::<NeighbourOptions>()?.read()?;
    given.run("group-coordinator", async |mut process: Process| {
        let controllers = Controllers::new(process.network.clone(), controllers);
        let started = coordinator.start(&mut process, controllers, internal).await.map(|internal| {
            announce(format_args!("ready internal={internal} http={}", process.http));
        });
        process.until_stopped(started).await
    })
}

impl NeighbourOptions {
    /// Where the controllers are, and where this process is.
    fn read(&self) -> Result<(Vec<Address>, Internal), OptionsError> {
        let advertised = self.internal_advertised.as_deref();
        let internal = Internal {
            listener: address("internal.listener", &self.internal_listener)?,
            advertised: advertised.map(|text| address("internal.advertised.listener", text)).transpose()?,
        };
        let servers = "controller.quorum.bootstrap.servers";
        let controllers: Vec<Address> =
            self.controllers.iter().map(|text| address(servers, text)).collect::<Result<_, _>>()?;
        if controllers.is_empty() {
            return Err(OptionsError::invalid(servers, "name at least one controller"));
        }
        Ok((controllers, internal))
    }
}

async fn start_broker(
    process: &mut Process,
    broker: BrokerRole,
    controllers: Vec<Address>,
    internal: Internal,
) -> Result<(), Option<Failure>> {
    let bound = broker.bind().await?;
    let (kafka, grpc) = (bound.kafka, bound.grpc);
    let controllers = Controllers::new(process.network.clone(), controllers);
    broker.start(process, bound, controllers, internal).await?;
    announce(format_args!("ready kafka={kafka} grpc={grpc} http={}", process.http));
    Ok(())
}

fn address(option: &str, text: &str) -> Result<Address, OptionsError> {
    text.parse().map_err(|error: AddressError| OptionsError::invalid(option, error.to_string()))
}
