//! Apache Kafka as a server that is measured.

use std::{env, net::SocketAddr, path::PathBuf};

use levada_end_to_end::{KafkaServer, Outcome};
use levada_harness::ProcessFacts;

use crate::server::Server;

/// A Kafka that has not been started, from the jars in the directory `LEVADA_KAFKA_JARS`.
pub(crate) fn prepare() -> Outcome<KafkaServer> {
    let jars = env::var_os("LEVADA_KAFKA_JARS").map(PathBuf::from).ok_or("LEVADA_KAFKA_JARS is not set")?;
    KafkaServer::prepare(&jars)
}

impl Server for KafkaServer {
    fn kafka(&self) -> Outcome<SocketAddr> {
        Ok(self.address())
    }

    fn facts(&self) -> Outcome<ProcessFacts> {
        Ok(ProcessFacts::read(self.pid()?)?)
    }
}
