//! Signals to processes that a test started.

use std::process::Child;

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

use crate::NodeError;

/// Asks a process to stop (SIGTERM); the caller waits until it has.
///
/// # Errors
/// If there is no such process any more.
pub fn ask_to_stop(process: &Child) -> Result<(), NodeError> {
    signal_process(process.id(), Signal::SIGTERM)
}

/// Freezes a process (SIGSTOP): nothing of it goes on until it is thawed or killed.
///
/// # Errors
/// If there is no such process any more.
pub fn freeze(process: &Child) -> Result<(), NodeError> {
    signal_process(process.id(), Signal::SIGSTOP)
}

/// Lets a process go on that was frozen (SIGCONT).
///
/// # Errors
/// If there is no such process any more.
pub fn thaw(process: &Child) -> Result<(), NodeError> {
    signal_process(process.id(), Signal::SIGCONT)
}

/// Sends a signal.
pub(crate) fn signal_process(pid: u32, signal: Signal) -> Result<(), NodeError> {
    let pid = i32::try_from(pid).map_err(|_| NodeError::WrongState("not running"))?;
    Ok(signal::kill(Pid::from_raw(pid), signal)?)
}
