//! The public gRPC services at the broker: produce, consume, groups, administer.
//!
//! A face of the broker: decodes `levada.v1` messages into the broker's own words ([`levada_broker::api`]), and encodes
//! its answers. Topic names are resolved here, from the broker's image. Nothing is kept between calls; a stream's state
//! is its own. A request for a partition that another broker leads is answered with NOT_LEADER_OR_FOLLOWER and the
//! leader's address.
//!
//! The fetch stream is written below tonic's codec, so that record bytes go from the read buffer to the connection
//! without another copy: see `consumer`.

mod address;
mod admin;
mod consumer;
mod face;
#[cfg(test)]
mod fixtures;
mod gateway;
mod groups;
mod inflow;
mod options;
mod producer;
mod refusal;
mod subscribe;
mod topics;

pub use face::{BindError, GatewayFace, GatewayListener};
pub use options::GatewayOptions;
