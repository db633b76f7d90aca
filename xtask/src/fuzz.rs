//! `cargo xtask fuzz`: explores the fuzz targets with cargo-fuzz where a nightly toolchain has it, and replays the saved
//! corpora on stable Rust elsewhere.

use std::fs;

use clap::Args;

use crate::{
    failure::{Failure, Outcome},
    program::Program,
    report::Report,
    test::GATE_SEED,
    workspace::Workspace,
};

/// What the lane can be told.
#[derive(Args)]
pub(crate) struct Options {
    /// Seconds of exploration for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only this target.
    #[arg(long)]
    target: Option<String>,
}

impl Options {
    /// Every target for `seconds`.
    pub(crate) fn for_seconds(seconds: u32) -> Self {
        Self { seconds, target: None }
    }
}

/// Runs the lane.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome {
    let mut report = Report::new("fuzz");
    report.step("replay", || {
        workspace
            .cargo(&["test", "--locked", "--package", "levada-fuzz-targets"])
            .env("PROPTEST_RNG_SEED", GATE_SEED)
            .run()
    });
    let targets = match &options.target {
        Some(target) => vec![target.clone()],
        None => targets(workspace)?,
    };
    if targets.is_empty() {
        report.not_run("explore", "fuzz/fuzz_targets holds no target");
    } else if let Err(reason) = cargo_fuzz(workspace) {
        report.not_run("explore", reason.to_string());
    } else {
        for target in targets {
            let limit = format!("-max_total_time={}", options.seconds);
            report.step(&target, || {
                workspace.cargo_nightly().args(["fuzz", "run", &target, "--", &limit, "-rss_limit_mb=2048"]).run()
            });
        }
    }
    report.finish()
}

/// The targets that the fuzz package has: one file each.
fn targets(workspace: &Workspace) -> Outcome<Vec<String>> {
    let directory = workspace.root().join("fuzz/fuzz_targets");
    let Ok(entries) = fs::read_dir(&directory) else { return Ok(Vec::new()) };
    let mut targets = Vec::new();
    for entry in entries {
        let path = entry.map_err(Failure::io(directory.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(stem) = path.file_stem()
        {
            targets.push(stem.to_string_lossy().into_owned());
        }
    }
    targets.sort();
    Ok(targets)
}

/// Whether cargo-fuzz can run on a nightly toolchain here.
fn cargo_fuzz(workspace: &Workspace) -> Outcome {
    workspace.cargo_nightly().args(["fuzz", "--version"]).output().map(drop).map_err(|_| {
        Failure::new(
            "needs `rustup toolchain install nightly` and `cargo install cargo-fuzz`; the corpora were replayed",
        )
    })
}

impl Workspace {
    fn cargo_nightly(&self) -> Program {
        // Cargo sets RUSTUP_TOOLCHAIN for what it starts, which would outrank `+nightly` of the rustup shim.
        Program::new("rustup").directory(self.root()).args(["run", "nightly", "cargo"])
    }
}
