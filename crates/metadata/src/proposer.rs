//! The proposer: the order in which commands are decided, proposed and answered. Pure: events in, effects out.
//!
//! It decides each command on the newest *proposed* state, so that many writes can be under way at once, and groups them
//! into runs. A run begins with a barrier entry: once that is committed and applied, the state as of it is what the run
//! builds on, and whatever an earlier run still had under way can no longer take effect, because entries bear their
//! barrier. A write that is refused, or committed and skipped, ends the run: the state built on it never came to be, so it
//! is dropped, open answers become unknown, and a new run begins.
//!
//! Every answer waits until the state that it was decided on is committed, answers without deltas and refusals included:
//! nobody is told of a topic that a lost write would have created.

use std::collections::VecDeque;

use levada_types::{ClusterId, MetadataOffset, TimestampMs};
use uuid::Uuid;

use crate::config::StaticConfigs;
use crate::limits::{MAX_OPEN_WRITES, MAX_WAITING_COMMANDS};
use crate::{Command, Context, Defect, Delta, Entry, MetadataLevel, Response, Rules, RunPosition, State, decide};

/// Names a command until it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Names a write until its outcome is known. Never used twice by one proposer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WriteId(pub u64);

/// What the first entry of a new cluster says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Genesis {
    /// The identity that the cluster gets if it has none.
    pub cluster_id: ClusterId,
    /// The metadata level that it begins at.
    pub level: MetadataLevel,
}

/// What has happened.
#[allow(clippy::large_enum_variant, reason = "events are handed over one by one and kept nowhere")]
#[derive(Debug, Clone)]
pub enum Event {
    /// This node leads in this term and may write.
    Leading {
        /// The term.
        term: u64,
    },
    /// This node leads no more.
    NotLeading,
    /// A command has arrived.
    Submitted {
        /// What its answer will bear.
        ticket: Ticket,
        /// The command.
        command: Command,
        /// When it arrived.
        now_ms: TimestampMs,
        /// Fresh ids for it, [`Command::fresh_ids`] of them.
        ids: Vec<Uuid>,
    },
    /// A write has come to an end.
    Written {
        /// Which.
        write: WriteId,
        /// How.
        outcome: Outcome,
    },
    /// The pause after a refusal is over.
    Retry,
}

/// How a write ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is committed, and was applied.
    Applied {
        /// At this offset.
        offset: MetadataOffset,
        /// The state right after it; needed for barriers only.
        state: Option<Box<State>>,
    },
    /// It is committed, and was skipped because it did not follow.
    Skipped,
    /// It was refused, or nobody knows.
    Refused,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write this entry, in this term and no other, after those proposed before it.
    Propose {
        /// What its outcome will bear.
        write: WriteId,
        /// The term.
        term: u64,
        /// The entry.
        entry: Entry,
    },
    /// Answer a command.
    Answer {
        /// Which.
        ticket: Ticket,
        /// The response and the offset of the state that it was decided on, or why there is none.
        result: Result<(Response, MetadataOffset), SubmitError>,
    },
    /// Send [`Event::Retry`] after a pause.
    Pause,
}

/// Why a command has no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// This node is not the active controller; nothing was done.
    #[error("this is not the active controller; nothing was done, ask the active one")]
    NotActive,
    /// Too many commands wait; nothing was done.
    #[error("{MAX_WAITING_COMMANDS} commands wait for the controller; nothing was done, try again later")]
    Busy,
    /// The controller changed while the command was under way.
    #[error("the active controller changed while the command was under way; whether it was done is unknown")]
    Unknown,
}

/// The proposer of one controller node.
#[derive(Debug)]
pub struct Proposer {
    genesis: Genesis,
    configs: StaticConfigs,
    phase: Phase,
    waiting: VecDeque<Waiting>,
    next_write: u64,
    rules: Rules,
}

#[derive(Debug)]
enum Phase {
    Following,
    /// A refusal has ended the run; the next one begins after a pause, so that a leader whose lease has lapsed is not
    /// asked without end.
    Pausing {
        term: u64,
    },
    /// A barrier is under way.
    Opening {
        term: u64,
        barrier: WriteId,
    },
    Running(Box<Run>),
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    command: Command,
    now_ms: TimestampMs,
    ids: Vec<Uuid>,
}

/// A run of decisions.
#[derive(Debug)]
struct Run {
    term: u64,
    barrier: u64,
    /// The number of the next entry.
    number: u64,
    /// The state after everything proposed so far.
    proposed: State,
    /// The offset of the newest committed entry of the run.
    committed: MetadataOffset,
    /// Writes under way, oldest first, each with the answers that wait for it.
    open: VecDeque<OpenWrite>,
}

#[derive(Debug)]
struct OpenWrite {
    write: WriteId,
    /// Set when it was applied while an older one is still open.
    applied: Option<MetadataOffset>,
    answers: Vec<(Ticket, Response)>,
}

impl Proposer {
    /// A proposer of a node that does not lead. `configs` is the node's own configuration, which decisions may consult.
    #[must_use]
    pub fn new(genesis: Genesis, configs: StaticConfigs) -> Self {
        Self {
            genesis,
            configs,
            phase: Phase::Following,
            waiting: VecDeque::new(),
            next_write: 0,
            rules: Rules::default(),
        }
    }

    /// The same proposer under other rules, for a simulation.
    #[cfg(any(test, feature = "defects"))]
    #[must_use]
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// Whether a run is open, so that commands are decided as they come.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running(_))
    }

    /// Takes in an event; what is to be done is added to `effects`, in order.
    pub fn handle(&mut self, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Leading { term } => {
                if self.term() != Some(term) {
                    self.end_run(effects);
                    self.begin_run(term, effects);
                }
            }
            Event::NotLeading => {
                self.end_run(effects);
                self.phase = Phase::Following;
                for waiting in self.waiting.drain(..) {
                    effects.push(Effect::Answer { ticket: waiting.ticket, result: Err(SubmitError::NotActive) });
                }
            }
            Event::Submitted { ticket, command, now_ms, ids } => {
                let refusal = match self.phase {
                    Phase::Following => Some(SubmitError::NotActive),
                    _ if self.waiting.len() >= MAX_WAITING_COMMANDS => Some(SubmitError::Busy),
                    _ => None,
                };
                if let Some(error) = refusal {
                    effects.push(Effect::Answer { ticket, result: Err(error) });
                } else {
                    self.waiting.push_back(Waiting { ticket, command, now_ms, ids });
                    self.decide_waiting(effects);
                }
            }
            Event::Written { write, outcome } => self.written(write, outcome, effects),
            Event::Retry => {
                if let Phase::Pausing { term } = self.phase {
                    self.begin_run(term, effects);
                }
            }
        }
    }

    fn term(&self) -> Option<u64> {
        match &self.phase {
            Phase::Following => None,
            Phase::Pausing { term } | Phase::Opening { term, .. } => Some(*term),
            Phase::Running(run) => Some(run.term),
        }
    }

    fn begin_run(&mut self, term: u64, effects: &mut Vec<Effect>) {
        let barrier = self.write_id();
        effects.push(Effect::Propose { write: barrier, term, entry: Entry::Barrier });
        self.phase = Phase::Opening { term, barrier };
    }

    /// Drops what was built on writes that may never be: nobody knows what became of the commands that wait for them.
    fn end_run(&mut self, effects: &mut Vec<Effect>) {
        if let Phase::Running(run) = &mut self.phase {
            for (ticket, _) in run.open.drain(..).flat_map(|open| open.answers) {
                effects.push(Effect::Answer { ticket, result: Err(SubmitError::Unknown) });
            }
        }
    }

    fn pause(&mut self, term: u64, effects: &mut Vec<Effect>) {
        self.end_run(effects);
        self.phase = Phase::Pausing { term };
        effects.push(Effect::Pause);
    }

    fn written(&mut self, write: WriteId, outcome: Outcome, effects: &mut Vec<Effect>) {
        match &mut self.phase {
            Phase::Opening { term, barrier } if *barrier == write => {
                let term = *term;
                match outcome {
                    Outcome::Applied { offset, state: Some(state) } => self.open_run(term, offset, *state, effects),
                    _ => self.pause(term, effects),
                }
            }
            Phase::Running(run) => {
                // Outcomes of writes of earlier runs concern nobody any more.
                let Some(open) = run.open.iter_mut().find(|open| open.write == write) else { return };
                let Outcome::Applied { offset, .. } = outcome else {
                    if self.rules.breaks(Defect::DecidedOnRefused) {
                        return run.go_on_without(write, effects);
                    }
                    let term = run.term;
                    return self.pause(term, effects);
                };
                open.applied = Some(offset);
                run.answer_committed(effects);
                self.decide_waiting(effects);
            }
            _ => {}
        }
    }

    fn open_run(&mut self, term: u64, barrier: MetadataOffset, state: State, effects: &mut Vec<Effect>) {
        let mut run = Box::new(Run {
            term,
            barrier: barrier.0,
            number: 0,
            proposed: state,
            committed: barrier,
            open: VecDeque::new(),
        });
        if run.proposed.level().is_none() {
            let first = vec![
                Delta::ClusterCreated { cluster_id: self.genesis.cluster_id },
                Delta::LevelFinalized { level: self.genesis.level },
            ];
            let write = self.write_id();
            run.propose(write, first, effects);
        }
        self.phase = Phase::Running(run);
        self.decide_waiting(effects);
    }

    fn decide_waiting(&mut self, effects: &mut Vec<Effect>) {
        let Phase::Running(run) = &mut self.phase else { return };
        while run.open.len() < MAX_OPEN_WRITES {
            let Some(waiting) = self.waiting.pop_front() else { return };
            let context =
                Context { now_ms: waiting.now_ms, ids: &waiting.ids, configs: &self.configs, rules: self.rules };
            let (response, deltas) = decide(&run.proposed, &waiting.command, &context);
            if !deltas.is_empty() {
                let write = WriteId(self.next_write);
                self.next_write += 1;
                if !run.propose(write, deltas, effects) {
                    effects.push(Effect::Answer { ticket: waiting.ticket, result: Err(SubmitError::Unknown) });
                    continue;
                }
            }
            match run.open.back_mut() {
                Some(open) => open.answers.push((waiting.ticket, response)),
                None => effects.push(Effect::Answer { ticket: waiting.ticket, result: Ok((response, run.committed)) }),
            }
        }
    }

    fn write_id(&mut self) -> WriteId {
        let write = WriteId(self.next_write);
        self.next_write += 1;
        write
    }
}

impl Run {
    /// Proposes a decision as the run's next entry. False if the deltas do not fit the state they were decided on, which
    /// no decision of ours can bring about; then nothing is proposed.
    fn propose(&mut self, write: WriteId, deltas: Vec<Delta>, effects: &mut Vec<Effect>) -> bool {
        let mut proposed = self.proposed.clone();
        if deltas.iter().try_for_each(|delta| proposed.apply(delta)).is_err() {
            return false;
        }
        self.proposed = proposed;
        let position = RunPosition { barrier: self.barrier, number: self.number };
        self.number += 1;
        self.open.push_back(OpenWrite { write, applied: None, answers: Vec::new() });
        effects.push(Effect::Propose { write, term: self.term, entry: Entry::Deltas { position, deltas } });
        true
    }

    /// As if what was refused had been committed.
    fn go_on_without(&mut self, refused: WriteId, effects: &mut Vec<Effect>) {
        self.number = self.number.saturating_sub(1);
        let Some(at) = self.open.iter().position(|open| open.write == refused) else { return };
        for (ticket, _) in self.open.remove(at).map(|open| open.answers).unwrap_or_default() {
            effects.push(Effect::Answer { ticket, result: Err(SubmitError::Unknown) });
        }
    }

    fn answer_committed(&mut self, effects: &mut Vec<Effect>) {
        while let Some(offset) = self.open.front().and_then(|open| open.applied) {
            self.committed = offset;
            let answers = self.open.pop_front().map(|open| open.answers).unwrap_or_default();
            effects.extend(
                answers.into_iter().map(|(ticket, response)| Effect::Answer { ticket, result: Ok((response, offset)) }),
            );
        }
    }
}

#[cfg(test)]
mod tests;
