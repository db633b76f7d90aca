//! Compacts the logs of compacted topics while the broker serves.
//!
//! Threads of their own, each with one log at a time: the dirtiest that nobody else has. They read closed segments and write
//! beside them (`levada_log::Cleaner`), within the throttle; the log's actor puts each result in its place. What is the
//! matter with one log is told and counted, and does not keep the others from being cleaned.
//!
//! Leaders and followers compact for themselves, up to what they know to be committed and decided.

mod cleaners;
mod cleaning;
mod guide;
mod settings;
mod work;

pub(crate) use cleaners::Cleaners;
