//! One process of a sandbox: what it is, where it serves and where its files are.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What a process does. The order is that of starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// Cluster metadata on Raft.
    Controller,
    /// Consumer groups and committed offsets.
    GroupCoordinator,
    /// Partition logs, and the faces that clients see.
    Broker,
}

impl Role {
    /// The command of `levada` that runs it.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::Controller => "controller",
            Self::GroupCoordinator => "group-coordinator",
            Self::Broker => "broker",
        }
    }
}

/// Where a process serves, as ports of this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    /// The Kafka protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kafka: Option<u16>,
    /// The public gRPC services.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) grpc: Option<u16>,
    /// Metrics and health.
    pub(crate) http: u16,
    /// What other roles ask.
    pub(crate) internal: u16,
}

impl Ports {
    /// Takes the ports that a role needs.
    pub(crate) fn take(role: Role, ports: &mut impl Iterator<Item = u16>) -> Option<Self> {
        let (kafka, grpc) = match role {
            Role::Controller | Role::GroupCoordinator => (None, None),
            Role::Broker => (Some(ports.next()?), Some(ports.next()?)),
        };
        Some(Self { kafka, grpc, http: ports.next()?, internal: ports.next()? })
    }
}

/// One process of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// What it does.
    pub(crate) role: Role,
    /// Its number: the `node.id` of roles that have one.
    pub(crate) id: u32,
    /// Where it serves.
    pub(crate) ports: Ports,
}

impl Member {
    /// Where its files are.
    pub(crate) fn dir(&self, sandbox: &Path) -> PathBuf {
        sandbox.join(format!("{}-{}", self.role.command(), self.id))
    }

    /// Its configuration.
    pub(crate) fn config_file(&self, sandbox: &Path) -> PathBuf {
        self.dir(sandbox).join("levada.toml")
    }

    /// What it writes to standard error.
    pub(crate) fn log_file(&self, sandbox: &Path) -> PathBuf {
        self.dir(sandbox).join("levada.log")
    }

    /// Where it stores what it keeps; a group coordinator keeps nothing.
    pub(crate) fn data_dir(&self, sandbox: &Path) -> Option<PathBuf> {
        match self.role {
            Role::Controller => Some("metadata"),
            Role::GroupCoordinator => None,
            Role::Broker => Some("logs"),
        }
        .map(|name| self.dir(sandbox).join(name))
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role.command(), self.id)
    }
}

/// A port of this machine, as an address.
pub(crate) fn local(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
