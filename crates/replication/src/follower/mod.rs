//! The follower's side: attach, truncate, append, acknowledge.

#[allow(clippy::module_inception)] // The room is named after its main type, and so is the file.
mod follower;
#[cfg(test)]
mod tests;
mod truncation;

pub(crate) use follower::Follower;
