//! `levada group list`: the groups there are.

use clap::Args;
use levada_client::GroupType;

use super::view::{ListedView, type_name};
use crate::CliError;
use crate::connect::ConnectArgs;
use crate::output::{OutputArgs, table};

/// Arguments of `group list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only groups in this state: Empty, PreparingRebalance, CompletingRebalance, Assigning, Reconciling, Stable or Dead; may
    /// be repeated.
    #[arg(long = "state", value_name = "STATE")]
    states: Vec<String>,
    /// Only groups of this type: classic or consumer; may be repeated.
    #[arg(long = "type", value_name = "TYPE", value_parser = parse_type)]
    types: Vec<GroupType>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn parse_type(text: &str) -> Result<GroupType, String> {
    let known = [GroupType::Classic, GroupType::Consumer];
    let found = known.into_iter().find(|known| type_name(Some(*known)).eq_ignore_ascii_case(text));
    found.ok_or_else(|| "a group is classic or consumer".to_owned())
}

pub(super) async fn run(args: ListArgs) -> Result<(), CliError> {
    let told = args.connect.client()?.admin().list_groups(&args.states, &args.types).await?;
    let views: Vec<ListedView> = told.groups.into_iter().map(ListedView::new).collect();
    let header = ["GROUP", "TYPE", "PROTOCOL", "STATE"];
    args.output.print(&views, |views| table(&header, views.iter().map(ListedView::row)))?;
    match told.incomplete {
        Some(error) => Err(CliError::Failed(format!("some groups may be missing: {error}"))),
        None => Ok(()),
    }
}
