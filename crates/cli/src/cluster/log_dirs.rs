//! `levada cluster log-dirs` and `levada cluster move-replica`: data directories and what is in them.

use clap::Args;
use indicatif::DecimalBytes;
use levada_client::{BrokerLogDirs, LogDir, LogDirReplica};
use levada_types::{BrokerId, TopicPartition};
use serde::Serialize;

use super::partition_choice::{partition, partitions};
use crate::CliError;
use crate::connect::ConnectArgs;
use crate::output::{OutputArgs, counted, print_line, table};

/// Arguments of `cluster log-dirs`.
#[derive(Debug, Args)]
pub struct LogDirsArgs {
    /// Only of this broker; may be repeated.
    #[arg(long, value_name = "ID")]
    broker: Vec<i32>,
    /// Only replicas of this topic, each of them shown.
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `cluster move-replica`.
#[derive(Debug, Args)]
pub struct MoveReplicaArgs {
    /// The broker that holds the replica.
    #[arg(long, value_name = "ID")]
    broker: i32,
    /// The topic.
    #[arg(long, value_name = "NAME")]
    topic: String,
    /// The partition.
    #[arg(long, value_name = "N")]
    partition: i32,
    /// The directory it is to be in, as `cluster log-dirs` shows it.
    #[arg(long, value_name = "PATH")]
    log_dir: String,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// A directory as it is shown.
#[derive(Debug, Serialize)]
struct DirView {
    broker: i32,
    /// Absent if the broker could not be asked.
    path: Option<String>,
    /// Why the broker or the directory does not answer.
    error: Option<String>,
    total_bytes: Option<u64>,
    usable_bytes: Option<u64>,
    replicas: Vec<ReplicaView>,
}

/// A replica as it is shown.
#[derive(Debug, Serialize)]
struct ReplicaView {
    topic: String,
    partition: i32,
    size_bytes: u64,
    offset_lag: i64,
    /// It is on its way into this directory.
    is_future: bool,
}

pub(super) async fn run(args: LogDirsArgs) -> Result<(), CliError> {
    let admin = args.connect.client()?.admin();
    let brokers: Vec<BrokerId> = args.broker.iter().copied().map(BrokerId).collect();
    let named: Vec<TopicPartition> = match &args.topic {
        Some(topic) => partitions(&admin, topic, &[]).await?,
        None => Vec::new(),
    };
    let told = admin.describe_log_dirs(&brokers, &named).await?;
    let views: Vec<DirView> = told.into_iter().flat_map(DirView::of_broker).collect();
    let with_replicas = args.topic.is_some();
    args.output.print(&views, |views| if with_replicas { replicas_table(views) } else { dirs_table(views) })?;
    match views.iter().filter(|view| view.path.is_none()).count() {
        0 => Ok(()),
        silent => Err(CliError::Failed(format!("{} could not be asked", counted(silent, "broker", "brokers")))),
    }
}

pub(super) async fn move_replica(args: MoveReplicaArgs) -> Result<(), CliError> {
    let admin = args.connect.client()?.admin();
    let at = partition(&args.topic, args.partition)?;
    let moves = [(at.clone(), args.log_dir.clone())];
    for outcome in admin.alter_replica_log_dirs(BrokerId(args.broker), &moves).await? {
        outcome.result?;
    }
    print_line(&format!(
        "broker {} moves its replica of {at} to {}; `levada cluster log-dirs --topic {}` shows when it is there",
        args.broker, args.log_dir, args.topic
    ))
}

impl DirView {
    fn of_broker(told: BrokerLogDirs) -> Vec<Self> {
        let broker = told.broker.0;
        match told.log_dirs {
            Ok(dirs) => dirs.into_iter().map(|dir| Self::new(broker, dir)).collect(),
            Err(error) => vec![Self {
                broker,
                path: None,
                error: Some(error.to_string()),
                total_bytes: None,
                usable_bytes: None,
                replicas: Vec::new(),
            }],
        }
    }

    fn new(broker: i32, dir: LogDir) -> Self {
        let replica = |replica: LogDirReplica| ReplicaView {
            topic: replica.partition.topic.to_string(),
            partition: replica.partition.partition,
            size_bytes: replica.size_bytes,
            offset_lag: replica.offset_lag,
            is_future: replica.is_future,
        };
        Self {
            broker,
            path: Some(dir.path),
            error: dir.error.map(|error| error.to_string()),
            total_bytes: dir.total_bytes,
            usable_bytes: dir.usable_bytes,
            replicas: dir.replicas.into_iter().map(replica).collect(),
        }
    }

    fn state(&self) -> String {
        self.error.clone().unwrap_or_else(|| "online".to_owned())
    }
}

fn bytes(count: Option<u64>) -> String {
    count.map_or_else(|| "-".to_owned(), |count| DecimalBytes(count).to_string())
}

fn dirs_table(views: &[DirView]) -> String {
    let rows = views.iter().map(|view| {
        let size = view.replicas.iter().map(|replica| replica.size_bytes).sum();
        [
            view.broker.to_string(),
            view.path.clone().unwrap_or_else(|| "-".to_owned()),
            view.state(),
            view.replicas.len().to_string(),
            bytes(Some(size)),
            bytes(view.usable_bytes),
            bytes(view.total_bytes),
        ]
    });
    table(&["BROKER", "DIRECTORY", "STATE", "REPLICAS", "SIZE", "FREE", "VOLUME"], rows)
}

fn replicas_table(views: &[DirView]) -> String {
    let rows = views.iter().flat_map(|view| {
        let path = view.path.clone().unwrap_or_else(|| view.state());
        view.replicas.iter().map(move |replica| {
            [
                replica.topic.clone(),
                replica.partition.to_string(),
                view.broker.to_string(),
                path.clone(),
                bytes(Some(replica.size_bytes)),
                replica.offset_lag.to_string(),
                if replica.is_future { "on its way" } else { "in use" }.to_owned(),
            ]
        })
    });
    table(&["TOPIC", "PARTITION", "BROKER", "DIRECTORY", "SIZE", "LAG", "STATE"], rows)
}
