//! What can happen to a cluster, and to whom.

use std::{fmt, time::Duration};

use levada_harness::Weather;

use crate::groups::Blow;

/// Whom a fault strikes, by what it is when the fault strikes. Numbers are taken modulo what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    /// The leader of a partition.
    Leader(u64),
    /// A broker that follows in a partition.
    Follower(u64),
    /// The active controller.
    Active,
    /// Any controller.
    Controller(u64),
    /// Any broker.
    Broker(u64),
    /// Any group coordinator.
    Coordinator(u64),
    /// A member of a group.
    Member(u64),
    /// The clients, all of them.
    Clients,
}

/// Which way nothing passes between two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the victim to the other side.
    Out,
    /// From the other side to the victim.
    In,
    /// Both ways.
    Both,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL, and a start when it is over.
    Kill,
    /// SIGTERM, which it must follow well, and a start when it is over.
    Terminate,
    /// SIGKILL, and what was not synced is lost too, but for a piece that a seed decides.
    LosePower(u64),
    /// SIGSTOP, and SIGCONT when it is over.
    Freeze,
    /// Packets between the victim and another side vanish.
    Cut(Victim, Direction),
    /// Packets between the victim and everybody vanish.
    Isolate(Direction),
    /// What another side, or everybody, sends to the victim and is answered has such a weather.
    Weather(Option<Victim>, Weather),
    /// All connections to the victim end.
    Reset,
    /// Its disk is full.
    FullDisk,
    /// Its disk fails; when it is over the process is started again.
    BrokenDisk,
    /// Its disk takes so much longer for each write and each sync.
    SlowDisk(Duration),
    /// SIGKILL of every broker.
    KillBrokers,
    /// SIGKILL of every controller, which lose what was not synced.
    ControllersLosePower(u64),
    /// SIGKILL of everything.
    KillEverything,
    /// SIGTERM and a new start of one process after the other, each when the one before is in sync again.
    Roll,
    /// SIGTERM of a group coordinator, which stays away until one more is wanted. Nothing happens to the last one.
    Fewer,
    /// The start of a group coordinator that stays away.
    More,
    /// Something happens to a member of a group.
    Member(Blow),
}

impl Fault {
    /// Its name in the report.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Kill => "SIGKILL",
            Self::Terminate => "SIGTERM",
            Self::LosePower(_) => "loss of power",
            Self::Freeze => "SIGSTOP",
            Self::Cut(_, Direction::Both) => "two sides cut off from each other",
            Self::Cut(..) => "two sides cut off one way",
            Self::Isolate(Direction::Both) => "isolated",
            Self::Isolate(_) => "isolated one way",
            Self::Weather(_, weather) if weather.stalled_there || weather.stalled_back => "connections stalled",
            Self::Weather(_, weather) if weather.resets_per_mille > 0 => "connections lossy",
            Self::Weather(_, weather) if weather.bytes_per_second.is_some() => "connections throttled",
            Self::Weather(..) => "connections delayed",
            Self::Reset => "connections reset",
            Self::FullDisk => "disk full",
            Self::BrokenDisk => "disk broken",
            Self::SlowDisk(_) => "disk slow",
            Self::KillBrokers => "SIGKILL of all brokers",
            Self::ControllersLosePower(_) => "all controllers lose power",
            Self::KillEverything => "SIGKILL of everything",
            Self::Roll => "rolling restart",
            Self::Fewer => "a group coordinator less",
            Self::More => "a group coordinator more",
            Self::Member(blow) => blow.kind(),
        }
    }

    /// Whether it takes a network whose packets can be made to vanish.
    pub(super) fn needs_network(&self) -> bool {
        matches!(self, Self::Cut(..) | Self::Isolate(_))
    }

    /// Whether it takes a disk that can be made to fail.
    pub(super) fn needs_disk(&self) -> bool {
        matches!(
            self,
            Self::LosePower(_) | Self::FullDisk | Self::BrokenDisk | Self::SlowDisk(_) | Self::ControllersLosePower(_)
        )
    }
}

/// A fault with its victim and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strike {
    /// What happens.
    pub(super) fault: Fault,
    /// To whom.
    pub(super) victim: Victim,
    /// When, since the step began.
    pub(super) at: Duration,
    /// How long it lasts.
    pub(super) lasts: Duration,
}

/// One step of a schedule: some calm, then faults, and then everything heals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// How many records each producer must have acknowledged before.
    pub(super) calm: usize,
    /// What happens.
    pub(super) strikes: Vec<Strike>,
    /// Whether the next step waits until every replica is in sync.
    pub(super) settle: bool,
    /// How many records of each partition are read again afterwards.
    pub(super) reread: usize,
}

impl Step {
    /// Whether a broker loses what it did not sync.
    pub(super) fn loses_power(&self) -> bool {
        self.strikes.iter().any(|strike| matches!(strike.fault, Fault::LosePower(_)))
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader(_) => f.write_str("a leader"),
            Self::Follower(_) => f.write_str("a follower"),
            Self::Active => f.write_str("the active controller"),
            Self::Controller(_) => f.write_str("a controller"),
            Self::Broker(_) => f.write_str("a broker"),
            Self::Coordinator(_) => f.write_str("a group coordinator"),
            Self::Member(_) => f.write_str("a member"),
            Self::Clients => f.write_str("the clients"),
        }
    }
}
