//! `levada dev`: every role in one process, reaching each other in memory.

use std::path::Path;

use levada_peers::Controllers;
use levada_service::net::Address;

use crate::arguments::DevArguments;
use crate::broker_role::{BrokerRole, Internal};
use crate::console::announce;
use crate::controller_role::ControllerRole;
use crate::failure::Failure;
use crate::group_coordinator_role::GroupCoordinatorRole;
use crate::listeners::{DEFAULT_GRPC, DEFAULT_KAFKA, listeners_at};
use crate::process::{Given, Process};

/// Where everything is kept by default.
const DEFAULT_DATA_DIR: &str = "./levada-data";

/// Where the controller keeps its log, below the data directory.
const METADATA_DIR: &str = "metadata";

/// Where the broker keeps its partitions, below the data directory.
const LOGS_DIR: &str = "logs";

/// The in-memory address of the broker's internal services.
const BROKER: &str = "broker";

/// The in-memory address of the group coordinator's internal services.
const GROUP_COORDINATOR: &str = "group-coordinator";

/// The in-memory address of the controller's internal services.
const CONTROLLER: &str = "memory:controller";

/// Runs until the process is asked to stop.
pub(crate) fn run(arguments: &DevArguments) -> Result<(), Failure> {
    let (presets, flags) = (presets(), flags(arguments));
    let mut given = Given::read(presets, &flags, &arguments.options)?;
    let broker = BrokerRole::load(given.loader())?;
    let controller = ControllerRole::load(given.loader())?;
    let coordinator = GroupCoordinatorRole::load(given.loader())?;
    given.run("dev", async |mut process: Process| {
        let started = start(&mut process, controller, coordinator, broker).await;
        process.until_stopped(started).await
    })
}

/// What `dev` has by default, and another process has not: everything below one directory, one replica of everything.
fn presets() -> Vec<(&'static str, String)> {
    let mut presets = vec![("node.id", "1".to_owned()), ("internal.listener", CONTROLLER.to_owned())];
    presets.extend(directories(Path::new(DEFAULT_DATA_DIR)));
    let replicas = ["default.replication.factor", "offsets.topic.replication.factor"];
    let transactions = ["transaction.state.log.replication.factor", "transaction.state.log.min.isr"];
    presets.extend(replicas.into_iter().chain(transactions).map(|name| (name, "1".to_owned())));
    presets
}

/// What the arguments say, as options.
fn flags(arguments: &DevArguments) -> Vec<String> {
    let mut flags = Vec::new();
    if let Some(data_dir) = &arguments.data_dir {
        flags.extend(directories(data_dir).map(|(name, value)| format!("{name}={value}")));
    }
    if arguments.kafka_addr.is_some() || arguments.grpc_addr.is_some() {
        let kafka = arguments.kafka_addr.as_deref().unwrap_or(DEFAULT_KAFKA);
        let grpc = arguments.grpc_addr.as_deref().unwrap_or(DEFAULT_GRPC);
        flags.push(format!("listeners={}", listeners_at(kafka, grpc)));
    }
    if let Some(http) = &arguments.http_addr {
        flags.push(format!("http.listener={http}"));
    }
    flags
}

fn directories(data_dir: &Path) -> impl Iterator<Item = (&'static str, String)> {
    let below = [("metadata.log.dir", METADATA_DIR), ("log.dirs", LOGS_DIR)];
    below.into_iter().map(|(name, directory)| (name, data_dir.join(directory).display().to_string()))
}

/// Starts the controller, the coordinator and then the broker, which are stopped the other way round: the broker's clients are
/// answered to the end, and the controller takes the notice of the others.
async fn start(
    process: &mut Process,
    controller: ControllerRole,
    coordinator: GroupCoordinatorRole,
    broker: BrokerRole,
) -> Result<(), Option<Failure>> {
    let bound = broker.bind().await?;
    let (kafka, grpc) = (bound.kafka, bound.grpc);
    let controller = controller.start(process).await?;
    let controllers = Controllers::new(process.network.clone(), vec![controller]);
    let internal = Internal { listener: Address::memory(GROUP_COORDINATOR), advertised: None };
    coordinator.start(process, controllers.clone(), internal).await?;
    let internal = Internal { listener: Address::memory(BROKER), advertised: None };
    broker.start(process, bound, controllers, internal).await?;
    announce(format_args!("ready kafka={kafka} grpc={grpc} http={}", process.http));
    Ok(())
}
