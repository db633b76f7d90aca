//! `levada group delete` and `levada group delete-offsets`.

use clap::Args;
use levada_client::TopicSelection;

use super::selection::Selection;
use crate::CliError;
use crate::connect::ConnectArgs;
use crate::output::{counted, print_line, tell};

/// Arguments of `group delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// The groups.
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    connect: ConnectArgs,
}

/// Arguments of `group delete-offsets`.
#[derive(Debug, Args)]
pub struct DeleteOffsetsArgs {
    /// The group.
    group: String,
    /// All partitions of this topic, or some of them; may be repeated.
    #[arg(long = "topic", value_name = "TOPIC[:0,1]", required = true)]
    topics: Vec<Selection>,
    #[command(flatten)]
    connect: ConnectArgs,
}

pub(super) async fn run(args: DeleteArgs) -> Result<(), CliError> {
    let admin = args.connect.client()?.admin();
    let mut failed = 0;
    for group in &args.groups {
        match admin.delete_group(group).await {
            Ok(()) => print_line(&format!("group {group} deleted"))?,
            Err(error) => {
                tell(format_args!("group {group}: {error}"));
                failed += 1;
            }
        }
    }
    outcome(failed, "group was not deleted", "groups were not deleted")
}

pub(super) async fn run_offsets(args: DeleteOffsetsArgs) -> Result<(), CliError> {
    let topics: Vec<TopicSelection> = args.topics.into_iter().map(|selection| selection.0).collect();
    let mut failed = 0;
    for outcome in args.connect.client()?.admin().delete_group_offsets(&args.group, &topics).await? {
        match outcome.result {
            Ok(()) => print_line(&format!("group {}: the offset of {} is forgotten", args.group, outcome.partition))?,
            Err(error) => {
                tell(format_args!("{}: {error}", outcome.partition));
                failed += 1;
            }
        }
    }
    outcome(failed, "offset was not forgotten", "offsets were not forgotten")
}

fn outcome(failed: usize, one: &str, many: &str) -> Result<(), CliError> {
    if failed == 0 { Ok(()) } else { Err(CliError::Failed(counted(failed, one, many))) }
}
