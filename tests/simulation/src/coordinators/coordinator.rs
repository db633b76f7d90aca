//! What a coordinator is, whether it runs or not.

use std::collections::VecDeque;

use levada_metadata::Image;
use levada_types::CoordinatorEpoch;
use uuid::Uuid;

use super::Shard;
use crate::message::Message;

pub(crate) struct Coordinator {
    pub(crate) up: bool,
    /// Counts starts; what was planned in an earlier life does not happen.
    pub(crate) life: u64,
    pub(crate) incarnation: Uuid,
    pub(crate) image: Image,
    /// Its registration, as its image shows it.
    pub(crate) epoch: Option<CoordinatorEpoch>,
    /// Until when it may answer, by its clock.
    pub(crate) lease_until_ms: i64,
    /// It is stopped until then, and what arrives waits.
    pub(crate) paused_until_ms: i64,
    pub(crate) inbox: VecDeque<Message>,
    pub(crate) shard: Option<Shard>,
}

impl Coordinator {
    pub(crate) fn new() -> Self {
        Self {
            up: false,
            life: 0,
            incarnation: Uuid::nil(),
            image: Image::new(),
            epoch: None,
            lease_until_ms: 0,
            paused_until_ms: 0,
            inbox: VecDeque::new(),
            shard: None,
        }
    }

    /// The process ends in the middle of whatever it does. What it has sent may arrive yet.
    pub(crate) fn crash(&mut self) {
        let life = self.life;
        *self = Self { life, ..Self::new() };
    }
}
