//! The leader's side: what each follower has, what is committed, who is in sync, who waits for it.

mod attach;
mod awaited;
mod high_watermark;
mod in_sync;
#[allow(clippy::module_inception)] // The room is named after its main type, and so is the file.
mod leader;
mod progress;
#[cfg(test)]
mod tests;

pub(crate) use leader::Leader;
