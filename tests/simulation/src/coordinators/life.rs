//! A coordinator's life: start, regular work, what it hears of the metadata and its lease.

use levada_groups::{GroupConfig, Groups};
use levada_metadata::{Command, CoordinatorKind, Image, LevelRange, NewCoordinator};
use levada_shard::machine::{Event, Limits, ShardMachine, Term};
use levada_types::CoordinatorEpoch;

use super::Shard;
use super::shard::Duty;
use crate::happening::Happening;
use crate::message::{Message, Party};
use crate::run::Failure;
use crate::universe::Universe;

/// How often a coordinator says that it lives, and looks at its lease.
const ROUND_MS: i64 = 150;

/// How long it may answer after a sign of life that the controllers have taken: as long as their patience.
const LEASE_MS: i64 = crate::controllers::SESSION_MS;

/// The bounds of a shard: times as short as runs are, batches of some commits.
fn limits() -> Limits {
    Limits {
        appends_under_way: 3,
        max_batch_bytes: 400,
        max_write_bytes: 4_000,
        max_parked_bytes: 4_000,
        write_timeout_ms: 700,
        load_timeout_ms: 900,
        ..Limits::default()
    }
}

impl Universe {
    /// Starts the process of a coordinator.
    pub(crate) fn start_coordinator(&mut self, index: usize) {
        let incarnation = self.fresh_id();
        let coordinator = &mut self.coordinators[index];
        coordinator.up = true;
        coordinator.life += 1;
        coordinator.incarnation = incarnation;
        let life = coordinator.life;
        self.note(|| format!("coordinator {index} starts for the {life}. time"));
        self.after(1, Happening::CoordinatorRound { coordinator: index, life });
    }

    /// A coordinator's regular work.
    pub(crate) fn coordinator_round(&mut self, index: usize, life: u64) -> Result<(), Failure> {
        let coordinator = &self.coordinators[index];
        if !coordinator.up || coordinator.life != life {
            return Ok(());
        }
        let delay = (coordinator.paused_until_ms - self.now_ms).max(0) + ROUND_MS + self.between(0, 20);
        self.after(delay, Happening::CoordinatorRound { coordinator: index, life });
        if self.is_paused(index) {
            return Ok(());
        }
        let (me, node) = (Party::Coordinator(index), self.raft.leader);
        let image = self.raft.image.clone();
        self.send(Party::Controller(node), me, Message::Image(Box::new(image)));
        let sent_ms = self.now_ms;
        match self.coordinators[index].epoch {
            Some(epoch) => self.send(me, Party::Controller(node), Message::LeaseAsked { epoch, sent_ms }),
            None if self.coordinators[index].image.offset().0 > 0 => {
                let command = Command::RegisterCoordinator(self.new_coordinator(index));
                let number = self.fresh_number();
                self.send(me, Party::Controller(node), Message::Submit { number, command });
            }
            None => {}
        }
        self.notice_broken_streams(index)?;
        self.settle(index)
    }

    fn new_coordinator(&self, index: usize) -> NewCoordinator {
        NewCoordinator {
            kind: CoordinatorKind::Group,
            incarnation: self.coordinators[index].incarnation,
            name: format!("group-{index}"),
            internal_address: format!("memory:group-{index}"),
            levels: LevelRange::SUPPORTED,
        }
    }

    pub(crate) fn is_paused(&self, index: usize) -> bool {
        self.now_ms < self.coordinators[index].paused_until_ms
    }

    /// A coordinator that was stopped goes on: it takes in what has arrived meanwhile.
    pub(crate) fn wake_coordinator(&mut self, index: usize, life: u64) -> Result<(), Failure> {
        if self.coordinators[index].life != life || self.is_paused(index) {
            return Ok(());
        }
        let inbox = std::mem::take(&mut self.coordinators[index].inbox);
        inbox.into_iter().try_for_each(|message| self.coordinator_received(index, message))
    }

    pub(crate) fn coordinator_received(&mut self, index: usize, message: Message) -> Result<(), Failure> {
        if !self.coordinators[index].up {
            return Ok(());
        }
        if self.is_paused(index) {
            self.coordinators[index].inbox.push_back(message);
            return Ok(());
        }
        match message {
            Message::Image(image) => self.coordinator_saw(index, *image),
            Message::Lease { epoch, sent_ms } => {
                let coordinator = &mut self.coordinators[index];
                if coordinator.epoch == Some(epoch) {
                    coordinator.lease_until_ms = coordinator.lease_until_ms.max(sent_ms + LEASE_MS);
                }
                self.settle(index)
            }
            Message::Ask(ask) => self.asked(index, *ask),
            Message::Heard { link, heard } => self.heard_of_leader(index, link, heard),
            Message::Confirmed { number, is_newest } => self.confirmed(index, number, is_newest),
            _ => Ok(()),
        }
    }

    fn coordinator_saw(&mut self, index: usize, image: Image) -> Result<(), Failure> {
        let coordinator = &mut self.coordinators[index];
        if image.offset() <= coordinator.image.offset() {
            return Ok(());
        }
        let own = coordinator.incarnation;
        let epoch =
            image.coordinators(CoordinatorKind::Group).find(|known| known.incarnation == own).map(|own| own.epoch);
        coordinator.image = image;
        if coordinator.epoch != epoch {
            // What it held under its former epoch is others'.
            (coordinator.epoch, coordinator.lease_until_ms) = (epoch, 0);
        }
        self.settle(index)
    }

    /// Whether the session of a coordinator lasts, by the clock.
    pub(super) fn is_in_charge(&self, index: usize) -> bool {
        let coordinator = &self.coordinators[index];
        let ignores_lease = self.rules.runtime == Some(crate::RuntimeDefect::LeaseIgnored);
        coordinator.epoch.is_some() && (ignores_lease || self.now_ms < coordinator.lease_until_ms)
    }

    /// Makes the shard of a coordinator what its image says.
    fn settle(&mut self, index: usize) -> Result<(), Failure> {
        let coordinator = &self.coordinators[index];
        let duty = coordinator.epoch.and_then(|epoch| duty_of(&coordinator.image, epoch));
        let Some(duty) = duty else { return self.drop_shard(index) };
        if self.coordinators[index].shard.is_none() {
            let number = self.fresh_number();
            let empty = Groups::new(GroupConfig::default().into());
            let machine = ShardMachine::new(empty, limits(), self.rules.shards);
            let coordinator = &mut self.coordinators[index];
            coordinator.shard = Some(Shard::new(number, machine, coordinator.image.clone()));
        }
        let duty = self.is_in_charge(index).then_some(duty);
        let coordinator = &mut self.coordinators[index];
        let Some(shard) = &mut coordinator.shard else { return Ok(()) };
        if shard.duty == duty && shard.image.offset() == coordinator.image.offset() {
            return Ok(());
        }
        (shard.duty, shard.image) = (duty, coordinator.image.clone());
        let event = match duty {
            None => Event::Suspend,
            Some(Duty::Own(term)) => Event::Term(term),
            Some(Duty::Follow(term)) => Event::Follow(term),
        };
        self.turn(index, vec![event, Event::Tick])
    }
}

/// What the coordinator of this epoch has to do with the shard of the run.
fn duty_of(image: &Image, epoch: CoordinatorEpoch) -> Option<Duty> {
    let partition = image.shard_topic(CoordinatorKind::Group)?.partition(0)?;
    let term = Term { leader: partition.leader, epoch: partition.leader_epoch, losses: partition.possible_losses };
    if image.shards_of(epoch).any(|shard| shard == 0) {
        return Some(Duty::Own(term));
    }
    image.standby_shards(epoch).contains(&0).then_some(Duty::Follow(term))
}
