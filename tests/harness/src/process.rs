//! Signals to processes that a test started.

use std::{fs, process::Child, thread};

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

/// Sends a signal. One that freezes has taken effect on return: until then a thread that runs on another core goes on, and may
/// answer what the test sends next.
pub(crate) fn signal_process(pid: u32, signal: Signal) -> Result<(), NodeError> {
    let number = i32::try_from(pid).map_err(|_| NodeError::WrongState("not running"))?;
    signal::kill(Pid::from_raw(number), signal)?;
    while signal == Signal::SIGSTOP && !is_still(pid) {
        thread::yield_now();
    }
    Ok(())
}

/// Whether no thread of a process runs, or will before it is told to go on.
fn is_still(pid: u32) -> bool {
    // It may have ended, and so may any of its threads.
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return true };
    threads.flatten().all(|thread| {
        let Ok(stat) = fs::read_to_string(thread.path().join("stat")) else { return true };
        // The state stands behind the name, which is in parentheses and may hold anything. One that waits for a disk (D) stops
        // as soon as it need not any more.
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        matches!(state, Some('T' | 't' | 'D' | 'Z' | 'X') | None)
    })
}
