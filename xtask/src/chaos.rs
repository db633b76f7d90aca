//! `cargo xtask chaos`: a node is killed, restarted and frozen at random under load, and the clients' history is checked.

use clap::Args;

use crate::{failure::Outcome, workspace::Workspace};

/// What the lane can be told.
#[derive(Args)]
pub(crate) struct Options {
    /// How long to go on.
    #[arg(long, default_value_t = 5)]
    minutes: u32,
    /// The seed of the faults; without it one is drawn and printed.
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs the lane.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome {
    let levada = workspace.build_levada(true)?;
    let minutes = options.minutes.to_string();
    let chaos = workspace
        .cargo(&["run", "--locked", "--release", "--package", "levada-end-to-end", "--bin", "chaos", "--"])
        .args(["--minutes", &minutes])
        .env("LEVADA_BIN", levada);
    match options.seed {
        Some(seed) => chaos.args(["--seed", &seed.to_string()]),
        None => chaos,
    }
    .run()
}
