//! The leader's side: what followers attach to, and the tasks that send them frames.

mod followers;
mod link;
mod sender;
mod sending;
mod service;

pub(crate) use followers::Followers;
pub(crate) use link::FollowerLink;
pub(crate) use sending::Sending;
pub(crate) use service::replication_server;
