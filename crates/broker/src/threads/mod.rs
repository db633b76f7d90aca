//! Log threads: where everything that writes to a log happens.
//!
//! Appends, flushes and deletions may block, so they never run on a worker of the async runtime. Each partition replica
//! is an *actor* that belongs to one of a few threads. Requests post jobs into the actor's mailbox and put the actor
//! into its thread's queue; the thread takes all that waits for one actor at once, so appends that arrive while another
//! is being written share the next write.
//!
//! What acknowledgements wait for to be fsynced is fsynced by threads of its own, and their word comes back as a job.
//!
//! Whoever owns the shard on a partition of coordinators appends under a session (`levada_shard::AppendGate`), which the actor
//! asks in the order of the appends.
//!
//! The replica's state machine (`levada_replication`) lives in the actor too: it is told of everything that happens to the
//! log, in the order in which it happens.

mod actor;
mod cleaning_steps;
mod complaints;
mod flushers;
mod gather;
mod in_flight;
mod job;
mod log_threads;
mod mailbox;
mod ready_queue;
mod replica_steps;
mod session_steps;
mod uncommitted;

pub(crate) use flushers::Flushers;
pub(crate) use gather::{Gather, Slot};
pub(crate) use in_flight::{InFlight, Share};
pub(crate) use job::{
    Append, Attached, ConfirmSession, DeleteRecords, FindReader, Frame, Job, OpenSession, SessionAppend, Sight, Swap,
};
pub(crate) use log_threads::LogThreads;
pub(crate) use mailbox::{Mailbox, Posted};
pub(crate) use ready_queue::ReadyQueue;
