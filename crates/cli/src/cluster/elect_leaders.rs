//! `levada cluster elect-leaders`.

use clap::{ArgGroup, Args};
use levada_client::{Election, PartitionOutcome};
use levada_types::{BrokerId, ErrorCode, TopicPartition};
use serde::Serialize;

use super::partition_choice::partitions;
use crate::CliError;
use crate::connect::ConnectArgs;
use crate::output::{OutputArgs, counted, table};

/// Arguments of `cluster elect-leaders`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true))]
pub struct ElectLeadersArgs {
    /// Every partition that needs it.
    #[arg(long, group = "which")]
    all: bool,
    /// The partitions of this topic.
    #[arg(long, value_name = "NAME", group = "which")]
    topic: Option<String>,
    /// Only this partition of the topic; may be repeated.
    #[arg(long, value_name = "N", requires = "topic")]
    partition: Vec<i32>,
    /// For partitions without a leader: let a replica lead that lives, although records that were acknowledged may be lost
    /// by it. Without this the first replica of the assignment is to lead, which loses nothing.
    #[arg(long)]
    unclean: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What became of one partition.
#[derive(Debug, Serialize)]
struct ElectedView {
    topic: String,
    partition: i32,
    /// Absent where nobody was elected.
    leader: Option<i32>,
    /// `elected`, `not needed` or why not.
    outcome: String,
    #[serde(skip)]
    failed: bool,
}

pub(super) async fn run(args: ElectLeadersArgs) -> Result<(), CliError> {
    let admin = args.connect.client()?.admin();
    let named: Vec<TopicPartition> = match &args.topic {
        Some(topic) => partitions(&admin, topic, &args.partition).await?,
        None => Vec::new(),
    };
    let election = if args.unclean { Election::Unclean } else { Election::Preferred };
    let elected = admin.elect_leaders(election, &named).await?;
    let views: Vec<ElectedView> = elected.into_iter().map(ElectedView::new).collect();
    args.output.print(&views, |views| text(views))?;
    match views.iter().filter(|view| view.failed).count() {
        0 => Ok(()),
        failed => Err(CliError::Failed(format!("{} got no leader", counted(failed, "partition", "partitions")))),
    }
}

impl ElectedView {
    fn new(outcome: PartitionOutcome<BrokerId>) -> Self {
        let (leader, said, failed) = match outcome.result {
            Ok(leader) => (Some(leader.0), "elected".to_owned(), false),
            Err(error) if error.code() == ErrorCode::ElectionNotNeeded => (None, "not needed".to_owned(), false),
            Err(error) => (None, error.to_string(), true),
        };
        let TopicPartition { topic, partition } = outcome.partition;
        Self { topic: topic.to_string(), partition, leader, outcome: said, failed }
    }
}

fn text(views: &[ElectedView]) -> String {
    if views.is_empty() {
        return "no partition needs an election".to_owned();
    }
    let rows = views.iter().map(|view| {
        let leader = view.leader.map_or_else(|| "-".to_owned(), |leader| leader.to_string());
        [view.topic.clone(), view.partition.to_string(), leader, view.outcome.clone()]
    });
    table(&["TOPIC", "PARTITION", "LEADER", "OUTCOME"], rows)
}
