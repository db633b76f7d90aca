//! `cargo xtask fuzz`: explores the fuzz targets with cargo-fuzz where a nightly toolchain has it, and replays the saved
//! corpora on stable Rust elsewhere.

use std::{env, ffi::OsString, fs, iter};

use clap::Args;

use crate::{
    failure::{Failure, Outcome},
    program::{self, Program},
    report::{NotRun, Report},
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
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome<NotRun> {
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
        return report.finish();
    }
    let explorer = match Explorer::install(workspace) {
        Ok(explorer) => explorer,
        Err(reason) => {
            report.not_run("explore", reason.to_string());
            return report.finish();
        }
    };
    for target in targets {
        report.step(&target, || explorer.run(workspace, &target, options.seconds));
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

/// cargo-fuzz on a nightly toolchain.
struct Explorer {
    /// `PATH` with cargo-fuzz in it.
    path: OsString,
}

impl Explorer {
    /// Finds a nightly toolchain, and installs cargo-fuzz below `target/tools` if it is not there yet.
    fn install(workspace: &Workspace) -> Outcome<Self> {
        Program::new("rustup")
            .args(["run", "nightly", "cargo", "--version"])
            .output()
            .map_err(|_| Failure::new("no nightly toolchain here: `rustup toolchain install nightly`"))?;
        let tools = workspace.target().join("tools");
        if program::find("cargo-fuzz").is_none() && !tools.join("bin/cargo-fuzz").is_file() {
            workspace.cargo(&["install", "--quiet", "--locked", "cargo-fuzz", "--root"]).args([&tools]).run()?;
        }
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(iter::once(tools.join("bin")).chain(env::split_paths(&path)))
            .map_err(|error| Failure::new(format!("PATH: {error}")))?;
        Ok(Self { path })
    }

    /// Explores one target. What it finds worth keeping goes below `target`, so that the saved corpus changes only when
    /// somebody means it; an input that fails is written to `fuzz/artifacts`, and belongs into the saved corpus.
    fn run(&self, workspace: &Workspace, target: &str, seconds: u32) -> Outcome {
        let found = workspace.target().join("fuzz-corpus").join(target);
        fs::create_dir_all(&found).map_err(Failure::io(found.display()))?;
        let limit = format!("-max_total_time={seconds}");
        // Cargo sets RUSTUP_TOOLCHAIN for what it starts, which would outrank `+nightly` of the rustup shim.
        Program::new("rustup")
            .directory(workspace.root())
            .env("PATH", &self.path)
            .args(["run", "nightly", "cargo", "fuzz", "run", target])
            .args([&found, &workspace.root().join("fuzz/corpus").join(target)])
            .args(["--", &limit, "-rss_limit_mb=2048", "-print_final_stats=1"])
            .run()
    }
}
