//! What an operator may say about a controller process, and why one does not start.

use std::collections::BTreeMap;
use std::path::PathBuf;

use levada_metadata::State;
use levada_metadata::config::{BROKER_CONFIGS, Resolver, StaticConfigs};
use levada_service::grpc::GrpcOptions;
use levada_service::net::Address;
use levada_service::options::{CommaList, OptionsError, OptionsLoader};
use levada_types::ClusterId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::raft::StorageError;

/// The wait for a complete leader if the setting cannot be read.
const DEFAULT_UNCLEAN_WAIT_MS: i64 = 5_000;

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
    /// Where other roles are told to reach the internal services, if not at `internal.listener`.
    #[serde(rename = "internal.advertised.listener")]
    pub advertised: Option<String>,
    /// The voters that found the cluster, `ID@ADDRESS` each, this one included. Empty founds it alone, or joins one if
    /// there are bootstrap servers. Once the quorum is founded, its own log says who votes.
    #[serde(rename = "controller.quorum.voters")]
    pub voters: CommaList,
    /// Controllers of the cluster that this one joins, `HOST:PORT` each (KIP-853's option). It follows the metadata and
    /// votes once it was added with `levada cluster controllers add`.
    #[serde(rename = "controller.quorum.bootstrap.servers")]
    pub bootstrap_servers: CommaList,
    /// How often the leader of the quorum shows that it lives, in milliseconds.
    #[serde(rename = "controller.quorum.heartbeat.interval.ms")]
    pub quorum_heartbeat_ms: u64,
    /// After how long without a leader an election begins, in milliseconds; by chance up to twice that. A leader counts
    /// for twice that after it was last heard of, so it is missed after three to four times as long.
    #[serde(rename = "controller.quorum.election.timeout.ms")]
    pub election_timeout_ms: u64,
    /// Entries of the metadata log after which a snapshot is written and what is before it dropped.
    #[serde(rename = "metadata.log.max.entries.between.snapshots")]
    pub snapshot_entries: u64,
    /// Bytes of the metadata log after which the active controller does so, however few entries they are.
    #[serde(rename = "metadata.log.max.record.bytes.between.snapshots")]
    pub snapshot_bytes: u64,
    /// How often brokers show that they live, in milliseconds; they are told at most a third of
    /// `broker.session.reconnect.timeout.ms`.
    #[serde(rename = "broker.heartbeat.interval.ms")]
    pub broker_heartbeat_ms: u64,
    /// After how long a silence a broker is fenced, in milliseconds.
    #[serde(rename = "broker.session.timeout.ms")]
    pub broker_session_timeout_ms: u64,
    /// How long a broker whose session stream broke has to come back before it is fenced, in milliseconds.
    #[serde(rename = "broker.session.grace.ms")]
    pub broker_session_grace_ms: u64,
    /// How long a new active controller, which has never seen the brokers' sessions, waits for them to come to it before
    /// it fences them, in milliseconds.
    #[serde(rename = "broker.session.reconnect.timeout.ms")]
    pub broker_reconnect_timeout_ms: u64,
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
            advertised: None,
            voters: CommaList::default(),
            bootstrap_servers: CommaList::default(),
            // A leader is missed after 600 to 800 ms (see the option), so the quorum has a new one within a second, well
            // under the 3 s that a failover may take; and neither a disk that syncs in 50 ms nor a machine that is busy
            // for half a second costs a leader its place.
            quorum_heartbeat_ms: 100,
            election_timeout_ms: 200,
            snapshot_entries: 5_000,
            // Kafka's default.
            snapshot_bytes: 20 << 20,
            // A third of the time to reconnect; Kafka's 2,000 would let a controller hang unnoticed for longer than that.
            broker_heartbeat_ms: 500,
            // Kafka's default.
            broker_session_timeout_ms: 9_000,
            // Long enough for a dropped connection to be dialled again, short enough for a failover under 500 ms.
            broker_session_grace_ms: 200,
            // A broker whose stream broke finds a new active controller within about 300 ms, and one whose controller is silent
            // within two intervals of heartbeats and a pause, about 1.3 s. Together with the election it must stay well below
            // the 3 s that a failover may take when a broker dies with the active controller.
            broker_reconnect_timeout_ms: 1_500,
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

    /// The address that others are told, if one is given.
    pub(crate) fn advertised_address(&self) -> Result<Option<Address>, StartError> {
        let wrong = |error| StartError::Options(format!("internal.advertised.listener: {error}"));
        self.advertised.as_ref().map(|text| text.parse().map_err(wrong)).transpose()
    }

    /// The voters that this node founds a quorum with, itself included: number and address. `None` for one that joins.
    pub(crate) fn founders(&self, id: u64, address: &Address) -> Result<Option<BTreeMap<u64, String>>, StartError> {
        if self.voters.is_empty() {
            return Ok(self.bootstrap_servers.is_empty().then(|| [(id, address.to_string())].into()));
        }
        let mut voters = BTreeMap::new();
        for voter in self.voters.iter() {
            let wrong = || StartError::Options(format!("controller.quorum.voters: {voter:?} is not ID@ADDRESS"));
            let (number, at) = voter.split_once('@').ok_or_else(wrong)?;
            let at: Address = at.parse().map_err(|_| wrong())?;
            if voters.insert(number.parse().map_err(|_| wrong())?, at.to_string()).is_some() {
                return Err(StartError::Options(format!("controller.quorum.voters names controller {number} twice")));
            }
        }
        if !voters.contains_key(&id) {
            return Err(StartError::Options(format!(
                "controller.quorum.voters does not name this controller, {id}; name it, or leave the option out and set \
                 controller.quorum.bootstrap.servers to join a cluster that there is already"
            )));
        }
        Ok(Some(voters))
    }

    /// Every controller that this one was told of.
    pub(crate) fn known_controllers(&self, founders: &BTreeMap<u64, String>) -> Result<Vec<Address>, StartError> {
        let told = founders.values().map(String::as_str).chain(self.bootstrap_servers.iter());
        let read = |text: &str| {
            let wrong = |error| StartError::Options(format!("controller.quorum.bootstrap.servers: {error}"));
            text.parse().map_err(wrong)
        };
        told.map(read).collect()
    }

    /// How often brokers are told to show that they live, in milliseconds. A heartbeat that stays without an answer for as
    /// long again tells them that their controller is silent; then they have to find the new one in time.
    pub(crate) fn heartbeat_ms(&self) -> u64 {
        self.broker_heartbeat_ms.min(self.broker_reconnect_timeout_ms / 3).max(1)
    }

    /// How long a partition that may have an unclean leader waits for one that is complete, in milliseconds
    /// (`unclean.leader.election.wait.ms`), but at least as long as a session lasts.
    ///
    /// A broker is fenced much sooner where its stream breaks, and need not know of it. If it was alone in sync, it goes on
    /// committing by its lease ([`levada_peers::Lease`]), which began with a heartbeat before that: nobody leads in its place
    /// before that has lapsed.
    pub(crate) fn unclean_wait_ms(&self) -> u64 {
        let state = State::new();
        let wait = Resolver::new(&state, None, &self.statics).broker_long("unclean.leader.election.wait.ms");
        wait.unwrap_or(DEFAULT_UNCLEAN_WAIT_MS).unsigned_abs().max(self.broker_session_timeout_ms)
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
    /// Nobody could be told where this controller is.
    #[error(transparent)]
    Advertised(#[from] levada_service::net::NoAdvertisedAddress),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_elected_uncleanly_while_the_leader_before_may_hold_a_lease() {
        let wait_ms = |setting: Option<&str>, session_ms| {
            let given = setting.map(|value| ("unclean.leader.election.wait.ms".to_owned(), value.to_owned()));
            let statics = StaticConfigs::new(given).unwrap();
            let options =
                ControllerOptions { statics, broker_session_timeout_ms: session_ms, ..ControllerOptions::default() };
            options.unclean_wait_ms()
        };
        // A lease lasts for a session's time from when a heartbeat was sent, and the wait begins with the fence, after that.
        assert_eq!(wait_ms(None, 9_000), 9_000);
        assert_eq!(wait_ms(Some("0"), 9_000), 9_000);
        assert_eq!(wait_ms(None, 2_000), 5_000);
        assert_eq!(wait_ms(Some("60000"), 9_000), 60_000);
    }
}
