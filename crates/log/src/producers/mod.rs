//! What a log knows of its idempotent and transactional producers (KIP-98, KIP-360).

mod entry;
mod snapshot;
mod states;

pub(crate) use entry::{BatchRange, ProducerEntry};
pub(crate) use snapshot::{MAX_SNAPSHOT_BYTES, decode_snapshot, encode_snapshot};
pub(crate) use states::{Checked, ProducerStates, Savepoint};
