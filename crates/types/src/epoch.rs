//! Epochs: counters that tell a holder of power from its predecessors.

use std::fmt;

macro_rules! epoch {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $inner);

        impl $name {
            /// The epoch that follows this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

epoch! {
    /// Counts the leaders of a partition. Stamped into every record batch; a replica refuses requests of an older one.
    LeaderEpoch(i32)
}

epoch! {
    /// Counts the registrations of brokers, over all of them. A broker that registers again has a greater one, and
    /// whatever its predecessor sent is refused.
    BrokerEpoch(i64)
}

epoch! {
    /// Counts the registrations of coordinators, over all of them and all kinds. It names a coordinator: one that registers
    /// anew is another one.
    CoordinatorEpoch(i64)
}

epoch! {
    /// Counts the changes of a partition's metadata (leader, ISR, assignment), so that a proposal decided on an older
    /// state is refused.
    PartitionEpoch(i32)
}

impl LeaderEpoch {
    /// The epoch of a new partition's first leader.
    pub const INITIAL: Self = Self(0);
}
