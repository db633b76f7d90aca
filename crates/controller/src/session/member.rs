//! Who has a session: brokers and coordinators, and what differs between them.

use std::fmt;

use levada_metadata::{Command, CoordinatorKind, Image, State};
use levada_types::{BrokerEpoch, BrokerId, CoordinatorEpoch};
use uuid::Uuid;

/// Who has a session. A broker has a number that outlives its processes; a coordinator is a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Member {
    /// The broker of this number.
    Broker(BrokerId),
    /// The coordinator of this kind in this process.
    Coordinator(CoordinatorKind, Uuid),
}

/// The epoch that a registration got: a broker epoch or a coordinator epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(pub(super) i64);

impl Member {
    /// Everybody whom the metadata count among the living, with incarnation and epoch.
    pub(super) fn live(state: &State) -> impl Iterator<Item = (Self, Uuid, Epoch)> + '_ {
        let brokers = state.brokers().filter(|broker| !broker.fenced);
        let brokers = brokers.map(|b| (Self::Broker(b.id), b.incarnation, Epoch(b.epoch.0)));
        let coordinators = state.all_coordinators();
        let coordinators =
            coordinators.map(|c| (Self::Coordinator(c.kind, c.incarnation), c.incarnation, Epoch(c.epoch.0)));
        brokers.chain(coordinators)
    }

    /// What is to be done when its session is over.
    pub(super) fn end(self, epoch: Epoch) -> Command {
        match self {
            Self::Broker(id) => Command::FenceBroker { id, epoch: BrokerEpoch(epoch.0) },
            Self::Coordinator(..) => Command::RemoveCoordinator { epoch: CoordinatorEpoch(epoch.0) },
        }
    }

    /// What takes everything out of its hands when it stops in good order, or a part of it.
    pub(super) fn stop(self, epoch: Epoch) -> Command {
        match self {
            Self::Broker(id) => Command::StopBroker { id, epoch: BrokerEpoch(epoch.0) },
            Self::Coordinator(..) => self.end(epoch),
        }
    }

    /// Where its internal services are reached.
    pub(super) fn internal_address(self, epoch: Epoch, image: &Image) -> Option<String> {
        match self {
            Self::Broker(id) => image.broker(id).map(|known| known.internal_address.clone()),
            Self::Coordinator(..) => {
                image.coordinator(CoordinatorEpoch(epoch.0)).map(|known| known.internal_address.clone())
            }
        }
    }

    /// Whether the metadata do not count it among the living under this epoch.
    pub(super) fn is_out(self, epoch: Epoch, image: &Image) -> bool {
        match self {
            Self::Broker(id) => image.broker(id).is_none_or(|known| known.epoch.0 != epoch.0 || known.fenced),
            Self::Coordinator(..) => image.coordinator(CoordinatorEpoch(epoch.0)).is_none(),
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(id) => write!(f, "broker {id}"),
            Self::Coordinator(kind, incarnation) => write!(f, "{kind} coordinator {incarnation}"),
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
