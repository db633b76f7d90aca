//! What the measured server takes, as the system tells it of any process.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::CliError;

/// Clock ticks of a second in `/proc/<pid>/stat`: the kernel's interface to programs has 100 on every architecture that
/// Levada runs on, whatever the kernel's own tick.
const TICKS_PER_SECOND: u64 = 100;

/// How often a server that settles is looked at, and for how long at most.
const SETTLING_STEP: Duration = Duration::from_millis(100);
const SETTLING_LIMIT: Duration = Duration::from_secs(5);

/// CPU time of one step that a server takes when nothing is going on: heartbeats and timers, at most a tick.
const IDLE_STEP: Duration = Duration::from_millis(1_000 / TICKS_PER_SECOND);

/// A process by its id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Server {
    pid: u32,
}

impl Server {
    pub(super) const fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// CPU time that the process has taken so far, in user and kernel mode, over all its threads.
    pub(super) fn cpu(self) -> Result<Duration, CliError> {
        let path = format!("/proc/{}/stat", self.pid);
        let text = fs::read_to_string(&path).map_err(CliError::io(format!("{path} (--server-pid)")))?;
        let ticks = cpu_ticks(&text).ok_or_else(|| CliError::Failed(format!("{path} is not of the known form")))?;
        Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
    }

    /// Waits until the process does nothing much, so that what it does for the last run (it deletes files, for one) is not
    /// counted in the next; not for ever, since it may have other clients.
    pub(super) fn settle(self) -> Result<(), CliError> {
        let start = Instant::now();
        let mut before = self.cpu()?;
        while start.elapsed() < SETTLING_LIMIT {
            thread::sleep(SETTLING_STEP);
            let now = self.cpu()?;
            if now.saturating_sub(before) <= IDLE_STEP {
                break;
            }
            before = now;
        }
        Ok(())
    }

    /// Bytes of memory that the process has resident.
    pub(super) fn resident_bytes(self) -> Result<u64, CliError> {
        let path = format!("/proc/{}/status", self.pid);
        let text = fs::read_to_string(&path).map_err(CliError::io(format!("{path} (--server-pid)")))?;
        let kib =
            text.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.map(|kib| kib << 10).ok_or_else(|| CliError::Failed(format!("{path} has no VmRSS")))
    }
}

/// The sum of fields 14 (user) and 15 (system) of `/proc/<pid>/stat`. The second field is the command in parentheses and
/// may hold anything, spaces and parentheses included.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_command) = stat.rsplit_once(')')?;
    // The first word after the command is field 3.
    let mut fields = after_command.split_ascii_whitespace().skip(14 - 3);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_command() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 1234 66 0 0 20 0 9 0 100 1 1";
        assert_eq!(cpu_ticks(stat), Some(1_300));
        assert_eq!(cpu_ticks("7 (a"), None);
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn this_process_has_memory_and_time() {
        let server = Server::new(std::process::id());
        assert!(server.resident_bytes().unwrap() > 100_000);
        assert!(server.cpu().unwrap() < Duration::from_secs(1 << 20));
        assert!(Server::new(u32::MAX).cpu().is_err());
    }
}
