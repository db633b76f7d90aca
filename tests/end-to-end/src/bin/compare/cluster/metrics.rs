//! Metrics of a process, as Prometheus reads them.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use levada_end_to_end::{Outcome, fail};

/// The value of a metric, which stands behind its name and labels; `None` if the process has none of that name.
pub(crate) fn metric(http: SocketAddr, name: &str) -> Outcome<Option<f64>> {
    let mut stream = TcpStream::connect(http)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: levada\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if !answer.starts_with("HTTP/1.1 200") {
        return fail(format!("{http} has no metrics: {answer}"));
    }
    let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.map(str::parse).transpose()?)
}
