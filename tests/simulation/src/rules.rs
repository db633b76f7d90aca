//! Which rules a world keeps.

/// The rules of both shipped cores: all of them, or all but one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Those of replicas.
    pub replication: levada_replication::Rules,
    /// Those of the metadata.
    pub metadata: levada_metadata::Rules,
}
