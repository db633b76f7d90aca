//! Ties a process to this one, so that none outlives a sandbox that was killed.
#![allow(unsafe_code, reason = "what a process does between fork and exec cannot be said in safe Rust")]

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use tokio::process::Command;

/// Has the kernel kill the process that `command` starts when the thread that starts it ends.
pub(crate) fn tie_to_this_process(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec, where only calls are allowed that are safe in a signal handler: it
    // makes one system call, and allocates and locks nothing.
    unsafe {
        command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?));
    }
}
