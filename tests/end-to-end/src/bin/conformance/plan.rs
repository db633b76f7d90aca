//! The plan: which clients there are and how each is started.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use levada_end_to_end::Outcome;
use serde::Deserialize;

/// What is to be run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plan {
    /// How much of the corpus to use, in MiB.
    pub(crate) corpus_mb: u64,
    /// Where the jars of a real Kafka are that groups are run against, in place of Levada.
    pub(crate) kafka_jars: Option<PathBuf>,
    /// The clients, in order.
    pub(crate) clients: Vec<Client>,
}

/// One client program.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Client {
    /// The client library.
    pub(crate) name: String,
    /// What to start; phase and options follow.
    pub(crate) argv: Vec<String>,
    /// Variables of its environment.
    pub(crate) env: BTreeMap<String, String>,
    /// What is done with it.
    pub(crate) subject: Subject,
    /// What it can compress with.
    pub(crate) compressions: Vec<String>,
    /// Whether it can consume without a group.
    pub(crate) consumes: bool,
    /// Whether it speaks gRPC, not the Kafka protocol.
    pub(crate) grpc: bool,
    /// How it can be a member of a group: assignors of the classic protocol, and `consumer` for the next-generation one.
    pub(crate) group_protocols: Vec<String>,
    /// With which of these its members can be static ones that come back.
    pub(crate) static_protocols: Vec<String>,
}

impl Client {
    /// In which variants it is run.
    pub(crate) fn variants(&self) -> &[String] {
        if matches!(self.subject, Subject::Groups) { &self.group_protocols } else { &self.compressions }
    }
}

/// What is done with a client.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Subject {
    /// The round trip of the corpus, in phases.
    RoundTrip,
    /// Consumer groups: members that join, leave, crash and come back.
    Groups,
    /// The administration of a cluster, in phases.
    Cluster,
    /// A data directory of a real Kafka, whose jars the environment names.
    KafkaDirectory,
    /// A script of its own that gets the addresses of a node and ends with 0 or not.
    Script,
}

impl Plan {
    /// Reads a plan.
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        Ok(serde_json::from_slice(&fs::read(path)?)?)
    }
}
