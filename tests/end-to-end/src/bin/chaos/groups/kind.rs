//! The groups of a run: how each is kept.

use levada_end_to_end::Protocol;

/// How a group is kept, and what it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// The name of the group.
    pub(super) name: &'static str,
    /// The topic that it reads, of those whose acknowledged records are never lost.
    pub(super) topic: &'static str,
    /// How it is kept.
    pub(super) protocol: Protocol,
    /// Whether its members are static ones: who comes in the place of another has its `group.instance.id`.
    pub(super) is_static: bool,
}

/// The groups of a run.
pub(super) const KINDS: [Kind; 4] = [
    Kind { name: "eager", topic: "idempotent", protocol: Protocol::Classic("range"), is_static: false },
    Kind {
        name: "cooperative",
        topic: "idempotent-zstd",
        protocol: Protocol::Classic("cooperative-sticky"),
        is_static: false,
    },
    Kind { name: "next-generation", topic: "synced", protocol: Protocol::Consumer, is_static: false },
    Kind { name: "static", topic: "acks-all", protocol: Protocol::Classic("range"), is_static: true },
];

impl Kind {
    /// The protocol as a member is told of it on its command line.
    pub(super) fn protocol_name(&self) -> &'static str {
        match self.protocol {
            Protocol::Classic(assignor) => assignor,
            Protocol::Consumer => "consumer",
        }
    }
}
