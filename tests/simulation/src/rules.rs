//! Which rules a world keeps.

/// The rules of both shipped cores and of those who run them: all of them, or all but one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Those of replicas.
    pub replication: levada_replication::Rules,
    /// Those of the metadata.
    pub metadata: levada_metadata::Rules,
    /// A broker begins with the sessions of its first life whenever it opens its replica: a defect of who runs the core.
    pub reuses_sessions: bool,
}
