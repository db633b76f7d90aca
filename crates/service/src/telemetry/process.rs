//! What the kernel knows of this process: processor time, memory, descriptors, threads.

use std::fs;

use metrics::{Unit, describe_gauge, gauge};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};

const CPU_SECONDS: &str = "process_cpu_seconds_total";
const RESIDENT_BYTES: &str = "process_resident_memory_bytes";
const OPEN_FDS: &str = "process_open_fds";
const MAX_FDS: &str = "process_max_fds";
const THREADS: &str = "process_threads";

/// Says what the figures mean.
pub(super) fn describe() {
    describe_gauge!(CPU_SECONDS, Unit::Seconds, "Processor time used, user and system");
    describe_gauge!(RESIDENT_BYTES, Unit::Bytes, "Resident memory");
    describe_gauge!(OPEN_FDS, Unit::Count, "Open file descriptors");
    describe_gauge!(MAX_FDS, Unit::Count, "File descriptors that may be open (soft limit)");
    describe_gauge!(THREADS, Unit::Count, "Threads");
}

/// Reads the figures now. What the kernel does not tell keeps its last value.
pub(super) fn record() {
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let micros = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        gauge!(CPU_SECONDS).set(micros(usage.user_time()) + micros(usage.system_time()));
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        if let Some(kib) = field(&status, "VmRSS:") {
            gauge!(RESIDENT_BYTES).set((kib * 1024) as f64);
        }
        if let Some(threads) = field(&status, "Threads:") {
            gauge!(THREADS).set(threads as f64);
        }
    }
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        // One of them is the directory that is being read.
        gauge!(OPEN_FDS).set(descriptors.count().saturating_sub(1) as f64);
    }
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        gauge!(MAX_FDS).set(soft as f64);
    }
}

/// The first number behind `name` in the lines of `/proc/self/status`.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let status = "Name:\tlevada\nVmRSS:\t   10240 kB\nThreads:\t7\n";
        assert_eq!(field(status, "VmRSS:"), Some(10_240));
        assert_eq!(field(status, "Threads:"), Some(7));
        assert_eq!(field(status, "VmSwap:"), None);
    }

    #[test]
    fn the_kernel_tells_of_this_very_process() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, record);
        let text = handle.render();
        for name in [CPU_SECONDS, RESIDENT_BYTES, OPEN_FDS, MAX_FDS, THREADS] {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            let value: f64 = line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or_default();
            assert!(value > 0.0, "{name}: {line:?}");
        }
    }
}
