//! Metrics of a process that is measured.

use std::{net::SocketAddr, time::Duration};

use levada_end_to_end::{Outcome, find_metric};

/// How long a process may take to answer, however busy it is.
const LIMIT: Duration = Duration::from_secs(60);

/// The value of a metric, which stands behind its name and labels; `None` if the process has none of that name.
pub(crate) fn metric(http: SocketAddr, name: &str) -> Outcome<Option<u64>> {
    find_metric(http, name, LIMIT)
}
