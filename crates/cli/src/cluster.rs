//! `levada cluster`: what the cluster is made of.

use clap::{Args, Subcommand};
use levada_client::{BrokerDescription, ClusterDescription};
use serde::Serialize;

use crate::CliError;
use crate::connect::{ConnectArgs, runtime};
use crate::output::{OutputArgs, table};

/// What to show of the cluster.
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Describes the cluster: its identity and its brokers.
    Describe(ClusterArgs),
    /// Lists the brokers with their addresses.
    Brokers(ClusterArgs),
}

/// Arguments of both.
#[derive(Debug, Args)]
pub struct ClusterArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The cluster as it is shown.
#[derive(Debug, Serialize)]
struct ClusterView {
    cluster_id: String,
    /// The broker that answered.
    answered_by: i32,
    /// Where that broker's view stands in the metadata log.
    metadata_offset: u64,
    brokers: Vec<BrokerView>,
}

/// A broker as it is shown.
#[derive(Debug, Serialize)]
struct BrokerView {
    id: i32,
    kafka_address: Option<String>,
    grpc_address: Option<String>,
    rack: Option<String>,
    /// Registered, but not alive as far as the controller knows.
    fenced: bool,
}

/// Runs one of the commands.
pub(crate) fn run(command: ClusterCommand) -> Result<(), CliError> {
    let runtime = runtime(1)?;
    match command {
        ClusterCommand::Describe(args) => {
            let cluster = runtime.block_on(ask(&args))?;
            args.output.print(&cluster, ClusterView::text)
        }
        ClusterCommand::Brokers(args) => {
            let cluster = runtime.block_on(ask(&args))?;
            args.output.print(&cluster.brokers, |brokers| brokers_table(brokers))
        }
    }
}

async fn ask(args: &ClusterArgs) -> Result<ClusterView, CliError> {
    Ok(ClusterView::new(args.connect.client()?.admin().describe_cluster().await?))
}

impl ClusterView {
    fn new(cluster: ClusterDescription) -> Self {
        Self {
            cluster_id: cluster.cluster_id,
            answered_by: cluster.answered_by.0,
            metadata_offset: cluster.metadata_offset,
            brokers: cluster.brokers.into_iter().map(BrokerView::new).collect(),
        }
    }

    fn text(&self) -> String {
        let alive = self.brokers.iter().filter(|broker| !broker.fenced).count();
        format!(
            "cluster {}\n{alive} of {} brokers alive\nmetadata offset {} (as broker {} sees it)\n\n{}",
            self.cluster_id,
            self.brokers.len(),
            self.metadata_offset,
            self.answered_by,
            brokers_table(&self.brokers)
        )
    }
}

impl BrokerView {
    fn new(broker: BrokerDescription) -> Self {
        let some = |address: String| (!address.is_empty()).then_some(address);
        Self {
            id: broker.id.0,
            kafka_address: some(broker.kafka_address),
            grpc_address: some(broker.grpc_address),
            rack: broker.rack,
            fenced: broker.fenced,
        }
    }
}

fn brokers_table(brokers: &[BrokerView]) -> String {
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows = brokers.iter().map(|broker| {
        let state = if broker.fenced { "fenced" } else { "alive" };
        [
            broker.id.to_string(),
            shown(&broker.kafka_address),
            shown(&broker.grpc_address),
            shown(&broker.rack),
            state.to_owned(),
        ]
    });
    table(&["BROKER", "KAFKA", "GRPC", "RACK", "STATE"], rows)
}
