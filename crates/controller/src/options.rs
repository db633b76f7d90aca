//! What an operator may say about a controller process, and why one does not start.

use std::path::PathBuf;

use levada_metadata::config::{BROKER_CONFIGS, StaticConfigs};
use levada_service::grpc::GrpcOptions;
use levada_service::net::Address;
use levada_service::options::{CommaList, OptionsError, OptionsLoader};
use levada_types::ClusterId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::raft::StorageError;

/// The options of the controller role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControllerOptions {
    /// The controller's number, unique among controllers, which is its id in Raft; -1 is "not given" and refused.
    #[serde(rename = "node.id")]
    pub node_id: i64,
    /// Where the metadata log and its snapshots are.
    #[serde(rename = "metadata.log.dir")]
    pub dir: PathBuf,
    /// The address that the internal services bind, `HOST:PORT` or `memory:NAME`.
    #[serde(rename = "internal.listener")]
    pub listener: String,
    /// The voters that found the cluster, `ID@ADDRESS` each; empty founds it alone.
    #[serde(rename = "controller.quorum.voters")]
    pub voters: CommaList,
    /// How often the leader of the quorum shows that it lives, in milliseconds.
    #[serde(rename = "controller.quorum.heartbeat.interval.ms")]
    pub quorum_heartbeat_ms: u64,
    /// After how long without a leader an election begins, in milliseconds; by chance up to twice that.
    #[serde(rename = "controller.quorum.election.timeout.ms")]
    pub election_timeout_ms: u64,
    /// Entries of the metadata log after which a snapshot is written and what is before it dropped.
    #[serde(rename = "metadata.log.max.entries.between.snapshots")]
    pub snapshot_entries: u64,
    /// Bytes of the metadata log after which the active controller does so, however few entries they are.
    #[serde(rename = "metadata.log.max.record.bytes.between.snapshots")]
    pub snapshot_bytes: u64,
    /// How often brokers show that they live, in milliseconds.
    #[serde(rename = "broker.heartbeat.interval.ms")]
    pub broker_heartbeat_ms: u64,
    /// After how long a silence a broker is fenced, in milliseconds. A new active controller gives every broker this long
    /// to reconnect.
    #[serde(rename = "broker.session.timeout.ms")]
    pub broker_session_timeout_ms: u64,
    /// How long a broker whose session stream broke has to come back before it is fenced, in milliseconds.
    #[serde(rename = "broker.session.grace.ms")]
    pub broker_session_grace_ms: u64,
    /// The identity that the cluster gets when this controller founds it, in Kafka's form of 22 characters; by default
    /// it is drawn.
    #[serde(rename = "cluster.id")]
    pub cluster_id: Option<String>,
    /// Broker settings that the process was given, for defaults such as `num.partitions`.
    #[serde(skip)]
    pub statics: StaticConfigs,
    /// The limits of the gRPC server.
    #[serde(skip)]
    pub grpc: GrpcOptions,
}

impl Default for ControllerOptions {
    fn default() -> Self {
        Self {
            node_id: -1,
            dir: PathBuf::new(),
            listener: String::new(),
            voters: CommaList::default(),
            // A leader is missed after 300 to 600 ms, so the quorum has a new one within about a second, well under the
            // 3 s that a failover may take, and a disk that syncs in 50 ms does not cost a leader its place.
            quorum_heartbeat_ms: 100,
            election_timeout_ms: 300,
            snapshot_entries: 5_000,
            // Kafka's default.
            snapshot_bytes: 20 << 20,
            // Kafka's defaults.
            broker_heartbeat_ms: 2_000,
            broker_session_timeout_ms: 9_000,
            // Long enough for a dropped connection to be dialled again, short enough for a failover under 500 ms.
            broker_session_grace_ms: 200,
            cluster_id: None,
            statics: StaticConfigs::default(),
            grpc: GrpcOptions::default(),
        }
    }
}

impl ControllerOptions {
    /// Takes the role's options, the limits of its server and the broker settings that may stand in the same file.
    ///
    /// # Errors
    /// [`OptionsError`] names the option that is wrong.
    pub fn load(loader: &mut OptionsLoader) -> Result<Self, OptionsError> {
        let mut options: Self = loader.take()?;
        options.grpc = loader.take()?;
        let given = loader.take_settings(BROKER_CONFIGS.iter().map(|def| def.name));
        options.statics =
            StaticConfigs::new(given).map_err(|error| OptionsError::invalid(error.name(), error.to_string()))?;
        Ok(options)
    }

    /// This node's number in the quorum.
    pub(crate) fn id(&self) -> Result<u64, StartError> {
        u64::try_from(self.node_id)
            .map_err(|_| StartError::Options("node.id is not given; set it to a number of at least 0".to_owned()))
    }

    /// The address to bind.
    pub(crate) fn address(&self) -> Result<Address, StartError> {
        self.listener.parse().map_err(|error| StartError::Options(format!("internal.listener: {error}")))
    }

    /// The identity for a new cluster, if one is given.
    pub(crate) fn genesis_id(&self) -> Result<Option<ClusterId>, StartError> {
        let wrong = |text: &String| StartError::Options(format!("cluster.id: {text:?} is not a cluster id"));
        self.cluster_id.as_ref().map(|text| ClusterId::parse(text).ok_or_else(|| wrong(text))).transpose()
    }
}

/// A controller cannot start, or cannot go on.
#[derive(Debug, Error)]
pub enum StartError {
    /// An option is missing or wrong.
    #[error("{0}")]
    Options(String),
    /// The storage cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Raft does not start or has stopped.
    #[error("the metadata quorum failed: {0}")]
    Raft(String),
    /// The internal services cannot be bound.
    #[error("the controller cannot listen at {address}: {source}")]
    Bind {
        /// Where.
        address: Address,
        /// Why not.
        source: std::io::Error,
    },
    /// The gRPC server failed.
    #[error(transparent)]
    Server(#[from] levada_service::grpc::GrpcServerError),
}
