//! The broker's data directories: noticing that one has failed, telling the controller which of them are online and which
//! replica lies in which (KIP-858), and moving replicas from one to another (KIP-113).
//!
//! What the controller knows can be read from the image, so both reporters compare what is here with what stands there,
//! and repeat themselves until the two agree.

mod moves;
mod placements;
mod report;
mod watch;

pub(crate) use moves::{Moves, Wanted, move_replicas};
pub(crate) use placements::{Placements, report_placements};
pub(crate) use report::report_directories;
pub(crate) use watch::{Directories, Standing, watch_directories};
