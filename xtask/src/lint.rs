//! `cargo xtask lint`: format, clippy and rustdoc with warnings denied, tidy.

use crate::{
    failure::Outcome,
    report::{NotRun, Report},
    tidy,
    workspace::Workspace,
};

/// Runs the lane.
pub(crate) fn run(workspace: &Workspace) -> Outcome<NotRun> {
    let mut report = Report::new("lint");
    report.step("fmt", || workspace.cargo(&["fmt", "--all", "--check"]).run());
    report.step("tidy", || tidy::run(workspace));
    report.step("clippy", || {
        workspace.cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]).run()
    });
    report.step("rustdoc", || {
        workspace.cargo(&["doc", "--locked", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings").run()
    });
    report.finish()
}
