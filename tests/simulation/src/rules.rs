//! Which rules a world keeps.

/// The rules of the shipped cores and of those who run them: all of them, or all but one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Those of replicas.
    pub replication: levada_replication::Rules,
    /// Those of the metadata.
    pub metadata: levada_metadata::Rules,
    /// Those of shards: of the machine, and of the gate at the leader.
    pub shards: levada_shard::Rules,
    /// A rule of those who run shards, broken.
    pub runtime: Option<RuntimeDefect>,
    /// A broker begins with the sessions of its first life whenever it opens its replica: a defect of who runs the core.
    pub reuses_sessions: bool,
}

/// A rule of those who run the shard machine and the gate, broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuntimeDefect {
    /// A coordinator takes requests and answers them although its lease has lapsed.
    LeaseIgnored,
    /// A coordinator answers what is to be confirmed without asking the leader.
    ConfirmedFromMemory,
    /// A leader calls an append committed when it is in its own log.
    CommittedWhenAppended,
}
