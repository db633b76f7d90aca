//! How requests to group coordinators and their answers travel on a stream that carries many of them.
//!
//! Both sides put what they have to say into an [`Outbox`]. Whenever the transport takes a message, everything that waits
//! leaves together in it, in one parcel each, up to [`PACK_BYTES`]. A request or an answer that is larger than that leaves in
//! parts, one in each message, so that nothing small waits for the whole of it. An [`Inbox`] puts the parts together.

mod inbox;
mod outbox;
#[cfg(test)]
mod tests;

pub use inbox::{Inbox, ParcelError};
pub use outbox::{Load, Outbox};

/// The largest request to a group coordinator, and the largest answer: what a leader is told of all members of its group
/// is the largest of them. Kafka has no limit of its own; this is what its largest record may be by far.
pub const MAX_GROUP_MESSAGE_BYTES: usize = 64 << 20;

/// How much leaves together. What is larger than this leaves in parts of this size: at 1 Gbit/s a heartbeat waits half a
/// millisecond for one.
pub const PACK_BYTES: usize = 64 << 10;

/// The largest message of a stream: small parcels up to the one that exceeds [`PACK_BYTES`], a part of a large one, and numbers
/// that nobody waits for, several times over.
pub const MAX_STREAM_MESSAGE_BYTES: usize = 1 << 20;
