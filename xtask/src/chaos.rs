//! `cargo xtask chaos`: a node is killed, restarted and frozen under load, or everything fails in a cluster that can, as a
//! seed decides, and what the clients saw is checked.

use clap::Args;

use crate::{failure::Outcome, workspace::Workspace};

/// What the lane can be told.
#[derive(Args)]
pub(crate) struct Options {
    /// How long to go on.
    #[arg(long, default_value_t = 5)]
    minutes: u32,
    /// How many faults, or steps of a cluster, in place of a time: what replays a run.
    #[arg(long, conflicts_with = "minutes")]
    faults: Option<u32>,
    /// SIGKILL also loses what was not synced; takes FUSE and the right to mount.
    #[arg(long)]
    loss: bool,
    /// Three controllers and three brokers in place of one node, which lose power, connections, disks and each other.
    #[arg(long, conflicts_with = "loss")]
    cluster: bool,
    /// Group coordinators too, and consumer groups whose members come, go, die and freeze.
    #[arg(long, requires = "cluster")]
    groups: bool,
    /// The seed of the faults; without it one is drawn and printed.
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs the lane.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome {
    let levada = workspace.build_levada(true)?;
    let length = match options.faults {
        Some(faults) => ["--faults".to_owned(), faults.to_string()],
        None => ["--minutes".to_owned(), options.minutes.to_string()],
    };
    let chaos = workspace
        .cargo(&["run", "--locked", "--release", "--package", "levada-end-to-end", "--bin", "chaos", "--"])
        .args(length)
        .args(options.loss.then_some("--loss"))
        .args(options.cluster.then_some("--cluster"))
        .args(options.groups.then_some("--groups"))
        .env("LEVADA_BIN", levada);
    match options.seed {
        Some(seed) => chaos.args(["--seed", &seed.to_string()]),
        None => chaos,
    }
    .run()
}
