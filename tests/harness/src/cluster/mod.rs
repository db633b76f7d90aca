//! A cluster whose processes have a machine each: an address, a disk, and a way through a network, all of which can fail.
//!
//! Machines with a [`Network`] can be cut off from each other and from the clients, one way or both. Every connection, of
//! clients and between roles, goes through a [`Proxy`](crate::Proxy) on the machine that is connected to, which can make it
//! late, slow, stalled or end.

mod machine;
mod options;
mod ports;

use std::{
    collections::BTreeSet,
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

pub use self::{machine::Machine, options::ClusterOptions};
use crate::{LossyVolume, Network, NodeError, Proxy, Role, Route};

/// The id of the first controller, far above those of brokers, so that no id means two processes.
const FIRST_CONTROLLER: u32 = 1001;

/// The number of the first group coordinator.
const FIRST_GROUP_COORDINATOR: u32 = 2001;

/// Who can be cut off from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Everybody who is not a machine of the cluster.
    Clients,
    /// A machine, by its index.
    Machine(usize),
}

/// A cluster whose processes have a machine each. Dropping it ends them all.
#[derive(Debug)]
pub struct Cluster {
    machines: Vec<Machine>,
    network: Option<Arc<Network>>,
    cuts: BTreeSet<(Side, Side)>,
}

impl Cluster {
    /// Starts a cluster and waits until every process of it serves.
    pub fn start(options: &ClusterOptions) -> Result<Self, NodeError> {
        let members: Vec<(Role, u32)> = (0..options.controllers)
            .map(|index| (Role::Controller, FIRST_CONTROLLER + index))
            .chain((1..=options.brokers).map(|id| (Role::Broker, id)))
            .chain(
                (0..options.group_coordinators).map(|index| (Role::GroupCoordinator, FIRST_GROUP_COORDINATOR + index)),
            )
            .collect();
        let hosts = u8::try_from(members.len()).map_err(|_| NodeError::WrongState("too large"))?;
        let network = if options.network { Some(Arc::new(Network::new(hosts)?)) } else { None };
        // Without a network every address below 127 is this machine; the third byte keeps runs side by side apart.
        let local = u8::try_from(std::process::id() % 250).unwrap_or(0) + 1;
        let address = |host: u8| match &network {
            Some(network) => network.address(host),
            None => Ipv4Addr::new(127, 77, local, host),
        };
        let controllers: Vec<(u32, Ipv4Addr)> = members
            .iter()
            .zip(1..)
            .filter(|((role, _), _)| *role == Role::Controller)
            .map(|((_, id), host)| (*id, address(host)))
            .collect();
        let mut machines = Vec::new();
        for ((role, id), host) in members.iter().zip(1..) {
            let home = options.home.join(match role {
                Role::Controller => format!("controller-{id}"),
                Role::GroupCoordinator => format!("group-coordinator-{id}"),
                Role::Broker => format!("broker-{id}"),
            });
            fs::create_dir_all(&home)?;
            let volume = if options.disks { Some(LossyVolume::mount_in(&home)?) } else { None };
            let data = home.join(if options.disks { "mount" } else { "disk" }).join("data");
            let at = |port| SocketAddr::from((address(host), port));
            let routes = match role {
                Role::Controller | Role::GroupCoordinator => {
                    vec![Route { listen: at(ports::INTERNAL_PROXY), upstream: at(ports::INTERNAL) }]
                }
                Role::Broker => vec![
                    Route { listen: at(ports::INTERNAL_PROXY), upstream: at(ports::INTERNAL) },
                    Route { listen: at(ports::KAFKA_PROXY), upstream: at(ports::KAFKA) },
                ],
            };
            let place = network.as_ref().map(|network| (network.clone(), host));
            let borrowed = place.as_ref().map(|(network, host)| (network.as_ref(), *host));
            let proxy = Proxy::start(routes, borrowed, options.seed.wrapping_add(u64::from(host)))?;
            let mut settings = settings(*role, *id, address(host), &data.display().to_string(), &controllers);
            settings.extend_from_slice(match role {
                Role::Controller => &options.controller_settings,
                Role::GroupCoordinator => &options.group_coordinator_settings,
                Role::Broker => &options.broker_settings,
            });
            machines.push(Machine::new((*role, *id), address(host), home, settings, proxy, volume, place));
        }
        let mut cluster = Self { machines, network, cuts: BTreeSet::new() };
        cluster.start_all()?;
        Ok(cluster)
    }

    /// Starts whatever does not run, and waits until everything serves.
    pub fn start_all(&mut self) -> Result<(), NodeError> {
        self.machines.iter_mut().try_for_each(Machine::launch)?;
        self.machines.iter_mut().try_for_each(Machine::wait_until_ready)
    }

    /// Every machine, controllers first.
    pub fn machines(&self) -> &[Machine] {
        &self.machines
    }

    /// Every machine, controllers first, to be struck.
    pub fn machines_mut(&mut self) -> &mut [Machine] {
        &mut self.machines
    }

    /// Whether machines can be cut off from each other.
    pub fn has_network(&self) -> bool {
        self.network.is_some()
    }

    /// Where clients connect first: every broker.
    pub fn bootstrap(&self) -> Vec<SocketAddr> {
        self.machines.iter().filter(|machine| machine.role() == Role::Broker).map(Machine::kafka).collect()
    }

    /// The address that one side's packets come from.
    pub fn address(&self, side: Side) -> Option<IpAddr> {
        match side {
            Side::Clients => self.network.as_ref().map(|network| network.address(Network::OUTSIDE).into()),
            Side::Machine(index) => self.machines.get(index).map(Machine::address),
        }
    }

    /// Makes every packet from one side to another vanish.
    ///
    /// # Errors
    /// If there is no network, or no such machine.
    pub fn cut(&mut self, from: Side, to: Side) -> io::Result<()> {
        let network = self.network.as_ref().ok_or_else(|| io::Error::other("these machines have no network"))?;
        if from != to && self.cuts.insert((from, to)) {
            network.cut(host(from)?, host(to)?)?;
        }
        Ok(())
    }

    /// Lets packets from one side to another through again.
    pub fn heal(&mut self, from: Side, to: Side) -> io::Result<()> {
        match &self.network {
            Some(network) if self.cuts.remove(&(from, to)) => network.heal(host(from)?, host(to)?),
            _ => Ok(()),
        }
    }

    /// Lets every packet through again.
    pub fn heal_all(&mut self) -> io::Result<()> {
        let cuts: Vec<_> = self.cuts.iter().copied().collect();
        cuts.into_iter().try_for_each(|(from, to)| self.heal(from, to))
    }

    /// The ends of what the processes wrote to stderr.
    pub fn log(&self) -> String {
        let logs = self.machines.iter().map(|machine| format!("{machine} wrote:\n{}", machine.log()));
        logs.collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // All of them before the first disk goes: each process has a mount namespace of its own, in which every disk is.
        for machine in &mut self.machines {
            if let Err(error) = machine.kill() {
                eprintln!("{machine} could not be stopped: {error}");
            }
        }
    }
}

/// The host of the network that a side is.
fn host(side: Side) -> io::Result<u8> {
    match side {
        Side::Clients => Ok(Network::OUTSIDE),
        Side::Machine(index) => u8::try_from(index + 1).map_err(io::Error::other),
    }
}

/// The options that make a process what it is.
fn settings(
    role: Role,
    id: u32,
    address: Ipv4Addr,
    data: &str,
    controllers: &[(u32, Ipv4Addr)],
) -> Vec<(String, String)> {
    let at = |port: u16| format!("{address}:{port}");
    let list = |item: &dyn Fn(&(u32, Ipv4Addr)) -> String| controllers.iter().map(item).collect::<Vec<_>>().join(",");
    let servers = || list(&|(_, address)| format!("{address}:{}", ports::INTERNAL_PROXY));
    let mut settings = vec![
        ("http.listener", at(ports::HTTP)),
        ("internal.listener", at(ports::INTERNAL)),
        ("internal.advertised.listener", at(ports::INTERNAL_PROXY)),
    ];
    match role {
        Role::Controller => {
            let voters = list(&|(id, address)| format!("{id}@{address}:{}", ports::INTERNAL_PROXY));
            settings.extend([
                ("node.id", id.to_string()),
                ("metadata.log.dir", data.to_owned()),
                ("controller.quorum.voters", voters),
            ]);
        }
        Role::GroupCoordinator => settings.extend([
            ("coordinator.name", format!("group-coordinator-{id}")),
            ("controller.quorum.bootstrap.servers", servers()),
        ]),
        Role::Broker => {
            settings.extend([
                ("node.id", id.to_string()),
                ("log.dirs", data.to_owned()),
                ("controller.quorum.bootstrap.servers", servers()),
                ("listeners", format!("PLAINTEXT://{},GRPC://{}", at(ports::KAFKA), at(ports::GRPC))),
                ("advertised.listeners", format!("PLAINTEXT://{}", at(ports::KAFKA_PROXY))),
            ]);
        }
    }
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
