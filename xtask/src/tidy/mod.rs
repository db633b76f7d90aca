//! `cargo xtask tidy`: the rules of the house that a machine can check.
//!
//! Each check is a function from what it looks at to violations, so that its tests run on small fixtures. A check never
//! repairs anything.

mod file_length;
mod headers;
mod inheritance;
mod layers;
mod leftovers;
mod names;
mod purity;
mod sources;
mod violation;

use std::fs;

use self::{layers::Layers, sources::Source, violation::Violation};
use crate::{
    failure::{Failure, Outcome},
    workspace::Workspace,
};

/// Files that may be longer than the limit, with the length each may have at most.
const LONG_FILES: &str = "xtask/long-files.txt";

/// Runs the lane.
pub(crate) fn run(workspace: &Workspace) -> Outcome {
    let violations = check(workspace)?;
    for violation in &violations {
        eprintln!("{violation}");
    }
    if violations.is_empty() { Ok(()) } else { Err(Failure::new(format!("tidy: {} violations", violations.len()))) }
}

fn check(workspace: &Workspace) -> Outcome<Vec<Violation>> {
    let root = workspace.root();
    let read = |path: &str| fs::read_to_string(root.join(path)).map_err(Failure::io(path));
    let metadata = workspace.metadata()?;
    let layers = Layers::parse(&read("layers.toml")?)?;
    let sources = Source::all(root)?;

    let mut violations = layers.check(metadata.members());
    for package in metadata.members() {
        let directory = package.manifest_path.parent().unwrap_or(root);
        let shown = package.manifest_path.strip_prefix(root).unwrap_or(&package.manifest_path).display().to_string();
        let manifest = fs::read_to_string(&package.manifest_path).map_err(Failure::io(&shown))?;
        violations.extend(inheritance::check(&shown, &manifest)?);
        if layers.is_pure(&package.name) {
            violations.extend(purity::check_dependencies(&layers, package, &metadata.closure(package)));
            let clippy = fs::read_to_string(directory.join("clippy.toml")).ok();
            violations.extend(purity::check_clippy(&layers, &package.name, clippy.as_deref()));
        }
    }
    for source in &sources {
        violations.extend(headers::check(source));
        violations.extend(leftovers::check(source));
        violations.extend(names::check(source));
    }
    violations.extend(file_length::check(&sources, &file_length::AllowList::parse(LONG_FILES, &read(LONG_FILES)?)?));
    Ok(violations)
}
