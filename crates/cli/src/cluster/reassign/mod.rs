//! `levada cluster reassign`: partitions move to other brokers.

mod plan_file;
mod throttle;
mod view;
mod wait;

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use levada_client::{Admin, NewReassignment, PartitionOutcome};
use levada_types::{BrokerId, TopicPartition};
use serde::Serialize;

use super::partition_choice::{partition, partitions};
use crate::CliError;
use crate::byte_size::ByteSize;
use crate::connect::ConnectArgs;
use crate::output::{OutputArgs, counted, print_line, table};
use view::list;
use wait::wait;

/// Arguments of `cluster reassign`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).multiple(true))]
pub struct ReassignArgs {
    /// What to move where, in the JSON of Kafka's kafka-reassign-partitions; - reads standard input.
    #[arg(long, value_name = "PATH", group = "what", conflicts_with = "topic")]
    file: Option<PathBuf>,
    /// The topic of the partition to move.
    #[arg(long, value_name = "NAME", group = "what")]
    topic: Option<String>,
    /// The partition to move.
    #[arg(long, value_name = "N", requires = "topic")]
    partition: Option<i32>,
    /// The brokers that shall hold it, the preferred leader first.
    #[arg(long, value_name = "ID,ID,…", value_delimiter = ',', requires = "partition", conflicts_with = "cancel")]
    replicas: Vec<i32>,
    /// Show what is being moved, how far it has come, and how long it will take.
    #[arg(long, group = "what", conflicts_with_all = ["cancel", "file", "replicas"])]
    list: bool,
    /// Stop moving what --file or --topic names, or everything; the partitions stay where they were.
    #[arg(long, group = "what")]
    cancel: bool,
    /// Wait until everything has moved that this command moves or, alone, that is being moved.
    #[arg(long, group = "what", conflicts_with_all = ["cancel", "list"])]
    wait: bool,
    /// Bytes per second that each broker may send, and may receive, of the replicas that move, such as 50MB. With --wait
    /// the limit is taken away in the end, otherwise by --clear-throttle.
    #[arg(long, value_name = "BYTES", value_parser = ByteSize::rate, conflicts_with_all = ["cancel", "list"])]
    throttle: Option<ByteSize>,
    /// Take away the limits that --throttle has set.
    #[arg(long, group = "what", conflicts_with_all = ["throttle", "list", "cancel", "wait", "file", "topic"])]
    clear_throttle: bool,
    /// Refuse to give a partition more or fewer replicas than it has.
    #[arg(long)]
    keep_replication_factor: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// What became of one partition.
#[derive(Debug, Serialize)]
struct OutcomeView {
    topic: String,
    partition: i32,
    /// Absent if it was done.
    error: Option<String>,
}

pub(super) async fn run(args: ReassignArgs) -> Result<(), CliError> {
    let admin = args.connect.client()?.admin();
    if args.list {
        let named = args.named(&admin).await?;
        return list(&admin, &named, args.output).await;
    }
    if args.clear_throttle {
        throttle::clear(&admin).await?;
        return print_line("the limits are taken away");
    }
    if args.cancel {
        let named = args.named(&admin).await?;
        let cancelled = admin.cancel_partition_reassignments(&named).await?;
        return args.tell(cancelled, "stopped");
    }
    let moves = args.moves()?;
    if moves.is_empty() {
        wait(&admin, &[]).await?;
        return print_line("nothing is being moved any more");
    }
    start(&admin, &args, &moves).await
}

async fn start(admin: &Admin, args: &ReassignArgs, moves: &[NewReassignment]) -> Result<(), CliError> {
    if let Some(rate) = args.throttle {
        throttle::set(admin, moves, rate.0).await?;
    }
    let outcomes = admin.alter_partition_reassignments(moves, args.keep_replication_factor).await?;
    let refused = outcomes.iter().any(|outcome| outcome.result.is_err());
    if refused || !args.wait {
        return args.tell(outcomes, "under way");
    }
    wait(admin, moves).await?;
    if args.throttle.is_some() {
        throttle::clear(admin).await?;
    }
    args.tell(outcomes, "moved")
}

impl ReassignArgs {
    /// What is to be moved where; nothing, if the command only waits.
    fn moves(&self) -> Result<Vec<NewReassignment>, CliError> {
        match (&self.file, &self.topic, self.partition) {
            (Some(path), ..) => plan_file::read(path),
            (None, Some(topic), Some(number)) if !self.replicas.is_empty() => Ok(vec![NewReassignment {
                partition: partition(topic, number)?,
                replicas: self.replicas.iter().copied().map(BrokerId).collect(),
            }]),
            (None, Some(_), _) => Err(CliError::Usage(
                "say where to: --partition N --replicas ID,ID,…, or use --list or --cancel".to_owned(),
            )),
            (None, None, _) => Ok(Vec::new()),
        }
    }

    /// The partitions that are named, wherever they are to be; none stands for all.
    async fn named(&self, admin: &Admin) -> Result<Vec<TopicPartition>, CliError> {
        match (&self.file, &self.topic) {
            (Some(path), _) => Ok(plan_file::read(path)?.into_iter().map(|new| new.partition).collect()),
            (None, Some(topic)) => partitions(admin, topic, self.partition.as_slice()).await,
            (None, None) => Ok(Vec::new()),
        }
    }

    /// Tells what became of each partition, and fails if any was refused.
    fn tell(&self, outcomes: Vec<PartitionOutcome<()>>, done: &str) -> Result<(), CliError> {
        let view = |outcome: PartitionOutcome<()>| OutcomeView {
            topic: outcome.partition.topic.to_string(),
            partition: outcome.partition.partition,
            error: outcome.result.err().map(|error| error.to_string()),
        };
        let views: Vec<OutcomeView> = outcomes.into_iter().map(view).collect();
        self.output.print(&views, |views| {
            if views.is_empty() {
                return "nothing is being moved".to_owned();
            }
            let outcome = |view: &OutcomeView| view.error.clone().unwrap_or_else(|| done.to_owned());
            let rows = views.iter().map(|view| [view.topic.clone(), view.partition.to_string(), outcome(view)]);
            table(&["TOPIC", "PARTITION", "OUTCOME"], rows)
        })?;
        match views.iter().filter(|view| view.error.is_some()).count() {
            0 => Ok(()),
            refused => {
                Err(CliError::Failed(format!("{} refused", counted(refused, "partition was", "partitions were"))))
            }
        }
    }
}
