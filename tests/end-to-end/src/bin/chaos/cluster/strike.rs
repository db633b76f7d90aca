//! Carries out a step: the faults begin and end at their times, then everything heals.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use levada_end_to_end::{Outcome, Seeded, fail};
use levada_harness::{Cluster, DiskTrouble, Machine, NodeError, Role, Side, Weather};

use super::{
    clock,
    fault::{Direction, Fault, Step, Victim},
    load::Load,
    report::Report,
    standing::{Partitions, active_controller, modulo, wait_until_in_sync},
};
use crate::groups::Groups;

/// A fault whose victims are known.
struct Aimed {
    fault: Fault,
    machine: usize,
    /// The number that decides which member of a group is struck, if the fault is one of those.
    member: u64,
    /// The other side of a connection, if the fault is about one.
    other: Option<Side>,
    at: Duration,
    lasts: Duration,
}

/// Strikes a cluster under load.
pub(super) struct Striker<'a> {
    pub(super) cluster: &'a mut Cluster,
    pub(super) load: &'a Load,
    pub(super) groups: &'a mut Groups,
    pub(super) report: &'a mut Report,
    /// Processes whose disk failed or was full since they were last started.
    pub(super) troubled: BTreeSet<usize>,
    /// Group coordinators that stay away.
    pub(super) away: BTreeSet<usize>,
}

impl Striker<'_> {
    /// Carries out one step.
    pub(super) fn step(&mut self, number: usize, step: &Step) -> Outcome {
        if step.loses_power() {
            // Whoever lost something counts as lost until it is back in sync.
            wait_until_in_sync(self.cluster)?;
        }
        self.load.wait_until_acknowledged(step.calm)?;
        self.load.take_longest_gap();
        let aimed = self.aim(step);
        for Aimed { fault, machine, other, at, lasts, .. } in &aimed {
            let whom = match fault {
                Fault::Member(_) => "a member".to_owned(),
                _ => self.describe(*machine),
            };
            let other = other.map_or(String::new(), |other| format!(" and {}", self.side(other)));
            clock::say(&format!(
                "step {number}: after {at:?} for {lasts:?}: {}: {whom}{other}: {fault:?}",
                fault.kind()
            ));
        }
        self.carry_out(&aimed)?;
        self.heal()?;
        clock::say(&format!("step {number}: everything runs"));
        if step.settle {
            wait_until_in_sync(self.cluster)?;
            clock::say(&format!("step {number}: everything is in sync"));
            self.groups.catch_up(*self.cluster.bootstrap().first().ok_or("there is no broker")?)?;
        }
        self.load.reread(step.reread);
        self.report.step(aimed.iter().map(|aimed| aimed.fault.kind()), self.load.take_longest_gap());
        self.check_running()
    }

    fn check_running(&mut self) -> Outcome {
        self.load.check_running()?;
        self.groups.check_running()
    }

    /// Finds out whom the faults strike; what this machine cannot do is left out.
    fn aim(&self, step: &Step) -> Vec<Aimed> {
        let told = Partitions::told(self.cluster).ok();
        let mut aimed = Vec::new();
        for strike in &step.strikes {
            let has_disks = self.cluster.machines().iter().all(|machine| machine.volume().is_some());
            if strike.fault.needs_network() && !self.cluster.has_network() || strike.fault.needs_disk() && !has_disks {
                clock::say(&format!("left out on this machine: {}", strike.fault.kind()));
                continue;
            }
            let other = match strike.fault {
                Fault::Cut(other, _) | Fault::Weather(Some(other), _) => Some(self.find(other, told.as_ref())),
                _ => None,
            };
            let (machine, member) = match strike.victim {
                Victim::Member(drawn) => (0, drawn),
                victim => match self.find(victim, told.as_ref()) {
                    Side::Machine(machine) => (machine, 0),
                    Side::Clients => continue,
                },
            };
            // Nobody is cut off from itself.
            if other != Some(Side::Machine(machine)) {
                aimed.push(Aimed { fault: strike.fault, machine, member, other, at: strike.at, lasts: strike.lasts });
            }
        }
        aimed
    }

    fn find(&self, victim: Victim, told: Option<&Partitions>) -> Side {
        let by_id = |id: Option<i32>| {
            let id = u32::try_from(id?).ok()?;
            self.cluster.machines().iter().position(|machine| machine.role() == Role::Broker && machine.id() == id)
        };
        let found = match victim {
            Victim::Clients | Victim::Member(_) => return Side::Clients,
            Victim::Leader(drawn) => by_id(told.and_then(|told| told.leader(drawn))),
            Victim::Follower(drawn) => by_id(told.and_then(|told| told.follower(drawn))),
            Victim::Active => active_controller(self.cluster),
            Victim::Controller(_) | Victim::Broker(_) | Victim::Coordinator(_) => None,
        };
        let (role, drawn) = match victim {
            Victim::Active => (Role::Controller, 0),
            Victim::Controller(drawn) => (Role::Controller, drawn),
            Victim::Leader(drawn) | Victim::Follower(drawn) | Victim::Broker(drawn) => (Role::Broker, drawn),
            Victim::Coordinator(drawn) => (Role::GroupCoordinator, drawn),
            Victim::Clients | Victim::Member(_) => return Side::Clients,
        };
        let all = self.of(role);
        Side::Machine(found.or_else(|| all.get(modulo(drawn, all.len())?).copied()).unwrap_or(0))
    }

    /// The indexes of the machines with this role.
    fn of(&self, role: Role) -> Vec<usize> {
        let machines = self.cluster.machines().iter().enumerate();
        machines.filter(|(_, machine)| machine.role() == role).map(|(index, _)| index).collect()
    }

    fn describe(&self, machine: usize) -> String {
        self.cluster.machines().get(machine).map_or_else(|| "nobody".to_owned(), ToString::to_string)
    }

    fn side(&self, side: Side) -> String {
        match side {
            Side::Clients => "the clients".to_owned(),
            Side::Machine(machine) => self.describe(machine),
        }
    }

    /// Begins and ends each fault at its time.
    fn carry_out(&mut self, aimed: &[Aimed]) -> Outcome {
        let begun = Instant::now();
        let mut events: Vec<(Duration, bool, &Aimed)> =
            aimed.iter().flat_map(|aimed| [(aimed.at, true, aimed), (aimed.at + aimed.lasts, false, aimed)]).collect();
        events.sort_by_key(|(when, begins, _)| (*when, !*begins));
        for (when, begins, aimed) in events {
            self.load.go_on_until(begun + when)?;
            self.groups.check_running()?;
            if begins { self.begin(aimed)? } else { self.end(aimed)? }
        }
        Ok(())
    }

    fn machine(&mut self, index: usize) -> Outcome<&mut Machine> {
        Ok(self.cluster.machines_mut().get_mut(index).ok_or("there is no such machine")?)
    }

    fn begin(&mut self, aimed: &Aimed) -> Outcome {
        let index = aimed.machine;
        match aimed.fault {
            Fault::Kill => self.machine(index)?.kill()?,
            Fault::Terminate => self.terminate(index)?,
            Fault::LosePower(seed) => {
                self.machine(index)?.kill()?;
                self.lose(index, seed)?;
            }
            Fault::Freeze => self.machine(index)?.freeze()?,
            Fault::Cut(_, direction) => {
                self.cut(index, aimed.other.unwrap_or(Side::Clients), direction, true)?;
            }
            Fault::Isolate(direction) => self.isolate(index, direction, true)?,
            Fault::Weather(_, weather) => {
                let source = aimed.other.and_then(|other| self.cluster.address(other));
                let source = source.filter(|_| self.cluster.has_network());
                self.machine(index)?.proxy().set(source, weather);
            }
            Fault::Reset => self.machine(index)?.proxy().reset(None),
            Fault::FullDisk => self.trouble(index, DiskTrouble::Full)?,
            Fault::BrokenDisk => self.trouble(index, DiskTrouble::Broken)?,
            Fault::SlowDisk(pause) => self.set_trouble(index, DiskTrouble::Slow(pause))?,
            Fault::KillBrokers => self.kill_all(&self.of(Role::Broker))?,
            Fault::KillEverything => {
                let everything: Vec<usize> = (0..self.cluster.machines().len()).collect();
                self.kill_all(&everything)?;
            }
            Fault::ControllersLosePower(seed) => {
                let controllers = self.of(Role::Controller);
                self.kill_all(&controllers)?;
                for index in controllers {
                    self.lose(index, seed.wrapping_add(index as u64))?;
                }
            }
            Fault::Roll => self.roll()?,
            Fault::Fewer => self.fewer(index)?,
            Fault::More => self.more()?,
            Fault::Member(blow) => {
                let whom = self.groups.begin(blow, aimed.member, aimed.lasts)?;
                clock::say(&format!("{}: {whom}", blow.kind()));
            }
        }
        Ok(())
    }

    fn end(&mut self, aimed: &Aimed) -> Outcome {
        let index = aimed.machine;
        match aimed.fault {
            Fault::Kill | Fault::Terminate | Fault::LosePower(_) => self.launch(index)?,
            Fault::Freeze => self.machine(index)?.thaw()?,
            Fault::Cut(_, direction) => {
                self.cut(index, aimed.other.unwrap_or(Side::Clients), direction, false)?;
            }
            Fault::Isolate(direction) => self.isolate(index, direction, false)?,
            Fault::Weather(other, _) => {
                let source = aimed.other.and_then(|other| self.cluster.address(other));
                let source = source.filter(|_| other.is_some() && self.cluster.has_network());
                self.machine(index)?.proxy().set(source, Weather::default());
            }
            Fault::Reset | Fault::Roll | Fault::Fewer | Fault::More => {}
            Fault::Member(blow) => self.groups.end(blow, aimed.member)?,
            Fault::FullDisk | Fault::SlowDisk(_) => self.set_trouble(index, DiskTrouble::None)?,
            Fault::BrokenDisk => {
                self.set_trouble(index, DiskTrouble::None)?;
                // Who met a failing disk may have given up on it for good.
                self.machine(index)?.kill()?;
                self.launch(index)?;
            }
            Fault::KillBrokers => self.launch_all(&self.of(Role::Broker))?,
            Fault::ControllersLosePower(_) => self.launch_all(&self.of(Role::Controller))?,
            Fault::KillEverything => {
                let everything: Vec<usize> = (0..self.cluster.machines().len()).collect();
                self.launch_all(&everything)?;
            }
        }
        Ok(())
    }

    fn kill_all(&mut self, machines: &[usize]) -> Outcome {
        machines.iter().try_for_each(|index| Ok(self.machine(*index)?.kill()?))
    }

    fn launch_all(&mut self, machines: &[usize]) -> Outcome {
        machines.iter().try_for_each(|index| self.launch(*index))
    }

    /// Starts a process, unless it is to stay away.
    fn launch(&mut self, index: usize) -> Outcome {
        if self.away.contains(&index) { Ok(()) } else { Ok(self.machine(index)?.launch()?) }
    }

    /// A group coordinator goes and stays away, unless it is the last one or has gone already.
    fn fewer(&mut self, index: usize) -> Outcome {
        let left = self.of(Role::GroupCoordinator).len() - self.away.len();
        if left > 1 && self.away.insert(index) {
            self.terminate(index)?;
            clock::say(&format!("{} stays away", self.describe(index)));
        }
        Ok(())
    }

    /// A group coordinator that stayed away comes back.
    fn more(&mut self) -> Outcome {
        match self.away.pop_first() {
            Some(index) => {
                clock::say(&format!("{} comes", self.describe(index)));
                self.launch(index)
            }
            None => Ok(()),
        }
    }

    /// Has every coordinator come back.
    pub(super) fn all_come(&mut self) -> Outcome {
        while !self.away.is_empty() {
            self.more()?;
        }
        self.heal()
    }

    fn lose(&mut self, index: usize, seed: u64) -> Outcome {
        let mut random = Seeded::new(seed);
        let lost = self.machine(index)?.lose_unsynced(|appended| random.below(appended + 1))?;
        self.report.lost(lost.bytes);
        clock::say(&format!("{} lost {} bytes in {} files", self.describe(index), lost.bytes, lost.files));
        Ok(())
    }

    fn terminate(&mut self, index: usize) -> Outcome {
        let machine = self.machine(index)?;
        // One that is frozen would never hear of it.
        machine.thaw()?;
        match machine.terminate()? {
            Some(status) if !status.success() && !self.troubled.contains(&index) => {
                fail(format!("SIGTERM ended {} with {status}", self.describe(index)))
            }
            _ => Ok(()),
        }
    }

    fn trouble(&mut self, index: usize, trouble: DiskTrouble) -> Outcome {
        self.troubled.insert(index);
        self.set_trouble(index, trouble)
    }

    fn set_trouble(&mut self, index: usize, trouble: DiskTrouble) -> Outcome {
        if let Some(volume) = self.machine(index)?.volume() {
            volume.set_trouble(trouble);
        }
        Ok(())
    }

    fn isolate(&mut self, index: usize, direction: Direction, cut: bool) -> Outcome {
        let machines = (0..self.cluster.machines().len()).filter(|other| *other != index).map(Side::Machine);
        let others: Vec<Side> = machines.chain([Side::Clients]).collect();
        others.into_iter().try_for_each(|other| self.cut(index, other, direction, cut))
    }

    fn cut(&mut self, index: usize, other: Side, direction: Direction, cut: bool) -> Outcome {
        let machine = Side::Machine(index);
        let ways: &[(Side, Side)] = match direction {
            Direction::Out => &[(machine, other)],
            Direction::In => &[(other, machine)],
            Direction::Both => &[(machine, other), (other, machine)],
        };
        for (from, to) in ways {
            if cut { self.cluster.cut(*from, *to)? } else { self.cluster.heal(*from, *to)? }
        }
        Ok(())
    }

    /// SIGTERM and a new start of each process, when the one before is in sync again.
    fn roll(&mut self) -> Outcome {
        for index in (0..self.cluster.machines().len()).filter(|index| !self.away.contains(index)).collect::<Vec<_>>() {
            wait_until_in_sync(self.cluster)?;
            self.terminate(index)?;
            self.machine(index)?.launch()?;
            self.machine(index)?.wait_until_ready()?;
            clock::say(&format!("{} is back", self.describe(index)));
            self.check_running()?;
        }
        wait_until_in_sync(self.cluster)
    }

    /// Ends whatever is still wrong, and has everything run again.
    fn heal(&mut self) -> Outcome {
        self.cluster.heal_all()?;
        self.groups.heal()?;
        for index in 0..self.cluster.machines().len() {
            self.set_trouble(index, DiskTrouble::None)?;
            let machine = self.machine(index)?;
            machine.proxy().clear();
            machine.thaw()?;
        }
        for index in 0..self.cluster.machines().len() {
            let ended = self.machine(index)?.has_ended()?;
            if let Some(status) = ended.filter(|_| !self.troubled.contains(&index)) {
                return fail(format!("{} ended by itself with {status}", self.describe(index)));
            }
            self.launch(index)?;
        }
        for index in 0..self.cluster.machines().len() {
            if self.away.contains(&index) {
                continue;
            }
            match self.machine(index)?.wait_until_ready() {
                Err(NodeError::EndedEarly { .. }) if self.troubled.contains(&index) => {
                    // It was started on a disk that failed.
                    self.machine(index)?.launch()?;
                    self.machine(index)?.wait_until_ready()?;
                }
                outcome => outcome?,
            }
        }
        self.troubled.clear();
        Ok(())
    }
}
