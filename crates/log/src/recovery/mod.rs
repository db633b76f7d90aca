//! Opening a log that lies on disk, and recovering one that was not closed.

mod batch_scan;
mod contents;
mod open;
mod producers;
mod progress;
mod segment;
mod swap;

pub(crate) use open::{OpenExisting, open_existing};
pub(crate) use producers::{rebuild_producers, snapshots_in};
pub use progress::RecoveryProgress;
