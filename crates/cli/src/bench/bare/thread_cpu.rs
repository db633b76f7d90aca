//! The CPU time of the calling thread.

use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::CliError;

/// CPU time that the calling thread has taken so far, in user and kernel mode.
pub(super) fn thread_cpu() -> Result<Duration, CliError> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).map_err(|errno| CliError::io("getrusage")(errno.into()))?;
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Ok(Duration::from_micros(micros.unsigned_abs()))
}
