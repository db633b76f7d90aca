//! Sessions: which brokers and coordinators are there, and what happens when one falls silent.

mod keeper;
mod member;
mod stream;
mod table;

pub(crate) use keeper::SessionKeeper;
pub(crate) use stream::serve;
pub(crate) use table::SessionLimits;
