//! `sandbox.json`: what runs, and where.

use std::fs;
use std::path::Path;

use levada_log::format::parse_meta_properties;
use serde::Serialize;

use super::failure::SandboxFailure;
use super::layout::Layout;
use super::member::{Role, local};
use super::running::Running;

/// Where a broker notes which cluster its data belongs to.
const IDENTITY: &str = "meta.properties";

/// What runs, and where.
#[derive(Debug, Serialize)]
pub(crate) struct Description {
    cluster_id: String,
    processes: Vec<Process>,
}

/// One process. Addresses are `host:port`, where the role has them.
#[derive(Debug, Serialize)]
struct Process {
    role: Role,
    id: u32,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    kafka: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grpc: Option<String>,
    http: String,
    /// What other roles ask.
    internal: String,
    log_file: String,
    /// What starts this very process again.
    argv: Vec<String>,
}

impl Description {
    /// Describes what runs, once everything serves.
    pub(crate) fn new(dir: &Path, layout: &Layout, processes: &[Running]) -> Result<Self, SandboxFailure> {
        let processes = processes.iter().map(|running| {
            let member = running.member();
            Process {
                role: member.role,
                id: member.id,
                pid: running.pid(),
                kafka: member.ports.kafka.map(local),
                grpc: member.ports.grpc.map(local),
                http: local(member.ports.http),
                internal: local(member.ports.internal),
                log_file: member.log_file(dir).display().to_string(),
                argv: running.argv().to_vec(),
            }
        });
        Ok(Self { cluster_id: cluster_id(dir, layout)?, processes: processes.collect() })
    }

    /// As the file has it.
    pub(crate) fn to_json(&self) -> Result<String, SandboxFailure> {
        serde_json::to_string_pretty(self).map_err(|error| SandboxFailure::Identity(error.to_string()))
    }
}

/// The cluster's identity, which a broker writes into its directory when it has joined.
fn cluster_id(dir: &Path, layout: &Layout) -> Result<String, SandboxFailure> {
    let broker = layout.brokers().next().ok_or_else(|| SandboxFailure::Identity("there is no broker".to_owned()))?;
    let path = broker.data_dir(dir).unwrap_or_default().join(IDENTITY);
    let text = fs::read_to_string(&path).map_err(SandboxFailure::file(&path))?;
    let identity = parse_meta_properties(&text)
        .map_err(|reason| SandboxFailure::Identity(format!("{}: {reason}", path.display())))?;
    let missing = || SandboxFailure::Identity(format!("{} names no cluster", path.display()));
    identity.cluster_id.map(|id| id.to_string()).ok_or_else(missing)
}
