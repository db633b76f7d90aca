//! `levada group`: consumer groups, who is in them, how far behind they are, and their committed offsets.

mod delete;
mod describe;
mod list;
mod moment;
mod offsets_file;
mod reset_offsets;
mod selection;
mod view;

use clap::Subcommand;

use crate::CliError;
use crate::connect::runtime;

/// What to do with consumer groups.
#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Lists groups by name.
    List(list::ListArgs),
    /// Describes groups: what is committed and how far behind it is, or the members, or the state.
    Describe(describe::DescribeArgs),
    /// Moves the committed offsets of a group without members; shows what it would do unless told to --execute.
    ResetOffsets(reset_offsets::ResetOffsetsArgs),
    /// Deletes groups without members, and their offsets.
    Delete(delete::DeleteArgs),
    /// Forgets what a group has committed for topics that it does not consume any more.
    DeleteOffsets(delete::DeleteOffsetsArgs),
}

/// Runs one of the commands.
pub(crate) fn run(command: GroupCommand) -> Result<(), CliError> {
    let runtime = runtime(1)?;
    match command {
        GroupCommand::List(args) => runtime.block_on(list::run(args)),
        GroupCommand::Describe(args) => runtime.block_on(describe::run(args)),
        GroupCommand::ResetOffsets(args) => runtime.block_on(reset_offsets::run(args)),
        GroupCommand::Delete(args) => runtime.block_on(delete::run(args)),
        GroupCommand::DeleteOffsets(args) => runtime.block_on(delete::run_offsets(args)),
    }
}
