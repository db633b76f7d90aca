//! The active controller: drives the pure proposer with what happens here, and carries out what it asks for.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use levada_metadata::{
    Command, Effect, Entry, Event, Outcome, Proposer, Response, RunPosition, SubmitError, Ticket, WriteId,
};
use levada_proto::internal as pb;
use levada_types::MetadataOffset;
use prost::Message;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::feed::Feed;
use crate::raft::{Leadership, RaftNode, Written};

/// Commands on their way to the proposer, which has a bound of its own for those that it has taken in.
const SUBMISSIONS: usize = 1_024;

/// The pause after a refused write before a new run is begun.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Commands answered, by how.
const COMMANDS: &str = "levada_controller_commands_total";

/// What became of a command.
pub(crate) type Answer = Result<(Response, MetadataOffset), SubmitError>;

/// Who is active.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ActiveState {
    /// The term in which this node is active: it leads, and its image holds everything that was ever committed.
    pub(crate) own_term: Option<u64>,
    /// Whether this node leads, active or not yet.
    pub(crate) leads: bool,
    /// Who leads as far as this node knows, and where it is reached.
    pub(crate) leader: Option<(u64, Option<String>)>,
}

impl ActiveState {
    /// Whether another node leads. One that leads itself and is not active yet has something to apply first.
    pub(crate) fn other_leads(&self) -> bool {
        self.own_term.is_none() && self.leader.is_some() && !self.leads
    }
}

/// Where commands are submitted. Clones lead to the same proposer.
#[derive(Debug, Clone)]
pub(crate) struct Active {
    submissions: mpsc::Sender<Submission>,
    state: watch::Receiver<ActiveState>,
}

#[derive(Debug)]
struct Submission {
    command: Command,
    /// What the identities of what it creates are made of.
    request: Uuid,
    answer: oneshot::Sender<Answer>,
}

impl Active {
    /// Who is active, and its changes.
    pub(crate) fn state(&self) -> watch::Receiver<ActiveState> {
        self.state.clone()
    }

    /// Whether this node is the active controller.
    pub(crate) fn is_active(&self) -> bool {
        self.state.borrow().own_term.is_some()
    }

    /// Decides a command; the answer comes once the state it was decided on is committed.
    pub(crate) async fn submit(&self, command: Command) -> Answer {
        self.submit_as(Uuid::new_v4(), command).await
    }

    /// The same for a command that may come again: `request` is then the same, and what was created stays one.
    pub(crate) async fn submit_as(&self, request: Uuid, command: Command) -> Answer {
        let (answer, outcome) = oneshot::channel();
        self.submissions.send(Submission { command, request, answer }).await.map_err(|_| SubmitError::NotActive)?;
        outcome.await.unwrap_or(Err(SubmitError::Unknown))
    }
}

/// Makes the way to the proposer and the task that drives it, which ends with `shutdown` or when Raft has stopped.
pub(crate) fn drive(
    raft: RaftNode,
    feed: Feed,
    proposer: Proposer,
    shutdown: CancellationToken,
) -> (Active, impl Future<Output = ()> + Send) {
    let (submissions, received) = mpsc::channel(SUBMISSIONS);
    let (told, state) = watch::channel(ActiveState::default());
    let driver = Driver {
        raft,
        feed,
        proposer,
        told,
        answers: HashMap::new(),
        next_ticket: 0,
        writes: FuturesUnordered::new(),
        retry_at: None,
        leadership: Leadership::default(),
    };
    (Active { submissions, state }, driver.run(received, shutdown))
}

type Write = Pin<Box<dyn Future<Output = (WriteId, bool, Written)> + Send>>;

struct Driver {
    raft: RaftNode,
    feed: Feed,
    proposer: Proposer,
    told: watch::Sender<ActiveState>,
    answers: HashMap<Ticket, oneshot::Sender<Answer>>,
    next_ticket: u64,
    /// Writes under way; the flag tells barriers.
    writes: FuturesUnordered<Write>,
    retry_at: Option<Instant>,
    leadership: Leadership,
}

impl Driver {
    async fn run(mut self, mut received: mpsc::Receiver<Submission>, shutdown: CancellationToken) {
        loop {
            let event = tokio::select! {
                () = shutdown.cancelled() => break,
                leadership = self.raft.leadership_other_than(&self.leadership) => {
                    let Some(leadership) = leadership else { break };
                    self.leadership = leadership;
                    match self.leadership.own_term {
                        Some(term) => Event::Leading { term },
                        None => Event::NotLeading,
                    }
                }
                Some(written) = self.writes.next() => self.outcome(written),
                Some(submission) = received.recv() => self.submitted(submission),
                () = sleep_until(self.retry_at.unwrap_or_else(Instant::now)), if self.retry_at.is_some() => {
                    self.retry_at = None;
                    Event::Retry
                }
            };
            let mut effects = Vec::new();
            self.proposer.handle(event, &mut effects);
            for effect in effects {
                self.carry_out(effect).await;
            }
            self.tell();
            self.raft.compact_if_large().await;
        }
        self.told.send_replace(ActiveState::default());
    }

    fn submitted(&mut self, submission: Submission) -> Event {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.answers.insert(ticket, submission.answer);
        let ids = ids_of(submission.request, submission.command.fresh_ids());
        Event::Submitted { ticket, command: submission.command, now_ms: now_ms(), ids }
    }

    fn outcome(&self, (write, is_barrier, written): (WriteId, bool, Written)) -> Event {
        let outcome = match written {
            Written::Applied(offset) if is_barrier => {
                // Nothing but the run that it begins can change the state after a barrier; if another barrier has
                // followed it, this run is over before it began.
                let image = self.feed.image();
                let ours = image.next_position() == Some(RunPosition { barrier: offset.0, number: 0 });
                if ours {
                    Outcome::Applied { offset, state: Some(Box::new(image.state().clone())) }
                } else {
                    Outcome::Refused
                }
            }
            Written::Applied(offset) => Outcome::Applied { offset, state: None },
            Written::Skipped => Outcome::Skipped,
            Written::Lost => Outcome::Refused,
        };
        Event::Written { write, outcome }
    }

    async fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Propose { write, term, entry } => {
                let is_barrier = matches!(entry, Entry::Barrier);
                let bytes = Bytes::from(pb::Entry::from(&entry).encode_to_vec());
                let written = self.raft.write(term, bytes).await;
                self.writes.push(Box::pin(async move { (write, is_barrier, written.await) }));
            }
            Effect::Answer { ticket, result } => {
                let how = match &result {
                    Ok(_) => "decided",
                    Err(SubmitError::NotActive) => "not_active",
                    Err(SubmitError::Busy) => "busy",
                    Err(SubmitError::Unknown) => "unknown",
                };
                metrics::counter!(COMMANDS, "outcome" => how).increment(1);
                if let Some(answer) = self.answers.remove(&ticket) {
                    // Whoever asked may have gone.
                    let _ = answer.send(result);
                }
            }
            Effect::Pause => self.retry_at = Some(Instant::now() + RETRY_PAUSE),
        }
    }

    fn tell(&self) {
        let own_term = self.leadership.own_term.filter(|_| self.proposer.is_running());
        let leads = self.leadership.own_term.is_some();
        let state = ActiveState { own_term, leads, leader: self.leadership.leader.clone() };
        self.told.send_if_modified(|told| {
            let changed = *told != state;
            *told = state;
            changed
        });
    }
}

/// The identities of what a request creates. A request is a random number, so these are nobody else's.
fn ids_of(request: Uuid, count: usize) -> Vec<Uuid> {
    (0..count as u128).map(|n| Uuid::from_u128(request.as_u128().wrapping_add(n))).collect()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
