//! `levada cluster describe` and `levada cluster brokers`.

use clap::Args;
use levada_client::{BrokerDescription, ClusterDescription, ClusterHealth};
use serde::Serialize;

use crate::CliError;
use crate::connect::ConnectArgs;
use crate::output::{OutputArgs, counted, table};

/// Arguments of both.
#[derive(Debug, Args)]
pub struct DescribeArgs {
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
    health: HealthView,
    brokers: Vec<BrokerView>,
}

/// How the partitions fare.
#[derive(Debug, Serialize)]
struct HealthView {
    topics: u32,
    partitions: u32,
    leaderless: u32,
    under_min_isr: u32,
    under_replicated: u32,
    reassigning: u32,
    possible_losses: u64,
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
    /// It has given notice of its shutdown.
    stopping: bool,
    /// It is being emptied.
    draining: bool,
    replicas: u32,
    leaderships: u32,
}

pub(super) async fn describe(args: DescribeArgs) -> Result<(), CliError> {
    let cluster = ask(&args).await?;
    args.output.print(&cluster, ClusterView::text)
}

pub(super) async fn brokers(args: DescribeArgs) -> Result<(), CliError> {
    let cluster = ask(&args).await?;
    args.output.print(&cluster.brokers, |brokers| brokers_table(brokers))
}

async fn ask(args: &DescribeArgs) -> Result<ClusterView, CliError> {
    Ok(ClusterView::new(args.connect.client()?.admin().describe_cluster().await?))
}

impl ClusterView {
    fn new(cluster: ClusterDescription) -> Self {
        Self {
            cluster_id: cluster.cluster_id,
            answered_by: cluster.answered_by.0,
            metadata_offset: cluster.metadata_offset,
            health: HealthView::new(cluster.health),
            brokers: cluster.brokers.into_iter().map(BrokerView::new).collect(),
        }
    }

    fn text(&self) -> String {
        let alive = self.brokers.iter().filter(|broker| !broker.fenced).count();
        format!(
            "cluster {}\n{alive} of {} alive\n{}\nmetadata offset {} (as broker {} sees it)\n\n{}",
            self.cluster_id,
            counted(self.brokers.len(), "broker", "brokers"),
            self.health.text(),
            self.metadata_offset,
            self.answered_by,
            brokers_table(&self.brokers)
        )
    }
}

impl HealthView {
    fn new(health: ClusterHealth) -> Self {
        Self {
            topics: health.topics,
            partitions: health.partitions,
            leaderless: health.leaderless,
            under_min_isr: health.under_min_isr,
            under_replicated: health.under_replicated,
            reassigning: health.reassigning,
            possible_losses: health.possible_losses,
        }
    }

    /// What there is, and on lines of their own the things that are not as they should be.
    fn text(&self) -> String {
        let mut lines = vec![format!(
            "{}, {}",
            counted(self.topics as usize, "topic", "topics"),
            counted(self.partitions as usize, "partition", "partitions")
        )];
        let mut tell = |count: u64, text: &str| {
            if count > 0 {
                lines.push(format!("{count} {text}"));
            }
        };
        tell(self.leaderless.into(), "without a leader: neither written nor read");
        tell(self.under_min_isr.into(), "below min.insync.replicas: acks=all is refused");
        tell(self.under_replicated.into(), "with replicas that are not in sync");
        tell(self.reassigning.into(), "being moved (levada cluster reassign --list)");
        let elections = if self.possible_losses == 1 { "election" } else { "elections" };
        tell(self.possible_losses, &format!("{elections} after which acknowledged records may be missing"));
        if lines.len() == 1 {
            lines.push("every partition has its leader and all its replicas in sync".to_owned());
        }
        lines.join("\n")
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
            stopping: broker.stopping,
            draining: broker.draining,
            replicas: broker.replicas,
            leaderships: broker.leaderships,
        }
    }

    fn state(&self) -> &'static str {
        match (self.fenced, self.stopping, self.draining) {
            (true, _, true) => "fenced, being emptied",
            (true, ..) => "fenced",
            (false, true, _) => "stopping",
            (false, false, true) => "being emptied",
            (false, false, false) => "alive",
        }
    }
}

fn brokers_table(brokers: &[BrokerView]) -> String {
    let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows = brokers.iter().map(|broker| {
        [
            broker.id.to_string(),
            shown(&broker.kafka_address),
            shown(&broker.grpc_address),
            shown(&broker.rack),
            broker.state().to_owned(),
            broker.replicas.to_string(),
            broker.leaderships.to_string(),
        ]
    });
    table(&["BROKER", "KAFKA", "GRPC", "RACK", "STATE", "REPLICAS", "LEADS"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_and_nothing_else() {
        let well = ClusterHealth { topics: 1, partitions: 3, ..ClusterHealth::default() };
        let text = HealthView::new(well).text();
        assert!(text.starts_with("1 topic, 3 partitions") && text.contains("all its replicas in sync"), "{text}");
        let ill = ClusterHealth { leaderless: 2, ..well };
        let text = HealthView::new(ill).text();
        assert!(text.contains("2 without a leader") && !text.contains("in sync"), "{text}");
    }
}
