//! What a process tells of itself in numbers.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::{Outcome, fail};

/// How long a process may take to answer; one that is frozen never does.
const LIMIT: Duration = Duration::from_secs(10);

/// The value of a metric of the process whose metrics are at `http`, by its name and labels as Prometheus writes them; 0 if
/// there is none yet.
pub fn metric_at(http: SocketAddr, name: &str) -> Outcome<u64> {
    Ok(find_metric(http, name, LIMIT)?.unwrap_or(0))
}

/// The same of a process that may take `limit` to answer; `None` if it has no metric of that name.
pub fn find_metric(http: SocketAddr, name: &str, limit: Duration) -> Outcome<Option<u64>> {
    let answer = metrics_at(http, limit)?;
    let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.map(str::parse).transpose()?)
}

/// Everything that such a process tells, as Prometheus reads it.
pub fn metrics_at(http: SocketAddr, limit: Duration) -> Outcome<String> {
    let mut stream = TcpStream::connect_timeout(&http, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: levada\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 200") {
        return fail(format!("{http} has no metrics: {answer}"));
    }
    Ok(answer)
}
