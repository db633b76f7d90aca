//! A broker as the cluster knows it.

use levada_types::{BrokerEpoch, BrokerId, DirectoryId};
use uuid::Uuid;

use crate::LevelRange;

/// What is spoken at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndpointProtocol {
    /// Kafka's protocol in the clear (Kafka's PLAINTEXT).
    Plaintext,
    /// Kafka's protocol over TLS (SSL).
    Ssl,
    /// Kafka's protocol with SASL in the clear (SASL_PLAINTEXT).
    SaslPlaintext,
    /// Kafka's protocol with SASL over TLS (SASL_SSL).
    SaslSsl,
    /// The public gRPC services in the clear.
    Grpc,
    /// The public gRPC services over TLS.
    GrpcTls,
}

impl EndpointProtocol {
    /// Whether a Kafka client can use it.
    #[must_use]
    pub fn is_kafka(self) -> bool {
        matches!(self, Self::Plaintext | Self::Ssl | Self::SaslPlaintext | Self::SaslSsl)
    }

    /// Whether a gRPC client can use it.
    #[must_use]
    pub fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::GrpcTls)
    }
}

/// Where clients reach a broker: an *advertised* address, which need not be the one it is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The listener's name, unique within its broker. A client that came in through a listener is told the addresses of
    /// the listener of the same name.
    pub listener: String,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port, never 0.
    pub port: u16,
    /// What is spoken there.
    pub protocol: EndpointProtocol,
}

/// A registered broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRegistration {
    /// Its number.
    pub id: BrokerId,
    /// Counts registrations; greater than that of every earlier registration of any broker.
    pub epoch: BrokerEpoch,
    /// Which process: drawn anew at every start, so that a registration sent twice is recognised.
    pub incarnation: Uuid,
    /// Which boot of its machine, if known: bytes that were written but not flushed survive a process, not a boot.
    pub boot_id: Option<String>,
    /// Its data directories that are online. A replica in any other directory is offline.
    pub directories: Vec<DirectoryId>,
    /// Where clients reach it.
    pub endpoints: Vec<Endpoint>,
    /// Where other roles reach its internal services, in the form that their dialer reads.
    pub internal_address: String,
    /// The failure domain it stands in, if told (`broker.rack`).
    pub rack: Option<String>,
    /// The metadata levels it can run at.
    pub levels: LevelRange,
    /// It holds no current session, or has not caught up yet: it leads nothing and is told to no client.
    pub fenced: bool,
    /// It has given notice of a clean shutdown: it gets no new leaderships, and will not be unfenced under this epoch. Until
    /// it is fenced too, it serves what has not been moved yet.
    pub stopping: bool,
    /// It is being emptied (`levada cluster decommission`): it gets no new replicas, over all its registrations.
    pub draining: bool,
}

impl BrokerRegistration {
    /// Whether it may lead partitions and be told to clients.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !self.fenced && !self.stopping
    }

    /// Whether a replica of it that is assigned to `directory` can be reached. One that is not placed yet can.
    #[must_use]
    pub fn has_online(&self, directory: DirectoryId) -> bool {
        directory == DirectoryId::UNASSIGNED || self.directories.contains(&directory)
    }

    /// Its endpoint of this listener name.
    #[must_use]
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.listener == listener)
    }

    /// Its first endpoint for public gRPC.
    #[must_use]
    pub fn grpc_endpoint(&self) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.protocol.is_grpc())
    }
}
