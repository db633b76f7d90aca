//! What the face says of connections that went wrong: each is counted, and as many lines are logged as do no harm.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use levada_service::telemetry::LineLimit;
use metrics::{Counter, counter};

use crate::connection::End;

/// Counts and logs. A client can open connections and send nonsense as fast as it likes, so the lines are limited, and
/// what was left out is told in the next line or by [`Self::sum_up`].
pub(crate) struct Complaints {
    lines: LineLimit,
    at_fault: Counter,
    refused: Counter,
}

impl Complaints {
    pub(crate) fn new() -> Self {
        Self {
            lines: LineLimit::of_clients_faults(),
            at_fault: counter!("levada_kafka_connections_at_fault_total"),
            refused: counter!("levada_kafka_connections_refused_total"),
        }
    }

    /// A connection has ended: a line, as loud as the reason deserves.
    pub(crate) fn ended(&self, peer: SocketAddr, end: &End) {
        if !end.is_clients_fault() {
            tracing::debug!(%peer, reason = %end, "connection closed");
            return;
        }
        self.at_fault.increment(1);
        if let Some(left_out) = self.lines.admit(Instant::now()) {
            tracing::warn!(%peer, reason = %end, left_out, "connection closed");
        }
    }

    /// A connection was closed at once because there are too many.
    pub(crate) fn refused(&self, peer: SocketAddr) {
        self.refused.increment(1);
        if let Some(left_out) = self.lines.admit(Instant::now()) {
            let reason = "max.connections or max.connections.per.ip is reached";
            tracing::warn!(%peer, reason, left_out, "a connection was refused");
        }
    }

    /// The system could not hand over a connection.
    pub(crate) fn not_accepted(&self, error: &io::Error) {
        if let Some(left_out) = self.lines.admit(Instant::now()) {
            tracing::warn!(%error, left_out, "a connection could not be accepted");
        }
    }

    /// Tells what no later line has told. To be called every few seconds.
    pub(crate) fn sum_up(&self) {
        if let Some(left_out) = self.lines.left_out(Instant::now()) {
            tracing::warn!(left_out, "more connections went wrong than lines were logged");
        }
    }
}
