//! How a cluster of machines is to be.

use std::path::PathBuf;

/// How a cluster of machines is to be.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Where everything is kept; it stays when the cluster is gone.
    pub home: PathBuf,
    /// How many controllers.
    pub controllers: u32,
    /// How many brokers.
    pub brokers: u32,
    /// How many group coordinators.
    pub group_coordinators: u32,
    /// Options of every controller.
    pub controller_settings: Vec<(String, String)>,
    /// Options of every broker.
    pub broker_settings: Vec<(String, String)>,
    /// Options of every group coordinator.
    pub group_coordinator_settings: Vec<(String, String)>,
    /// Whether the machines have a network, whose packets can be made to vanish, or are addresses of this machine.
    pub network: bool,
    /// Whether their disks can lose what was not synced, fill up and break.
    pub disks: bool,
    /// What chance decides in the proxies before them.
    pub seed: u64,
}
