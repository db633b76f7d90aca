//! The broker role: partition logs and what its faces ask of them.

pub mod api;
mod broker;
mod face;

pub use broker::Broker;
pub use face::{Face, FaceError};
