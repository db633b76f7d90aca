//! What openraft keeps its statistics in, with as much interface as it uses and two numbers each.
//!
//! openraft shows these statistics only with its feature `runtime-stats`, which Levada does not use. So a histogram here
//! knows how many values it was given and the greatest of them, and says that of every percentile.

use std::fmt;
use std::marker::PhantomData;

/// Counts values and remembers the greatest. `T` is the type of data that slots of time would bear; there is one slot
/// here and it bears none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    samples: u64,
    greatest: u64,
    data: PhantomData<T>,
}

impl<T> Histogram<T> {
    /// Without any value.
    #[must_use]
    pub fn new() -> Self {
        Self { samples: 0, greatest: 0, data: PhantomData }
    }

    /// Counts `value`.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts `value` as often as `times` says.
    pub fn record_n(&mut self, value: u64, times: u64) {
        self.samples = self.samples.saturating_add(times);
        self.greatest = self.greatest.max(value);
    }

    /// How many values there are and the greatest of them, for every percentile.
    #[must_use]
    pub fn percentile_stats(&self) -> PercentileStats {
        let Self { samples, greatest: g, .. } = *self;
        PercentileStats { samples, p0_1: g, p1: g, p5: g, p10: g, p50: g, p90: g, p99: g, p99_9: g }
    }
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Percentiles of a histogram: upper bounds, since each is the greatest value of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PercentileStats {
    /// How many values there are.
    pub samples: u64,
    /// A bound of the 0.1th percentile.
    pub p0_1: u64,
    /// A bound of the 1st percentile.
    pub p1: u64,
    /// A bound of the 5th percentile.
    pub p5: u64,
    /// A bound of the 10th percentile.
    pub p10: u64,
    /// A bound of the median.
    pub p50: u64,
    /// A bound of the 90th percentile.
    pub p90: u64,
    /// A bound of the 99th percentile.
    pub p99: u64,
    /// A bound of the 99.9th percentile.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n={} max={}", self.samples, self.p99_9)
    }
}

/// Histograms by name, printed one a line.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart {
    series: Vec<(String, Histogram)>,
}

impl AsciiChart {
    /// Without any histogram.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a histogram.
    #[must_use]
    pub fn add(mut self, name: impl Into<String>, histogram: Histogram) -> Self {
        self.series.push((name.into(), histogram));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, histogram) in &self.series {
            writeln!(f, "{name}: {}", histogram.percentile_stats())?;
        }
        Ok(())
    }
}
