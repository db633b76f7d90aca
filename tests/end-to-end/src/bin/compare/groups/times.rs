//! How long requests took.

use std::time::Duration;

use crate::figures::percentile;

/// Percentiles of some times, in milliseconds.
pub(super) fn told(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share| percentile(&times, share).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3);
    format!("p50 {:.2}, p99 {:.2}, p99.9 {:.2} ms of {}", at(0.5), at(0.99), at(0.999), times.len())
}
