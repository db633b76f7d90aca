//! What the kernel tells of a process in `/proc`.

use std::{fs, io, time::Duration};

/// What the kernel told of a process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Resident memory now, in bytes.
    pub resident_bytes: u64,
    /// That part of it which is not of files: what the process itself has taken, in bytes.
    pub anonymous_bytes: u64,
    /// The most resident memory there ever was, in bytes.
    pub peak_resident_bytes: u64,
    /// Processor time used by all threads, in user and kernel mode together.
    pub cpu: Duration,
    /// Open file descriptors.
    pub open_descriptors: usize,
}

/// Clock ticks in a second as `/proc` counts them: `USER_HZ`, 100 on every Linux platform that Rust supports.
const TICKS_PER_SECOND: u64 = 100;

impl ProcessFacts {
    /// Reads the facts of process `pid`.
    pub fn read(pid: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Ok(Self {
            resident_bytes: kilobytes(&status, "VmRSS:").ok_or_else(|| unreadable("VmRSS"))?,
            anonymous_bytes: kilobytes(&status, "RssAnon:").ok_or_else(|| unreadable("RssAnon"))?,
            peak_resident_bytes: kilobytes(&status, "VmHWM:").ok_or_else(|| unreadable("VmHWM"))?,
            cpu: cpu(&stat).ok_or_else(|| unreadable("utime and stime"))?,
            open_descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
        })
    }
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("/proc tells no {what}"))
}

/// A value of `/proc/PID/status`, in bytes.
fn kilobytes(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// User and kernel time of `/proc/PID/stat`: fields 14 and 15, counted after the name in brackets.
fn cpu(stat: &str) -> Option<Duration> {
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + kernel) * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formats_of_proc_are_understood() {
        assert_eq!(kilobytes("Name:\tlevada\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n", "VmRSS:"), Some(1024 * 1024));
        assert_eq!(kilobytes("Name:\tlevada\n", "VmRSS:"), None);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 120 0 0 0 250 50 0 0 20 0 9 0 100 1 2 3";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
    }

    #[test]
    fn this_very_process_has_facts() {
        let facts = ProcessFacts::read(std::process::id()).expect("/proc tells of this process");
        assert!(facts.anonymous_bytes > 0 && facts.anonymous_bytes < facts.resident_bytes);
        assert!(facts.resident_bytes > 0 && facts.peak_resident_bytes >= facts.resident_bytes);
        assert!(facts.open_descriptors > 0);
    }
}
