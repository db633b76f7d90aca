//! The rows that are printed, in Markdown.

use crate::figures::median;

/// Prints the head of the table.
pub(crate) fn head() {
    println!("| what | seen | goal |");
    println!("|---|---|---|");
}

/// Prints a row.
pub(crate) fn row(what: &str, seen: &str, goal: &str) {
    println!("| {what} | {seen} | {goal} |");
}

/// Median and greatest of some times in milliseconds, and how many there are.
pub(crate) fn median_and_greatest(times_ms: &[f64]) -> String {
    let greatest = times_ms.iter().copied().reduce(f64::max);
    match (median(times_ms.to_vec()), greatest) {
        (Some(median), Some(greatest)) => {
            format!("median {median:.0} ms, greatest {greatest:.0} ms of {}", times_ms.len())
        }
        _ => "not measured".to_owned(),
    }
}
