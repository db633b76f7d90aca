//! Alternates the server's runs with bare loops and takes medians, since machines drift and single runs lie.

use std::fmt::Write as _;

use serde::Serialize;

use super::bare::BareRun;
use super::report::{RunReport, per_gb};
use crate::CliError;
use crate::output::table;

/// One run of each, one right after the other.
#[derive(Debug, Clone, Copy, Serialize)]
struct Pair {
    server_cpu_seconds_per_gb: f64,
    bare_cpu_seconds_per_gb: f64,
    /// The server's CPU time in multiples of the bare loop's.
    ratio: f64,
    server_mb_per_second: f64,
    bare_mb_per_second: f64,
}

/// All pairs and their medians.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pairs: Vec<Pair>,
    /// The median of each column by itself.
    median: Pair,
}

impl Comparison {
    /// Runs one pair to warm up and then `pairs` that count. Every other pair runs the other way round, so that neither
    /// side always comes second.
    pub(super) fn run(
        pairs: usize,
        bare: impl Fn(u64) -> Result<BareRun, CliError>,
        served: impl Fn() -> Result<RunReport, CliError>,
    ) -> Result<Self, CliError> {
        let bytes = served()?.bytes;
        bare(bytes)?;
        let pairs = (0..pairs)
            .map(|number| {
                let (served, bare) = if number % 2 == 0 {
                    let bare = bare(bytes)?;
                    (served()?, bare)
                } else {
                    let served = served()?;
                    let bare = bare(bytes)?;
                    (served, bare)
                };
                Pair::new(&served, &bare)
            })
            .collect::<Result<Vec<_>, CliError>>()?;
        let median = Pair {
            server_cpu_seconds_per_gb: median(pairs.iter().map(|pair| pair.server_cpu_seconds_per_gb)),
            bare_cpu_seconds_per_gb: median(pairs.iter().map(|pair| pair.bare_cpu_seconds_per_gb)),
            ratio: median(pairs.iter().map(|pair| pair.ratio)),
            server_mb_per_second: median(pairs.iter().map(|pair| pair.server_mb_per_second)),
            bare_mb_per_second: median(pairs.iter().map(|pair| pair.bare_mb_per_second)),
        };
        Ok(Self { pairs, median })
    }

    pub(super) fn text(&self) -> String {
        let header = ["PAIR", "SERVER CPU s/GB", "BARE CPU s/GB", "RATIO", "SERVER MB/s", "BARE MB/s"];
        let rows = self.pairs.iter().enumerate().map(|(index, pair)| pair.row((index + 1).to_string()));
        let mut text = table(&header, rows.chain([self.median.row("median".to_owned())]));
        let _ =
            write!(text, "\n\nthe server takes {:.2} times the CPU time of the bare loop (median)", self.median.ratio);
        text
    }
}

impl Pair {
    fn new(served: &RunReport, bare: &BareRun) -> Result<Self, CliError> {
        let server_cpu_seconds_per_gb = served
            .server_cpu_seconds_per_gb
            .ok_or_else(|| CliError::Usage("the server's CPU time is not known: give its --server-pid".to_owned()))?;
        let bare_cpu_seconds_per_gb = per_gb(bare.cpu, bare.bytes);
        Ok(Self {
            server_cpu_seconds_per_gb,
            bare_cpu_seconds_per_gb,
            ratio: server_cpu_seconds_per_gb / bare_cpu_seconds_per_gb,
            server_mb_per_second: served.mb_per_second,
            bare_mb_per_second: bare.bytes as f64 / 1e6 / bare.elapsed.as_secs_f64(),
        })
    }

    fn row(&self, name: String) -> [String; 6] {
        [
            name,
            format!("{:.3}", self.server_cpu_seconds_per_gb),
            format!("{:.3}", self.bare_cpu_seconds_per_gb),
            format!("{:.2}", self.ratio),
            format!("{:.0}", self.server_mb_per_second),
            format!("{:.0}", self.bare_mb_per_second),
        ]
    }
}

/// The middle value, or the mean of the two in the middle.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.as_slice() {
        [] => f64::NAN,
        values if values.len() % 2 == 1 => values[middle],
        values => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::time::Duration;

    use super::super::outcome::Outcome;
    use super::super::protocol::Protocol;
    use super::*;

    fn served(cpu_ms: u64) -> RunReport {
        let mut outcome = Outcome::new().unwrap();
        outcome.add(10, 1_000_000_000, Duration::from_millis(1));
        outcome.elapsed = Duration::from_secs(1);
        RunReport::new(Protocol::Kafka, &outcome, Some(Duration::from_millis(cpu_ms)), None)
    }

    #[test]
    fn the_median_of_ratios_is_not_moved_by_one_bad_pair() {
        let order = RefCell::new(Vec::new());
        let number = Cell::new(0);
        let comparison = Comparison::run(
            3,
            |bytes| {
                order.borrow_mut().push('b');
                Ok(BareRun { bytes, cpu: Duration::from_millis(500), elapsed: Duration::from_secs(1) })
            },
            || {
                order.borrow_mut().push('s');
                number.set(number.get() + 1);
                // The first warms up, the second is an outlier.
                Ok(served([7_000, 9_000, 750, 1_000][number.get() - 1]))
            },
        )
        .unwrap();
        assert_eq!(order.into_inner().into_iter().collect::<String>(), "sbbssbbs");
        assert!((comparison.median.ratio - 2.0).abs() < 1e-9, "{comparison:?}");
        assert!(comparison.text().contains("2.00 times"));
    }

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert!(median([].into_iter()).is_nan());
    }
}
