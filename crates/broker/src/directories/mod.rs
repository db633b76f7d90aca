//! The broker's data directories: noticing that one has failed, telling the controller which of them are online and which
//! replica lies in which (KIP-858), moving replicas from one to another (KIP-113), and opening logs anew that a full disk has
//! closed. The last two take a log from its actor for a while (`transit`).
//!
//! What the controller knows can be read from the image, so both reporters compare what is here with what stands there,
//! and repeat themselves until the two agree.

mod moves;
mod placements;
mod reopening;
mod report;
mod stand_still;
mod transit;
mod watch;

#[cfg(test)]
pub(crate) use moves::Mover;
pub(crate) use moves::{Moves, Wanted, move_replicas};
pub(crate) use placements::{Placements, report_placements};
pub(crate) use reopening::ClosedLogs;
pub(crate) use report::report_directories;
pub(crate) use transit::Transits;
pub(crate) use watch::{Directories, Standing, watch_directories};
