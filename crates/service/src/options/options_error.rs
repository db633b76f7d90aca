//! Why options were refused.

use std::path::PathBuf;

/// Why the options of a process were refused. Every text says which name is meant and where it was given.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// The file could not be read.
    #[error("cannot read the options file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the options file {path} is not valid TOML: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// A `--set` argument has no `=`.
    #[error("--set {argument:?}: write it as --set name=value")]
    NotAnAssignment {
        /// The argument.
        argument: String,
    },
    /// A name that nothing in this process knows.
    #[error("unknown option {name:?} in {origin}{}", nearest.as_ref().map(|n| format!("; did you mean {n:?}?")).unwrap_or_default())]
    Unknown {
        /// The name as given.
        name: String,
        /// Where it was given.
        origin: String,
        /// The known name nearest to it, if one is near.
        nearest: Option<String>,
    },
    /// A value of the wrong type or outside its range.
    #[error("option {name:?} in {origin}: {reason}")]
    Invalid {
        /// The name.
        name: String,
        /// Where it was given.
        origin: String,
        /// What is wrong with the value.
        reason: String,
    },
}

impl OptionsError {
    /// A value that the type of its option admits, but its owner does not.
    #[must_use]
    pub fn invalid(name: &str, reason: impl Into<String>) -> Self {
        Self::Invalid { name: name.to_owned(), origin: "the options".to_owned(), reason: reason.into() }
    }
}
