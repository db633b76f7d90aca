//! `levada cluster`: what the cluster is made of, and what its operator does to it.

mod decommission;
mod describe;
mod elect_leaders;
mod features;
mod log_dirs;
mod partition_choice;
mod quorum;
mod reassign;
mod rebalance;

use clap::Subcommand;

use crate::CliError;
use crate::connect::runtime;

/// What to do with the cluster.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Describes the cluster: its identity, its brokers, and how its partitions fare.
    Describe(describe::DescribeArgs),
    /// Lists the brokers with their addresses and what they hold.
    Brokers(describe::DescribeArgs),
    /// Lists the controllers, gives one a vote, or takes it away.
    Controllers(quorum::ControllersArgs),
    /// Moves partitions to other brokers; shows, awaits and cancels moves.
    Reassign(reassign::ReassignArgs),
    /// Evens out the brokers: replicas and leaderships.
    Rebalance(rebalance::RebalanceArgs),
    /// Elects leaders: the preferred ones, or whoever lives.
    ElectLeaders(elect_leaders::ElectLeadersArgs),
    /// Empties a broker, so that it can be taken away.
    Decommission(decommission::DecommissionArgs),
    /// Forgets a broker that was stopped for good.
    Unregister(decommission::UnregisterArgs),
    /// Shows the features of the cluster and raises their levels.
    Features(features::FeaturesArgs),
    /// Shows the data directories of brokers and what is in them.
    LogDirs(log_dirs::LogDirsArgs),
    /// Moves a replica into another data directory of its broker.
    MoveReplica(log_dirs::MoveReplicaArgs),
}

/// Runs one of the commands.
pub(crate) fn run(command: ClusterCommand) -> Result<(), CliError> {
    let runtime = runtime(1)?;
    match command {
        ClusterCommand::Describe(args) => runtime.block_on(describe::describe(args)),
        ClusterCommand::Brokers(args) => runtime.block_on(describe::brokers(args)),
        ClusterCommand::Controllers(args) => runtime.block_on(quorum::run(args)),
        ClusterCommand::Reassign(args) => runtime.block_on(reassign::run(args)),
        ClusterCommand::Rebalance(args) => runtime.block_on(rebalance::run(args)),
        ClusterCommand::ElectLeaders(args) => runtime.block_on(elect_leaders::run(args)),
        ClusterCommand::Decommission(args) => runtime.block_on(decommission::run(args)),
        ClusterCommand::Unregister(args) => runtime.block_on(decommission::unregister(args)),
        ClusterCommand::Features(args) => runtime.block_on(features::run(args)),
        ClusterCommand::LogDirs(args) => runtime.block_on(log_dirs::run(args)),
        ClusterCommand::MoveReplica(args) => runtime.block_on(log_dirs::move_replica(args)),
    }
}
