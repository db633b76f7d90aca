//! The Rust files of the tree.

use std::{fs, path::Path};

use crate::failure::{Failure, Outcome};

/// Directories that hold no source of ours.
const SKIPPED: [&str; 3] = ["target", "node_modules", "levada-data"];

/// One Rust file.
pub(super) struct Source {
    /// Its path from the top directory, with forward slashes.
    pub(super) path: String,
    /// What it holds.
    pub(super) text: String,
}

impl Source {
    /// Every Rust file below `root`, hidden and built directories left out, in order of path.
    pub(super) fn all(root: &Path) -> Outcome<Vec<Self>> {
        let mut sources = Vec::new();
        collect(root, "", &mut sources)?;
        sources.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(sources)
    }
}

fn collect(directory: &Path, shown: &str, sources: &mut Vec<Source>) -> Outcome {
    for entry in fs::read_dir(directory).map_err(Failure::io(directory.display()))? {
        let entry = entry.map_err(Failure::io(directory.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if shown.is_empty() { name.clone() } else { format!("{shown}/{name}") };
        let kind = entry.file_type().map_err(Failure::io(&path))?;
        if kind.is_dir() && !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
            collect(&entry.path(), &path, sources)?;
        } else if kind.is_file() && name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).map_err(Failure::io(&path))?;
            sources.push(Source { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_this_file_and_nothing_that_was_built() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
        let sources = Source::all(root).expect("the tree can be read");
        assert!(sources.iter().any(|source| source.path == "xtask/src/tidy/sources.rs"));
        assert!(!sources.iter().any(|source| source.path.contains("target/debug")));
    }
}
