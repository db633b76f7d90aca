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
    /// Only groups in these states: Empty, PreparingRebalance, CompletingRebalance, Assigning, Reconciling, Stable or Dead; with
    /// commas between them, or repeated.
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = parse_state)]
    states: Vec<String>,
    /// Only groups of these types: classic or consumer; with a comma between them, or repeated.
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = parse_type)]
    types: Vec<GroupType>,
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// The states that groups of one type or the other can be in.
const STATES: [&str; 7] =
    ["Empty", "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling", "Stable", "Dead"];

fn parse_state(text: &str) -> Result<String, String> {
    let found = STATES.into_iter().find(|known| known.eq_ignore_ascii_case(text.trim()));
    found.map(str::to_owned).ok_or_else(|| format!("the states are {}", STATES.join(", ")))
}

fn parse_type(text: &str) -> Result<GroupType, String> {
    let known = [GroupType::Classic, GroupType::Consumer];
    let found = known.into_iter().find(|known| type_name(Some(*known)).eq_ignore_ascii_case(text.trim()));
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        list: ListArgs,
    }

    fn listed(arguments: &[&str]) -> Option<(Vec<String>, Vec<GroupType>)> {
        let read = Command::try_parse_from([["list"].as_slice(), arguments].concat()).ok()?;
        Some((read.list.states, read.list.types))
    }

    #[test]
    fn states_and_types_are_named_as_in_kafkas_tool_and_no_others() {
        let both = vec!["Stable".to_owned(), "Empty".to_owned()];
        assert_eq!(listed(&["--state", "stable,Empty"]), Some((both.clone(), vec![])));
        assert_eq!(listed(&["--state", "Stable", "--state", "Empty"]), Some((both, vec![])));
        let types = vec![GroupType::Classic, GroupType::Consumer];
        assert_eq!(listed(&["--type", "Classic,consumer"]), Some((vec![], types)));
        assert_eq!(listed(&["--state", "Stabel"]), None);
        assert_eq!(listed(&["--type", "share"]), None);
    }
}
