//! `levada log dump DIR`: what is on a disk, printed and checked, without a broker.
//!
//! Reads only. The files of a broker that runs may change while they are read; what looks torn at the end of the active
//! segment is then not torn.

mod batches;
mod directory;
mod indexes;
mod partition;
mod segment;
mod text;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::CliError;
use crate::output::OutputArgs;
use directory::DirectoryDump;
use partition::PartitionDump;

pub(crate) use directory::read_text;
pub(crate) use partition::segments;

/// Arguments of `log dump`.
#[derive(Debug, Args)]
pub struct DumpArgs {
    /// A data directory, or the directory of one partition in it.
    dir: PathBuf,
    /// Print every batch.
    #[arg(long)]
    batches: bool,
    /// Print every record, too.
    #[arg(long)]
    records: bool,
    /// Print every entry of the indexes.
    #[arg(long)]
    entries: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// How much to show.
#[derive(Debug, Clone, Copy)]
struct Detail {
    batches: bool,
    records: bool,
    entries: bool,
}

/// Everything that was found.
#[derive(Debug, Serialize)]
struct Dump {
    /// Absent if one partition was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<DirectoryDump>,
    partitions: Vec<PartitionDump>,
    /// How many things are wrong.
    problem_count: usize,
}

/// Runs the command.
pub(crate) fn run(args: &DumpArgs) -> Result<(), CliError> {
    let detail = Detail { batches: args.batches || args.records, records: args.records, entries: args.entries };
    let dump = dump(&args.dir, detail)?;
    args.output.print(&dump, Dump::text)?;
    match dump.problem_count {
        0 => Ok(()),
        1 => Err(CliError::Failed("one thing is wrong".to_owned())),
        count => Err(CliError::Failed(format!("{count} things are wrong"))),
    }
}

fn dump(dir: &std::path::Path, detail: Detail) -> Result<Dump, CliError> {
    if !dir.is_dir() {
        return Err(CliError::Usage(format!("{} is no directory", dir.display())));
    }
    let (directory, paths) = match partition::is_partition(dir)? {
        true => (None, vec![dir.to_owned()]),
        false => {
            let (directory, paths) = DirectoryDump::read(dir)?;
            (Some(directory), paths)
        }
    };
    let partitions =
        paths.iter().map(|path| PartitionDump::read(path, detail)).collect::<Result<Vec<_>, CliError>>()?;
    let problem_count = directory.as_ref().map_or(0, DirectoryDump::problem_count)
        + partitions.iter().map(PartitionDump::problem_count).sum::<usize>();
    Ok(Dump { directory, partitions, problem_count })
}
