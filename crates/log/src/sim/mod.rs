//! A disk in memory that behaves as badly as a real one may: it loses what was not synced, tears writes, fills up, and
//! fails on command. For tests, here and above.
//!
//! What survives [`SimDisk::restart`] after a crash, chosen by a seed:
//! - The bytes of a file as of its last sync. Of the writes since: some first ones whole, the next one in part, and of
//!   those after it sectors here and there, as pages are written back in any order. What lies between is zeros.
//! - The names in a directory as of its last sync, and some first ones of the changes since.
//!
//! A sync that fails loses nothing by itself, unless it was told to ([`SimDisk::drop_at`]).
//!
//! [`SimDisk::restart_process`] keeps everything, as the page cache outlives a process that is killed.

mod disk;
mod file;
mod inode;
mod names;
mod random;
mod world;

pub use disk::SimDisk;
