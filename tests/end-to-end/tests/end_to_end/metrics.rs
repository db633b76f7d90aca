//! What a node says of itself: its metrics and its log.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use levada_end_to_end::{Outcome, fail};
use levada_harness::Node;

/// The value of a metric, which stands behind its name and labels as Prometheus writes them; 0 if there is none yet.
pub(crate) fn metric(node: &Node, name: &str) -> Outcome<u64> {
    metric_at(node.http()?, name)
}

/// The same of the process whose metrics are at `http`.
pub(crate) fn metric_at(http: SocketAddr, name: &str) -> Outcome<u64> {
    let mut stream = TcpStream::connect(http)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: levada\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 200") {
        return fail(format!("no metrics: {answer}"));
    }
    let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.map_or(Ok(0), str::parse)?)
}

/// How many lines of the log, as far as it is kept, hold `text`.
pub(crate) fn lines_with(node: &Node, text: &str) -> usize {
    node.log().lines().filter(|line| line.contains(text)).count()
}
