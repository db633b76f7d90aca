//! `cargo xtask test`: the gate.
//!
//! Runs unprivileged and needs no network but cargo's. The binary is built before any test runs, because the end-to-end
//! tests start it as a process and cargo builds no binary of one package for the tests of another.

use clap::Args;

use crate::{failure::Outcome, workspace::Workspace};

/// The seed of every property test in the gate, so that a red gate is red again on the next run.
/// Fresh seeds are drawn by `cargo xtask simulate` and `cargo xtask ci`.
pub(crate) const GATE_SEED: &str = "20260401";

/// What the lane can be told.
#[derive(Args)]
pub(crate) struct Options {
    /// Only this package.
    #[arg(long, short)]
    package: Option<String>,
    /// Arguments for the test binaries: names of tests, `--nocapture`.
    #[arg(last = true)]
    rest: Vec<String>,
}

impl Options {
    /// The whole gate.
    pub(crate) fn everything() -> Self {
        Self { package: None, rest: Vec::new() }
    }
}

/// Runs the lane.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome {
    let levada = match &options.package {
        Some(_) => workspace.build_levada(false)?,
        None => {
            // The package `levada` has integration tests, for which cargo builds its binary along with everything else.
            // Built by itself it would have other features, and its dependencies would be compiled twice.
            workspace.cargo(&["test", "--locked", "--workspace", "--no-run"]).run()?;
            workspace.levada(false)
        }
    };
    let test = workspace.cargo(&["test", "--locked"]);
    let test = match &options.package {
        Some(package) => test.args(["--package", package]),
        None => test.args(["--workspace"]),
    };
    test.args(["--"]).args(&options.rest).env("LEVADA_BIN", levada).env("PROPTEST_RNG_SEED", GATE_SEED).run()
}
