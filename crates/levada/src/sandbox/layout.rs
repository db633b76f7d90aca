//! Which processes a sandbox has and where they serve; kept, because a cluster that is started again must find its
//! members where they were.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::arguments::SandboxArguments;
use super::failure::SandboxFailure;
use super::member::{Member, Ports, Role};
use super::ports;

/// The file that keeps the layout.
const FILE: &str = "layout.json";

/// The id of the first controller, far above those of brokers, so that no id means two processes.
const FIRST_CONTROLLER: u32 = 1001;

/// The number of the first group coordinator.
const FIRST_GROUP_COORDINATOR: u32 = 2001;

/// The id of the first broker.
const FIRST_BROKER: u32 = 1;

/// The processes of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    members: Vec<Member>,
}

impl Layout {
    /// The layout that `dir` has, or a new one, as large as the arguments say.
    pub(crate) fn open(dir: &Path, arguments: &SandboxArguments) -> Result<Self, SandboxFailure> {
        let path = dir.join(FILE);
        let kept = match fs::read(&path) {
            Ok(text) => Some(
                serde_json::from_slice(&text)
                    .map_err(|error| SandboxFailure::Layout { path: path.clone(), reason: error.to_string() })?,
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(SandboxFailure::file(&path)(error)),
        };
        let layout = Self::plan(kept, arguments)
            .map_err(|reason| SandboxFailure::Layout { path: path.clone(), reason: reason.to_owned() })?;
        let text = serde_json::to_vec_pretty(&layout)
            .map_err(|error| SandboxFailure::Layout { path: path.clone(), reason: error.to_string() })?;
        fs::write(&path, text).map_err(SandboxFailure::file(&path))?;
        Ok(layout)
    }

    /// Keeps what there is, and adds or leaves out brokers and group coordinators. The number of controllers is the quorum's own affair once it is founded.
    fn plan(kept: Option<Self>, arguments: &SandboxArguments) -> Result<Self, &'static str> {
        let mut members = kept.map(|layout| layout.members).unwrap_or_default();
        let have = |members: &[Member], role| members.iter().filter(|member| member.role == role).count();
        let used = members.iter().flat_map(|member| {
            let Ports { kafka, grpc, http, internal } = member.ports;
            [kafka, grpc, Some(http), Some(internal)].into_iter().flatten()
        });
        let used: Vec<u16> = used.collect();
        let mut ports: Box<dyn Iterator<Item = u16>> = match arguments.base_port {
            Some(base) => Box::new((base..=u16::MAX).filter(|port| !used.contains(port))),
            None => Box::new(ports::free().filter(|port| !used.contains(port))),
        };
        let mut member = |role, id| {
            let ports = Ports::take(role, &mut ports).ok_or("there are not enough ports")?;
            Ok::<_, &str>(Member { role, id, ports })
        };
        let ids = |first: u32, count: u32| (first..).zip(0..count).map(|(id, _)| id);
        let founded = !members.is_empty();
        let brokers = ids(FIRST_BROKER, arguments.brokers).skip(have(&members, Role::Broker));
        let mut added = brokers.map(|id| member(Role::Broker, id)).collect::<Result<Vec<_>, _>>()?;
        let coordinators = ids(FIRST_GROUP_COORDINATOR, arguments.group_coordinators);
        for id in coordinators.skip(have(&members, Role::GroupCoordinator)) {
            added.push(member(Role::GroupCoordinator, id)?);
        }
        if !founded {
            for id in ids(FIRST_CONTROLLER, arguments.controllers) {
                added.push(member(Role::Controller, id)?);
            }
        } else if have(&members, Role::Controller) != arguments.controllers as usize {
            return Err("this sandbox has another number of controllers; give that one, or another directory");
        }
        members.extend(added);
        members.retain(|member| match member.role {
            Role::Controller => true,
            Role::GroupCoordinator => member.id < FIRST_GROUP_COORDINATOR + arguments.group_coordinators,
            Role::Broker => member.id < FIRST_BROKER + arguments.brokers,
        });
        members.sort_by_key(|member| (member.role, member.id));
        Ok(Self { members })
    }

    /// The processes, controllers first.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The controllers.
    pub(crate) fn controllers(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.role == Role::Controller)
    }

    /// The brokers.
    pub(crate) fn brokers(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.role == Role::Broker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(controllers: u32, brokers: u32, base_port: Option<u16>) -> SandboxArguments {
        let (controller_set, broker_set, group_coordinator_set) = (Vec::new(), Vec::new(), Vec::new());
        SandboxArguments {
            dir: "/nowhere".into(),
            controllers,
            brokers,
            group_coordinators: 0,
            base_port,
            racks: None,
            controller_set,
            broker_set,
            group_coordinator_set,
        }
    }

    fn ids(layout: &Layout) -> Vec<(Role, u32)> {
        layout.members().iter().map(|member| (member.role, member.id)).collect()
    }

    #[test]
    fn ports_follow_the_base_beginning_with_the_first_broker() {
        let layout = Layout::plan(None, &arguments(1, 2, Some(9092))).expect("there are ports");
        assert_eq!(ids(&layout), [(Role::Controller, 1001), (Role::Broker, 1), (Role::Broker, 2)]);
        let ports: Vec<_> = layout.members().iter().map(|member| member.ports.clone()).collect();
        let broker = |first| Ports { kafka: Some(first), grpc: Some(first + 1), http: first + 2, internal: first + 3 };
        assert_eq!(ports, [Ports { kafka: None, grpc: None, http: 9100, internal: 9101 }, broker(9092), broker(9096)]);
        assert!(Layout::plan(None, &arguments(1, 2, Some(65_530))).is_err());
    }

    #[test]
    fn a_sandbox_that_exists_keeps_its_members_and_takes_more_brokers() {
        let one = Layout::plan(None, &arguments(3, 1, None)).expect("there are ports");
        let three = Layout::plan(Some(one.clone()), &arguments(3, 3, None)).expect("there are ports");
        assert_eq!(three.members()[..4], one.members()[..]);
        assert_eq!(ids(&three)[4..], [(Role::Broker, 2), (Role::Broker, 3)]);
        assert_eq!(Layout::plan(Some(three.clone()), &arguments(3, 3, Some(1))), Ok(three.clone()));
        assert!(Layout::plan(Some(three), &arguments(1, 3, None)).is_err(), "the quorum is founded");
    }

    #[test]
    fn group_coordinators_come_and_go_as_it_is_asked_for() {
        let with = |group_coordinators| SandboxArguments { group_coordinators, ..arguments(1, 1, None) };
        let two = Layout::plan(None, &with(2)).expect("there are ports");
        let coordinators = [(Role::GroupCoordinator, 2001), (Role::GroupCoordinator, 2002)];
        assert_eq!(ids(&two)[1..3], coordinators);
        let three = Layout::plan(Some(two.clone()), &with(3)).expect("there are ports");
        assert_eq!(three.members()[..3], two.members()[..3], "those that were there keep their ports");
        let none = Layout::plan(Some(three), &with(0)).expect("there are ports");
        assert_eq!(ids(&none), [(Role::Controller, 1001), (Role::Broker, 1)]);
    }

    #[test]
    fn no_port_is_given_twice() {
        let layout = Layout::plan(None, &arguments(3, 3, None)).expect("there are ports");
        let mut ports: Vec<u16> = layout
            .members()
            .iter()
            .flat_map(|member| {
                [member.ports.kafka, member.ports.grpc, Some(member.ports.http), Some(member.ports.internal)]
            })
            .flatten()
            .collect();
        let all = ports.len();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!((all, ports.len()), (3 * 2 + 3 * 4, all));
    }
}
