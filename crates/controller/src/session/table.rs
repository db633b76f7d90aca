//! The table of sessions: pure bookkeeping, with the time handed in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use levada_metadata::State;
use levada_types::MetadataOffset;
use uuid::Uuid;

use super::member::{Epoch, Member};

/// How late a look at the sessions may come. Far more than a busy machine delays a timer.
const STOOD_STILL: Duration = Duration::from_millis(500);

/// Names a session stream. Never used twice by one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct StreamId(pub(super) u64);

/// How long members may be silent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionLimits {
    /// How long a member may be silent on an open stream.
    pub(crate) timeout: Duration,
    /// How long it has to come back after its stream broke.
    pub(crate) grace: Duration,
    /// How long it has to come to a new active controller.
    pub(crate) reconnect: Duration,
}

/// The sessions of one active controller, from the moment at which it became active.
#[derive(Debug)]
pub(super) struct SessionTable {
    limits: SessionLimits,
    sessions: BTreeMap<Member, Session>,
}

#[derive(Debug)]
struct Session {
    incarnation: Uuid,
    epoch: Epoch,
    /// Its current stream; none while it is awaited.
    stream: Option<StreamId>,
    /// Further streams that the same process has opened, oldest first. It may ask twice for a session, if the answer takes
    /// long or a controller has two addresses, and goes on with one: the one that it says something on.
    spare: Vec<StreamId>,
    /// The member must have applied this before it may lead.
    registered_at: MetadataOffset,
    /// When it is over unless it is renewed.
    deadline: Instant,
    /// What it has to apply before it is renewed again: what was committed at its last renewal.
    must_reach: MetadataOffset,
    /// What it has applied, as far as it has told.
    applied: MetadataOffset,
}

/// What a heartbeat says about a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    /// It is ready and has applied its own registration, so it may lead.
    pub(super) may_lead: bool,
    /// Its session is renewed: it lasts for the timeout from now.
    pub(super) renewed: bool,
    /// The stream that the member has left for the one it was heard on, to be ended.
    pub(super) left: Option<StreamId>,
}

/// A session that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) member: Member,
    pub(super) epoch: Epoch,
    /// Its streams, which are to be ended.
    pub(super) streams: Vec<StreamId>,
}

impl Session {
    fn streams(self) -> Vec<StreamId> {
        self.stream.into_iter().chain(self.spare).collect()
    }

    fn has(&self, stream: StreamId) -> bool {
        self.stream == Some(stream) || self.spare.contains(&stream)
    }

    /// The member is heard on `stream`; gives the one that it has left for this one, if it has.
    fn go_on_with(&mut self, stream: StreamId) -> Option<StreamId> {
        let at = self.spare.iter().position(|spare| *spare == stream)?;
        self.spare.remove(at);
        self.stream.replace(stream)
    }
}

impl SessionTable {
    /// A table that awaits everybody whom the metadata count among the living: the streams to the former active controller were never
    /// seen here, so each gets the same time to come.
    pub(super) fn adopt(limits: SessionLimits, state: &State, now: Instant) -> Self {
        let awaited = Member::live(state).map(|(member, incarnation, epoch)| {
            let session = Session {
                incarnation,
                epoch,
                stream: None,
                spare: Vec::new(),
                registered_at: MetadataOffset(0),
                deadline: now + limits.reconnect,
                must_reach: MetadataOffset(0),
                applied: MetadataOffset(0),
            };
            (member, session)
        });
        Self { limits, sessions: awaited.collect() }
    }

    /// Whether another incarnation of the member is here on an open stream. Two processes then claim one number, and the
    /// one that is here keeps it until it falls silent.
    pub(super) fn is_taken(&self, member: Member, incarnation: Uuid) -> bool {
        self.sessions.get(&member).is_some_and(|s| s.stream.is_some() && s.incarnation != incarnation)
    }

    /// Whether the member is here on an open stream.
    pub(super) fn is_here(&self, member: Member) -> bool {
        self.sessions.get(&member).is_some_and(|session| session.stream.is_some())
    }

    /// A member has registered, or come back, on `stream`. Gives the streams of its former session, which are to be ended.
    ///
    /// A process that is here already has one more stream now, until it is heard on one of them or the others break.
    pub(super) fn open(
        &mut self,
        member: Member,
        (incarnation, epoch): (Uuid, Epoch),
        registered_at: MetadataOffset,
        stream: StreamId,
        now: Instant,
    ) -> Vec<StreamId> {
        let same = |s: &&mut Session| s.stream.is_some() && (s.incarnation, s.epoch) == (incarnation, epoch);
        if let Some(session) = self.sessions.get_mut(&member).filter(same) {
            session.deadline = now + self.limits.timeout;
            session.spare.push(stream);
            return Vec::new();
        }
        let session = Session {
            incarnation,
            epoch,
            stream: Some(stream),
            spare: Vec::new(),
            registered_at,
            deadline: now + self.limits.timeout,
            must_reach: registered_at,
            applied: MetadataOffset(0),
        };
        self.sessions.insert(member, session).map(Session::streams).unwrap_or_default()
    }

    /// A heartbeat came in on `stream`, which is the member's session from now on. `None` if that is not the member's
    /// stream any more.
    ///
    /// One that has not applied what was committed at its last renewal does not renew: a member that lives but does not
    /// follow the metadata is of no more use than a silent one.
    pub(super) fn heard(
        &mut self,
        member: Member,
        stream: StreamId,
        (applied, ready): (MetadataOffset, bool),
        committed: MetadataOffset,
        now: Instant,
    ) -> Option<Heard> {
        let timeout = self.limits.timeout;
        let session = self.sessions.get_mut(&member).filter(|s| s.has(stream))?;
        let left = session.go_on_with(stream);
        session.applied = session.applied.max(applied);
        let renewed = applied >= session.must_reach;
        if renewed {
            session.must_reach = committed;
            session.deadline = now + timeout;
        }
        Some(Heard { may_lead: ready && applied >= session.registered_at, renewed, left })
    }

    /// `stream` broke. Its member has the grace period to come back, unless it is here on another one.
    pub(super) fn broken(&mut self, member: Member, stream: StreamId, now: Instant) {
        let Some(session) = self.sessions.get_mut(&member) else { return };
        session.spare.retain(|spare| *spare != stream);
        if session.stream == Some(stream) {
            session.stream = session.spare.pop();
            if session.stream.is_none() {
                session.deadline = session.deadline.min(now + self.limits.grace);
            }
        }
    }

    /// The member is known to be gone: its session is over now, if it has not come back since `epoch`.
    pub(super) fn gone(&mut self, member: Member, epoch: Epoch, now: Instant) {
        if let Some(session) = self.sessions.get_mut(&member).filter(|s| s.stream.is_none() && s.epoch == epoch) {
            session.deadline = session.deadline.min(now);
        }
    }

    /// Whether the member is awaited: its stream broke and its time has not passed yet.
    pub(super) fn is_awaited(&self, member: Member, epoch: Epoch) -> bool {
        self.sessions.get(&member).is_some_and(|s| s.stream.is_none() && s.epoch == epoch)
    }

    /// The streams of the members that are here and have not told yet that they have applied `offset`.
    pub(super) fn behind(&self, offset: MetadataOffset) -> Vec<StreamId> {
        self.sessions.values().filter(|s| s.applied < offset).filter_map(|s| s.stream).collect()
    }

    /// The member of `stream` has stopped in good order.
    pub(super) fn close(&mut self, member: Member, stream: StreamId) {
        if self.sessions.get(&member).is_some_and(|s| s.has(stream)) {
            self.sessions.remove(&member);
        }
    }

    /// Takes out the sessions whose time has passed.
    ///
    /// None is taken if this comes much later than the first was due: then it was this controller that stood still, and what
    /// the members said in the meantime is yet to be read. Each gets the grace period for that.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Expired> {
        if self.next_deadline().is_some_and(|due| now.saturating_duration_since(due) > STOOD_STILL) {
            let earliest = now + self.limits.grace;
            self.sessions.values_mut().for_each(|session| session.deadline = session.deadline.max(earliest));
            return Vec::new();
        }
        let gone = self.sessions.extract_if(.., |_, session| session.deadline <= now);
        gone.map(|(member, s)| Expired { member, epoch: s.epoch, streams: s.streams() }).collect()
    }

    /// When the next session is over unless it is renewed.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.sessions.values().map(|s| s.deadline).min()
    }

    /// How many sessions there are, awaited ones included.
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }
}

#[cfg(test)]
mod tests {
    use levada_metadata::{Coordinator, CoordinatorKind, Delta, LevelRange};
    use levada_types::{BrokerId, CoordinatorEpoch};

    use super::*;

    const BROKER: Member = Member::Broker(BrokerId(1));
    const LIMITS: SessionLimits = SessionLimits {
        timeout: Duration::from_secs(9),
        grace: Duration::from_millis(200),
        reconnect: Duration::from_millis(1_500),
    };

    fn who(n: u128) -> (Uuid, Epoch) {
        (Uuid::from_u128(n), Epoch(n as i64))
    }

    fn opened(now: Instant) -> SessionTable {
        let mut table = SessionTable::adopt(LIMITS, &State::new(), now);
        assert_eq!(table.open(BROKER, who(1), MetadataOffset(10), StreamId(1), now), []);
        table
    }

    #[test]
    fn silence_ends_a_session_and_heartbeats_renew_it() {
        let start = Instant::now();
        let mut table = opened(start);
        let later = start + Duration::from_secs(8);
        let caught_up = (MetadataOffset(10), false);
        assert!(table.heard(BROKER, StreamId(1), caught_up, MetadataOffset(10), later).is_some());
        assert_eq!(table.expire(start + LIMITS.timeout), []);
        assert_eq!(table.next_deadline(), Some(later + LIMITS.timeout));
        let expired = Expired { member: BROKER, epoch: Epoch(1), streams: vec![StreamId(1)] };
        assert_eq!(table.expire(later + LIMITS.timeout), [expired]);
        assert_eq!(table.heard(BROKER, StreamId(1), caught_up, MetadataOffset(10), later), None);
    }

    #[test]
    fn a_controller_that_stood_still_hears_the_brokers_before_it_fences_them() {
        let start = Instant::now();
        let mut table = opened(start);
        let woken = start + LIMITS.timeout + Duration::from_secs(60);
        assert_eq!(table.expire(woken), []);
        assert_eq!(table.next_deadline(), Some(woken + LIMITS.grace));
        let caught_up = (MetadataOffset(10), false);
        assert!(table.heard(BROKER, StreamId(1), caught_up, MetadataOffset(10), woken).is_some());
        assert_eq!(table.expire(woken + LIMITS.grace), []);
        assert_eq!(table.expire(woken + LIMITS.timeout).len(), 1, "then it is silent itself");
    }

    #[test]
    fn a_broken_stream_leaves_the_grace_period_and_coming_back_ends_it() {
        let start = Instant::now();
        let mut table = opened(start);
        table.broken(BROKER, StreamId(1), start);
        assert_eq!(table.next_deadline(), Some(start + LIMITS.grace));
        assert_eq!(table.open(BROKER, who(1), MetadataOffset(10), StreamId(2), start), []);
        table.broken(BROKER, StreamId(1), start);
        assert_eq!(table.expire(start + LIMITS.grace), [], "the old stream is not the session any more");
    }

    #[test]
    fn one_that_stays_behind_counts_as_silent() {
        let start = Instant::now();
        let mut table = opened(start);
        let step = Duration::from_secs(2);
        let mut now = start + step;
        table.heard(BROKER, StreamId(1), (MetadataOffset(10), true), MetadataOffset(50), now);
        let renewed = now;
        for _ in 0..4 {
            now += step;
            table.heard(BROKER, StreamId(1), (MetadataOffset(49), true), MetadataOffset(99), now);
        }
        assert_eq!(table.next_deadline(), Some(renewed + LIMITS.timeout));
        table.heard(BROKER, StreamId(1), (MetadataOffset(50), true), MetadataOffset(99), now);
        assert_eq!(table.next_deadline(), Some(now + LIMITS.timeout));
    }

    #[test]
    fn a_broker_may_lead_once_it_is_ready_and_knows_its_registration() {
        let start = Instant::now();
        let mut table = opened(start);
        let mut may_lead = |applied, ready| {
            let heard = table.heard(BROKER, StreamId(1), (MetadataOffset(applied), ready), MetadataOffset(10), start);
            heard.unwrap().may_lead
        };
        assert!(!may_lead(9, true));
        assert!(!may_lead(10, false));
        assert!(may_lead(10, true));
    }

    #[test]
    fn a_number_in_use_is_taken_until_its_stream_breaks() {
        let start = Instant::now();
        let mut table = opened(start);
        assert!(table.is_taken(BROKER, who(2).0));
        assert!(!table.is_taken(BROKER, who(1).0), "the same process on a new stream");
        assert_eq!(table.open(BROKER, who(1), MetadataOffset(10), StreamId(2), start), []);
        table.broken(BROKER, StreamId(1), start);
        assert!(table.is_taken(BROKER, who(2).0), "it is here on the new stream");
        table.broken(BROKER, StreamId(2), start);
        assert!(!table.is_taken(BROKER, who(2).0));
    }

    #[test]
    fn of_two_streams_of_one_process_either_may_be_the_one_that_it_leaves() {
        let start = Instant::now();
        let later = start + LIMITS.grace;
        let twice = || {
            let mut table = opened(start);
            assert_eq!(table.open(BROKER, who(1), MetadataOffset(10), StreamId(2), start), []);
            table
        };
        let heard_on = |table: &mut SessionTable, stream| {
            let heard = table.heard(BROKER, StreamId(stream), (MetadataOffset(10), true), MetadataOffset(10), start);
            heard.map(|heard| heard.left)
        };
        // It goes on with the first, and the answer to the second came too late for it.
        let mut table = twice();
        assert_eq!(heard_on(&mut table, 1), Some(None));
        table.broken(BROKER, StreamId(2), start);
        assert!(!table.is_awaited(BROKER, who(1).1));
        assert_eq!((table.expire(later), heard_on(&mut table, 1)), (vec![], Some(None)));
        // It goes on with the second.
        let mut table = twice();
        assert_eq!(heard_on(&mut table, 2), Some(Some(StreamId(1))));
        assert_eq!(heard_on(&mut table, 1), None);
        table.broken(BROKER, StreamId(1), start);
        assert_eq!((table.expire(later), heard_on(&mut table, 2)), (vec![], Some(None)));
        // It is heard on neither before the first breaks, and gone when both have.
        let mut table = twice();
        table.broken(BROKER, StreamId(1), start);
        assert!(!table.is_awaited(BROKER, who(1).1));
        table.broken(BROKER, StreamId(2), start);
        assert!(table.is_awaited(BROKER, who(1).1));
        assert_eq!(table.expire(later).len(), 1);
        // Its notice of a stop may be the first that is heard on a stream.
        let mut table = twice();
        table.close(BROKER, StreamId(2));
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn one_that_is_known_to_be_gone_is_not_waited_for() {
        let start = Instant::now();
        let mut table = opened(start);
        table.gone(BROKER, who(1).1, start);
        assert_eq!(table.expire(start), [], "it is here");
        table.broken(BROKER, StreamId(1), start);
        assert!(table.is_awaited(BROKER, who(1).1));
        table.gone(BROKER, who(2).1, start);
        assert_eq!(table.expire(start), [], "it is another registration that has gone");
        table.gone(BROKER, who(1).1, start);
        assert_eq!(table.expire(start).len(), 1);
        assert!(!table.is_awaited(BROKER, who(1).1));
    }

    #[test]
    fn who_has_yet_to_apply_something_is_known() {
        let start = Instant::now();
        let mut table = opened(start);
        assert_eq!(table.behind(MetadataOffset(20)), [StreamId(1)]);
        table.heard(BROKER, StreamId(1), (MetadataOffset(20), true), MetadataOffset(20), start);
        assert_eq!(table.behind(MetadataOffset(20)), []);
        table.broken(BROKER, StreamId(1), start);
        assert_eq!(table.behind(MetadataOffset(21)), [], "nobody waits for one that is not here");
    }

    #[test]
    fn a_new_active_controller_awaits_brokers_and_coordinators_alike() {
        let start = Instant::now();
        let (mut state, incarnation) = (State::new(), Uuid::from_u128(5));
        let coordinator = Coordinator {
            epoch: CoordinatorEpoch(3),
            kind: CoordinatorKind::Group,
            incarnation,
            name: String::new(),
            internal_address: "memory:g-1".to_owned(),
            levels: LevelRange::SUPPORTED,
        };
        state.apply(&Delta::CoordinatorRegistered { coordinator: coordinator.into() }).unwrap();
        let member = Member::Coordinator(CoordinatorKind::Group, incarnation);
        let mut table = SessionTable::adopt(LIMITS, &state, start);
        assert!(table.is_awaited(member, Epoch(3)) && !table.is_here(member));
        assert_eq!(table.next_deadline(), Some(start + LIMITS.reconnect));
        let expired = Expired { member, epoch: Epoch(3), streams: Vec::new() };
        assert_eq!(table.expire(start + LIMITS.reconnect), [expired]);
    }

    #[test]
    fn a_clean_stop_leaves_nothing_to_expire() {
        let start = Instant::now();
        let mut table = opened(start);
        table.close(BROKER, StreamId(1));
        assert_eq!((table.len(), table.next_deadline()), (0, None));
    }
}
