//! What a measured server has to offer.

use std::net::SocketAddr;

use levada_end_to_end::Outcome;
use levada_harness::{Node, ProcessFacts};

/// A server that serves the Kafka protocol.
pub(crate) trait Server {
    /// Where it serves.
    fn kafka(&self) -> Outcome<SocketAddr>;
    /// What the kernel tells of its process now.
    fn facts(&self) -> Outcome<ProcessFacts>;
}

impl Server for Node {
    fn kafka(&self) -> Outcome<SocketAddr> {
        Ok(self.kafka()?)
    }

    fn facts(&self) -> Outcome<ProcessFacts> {
        Ok(self.facts()?)
    }
}
