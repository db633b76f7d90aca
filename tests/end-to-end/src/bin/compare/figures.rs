//! Medians, percentiles and how a figure is printed.

use std::time::Duration;

/// The middle of some figures; the lower one of two middles. `None` without figures.
pub(crate) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len().saturating_sub(1) / 2).copied()
}

/// The value below which a share of all values lies: `share` 0.99 is the 99th percentile.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Option<Duration> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * share).ceil() as usize).copied()
}

/// One line of a table: the median of each side, and the median of the ratios of the pairs.
pub(crate) fn print_pair(name: &str, unit: &str, levada: &[f64], kafka: &[f64]) {
    let ratios = levada.iter().zip(kafka).map(|(levada, kafka)| levada / kafka).collect();
    if let (Some(own), Some(other), Some(ratio)) = (median(levada.to_vec()), median(kafka.to_vec()), median(ratios)) {
        println!("| {name} | {own:.3} {unit} | {other:.3} {unit} | {ratio:.3} |");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![]), None);
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 0.0), Some(Duration::from_millis(1)));
        assert_eq!(percentile(&times, 0.5), Some(Duration::from_millis(51)));
        assert_eq!(percentile(&times, 1.0), Some(Duration::from_millis(100)));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
