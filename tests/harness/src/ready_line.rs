//! The one line that `levada dev` prints when it serves.

use std::{net::SocketAddr, str::FromStr};

/// The addresses of a ready node: `ready kafka=HOST:PORT grpc=HOST:PORT http=HOST:PORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyLine {
    /// The Kafka protocol.
    pub kafka: SocketAddr,
    /// The public gRPC services.
    pub grpc: SocketAddr,
    /// Metrics and health.
    pub http: SocketAddr,
}

/// A line on stdout that is not the ready line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not `ready kafka=HOST:PORT grpc=HOST:PORT http=HOST:PORT`")]
pub struct ReadyLineError(String);

impl FromStr for ReadyLine {
    type Err = ReadyLineError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        parse(line.trim_end()).ok_or_else(|| ReadyLineError(line.to_owned()))
    }
}

fn parse(line: &str) -> Option<ReadyLine> {
    let mut words = line.strip_prefix("ready ")?.split(' ');
    let mut field = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
    let ready = ReadyLine { kafka: field("kafka")?, grpc: field("grpc")?, http: field("http")? };
    words.next().is_none().then_some(ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promised_line_is_understood() {
        let ready: ReadyLine = "ready kafka=127.0.0.1:9092 grpc=127.0.0.1:9090 http=[::1]:9644\n"
            .parse()
            .expect("it is the promised line");
        assert_eq!(ready.kafka.port(), 9092);
        assert_eq!(ready.grpc.port(), 9090);
        assert!(ready.http.is_ipv6());
    }

    #[test]
    fn another_line_is_not() {
        for line in [
            "",
            "ready",
            "ready kafka=127.0.0.1:9092",
            "ready grpc=127.0.0.1:1 kafka=127.0.0.1:2 http=127.0.0.1:3",
            "ready kafka=127.0.0.1:1 grpc=127.0.0.1:2 http=127.0.0.1:3 more",
            "ready kafka=localhost grpc=127.0.0.1:2 http=127.0.0.1:3",
        ] {
            assert_eq!(line.parse::<ReadyLine>(), Err(ReadyLineError(line.to_owned())));
        }
    }
}
