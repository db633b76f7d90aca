//! The follower's side: what is told to leaders, and the tasks that keep the streams to them.

mod leaders;
mod link;
mod outbox;
mod room;
mod streams;
mod withheld;

pub(crate) use leaders::{Leaders, follow_leaders};
