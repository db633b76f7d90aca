//! `levada topic`: create, list, describe, alter, delete topics and add partitions.

mod acknowledgement;
mod describe;
mod replica_assignment;
mod view;

use clap::{Args, Subcommand};
use levada_client::{Admin, ConfigChange, ConfigResource, NewTopic};
use levada_types::ErrorCode;

use crate::CliError;
use crate::connect::{ConnectArgs, runtime};
use crate::output::{OutputArgs, print_line, table};
use crate::settings::Assignment;
use describe::describe;
use replica_assignment::ReplicaAssignment;
use view::{CreatedView, ListedView};

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub enum TopicCommand {
    /// Creates a topic.
    Create(CreateArgs),
    /// Lists topics by name.
    List(ListArgs),
    /// Describes topics: partitions, leaders, replicas, settings, and what an acknowledgement means.
    Describe(DescribeArgs),
    /// Changes settings of a topic, all or none.
    Alter(AlterArgs),
    /// Deletes topics and their records. There is no way back.
    Delete(DeleteArgs),
    /// Gives a topic more partitions. Records stay where they are, so keys may go elsewhere from then on.
    AddPartitions(AddPartitionsArgs),
}

/// Arguments of `topic create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The topic's name.
    name: String,
    /// How many partitions [default: the cluster's num.partitions].
    #[arg(long, value_name = "N")]
    partitions: Option<i32>,
    /// How many replicas of each partition [default: the cluster's default.replication.factor].
    #[arg(long, value_name = "N")]
    replication_factor: Option<i32>,
    /// Which brokers hold which partition, the preferred leader first: 1:2:3,2:3:1 is two partitions on three brokers each.
    #[arg(long, value_name = "ID:ID,ID:ID,…", conflicts_with_all = ["partitions", "replication_factor"])]
    replica_assignment: Option<ReplicaAssignment>,
    /// A setting, such as retention.ms=3600000; may be repeated.
    #[arg(long = "config", value_name = "NAME=VALUE")]
    configs: Vec<Assignment>,
    /// Succeed if a topic of this name exists, whatever its settings.
    #[arg(long)]
    if_not_exists: bool,
    /// Check everything and create nothing.
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `topic list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// List the topics that coordinators keep their state in, too.
    #[arg(long)]
    internal: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `topic describe`.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// The topics.
    #[arg(required_unless_present = "unhealthy")]
    names: Vec<String>,
    /// Show only partitions that are not as they should be: without a leader, with replicas that are not in sync. Without
    /// names those of all topics.
    #[arg(long)]
    unhealthy: bool,
    /// Show the first offset and the end of each partition.
    #[arg(long)]
    offsets: bool,
    /// Show all settings, not only those that were set.
    #[arg(long)]
    all_settings: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `topic alter`.
#[derive(Debug, Args)]
pub struct AlterArgs {
    /// The topic.
    name: String,
    /// Give a setting this value; may be repeated.
    #[arg(long = "config", value_name = "NAME=VALUE", required_unless_present = "delete_configs")]
    configs: Vec<Assignment>,
    /// Take a setting's value away, so that the cluster's applies; may be repeated.
    #[arg(long = "delete-config", value_name = "NAME")]
    delete_configs: Vec<String>,
    /// Check everything and change nothing.
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Arguments of `topic delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// The topics.
    #[arg(required = true)]
    names: Vec<String>,
    /// Pass over topics that do not exist.
    #[arg(long)]
    if_exists: bool,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Arguments of `topic add-partitions`.
#[derive(Debug, Args)]
pub struct AddPartitionsArgs {
    /// The topic.
    name: String,
    /// How many partitions it shall have afterwards.
    #[arg(long, value_name = "N", required_unless_present = "replica_assignment")]
    total: Option<i32>,
    /// Which brokers hold the new partitions, one after the other: 1:2:3,2:3:1 adds two partitions.
    #[arg(long, value_name = "ID:ID,ID:ID,…", conflicts_with = "total")]
    replica_assignment: Option<ReplicaAssignment>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Runs one of the commands.
pub(crate) fn run(command: TopicCommand) -> Result<(), CliError> {
    let runtime = runtime(1)?;
    match command {
        TopicCommand::Create(args) => runtime.block_on(create(args)),
        TopicCommand::List(args) => runtime.block_on(list(args)),
        TopicCommand::Describe(args) => runtime.block_on(describe(args)),
        TopicCommand::Alter(args) => runtime.block_on(alter(args)),
        TopicCommand::Delete(args) => runtime.block_on(delete(args)),
        TopicCommand::AddPartitions(args) => runtime.block_on(add_partitions(args)),
    }
}

async fn create(args: CreateArgs) -> Result<(), CliError> {
    let mut topic = NewTopic::new(&args.name).validate_only(args.validate_only);
    if let Some(count) = args.partitions {
        topic = topic.partitions(count);
    }
    if let Some(factor) = args.replication_factor {
        topic = topic.replication_factor(factor);
    }
    for brokers in args.replica_assignment.into_iter().flat_map(|assignment| assignment.0) {
        topic = topic.assign(&brokers);
    }
    for Assignment { name, value } in args.configs {
        topic = topic.config(name, value);
    }
    match args.connect.client()?.admin().create_topic(topic).await {
        Ok(created) => {
            let view = CreatedView::new(args.name, &created, args.validate_only);
            args.output.print(&view, CreatedView::text)
        }
        Err(error) if args.if_not_exists && error.code() == ErrorCode::TopicAlreadyExists => {
            print_line(&format!("topic {} exists", args.name))
        }
        Err(error) => Err(error.into()),
    }
}

async fn list(args: ListArgs) -> Result<(), CliError> {
    let topics = args.connect.client()?.admin().list_topics(args.internal).await?;
    let views: Vec<ListedView> = topics.into_iter().map(ListedView::new).collect();
    args.output
        .print(&views, |views| table(&["TOPIC", "PARTITIONS", "REPLICAS", "ID"], views.iter().map(ListedView::row)))
}

async fn alter(args: AlterArgs) -> Result<(), CliError> {
    let set = args.configs.into_iter().map(|assignment| ConfigChange::set(assignment.name, assignment.value));
    let delete = args.delete_configs.into_iter().map(ConfigChange::delete);
    let changes: Vec<ConfigChange> = set.chain(delete).collect();
    let resource = ConfigResource::Topic(args.name.clone());
    args.connect.client()?.admin().alter_configs(&resource, &changes, args.validate_only).await?;
    let done = if args.validate_only { "would be altered" } else { "altered" };
    print_line(&format!("topic {} {done}", args.name))
}

async fn delete(args: DeleteArgs) -> Result<(), CliError> {
    let admin = args.connect.client()?.admin();
    for name in &args.names {
        delete_one(&admin, name, args.if_exists).await?;
    }
    Ok(())
}

async fn delete_one(admin: &Admin, name: &str, if_exists: bool) -> Result<(), CliError> {
    match admin.delete_topic(name).await {
        Ok(id) => print_line(&format!("topic {name} ({id}) deleted")),
        Err(error) if if_exists && error.code() == ErrorCode::UnknownTopicOrPartition => {
            print_line(&format!("topic {name} does not exist"))
        }
        Err(error) => Err(error.into()),
    }
}

async fn add_partitions(args: AddPartitionsArgs) -> Result<(), CliError> {
    let admin = args.connect.client()?.admin();
    let total = match (args.total, args.replica_assignment) {
        (Some(total), _) => {
            admin.add_partitions(&args.name, total).await?;
            total
        }
        (None, Some(assignment)) => admin.assign_partitions(&args.name, &assignment.0).await?,
        (None, None) => return Err(CliError::Usage("say --total or --replica-assignment".to_owned())),
    };
    print_line(&format!("topic {} now has partitions 0 to {}", args.name, total - 1))
}
