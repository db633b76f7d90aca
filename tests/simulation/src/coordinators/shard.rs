//! The shard of a coordinator that owns it, or would take it over.

use std::collections::BTreeMap;

use levada_groups::Groups;
use levada_groups::api::Response;
use levada_metadata::Image;
use levada_shard::machine::{ShardMachine, Term};
use levada_shard::{AppendSession, Token};
use levada_types::{LeaderEpoch, Offset};

pub(crate) struct Shard {
    /// Tells it from every other.
    pub(crate) number: u64,
    pub(crate) machine: ShardMachine<Groups>,
    /// What the metadata says, as long as the lease lasts.
    pub(super) duty: Option<Duty>,
    /// The image in which that is so.
    pub(super) image: Image,
    /// Who waits for which answer.
    pub(super) waiting: BTreeMap<Token, Waiting>,
    pub(super) next_token: u64,
    pub(crate) link: Option<Link>,
    /// Answers that wait until the leader has said that nobody else can have appended.
    pub(super) confirming: BTreeMap<u64, Confirming>,
    /// When it is to look whether something is due.
    pub(super) timer_ms: Option<i64>,
    /// What was compared with the log last: what it knows, and what was committed.
    pub(crate) compared: Option<(Offset, Offset)>,
}

/// What a coordinator has to do with the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    Own(Term),
    Follow(Term),
}

/// A request that waits for its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    /// The number of the request.
    pub(super) number: u64,
    /// The broker that has passed it on.
    pub(super) via: usize,
    pub(super) confirm: bool,
}

/// An answer that the leader is to confirm.
pub(super) struct Confirming {
    pub(super) waiting: Waiting,
    pub(super) response: Response,
    pub(super) attempt: u64,
}

/// One attempt at a leader: its streams.
pub(crate) struct Link {
    /// Tells it from every other.
    pub(crate) number: u64,
    pub(crate) attempt: u64,
    /// The index of the broker.
    pub(crate) leader: usize,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) session: Option<AppendSession>,
    /// Appends that were sent and not answered.
    pub(crate) unanswered: u64,
    /// When what was sent last arrives: a stream keeps the order.
    pub(super) arrives_ms: i64,
    /// What is sent goes nowhere any more.
    pub(super) is_broken: bool,
    /// The leader's replica at the first look; when it is another, the streams end.
    pub(super) hosting: Option<u64>,
}
