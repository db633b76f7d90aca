//! `levada cluster controllers`: who votes, and who shall.

use std::time::Duration;

use clap::{Args, Subcommand};
use levada_client::{Quorum, QuorumMember};
use levada_types::DirectoryId;
use serde::Serialize;

use crate::CliError;
use crate::connect::ConnectArgs;
use crate::output::{OutputArgs, print_line, table};

/// Arguments of `cluster controllers`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ControllersArgs {
    #[command(subcommand)]
    command: Option<ControllersCommand>,
    #[command(flatten)]
    list: ListArgs,
}

/// What to do with controllers.
#[derive(Debug, Subcommand)]
enum ControllersCommand {
    /// Lists the controllers: who is active, who votes, and how far the others are behind.
    List(ListArgs),
    /// Gives a running controller a vote, and waits until it has caught up.
    Add(VoterArgs),
    /// Takes a controller's vote away. Remove one before you take it away for good, or its vote is missed.
    Remove(VoterArgs),
}

/// Arguments of the listing.
#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Arguments of `add` and `remove`.
#[derive(Debug, Args)]
struct VoterArgs {
    /// The controller's node.id.
    id: u64,
    /// Only under this metadata directory, as the listing shows it [default: the one it has announced].
    #[arg(long, value_name = "DIRECTORY-ID", value_parser = directory)]
    directory: Option<DirectoryId>,
    /// How long to wait.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    timeout: humantime::Duration,
    #[command(flatten)]
    connect: ConnectArgs,
}

fn directory(text: &str) -> Result<DirectoryId, String> {
    DirectoryId::parse(text).ok_or_else(|| format!("{text:?} is not the id of a directory, 22 characters"))
}

/// The quorum as it is shown.
#[derive(Debug, Serialize)]
struct QuorumView {
    leader: u64,
    term: u64,
    committed_offset: u64,
    controllers: Vec<MemberView>,
}

/// A controller as it is shown.
#[derive(Debug, Serialize)]
struct MemberView {
    id: u64,
    address: String,
    directory_id: String,
    voter: bool,
    active: bool,
    log_end_offset: Option<u64>,
    /// Entries behind the active controller.
    lag: Option<u64>,
    /// Milliseconds since the active controller has heard of it.
    last_heard_ms: Option<u64>,
}

pub(super) async fn run(args: ControllersArgs) -> Result<(), CliError> {
    match args.command {
        None => list(args.list).await,
        Some(ControllersCommand::List(args)) => list(args).await,
        Some(ControllersCommand::Add(args)) => {
            let admin = args.connect.client()?.admin();
            admin.add_voter(args.id, args.directory, *args.timeout).await?;
            print_line(&format!("controller {} votes", args.id))
        }
        Some(ControllersCommand::Remove(args)) => {
            let admin = args.connect.client()?.admin();
            admin.remove_voter(args.id, args.directory, *args.timeout).await?;
            print_line(&format!("controller {} does not vote any more", args.id))
        }
    }
}

async fn list(args: ListArgs) -> Result<(), CliError> {
    let quorum = args.connect.client()?.admin().describe_quorum().await?;
    args.output.print(&QuorumView::new(quorum), QuorumView::text)
}

impl QuorumView {
    fn new(quorum: Quorum) -> Self {
        let leader = quorum.leader;
        let view = |member: QuorumMember, voter| MemberView {
            id: member.id,
            address: member.address,
            directory_id: member.directory_id,
            voter,
            active: member.id == leader,
            log_end_offset: member.log_end_offset,
            lag: member.lag,
            last_heard_ms: member.last_heard.map(millis),
        };
        let voters = quorum.voters.into_iter().map(|member| view(member, true));
        let observers = quorum.observers.into_iter().map(|member| view(member, false));
        let controllers = voters.chain(observers).collect();
        Self { leader, term: quorum.term, committed_offset: quorum.committed_offset, controllers }
    }

    fn text(&self) -> String {
        let rows = self.controllers.iter().map(MemberView::row);
        format!(
            "controller {} is active, term {}, committed offset {}\n\n{}",
            self.leader,
            self.term,
            self.committed_offset,
            table(&["CONTROLLER", "ROLE", "ADDRESS", "LAG", "HEARD", "DIRECTORY"], rows)
        )
    }
}

impl MemberView {
    fn row(&self) -> [String; 6] {
        let role = match (self.active, self.voter) {
            (true, _) => "active",
            (false, true) => "voter",
            (false, false) => "observer",
        };
        let heard = match (self.active, self.last_heard_ms) {
            (true, _) => "-".to_owned(),
            (false, Some(ms)) => format!("{ms} ms ago"),
            (false, None) => "never".to_owned(),
        };
        let lag = self.lag.map_or_else(|| "unknown".to_owned(), |lag| lag.to_string());
        [self.id.to_string(), role.to_owned(), self.address.clone(), lag, heard, self.directory_id.clone()]
    }
}

fn millis(ago: Duration) -> u64 {
    u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)
}
