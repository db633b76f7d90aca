//! Why a node could not be started or stopped.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

use crate::ReadyLineError;

/// Why a node could not be started, stopped or asked.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// `LEVADA_BIN` is not set and the binary could not be built.
    #[error("no `levada` binary: set LEVADA_BIN, or see why `cargo build --package levada` fails")]
    NoBinary,
    /// The process could not be started.
    #[error("cannot start {path}: {source}")]
    Start {
        /// The binary.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The process ended before it said that it was ready.
    #[error("levada ended with {status} before it was ready; it wrote:\n{log}")]
    EndedEarly {
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote to stderr.
        log: String,
    },
    /// The process is alive and has not said in time that it is ready.
    #[error("levada did not get ready within {limit:?}; it wrote:\n{log}")]
    NotReady {
        /// How long it was given.
        limit: Duration,
        /// The end of what it wrote to stderr.
        log: String,
    },
    /// What the process wrote to stdout is not the line that is promised.
    #[error(transparent)]
    ReadyLine(#[from] ReadyLineError),
    /// `sandbox.json` is not what was expected.
    #[error("sandbox.json: {0}")]
    Description(#[from] serde_json::Error),
    /// So many programs listen that no block of ports is free as a whole.
    #[error("no block of ports between 10000 and 32000 is free as a whole")]
    NoPorts,
    /// The sandbox has no such process.
    #[error("the sandbox has no {0}")]
    NoSuchProcess(String),
    /// The node is not running, or is running already.
    #[error("the node is {0}")]
    WrongState(&'static str),
    /// A signal could not be sent.
    #[error("cannot signal levada: {0}")]
    Signal(#[from] nix::Error),
    /// Reading or writing a file or `/proc` failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}
