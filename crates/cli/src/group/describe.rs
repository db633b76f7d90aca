//! `levada group describe`: how far behind groups are, who is in them, and how they stand.

use clap::Args;

use super::view::{GroupView, OffsetView};
use crate::CliError;
use crate::connect::ConnectArgs;
use crate::output::{OutputArgs, counted, table, tell};

/// Arguments of `group describe`.
#[derive(Debug, Args)]
pub struct DescribeArgs {
    /// The groups.
    #[arg(value_name = "GROUP", required_unless_present = "all_groups", conflicts_with = "all_groups")]
    groups: Vec<String>,
    /// All groups that there are.
    #[arg(long)]
    all_groups: bool,
    /// Show the members in place of the offsets.
    #[arg(long)]
    members: bool,
    /// Show the state in place of the offsets.
    #[arg(long, conflicts_with = "members")]
    state: bool,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn run(args: DescribeArgs) -> Result<(), CliError> {
    let admin = args.connect.client()?.admin();
    let mut incomplete = None;
    let groups = if args.all_groups {
        let told = admin.list_groups(&[], &[]).await?;
        incomplete = told.incomplete;
        told.groups.into_iter().map(|group| group.id).collect()
    } else {
        args.groups
    };
    let with_offsets = !args.members && !args.state;
    let mut views = Vec::new();
    for group in &groups {
        let told = match with_offsets {
            true => admin.describe_group(group).await?,
            false => admin.describe_group_members(group).await?,
        };
        views.push(GroupView::new(told, with_offsets));
    }
    args.output.print(&views, |views| match (args.members, args.state) {
        (true, _) => members_table(views),
        (_, true) => state_table(views),
        _ => offsets_table(views),
    })?;
    for view in views.iter().filter(|view| view.members.is_empty()) {
        tell(format_args!("group {} has no members", view.listed.group));
    }
    if let Some(error) = incomplete {
        return Err(CliError::Failed(format!("some groups may be missing: {error}")));
    }
    let offsets = views.iter().flat_map(|view| view.offsets.iter().flatten());
    let unknown: Vec<(&OffsetView, &String)> =
        offsets.filter_map(|offset| offset.error.as_ref().map(|error| (offset, error))).collect();
    for (offset, error) in &unknown {
        tell(format_args!("{}: {error}", offset.place()));
    }
    match unknown.len() {
        0 => Ok(()),
        count => {
            let partitions = counted(count, "partition", "partitions");
            Err(CliError::Failed(format!("the lag of {partitions} is not known")))
        }
    }
}

fn offsets_table(views: &[GroupView]) -> String {
    let header = [
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "LAG-SECONDS",
        "CONSUMER-ID",
        "HOST",
        "CLIENT-ID",
    ];
    table(&header, views.iter().flat_map(GroupView::offset_rows))
}

fn members_table(views: &[GroupView]) -> String {
    let header = ["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "INSTANCE-ID", "#PARTITIONS", "ASSIGNMENT"];
    table(&header, views.iter().flat_map(GroupView::member_rows))
}

fn state_table(views: &[GroupView]) -> String {
    let header = ["GROUP", "TYPE", "ASSIGNMENT-STRATEGY", "STATE", "EPOCH", "#MEMBERS"];
    table(&header, views.iter().map(GroupView::state_row))
}
