//! `cargo xtask charts`: lints and renders the Helm chart and compares it with the golden files.
//!
//! Each `helm/levada/ci/NAME-values.yaml` is a values profile; its rendering is `helm/golden/NAME.yaml`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    failure::{Failure, Outcome},
    program::{self, Program},
    report::{NotRun, Report},
    workspace::Workspace,
};

/// The Helm that is built when the machine has none.
const HELM: &str = "helm.sh/helm/v3/cmd/helm@v3.19.0";

/// What the lane can be told.
#[derive(Args)]
pub(crate) struct Options {
    /// Write the golden files anew, for a change of the chart that is meant.
    #[arg(long)]
    bless: bool,
}

impl Options {
    /// Compare, change nothing.
    pub(crate) fn compare() -> Self {
        Self { bless: false }
    }
}

/// Runs the lane.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Outcome<NotRun> {
    let mut report = Report::new("charts");
    let helm = match helm(workspace) {
        Ok(helm) => helm,
        Err(reason) => {
            report.not_run("charts", reason.to_string());
            return report.finish();
        }
    };
    let chart = workspace.root().join("helm/levada");
    let golden = workspace.root().join("helm/golden");
    for profile in profiles(&chart.join("ci"))? {
        let name = profile.file_name().unwrap_or_default().to_string_lossy().replace("-values.yaml", "");
        report.step(format!("lint {name}"), || {
            Program::new(&helm)
                .args(["lint", "--strict", "--quiet"])
                .args([&chart])
                .args(["--values"])
                .args([&profile])
                .run()
        });
        report.step(format!("render {name}"), || {
            let rendered = Program::new(&helm)
                .args(["template", "levada"])
                .args([&chart])
                // The oldest Kubernetes of Chart.yaml; the version that a Helm assumes depends on how it was built.
                .args(["--kube-version", "1.25.0", "--namespace", "levada", "--values"])
                .args([&profile])
                .output()?;
            compare(&golden.join(format!("{name}.yaml")), &rendered, options.bless)
        });
    }
    report.finish()
}

fn compare(golden: &Path, rendered: &str, bless: bool) -> Outcome {
    if bless {
        return fs::write(golden, rendered).map_err(Failure::io(golden.display()));
    }
    let expected = fs::read_to_string(golden).map_err(Failure::io(golden.display()))?;
    match first_difference(&expected, rendered) {
        None => Ok(()),
        Some((line, expected, rendered)) => Err(Failure::new(format!(
            "{}:{line}: the golden file has `{expected}`, the chart renders `{rendered}`; \
             `cargo xtask charts --bless` takes the new one",
            golden.display()
        ))),
    }
}

/// The first line that differs, with its number and both versions of it.
fn first_difference<'a>(expected: &'a str, rendered: &'a str) -> Option<(usize, &'a str, &'a str)> {
    let (mut expected, mut rendered) = (expected.lines(), rendered.lines());
    for line in 1.. {
        match (expected.next(), rendered.next()) {
            (None, None) => return None,
            (one, other) if one == other => {}
            (one, other) => return Some((line, one.unwrap_or(""), other.unwrap_or(""))),
        }
    }
    None
}

fn profiles(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let mut profiles = Vec::new();
    for entry in fs::read_dir(directory).map_err(Failure::io(directory.display()))? {
        profiles.push(entry.map_err(Failure::io(directory.display()))?.path());
    }
    profiles.sort();
    Ok(profiles)
}

/// Finds Helm, or builds it below `target/tools`.
fn helm(workspace: &Workspace) -> Outcome<PathBuf> {
    if let Some(helm) = program::find("helm") {
        return Ok(helm);
    }
    let tools = workspace.target().join("tools");
    let helm = tools.join("helm");
    if !helm.is_file() {
        if program::find("go").is_none() {
            return Err(Failure::new(format!("no `helm` here, and no `go` to build {HELM}")));
        }
        Program::new("go").env("GOBIN", &tools).args(["install", HELM]).run()?;
    }
    Ok(helm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_told_with_its_line() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some((2, "b", "c")));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some((2, "", "b")));
        assert_eq!(first_difference("a\nb\n", "a\n"), Some((2, "b", "")));
    }
}
