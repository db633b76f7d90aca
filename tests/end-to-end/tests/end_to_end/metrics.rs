//! What a node says of itself: its metrics and its log.

use std::net::SocketAddr;

use levada_end_to_end::{Outcome, find_metric};
use levada_harness::Node;

use crate::patience::LIMIT;

/// The value of a metric, which stands behind its name and labels as Prometheus writes them; 0 if there is none yet.
pub(crate) fn metric(node: &Node, name: &str) -> Outcome<u64> {
    metric_at(node.http()?, name)
}

/// The same of the process whose metrics are at `http`.
pub(crate) fn metric_at(http: SocketAddr, name: &str) -> Outcome<u64> {
    Ok(find_metric(http, name, LIMIT)?.unwrap_or(0))
}

/// How many lines of the log, as far as it is kept, hold `text`.
pub(crate) fn lines_with(node: &Node, text: &str) -> usize {
    node.log().lines().filter(|line| line.contains(text)).count()
}
